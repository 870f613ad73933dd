"""Convert colours: inks, profiles and grey to sRGB."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from cropper.imaging.icc import ink_profile

GREY_SPACE = b"GRAY"  # as profiles call it


def inks_in_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """CMYK to the nearest colours of sRGB, RGB: by its profile, or as on coated paper where that is missing or makes no sense."""
    rgb = _to_srgb(image, icc_profile) if icc_profile else None
    return rgb or _to_srgb(image, ink_profile()) or image.convert("RGB")


def _to_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image | None:
    """Colours of a profile to the nearest of sRGB, RGB; None where the profile makes no sense, or none for these channels."""
    try:
        return ImageCms.applyTransform(image, _transform(icc_profile or b"", image.mode))
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None


@lru_cache(maxsize=8)  # most of a folder have the same profile, and making one takes as long as a thumbnail
def _transform(icc_profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """From a profile to sRGB. Threads may share it: Little CMS changes nothing in it."""
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile)), ImageCms.createProfile("sRGB")
    # What both spaces have stays what it is, as in libvips.
    return ImageCms.buildTransform(source, target, mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)


def in_srgb(thumbnail: NDArray[np.uint8], profile: bytes) -> NDArray[np.uint8]:
    """Grey, BGR or BGRA of a profile to the nearest colours of sRGB; as it is where the profile makes no sense."""
    is_grey = profile[16:20] == GREY_SPACE
    colour = thumbnail if thumbnail.ndim == 2 else thumbnail[:, :, 0] if is_grey else thumbnail[:, :, 2::-1]
    converted = _to_srgb(Image.fromarray(np.ascontiguousarray(colour)), profile)
    if converted is None:
        return thumbnail
    rgb = np.asarray(converted)
    if thumbnail.ndim == 2:  # neutral in sRGB as well, and a channel is a third of three
        return np.ascontiguousarray(rgb[:, :, 1])
    return np.dstack([rgb[:, :, ::-1], thumbnail[:, :, 3:]])


def describes(icc_profile: bytes, thumbnail: NDArray[np.uint8]) -> bool:
    """Whether a profile describes the channels written: a CMYK photo's says nothing of the BGR it was decoded to.

    The colour space stands in bytes 16-19 of a profile (ICC.1:2022, 7.2.6).
    """
    return icc_profile[16:20] == (GREY_SPACE if thumbnail.ndim == 2 else b"RGB ")
