"""Write the pages of a contact sheet as files that fit into a mail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.image_formats import EXTENSIONS_OF
from cropper.imaging.jpeg_file import marker
from cropper.imaging.opencv import cv2
from cropper.views.picture import encoded

# The most bytes of a page. Mail programs take about ten times as much, so a mail holds several pages.
MOST_BYTES = 1_000_000
# The qualities to try, in this order, until a page is small enough.
_QUALITIES = (85, 75, 65, 50, 35, 20, 10)
# A comment of a JPEG, behind its first two bytes.
_SIGNATURE = marker(b"\xff\xfe", b"a sheet by cropper")
_QUALITY_OF = {
    ".jpg": cv2.IMWRITE_JPEG_QUALITY,
    ".jpeg": cv2.IMWRITE_JPEG_QUALITY,
    ".jpe": cv2.IMWRITE_JPEG_QUALITY,
    ".webp": cv2.IMWRITE_WEBP_QUALITY,
}


def page_paths(output: Path, count: int) -> list[Path]:
    """Return the names of ``count`` pages: ``sheet.jpg``, or ``sheet-1.jpg``, ``sheet-2.jpg`` ... if there are several."""
    if count == 1:
        return [output]
    return [output.with_name(f"{output.stem}-{number}{output.suffix}") for number in range(1, count + 1)]


def page_after(output: Path, count: int) -> Path | None:
    """Return the page that would follow ``count`` pages, if there is such a file: probably of an earlier, longer sheet."""
    after = output.with_name(f"{output.stem}-{count + 1 if count > 1 else 1}{output.suffix}")
    return after if after.exists() else None


def signed(data: bytes) -> bytes:
    """Return a JPEG with the comment that tells a sheet from other pictures. Other formats stay as they are."""
    return data[:2] + _SIGNATURE + data[2:] if data.startswith(b"\xff\xd8") else data


def is_sheet(path: Path) -> bool:
    """Tell whether cropper drew a JPEG as a sheet. Files of other formats count as sheets: they bear no mark."""
    if path.suffix.lower() not in EXTENSIONS_OF["JPEG"]:
        return True
    try:
        with path.open("rb") as file:
            return file.read(2 + len(_SIGNATURE))[2:] == _SIGNATURE
    except OSError:
        return False


def encoded_page(picture: NDArray[np.uint8], path: Path) -> bytes:
    """Encode a page in the format of a name's extension, in at most MOST_BYTES if that is JPEG or WebP.

    A format without loss, such as PNG, takes as many bytes as it needs.

    Args:
        picture: uint8 [h, w, 3] BGR.
        path: only its extension counts.

    Raises:
        UsageError: if the extension is not an image format.
    """
    data = encoded(picture, path)
    setting = _QUALITY_OF.get(path.suffix.lower())
    if setting is not None:
        for quality in _QUALITIES:
            if len(data) + len(_SIGNATURE) <= MOST_BYTES:
                break
            data = cv2.imencode(path.suffix, picture, [setting, quality])[1].tobytes()
    return data
