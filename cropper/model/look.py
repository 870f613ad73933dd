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

from cropper.imaging.decode import decode_or_salvage, scale_of
from cropper.imaging.header import Header, probe
from cropper.imaging.metadata import kept_metadata
from cropper.imaging.resize import on_white
from cropper.model.inputs import prepare, shape_for
from cropper.settings import KEEP_NOTHING, LIMITS, Limits

# Photos that decode to more pixels than this go one at a time: a folder of bombs takes no more memory than one bomb.
LARGE = 40_000_000
_one_large = Lock()


@dataclass(frozen=True)
class OpenedPhoto:
    """A decoded photo, ready for the model.

    Attributes:
        header: what the file's header says, with the metadata that the thumbnail keeps.
        pixels: uint8 [h, w, 3 or 4], BGR or BGRA, the whole upright photo at any scale.
        model_input: uint8 [H, W, 3] BGR on white, at the model's input shape.
        salvaged: whether the file is damaged and only part of it could be decoded.
    """

    header: Header
    pixels: NDArray[np.uint8]
    model_input: NDArray[np.uint8]
    salvaged: bool


@dataclass(frozen=True)
class Maps:
    """What the model sees in one photo. Each map covers the whole upright photo.

    Attributes:
        density: float32 [h, w], where people look; non-negative, sums to 1.
    """

    density: NDArray[np.float32]


class Model(Protocol):
    """What ``infer_maps`` needs of a model; ``Saliency`` is one."""

    def densities(self, batch: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Infer the densities of a batch, uint8 [N, H, W, 3] BGR: float32 [N, h, w], each summing to 1."""


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
        PhotoError: if the file is not a photo that cropper reads, is damaged, or exceeds the limits.
    """
    header = read_header(data, limits, keep)
    wanted = needed(header.width, header.height)
    is_large = header.width * header.height > LARGE * scale_of(header, wanted) ** 2
    with _alone(is_large, clock):
        pixels, salvaged = decode_or_salvage(data, header, wanted, limits)
        return OpenedPhoto(header, pixels, model_input_of(pixels, header), salvaged)


def read_header(data: bytes, limits: Limits, keep: str = KEEP_NOTHING) -> Header:
    """Read a photo's header, with the metadata to keep.

    Raises:
        PhotoError: if the file is not a photo that cropper reads, or exceeds the limits.
    """
    header = probe(data, limits)
    return header if keep == KEEP_NOTHING else replace(header, metadata=kept_metadata(data, header.format, keep))


def model_input_of(pixels: NDArray[np.uint8], header: Header) -> NDArray[np.uint8]:
    """Scale a decoded photo, uint8 [h, w, 3 or 4], to the model's input shape for the original's size: uint8 [H, W, 3]."""
    return prepare(on_white(pixels), shape_for(header.width, header.height))


def infer_maps(photos: Sequence[OpenedPhoto], model: Model) -> list[Maps]:
    """Run the model once over photos with inputs of one shape, and return the maps of each.

    Raises:
        ModelError: if the model fails.
    """
    densities = model.densities(np.stack([photo.model_input for photo in photos]))
    return [Maps(density) for density in densities]


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
