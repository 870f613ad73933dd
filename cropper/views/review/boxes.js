// The arithmetic of boxes. Nothing here reads or changes the page.
"use strict";

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// Rounds numerator / denominator half to even, as Python does, because `cropper batch` must make the same boxes.
function rounded(numerator, denominator = 1) {
  const whole = Math.floor(numerator / denominator);
  const rest = 2 * (numerator - whole * denominator);
  return rest > denominator || (rest === denominator && whole % 2) ? whole + 1 : whole;
}

function aspectOf(size) {
  const [across, down] = size.split(/[x:]/).map(Number);
  return across > 0 && down > 0 ? [across, down] : null;
}

function largest(photo, [across, down]) {
  const [width, height] = photo.n;
  return width * down < height * across
    ? [width, Math.max(1, rounded(width * down, across))]
    : [Math.max(1, rounded(height * across, down)), height];
}

// Returns the size nearest to a width. It counts in pixels of the shorter side, so that rounding the longer side distorts the
// aspect by half a pixel at most.
function sizeNear(photo, aspect, width) {
  const [across, down] = aspect, most = largest(photo, aspect);
  const shorter = across >= down ? rounded(width * down, across) : Math.round(width);
  const least = Math.min(8, ...most);
  const side = Math.max(shorter, least);
  const size = across >= down ? [rounded(side * across, down), side] : [side, rounded(side * down, across)];
  return size[0] >= most[0] || size[1] >= most[1] ? most : size;
}

// Returns a box of a size around a centre, or as near to the centre as the photo allows.
function placed(photo, centre, size) {
  return [...[0, 1].map((axis) => clamp(rounded(2 * centre[axis] - size[axis], 2), 0, photo.n[axis] - size[axis])), ...size];
}

// Returns the box, or the largest box with the aspect of its size if the box has another aspect. A batch that pads photos makes
// such boxes, but a box that you change must have the right aspect.
function withAspect(photo, row, box) {
  const aspect = aspectOf(row.s);
  const most = largest(photo, aspect);
  const near = sizeNear(photo, aspect, box[2]);
  const fits = Math.abs(near[0] - box[2]) <= 1 && Math.abs(near[1] - box[3]) <= 1;
  return fits || String(most) === String(box.slice(2)) ? box : placed(photo, [box[0] + box[2] / 2, box[1] + box[3] / 2], most);
}

const canEdit = (photo, row) => Boolean(row && photo.n && row.b && aspectOf(row.s));
