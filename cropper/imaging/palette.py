"""Reduce a picture to few colours: a palette, dithered, with transparency kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cropper.imaging.opencv import cv2

# Below this many colours an octree spends them badly. From it on, it is better from afar than median cut, and ten times as fast.
_OCTREE_FROM = 64
# About how many pixels the colours are chosen from. Four times as many take median cut three times as long, for colours as good.
_MOST_SAMPLED = 1 << 14
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
    rgba = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGBA)
    rgba[rgba[:, :, 3] == 0] = 0  # what nobody sees takes no colours
    values, numbers = np.unique(rgba.view(np.uint32)[:, :, 0], return_inverse=True)
    if len(values) <= colours:
        palette, indices = values.view(np.uint8).reshape(-1, 4), numbers.reshape(rgba.shape[:2]).astype(np.uint8)
    else:
        palette, indices = _with_alpha(np.asarray(rgba, np.uint8), colours)
    picture = Image.fromarray(indices)
    picture.putpalette(palette[:, :3].tobytes())
    if palette[:, 3].min() < _OPAQUE:
        picture.info["transparency"] = palette[:, 3].tobytes()
    return picture


def _with_alpha(rgba: NDArray[np.uint8], colours: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
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
        chosen, numbers = _dithered(rgba[:, :, :3], left - parts, opaque)
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
    rgb: NDArray[np.uint8], colours: int, where: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a palette for the pixels of a mask, uint8 [n, 3], and each pixel's index, uint8 [h, w]."""
    samples = rgb.reshape(-1, 3) if where is None else rgb[where]
    if colours >= _OCTREE_FROM:
        chosen = Image.fromarray(samples[None]).quantize(colours, Image.Quantize.FASTOCTREE)
    else:
        sampled = np.ascontiguousarray(samples[:: -(-len(samples) // _MOST_SAMPLED)])
        chosen = Image.fromarray(sampled[None]).quantize(colours, Image.Quantize.MEDIANCUT, kmeans=1)
    palette = np.array(chosen.getpalette("RGB"), np.uint8).reshape(-1, 3)
    if where is not None:  # a colour of the palette, so that no error spreads from outside the mask
        rgb = np.where(where[:, :, None], rgb, palette[0])
    return palette, np.asarray(Image.fromarray(rgb).quantize(palette=chosen, dither=Image.Dither.FLOYDSTEINBERG))
