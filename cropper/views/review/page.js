"use strict";
// The page over a ledger. Nothing is fetched: a page opened from disk may not, so the data stands in the page itself.
//
// A photo is {p: path, i: name of its pictures, n: [width, height], e: why it has none, r: rows}; a row is {s: size, t: status,
// b: box, f: focus, k: kept, m: message}. A box is [x, y, width, height] in pixels of the upright original, as in the ledger.
// What the user changes of a photo is an edit, {n: [width, height], f: focus of all sizes, b: {size: box}, a: the model's again}.

const data = JSON.parse(document.getElementById("data").textContent);
const photos = data.photos;
const at = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 820px)"); // as in the style
const SVG = "http://www.w3.org/2000/svg";

// ---------------------------------------------------------------------------------------------------------------- what is kept

const memory = { edits: {}, marks: {} };
let remembers = true;
try {
  const known = JSON.parse(localStorage.getItem(`cropper review ${data.key}`) || "{}");
  Object.assign(memory.edits, known.edits);
  Object.assign(memory.marks, known.marks);
} catch {
  remembers = false; // a browser may refuse a page from disk any memory
}
for (const photo of photos) {
  const edit = memory.edits[photo.i];
  // A photo that was replaced by one of another size: the boxes drawn on the old one mean nothing.
  if (edit && String(edit.n) !== String(photo.n)) delete memory.edits[photo.i];
}

let saving = 0;
function save() {
  clearTimeout(saving);
  saving = setTimeout(saveNow, 150);
}
function saveNow() {
  clearTimeout(saving);
  try {
    localStorage.setItem(`cropper review ${data.key}`, JSON.stringify(memory));
  } catch {
    remembers = false;
  }
}
addEventListener("pagehide", saveNow);
addEventListener("beforeunload", (event) => {
  if (!remembers && Object.keys(memory.edits).length) event.preventDefault();
});

// ------------------------------------------------------------------------------------------------------------- words and names

// Bytes of a name that are no UTF-8 are lone surrogates here, as in Python: exported as the bytes they were. They, and whatever
// else does not print, or would turn the letters around, are shown escaped, as the command does.
const printable = (text) => text.replace(/\p{C}|\p{Zl}|\p{Zp}|(?! )\p{Zs}/gu, (sign) => {
  const code = sign.codePointAt(0), short = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
  const [letter, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
  return short || `\\${letter}${code.toString(16).padStart(digits, "0")}`;
});
const nameOf = (photo) => printable(photo.p.slice(photo.p.lastIndexOf("/") + 1));
const folderOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf("/")));
const percent = (share) => `${Math.round(100 * share)}%`;
const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
const picture = (photo, kind) => `${data.folder}/${photo.i}.${kind}`;
const colourOf = (size) => data.colours[Math.max(0, data.sizes.indexOf(size)) % data.colours.length];
const statusOf = (photo) => ["failed", "skipped"].find((status) => photo.r.some((row) => row.t === status)) || "ok";

// ----------------------------------------------------------------------------------------------------------------------- boxes

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// Python's rounding, half to even, of numerator / denominator: the boxes must be those that `cropper batch` will make.
function rounded(numerator, denominator = 1) {
  const whole = Math.floor(numerator / denominator);
  const rest = 2 * (numerator - whole * denominator);
  return rest > denominator || (rest === denominator && whole % 2) ? whole + 1 : whole;
}

function aspectOf(size) {
  const [across, down] = size.split(/[x:]/).map(Number);
  return across > 0 && down > 0 ? [across, down] : null;
}

function largest(photo, [across, down]) {
  const [width, height] = photo.n;
  return width * down < height * across
    ? [width, Math.max(1, rounded(width * down, across))]
    : [Math.max(1, rounded(height * across, down)), height];
}

// The size nearest to a width, counted in pixels of the shorter side so that the longer one has the aspect to half a pixel.
function sizeNear(photo, aspect, width) {
  const [across, down] = aspect, most = largest(photo, aspect);
  const shorter = across >= down ? rounded(width * down, across) : Math.round(width);
  const least = Math.min(8, ...most);
  const side = Math.max(shorter, least);
  const size = across >= down ? [rounded(side * across, down), side] : [side, rounded(side * down, across)];
  return size[0] >= most[0] || size[1] >= most[1] ? most : size;
}

// A box of a size around a centre, or as near to it as the photo allows.
function placed(photo, centre, size) {
  return [...[0, 1].map((axis) => clamp(rounded(2 * centre[axis] - size[axis], 2), 0, photo.n[axis] - size[axis])), ...size];
}

// A box that is changed has its size's aspect, even where the photo was padded before.
function withAspect(photo, row, box) {
  const aspect = aspectOf(row.s);
  const most = largest(photo, aspect);
  const near = sizeNear(photo, aspect, box[2]);
  const fits = Math.abs(near[0] - box[2]) <= 1 && Math.abs(near[1] - box[3]) <= 1;
  return fits || String(most) === String(box.slice(2)) ? box : placed(photo, [box[0] + box[2] / 2, box[1] + box[3] / 2], most);
}

const canEdit = (photo, row) => Boolean(row && photo.n && row.b && aspectOf(row.s));
const isByHand = (row) => row.m === data.byHand;

// What is true of a row now: its box, and whether it is by hand.
function now(photo, row) {
  const edit = memory.edits[photo.i];
  if (edit && canEdit(photo, row)) {
    const centre = edit.f && [edit.f[0] + 0.5, edit.f[1] + 0.5];
    const box = edit.b?.[row.s] || (edit.f && placed(photo, centre, largest(photo, aspectOf(row.s))));
    const isApplied = isByHand(row) && String(box) === String(row.b); // a batch has made it since
    if (box) return { box, byHand: true, edited: !isApplied, focus: edit.b?.[row.s] ? undefined : edit.f };
    if (edit.a) return { box: row.b, byHand: false, edited: isByHand(row), focus: row.f, undone: isByHand(row) };
  }
  return { box: row.b, byHand: isByHand(row), edited: false, focus: row.f };
}

const isChanged = (photo) => Boolean(memory.edits[photo.i]) || photo.r.some(isByHand);

function edit(photo, change) {
  const old = memory.edits[photo.i] || {};
  memory.edits[photo.i] = { n: photo.n, f: old.f, b: { ...old.b }, a: old.a };
  change(memory.edits[photo.i]);
  save();
}

// ---------------------------------------------------------------------------------------------------------------------- export

// The focus file holds everything by hand, that of earlier rounds too: what it does not name, a batch gives back to the model.
function focusRows() {
  const lines = [];
  for (const photo of photos) {
    const edited = memory.edits[photo.i] || {};
    if (edited.f) lines.push([photo.p, "", ...edited.f, "", ""]);
    for (const row of photo.r) {
      if (edited.b?.[row.s]) lines.push([photo.p, row.s, ...edited.b[row.s]]);
      else if (!edited.f && !edited.a && isByHand(row) && row.b && row.f) {
        const [x, y, width, height] = row.b;
        const isCentre = Math.floor(x + width / 2) === row.f[0] && Math.floor(y + height / 2) === row.f[1];
        lines.push(isCentre ? [photo.p, row.s, ...row.b] : [photo.p, row.s, ...row.f, "", ""]);
      }
    }
  }
  return lines.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
}

const quoted = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
const focusFile = () => [["path", "size", "x", "y", "width", "height"], ...focusRows()]
  .map((line) => `${line.map(quoted).join(",")}\r\n`).join("");
const badPhotos = () => photos.filter((photo) => memory.marks[photo.i] === "bad").map((photo) => photo.p).sort();

// UTF-8, but lone surrogates that stand for bytes become these bytes again.
function encoded(text) {
  const parts = text.split(/(\p{Surrogate})/u);
  return parts.map((part) => {
    const code = part.length === 1 ? part.charCodeAt(0) : 0;
    return code >= 0xdc80 && code <= 0xdcff ? new Uint8Array([code - 0xdc00]) : new TextEncoder().encode(part);
  });
}

function download(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(encoded(text), { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function exportFocus() {
  const lines = focusRows();
  const changed = new Set(lines.map((line) => line[0])).size;
  if (!changed && !Object.keys(memory.edits).length) {
    say("Nothing to export yet: move a box first.");
    return;
  }
  download("focus.csv", focusFile(), "text/csv");
  at("export-count").textContent = `It holds what you decided about ${count(changed, "photo")}. Photos it does not name are left to the model.`;
  at("export-dialog").showModal();
}

function exportBad() {
  const paths = badPhotos();
  const plain = paths.filter((path) => !/[\r\n]/.test(path)); // a path of two lines would be two
  download("bad.txt", plain.map((path) => `${path}\n`).join(""), "text/plain");
  const left = paths.length - plain.length;
  say(`bad.txt with ${count(plain.length, "photo")} is in your downloads${left ? `; ${left} with line breaks in the name left out` : ""}.`);
}

function showTotals() {
  const changed = new Set(focusRows().map((line) => line[0])).size;
  const bad = badPhotos().length;
  at("export-number").textContent = changed ? `(${changed})` : "";
  at("export-bad").hidden = !bad;
  at("export-bad").textContent = `Bad list (${bad})`;
}

// ---------------------------------------------------------------------------------------------------------------------- saying

let said = 0;
function say(words) {
  const place = at("said");
  place.textContent = words;
  place.classList.remove("past");
  clearTimeout(said);
  said = setTimeout(() => place.classList.add("past"), 3500);
}

// --------------------------------------------------------------------------------------------------------------------- filters

let shown = photos; // what the filters let through, in the order of the list
let current = 0; // place of the photo in hand among these

const rowsShown = (photo) => {
  const size = at("by-size").value;
  return size ? photo.r.filter((row) => row.s === size) : photo.r;
};
const keptOf = (photo) => Math.min(...rowsShown(photo).map((row) => row.k ?? 2));

function fillFilters() {
  const folders = new Map();
  for (const photo of photos) {
    for (let folder = folderOf(photo.p); ; folder = folderOf(folder)) {
      folders.set(folder, (folders.get(folder) || 0) + 1);
      if (!folder) break;
    }
  }
  const names = [...folders.keys()].filter(Boolean).sort();
  options("by-folder", [["", "All"], ...names.map((name) => [name, `${printable(name)} (${folders.get(name)})`])]);
  const statuses = ["ok", "failed", "skipped"].map((status) => [status, photos.filter((photo) => statusOf(photo) === status).length]);
  options("by-status", [["", "All"], ...statuses.filter(([, number]) => number).map(([status, number]) => [status, `${status} (${number})`])]);
  options("by-size", [["", "All"], ...data.sizes.map((size) => [size, size])]);
}

function options(id, choices) {
  at(id).replaceChildren(...choices.map(([value, words]) => new Option(words, value)));
}

function filter() {
  const words = at("by-name").value.toLowerCase(), folder = at("by-folder").value, status = at("by-status").value;
  const mark = at("by-mark").value, size = at("by-size").value, most = Number(at("by-kept").value) / 100;
  at("by-kept-value").textContent = percent(most);
  const before = shown[current];
  shown = photos.filter((photo) => {
    const marked = memory.marks[photo.i];
    return (!words || photo.p.toLowerCase().includes(words))
      && (!folder || photo.p.startsWith(`${folder}/`))
      && (!status || statusOf(photo) === status)
      && (!mark || (mark === "changed" ? isChanged(photo) : mark === "none" ? !marked : marked === mark))
      && (!size || photo.r.some((row) => row.s === size))
      && (most === 1 || keptOf(photo) <= most);
  });
  // The data come with the least certain of any size first.
  if (size) {
    const key = (photo) => (statusOf(photo) === "failed" ? -1 : keptOf(photo));
    shown = shown.map((photo) => [key(photo), photo]).sort((a, b) => a[0] - b[0]).map((pair) => pair[1]);
  }
  current = Math.max(0, shown.indexOf(before));
  const active = [words, folder, status, mark, size, most < 1].filter(Boolean).length;
  at("clear").hidden = !active;
  at("filtered-by").textContent = active ? `(${active})` : "";
  const least = shown.length > 1 ? ", the least certain first" : "";
  at("count").textContent = !photos.length ? "There are no photos in the ledger."
    : !shown.length ? "No photo is like that. Clear a filter to see more." : `${count(shown.length, "photo")}${least}`;
  list.renew();
}

// ------------------------------------------------------------------------------------------------------------------------ list

// Only the cards in sight are in the page, however many photos there are: a card's place follows from its number.
const list = {
  cards: new Map(),
  columns: 1,
  width: 0,
  frame: 0,
  rowHeight: 0,
  top: 0,

  measure() {
    const whole = at("cards").clientWidth;
    const wanted = whole < 560 ? 165 : 250;
    this.columns = Math.max(1, Math.floor((whole + 16) / (wanted + 16)));
    this.width = Math.floor((whole - 16 * (this.columns - 1)) / this.columns);
    this.frame = Math.round(this.width * 0.75);
    this.rowHeight = this.frame + 66;
    this.top = at("cards").getBoundingClientRect().top + scrollY;
    at("cards").style.height = `${Math.ceil(shown.length / this.columns) * this.rowHeight}px`;
  },

  renew() {
    if (at("overview").hidden) return;
    const hadFocus = inHand();
    this.cards.clear();
    at("cards").replaceChildren();
    this.measure();
    this.fill();
    if (hadFocus) this.cards.get(current)?.firstChild.focus({ preventScroll: true });
  },

  fill() {
    const above = scrollY - this.top;
    const first = Math.max(0, Math.floor(above / this.rowHeight) - 1) * this.columns;
    const last = Math.min(shown.length, (Math.ceil((above + innerHeight) / this.rowHeight) + 1) * this.columns);
    for (const [number, card] of this.cards) {
      // The card in hand stays, for whoever goes on by keyboard.
      if ((number < first || number >= last) && number !== current) {
        card.remove();
        this.cards.delete(number);
      }
    }
    const fresh = document.createDocumentFragment();
    const wanted = [];
    if (current < shown.length && (current < first || current >= last)) wanted.push(current);
    for (let number = first; number < last; number++) wanted.push(number);
    for (const number of wanted) {
      if (this.cards.has(number)) continue;
      const card = this.make(number);
      this.cards.set(number, card);
      fresh.append(card);
    }
    if (fresh.childNodes.length) at("cards").append(fresh);
  },

  make(number) {
    const photo = shown[number];
    const item = document.createElement("li");
    const row = Math.floor(number / this.columns), column = number % this.columns;
    item.style.transform = `translate(${column * (this.width + 16)}px, ${row * this.rowHeight}px)`;
    item.style.width = `${this.width + 8}px`;
    item.style.height = `${this.rowHeight - 10}px`;
    item.setAttribute("aria-setsize", shown.length);
    item.setAttribute("aria-posinset", number + 1);
    const button = element("button", "card");
    button.type = "button";
    button.tabIndex = number === current ? 0 : -1;
    button.dataset.number = number;
    button.setAttribute("aria-label", this.words(photo));
    button.append(this.frameOf(photo), captionOf(photo));
    item.append(button);
    return item;
  },

  frameOf(photo) {
    const frame = element("span", "frame");
    frame.style.height = `${this.frame}px`;
    if (photo.e || !photo.n) {
      frame.append(element("span", "no-picture", photo.e || photo.r.find((row) => row.m)?.m || "No picture"));
    } else {
      const scale = Math.min(this.width / photo.n[0], this.frame / photo.n[1]);
      const inner = element("span", "photo");
      inner.style.width = `${Math.max(1, photo.n[0] * scale)}px`;
      inner.style.height = `${Math.max(1, photo.n[1] * scale)}px`;
      const heat = image(picture(photo, "heat.png"), "heat");
      const small = image(picture(photo, "card.jpg"));
      small.onerror = () => frame.replaceChildren(element("span", "no-picture", "Its picture is missing: run cropper review again."));
      const svg = document.createElementNS(SVG, "svg");
      svg.setAttribute("viewBox", `0 0 ${photo.n[0]} ${photo.n[1]}`);
      svg.setAttribute("preserveAspectRatio", "none");
      rowsShown(photo).forEach((row) => {
        const { box } = now(photo, row);
        if (box) svg.append(...outline(box, colourOf(row.s)));
      });
      inner.append(small, heat, svg);
      frame.append(inner);
    }
    const badges = element("span", "badges");
    const mark = memory.marks[photo.i];
    if (mark) badges.append(element("span", `badge ${mark}`, mark === "good" ? "✓ Good" : "✕ Bad"));
    if (isChanged(photo)) badges.append(element("span", "badge", "By hand"));
    frame.append(badges);
    return frame;
  },

  words(photo) {
    const kept = rowsShown(photo).map((row) => (row.k === undefined ? `${row.s} ${row.t}` : `${row.s} keeps ${percent(row.k)}`));
    const mark = memory.marks[photo.i];
    return [printable(photo.p), ...kept, isChanged(photo) && "changed by hand", mark && `marked ${mark}`].filter(Boolean).join(", ");
  },

  // Make a number the one in hand, in sight, and give its card the focus.
  goTo(number, takeFocus = true) {
    const old = this.cards.get(current);
    current = clamp(number, 0, shown.length - 1);
    const top = this.top + Math.floor(current / this.columns) * this.rowHeight;
    const bar = document.querySelector(".bar").offsetHeight + 8;
    if (top - bar < scrollY) scrollTo(0, top - bar);
    else if (top + this.rowHeight > scrollY + innerHeight) scrollTo(0, top + this.rowHeight - innerHeight + 8);
    this.fill();
    if (old) old.firstChild.tabIndex = -1;
    const card = this.cards.get(current);
    if (!card) return;
    card.firstChild.tabIndex = 0;
    if (takeFocus) card.firstChild.focus({ preventScroll: true });
  },

  // Draw one card again.
  redraw(number) {
    const old = this.cards.get(number);
    if (!old) return;
    const hadFocus = old.contains(document.activeElement);
    const card = this.make(number);
    old.replaceWith(card);
    this.cards.set(number, card);
    if (hadFocus) card.firstChild.focus({ preventScroll: true });
  },
};

function captionOf(photo) {
  const caption = element("span", "caption"), first = element("span", "row"), second = element("span", "row quiet");
  const kept = keptOf(photo);
  const failed = statusOf(photo) === "failed";
  first.append(element("span", "name", nameOf(photo)));
  first.append(failed ? element("span", "failed", "failed") : element("span", "share", kept <= 1 ? percent(kept) : ""));
  second.append(element("span", "folder", printable(folderOf(photo.p))));
  const rows = rowsShown(photo).filter((row) => row.k !== undefined);
  const worst = rows.reduce((a, b) => (b.k < a.k ? b : a), rows[0]);
  if (worst && now(photo, worst).edited) {
    first.lastChild.textContent = ""; // what the model's box kept is of no matter
  } else if (rows.length > 1) {
    second.append(element("span", "sizes", `at ${worst.s}`));
  }
  caption.append(first, second);
  return caption;
}

function element(tag, className, words) {
  const made = document.createElement(tag);
  made.className = className;
  if (words !== undefined) made.textContent = words;
  return made;
}

function image(source, className = "") {
  const made = new Image();
  made.decoding = "async";
  made.alt = "";
  made.className = className;
  made.src = source;
  return made;
}

function shape(tag, className, values) {
  const made = document.createElementNS(SVG, tag);
  made.setAttribute("class", className);
  for (const [name, value] of Object.entries(values)) made.setAttribute(name, value);
  return made;
}

function outline([x, y, width, height], colour) {
  return ["under", "line"].map((part) => {
    const rect = shape("rect", part, { x, y, width, height });
    if (part === "line") rect.style.stroke = colour;
    return rect;
  });
}

// ---------------------------------------------------------------------------------------------------------------------- editor

let photo = null; // the one in the editor
let chosen = 0; // its row that the keys and the mouse move
let scale = 1; // pixels of the screen for one of the photo
let returnTo = 0; // where the list was scrolled to

const rowChosen = () => photo.r[chosen];

function open(number, how = "push") {
  if (!shown.length) return;
  current = clamp(number, 0, shown.length - 1);
  if (!photo) returnTo = scrollY;
  photo = shown[current];
  // In hand first is the size that the photo stands so far in front for.
  const worst = Math.min(...rowsShown(photo).map((row) => row.k ?? 2));
  chosen = Math.max(0, photo.r.findIndex((row) => rowsShown(photo).includes(row) && (row.k ?? 2) === worst));
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
  const message = photo.e || (photo.n ? "" : photo.r.find((row) => row.m)?.m || "It has no box.");
  stageMessage(message);
  at("photo").setAttribute("aria-label", `${printable(photo.p)}, with its boxes`);
  at("preview").alt = printable(photo.p);
  if (!message) {
    at("preview").src = picture(photo, "preview.jpg");
    at("preview-heat").src = picture(photo, "heat.png");
  }
  buildTiles(message);
  draw();
  (message ? at("back") : at("photo")).focus({ preventScroll: true });
  ahead();
}

// The photo in hand stands in the address, for the browser's back button; some browsers refuse a page from disk that.
function note(how, name) {
  try {
    if (how === "push") history.pushState(name, "", `#${name}`);
    else if (how === "replace") history.replaceState(name, "", `#${name}`);
  } catch {
    // back leaves the page then
  }
}

function stageMessage(message) {
  at("stage-message").hidden = !message;
  at("stage-message").textContent = message;
  at("photo").hidden = Boolean(message);
}
at("preview").addEventListener("error", () => stageMessage("Its picture is missing: run cropper review again."));

// The pictures of the neighbours, so that they are there at once.
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
  filter(); // marks and changes may be filtered by
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

// Everything in the editor that follows from the boxes and marks.
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
    else share.replaceChildren(element("span", "verb", "keeps "), percent(row.k));
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

// A box of the preview, filling a thumbnail of its own shape.
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
  const margin = 20; // for the handles at the photo's border
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
    // A box of one size leaves by-hand boxes of the others as they are.
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
  say(`Focus at ${memory.edits[photo.i].f.join(", ")}, for all sizes`);
}

const SPANS = "The box spans the photo this way: make it smaller first.";

function move(across, down, fine) {
  if (!canEdit(photo, rowChosen())) return;
  const step = (axis) => (fine ? 1 : Math.max(1, Math.round(photo.n[axis] / 100)));
  const [x, y, width, height] = withAspect(photo, rowChosen(), now(photo, rowChosen()).box);
  const to = [clamp(x + across * step(0), 0, photo.n[0] - width), clamp(y + down * step(1), 0, photo.n[1] - height)];
  if (to[0] === x && to[1] === y) {
    const stuck = (across && width === photo.n[0]) || (down && height === photo.n[1]);
    say(stuck ? SPANS : "The box is at the border.");
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
    say(by > 0 ? "The box is as large as can be." : "The box is as small as can be.");
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
    say("Back to the boxes in the ledger");
  } else if (byHand) {
    edit(photo, (changed) => { changed.a = true; });
    say("The model chooses again when you apply focus.csv");
  } else {
    say("Nothing to reset");
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
  say(memory.marks[marked.i] ? `Marked ${which}` : "No longer marked");
  showTotals();
  if (photo) draw();
  else list.redraw(number);
}

function choose(number) {
  if (!photo.r[number]) return;
  chosen = number;
  draw();
  at("tiles").children[number].scrollIntoView({ block: "nearest" });
  say(`${photo.r[number].s} chosen`);
}

function turnHeat() {
  const off = document.body.classList.toggle("no-heat");
  for (const button of document.querySelectorAll(".heat-switch")) button.setAttribute("aria-pressed", !off);
  say(off ? "Heat off" : "Heat on");
}

// ------------------------------------------------------------------------------------------------------------ mouse and touch

let grip = null; // what the pointer holds: the box as it was, or a corner of it, and where it began

function pointOf(event) {
  const area = at("photo").getBoundingClientRect();
  return [(event.clientX - area.left) / scale, (event.clientY - area.top) / scale];
}

// On the stage, not on the photo: half of a handle at the photo's border lies outside it.
at("stage").addEventListener("pointerdown", (event) => {
  if (event.button || !photo || at("photo").hidden || !canEdit(photo, rowChosen())) return;
  const point = pointOf(event);
  const box = withAspect(photo, rowChosen(), now(photo, rowChosen()).box);
  const [x, y, width, height] = box;
  const reach = (event.pointerType === "mouse" ? 12 : 26) / scale;
  const corner = corners(box).findIndex(([cx, cy]) => Math.abs(cx - point[0]) <= reach && Math.abs(cy - point[1]) <= reach);
  const inside = point[0] >= x && point[0] <= x + width && point[1] >= y && point[1] <= y + height;
  if (corner < 0 && [0, 1].some((axis) => point[axis] < 0 || point[axis] >= photo.n[axis])) return;
  event.preventDefault();
  at("stage").setPointerCapture(event.pointerId);
  at("photo").focus({ preventScroll: true });
  grip = { id: event.pointerId, from: point, client: [event.clientX, event.clientY], box, corner, inside, moved: false };
});

addEventListener("pointermove", (event) => {
  if (!photo) return;
  if (!grip || grip.id !== event.pointerId) return;
  const far = Math.hypot(event.clientX - grip.client[0], event.clientY - grip.client[1]);
  if (!grip.moved && far < (event.pointerType === "mouse" ? 3 : 8)) return;
  grip.moved = true;
  const point = pointOf(event), [x, y, width, height] = grip.box;
  if (grip.corner >= 0) {
    // The corner across stays where it is; the box is as wide as the pointer asks for in either direction.
    const anchor = corners(grip.box)[3 - grip.corner];
    const [across, down] = aspectOf(rowChosen().s);
    const toRight = grip.corner % 2 === 1, toBottom = grip.corner >= 2;
    const room = [toRight ? photo.n[0] - anchor[0] : anchor[0], toBottom ? photo.n[1] - anchor[1] : anchor[1]];
    const wanted = Math.max(Math.abs(point[0] - anchor[0]), (Math.abs(point[1] - anchor[1]) * across) / down);
    let size = sizeNear(photo, [across, down], Math.min(wanted, room[0], (room[1] * across) / down));
    if (size[0] > room[0] || size[1] > room[1]) size = sizeNear(photo, [across, down], size[0] - Math.max(2, 2 * across / down));
    if (size[0] > room[0] || size[1] > room[1]) return;
    setBox([toRight ? anchor[0] : anchor[0] - size[0], toBottom ? anchor[1] : anchor[1] - size[1], ...size]);
  } else if (grip.inside) {
    const to = [0, 1].map((axis) => clamp(Math.round(grip.box[axis] + point[axis] - grip.from[axis]), 0, photo.n[axis] - grip.box[axis + 2]));
    setBox([...to, width, height]);
  }
});

addEventListener("pointerup", (event) => {
  if (!grip || grip.id !== event.pointerId) return;
  const { moved, from, box, inside, corner } = grip;
  grip = null;
  if (!moved) setFocus(from);
  else if (inside && corner < 0 && String(box) === String(now(photo, rowChosen()).box)) say(SPANS);
  else if (inside || corner >= 0) {
    showTotals();
    sayBox();
  }
});
addEventListener("pointercancel", () => { grip = null; });

// -------------------------------------------------------------------------------------------------------------- buttons, keys

at("cards").addEventListener("click", (event) => {
  const card = event.target.closest(".card");
  if (card) open(Number(card.dataset.number));
});
at("cards").addEventListener("focusin", (event) => {
  const card = event.target.closest(".card");
  if (!card || Number(card.dataset.number) === current) return;
  const old = list.cards.get(current);
  if (old) old.firstChild.tabIndex = -1;
  current = Number(card.dataset.number);
  card.tabIndex = 0;
});
at("tiles").addEventListener("click", (event) => {
  const tile = event.target.closest(".tile");
  if (tile) choose(Number(tile.dataset.row));
});
at("pad").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.move) move(...button.dataset.move.split(",").map(Number), event.shiftKey);
  else if (button?.dataset.grow) grow(Number(button.dataset.grow), event.shiftKey);
});

function centreAll() {
  if (!canEdit(photo, rowChosen())) return;
  const { box } = now(photo, rowChosen());
  setFocus([box[0] + box[2] / 2, box[1] + box[3] / 2]);
}

at("centre-all").addEventListener("click", centreAll);
at("good").addEventListener("click", () => mark("good"));
at("bad").addEventListener("click", () => mark("bad"));
at("reset").addEventListener("click", reset);
for (const button of document.querySelectorAll(".heat-switch")) button.addEventListener("click", turnHeat);
at("help").addEventListener("click", () => at("help-dialog").showModal());
at("export").addEventListener("click", exportFocus);
at("export-bad").addEventListener("click", exportBad);
at("back").addEventListener("click", () => close());
at("previous").addEventListener("click", () => step(-1));
at("next").addEventListener("click", () => step(1));
at("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(data.command);
    at("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(at("command"));
    at("copy").textContent = "Selected: press Ctrl+C";
  }
});

function step(by) {
  if (!photo) list.goTo(inHand() ? current + by : current);
  else if (shown[current + by]) open(current + by, "replace");
  else say(by > 0 ? "That was the last photo." : "This is the first photo.");
}

// In the list, whether the keys speak of a photo.
const inHand = () => Boolean(document.activeElement?.closest(".card"));

function markInHand(which) {
  if (photo || inHand()) mark(which, current);
}

const EVERYWHERE = {
  j: () => step(1),
  k: () => step(-1),
  g: () => markInHand("good"),
  b: () => markInHand("bad"),
  h: turnHeat,
  e: exportFocus,
  "?": () => at("help-dialog").showModal(),
  "/": () => {
    close();
    at("filters").open = true;
    at("by-name").focus();
  },
};
const IN_EDITOR = {
  Escape: () => close(),
  r: reset,
  f: centreAll,
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const GROW = { "+": 1, "=": 1, "-": -1, "_": -1 };

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  let action = EVERYWHERE[key];
  if (photo) {
    action = action || IN_EDITOR[key];
    if (ARROWS[key]) action = () => move(...ARROWS[key], event.shiftKey);
    else if (GROW[key]) action = () => grow(GROW[key], event.shiftKey);
    else if (/^[1-9]$/.test(key)) action = () => choose(Number(key) - 1);
  } else if (event.target.closest(".card")) {
    const page = Math.max(1, Math.floor(innerHeight / list.rowHeight) - 1) * list.columns;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -list.columns, ArrowDown: list.columns, PageUp: -page, PageDown: page,
      Home: -shown.length, End: shown.length }[key];
    if (by) action = () => list.goTo(current + by);
  }
  if (!action) return;
  event.preventDefault();
  action();
});

let filtering = 0;
for (const kind of ["input", "change"]) {
  at("filter-form").addEventListener(kind, () => {
    cancelAnimationFrame(filtering);
    filtering = requestAnimationFrame(filter);
  });
}
at("filter-form").addEventListener("submit", (event) => event.preventDefault());
at("filter-form").addEventListener("reset", () => setTimeout(filter));
at("filters").addEventListener("toggle", () => list.renew());

let filling = 0;
addEventListener("scroll", () => {
  if (photo || filling) return;
  filling = requestAnimationFrame(() => {
    filling = 0;
    if (!photo) list.fill();
  });
}, { passive: true });

let widthBefore = 0;
new ResizeObserver(() => {
  if (photo) {
    draw();
    return;
  }
  if (at("cards").clientWidth !== widthBefore) list.renew();
  widthBefore = at("cards").clientWidth;
}).observe(document.body);
new ResizeObserver(fitPhoto).observe(at("stage"));

// A link to a photo, and the browser's back and forward.
function follow() {
  const name = location.hash.slice(1);
  let number = shown.findIndex((one) => one.i === name);
  if (name && number < 0 && photos.some((one) => one.i === name)) {
    at("filter-form").reset();
    filter();
    number = shown.findIndex((one) => one.i === name);
  }
  if (number >= 0) open(number, "");
  else close("");
}
addEventListener("popstate", follow);

// ----------------------------------------------------------------------------------------------------------------------- begin

at("title").textContent = data.title;
at("total").textContent = count(photos.length, "photo");
at("command").append(...data.command.split(/ (?=--)/).map((part, number) => element("span", number ? "whole" : "", `${number ? " " : ""}${part}`)));
at("memory").textContent = remembers
  ? "Marks and changes are kept in this browser until you clear its data."
  : "This browser keeps nothing for a page from disk: export before you close it.";
narrow.addEventListener("change", () => { at("filters").open = !narrow.matches; });
at("filters").open = !narrow.matches;
fillFilters();
filter();
showTotals();
if (location.hash.length > 1) follow();
