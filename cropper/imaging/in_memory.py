"""Turn photos in memory, numpy arrays or Pillow's images, to the upright BGR that ``decode`` gives of a file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cropper.errors import COPY_AGAIN, PhotoError, reason_of
from cropper.imaging.colour import lab_in_srgb
from cropper.imaging.decode import upright, with_shade, without_alpha
from cropper.imaging.header import orientation_of
from cropper.imaging.opencv import cv2, is_out_of_memory

# What an array of a photo may be, for messages.
_SHAPES = "[H, W] or [H, W, 1] grey, [H, W, 3] BGR or [H, W, 4] BGRA"
_ALPHA_MODES = ("LA", "PA", "RGBA", "RGBa", "La")


def pixels_of_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the pixels of an array, each channel scaled to 8 bits.

    Args:
        array: [H, W] or [H, W, 1] grey, [H, W, 3] BGR or [H, W, 4] BGRA with plain (not premultiplied) alpha, upright; uint8,
            uint16 of which 65535 is white, floats of which 1 is white, or bool of which True is white.

    Returns:
        uint8 [H, W, 3] BGR or [H, W, 4] BGRA, contiguous; not a copy where the array is that already.

    Raises:
        PhotoError: if the array has another shape or type, no pixels, or floats outside 0..1.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        remedy = f"give {_SHAPES}"
        if array.ndim == 3 and array.shape[0] in (1, 3, 4):
            remedy = "channels come last: give numpy.moveaxis(array, 0, -1)"
        elif array.ndim == 4:
            remedy = f"give one photo at a time, {_SHAPES}"
        raise PhotoError(f"an array of shape {list(array.shape)} is not a photo", remedy=remedy)
    if not array.size:
        raise PhotoError(f"an array of shape {list(array.shape)} has no pixels", remedy=f"give {_SHAPES}")
    pixels = np.ascontiguousarray(_in_8_bits(array))
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
    return pixels


def _in_8_bits(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return an array with each number scaled to 0..255. Raises PhotoError if it does not say what white is."""
    kind = array.dtype
    if kind == np.uint8:
        return array
    if kind == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if kind.kind == "u" and kind.itemsize == 2:
        return (array >> 8).astype(np.uint8)  # as files of 16 bits are decoded
    if kind.kind != "f":
        remedy = "make it uint8, uint16 up to 65535, or floats from 0 to 1"
        raise PhotoError(f"an array of {kind} does not say how bright white is", remedy=remedy)
    least, most = float(array.min()), float(array.max())
    if not (least >= 0 and most <= 1):  # NaN too
        if np.isnan(least):
            raise PhotoError("an array of floats has NaN in it", remedy="replace it, such as by numpy.nan_to_num(array)")
        remedy = "divide it by 255" if least >= 0 and 1 < most <= 255 else "scale it to 0..1"
        raise PhotoError(f"an array of floats goes from {least:g} to {most:g}, and 1 is white", remedy=remedy)
    return np.rint(array * np.float32(255)).astype(np.uint8)


def pixels_of_image(image: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels of one of Pillow's images, turned upright as its EXIF says, and with the colours that its file gives.

    Args:
        image: of any mode that Pillow converts to RGB, inks by their profile; of ``I;16``, where 65535 is white, and of ``F``,
            where 1 is white. An animation gives its current frame. An image that is open but not loaded is loaded.

    Returns:
        uint8 [H, W, 3] BGR, or [H, W, 4] BGRA if the image may have transparent pixels.

    Raises:
        PhotoError: if its file is damaged, its mode is ``I`` or another that has no colours, or it has floats outside 0..1.
    """
    try:
        image.load()
    except Exception as error:  # Pillow's decoders raise a dozen built-in types on damage
        if is_out_of_memory(error):
            raise
        raise PhotoError(f"it is truncated or damaged ({reason_of(error)})", remedy=COPY_AGAIN) from error
    if not image.width or not image.height:
        raise PhotoError(f"an image of {image.width}x{image.height} has no pixels")
    return upright(_converted(image), orientation_of(image))


def _converted(image: Image.Image) -> NDArray[np.uint8]:
    """Return a loaded image as BGR or BGRA, not turned."""
    shade = image.info.get("transparency")
    if image.mode.startswith("I;16"):
        pixels = without_alpha(image, None)
        return with_shade(pixels, image) if isinstance(shade, int) else pixels
    if image.mode == "F":
        return pixels_of_array(np.asarray(image))
    if image.mode == "I":
        raise PhotoError("an image of mode I has 32 bits per channel", remedy="convert it to I;16 or L")
    try:
        if image.mode in _ALPHA_MODES or shade is not None:
            plain = image.convert("LA") if image.mode == "La" else image
            return cv2.cvtColor(np.asarray(plain.convert("RGBA")), cv2.COLOR_RGBA2BGRA)  # type: ignore[return-value]
        profile = image.info.get("icc_profile")
        plain = lab_in_srgb(image) if image.mode == "LAB" else image
        return without_alpha(plain, profile if isinstance(profile, bytes) else None)
    except ValueError as error:
        raise PhotoError(f"an image of mode {image.mode} has no colours", remedy="convert it to RGB") from error
