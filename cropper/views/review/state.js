// The state of the page: the photos of the ledger, your edits and marks, and how the page describes them.

// The page contains its data, because a browser does not let a page that you open from disk fetch files.
//
// A photo is {p: path, i: name of its pictures, n: [width, height], e: why it has no pictures, r: rows}.
// A row is {s: size, t: status, b: box, f: focus, k: share that the box keeps, u: share of the subject that
// it keeps, h: heads that it cuts, m: message}.
// A photo's d: the edges of heads, [left, top, right, bottom] as shares of its sides.
// A box is [x, y, width, height] in pixels of the upright original, as in the ledger.
// An edit is your change to a photo: {n: [width, height], f: focus of all sizes, b: {size: box}, a: the model chooses again}.

const data = JSON.parse(document.getElementById("data").textContent);
const photos = data.photos;
const at = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 820px)"); // the same width as in page.css

const memory = { edits: {}, marks: {} };
let remembers = true;
try {
  const known = JSON.parse(localStorage.getItem(`cropper review ${data.key}`) || "{}");
  Object.assign(memory.edits, known.edits);
  Object.assign(memory.marks, known.marks);
} catch {
  remembers = false; // some browsers store nothing for a page that you open from disk
}
for (const photo of photos) {
  const edit = memory.edits[photo.i];
  // A photo of another size has replaced this one, so the boxes of the old photo do not fit.
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

// Escapes characters that do not print or that reverse the text, as the cropper command does. It also escapes lone surrogates:
// they stand for the bytes of a name that are not UTF-8, as in Python, and the export turns them back into these bytes.
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

const isByHand = (row) => row.m === data.byHand || Boolean(row.m?.startsWith(`${data.byHand}; `));

// Returns the current box of a row, and says where the box comes from.
function now(photo, row) {
  const edit = memory.edits[photo.i];
  if (edit && canEdit(photo, row)) {
    const centre = edit.f && [edit.f[0] + 0.5, edit.f[1] + 0.5];
    const box = edit.b?.[row.s] || (edit.f && placed(photo, centre, largest(photo, aspectOf(row.s))));
    const isApplied = isByHand(row) && String(box) === String(row.b); // a batch has applied the edit
    if (box) return { box, byHand: true, edited: !isApplied, focus: edit.b?.[row.s] ? undefined : edit.f };
    if (edit.a) return { box: row.b, byHand: false, edited: isByHand(row), focus: row.f, undone: isByHand(row) };
  }
  return { box: row.b, byHand: isByHand(row), edited: false, focus: row.f };
}

// Whether you call the box of a row good that the model chose: then it is yours, and stays as it is. A padded photo has none.
function isGood(photo, row) {
  const edit = memory.edits[photo.i];
  const isYours = isByHand(row) || edit?.f || edit?.b?.[row.s] || edit?.a;
  return memory.marks[photo.i] === "good" && !isYours && row.t === "ok" && canEdit(photo, row) && withAspect(photo, row, row.b) === row.b;
}

const isChanged = (photo) => Boolean(memory.edits[photo.i]) || photo.r.some(isByHand);
const isDecided = (photo) => isChanged(photo) || memory.marks[photo.i] === "good";

// Changes a photo's edit. Changes of one kind are one step for undo.
function edit(photo, change, kind) {
  remember(photo, kind);
  const old = memory.edits[photo.i] || {};
  memory.edits[photo.i] = { n: photo.n, f: old.f, b: { ...old.b }, a: old.a };
  change(memory.edits[photo.i]);
  save();
}

let said = 0;
function say(words) {
  const place = at("said");
  place.textContent = words;
  clearTimeout(said);
  said = setTimeout(() => { place.textContent = ""; }, 3000);
}
