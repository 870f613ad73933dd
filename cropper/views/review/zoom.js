// Zooming into the photo of the editor, and moving about in it.

const MOST_ZOOM = 8;
const MARGIN = 10; // screen pixels on each side for the handles at the edge of the photo

const view = { by: 1, pan: [0, 0] }; // pan: how far the photo's centre is from the stage's, in screen pixels
let scale = 1; // screen pixels per pixel of the photo

const stageSize = () => [at("stage").clientWidth, at("stage").clientHeight];

// Fits the photo into the stage, and draws it at the zoom.
function fitPhoto() {
  if (!photo || !photo.n || at("photo").hidden) return;
  const stage = stageSize();
  scale = Math.min(...stage.map((side, axis) => Math.max(1, side - 2 * MARGIN) / photo.n[axis])) * view.by;
  const size = photo.n.map((side) => Math.max(1, side * scale));
  view.pan = view.pan.map((pan, axis) => {
    const slack = Math.max(0, (size[axis] - stage[axis]) / 2 + MARGIN);
    return view.by > 1 ? clamp(pan, -slack, slack) : 0;
  });
  const style = at("photo").style;
  style.width = `${size[0]}px`;
  style.height = `${size[1]}px`;
  style.transform = view.by > 1 ? `translate(${view.pan[0]}px, ${view.pan[1]}px)` : "";
  at("zoom-by").textContent = `${view.by < 1.05 ? 1 : Number(view.by.toPrecision(2))}×`;
  drawBoxes(...size);
}

function zoomReset() {
  view.by = 1;
  view.pan = [0, 0];
}

// Zooms so that what is at a place of the screen stays there.
function zoomAround(by, [clientX, clientY]) {
  const area = at("stage").getBoundingClientRect(), old = view.by;
  view.by = clamp(by, 1, MOST_ZOOM);
  const from = [clientX - area.left - area.width / 2, clientY - area.top - area.height / 2];
  view.pan = view.pan.map((pan, axis) => from[axis] - ((from[axis] - pan) * view.by) / old);
  fitPhoto();
}

// Zooms to 1, 2 and 4 times in turn, with the selected box in the middle.
function zoomOn() {
  if (!photo?.n || at("photo").hidden) return;
  const box = rowChosen() && now(photo, rowChosen()).box;
  view.by = view.by >= 3.9 ? 1 : view.by >= 1.9 ? 4 : 2;
  fitPhoto();
  view.pan = [0, 1].map((axis) => (box ? (photo.n[axis] / 2 - box[axis] - box[axis + 2] / 2) * scale : 0));
  fitPhoto();
  say(view.by === 1 ? "The whole photo" : `Zoom ${view.by}×`);
}

function panBy(x, y) {
  view.pan = [view.pan[0] + x, view.pan[1] + y];
  fitPhoto();
}
