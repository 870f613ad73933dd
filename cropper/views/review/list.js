// The list of photos: its cards, and the elements that cards and the editor consist of.

const SVG = "http://www.w3.org/2000/svg";
const MISSING = "The picture is missing. Run cropper review again.";
const GAP = 16; // pixels between cards
let asThumbnails = false; // whether cards show the thumbnails themselves, or the photos with what is cut away dimmed
let withHeat = false;

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
    const isNarrow = whole < 560;
    at("cards").classList.toggle("narrow", isNarrow);
    const wanted = tab === "failed" ? whole : isNarrow ? 165 : 250;
    this.columns = Math.max(1, Math.floor((whole + GAP) / (wanted + GAP)));
    this.width = Math.floor((whole - GAP * (this.columns - 1)) / this.columns);
    this.frame = Math.round(this.width * 0.75);
    // A narrow card has room for a reason of two lines.
    this.rowHeight = tab === "failed" ? (isNarrow ? 128 : 82) : this.frame + (isNarrow ? 104 : 85);
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
    item.style.transform = `translate(${column * (this.width + GAP)}px, ${row * this.rowHeight}px)`;
    item.style.width = `${this.width + 8}px`;
    item.style.height = `${this.rowHeight - 10}px`;
    item.setAttribute("aria-setsize", shown.length);
    item.setAttribute("aria-posinset", number + 1);
    const button = element("button", "card");
    button.type = "button";
    button.tabIndex = number === current ? 0 : -1;
    button.dataset.number = number;
    if (tab === "failed") button.append(...failureOf(photo));
    else button.append(captionOf(photo), element("span", "unseen", this.words(photo)), this.frameOf(photo));
    button.classList.toggle("failure", tab === "failed");
    item.append(button);
    return item;
  },

  frameOf(photo) {
    const frame = element("span", "frame"), badges = element("span", "badges");
    frame.style.height = `${this.frame}px`;
    if (photo.e || !photo.n) {
      frame.append(element("span", "no-picture", photo.e || photo.r.find((row) => row.m)?.m || "No picture"));
    } else {
      frame.append(asThumbnails ? thumbnailsOf(photo, this.width, this.frame) : dimmed(photo, this.width, this.frame));
      const gone = () => frame.replaceChildren(element("span", "no-picture", MISSING), badges);
      for (const picture of frame.querySelectorAll("img:not(.heat)")) picture.onerror = gone;
    }
    const mark = memory.marks[photo.i];
    if (mark) badges.append(element("span", `badge ${mark}`, mark === "good" ? "✓ Good" : "✕ Bad"));
    if (isChanged(photo)) badges.append(element("span", "badge", "By hand"));
    else if (worstOf(rowsShown(photo)).t === "skipped") badges.append(element("span", "badge", "Skipped"));
    frame.append(badges);
    return frame;
  },

  // What a screen reader says of all sizes, between what the card shows.
  words(photo) {
    const wordsOf = (row) => (row.k === undefined ? [`${row.s} ${row.t}`] : [`${row.s} keeps ${percent(row.k)} of gaze`, ...cutBy(row)]);
    const kept = rowsShown(photo).flatMap(wordsOf);
    return kept.join(", ");
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

// Returns a photo in which all is dimmed that the size which gives it its place cuts away. Other sizes have outlines.
function dimmed(photo, width, height) {
  const scale = Math.min(width / photo.n[0], height / photo.n[1]);
  const inner = element("span", "photo"), svg = document.createElementNS(SVG, "svg");
  inner.style.width = `${Math.max(1, photo.n[0] * scale)}px`;
  inner.style.height = `${Math.max(1, photo.n[1] * scale)}px`;
  inner.append(image(picture(photo, "card.jpg")));
  if (withHeat) inner.append(image(picture(photo, "heat.png"), "heat"), image(picture(photo, "outlines.svg"), "heat"));
  svg.setAttribute("viewBox", `0 0 ${photo.n[0]} ${photo.n[1]}`);
  svg.setAttribute("preserveAspectRatio", "none");
  const rows = rowsShown(photo), worst = worstOf(rows);
  const { box } = now(photo, worst);
  svg.append(shape("path", "shade", { d: around(photo.n, worst.t === "skipped" ? null : box), "fill-rule": "evenodd" }));
  for (const row of rows) {
    const own = now(photo, row).box;
    const lines = own ? outline(own, colourOf(row.s)) : [];
    if (row !== worst) for (const line of lines) line.classList.add("faint");
    svg.append(...lines);
  }
  inner.append(svg);
  return inner;
}

// Returns the path of all of an area but a box.
function around([width, height], box) {
  const hole = box ? ` M${box[0]} ${box[1]}v${box[3]}h${box[2]}v${-box[3]}Z` : "";
  return `M0 0H${width}V${height}H0Z${hole}`;
}

// Returns the thumbnails of a photo as they will be, all sizes in as many lines as makes them largest.
function thumbnailsOf(photo, width, height) {
  const boxes = rowsShown(photo).map((row) => now(photo, row).box).filter(Boolean), gap = 4;
  const shapes = boxes.map((box) => box[2] / box[3]);
  let best = { side: 0, each: 1 };
  for (let many = 1; many <= boxes.length; many++) {
    const each = Math.ceil(boxes.length / many);
    const lines = Array.from({ length: many }, (_, line) => shapes.slice(line * each, (line + 1) * each)).filter((line) => line.length);
    const room = lines.map((line) => (width - gap * (line.length - 1)) / line.reduce((a, b) => a + b));
    const side = Math.min((height - gap * (lines.length - 1)) / lines.length, ...room);
    if (side > best.side) best = { side, each };
  }
  const inner = element("span", "crops");
  boxes.forEach((box, number) => {
    if (number % best.each === 0) inner.append(element("span", "shelf"));
    const thumb = element("span", "thumb"), wide = best.side * shapes[number];
    // A close crop has too few pixels in the small picture.
    const pixels = (box[2] / Math.max(...photo.n)) * data.card;
    thumb.append(image(picture(photo, pixels < 0.75 * wide ? "preview.jpg" : "card.jpg")));
    thumb.style.height = `${best.side.toFixed(2)}px`;
    thumb.style.width = `${wide.toFixed(2)}px`;
    cropTo(thumb.firstChild, photo, box);
    inner.lastChild.append(thumb);
  });
  return inner;
}

// Moves and scales a picture of the photo, so that the element around it, in the shape of a box, shows the box and no more. A
// transform costs no layout, so thumbnails follow a drag.
function cropTo(picture, { n }, [x, y, width, height]) {
  picture.style.transform = `scale(${n[0] / width}, ${n[1] / height}) translate(${(-100 * x) / n[0]}%, ${(-100 * y) / n[1]}%)`;
}

function failureOf(photo) {
  const name = element("span", "row");
  name.append(element("span", "name", printable(photo.p)));
  return [name, element("span", "reason", reasonOf(photo) || "No reason is known.")];
}

function captionOf(photo) {
  const caption = element("span", "caption"), first = element("span", "row"), second = element("span", "row");
  const rows = rowsShown(photo), worst = worstOf(rows);
  const byHand = now(photo, worst).edited; // the share belongs to the model's box, which your box replaces
  first.append(element("span", "name", nameOf(photo)));
  first.lastChild.title = nameOf(photo); // a long one is cut short
  const share = element("span", "share", worst.k === undefined || byHand ? "" : `keeps ${percent(worst.k)}`);
  if (share.textContent) share.append(element("span", "of", " of gaze"));
  second.append(element("span", "folder quiet", printable(folderOf(photo.p))), share);
  if (rows.length > 1) {
    const size = element("span", "sizes quiet"), swatch = element("span", "swatch");
    swatch.style.background = colourOf(worst.s);
    size.append(swatch, worst.s);
    first.append(size);
  }
  const cut = byHand ? "" : cutBy(worst).join(", ");
  caption.append(first, second, element("span", "row cut", cut));
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
