// What the mouse and fingers do in the editor: they drag the box or a corner, set the focus, move about and zoom.

let grip = null; // what the pointer drags, with the position at the start of the drag
const fingers = new Map(); // where the fingers on the stage are
let pinch = null; // the two fingers that zoom, as they were
let spaceHeld = false;

function pointOf(event) {
  const area = at("photo").getBoundingClientRect();
  return [(event.clientX - area.left) / scale, (event.clientY - area.top) / scale];
}

// The stage listens, and not the photo, because half of a handle at the edge of the photo is outside the photo.
at("stage").addEventListener("pointerdown", (event) => {
  if (!photo || at("photo").hidden || event.button > 1) return;
  if (event.pointerType === "touch") {
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (fingers.size === 2) beginPinch();
    if (fingers.size > 1) return;
  }
  const hold = { id: event.pointerId, client: [event.clientX, event.clientY], moved: false };
  if (event.button === 1 || spaceHeld) grip = { ...hold, pans: true };
  else grip = gripAt(event, hold);
  if (!grip) return;
  event.preventDefault();
  at("stage").setPointerCapture(event.pointerId);
  at("photo").focus({ preventScroll: true });
});

function gripAt(event, hold) {
  const found = underPointer(event), pans = view.by > 1 ? { ...hold, pans: true } : null;
  if (found.row >= 0) {
    choose(found.row);
    hold.chose = true;
  }
  if (!canEdit(photo, rowChosen()) || found.isOutside) return pans;
  const box = boxOf(rowChosen()), starts = new Map(photo.r.filter((row) => canEdit(photo, row)).map((row) => [row, boxOf(row)]));
  return { ...hold, ...found, box, starts, pans: found.corner < 0 && !found.inside && view.by > 1 };
}

const boxOf = (row) => withAspect(photo, row, now(photo, row).box);

// Says what of the photo is under the pointer: a corner of the selected box, the border of the box of another size (its row),
// the inside of the selected box, or nothing of these.
function underPointer(event) {
  const point = pointOf(event), isOutside = [0, 1].some((axis) => point[axis] < 0 || point[axis] >= photo.n[axis]);
  const found = { from: point, corner: -1, row: -1, inside: false, isOutside };
  if (!canEdit(photo, rowChosen())) return found;
  const [x, y, width, height] = boxOf(rowChosen());
  const isMouse = event.pointerType === "mouse", reach = (isMouse ? 12 : 26) / scale;
  found.corner = corners([x, y, width, height]).findIndex(([cx, cy]) => Math.abs(cx - point[0]) <= reach && Math.abs(cy - point[1]) <= reach);
  if (found.corner >= 0) return { ...found, isOutside: false };
  const near = 4 / scale; // a finger is too thick to tell borders apart
  if (isMouse && !isOutside && !isOnBorder(point, [x, y, width, height], near)) {
    found.row = photo.r.findIndex((row, number) => number !== chosen && canEdit(photo, row) && isOnBorder(point, boxOf(row), near));
  }
  found.inside = found.row >= 0 || (point[0] >= x && point[0] <= x + width && point[1] >= y && point[1] <= y + height);
  return found;
}

function isOnBorder([px, py], [x, y, width, height], near) {
  const within = px >= x - near && px <= x + width + near && py >= y - near && py <= y + height + near;
  return within && (px < x + near || px > x + width - near || py < y + near || py > y + height - near);
}

// The pointer may move several times in a frame; the page draws once.
let latest = null, following = 0;
addEventListener("pointermove", (event) => {
  if (!photo) return;
  if (fingers.has(event.pointerId)) fingers.set(event.pointerId, [event.clientX, event.clientY]);
  latest = event;
  following ||= requestAnimationFrame(followPointer);
});

function followPointer() {
  cancelAnimationFrame(following);
  following = 0;
  const event = latest;
  latest = null;
  if (!photo || !event) return;
  if (pinch) movePinch();
  if (!grip && event.pointerType === "mouse") showCursor(event);
  else if (grip?.id === event.pointerId) dragTo(event);
}

// Shows what a drag from here would do.
function showCursor(event) {
  const { corner, row, inside, isOutside } = at("stage").contains(event.target) && photo.n ? underPointer(event) : {};
  const names = { selects: row >= 0, resizes: corner >= 0, rising: corner === 1 || corner === 2, moves: inside && !isOutside && row < 0 };
  for (const [name, holds] of Object.entries(names)) at("photo").classList.toggle(name, Boolean(holds));
}

function dragTo(event) {
  const far = Math.hypot(event.clientX - grip.client[0], event.clientY - grip.client[1]);
  if (!grip.moved && far < (event.pointerType === "mouse" ? 3 : 8)) return;
  grip.moved = true;
  if (grip.pans) {
    panBy(event.clientX - (grip.last || grip.client)[0], event.clientY - (grip.last || grip.client)[1]);
    grip.last = [event.clientX, event.clientY];
    return;
  }
  const point = pointOf(event), reach = event.altKey ? -1 : 8 / scale; // Alt keeps the box from snapping
  if (grip.corner >= 0) dragCorner(point, reach);
  else if (grip.inside) {
    const to = [0, 1].map((axis) => clamp(Math.round(grip.box[axis] + point[axis] - grip.from[axis]), 0, photo.n[axis] - grip.box[axis + 2]));
    const { box, lines } = snapped(photo, [...to, ...grip.box.slice(2)], reach);
    guides = lines;
    if (String(box) === String(now(photo, rowChosen()).box)) draw();
    else setBox(box, grip);
  }
}

// The opposite corner stays in place. The pointer's larger distance from it, across or down, sets the size of the box.
function dragCorner(point, reach) {
  const anchor = corners(grip.box)[3 - grip.corner];
  const [across, down] = aspectOf(rowChosen().s);
  const toRight = grip.corner % 2 === 1, toBottom = grip.corner >= 2;
  const room = [toRight ? photo.n[0] - anchor[0] : anchor[0], toBottom ? photo.n[1] - anchor[1] : anchor[1]];
  const dragged = Math.max(Math.abs(point[0] - anchor[0]), (Math.abs(point[1] - anchor[1]) * across) / down);
  const { width, lines } = snappedWidth(photo, anchor, [across, down], [toRight, toBottom], dragged, reach);
  let size = sizeNear(photo, [across, down], Math.min(width, room[0], (room[1] * across) / down));
  if (size[0] > room[0] || size[1] > room[1]) size = sizeNear(photo, [across, down], size[0] - Math.max(2, 2 * across / down));
  if (size[0] > room[0] || size[1] > room[1]) return;
  guides = Math.abs(size[0] - width) <= 1 ? lines : [];
  setBox([toRight ? anchor[0] : anchor[0] - size[0], toBottom ? anchor[1] : anchor[1] - size[1], ...size], grip);
}

addEventListener("pointerup", (event) => {
  followPointer(); // what came since the last frame
  endFinger(event);
  if (!grip || grip.id !== event.pointerId) return;
  const { moved, from, box, inside, corner, pans, chose } = grip;
  grip = null;
  guides = [];
  if (!photo) return;
  if (!moved && chose) return; // a click on its border only selects a box
  if (!moved && from) setFocus(from);
  else if (pans || !moved) return;
  else if (inside && corner < 0 && String(box) === String(now(photo, rowChosen()).box)) say(SPANS);
  else if (inside || corner >= 0) {
    showTotals();
    sayBox();
  }
  draw();
});
addEventListener("pointercancel", (event) => {
  endFinger(event);
  grip = null;
  guides = [];
});

function beginPinch() {
  if (grip?.moved && !grip.pans) undo(); // the first finger has dragged the box before the second came
  grip = null;
  guides = [];
  const [one, other] = fingers.values();
  pinch = { far: Math.hypot(one[0] - other[0], one[1] - other[1]), by: view.by, middle: middleOf(one, other) };
}

const middleOf = (one, other) => [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];

function movePinch() {
  const [one, other] = fingers.values(), middle = middleOf(one, other);
  view.pan = view.pan.map((pan, axis) => pan + middle[axis] - pinch.middle[axis]);
  pinch.middle = middle;
  zoomAround((pinch.by * Math.hypot(one[0] - other[0], one[1] - other[1])) / Math.max(1, pinch.far), middle);
}

function endFinger(event) {
  fingers.delete(event.pointerId);
  if (fingers.size < 2) pinch = null;
}

// The wheel zooms, and so does a pinch on a touchpad, which browsers report as a wheel with Ctrl. Shift moves sideways.
at("stage").addEventListener("wheel", (event) => {
  if (!photo || at("photo").hidden) return;
  event.preventDefault();
  const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    panBy(-unit * (event.deltaX || event.deltaY), event.deltaX && !event.shiftKey ? -unit * event.deltaY : 0);
    return;
  }
  const speed = event.ctrlKey ? 0.01 : 0.002;
  zoomAround(view.by * Math.exp(clamp(-event.deltaY * unit * speed, -0.5, 0.5)), [event.clientX, event.clientY]);
}, { passive: false });

// With the space bar held, a drag moves about in a photo that is zoomed in, also inside the box.
addEventListener("keydown", (event) => {
  if (event.key !== " " || !photo || event.target !== at("photo")) return;
  event.preventDefault();
  spaceHeld = true;
});
addEventListener("keyup", (event) => {
  if (event.key === " ") spaceHeld = false;
});
