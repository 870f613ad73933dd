"""JPEG XL: its size before it is decoded, its pixels in sRGB, a JPEG that was packed in one, and thumbnails.

The library decodes a whole file at once, so the size comes from the header, read here (ISO/IEC 18181-1, 9 and annex D).
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cropper.errors import COPY_AGAIN, PhotoError, reason_of
from cropper.imaging.colour import in_srgb
from cropper.imaging.colour_tags import boxes_of
from cropper.imaging.extra.library import library_for
from cropper.imaging.metadata import Metadata
from cropper.imaging.opencv import cv2, is_out_of_memory
from cropper.settings import Limits

_BARE = b"\xff\x0a"
# More bytes of a codestream than what is read of it takes.
_HEAD = 256
# (1, 1) and on: the ratios of width to height that a header gives by number.
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
# The most channels beside colour. The decoder keeps each in memory, and a header of a few bytes may ask for thousands.
_MOST_EXTRA = 4
# What libjxl calls the profile that it writes for sRGB.
_SRGB = "RGB_D65_SRG_Rel_SRG".encode("utf-16-be")
# As quick as AVIF's encoder here. A slower one saves nothing at these sizes.
_EFFORT = 5


@dataclass(frozen=True)
class Facts:
    """What the header of a JPEG XL says: the size in pixels, upright, the number of channels beside colour, and if it moves."""

    width: int
    height: int
    extra: int
    is_animated: bool = False


class _Bits:
    """A codestream's bits, from the least significant of each byte on. Behind the end they are 0."""

    def __init__(self, data: bytes) -> None:
        self._number, self._at = int.from_bytes(data, "little"), 0

    def read(self, count: int) -> int:
        value = self._number >> self._at & (1 << count) - 1
        self._at += count
        return value

    def choice(self, *kinds: tuple[int, int]) -> int:
        """Read a number in one of four ways: an offset and how many bits to add."""
        offset, count = kinds[self.read(2)]
        return offset + self.read(count)


def facts_of(data: bytes) -> Facts:
    """Read the header of a JPEG XL. Raises PhotoError if it has none, or too many channels."""
    bits = _Bits(_codestream(data)[len(_BARE) :])
    width, height = _size(bits)
    extra, is_animated = 0, False
    if not bits.read(1):
        orientation = 1
        if bits.read(1):
            orientation = 1 + bits.read(3)
            if bits.read(1):
                _size(bits)
            if bits.read(1):
                _preview(bits)
            is_animated = bool(bits.read(1))
            if is_animated:
                _animation(bits)
        if bits.read(1):
            bits.choice((32, 0), (16, 0), (24, 0), (1, 6))
            bits.read(4)
        else:
            bits.choice((8, 0), (10, 0), (12, 0), (1, 6))
        bits.read(1)
        extra = bits.choice((0, 0), (1, 0), (2, 4), (1, 12))
        if orientation >= 5:
            width, height = height, width
    if extra > _MOST_EXTRA:
        raise PhotoError(f"it has {extra} channels beside colour", remedy="export it as a JPEG")
    return Facts(width, height, extra, is_animated)


def _size(bits: _Bits) -> tuple[int, int]:
    in_eights = bits.read(1)

    def side() -> int:
        return 8 * (1 + bits.read(5)) if in_eights else bits.choice((1, 9), (1, 13), (1, 18), (1, 30))

    height = side()
    ratio = bits.read(3)
    return (height * _RATIOS[ratio - 1][0] // _RATIOS[ratio - 1][1] if ratio else side()), height


def _preview(bits: _Bits) -> None:
    kinds = ((16, 0), (32, 0), (1, 5), (33, 9)) if bits.read(1) else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.choice(*kinds)
    if not bits.read(3):
        bits.choice(*kinds)


def _animation(bits: _Bits) -> None:
    bits.choice((100, 0), (1000, 0), (1, 10), (1, 30))
    bits.choice((1, 0), (1001, 0), (1, 8), (1, 10))
    bits.choice((0, 0), (0, 3), (0, 16), (0, 32))
    bits.read(1)


def _codestream(data: bytes) -> bytes:
    """Return the beginning of the codestream, which lies bare, in a box or in parts. Raises PhotoError if there is none."""
    if data.startswith(_BARE):
        return data[:_HEAD]
    found = b""
    with suppress(struct.error):  # it ends within a box
        for name, start, end in boxes_of(data):
            start += 4 if name == b"jxlp" else 0
            if name in (b"jxlc", b"jxlp"):
                found += data[start : min(end, start + _HEAD)]
            if name == b"jxlc" or len(found) >= _HEAD:
                break
    if found.startswith(_BARE):
        return found[:_HEAD]
    raise PhotoError("the header is truncated or damaged", remedy=COPY_AGAIN)


def packed_jpeg(data: bytes, limits: Limits) -> bytes:
    """Return the JPEG that was packed in a JPEG XL without loss, to the byte; the file itself if there is none."""
    if data.startswith(_BARE) or b"jbrd" not in data:
        return data
    facts = facts_of(data)
    if facts.width * facts.height > limits.max_pixels:
        return data  # refused by its header, in the words of every format
    is_jpeg, _, unpacked, *_ = _decoded(data)
    return unpacked if is_jpeg else data


def decode(data: bytes) -> NDArray[np.uint8]:
    """Decode the first frame, upright, to sRGB: uint8 [h, w, 3] BGR or [h, w, 4] BGRA; 16 bits are scaled to 8.

    Raises:
        PhotoError: if the file is truncated or damaged.
        MemoryError: if there is not enough memory.
    """
    _, info, raw, profile, *_ = _decoded(data)
    channels = info.num_channels + info.has_alpha_channel
    samples = info.width * info.height * channels
    if not samples or len(raw) % samples:
        raise PhotoError("its decoded size does not match its header", remedy=COPY_AGAIN)
    deep = np.frombuffer(raw, {1: "u1", 2: "<u2", 4: "<f4"}[len(raw) // samples]).reshape(info.height, info.width, channels)
    if deep.dtype == np.float32:
        deep = np.nan_to_num(deep.clip(0, 1) * 255).round()
    elif deep.dtype == np.uint16:
        deep = deep >> 8
    pixels = np.ascontiguousarray(deep, np.uint8)
    if channels == 2:
        pixels = np.ascontiguousarray(pixels[:, :, [0, 0, 0, 1]])
    else:
        code = {1: cv2.COLOR_GRAY2BGR, 3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}[channels]
        pixels = cv2.cvtColor(pixels, code)  # type: ignore[assignment]
    return pixels if not profile or _SRGB in profile else in_srgb(pixels, profile)


def _decoded(data: bytes) -> Any:
    """Return what the library makes of a file: whether that is a JPEG, its facts, bytes, profile and boxes."""
    library = library_for("JXL")
    try:
        return library.Decoder(num_threads=0)(data)  # the photos of a batch share the cores
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise PhotoError(f"it is truncated or damaged ({reason_of(error)})", remedy=COPY_AGAIN) from error


def encode(thumbnail: NDArray[np.uint8], metadata: Metadata, quality: int) -> bytes | None:
    """Encode a thumbnail in sRGB, uint8 [h, w, 3] BGR or [h, w, 4] BGRA; None if the encoder refuses it.

    The library writes no profile.

    Raises:
        PhotoError: if the library is missing.
    """
    library = library_for("JXL")
    height, width, channels = thumbnail.shape
    rgb = cv2.cvtColor(thumbnail, cv2.COLOR_BGRA2RGBA if channels == 4 else cv2.COLOR_BGR2RGB)
    has_metadata = bool(metadata.exif or metadata.xmp)
    encoder = library.Encoder(
        mode="RGBA" if channels == 4 else "RGB",
        lossless=quality == 100,
        quality=quality,
        effort=_EFFORT,
        use_container=has_metadata,
        num_threads=0,
    )
    try:
        return encoder(
            rgb.tobytes(),
            width,
            height,
            jpeg_encode=False,
            # The library writes the box as it is given, and in a JPEG XL an offset comes before the block.
            exif=bytes(4) + metadata.exif if metadata.exif else None,
            jumb=None,
            xmp=metadata.xmp or None,
            compress=False,
        )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return None


def metadata_of(data: bytes) -> tuple[bytes, bytes]:
    """Return the blocks of EXIF, without the prefix of JPEG, and of XMP; empty where there is none or it is packed."""
    exif = xmp = b""
    if not data.startswith(_BARE):
        for name, start, end in boxes_of(data):
            if name == b"Exif" and end - start > 4:
                # Files of Pillow's plugin lack the offset.
                is_bare = data[start : start + 4] in (b"II*\0", b"MM\0*")
                exif = data[start + (0 if is_bare else 4 + struct.unpack_from(">I", data, start)[0]) : end]
            elif name == b"xml ":
                xmp = data[start:end]
    return exif, xmp
