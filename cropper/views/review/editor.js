// The editor: the view of one photo in which you move, resize and reset its boxes.

let photo = null; // the photo in the editor, or null while the list shows
let chosen = 0; // the index of the selected row, which the keys and the pointer change
let together = false; // whether a box that moves takes the boxes of the other sizes along
let thirds = false; // whether the selected box has lines at its thirds
let guides = []; // the lines that a drag has snapped to: [axis, place in pixels of the photo]
let returnTo = 0; // the scroll position of the list

const rowChosen = () => photo.r[chosen];

function open(number, how = "push") {
  if (!shown.length) return;
  current = clamp(number, 0, shown.length - 1);
  if (!photo) returnTo = scrollY;
  photo = shown[current];
  // The editor selects the size first that gives the photo its place in the list.
  chosen = Math.max(0, photo.r.indexOf(worstOf(rowsShown(photo))));
  at("overview").hidden = true;
  at("editor").hidden = false;
  document.body.classList.add("editing");
  scrollTo(0, 0);
  note(how, photo.i);
  at("name").textContent = printable(photo.p);
  at("name").title = printable(photo.p);
  at("place").textContent = `${(current + 1).toLocaleString("en")} of ${shown.length.toLocaleString("en")}`;
  at("previous").disabled = current === 0;
  at("next").disabled = current === shown.length - 1;
  const message = photo.e || (photo.n ? "" : reasonOf(photo) || "This photo has no box.");
  stageMessage(message);
  at("photo").setAttribute("aria-label", `${printable(photo.p)}, with its boxes`);
  at("preview").alt = printable(photo.p);
  if (!message) {
    at("preview").src = picture(photo, "preview.jpg");
    showHeat();
  }
  at("stage").style.setProperty("--shape", photo.n ? photo.n[1] / photo.n[0] : 1);
  zoomReset();
  buildTiles(message);
  fitPhoto();
  draw();
  (message ? at("back") : at("photo")).focus({ preventScroll: true });
  ahead();
}

// Puts the photo into the address, so that the browser's back button returns to the list.
function note(how, name) {
  try {
    if (how === "push") history.pushState(name, "", `#${name}`);
    else if (how === "replace") history.replaceState(name, "", `#${name}`);
  } catch {
    // Some browsers do not allow this for a page that you open from disk. The back button then leaves the page.
  }
}

function stageMessage(message) {
  at("stage-message").hidden = !message;
  at("stage-message").textContent = message;
  at("photo").hidden = Boolean(message);
}

// Loads the previews of the next and the previous photo, so that they appear at once.
function ahead() {
  for (const neighbour of [shown[current + 1], shown[current - 1]]) {
    if (neighbour && neighbour.n && !neighbour.e) image(picture(neighbour, "preview.jpg"));
  }
}

function close(how = "push") {
  if (!photo) return;
  photo = null;
  at("editor").hidden = true;
  at("overview").hidden = false;
  document.body.classList.remove("editing");
  note(how, "");
  filter(); // a mark or a change may have changed what the filters let through
  scrollTo(0, returnTo);
  list.fill();
  list.goTo(current);
}

// Updates everything in the editor that depends on boxes and marks.
function draw() {
  const mark = memory.marks[photo.i], editable = canEdit(photo, rowChosen());
  at("good").setAttribute("aria-pressed", mark === "good");
  at("bad").setAttribute("aria-pressed", mark === "bad");
  at("reset").disabled = !isChanged(photo);
  at("undo").disabled = !past.length;
  at("redo").disabled = !future.length;
  at("pad").hidden = !editable;
  at("together").hidden = at("centre-all").hidden = photo.r.filter((row) => canEdit(photo, row)).length < 2;
  at("whole-heads").disabled = !photo.d;
  at("photo").classList.toggle("fixed", !editable);
  photo.r.forEach(drawTile);
  if (photo.n) drawBoxes(photo.n[0] * scale, photo.n[1] * scale);
}

// Loads the heat only when it shows.
function showHeat() {
  if (!withHeat || !photo || at("photo").hidden) return;
  at("preview-heat").src = picture(photo, "heat.png");
  at("preview-outlines").src = picture(photo, "outlines.svg");
}

function drawBoxes(width, height) {
  const parts = [];
  const onScreen = (box) => box.map((value) => value * scale);
  const row = rowChosen();
  photo.r.forEach((other, number) => {
    const { box } = now(photo, other);
    if (box && number !== chosen) parts.push(...outline(onScreen(box), colourOf(other.s)));
  });
  const { box, focus } = row ? now(photo, row) : {};
  if (box) {
    const [x, y, w, h] = onScreen(box);
    parts.unshift(shape("path", "shade", { d: around([width, height], [x, y, w, h]), "fill-rule": "evenodd" }));
    if (thirds) parts.push(...linesOf([1, 2].flatMap((third) => [
      `M${x + (w * third) / 3} ${y}v${h}`, `M${x} ${y + (h * third) / 3}h${w}`,
    ]), "third"));
    const [under, line] = outline([x, y, w, h], colourOf(row.s));
    under.style.strokeWidth = 6;
    line.style.strokeWidth = 3.5;
    parts.push(under, line);
    const point = focus || [box[0] + box[2] / 2, box[1] + box[3] / 2];
    for (const part of ["under", "line"]) {
      const ring = shape("circle", part, { cx: (point[0] + 0.5) * scale, cy: (point[1] + 0.5) * scale, r: 7 });
      if (part === "line") ring.style.stroke = colourOf(row.s);
      parts.push(ring);
    }
    if (canEdit(photo, row)) {
      for (const [cx, cy] of corners([x, y, w, h])) parts.push(shape("rect", "handle", { x: cx - 6, y: cy - 6, width: 12, height: 12, rx: 2 }));
    }
  }
  parts.push(...linesOf(guides.map(([axis, place]) => (axis ? `M0 ${place * scale}H${width}` : `M${place * scale} 0V${height}`)), "guide"));
  at("boxes").replaceChildren(...parts);
}

const linesOf = (paths, className) => (paths.length ? ["under thin", className].map((one) => shape("path", one, { d: paths.join("") })) : []);

const corners = ([x, y, width, height]) => [[x, y], [x + width, y], [x, y + height], [x + width, y + height]];

// Gives the selected size a box. A box of one size leaves the boxes of other sizes unchanged, unless they move together.
function setBox(box, kind) {
  const row = rowChosen(), old = now(photo, row).box;
  if (String(box) === String(old)) return;
  const boxes = [[row, box]];
  const moved = box[2] === old[2] && box[3] === old[3];
  for (const other of photo.r) {
    if (!together || !moved || other === row || !canEdit(photo, other)) continue;
    // By as much as this one: in a drag since its start, so that a box which met the edge of the photo comes back.
    const from = kind?.starts?.get(other) || withAspect(photo, other, now(photo, other).box), before = kind?.box || old;
    const to = [0, 1].map((axis) => clamp(from[axis] + box[axis] - before[axis], 0, photo.n[axis] - from[axis + 2]));
    boxes.push([other, [...to, ...from.slice(2)]]);
  }
  edit(photo, (changed) => {
    delete changed.a;
    for (const [one, to] of boxes) changed.b[one.s] = to;
  }, kind);
  draw();
}

function sayBox() {
  const { box } = now(photo, rowChosen());
  say(`${rowChosen().s}: ${box[2]} × ${box[3]} at ${box[0]}, ${box[1]}`);
}

function setFocus(point) {
  edit(photo, (changed) => {
    changed.f = [0, 1].map((axis) => clamp(Math.floor(point[axis]), 0, photo.n[axis] - 1));
    changed.b = {};
    delete changed.a;
  });
  draw();
  showTotals();
  say(`The boxes of all sizes are around this point now: ${memory.edits[photo.i].f.join(", ")}`);
}

const SPANS = "The box spans the photo in this direction. Make it smaller first.";

function move(across, down, fine) {
  if (!canEdit(photo, rowChosen())) return;
  const step = (axis) => (fine ? 1 : Math.max(1, Math.round(photo.n[axis] / 100)));
  const [x, y, width, height] = withAspect(photo, rowChosen(), now(photo, rowChosen()).box);
  const to = [clamp(x + across * step(0), 0, photo.n[0] - width), clamp(y + down * step(1), 0, photo.n[1] - height)];
  if (to[0] === x && to[1] === y) {
    const stuck = (across && width === photo.n[0]) || (down && height === photo.n[1]);
    say(stuck ? SPANS : "The box is at the edge of the photo.");
    return;
  }
  setBox([...to, width, height], `move ${rowChosen().s}`);
  showTotals();
  sayBox();
}

function grow(by, fine) {
  if (!canEdit(photo, rowChosen())) return;
  const aspect = aspectOf(rowChosen().s);
  const old = withAspect(photo, rowChosen(), now(photo, rowChosen()).box);
  const step = (fine ? 0.005 : 0.03) * largest(photo, aspect)[0];
  let size = sizeNear(photo, aspect, old[2] + by * step);
  if (String(size) === String(old.slice(2))) size = sizeNear(photo, aspect, old[2] + by * Math.max(1, step, 2 * aspect[0] / aspect[1]));
  if (String(size) === String(old.slice(2))) {
    say(by > 0 ? "The box cannot get larger." : "The box cannot get smaller.");
    return;
  }
  setBox(placed(photo, [old[0] + old[2] / 2, old[1] + old[3] / 2], size), `grow ${rowChosen().s}`);
  showTotals();
  sayBox();
}

function reset() {
  const byHand = photo.r.some(isByHand), old = memory.edits[photo.i];
  if (old) {
    remember(photo);
    delete memory.edits[photo.i];
    say("Reset to the boxes from the last batch");
  } else if (byHand) {
    edit(photo, (changed) => { changed.a = true; });
    say("The model chooses again when you apply focus.csv.");
  } else {
    say("There is nothing to reset.");
    return;
  }
  save();
  draw();
  showTotals();
}

// Marks a photo of the list, or removes the mark that it has.
function mark(which, number) {
  const marked = photo || shown[number];
  if (!marked) return;
  remember(marked);
  if (memory.marks[marked.i] === which) delete memory.marks[marked.i];
  else memory.marks[marked.i] = which;
  save();
  showTotals();
  if (photo) draw();
  else {
    fillFilters();
    list.redraw(number);
  }
  const removed = marked.r.some(isByHand) ? "Mark removed. Boxes by hand stay until you reset them." : "Mark removed";
  say(memory.marks[marked.i] ? `Marked ${which}` : removed);
}

// Marks the photo in the editor and goes on to the next one.
function markAndGoOn(which) {
  if (memory.marks[photo.i] !== which) mark(which, current);
  if (shown[current + 1]) {
    open(current + 1, "replace");
    say(`Marked ${which}: ${nameOf(shown[current - 1])}`);
  } else say(`Marked ${which}. This is the last photo.`);
}

function choose(number) {
  if (!photo.r[number]) return;
  chosen = number;
  draw();
  at("tiles").children[number].scrollIntoView({ block: "nearest" });
  say(`${photo.r[number].s} selected`);
}

function turnHeat() {
  withHeat = !withHeat;
  document.body.classList.toggle("no-heat", !withHeat);
  for (const button of document.querySelectorAll(".heat-switch")) button.setAttribute("aria-pressed", withHeat);
  if (photo) showHeat();
  else list.renew();
  say(withHeat ? "Heat on" : "Heat off");
}

function turnThirds() {
  thirds = !thirds;
  at("thirds").setAttribute("aria-pressed", thirds);
  draw();
  say(thirds ? "Lines at the thirds of the box" : "No lines at the thirds");
}

function turnTogether() {
  if (at("together").hidden) return;
  together = !together;
  at("together").setAttribute("aria-pressed", together);
  say(together ? "All sizes move together" : "Each size moves alone");
}

// Puts the selected box where a rule says, and says so if it is there already.
function putBox(rule, there) {
  if (!canEdit(photo, rowChosen())) return;
  const old = withAspect(photo, rowChosen(), now(photo, rowChosen()).box);
  const box = rule(old);
  if (String(box) === String(old)) {
    say(there);
    return;
  }
  setBox(box);
  showTotals();
  sayBox();
}

const centreBox = () => putBox((box) => placed(photo, photo.n.map((side) => side / 2), box.slice(2)), "The box is in the centre.");
const showHeads = () => putBox((box) => withWholeHeads(photo, aspectOf(rowChosen().s), box),
  photo.d ? "No head is cut that could be whole." : "The model sees no head in this photo.");

function centreAll() {
  if (!canEdit(photo, rowChosen())) return;
  const { box } = now(photo, rowChosen());
  setFocus([box[0] + box[2] / 2, box[1] + box[3] / 2]);
}
