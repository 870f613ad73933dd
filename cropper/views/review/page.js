// The start of the page: connects buttons, keys and pointer to the functions of the other files, and fills the page.

// ------------------------------------------------------------ Leaving the page

addEventListener("pagehide", saveNow);
addEventListener("beforeunload", (event) => {
  if (!remembers && Object.keys(memory.edits).length) event.preventDefault();
});

// ------------------------------------------------------------ Buttons and cards

at("preview").addEventListener("error", () => stageMessage(MISSING));

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

at("centre-all").addEventListener("click", centreAll);
for (const which of ["good", "bad"]) {
  // The button of the mark that a photo has removes it.
  at(which).addEventListener("click", () => (memory.marks[photo.i] === which ? mark(which) : markAndGoOn(which)));
}
at("reset").addEventListener("click", reset);
at("undo").addEventListener("click", undo);
at("redo").addEventListener("click", redo);
at("centre").addEventListener("click", centreBox);
at("whole-heads").addEventListener("click", showHeads);
at("together").addEventListener("click", turnTogether);
at("thirds").addEventListener("click", turnThirds);
at("zoom").addEventListener("click", zoomOn);
at("as-thumbnails").addEventListener("click", turnThumbnails);
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
    at("copy").textContent = "Selected. Press Ctrl+C.";
  }
});

// ------------------------------------------------------------ Keys

function step(by) {
  if (!photo) list.goTo(inHand() ? current + by : current);
  else if (shown[current + by]) open(current + by, "replace");
  else say(by > 0 ? "This is the last photo." : "This is the first photo.");
}

function markInHand(which) {
  if (photo) markAndGoOn(which);
  else if (inHand()) mark(which, current);
}

function turnThumbnails() {
  if (photo || tab === "failed") return;
  asThumbnails = !asThumbnails;
  at("as-thumbnails").setAttribute("aria-pressed", asThumbnails);
  list.renew();
  say(asThumbnails ? "The thumbnails alone" : "Whole photos, with what is cut away dimmed");
}

const EVERYWHERE = {
  j: () => step(1),
  k: () => step(-1),
  g: () => markInHand("good"),
  b: () => markInHand("bad"),
  h: turnHeat,
  v: turnThumbnails,
  e: exportFocus,
  s: () => { if (data.saves) saveChanges(); },
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
  c: centreBox,
  w: showHeads,
  a: turnTogether,
  t: turnThirds,
  z: zoomOn,
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const GROW = { "+": 1, "=": 1, "-": -1, "_": -1 };

addEventListener("keydown", (event) => {
  if (event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    if (key === "y" || event.shiftKey) redo();
    else undo();
    return;
  }
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
  if (key === "Escape" && !at("saved").hidden) action = () => at("saved-close").click();
  if (!action) return;
  event.preventDefault();
  action();
});

// ------------------------------------------------------------ Filters, scrolling and resizing

let filtering = 0;
for (const kind of ["input", "change"]) {
  at("filter-form").addEventListener(kind, () => {
    cancelAnimationFrame(filtering);
    filtering = requestAnimationFrame(filter);
  });
}
at("filter-form").addEventListener("submit", (event) => event.preventDefault());
at("filter-form").addEventListener("reset", () => setTimeout(filter));
at("sort").addEventListener("change", () => {
  current = 0;
  shown = [];
  filter();
});
for (const name of ["photos", "failed"]) at(`tab-${name}`).addEventListener("click", () => showTab(name));
at("tabs").addEventListener("keydown", (event) => {
  if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  event.preventDefault();
  showTab(tab === "photos" ? "failed" : "photos");
  at(`tab-${tab}`).focus();
});
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
  if (photo) return; // the stage has an observer of its own
  if (at("cards").clientWidth !== widthBefore) list.renew();
  widthBefore = at("cards").clientWidth;
}).observe(document.body);
// A window that only gets higher shows more rows.
addEventListener("resize", () => { if (!photo) list.fill(); });
new ResizeObserver(fitPhoto).observe(at("stage"));

// ------------------------------------------------------------ Addresses

// Shows the photo that the address names, for a link to a photo and for the browser's back and forward buttons.
function follow() {
  const name = location.hash.slice(1);
  const wanted = photos.find((one) => one.i === name);
  if (wanted && !shown.includes(wanted)) showTab(isFailed(wanted) ? "failed" : "photos");
  const number = shown.indexOf(wanted);
  if (number >= 0) open(number, "");
  else close("");
}
addEventListener("popstate", follow);

// ------------------------------------------------------------ Start

const SERVED = data.saves !== null; // the address has another port each time
at("title").textContent = data.title;
at("taste").hidden = !data.taste;
at("command").append(...data.command.split(/ (?=--)/).map((part, number) => element("span", number ? "whole" : "", `${number ? " " : ""}${part}`)));
at("memory").textContent = remembers
  ? `This browser keeps your marks and changes until you clear its data${SERVED ? ", for this address alone. Give cropper review the same --port to find them again" : ""}.`
  : "This browser stores nothing for a page that you open from disk. Export your changes before you close the page.";
narrow.addEventListener("change", () => { at("filters").open = !narrow.matches; });
at("filters").open = !narrow.matches;
document.body.classList.add("no-heat");
showTab(photos.length && photos.every(isFailed) ? "failed" : "photos");
showTotals();
if (location.hash.length > 1) follow();
