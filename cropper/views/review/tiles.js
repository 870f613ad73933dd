// The tiles of the editor: each size's thumbnail as it is now, side by side.

function buildTiles(message) {
  at("tiles").classList.toggle("many", photo.r.length > 1);
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
    tile.append(line, element("span", "cuts"), element("span", "note"));
    item.append(tile);
    return item;
  }));
}

function drawTile(row, number) {
  const tile = at("tiles").children[number].firstChild;
  const { box, edited, undone } = now(photo, row);
  tile.setAttribute("aria-pressed", number === chosen);
  const thumb = tile.querySelector(".thumb");
  if (thumb) {
    const sides = `${box[2]} / ${box[3]}`;
    if (tile.dataset.sides !== sides) {
      tile.dataset.sides = sides;
      thumb.style.aspectRatio = sides;
      thumb.style.setProperty("--wide", `calc(var(--tile) * ${(box[2] / box[3]).toFixed(4)})`);
    }
    cropTo(thumb.firstChild, photo, box);
  }
  const share = tile.querySelector(".share");
  if (edited) share.textContent = undone ? "" : "by hand";
  else if (row.k === undefined) share.textContent = row.t;
  else share.textContent = `keeps ${percent(row.k)}`;
  const cuts = edited || row.k === undefined ? [] : cutBy(row);
  tile.querySelector(".cuts").replaceChildren(...cuts.map((words) => element("span", "cut", words)));
  const note = tile.querySelector(".note");
  const notes = [box && `${box[2]} × ${box[3]} at ${box[0]}, ${box[1]}`];
  if (undone) notes.push("the model chooses again when you apply focus.csv");
  else if (row.m && !edited && row.m !== at("stage-message").textContent) notes.push(row.m);
  note.textContent = notes.filter(Boolean).join("; ");
  note.classList.toggle("failed", row.t === "failed");
}
