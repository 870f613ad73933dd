"""Make scenes of several faces of one size, for a density that prefers none of them, and measure whether it does.

People's gaze prefers some faces, and networks learn that; a crop that follows such a preference shows the same people every time.
Here each scene shows faces in equal places at equal size, so any difference in their density is a preference.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from cropper.model.inputs import STRIDE
from cropper.training.data import Photo
from cropper.training.masks import HEAD_BOTTOM, HEAD_REACH, HEAD_TOP
from cropper.training.network import log_normalised

# The smallest head to paste, in pixels of its height.
SMALLEST = 56
# Every Nth photo with a face, by a hash of its name, is for measuring: nothing here trains on it.
HELD_OUT_EVERY = 4
# The input shape of scenes, height and width, and the sides of heads in them, as shares of the scene's height.
SCENE = (256, 384)
HEAD_SIDES = (0.25, 0.5)
# Heads stay this share of the scene's sides away from its borders and from each other.
GAP = 0.03


@dataclass(frozen=True)
class Face:
    """A head cut out of a photo.

    Attributes:
        bgr: uint8 [h, w, 3], the box of the head.
        typology: the individual typology angle of the skin in degrees: about 60 for the lightest, -60 for the darkest. Chardon et
            al. 1991, "Skin colour typology and suntanning pathways".
    """

    bgr: NDArray[np.uint8]
    typology: float


@dataclass(frozen=True)
class Scene:
    """A picture with faces.

    Attributes:
        bgr: uint8 [H, W, 3].
        regions: bool [n, H / STRIDE, W / STRIDE], the cells of each face, in order.
    """

    bgr: NDArray[np.uint8]
    regions: NDArray[np.bool_]


def is_held_out(photo: Photo) -> bool:
    """Tell whether the faces of a photo are for measuring only."""
    return zlib.crc32(photo.name.encode()) % HELD_OUT_EVERY == 0


def has_face(photo: Photo) -> bool:
    """Tell whether a photo, with heads, shows one that is large enough to paste."""
    return any(True for _ in _head_boxes(photo))


def faces_of(photos: list[Photo]) -> list[Face]:
    """Return the largest whole head of each photo that shows one."""
    found = []
    for photo in photos:
        boxes = sorted(_head_boxes(photo), key=lambda box: box[3] - box[1])
        if boxes:
            left, top, right, bottom = boxes[-1]
            head = photo.bgr[top:bottom, left:right]
            found.append(Face(head, typology(_skin(head))))
    return found


def _head_boxes(photo: Photo) -> Iterator[tuple[int, int, int, int]]:
    """Yield the whole heads of a photo that are large enough: left, top, right and bottom in pixels."""
    height, width = photo.bgr.shape[:2]
    for box in photo.heads if photo.heads is not None else ():
        left, top, right, bottom = (round(float(share) * side) for share, side in zip(box, (width, height) * 2, strict=True))
        if left >= 0 and top >= 0 and right <= width and bottom <= height and bottom - top >= SMALLEST:
            yield left, top, right, bottom


def _skin(head: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the middle of the face in the box of a head: cheeks and nose."""
    height, width = head.shape[:2]
    face_top, face_side = -HEAD_TOP / (HEAD_BOTTOM - HEAD_TOP), 1 / (HEAD_BOTTOM - HEAD_TOP)
    top, bottom = (round(height * (face_top + share * face_side)) for share in (0.35, 0.75))
    left, right = (round(width * (0.5 + share / HEAD_REACH / 2)) for share in (-0.3, 0.3))
    return head[top:bottom, left:right]


def typology(skin: NDArray[np.uint8]) -> float:
    """Return the individual typology angle of a patch of skin, uint8 [h, w, 3] BGR, in degrees: lighter skin has a larger one."""
    lab = cv2.cvtColor(skin.astype(np.float32) / 255, cv2.COLOR_BGR2LAB).reshape(-1, 3)
    lightness, _, yellow = np.median(lab, axis=0)
    return math.degrees(math.atan2(float(lightness) - 50, max(float(yellow), 1e-3)))


def exposed(face: Face, brightness: float, contrast: float = 1.0) -> Face:
    """Return a face made lighter or darker: its values to the power of 1 / brightness, around their mean times the contrast."""
    values = (face.bgr.astype(np.float32) / 255) ** (1 / brightness)
    values = (values - values.mean()) * contrast + values.mean()
    bgr = np.asarray(values.clip(0, 1) * 255, np.uint8)
    return Face(bgr, typology(_skin(bgr)))


def plain(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a ground of one grey or a faint colour: uint8 [H, W, 3] of the shape SCENE."""
    colour = rng.integers(30, 226) + rng.choice([0, 12]) * rng.standard_normal(3)
    return np.broadcast_to(colour.clip(0, 255).astype(np.uint8), (*SCENE, 3)).copy()


def natural(photo: Photo, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a ground from a photo, mirrored at random: uint8 [H, W, 3] of the shape SCENE."""
    ground = cv2.resize(photo.bgr, SCENE[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(ground[:, ::-1] if rng.random() < 0.5 else ground, np.uint8).copy()


def paste(ground: NDArray[np.uint8], faces: list[Face], places: list[tuple[float, float]], side: float, oval: bool) -> Scene:
    """Paste faces of one size on a ground.

    Args:
        ground: uint8 [H, W, 3]; it is not changed.
        faces: the faces.
        places: the middle of each, x and y in 0..1.
        side: the height of each, as a share of the ground's height.
        oval: whether to paste an ellipse with soft edges rather than the whole box.
    """
    rows, columns = ground.shape[:2]
    # Whole cells, so that faces at mirrored places cover the grid in the same way.
    height = round(side * rows / STRIDE) * STRIDE
    width = round(height * 2 * HEAD_REACH / (HEAD_BOTTOM - HEAD_TOP) / STRIDE) * STRIDE
    scene = ground.astype(np.float32)
    alpha = np.ones((height, width, 1), np.float32)
    if oval:
        drawn = np.zeros((height, width), np.float32)
        cv2.ellipse(drawn, (width // 2, height // 2), (round(width * 0.47), round(height * 0.47)), 0, 0, 360, 1.0, -1)
        alpha = cv2.GaussianBlur(drawn, (0, 0), 2)[:, :, None]
    regions = np.zeros((len(faces), rows // STRIDE, columns // STRIDE), bool)
    for region, face, (x, y) in zip(regions, faces, places, strict=True):
        left = round((x * columns - width / 2) / STRIDE) * STRIDE
        top = round((y * rows - height / 2) / STRIDE) * STRIDE
        way = cv2.INTER_AREA if face.bgr.shape[0] > height else cv2.INTER_LINEAR
        pixels = cv2.resize(face.bgr, (width, height), interpolation=way).astype(np.float32)
        under = scene[top : top + height, left : left + width]
        under[:] = pixels * alpha + under * (1 - alpha)
        region[top // STRIDE : (top + height) // STRIDE, left // STRIDE : (left + width) // STRIDE] = True
    return Scene(scene.clip(0, 255).astype(np.uint8), regions)


@dataclass(frozen=True)
class Cast:
    """What scenes are made of: faces, and photos for their grounds."""

    faces: list[Face]
    grounds: list[Photo]


def cast_of(photos: list[Photo], held_out: bool = False) -> Cast:
    """Return the faces of photos for training, or those for measuring, and grounds from photos without heads."""
    kept = [photo for photo in photos if is_held_out(photo) == held_out and photo.heads is not None]
    return Cast(faces_of(kept), [photo for photo in kept if not len(photo.heads)])  # type: ignore[arg-type]


def random_scene(cast: Cast, rng: np.random.Generator) -> Scene:
    """Make a scene to learn from: two to four faces, some of them the same one at different exposures."""
    faces, grounds = cast.faces, cast.grounds
    count = int(rng.choice([2, 2, 2, 3, 4]))
    side = rng.uniform(*HEAD_SIDES) * (1 if count == 2 else 0.75)
    if rng.random() < 0.3:
        chosen = [faces[rng.integers(len(faces))]] * count
    else:
        chosen = [faces[i] for i in rng.choice(len(faces), count, replace=len(faces) < count)]
    chosen = [exposed(face, rng.uniform(0.55, 1.8), rng.uniform(0.7, 1.3)) for face in chosen]
    ground = plain(rng) if rng.random() < 0.4 or not grounds else natural(grounds[rng.integers(len(grounds))], rng)
    return paste(ground, chosen, _places(count, side, rng), side, oval=rng.random() < 0.5)


def _places(count: int, side: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Return places for faces that do not touch, at equal distances from the scene's middle where they are two or four."""
    across = side * SCENE[0] / SCENE[1] / 2 + GAP
    down = side / 2 + GAP
    if count == 4:
        x, y = rng.uniform(across, 0.5 - across), rng.uniform(down, max(down, 0.5 - down))
        return [(x, y), (1 - x, y), (x, 1 - y), (1 - x, 1 - y)]
    y = rng.uniform(down, 1 - down)
    x = rng.uniform(across, 0.5 - across)
    return [(x, y), (1 - x, y)] if count == 2 else [(across, y), (0.5, y), (1 - across, y)]


def scene_batch(scenes: list[Scene]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the pictures of scenes, uint8 [N, H, W, 3], and the regions of each, float32 [n, h, w]."""
    return torch.from_numpy(np.stack([scene.bgr for scene in scenes])), [
        torch.from_numpy(scene.regions.astype(np.float32)) for scene in scenes
    ]


def parity_loss(content: torch.Tensor, regions: list[torch.Tensor]) -> torch.Tensor:
    """Return how unequal the densities on the faces of scenes are, [N]; 0 if all are equal.

    It is the variance of the log of each face's density, and of its squared density, which stands for the peak.

    Args:
        content: log densities without a centre bias, unnormalised [N, h, w].
        regions: the regions of each scene, [n, h, w].
    """
    log_density = log_normalised(content)
    losses = []
    for one, faces in zip(log_density, regions, strict=True):
        inside = torch.where(faces > 0, one, torch.full_like(one, -1e4)).flatten(1)
        losses.append(torch.stack([(power * inside).logsumexp(dim=1).var() / power for power in (1, 2)]).mean())
    return torch.stack(losses)


# A face is made this many times lighter in one place and darker in the other, to see whether exposure alone decides.
EXPOSURE = 1.5


@dataclass(frozen=True)
class Preference:
    """How often the density of a pair of faces is larger on one of them, 0..1 each; 0.5 is parity.

    Attributes:
        darker: on the one with the darker skin, of pairs of a light and a dark one.
        darker_exposure: on the darker one, of a face beside itself at two exposures.
        left: on the left one, over all these pairs.
        pairs: how many pairs of each kind. Each is shown in both orders and on the mirrored ground too.
    """

    darker: float
    darker_exposure: float
    left: float
    pairs: int


def preference(
    density: Callable[[NDArray[np.uint8]], NDArray[np.floating]], cast: Cast, pairs: int, on_photos: bool
) -> Preference:
    """Measure what a model prefers, by faces that it was not trained on.

    Pairs are of the lighter and the darker third of the faces, by their typology, at equal size and distance from the middle.

    Args:
        density: the model: uint8 [H, W, 3] BGR -> its density.
        cast: the faces, held out from training, and the grounds.
        pairs: how many pairs of each kind.
        on_photos: whether the grounds are photos rather than plain.
    """
    rng = np.random.default_rng(0)
    by_tone = sorted(cast.faces, key=lambda face: face.typology)
    third = len(by_tone) // 3
    of_tone: list[bool] = []
    of_exposure: list[bool] = []
    left: list[bool] = []
    for _ in range(pairs):
        dark, light = by_tone[rng.integers(third)], by_tone[len(by_tone) - 1 - rng.integers(third)]
        same = cast.faces[rng.integers(len(cast.faces))]
        ground = natural(cast.grounds[rng.integers(len(cast.grounds))], rng) if on_photos else plain(rng)
        side = rng.uniform(0.3, 0.5)
        # At any distance from the middle: a network treats some places on its grid a little better than others.
        apart = rng.uniform(0.18, 0.3)
        places = [(0.5 - apart, 0.5), (0.5 + apart, 0.5)]
        for found, (darker, lighter) in (
            (of_tone, (dark, light)),
            (of_exposure, (exposed(same, 1 / EXPOSURE), exposed(same, EXPOSURE))),
        ):
            for under in (ground, ground[:, ::-1]):
                for dark_first in (True, False):
                    scene = paste(under, [darker, lighter] if dark_first else [lighter, darker], places, side, oval=True)
                    given = density(scene.bgr)
                    on_left, on_right = (float(given[region].sum()) for region in scene.regions)
                    found.append((on_left > on_right) == dark_first)
                    left.append(on_left > on_right)
    return Preference(float(np.mean(of_tone)), float(np.mean(of_exposure)), float(np.mean(left)), pairs)
