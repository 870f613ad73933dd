// Where a box lines up: with the photo's centre, and with whole heads. Nothing here reads or changes the page.

// The data has the edges of heads as shares of the photo's sides. Returns them as [left, top, right, bottom] in pixels.
const headsOf = (photo) => (photo.d || []).map((head) => head.map((share, side) => Math.round(100 * share * photo.n[side % 2]) / 100));
const overlap = (box, head, axis) => Math.min(head[axis + 2], box[axis] + box[axis + 2]) - Math.max(head[axis], box[axis]);
const shareInside = (box, head) => Math.min(...[0, 1].map((axis) => overlap(box, head, axis) / Math.max(head[axis + 2] - head[axis], 1e-9)));

// Moves a box by at most `reach` pixels in each direction to where it lines up. Returns the box, and the lines it meets:
// [axis, place in pixels].
function snapped(photo, box, reach) {
  const moved = [...box], lines = [];
  for (const axis of [0, 1]) {
    const length = box[axis + 2], room = photo.n[axis] - length;
    const places = [[rounded(room, 2), photo.n[axis] / 2]];
    for (const head of headsOf(photo)) {
      if (overlap(box, head, 1 - axis) <= 0 || head[axis + 2] - head[axis] > length) continue;
      places.push([Math.floor(head[axis]), head[axis]], [Math.ceil(head[axis + 2]) - length, head[axis + 2]]);
    }
    const near = places.filter(([start]) => room && start >= 0 && start <= room && Math.abs(start - box[axis]) <= reach);
    const best = near.sort((a, b) => Math.abs(a[0] - box[axis]) - Math.abs(b[0] - box[axis]))[0];
    if (!best) continue;
    moved[axis] = best[0];
    lines.push([axis, best[1]]);
  }
  return { box: moved, lines };
}

// Returns the width nearest to `wanted`, and at most `reach` from it, with which a box that grows from an anchor lines up.
function snappedWidth(photo, anchor, [across, down], [toRight, toBottom], wanted, reach) {
  const widths = [];
  for (const [axis, forwards, perPixel] of [[0, toRight, 1], [1, toBottom, across / down]]) {
    const add = (place) => {
      const length = forwards ? place - anchor[axis] : anchor[axis] - place;
      if (length > 0) widths.push([Math.ceil(length * perPixel), [axis, place]]);
    };
    add(photo.n[axis] - anchor[axis]); // the far edge of a box in the centre of the photo
    for (const head of headsOf(photo)) add(head[forwards ? axis + 2 : axis]);
  }
  const near = widths.filter(([width]) => Math.abs(width - wanted) <= reach);
  const best = near.sort((a, b) => Math.abs(a[0] - wanted) - Math.abs(b[0] - wanted))[0];
  if (!best) return { width: wanted, lines: [] };
  const [width, [axis, place]] = best;
  const isCentre = !headsOf(photo).some((head) => head[axis] === place || head[axis + 2] === place);
  return { width, lines: [[axis, isCentre ? photo.n[axis] / 2 : place]] };
}

// A head of which the box shows less than this counts as outside, as in cropper's own choice.
const TOUCHED = 0.05;

// Returns a box that shows whole heads, moved and enlarged as little as that needs. Where not all heads that the box shows
// fit into the photo's largest box, the most cut ones are left out. Returns the box itself if it cuts no head.
function withWholeHeads(photo, aspect, box) {
  const seen = headsOf(photo).map((head) => [shareInside(box, head), head]).filter(([share]) => share > TOUCHED);
  if (!seen.some(([share]) => share < 0.999)) return box;
  const most = largest(photo, aspect);
  let all = null;
  for (const [, head] of seen.sort((a, b) => b[0] - a[0])) {
    const edges = head.map((edge, side) => (side < 2 ? Math.floor : Math.ceil)(edge));
    const grown = all ? edges.map((edge, side) => (side < 2 ? Math.min : Math.max)(all[side], edge)) : edges;
    if ([0, 1].every((axis) => grown[axis + 2] - grown[axis] <= most[axis])) all = grown;
  }
  if (!all) return box;
  const [left, top, right, bottom] = all;
  let size = box.slice(2);
  if (size[0] < right - left || size[1] < bottom - top) {
    size = sizeNear(photo, aspect, Math.max(right - left + 1, Math.ceil(((bottom - top + 1) * aspect[0]) / aspect[1])));
  }
  const [x, y] = placed(photo, [box[0] + box[2] / 2, box[1] + box[3] / 2], size);
  return [
    clamp(clamp(x, right - size[0], left), 0, photo.n[0] - size[0]),
    clamp(clamp(y, bottom - size[1], top), 0, photo.n[1] - size[1]),
    ...size,
  ];
}
