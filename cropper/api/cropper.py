"""The class ``Cropper``: from photos to boxes, densities and pixels, in this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cropper.api.asked import Asked, Pair, fill_of, focus_of, settings_of
from cropper.choosing.asked import weights_of
from cropper.choosing.decide import Decision
from cropper.choosing.faces import with_faces
from cropper.choosing.focus import Focus
from cropper.choosing.view import Maps, view_of
from cropper.engine.stages import decided, pixels_needed, thumbnail_of
from cropper.errors import CropperError, PhotoError, UsageError, out_of_memory, unexpected
from cropper.geometry import Box, pixels_of_share
from cropper.imaging.opencv import is_out_of_memory
from cropper.model.inputs import share_needed
from cropper.model.look import OpenedPhoto, infer_maps
from cropper.model.saliency import Saliency
from cropper.model.sources import Photo, open_any
from cropper.settings import CPU, LIMITS, Fit, Limits, Settings, Target

if TYPE_CHECKING:
    from typing_extensions import Unpack


# What to do in Python where an error names this option of the command line.
_REMEDIES = {
    "--focus": "give one that is inside it",
    "--max-pixels": "allow them with Cropper(max_pixels=...)",
    "--jobs": "give more memory, or fewer jobs",
}


@dataclass(frozen=True)
class Choice:
    """What is chosen for one shape.

    Attributes:
        size: the shape as the table has it: ``640x360`` or ``16:9``.
        box: what is seen of the photo. Where no crop is good: the whole photo to pad or keep, the centre, or the best crop.
        fit: how the box fills the shape; ``crop``, unless no crop is good. Compare it with a text: ``choice.fit == "pad"``.
        note: why no crop is good, or that the focus was given, as the table's ``message``; else empty.
    """

    size: str
    box: Box
    fit: Fit
    note: str


@dataclass(frozen=True)
class Chosen:
    """What is chosen for one photo, from one look.

    Attributes:
        photo: the photo as it was given.
        width, height: of the upright original, in pixels; 0 if the photo failed.
        choices: one a shape, sizes first, in the order asked for; none if the photo failed.
        density: float32 [h, w], where people look, as ``Cropper.saliency`` returns it; None if the photo failed.
        salvaged: whether the file is damaged, and only part of it could be decoded.
        error: why the photo failed, or None. Only ``Cropper.each`` says it here; other methods raise it.
    """

    photo: Photo
    width: int = 0
    height: int = 0
    choices: tuple[Choice, ...] = ()
    density: NDArray[np.float32] | None = None
    salvaged: bool = False
    error: CropperError | None = None

    @property
    def boxes(self) -> list[Box]:
        """The boxes of the choices."""
        return [choice.box for choice in self.choices]


class Cropper:
    """Finds what people look at first in photos, and crops there. Threads may share it.

    A photo may be:

    - a path, a URL of a storage (with the extra ``cloud``), the bytes of a file, or a file open for reading in binary. These are
      decoded as ``cropper batch`` decodes them: upright, CMYK as sRGB, and what is transparent is not looked at.
    - one of Pillow's images, of mode 1, L, LA, P, RGB, RGBA, CMYK, I;16, F or another that it converts to RGB. If it still has
      its file's EXIF, it is turned upright as that says, like the file itself. Numbers of ``F`` go from 0 to 1.
    - a numpy array, upright: [H, W] or [H, W, 1] grey, [H, W, 3] BGR or [H, W, 4] BGRA with plain alpha, in the order of OpenCV.
      Give ``array[..., ::-1]`` of RGB. uint8, uint16 of which 65535 is white, floats of which 1 is white, or bool.

    Boxes are in pixels of the upright photo. The defaults are those of the command line, but that ``crop`` enlarges. No file of
    options is read: give the weights that ``cropper tune`` wrote into one.

    Args:
        model: an ONNX file that keeps the model contract; None for the bundled student.
        device: ``cpu`` or ``cuda``.
        max_pixels: a file with more pixels in its header is refused before it is decoded.
        salvage: whether to use the decodable part of damaged files.
        weights: how much each thing counts when a box is chosen, by the names in the table ``[choosing]`` that ``cropper tune``
            writes into a file of options. What is left out has its default.

    Raises:
        UsageError: if a weight is not known, or not a number in its range.
        DependencyError: if this machine cannot use the device.
        ModelError: if the model cannot be loaded, or keeps data in other files.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        device: str = CPU,
        max_pixels: int = LIMITS.max_pixels,
        salvage: bool = LIMITS.salvage,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self._weights = weights_of(weights or {})
        self._saliency = Saliency(model, device)
        self._limits = Limits(max_pixels, salvage)

    def saliency(self, photo: Photo) -> NDArray[np.float32]:
        """Return where people look, as a density over the photo.

        Returns:
            float32 [h, w], non-negative, summing to 1, with h / w near H / W. It covers the whole upright photo; scale it to its
            size for an overlay.

        Raises:
            PhotoError: if the photo cannot be read or decoded, or is none.
        """
        return self._look(photo, _least_needed)[1].density

    def choose(
        self,
        photo: Photo,
        aspects: Sequence[Pair] = (),
        sizes: Sequence[Pair] = (),
        *,
        one: bool = False,
        focus: Sequence[int] | None = None,
        fast: bool = False,
        **asked: Unpack[Asked],
    ) -> Chosen:
        """Choose the boxes for one or several shapes, from one look.

        Args:
            photo: the photo.
            aspects: the shapes of which the crop keeps its own pixels, each a width and a height, such as ``(16, 9)``.
            sizes: sizes in pixels that the crop is scaled to, each a width and a height. A tightened box is not smaller.
                Without shapes and sizes, the size is 640x360.
            one: whether to choose one of the shapes alone, the one whose box keeps most.
            focus: what to crop around instead, in pixels of the upright photo: a point ``(x, y)``, or a box
                ``(x, y, width, height)``.
            fast: whether to decode a JPEG file no larger than the model needs. Its boxes may differ a little from the command's.
            asked: ``zoom``, ``margin``, ``zoom_keep``, ``whole``, ``min_kept``, ``otherwise`` and ``faces_from_metadata``, as
                ``Asked`` says.

        Raises:
            PhotoError: if the photo cannot be read or decoded, or is none, or the focus is not inside it.
            UsageError: for a shape without area, or something else asked for that makes no sense.
        """
        return self._chosen(photo, self._settings(aspects, sizes, one, asked), focus_of(focus), fast)

    def each(
        self,
        photos: Iterable[Photo],
        aspects: Sequence[Pair] = (),
        sizes: Sequence[Pair] = (),
        *,
        one: bool = False,
        fast: bool = False,
        jobs: int = 1,
        **asked: Unpack[Asked],
    ) -> Iterator[Chosen]:
        """Choose the boxes of many photos, as ``choose`` does of each, in their order.

        Photos are taken lazily: with one job each when its result is asked for, with more at most twice as many ahead. A photo
        that fails has its ``error`` in its result, and the others go on.

        Args:
            photos: any mixture of photos, also an endless one.
            aspects, sizes, one, fast, asked: as in ``choose``.
            jobs: how many threads work at once, at least 1.

        Raises:
            UsageError: as ``choose`` does, at once.
            ModelError: if the model fails.
        """
        settings = self._settings(aspects, sizes, one, asked)
        if jobs < 1:
            raise UsageError(f"{jobs} jobs do no work", remedy="give at least 1")
        choose = partial(self._chosen_or_failed, settings=settings, fast=fast)
        return map(choose, photos) if jobs == 1 else _in_threads(choose, photos, jobs)

    def box(
        self,
        photo: Photo,
        aspect: Pair | None = None,
        size: Pair | None = None,
        *,
        focus: Sequence[int] | None = None,
        fast: bool = False,
        **asked: Unpack[Asked],
    ) -> Box:
        """Choose the box of one shape, an aspect or a size; arguments and errors are those of ``choose``."""
        if aspect is not None and size is not None:
            raise UsageError("a box has an aspect or a size, and you gave both", remedy="give one, or use choose()")
        aspects, sizes = [] if aspect is None else [aspect], [] if size is None else [size]
        return self.choose(photo, aspects, sizes, focus=focus, fast=fast, **asked).choices[0].box

    def boxes(
        self,
        photo: Photo,
        aspects: Sequence[Pair] = (),
        sizes: Sequence[Pair] = (),
        *,
        focus: Sequence[int] | None = None,
        fast: bool = False,
        **asked: Unpack[Asked],
    ) -> list[Box]:
        """Choose the boxes of several shapes from one look, sizes first; arguments and errors are those of ``choose``."""
        return self.choose(photo, aspects, sizes, focus=focus, fast=fast, **asked).boxes

    def crop(
        self,
        photo: Photo,
        size: Pair | None = None,
        *,
        aspect: Pair | None = None,
        focus: Sequence[int] | None = None,
        enlarge: bool = True,
        pad_with: str = Settings.fill,
        **asked: Unpack[Asked],
    ) -> NDArray[np.uint8]:
        """Make the pixels of a thumbnail, in the colours of the photo's own profile.

        Args:
            photo: the photo.
            size: width and height in pixels; 640x360 if there is no aspect either.
            aspect: the shape of the crop, which keeps its own pixels, instead of a size.
            focus: as in ``choose``.
            enlarge: whether to enlarge a smaller photo to the size. Without this, as on the command line, its crop keeps its own
                pixels.
            pad_with: what padding is filled with: ``blur``, ``edge``, or a colour such as ``white`` or ``#336699``.
            asked: as in ``choose``.

        Returns:
            uint8 [h, w, 3] BGR, or [h, w, 4] BGRA of a photo with transparency; of exactly the size, unless ``enlarge`` is False
            or a photo is kept whole.

        Raises:
            PhotoError: as ``choose`` does, or if no crop is good and ``otherwise`` is ``skip``.
            UsageError: as ``choose`` does.
        """
        if aspect is not None and size is not None:
            raise UsageError("a thumbnail has an aspect or a size, and you gave both", remedy="give one of them")
        aspects, sizes = [] if aspect is None else [aspect], [] if size is None else [size]
        settings = self._settings(aspects, sizes, False, asked, enlarge=enlarge, fill=fill_of(pad_with))
        given = focus_of(focus)
        needed = partial(pixels_needed, settings=settings, given=(given,))
        opened, maps = self._look(photo, needed, settings.choosing.faces_from_metadata)
        ((target, decision),) = _decide(maps, opened, settings, given)
        if decision.fit is Fit.SKIP:
            raise PhotoError(decision.note, remedy="change min_kept or whole, or give another otherwise")
        return thumbnail_of(opened.pixels, opened.header, decision, target, settings)

    def _settings(self, aspects: Sequence[Pair], sizes: Sequence[Pair], one: bool, asked: Asked, **others: Any) -> Settings:
        return settings_of(aspects, sizes, one, self._limits, self._weights, asked, **others)

    def _look(self, photo: Photo, needed: Any, faces: bool = False) -> tuple[OpenedPhoto, Maps]:
        with _in_words_of_python():
            opened = open_any(photo, needed, self._limits, faces)
        (maps,) = infer_maps([opened], self._saliency)
        return opened, maps

    def _chosen(self, photo: Photo, settings: Settings, focus: Focus | None, fast: bool) -> Chosen:
        given = (focus,) * len(settings.targets)
        needed = _least_needed if fast else partial(pixels_needed, settings=settings, given=given)
        opened, maps = self._look(photo, needed, settings.choosing.faces_from_metadata)
        choices = tuple(
            Choice(target.label, decision.box, decision.fit, decision.note)
            for target, decision in _decide(maps, opened, settings, focus)
        )
        return Chosen(photo, opened.header.width, opened.header.height, choices, maps.density, opened.salvaged)

    def _chosen_or_failed(self, photo: Photo, settings: Settings, fast: bool) -> Chosen:
        try:
            return self._chosen(photo, settings, None, fast)
        except PhotoError as error:
            return Chosen(photo, error=error)
        except CropperError:
            raise
        except Exception as error:  # one photo must not stop the others
            return Chosen(photo, error=out_of_memory() if is_out_of_memory(error) else PhotoError(unexpected(error)))


def _in_threads(choose: Any, photos: Iterable[Photo], jobs: int) -> Iterator[Chosen]:
    """Yield what ``choose`` returns for each photo, in order, with at most twice as many photos under way as threads."""
    with ThreadPoolExecutor(jobs, thread_name_prefix="cropper") as workers:
        waiting: deque[Future[Chosen]] = deque()
        try:
            for photo in photos:
                waiting.append(workers.submit(choose, photo))
                if len(waiting) >= 2 * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            workers.shutdown(cancel_futures=True)


@contextmanager
def _in_words_of_python() -> Iterator[None]:
    """Replace what an error tells users of the command line to do by what to do in Python."""
    try:
        yield
    except PhotoError as error:
        remedy = next((remedy for option, remedy in _REMEDIES.items() if option in error.remedy), error.remedy)
        raise PhotoError(error.what, error.path, remedy) from error


def _least_needed(width: int, height: int) -> Pair:
    """Return the least width and height to decode for the model to see the same as from all pixels."""
    return pixels_of_share(width, height, share_needed(width, height))


def _decide(maps: Maps, opened: OpenedPhoto, settings: Settings, focus: Focus | None) -> list[tuple[Target, Decision]]:
    """Decide for each shape, or for the one that keeps most. Raises PhotoError if the focus is not inside the photo."""
    view, image = with_faces(view_of(maps), opened.header.faces), (opened.header.width, opened.header.height)
    foci = (focus,) * len(settings.targets)
    with _in_words_of_python():
        found = [decided(number, view, image, settings, foci) for number in range(settings.rows)]
    return [(target, decisions[0]) for target, decisions in found]
