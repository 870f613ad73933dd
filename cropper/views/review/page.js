// The start of the page: connects buttons, keys and pointer to the functions of the other files, and fills the page.

// ------------------------------------------------------------ Leaving the page

addEventListener("pagehide", saveNow);
addEventListener("beforeunload", (event) => {
  if (!remembers && Object.keys(memory.edits).length) event.preventDefault();
});

// ------------------------------------------------------------ Mouse and touch

// The stage listens, and not the photo, because half of a handle at the edge of the photo is outside the photo.
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
    // The opposite corner stays in place. The pointer's larger distance from it, across or down, sets the size of the box.
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

// ------------------------------------------------------------ Addresses

// Shows the photo that the address names, for a link to a photo and for the browser's back and forward buttons.
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

// ------------------------------------------------------------ Start

at("title").textContent = data.title;
at("total").textContent = count(photos.length, "photo");
at("command").append(...data.command.split(/ (?=--)/).map((part, number) => element("span", number ? "whole" : "", `${number ? " " : ""}${part}`)));
at("memory").textContent = remembers
  ? "This browser keeps your marks and changes until you clear its data."
  : "This browser stores nothing for a page that you open from disk. Export your changes before you close the page.";
narrow.addEventListener("change", () => { at("filters").open = !narrow.matches; });
at("filters").open = !narrow.matches;
fillFilters();
filter();
showTotals();
if (location.hash.length > 1) follow();
