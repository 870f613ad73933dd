"""Reduce a picture to few colours: a palette, dithered, with transparency kept."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cropper.imaging.opencv import cv2

# Below this many colours an octree spends them badly. From it on, it is better from afar than median cut, and ten times as fast;
# but only if it is dithered.
_OCTREE_FROM = 64
# About how many pixels the colours are chosen from. Four times as many take median cut three times as long, for colours as good.
_MOST_SAMPLED = 1 << 14
# Pixels of each frame of an animation that its palette is chosen from.
_SAMPLED_PER_FRAME = 1 << 12
# Below this many colours none is left for half transparent pixels.
_PARTS_FROM = 8
_OPAQUE = 255
# Rounds of k-means for half transparent pixels.
_ROUNDS = 4


def with_colours(pixels: NDArray[np.uint8], colours: int) -> Image.Image:
    """Reduce a picture to a number of colours.

    Args:
        pixels: uint8 [h, w] grey, [h, w, 3] BGR or [h, w, 4] BGRA.
        colours: the most colours of the result, 2..256.

    Returns:
        Pillow's picture: of mode ``L`` if it is grey, so that a grey profile still describes it, else of mode ``P``, with the
        palette's transparency in its ``info``. A picture of no more colours keeps all of them exactly.
    """
    if pixels.ndim == 2:
        if len(np.unique(pixels)) <= colours:
            return Image.fromarray(pixels)
        palette, indices = _dithered(np.repeat(pixels[:, :, None], 3, axis=2), colours)
        return Image.fromarray(palette[:, 0][indices])
    in_numbers = _values_of(pixels)
    values, numbers = np.unique(in_numbers, return_inverse=True)
    if len(values) <= colours:
        palette, indices = values.view(np.uint8).reshape(-1, 4), numbers.reshape(pixels.shape[:2]).astype(np.uint8)
    else:
        palette, indices = _with_alpha(in_numbers.view(np.uint8).reshape(*pixels.shape[:2], 4), colours)
    return _picture(palette, indices)


def palette_for(frames: Iterable[NDArray[np.uint8]], colours: int) -> NDArray[np.uint8]:
    """Choose one palette for all frames of an animation.

    Args:
        frames: all of one shape, uint8 [h, w, 3] BGR or [h, w, 4] BGRA. They are taken one after the other.
        colours: the most colours, 2..256.

    Returns:
        uint8 [n, 4] RGBA. Frames that have no more colours together keep all of them exactly.
    """
    exact: NDArray[np.uint32] | None = np.zeros(0, np.uint32)
    samples = np.zeros(0, np.uint32)
    step = 1
    for number, frame in enumerate(frames):
        values = _values_of(frame)
        if exact is not None:
            exact = np.union1d(exact, values)
            exact = exact if len(exact) <= colours else None
        if number % step == 0:
            samples = np.concatenate([samples, values.ravel()[:: -(-values.size // _SAMPLED_PER_FRAME)]])
        if len(samples) > 4 * _MOST_SAMPLED:  # of a long animation every other frame, then every fourth
            samples, step = samples[::2], 2 * step
    if exact is not None:
        return exact.view(np.uint8).reshape(-1, 4)
    rgba = np.ascontiguousarray(samples[None]).view(np.uint8).reshape(1, -1, 4)
    return _with_alpha(rgba, colours, to_dither=False)[0]


def with_palette(pixels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> Image.Image:
    """Bring a frame, uint8 [h, w, 3] BGR or [h, w, 4] BGRA, to the nearest colours of a palette, uint8 [n, 4] RGBA.

    No error spreads to other pixels, as it would flicker from frame to frame.
    """
    values, numbers = np.unique(_values_of(pixels), return_inverse=True)
    nearest = _nearest(_weighed(values.view(np.uint8).reshape(-1, 4)), _weighed(palette))
    return _picture(palette, nearest[numbers].reshape(pixels.shape[:2]))


def _values_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the colours of a picture as numbers, uint32 [h, w], whose bytes are RGBA; all that is clear is 0."""
    rgba = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGBA)
    rgba[rgba[:, :, 3] == 0] = 0  # what nobody sees takes no colours
    return rgba.view(np.uint32)[:, :, 0]


def _picture(palette: NDArray[np.uint8], indices: NDArray[np.uint8]) -> Image.Image:
    picture = Image.fromarray(indices)
    picture.putpalette(palette[:, :3].tobytes())
    if palette[:, 3].min() < _OPAQUE:
        picture.info["transparency"] = palette[:, 3].tobytes()
    return picture


def _with_alpha(rgba: NDArray[np.uint8], colours: int, to_dither: bool = True) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a palette, uint8 [n, 4], and indices, uint8 [h, w]. Opaque and half transparent pixels get colours of their own."""
    alpha = rgba[:, :, 3]
    if colours < _PARTS_FROM:
        alpha = np.where(alpha < 128, 0, _OPAQUE).astype(np.uint8)
    clear, opaque = alpha == 0, alpha == _OPAQUE
    partly = ~(clear | opaque)
    palette, indices = np.zeros((int(clear.any()), 4), np.uint8), np.zeros(alpha.shape, np.uint8)
    left, parts = colours - len(palette), 0
    if partly.any():
        # Edges are few pixels, but of many shades of alpha; glass and shadows are most of their picture.
        share = left * int(partly.sum()) // int(partly.sum() + opaque.sum())
        parts = min(max(share, left // 4), left - left // 4 if opaque.any() else left)
    if opaque.any():
        chosen, numbers = _dithered(rgba[:, :, :3], left - parts, opaque, to_dither)
        indices[opaque] = numbers[opaque] + len(palette)
        palette = np.concatenate([palette, np.insert(chosen, 3, _OPAQUE, axis=1)])
    if parts:
        palette = np.concatenate([palette, _chosen(rgba[partly], parts)])
        indices[partly] = _nearest(_weighed(rgba[partly]), _weighed(palette))
    return palette, indices


def _weighed(rgba: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return colours, uint8 [n, 4], as points, float32 [n, 4], as far from each other as they look: times alpha, and alpha."""
    points = rgba.astype(np.float32)
    points[:, :3] *= points[:, 3:] / _OPAQUE
    return points


def _chosen(rgba: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Choose colours, uint8 [count or less, 4], for half transparent pixels, uint8 [n, 4].

    Pillow's octree has few shades of alpha. Means of pixels of like alpha begin, and a few rounds of k-means make them better.
    """
    points = _weighed(rgba)[:: -(-len(rgba) // _MOST_SAMPLED)]
    points = points[np.lexsort((points[:, :3].sum(axis=1), points[:, 3]))]
    centres = np.array([part.mean(axis=0) for part in np.array_split(points, count) if len(part)], np.float32)
    for _ in range(_ROUNDS):
        nearest = _nearest(points, centres)
        numbers = np.bincount(nearest, minlength=len(centres))[:, None]
        sums = np.stack([np.bincount(nearest, channel, len(centres)) for channel in points.T], axis=1)
        centres = np.where(numbers > 0, sums / np.maximum(numbers, 1), centres).astype(np.float32)
    centres[:, :3] *= _OPAQUE / np.maximum(centres[:, 3:], 1)
    return np.unique(centres.round().clip(0, _OPAQUE).astype(np.uint8), axis=0)


def _nearest(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the index of the nearest of up to 256 centres, float32 [k, 4], for each point, float32 [n, 4]."""
    squares = (centres**2).sum(axis=1)
    strips = (points[start : start + _MOST_SAMPLED] for start in range(0, len(points), _MOST_SAMPLED))
    return np.concatenate([(squares - 2 * strip @ centres.T).argmin(axis=1).astype(np.uint8) for strip in strips])


def _dithered(
    rgb: NDArray[np.uint8], colours: int, where: NDArray[np.bool_] | None = None, to_dither: bool = True
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a palette for the pixels of a mask, uint8 [n, 3], and each pixel's index, uint8 [h, w], which is dithered.

    ``to_dither`` is whether the palette will be used so too.
    """
    samples = rgb.reshape(-1, 3) if where is None else rgb[where]
    if colours >= _OCTREE_FROM and to_dither:
        chosen = Image.fromarray(samples[None]).quantize(colours, Image.Quantize.FASTOCTREE)
    else:
        sampled = np.ascontiguousarray(samples[:: -(-len(samples) // _MOST_SAMPLED)])
        chosen = Image.fromarray(sampled[None]).quantize(colours, Image.Quantize.MEDIANCUT, kmeans=1)
    palette = np.array(chosen.getpalette("RGB"), np.uint8).reshape(-1, 3)
    if where is not None:  # a colour of the palette, so that no error spreads from outside the mask
        rgb = np.where(where[:, :, None], rgb, palette[0])
    return palette, np.asarray(Image.fromarray(rgb).quantize(palette=chosen, dither=Image.Dither.FLOYDSTEINBERG))
