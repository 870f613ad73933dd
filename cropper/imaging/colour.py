"""Convert colours to sRGB: inks, grey, and colours with a profile."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cropper.imaging.icc import ink_profile

if TYPE_CHECKING:
    from PIL import ImageCms

GREY_SPACE, RGB_SPACE = b"GRAY", b"RGB "  # the names in a profile


def inks_in_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """Convert a CMYK image to the nearest sRGB colours, mode RGB.

    Use the image's profile; if that is missing or invalid, assume inks on coated paper.
    """
    rgb = _to_srgb(image, icc_profile) if icc_profile else None
    return rgb or _to_srgb(image, ink_profile()) or image.convert("RGB")


def lab_in_srgb(image: Image.Image) -> Image.Image:
    """Convert colours of CIELAB, mode LAB, relative to the white of D50, to the nearest sRGB colours, mode RGB."""
    from PIL import ImageCms  # few photos need it

    return ImageCms.applyTransform(image, _of_lab()) or image.convert("RGB")


@lru_cache(maxsize=1)
def _of_lab() -> ImageCms.ImageCmsTransform:
    from PIL import ImageCms  # few photos need it

    source, target = ImageCms.createProfile("LAB", 5003), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(source, target, "LAB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)


def _to_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image | None:
    """Convert an image with a profile to the nearest sRGB colours, mode RGB; None if the profile does not fit or is invalid."""
    from PIL import ImageCms  # few photos need it

    try:
        return ImageCms.applyTransform(image, _transform(icc_profile or b"", image.mode))
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None


@lru_cache(maxsize=8)  # most photos of a folder share a profile, and building a transform takes as long as a thumbnail
def _transform(icc_profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """Build the transform from a profile to sRGB. Threads may share it: Little CMS does not modify it."""
    from PIL import ImageCms  # few photos need it

    source, target = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile)), ImageCms.createProfile("sRGB")
    # Relative colorimetric keeps the colours that both spaces have, as libvips does.
    return ImageCms.buildTransform(source, target, mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)


def in_srgb(thumbnail: NDArray[np.uint8], profile: bytes) -> NDArray[np.uint8]:
    """Convert a thumbnail from its profile to the nearest sRGB colours; return it unchanged if the profile is invalid.

    Args:
        thumbnail: uint8 [h, w] grey, [h, w, 3] BGR or [h, w, 4] BGRA.
        profile: the ICC profile of its colours.

    Returns:
        uint8 of the same shape.
    """
    is_grey = profile[16:20] == GREY_SPACE
    colour = thumbnail if thumbnail.ndim == 2 else thumbnail[:, :, 0] if is_grey else thumbnail[:, :, 2::-1]
    converted = _to_srgb(Image.fromarray(np.ascontiguousarray(colour)), profile)
    if converted is None:
        return thumbnail
    rgb = np.asarray(converted)
    if thumbnail.ndim == 2:  # grey stays neutral in sRGB, so all channels are equal
        return np.ascontiguousarray(rgb[:, :, 1])
    return np.dstack([rgb[:, :, ::-1], thumbnail[:, :, 3:]])


def describes(icc_profile: bytes, thumbnail: NDArray[np.uint8]) -> bool:
    """Tell whether a profile describes a thumbnail's channels. The profile of a CMYK photo does not describe its decoded BGR.

    The profile names its colour space in bytes 16-19 (ICC.1:2022, 7.2.6).
    """
    return icc_profile[16:20] == (GREY_SPACE if thumbnail.ndim == 2 else RGB_SPACE)
