"""Encode a thumbnail: pixels to the bytes of a file, with its colour profile and the metadata to keep."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cropper.errors import PhotoError
from cropper.image_formats import QUALITY
from cropper.imaging.animation.gif_file import gif_file
from cropper.imaging.colour import GREY_SPACE, RGB_SPACE, describes, in_srgb
from cropper.imaging.header import Header
from cropper.imaging.jpeg_file import encode_jpeg
from cropper.imaging.metadata import NOTHING, Metadata
from cropper.imaging.opencv import cv2
from cropper.imaging.palette import with_colours, with_palette
from cropper.imaging.resize import on_white

# How fast AVIF is encoded, 0..10. Lower takes longer and packs a little better.
AVIF_SPEED = 8
# The length of a PNG in bytes up to the end of its first chunk.
_PNG_HEADER = 33


def encode(thumbnail: NDArray[np.uint8], header: Header, format: str, quality: int | None = None, srgb: bool = False) -> bytes:
    """Encode a thumbnail in an output format, with the photo's colour profile and only the metadata of the header.

    Args:
        thumbnail: uint8 [h, w, 3] BGR or [h, w, 4] BGRA; a format without transparency gets a white background. A GIF
            has up to 255 colours, and pixels that are seen or not.
        header: the photo's header: its profile, the metadata to write, and whether the photo is grey.
        format: a key of ``QUALITY``.
        quality: 1..100; by default that of the format. PNG and GIF ignore it.
        srgb: whether to convert the colours to sRGB and write no profile. Viewers take colours without a profile for sRGB.

    Returns:
        The bytes of the file.

    Raises:
        PhotoError: if the encoder rejects the thumbnail, for example because it exceeds the size limit of the format.
    """
    return prepared(thumbnail, header, format, srgb).file(quality)


@dataclass(frozen=True)
class Prepared:
    """A thumbnail as an output format takes it, to be encoded once or several times.

    Attributes:
        pixels: uint8 [h, w] grey, [h, w, 3] BGR or [h, w, 4] BGRA.
        profile: the colour profile to write, or None.
        metadata: what to write beside it.
        format: a key of ``QUALITY``.
    """

    pixels: NDArray[np.uint8]
    profile: bytes | None
    metadata: Metadata
    format: str

    def file(
        self,
        quality: int | None = None,
        progressive: bool = False,
        colours: int | None = None,
        palette: NDArray[np.uint8] | None = None,
    ) -> bytes:
        """Encode the thumbnail.

        Args:
            quality: 1..100; by default that of the format. PNG is lossless and ignores it.
            progressive: whether a JPEG is progressive. Other formats ignore it.
            colours: the most colours of a PNG or GIF, 2..256, or None for all. Other formats ignore it.
            palette: the colours of a PNG, uint8 [n, 4] RGBA, of a picture that is not grey; None to choose them.

        Raises:
            PhotoError: if the encoder rejects the thumbnail.
        """
        quality = QUALITY[self.format] if quality is None else quality
        if self.format == "jxl":
            from cropper.imaging.extra import jxl

            file = jxl.encode(self.pixels, self.metadata, quality)
        elif self.format == "jpg":
            file = encode_jpeg(self.pixels, self.profile, self.metadata, quality, progressive)
        elif self.format == "gif":
            file = gif_file([(self.pixels, 0.0)], colours=colours)
        elif self.format == "png" and palette is not None:
            file = _encode_palette(with_palette(self.pixels, palette), self.profile, self.metadata)
        elif self.format == "png" and colours is not None:
            file = _encode_palette(with_colours(self.pixels, colours), self.profile, self.metadata)
        else:
            file = _encode(self.pixels, self.profile, self.metadata, self.format, quality)
        if file is None:
            reason = f"the {self.format} encoder rejected the thumbnail"
            raise PhotoError(reason, remedy="try another --format or a smaller size")
        return file


def prepared(thumbnail: NDArray[np.uint8], header: Header, format: str, srgb: bool = False) -> Prepared:
    """Bring a thumbnail into the colours that its file has, as ``encode`` does."""
    if format == "jpg":
        thumbnail = on_white(thumbnail)
    profile = header.icc_profile
    if header.is_grey and thumbnail.shape[2] == 3 and format in ("jpg", "png"):
        if profile is not None and profile[16:20] == RGB_SPACE:
            # Its curve says how light a shade is, as browsers show it.
            thumbnail = in_srgb(thumbnail, profile)
        thumbnail = cv2.cvtColor(thumbnail, cv2.COLOR_BGR2GRAY)  # type: ignore[assignment]
    if profile is not None and not describes(profile, thumbnail):
        # A grey profile does not fit three channels.
        if header.is_grey and profile[16:20] == GREY_SPACE:
            thumbnail = in_srgb(thumbnail, profile)
        profile = None
    # A GIF has no place for a profile, and the library for JPEG XL writes none.
    if (srgb or format in ("gif", "jxl")) and profile is not None:
        thumbnail, profile = in_srgb(thumbnail, profile), None
    return Prepared(thumbnail, profile, header.metadata if format != "gif" else NOTHING, format)


def encoder_parameters(format: str, quality: int | None = None) -> list[int]:
    """Return the parameters of OpenCV's encoder for an output format; by default with the quality of the format."""
    quality = QUALITY[format] if quality is None else quality
    return {
        "jpg": [cv2.IMWRITE_JPEG_QUALITY, quality],
        "png": [],
        "gif": [],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
        "avif": [cv2.IMWRITE_AVIF_QUALITY, quality, cv2.IMWRITE_AVIF_SPEED, AVIF_SPEED],
    }[format]


def _encode_palette(picture: Image.Image, profile: bytes | None, metadata: Metadata) -> bytes | None:
    """Encode a PNG of few colours with Pillow. OpenCV writes none with a palette."""
    file = io.BytesIO()
    try:
        picture.save(file, "PNG", icc_profile=profile, exif=metadata.exif or None)
    except (OSError, ValueError):
        return None
    return _with_xmp(file.getvalue(), metadata.xmp) if metadata.xmp else file.getvalue()


def _encode(thumbnail: NDArray[np.uint8], profile: bytes | None, metadata: Metadata, format: str, quality: int) -> bytes | None:
    parts = [
        (int(kind), np.frombuffer(part, np.uint8)[None])
        for kind, part in (
            (cv2.IMAGE_METADATA_ICCP, profile),
            (cv2.IMAGE_METADATA_EXIF, metadata.exif),
            (cv2.IMAGE_METADATA_XMP, metadata.xmp if format != "png" else b""),
        )
        if part
    ]
    kinds, chunks = [kind for kind, _ in parts], [chunk for _, chunk in parts]
    try:
        done, file = cv2.imencodeWithMetadata(f".{format}", thumbnail, kinds, chunks, encoder_parameters(format, quality))
    except cv2.error:
        done = False
    if done:
        return _with_xmp(file.tobytes(), metadata.xmp) if format == "png" and metadata.xmp else file.tobytes()
    # libpng rejects a malformed profile, which viewers would ignore anyway.
    return _encode(thumbnail, None, metadata, format, quality) if profile else None


def _with_xmp(png: bytes, xmp: bytes) -> bytes:
    """Insert a packet of XMP after a PNG's header. OpenCV would write it as Latin-1 text, and read beyond its end."""
    body = b"iTXtXML:com.adobe.xmp" + bytes(5) + xmp
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:_PNG_HEADER] + chunk + png[_PNG_HEADER:]
