// The files that the page exports: focus.csv and bad.txt.

// The focus file also contains the boxes that you call good, and those that earlier batches set by hand, so that it says all that
// you decided.
function focusRows() {
  const lines = [];
  for (const photo of photos) {
    const edited = memory.edits[photo.i] || {};
    if (edited.a) lines.push([photo.p, "", "", "", "", ""]); // takes back what was given by hand
    if (edited.f) lines.push([photo.p, "", ...edited.f, "", ""]);
    for (const row of photo.r) {
      if (edited.b?.[row.s]) lines.push([photo.p, row.s, ...edited.b[row.s]]);
      else if (isGood(photo, row)) lines.push([photo.p, row.s, ...row.b]);
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

// Encodes text as UTF-8 and turns lone surrogates back into the bytes that they stand for.
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
    say("There is nothing to export yet. Move a box or mark a photo good first.");
    return;
  }
  download("focus.csv", focusFile(), "text/csv");
  at("export-count").textContent = `It contains your decisions about ${count(changed, "photo")}. The model decides about all other photos.`;
  at("export-dialog").showModal();
}

function exportBad() {
  const paths = badPhotos();
  const plain = paths.filter((path) => !/[\r\n]/.test(path)); // the list has one path a line
  download("bad.txt", plain.map((path) => `${path}\n`).join(""), "text/plain");
  const left = paths.length - plain.length;
  const without = left ? ` It leaves out ${count(left, "photo")} with line breaks in the name.` : "";
  say(`bad.txt lists ${count(plain.length, "photo")} and is in your downloads folder.${without}`);
}

function showTotals() {
  const changed = new Set(focusRows().map((line) => line[0])).size;
  const bad = badPhotos().length;
  showSaves();
  at("export-number").textContent = changed ? `(${changed})` : "";
  at("export-bad").hidden = !bad;
  at("export-bad").textContent = `Bad list (${bad})`;
}
