// Which photos the list shows, and in which order.

let tab = "photos"; // or "failed"
let shown = []; // the photos of the tab that the filters let through, in the order of the list
let current = 0; // the index of the current photo in `shown`

const isFailed = (photo) => Boolean(photo.e) || statusOf(photo) === "failed";
const reasonOf = (photo) => photo.e || (photo.r.find((row) => row.t === "failed" && row.m) || photo.r.find((row) => row.m))?.m || "";
const ofTab = (wanted) => photos.filter((photo) => isFailed(photo) === (wanted === "failed"));

const rowsShown = (photo) => {
  const size = at("by-size").value;
  return size ? photo.r.filter((row) => row.s === size) : photo.r;
};
const keptOf = (photo) => Math.min(...rowsShown(photo).map((row) => row.k ?? 2));
// How good a row's box looks: the least share that it keeps of the heat or the subject, less one for each head it cuts.
const certaintyOf = (row) => (row.k === undefined ? 2 : Math.min(row.k, row.u ?? 1) - (row.h ?? 0));
const isWhole = (row) => (row.u ?? 1) >= data.whole;
const cutBy = (row) => [row.h && `cuts ${count(row.h, "head")}`, !isWhole(row) && `shows ${percent(row.u)} of the subject`].filter(Boolean);

// What the list can be sorted by: small numbers come first.
const ORDERS = {
  certain: certaintyOf,
  heads: (row) => -(row.h ?? 0),
  subject: (row) => row.u ?? 2,
  kept: (row) => row.k ?? 2,
};
const keyOf = (row) => ORDERS[at("sort").value](row);
const worseThan = (a, b) => keyOf(a) - keyOf(b) || certaintyOf(a) - certaintyOf(b);
// The row that gives a photo its place in the list.
const worstOf = (rows) => rows.reduce((a, b) => (worseThan(b, a) < 0 ? b : a), rows[0]);

const FILTERS = ["by-folder", "by-status", "by-mark", "by-size", "by-cut"];

// Offers what tells the photos of the tab apart. A filter that would not narrow them is hidden, unless it is in use.
function fillFilters() {
  const base = ofTab(tab), folders = new Map();
  for (const photo of base) {
    for (let folder = folderOf(photo.p); folder; folder = folderOf(folder)) folders.set(folder, (folders.get(folder) || 0) + 1);
  }
  const number = (test) => base.filter(test).length;
  const isMarked = (mark) => (photo) => (memory.marks[photo.i] || "none") === mark;
  const isCut = (test) => (photo) => photo.r.some(test);
  options("by-folder", [...folders.keys()].sort().map((name) => [name, printable(name), folders.get(name)]), base);
  options("by-status", ["ok", "skipped"].map((status) => [status, status, number((photo) => statusOf(photo) === status)]), base);
  options("by-mark", [
    ["none", "Not marked", number(isMarked("none"))],
    ["good", "Good", number(isMarked("good"))],
    ["bad", "Bad", number(isMarked("bad"))],
    ["changed", "By hand", number(isChanged)],
  ], base);
  options("by-cut", [
    ["heads", "Heads cut", number(isCut((row) => row.h))],
    ["subject", "Subject cut", number(isCut((row) => !isWhole(row)))],
  ], base);
  const sizes = data.sizes.map((size) => [size, size, number((photo) => photo.r.some((row) => row.s === size))]);
  options("by-size", sizes, base);
  hideUnless("by-size", tab === "photos" && sizes.filter(([, , many]) => many).length > 1);
  hideUnless("by-kept", base.some((photo) => photo.r.some((row) => row.k !== undefined)));
}

function options(id, choices, base) {
  const chosen = at(id).value;
  const some = choices.filter(([value, , many]) => many || value === chosen);
  const wanted = [["", "All"], ...some.map(([value, words, many]) => [value, id === "by-size" ? words : `${words} (${many.toLocaleString("en")})`])];
  if (String(wanted) !== String([...at(id).options].map((option) => [option.value, option.text]))) {
    at(id).replaceChildren(...wanted.map(([value, words]) => new Option(words, value)));
    at(id).value = chosen;
  }
  hideUnless(id, some.some(([, , many]) => many < base.length));
}

function hideUnless(id, isUseful) {
  const isUsed = FILTERS.includes(id) ? at(id).value : Number(at(id).value) < 100;
  at(id).closest("label").hidden = !isUseful && !isUsed;
}

function filter() {
  fillFilters();
  const words = at("by-name").value.toLowerCase(), folder = at("by-folder").value, status = at("by-status").value;
  const mark = at("by-mark").value, size = at("by-size").value, most = Number(at("by-kept").value) / 100;
  const cut = at("by-cut").value, isCut = (row) => (cut === "heads" ? row.h : !isWhole(row));
  at("by-kept-value").textContent = percent(most);
  const before = shown.slice(current);
  const found = ofTab(tab).filter((photo) => {
    const marked = memory.marks[photo.i];
    return (!words || photo.p.toLowerCase().includes(words))
      && (!folder || photo.p.startsWith(`${folder}/`))
      && (!status || statusOf(photo) === status)
      && (!mark || (mark === "changed" ? isChanged(photo) : mark === "none" ? !marked : marked === mark))
      && (!size || photo.r.some((row) => row.s === size))
      && (!cut || rowsShown(photo).some(isCut))
      && (most === 1 || keptOf(photo) <= most);
  });
  // Those that you have decided on come last. The data is in order of each photo's least certain size.
  const places = found.map((photo) => [tab === "photos" && isDecided(photo), keyOf(worstOf(rowsShown(photo))), photo]);
  if (tab === "photos") places.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  shown = places.map((place) => place[2]);
  // The current photo stays the current one, unless it went to the end: then the next one takes its place.
  const index = new Map(shown.map((photo, number) => [photo, number]));
  const stayed = before.find((photo) => index.has(photo) && !isDecided(photo)) ?? before.find((photo) => index.has(photo));
  current = stayed ? index.get(stayed) : 0;
  sayCount(places.filter((place) => place[0]).map((place) => place[2]), [words, folder, status, mark, size, cut, most < 1].filter(Boolean).length);
  list.renew();
}

function sayCount(decided, active) {
  at("clear").hidden = !active;
  at("filtered-by").textContent = active ? `(${active})` : "";
  const byHand = decided.filter(isChanged).length, good = decided.length - byHand;
  const kinds = [byHand && `${byHand.toLocaleString("en")} by hand`, good && `${good.toLocaleString("en")} good`].filter(Boolean);
  const last = decided.length && decided.length < shown.length ? `; ${kinds.join(" and ")}, at the end` : "";
  const isNew = tab === "photos" && !Object.keys(memory.edits).length && !Object.keys(memory.marks).length;
  const hint = isNew && !active && !decided.length ? `. Open ${shown.length > 1 ? "one" : "it"} to move its box.` : "";
  at("count").textContent = !photos.length ? "This batch has no photos. Run cropper batch with the folder that holds them."
    : !shown.length ? "No photo matches. Clear a filter to see more." : `${count(shown.length, "photo")}${last}${hint}`;
}

// Shows the photos, or those that failed.
function showTab(name) {
  tab = name;
  for (const one of ["photos", "failed"]) {
    at(`tab-${one}`).setAttribute("aria-selected", one === tab);
    at(`tab-${one}`).tabIndex = one === tab ? 0 : -1;
    at(`number-${one}`).textContent = ofTab(one).length.toLocaleString("en");
  }
  at("tabs").hidden = !photos.some(isFailed);
  at("list").setAttribute("aria-labelledby", `tab-${tab}`);
  at("view").hidden = tab === "failed" || !photos.length;
  at("filters").hidden = !photos.length;
  at("filter-form").reset();
  current = 0;
  shown = [];
  filter();
}
