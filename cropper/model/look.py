"""Turn a photo's bytes into pixels, and pixels into the maps of the model. Everything that looks at photos does it here.

``open_photo`` reads the header, decodes and prepares the model's input; ``infer_maps`` runs the model on one or more photos of
one input shape. Between the two a caller is free to fill a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.view import Maps
from cropper.errors import out_of_memory
from cropper.imaging.decode import decode_or_salvage, scale_of
from cropper.imaging.extra.wrapped import unwrapped
from cropper.imaging.header import Header, probe
from cropper.imaging.metadata import kept_metadata
from cropper.imaging.opencv import cv2, is_out_of_memory
from cropper.imaging.resize import on_white
from cropper.model.inputs import STRIDE, prepare, shape_for
from cropper.settings import KEEP_NOTHING, LIMITS, Limits

# Photos that decode to more pixels than this go one at a time: a folder of bombs takes no more memory than one bomb.
LARGE = 40_000_000
_one_large = Lock()
# What decoding takes at most, in bytes a pixel: pixels as they are stored, as BGRA or BGR, and turned upright.
BYTES_BY_PILLOW, BYTES_BY_OPENCV = 12, 6
# A photo that is opaque in less than this share of its area is a cut-out. Others have round corners or a frame.
MOST_CUT_OUT = 0.8
# From what alpha on a pixel is seen, and from what mean on cut-outs are too pale to be seen on white.
_OPAQUE, PALE = 128, 208
# The least share of the density on the opaque part for the model to have seen something there.
LEAST_OPAQUE_DENSITY = 0.02


@dataclass(frozen=True)
class OpenedPhoto:
    """A decoded photo, ready for the model.

    Attributes:
        header: what the file's header says, with the metadata that the thumbnail keeps.
        pixels: uint8 [h, w, 3 or 4], BGR or BGRA, the whole upright photo at any scale.
        model_input: uint8 [H, W, 3] BGR on white, or dark behind what is pale, at the model's input shape.
        salvaged: whether the file is damaged and only part of it could be decoded.
        opaque: float32 [h, w], how opaque each cell of the maps is, 0..1; None for a photo without transparency.
    """

    header: Header
    pixels: NDArray[np.uint8]
    model_input: NDArray[np.uint8]
    salvaged: bool
    opaque: NDArray[np.float32] | None = None


class Model(Protocol):
    """What ``infer_maps`` needs of a model; ``Saliency`` is one."""

    def infer(self, batch: NDArray[np.uint8], /) -> list[Maps]:
        """Infer the maps of a batch, uint8 [N, H, W, 3] BGR, one for each photo."""


def open_photo(
    data: bytes,
    needed: Callable[[int, int], tuple[int, int]],
    limits: Limits = LIMITS,
    keep: str = KEEP_NOTHING,
    clock: Callable[[bool], None] = lambda runs: None,
) -> OpenedPhoto:
    """Decode a photo and prepare the model's input. Very large photos wait for each other, across all threads.

    Args:
        data: the whole file.
        needed: takes the upright photo's width and height, and returns the width and height to decode at least. It may raise a
            PhotoError, which ends the step before any pixel is decoded.
        limits: which photos are accepted.
        keep: which metadata the header takes along, one of ``settings.KEEP_CHOICES``.
        clock: receives False when the photo starts to wait for another large one, and True when it continues.

    Raises:
        PhotoError: if the file is not a photo that cropper reads, is damaged, exceeds the limits or does not fit into memory.
    """
    data = unwrapped(data, limits)
    header = read_header(data, limits, keep)
    wanted = needed(header.width, header.height)
    is_large = header.width * header.height > LARGE * scale_of(header, wanted) ** 2
    with _alone(is_large, clock), _enough_memory(len(data), header, wanted):
        pixels, salvaged = decode_or_salvage(data, header, wanted, limits)
        return photo_of(pixels, header, salvaged)


def photo_of(pixels: NDArray[np.uint8], header: Header, salvaged: bool = False) -> OpenedPhoto:
    """Prepare the model's input for decoded pixels, uint8 [h, w, 3 or 4], the whole upright photo at any scale."""
    model_input = model_input_of(pixels, header)
    return OpenedPhoto(header, pixels, model_input, salvaged, _opaque_share(pixels, model_input))


def read_header(data: bytes, limits: Limits, keep: str = KEEP_NOTHING) -> Header:
    """Read a photo's header, with the metadata to keep.

    Raises:
        PhotoError: if the file is not a photo that cropper reads, or exceeds the limits.
    """
    header = probe(data, limits)
    return header if keep == KEEP_NOTHING else replace(header, metadata=kept_metadata(data, header.format, keep))


def model_input_of(pixels: NDArray[np.uint8], header: Header) -> NDArray[np.uint8]:
    """Scale a decoded photo, uint8 [h, w, 3 or 4], to the model's input shape for the original's size: uint8 [H, W, 3]."""
    return prepare(_on_ground(pixels), shape_for(header.width, header.height))


def _on_ground(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay a photo, uint8 [h, w, 3 or 4], on white, or a pale cut-out on dark, so that the model tells it from nothing."""
    if pixels.shape[2] == 4:
        alpha = pixels[:, :, 3]
        opaque = alpha >= _OPAQUE
        if 0 < opaque.mean() < MOST_CUT_OUT and min(cv2.mean(pixels, opaque.astype(np.uint8))[:3]) > PALE:
            # Dark is white behind the negative of what is seen.
            return 255 - on_white(np.dstack([255 - pixels[:, :, :3], alpha]))
    return on_white(pixels)


def infer_maps(photos: Sequence[OpenedPhoto], model: Model) -> list[Maps]:
    """Run the model once over photos with inputs of one shape, and return the maps of each.

    Raises:
        ModelError: if the model fails.
    """
    inferred = model.infer(np.stack([photo.model_input for photo in photos]))
    return [_of_opaque(maps, photo.opaque) for maps, photo in zip(inferred, photos, strict=True)]


def _opaque_share(pixels: NDArray[np.uint8], model_input: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Return how opaque each cell of the model's maps is, float32 [h, w] in 0..1, or None for a photo without transparency."""
    if pixels.shape[2] < 4 or pixels[:, :, 3].min() == 255:
        return None
    rows, columns = (side // STRIDE for side in model_input.shape[:2])
    alpha = np.ascontiguousarray(pixels[:, :, 3])
    return np.asarray(cv2.resize(alpha, (columns, rows), interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)


def _of_opaque(maps: Maps, opaque: NDArray[np.float32] | None) -> Maps:
    """Return what a photo's maps say of its opaque part; nobody looks at what is transparent.

    The opaque part of a cut-out is its subject: whoever cut it out has said so.
    """
    if opaque is None or not opaque.any():
        return maps
    # Even translucency hides nothing.
    opaque = opaque / opaque.max()
    density = maps.density * opaque
    # A white logo on white shows the model nothing, so that all of it counts the same.
    density = density / density.sum() if density.sum() > LEAST_OPAQUE_DENSITY else opaque / opaque.sum()
    subject = maps.subject
    if subject is not None:
        subject = opaque if opaque.mean() < MOST_CUT_OUT else np.minimum(subject, opaque)
    head = None if maps.head is None else np.minimum(maps.head, opaque)
    return replace(maps, density=np.asarray(density, np.float32), subject=subject, head=head)


@contextmanager
def _enough_memory(file_size: int, header: Header, wanted: tuple[int, int]) -> Iterator[None]:
    """Say in one line how much memory the decoding of a photo takes, if there is not enough."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        each = BYTES_BY_PILLOW if header.has_alpha or header.is_cmyk else BYTES_BY_OPENCV
        raise out_of_memory(file_size + each * header.width * header.height // scale_of(header, wanted) ** 2) from error


@contextmanager
def _alone(is_large: bool, clock: Callable[[bool], None]) -> Iterator[None]:
    """Hold a large photo back until no other large one is decoding."""
    if not is_large:
        yield
        return
    clock(False)
    with _one_large:
        clock(True)
        yield
