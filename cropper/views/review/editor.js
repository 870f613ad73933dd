// The editor: the view of one photo in which you move, resize and reset its boxes.

let photo = null; // the photo in the editor, or null while the list shows
let chosen = 0; // the index of the selected row, which the keys and the pointer change
let scale = 1; // screen pixels per pixel of the photo
let returnTo = 0; // the scroll position of the list

const rowChosen = () => photo.r[chosen];

function open(number, how = "push") {
  if (!shown.length) return;
  current = clamp(number, 0, shown.length - 1);
  if (!photo) returnTo = scrollY;
  photo = shown[current];
  // The editor selects the least certain size first, because this size gives the photo its place in the list.
  chosen = Math.max(0, photo.r.indexOf(leastCertain(rowsShown(photo))));
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
  const message = photo.e || (photo.n ? "" : photo.r.find((row) => row.m)?.m || "This photo has no box.");
  stageMessage(message);
  at("photo").setAttribute("aria-label", `${printable(photo.p)}, with its boxes`);
  at("preview").alt = printable(photo.p);
  if (!message) {
    at("preview").src = picture(photo, "preview.jpg");
    at("preview-heat").src = picture(photo, "heat.png");
    at("preview-outlines").src = picture(photo, "outlines.svg");
  }
  buildTiles(message);
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

function buildTiles(message) {
  at("tiles").replaceChildren(...photo.r.map((row, number) => {
    const item = document.createElement("li"), tile = element("button", "tile");
    tile.type = "button";
    tile.dataset.row = number;
    const crop = element("span", "crop"), line = element("span", "line");
    if (row.b && photo.n && !message) {
      const thumb = element("span", "thumb");
      thumb.append(image(picture(photo, "preview.jpg")));
      crop.append(thumb);
      tile.append(crop);
    }
    const swatch = element("span", "swatch");
    swatch.style.background = colourOf(row.s);
    line.append(swatch, element("span", "label", row.s || "all sizes"), element("span", "share"));
    tile.append(line, element("span", "note"));
    item.append(tile);
    return item;
  }));
}

// Updates everything in the editor that depends on boxes and marks.
function draw() {
  const mark = memory.marks[photo.i], editable = canEdit(photo, rowChosen());
  at("good").setAttribute("aria-pressed", mark === "good");
  at("bad").setAttribute("aria-pressed", mark === "bad");
  at("reset").disabled = !isChanged(photo);
  at("pad").hidden = !editable;
  at("photo").classList.toggle("fixed", !editable);
  photo.r.forEach((row, number) => {
    const tile = at("tiles").children[number].firstChild;
    const { box, byHand, edited, undone } = now(photo, row);
    tile.setAttribute("aria-pressed", number === chosen);
    const thumb = tile.querySelector(".thumb");
    if (thumb) showCrop(thumb, box);
    const share = tile.querySelector(".share");
    if (edited) share.textContent = undone ? "" : "by hand";
    else if (row.k === undefined) share.textContent = row.t;
    else share.replaceChildren(element("span", "verb", "keeps "), [percent(row.k), ...cutBy(row)].join(", "));
    const note = tile.querySelector(".note");
    const notes = [box && `${box[2]} × ${box[3]} at ${box[0]}, ${box[1]}`];
    if (undone) notes.push("the model chooses again when you apply focus.csv");
    else if (row.m && !edited && row.m !== at("stage-message").textContent) notes.push(row.m);
    note.textContent = notes.filter(Boolean).join("; ");
    note.classList.toggle("failed", row.t === "failed");
    tile.setAttribute("aria-label", `${row.s}, ${byHand ? "by hand" : share.textContent}, ${note.textContent}`);
  });
  fitPhoto();
}

// Shows the part of the preview inside a box as a thumbnail of the same shape.
function showCrop(thumb, [x, y, width, height]) {
  const side = narrow.matches ? 130 : 146, shape = width / height;
  thumb.style.aspectRatio = `${width} / ${height}`;
  thumb.style.width = `min(100%, ${(side * shape).toFixed(2)}px)`;
  const style = thumb.firstChild.style;
  style.width = `${(100 * photo.n[0]) / width}%`;
  style.height = `${(100 * photo.n[1]) / height}%`;
  style.left = `${(-100 * x) / width}%`;
  style.top = `${(-100 * y) / height}%`;
}

function fitPhoto() {
  if (!photo || !photo.n || at("photo").hidden) return;
  const stage = at("stage");
  const margin = 20; // room for the handles at the edge of the photo
  scale = Math.min((stage.clientWidth - margin) / photo.n[0], (stage.clientHeight - margin) / photo.n[1]);
  const width = Math.max(1, photo.n[0] * scale), height = Math.max(1, photo.n[1] * scale);
  at("photo").style.width = `${width}px`;
  at("photo").style.height = `${height}px`;
  drawBoxes(width, height);
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
    const shade = `M0 0H${width}V${height}H0Z M${x} ${y}v${h}h${w}v${-h}Z`;
    parts.unshift(shape("path", "shade", { d: shade, "fill-rule": "evenodd" }));
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
  at("boxes").replaceChildren(...parts);
}

const corners = ([x, y, width, height]) => [[x, y], [x + width, y], [x, y + height], [x + width, y + height]];

function setBox(box) {
  const row = rowChosen();
  if (String(box) === String(now(photo, row).box)) return;
  edit(photo, (changed) => {
    delete changed.a;
    // A box of one size leaves the boxes that you set for other sizes unchanged.
    changed.b[row.s] = box;
  });
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
  say(`Focus of all sizes: ${memory.edits[photo.i].f.join(", ")}`);
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
  setBox([...to, width, height]);
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
  setBox(placed(photo, [old[0] + old[2] / 2, old[1] + old[3] / 2], size));
  showTotals();
  sayBox();
}

function reset() {
  const byHand = photo.r.some(isByHand), old = memory.edits[photo.i];
  if (old) {
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

function mark(which, number) {
  const marked = photo || shown[number];
  if (!marked) return;
  if (memory.marks[marked.i] === which) delete memory.marks[marked.i];
  else memory.marks[marked.i] = which;
  save();
  say(memory.marks[marked.i] ? `Marked ${which}` : "Mark removed");
  showTotals();
  if (photo) draw();
  else list.redraw(number);
}

function choose(number) {
  if (!photo.r[number]) return;
  chosen = number;
  draw();
  at("tiles").children[number].scrollIntoView({ block: "nearest" });
  say(`${photo.r[number].s} selected`);
}

function turnHeat() {
  const off = document.body.classList.toggle("no-heat");
  for (const button of document.querySelectorAll(".heat-switch")) button.setAttribute("aria-pressed", !off);
  say(off ? "Heat off" : "Heat on");
}

let grip = null; // what the pointer drags: the box or one of its corners, with the position at the start of the drag

function pointOf(event) {
  const area = at("photo").getBoundingClientRect();
  return [(event.clientX - area.left) / scale, (event.clientY - area.top) / scale];
}

function centreAll() {
  if (!canEdit(photo, rowChosen())) return;
  const { box } = now(photo, rowChosen());
  setFocus([box[0] + box[2] / 2, box[1] + box[3] / 2]);
}
