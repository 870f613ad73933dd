"""Turn a photo's bytes into pixels, and pixels into the maps of the model. Everything that looks at photos does it here.

``open_photo`` reads the header, decodes and prepares the model's input; ``infer_maps`` runs the model on one or more photos of
one input shape. Between the two a caller is free to fill a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.view import Maps
from cropper.errors import PhotoError, out_of_memory
from cropper.imaging.animation.film import Film, film_of, has_several, moments
from cropper.imaging.animation.play import check_frames, frames
from cropper.imaging.animation.write import Timing
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
_one_large: AbstractContextManager[object] = Lock()
# What decoding takes at most, in bytes a pixel: pixels as they are stored, as BGRA or BGR, and turned upright.
BYTES_BY_PILLOW, BYTES_BY_OPENCV = 12, 6
# A photo that is opaque in less than this share of its area is a cut-out. Others have round corners or a frame.
MOST_CUT_OUT = 0.8
# From what alpha on a pixel is seen, and from what mean on cut-outs are too pale to be seen on white.
_OPAQUE, PALE = 128, 208
# The least share of the density on the opaque part for the model to have seen something there.
LEAST_OPAQUE_DENSITY = 0.02
# How many frames of an animation the model looks at.
FRAMES_LOOKED_AT = 4


@dataclass(frozen=True)
class Look:
    """What the model sees of one frame.

    Attributes:
        model_input: uint8 [H, W, 3] BGR on white, or dark behind what is pale, at the model's input shape.
        opaque: float32 [h, w], how opaque each cell of the maps is, 0..1; None for a frame without transparency.
    """

    model_input: NDArray[np.uint8]
    opaque: NDArray[np.float32] | None


@dataclass(frozen=True)
class Animation:
    """An animation that has been decoded once, to look at it; its frames are decoded again where they are cut.

    Attributes:
        data: the whole file.
        film: what is in it.
        timing: how its sound frames are shown, at least two.
    """

    data: bytes
    film: Film
    timing: Timing


@dataclass(frozen=True)
class OpenedPhoto:
    """A decoded photo, ready for the model.

    Attributes:
        header: what the file's header says, with the metadata that the thumbnail keeps.
        pixels: uint8 [h, w, 3 or 4], BGR or BGRA, the whole upright photo at any scale.
        model_input: uint8 [H, W, 3] BGR on white, or dark behind what is pale, at the model's input shape.
        salvaged: whether the file is damaged and only part of it could be decoded.
        opaque: float32 [h, w], how opaque each cell of the maps is, 0..1; None for a photo without transparency.
        others: of an animation, the further frames that the model looks at. ``model_input`` and ``opaque`` are of such a frame
            too, and ``pixels`` of the first one.
        animation: its frames, if all of them are wanted; None for a photo of one frame.
        has_more: whether the photo has frames that nobody asked for.
    """

    header: Header
    pixels: NDArray[np.uint8]
    model_input: NDArray[np.uint8]
    salvaged: bool
    opaque: NDArray[np.float32] | None = None
    others: tuple[Look, ...] = ()
    animation: Animation | None = None
    has_more: bool = False

    @property
    def nbytes(self) -> int:
        """The bytes that it holds in memory, but for the model's inputs."""
        return self.pixels.nbytes + (len(self.animation.data) if self.animation is not None else 0)


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
    all_frames: bool = False,
    with_faces: bool = False,
) -> OpenedPhoto:
    """Decode a photo and prepare the model's input. Very large photos wait for each other, across all threads.

    Args:
        data: the whole file.
        needed: takes the upright photo's width and height, and returns the width and height to decode at least. It may raise a
            PhotoError, which ends the step before any pixel is decoded.
        limits: which photos are accepted.
        keep: which metadata the header takes along, one of ``settings.KEEP_CHOICES``.
        clock: receives False when the photo starts to wait for another large one, and True when it continues.
        all_frames: whether to look at several frames of an animation, and to have all of them cut; else at the first one.
        with_faces: whether the header takes along the faces that are marked in the photo.

    Raises:
        PhotoError: if the file is not a photo that cropper reads, is damaged, exceeds the limits or does not fit into memory.
    """
    data = unwrapped(data, limits)
    header = read_header(data, limits, keep)
    if with_faces:
        from cropper.imaging.face_regions import faces_of

        faces = faces_of(data, header.format, header.width, header.height, header.orientation)
        header = replace(header, faces=faces)
    wanted = needed(header.width, header.height)
    film = film_of(data, header.format) if all_frames else None
    if film is not None:
        check_frames(film, header, limits)
    is_large = header.width * header.height > LARGE * scale_of(header, wanted) ** 2
    with _alone(is_large, clock), _enough_memory(len(data), header, wanted):
        if film is not None and (animated := _open_animation(data, film, header, limits)) is not None:
            return animated
        pixels, salvaged = decode_or_salvage(data, header, wanted, limits)
        photo = photo_of(pixels, header, salvaged)
        has_more = film is None and has_several(data, header.format)
        return replace(photo, has_more=True) if has_more else photo


def photo_of(pixels: NDArray[np.uint8], header: Header, salvaged: bool = False) -> OpenedPhoto:
    """Prepare the model's input for decoded pixels, uint8 [h, w, 3 or 4], the whole upright photo at any scale."""
    look = _look_of(pixels, header)
    return OpenedPhoto(header, pixels, look.model_input, salvaged, look.opaque)


def _open_animation(data: bytes, film: Film, header: Header, limits: Limits) -> OpenedPhoto | None:
    """Decode all frames of an animation, and keep the first one and a look at some; None if the first one is damaged."""
    durations = tuple(part.ms for part in film.parts) or (1.0,) * film.count  # an AVIF says no times before it is decoded
    at = moments(durations, FRAMES_LOOKED_AT)
    first: NDArray[np.uint8] | None = None
    looks: dict[int, Look] = {}
    shown_for: list[float] = []
    has_alpha = salvaged = False
    try:
        for number, shown in enumerate(frames(data, film, header)):
            first = shown.pixels if first is None else first
            if number in at or not number:
                looks[number] = _look_of(shown.pixels, header)
            has_alpha = has_alpha or shown.pixels.shape[2] == 4
            shown_for.append(shown.ms)
    except PhotoError:
        if first is None:
            return None
        if not limits.salvage:
            raise
        salvaged = True
    if first is None:
        return None
    chosen = [look for number, look in looks.items() if number in at] or [*looks.values()]
    timing = Timing(tuple(shown_for), film.plays, has_alpha)
    animation = Animation(data, film, timing) if len(shown_for) > 1 else None
    return OpenedPhoto(header, first, chosen[0].model_input, salvaged, chosen[0].opaque, tuple(chosen[1:]), animation)


def frames_again(animation: Animation, header: Header) -> Generator[NDArray[np.uint8], None, None]:
    """Yield the pixels of an animation's sound frames, uint8 [h, w, 3 or 4], one after the other. Close it at the end."""
    with _alone(header.width * header.height > LARGE, lambda runs: None):
        for shown in islice(frames(animation.data, animation.film, header), len(animation.timing.durations)):
            yield shown.pixels


def _look_of(pixels: NDArray[np.uint8], header: Header) -> Look:
    model_input = model_input_of(pixels, header)
    return Look(model_input, _opaque_share(pixels, model_input))


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

    Those of an animation are the mean of several frames', for which the model runs once more.

    Raises:
        ModelError: if the model fails.
    """
    inferred = model.infer(np.stack([photo.model_input for photo in photos]))
    seen = [_of_opaque(maps, photo.opaque) for maps, photo in zip(inferred, photos, strict=True)]
    return [_mean_of([maps, *_maps_of(photo.others, model)]) for maps, photo in zip(seen, photos, strict=True)]


def _maps_of(looks: Sequence[Look], model: Model) -> list[Maps]:
    if not looks:
        return []
    inferred = model.infer(np.stack([look.model_input for look in looks]))
    return [_of_opaque(maps, look.opaque) for maps, look in zip(inferred, looks, strict=True)]


def _mean_of(maps: Sequence[Maps]) -> Maps:
    """Return the mean of the maps of several frames."""
    if len(maps) == 1:
        return maps[0]
    subjects = [one.subject for one in maps if one.subject is not None]
    heads = [one.head for one in maps if one.head is not None]

    def mean(of: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.asarray(np.mean(of, axis=0), np.float32)

    return Maps(mean([one.density for one in maps]), mean(subjects) if subjects else None, mean(heads) if heads else None)


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


def take_turns(lock: AbstractContextManager[object]) -> None:
    """Let very large photos wait for this lock, which other processes may share, rather than for each other in this one."""
    global _one_large
    _one_large = lock


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
