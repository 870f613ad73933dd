// The list of photos: its filters, its cards, and the elements that cards and the editor consist of.

const SVG = "http://www.w3.org/2000/svg";
const MISSING = "The picture is missing. Run cropper review again.";

let shown = photos; // the photos that the filters let through, in the order of the list
let current = 0; // the index of the current photo in `shown`

const rowsShown = (photo) => {
  const size = at("by-size").value;
  return size ? photo.r.filter((row) => row.s === size) : photo.r;
};
const keptOf = (photo) => Math.min(...rowsShown(photo).map((row) => row.k ?? 2));
// How good a row's box looks: the least share that it keeps of the heat or the subject, less one for each head it cuts.
const certaintyOf = (row) => (row.k === undefined ? 2 : Math.min(row.k, row.u ?? 1) - (row.h ?? 0));
const leastCertain = (rows) => rows.reduce((a, b) => (certaintyOf(b) < certaintyOf(a) ? b : a), rows[0]);
const isWhole = (row) => (row.u ?? 1) >= data.whole;
const cutBy = (row) => [row.h && `cuts ${count(row.h, "head")}`, !isWhole(row) && `shows ${percent(row.u)} of the subject`].filter(Boolean);

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
  const cut = at("by-cut").value, isCut = (row) => (cut === "heads" ? row.h : !isWhole(row));
  at("by-kept-value").textContent = percent(most);
  const before = shown[current];
  shown = photos.filter((photo) => {
    const marked = memory.marks[photo.i];
    return (!words || photo.p.toLowerCase().includes(words))
      && (!folder || photo.p.startsWith(`${folder}/`))
      && (!status || statusOf(photo) === status)
      && (!mark || (mark === "changed" ? isChanged(photo) : mark === "none" ? !marked : marked === mark))
      && (!size || photo.r.some((row) => row.s === size))
      && (!cut || rowsShown(photo).some(isCut))
      && (most === 1 || keptOf(photo) <= most);
  });
  // The data is in order of each photo's least certain size. One size alone needs an order of its own.
  if (size) {
    const key = (photo) => (statusOf(photo) === "failed" ? -Infinity : certaintyOf(leastCertain(rowsShown(photo))));
    shown = shown.map((photo) => [key(photo), photo]).sort((a, b) => a[0] - b[0]).map((pair) => pair[1]);
  }
  current = Math.max(0, shown.indexOf(before));
  const active = [words, folder, status, mark, size, cut, most < 1].filter(Boolean).length;
  at("clear").hidden = !active;
  at("filtered-by").textContent = active ? `(${active})` : "";
  const least = shown.length > 1 ? ", least certain first" : "";
  at("count").textContent = !photos.length ? "This batch has no photos."
    : !shown.length ? "No photo matches. Clear a filter to see more." : `${count(shown.length, "photo")}${least}`;
  list.renew();
}

// The page contains only the cards in view, so that it stays fast with thousands of photos. The number of a card gives its place.
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
      // The current card stays, because it may have the keyboard focus.
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
      const heat = image(picture(photo, "heat.png"), "heat"), outlines = image(picture(photo, "outlines.svg"), "heat");
      const small = image(picture(photo, "card.jpg"));
      small.onerror = () => frame.replaceChildren(element("span", "no-picture", MISSING));
      const svg = document.createElementNS(SVG, "svg");
      svg.setAttribute("viewBox", `0 0 ${photo.n[0]} ${photo.n[1]}`);
      svg.setAttribute("preserveAspectRatio", "none");
      rowsShown(photo).forEach((row) => {
        const { box } = now(photo, row);
        if (box) svg.append(...outline(box, colourOf(row.s)));
      });
      inner.append(small, heat, outlines, svg);
      frame.append(inner);
    }
    const badges = element("span", "badges");
    const mark = memory.marks[photo.i];
    if (mark) badges.append(element("span", `badge ${mark}`, mark === "good" ? "✓ Good" : "✕ Bad"));
    if (isChanged(photo)) badges.append(element("span", "badge", "By hand"));
    else badges.append(...cutBy(leastCertain(rowsShown(photo))).map((words) => element("span", "badge", words)));
    frame.append(badges);
    return frame;
  },

  words(photo) {
    const wordsOf = (row) => (row.k === undefined ? [`${row.s} ${row.t}`] : [`${row.s} keeps ${percent(row.k)}`, ...cutBy(row)]);
    const kept = rowsShown(photo).flatMap(wordsOf);
    const mark = memory.marks[photo.i];
    return [printable(photo.p), ...kept, isChanged(photo) && "changed by hand", mark && `marked ${mark}`].filter(Boolean).join(", ");
  },

  // Makes a photo the current one, scrolls to its card and gives the card the focus.
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

  // Replaces one card after its photo has changed.
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
  const worst = leastCertain(rows);
  if (worst && now(photo, worst).edited) {
    first.lastChild.textContent = ""; // the share belongs to the model's box, which your box replaces
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

// Whether a card has the focus, so that the keys apply to its photo.
const inHand = () => Boolean(document.activeElement?.closest(".card"));
