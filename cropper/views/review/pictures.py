"""Make the pictures of the review page.

Each photo has a preview, a smaller one for the list, and the heat and outlines to lay over either. The outlines are written last
and name the photo's version, so that a second run makes only pictures that are missing or out of date.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.view import Maps, view_of
from cropper.errors import CropperError, OutputError, PhotoError, reading, remedy_for, unexpected
from cropper.geometry import fitted, pixels_of_share
from cropper.imaging.encode import encode
from cropper.imaging.opencv import cv2
from cropper.imaging.resize import resized
from cropper.model.inputs import share_needed
from cropper.model.look import infer_maps, open_photo
from cropper.model.saliency import Saliency
from cropper.settings import Limits
from cropper.storage.atomic import replacing
from cropper.storage.local import LocalPlace
from cropper.storage.naming import REVIEW_FOLDER
from cropper.storage.places import Version, file_below
from cropper.views import heatmap
from cropper.views.checks import on_checks
from cropper.views.outlines import outlines_svg

# Pixels of the long side: a preview fills most of a screen, a card stands in the list.
PREVIEW_SIDE, CARD_SIDE = 1280, 480
# The previews of nine photos take 85 KB on average, and 98 KB with quality 78. WebP takes about half as much, and twenty times as
# long. With card, heat and outlines, 1,000 photos of 1280 pixels or more take about 110 MB.
_QUALITY = 72
# Pixels of the heat per cell of the density, along each side. Browsers interpolate linearly, which looks rough from one pixel.
_HEAT_SCALE = 2
# The kinds of pictures of a photo, and their media types.
MIME_OF_PICTURE = {
    "preview.jpg": "image/jpeg",
    "card.jpg": "image/jpeg",
    "heat.png": "image/png",
    "outlines.svg": "image/svg+xml",
}
_PICTURES = tuple(MIME_OF_PICTURE)
# The edges of a photo's heads, each left, top, right and bottom as shares of the photo's sides, 0..1.
Heads = Sequence[tuple[float, ...]]
_HEADS = re.compile(rb"<!-- heads([-+.e0-9 ]*) -->")
_OUR_PICTURE = re.compile(rf"[0-9a-f]{{24}}\.({'|'.join(map(re.escape, _PICTURES))})")
# All that decides the pictures of a photo, beside the model.
HOW_MADE = repr((PREVIEW_SIDE, CARD_SIDE, _HEAT_SCALE, _QUALITY, "heads"))


def remove_others(folder: Path, pictures: set[str]) -> None:
    """Remove the pictures of photos that are no longer in the ledger. Other files stay."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if _OUR_PICTURE.fullmatch(entry.name) and entry.name not in pictures:
                Path(entry.path).unlink(missing_ok=True)


def name_of(path: str) -> str:
    """Return a name for a photo's pictures that is unique and safe in URLs and in all file systems."""
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def pictures_of(path: str) -> list[str]:
    """Return the file names of a photo's pictures: preview, card, heat and outlines."""
    return [f"{name_of(path)}.{picture}" for picture in _PICTURES]


def make_pictures(
    source: Path, out: Path, path: str, image_size: tuple[int, int] | None, model: Saliency, limits: Limits
) -> CropperError | None:
    """Worker: make a photo's pictures unless they are up to date. Return the error if that fails."""
    try:
        file, folder = file_below(source, path), out / REVIEW_FOLDER
    except PhotoError as error:
        return error
    files = [folder / name for name in pictures_of(path)]
    photo = LocalPlace(source) / path
    try:
        if _are_up_to_date(files, photo):
            return None
        data, version = photo.read()
        with reading(file):
            *pictures, outlines = _drawn(data, image_size, model, limits)
        for target, picture in zip(files, (*pictures, outlines + _mark(version)), strict=True):
            write_file(target, picture)
    except OutputError:
        raise  # the pictures of the next photo could not be written either
    except CropperError as error:
        return error
    except Exception as error:  # one photo must not stop the others
        return PhotoError(unexpected(error), path=file)
    return None


def _are_up_to_date(files: list[Path], photo: LocalPlace) -> bool:
    """Whether a photo's pictures are there, and were made from the photo as it is now: the last one says so."""
    try:
        return all(file.stat().st_size for file in files) and files[-1].read_bytes().endswith(_mark(photo.version_now()))
    except OSError:
        return False


def heads_of(out: Path, path: str) -> Heads:
    """Read the edges of a photo's heads from its outlines, which hold them as a comment. An empty list if there are none."""
    try:
        found = _HEADS.search((out / REVIEW_FOLDER / pictures_of(path)[-1]).read_bytes())
    except OSError:
        return ()
    numbers = [float(number) for number in found[1].split()] if found else []
    return list(zip(*[iter(numbers)] * 4, strict=True))


def _heads(maps: Maps) -> bytes:
    """Return a comment of SVG that holds the edges of the heads."""
    edges = [edge for head in view_of(maps).heads for edge in (head.left, head.top, head.right, head.bottom)]
    return b"<!-- heads%s -->\n" % "".join(f" {edge:.4f}" for edge in edges).encode()


def _mark(version: Version) -> bytes:
    """Return a comment of SVG that names a photo's version."""
    return b"<!-- %r %r %r -->\n" % (version.size, version.modified_ns, version.changed_ns)


def _drawn(data: bytes, image_size: tuple[int, int] | None, model: Saliency, limits: Limits) -> tuple[bytes, bytes, bytes, bytes]:
    """Make the files of a photo's preview, its card, its heat and its outlines.

    Raises:
        PhotoError: if the photo cannot be decoded, or its size is not the one that its boxes were chosen for.
    """

    def needed(width: int, height: int) -> tuple[int, int]:
        if image_size not in (None, (width, height)):
            raise PhotoError("it has changed since its boxes were chosen", remedy="run 'cropper batch' again")
        preview = _size_within(width, height, PREVIEW_SIDE)
        # Enough pixels for the model to see the same as in the batch, so that the heat is the one behind the boxes.
        share = max(Fraction(preview[0], width), Fraction(preview[1], height), share_needed(width, height))
        return pixels_of_share(width, height, share)

    photo = open_photo(data, needed, limits)
    (maps,) = infer_maps([photo], model)
    size = photo.header.width, photo.header.height
    shown = resized(on_checks(photo.pixels), _size_within(*size, PREVIEW_SIDE))
    return (
        encode(shown, photo.header, "jpg", _QUALITY),
        encode(resized(shown, _size_within(*size, CARD_SIDE)), photo.header, "jpg", _QUALITY),
        cv2.imencode(".png", _heat(maps.density))[1].tobytes(),
        outlines_svg(maps) + _heads(maps),
    )


def _size_within(width: int, height: int, side: int) -> tuple[int, int]:
    """Scale a photo's width and height down to at most ``side`` pixels each."""
    return fitted(width, height, (side, side), enlarge=False)


def _heat(density: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colour a density as a layer for the photo, uint8 [h, w, 4] BGRA."""
    rows, columns = density.shape
    return heatmap.heat_layer(density, columns * _HEAT_SCALE, rows * _HEAT_SCALE)


def write_file(path: Path, data: bytes) -> None:
    """Write a file completely or not at all."""
    try:
        with replacing(path, path.with_name(f"{path.name}.part")) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise OutputError(f"cannot be written ({error.strerror})", path=path, remedy=remedy_for(error, "run again")) from error
