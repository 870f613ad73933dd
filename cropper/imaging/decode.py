"""Decode a photo: bytes to upright pixels, at the smallest scale that still has enough pixels.

Three libraries share the work, beside those of the extra ``formats``. simplejpeg (libjpeg-turbo) decodes JPEGs because OpenCV
and Pillow do not report their damage. Pillow decodes photos with transparency and other inks because OpenCV gets them wrong.
OpenCV decodes the rest, and AVIFs, because Pillow does not report their damage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cropper.errors import COPY_AGAIN, EXPORT_AGAIN, PhotoError, reason_of
from cropper.imaging.colour import inks_in_srgb, lab_in_srgb
from cropper.imaging.containers import avif, bmp, gif, jpeg, png, tiff, webp
from cropper.imaging.extra import heif, jxl, psd
from cropper.imaging.header import UPRIGHT, Header, probe
from cropper.imaging.jpeg_pixels import NotSupportedError, stored_pixels
from cropper.imaging.opencv import cv2, is_out_of_memory, reads_avif
from cropper.imaging.pillow import first_frame, opened
from cropper.settings import Limits

# The scale factors of JPEG decoding and OpenCV's flag for each.
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
# The decoders of the extra's formats. Each imports its library with the first photo that needs it.
_BY_EXTRA = {"HEIF": heif.decode, "JXL": jxl.decode}
# By format: the repair of files that OpenCV does not read as they are.
_SOUND = {"BMP": bmp.sound, "WEBP": webp.sound}


def decode(data: bytes, header: Header, needed: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode a photo upright, at the smallest scale of its format that still has enough pixels.

    Args:
        data: the whole file.
        header: the header that ``probe`` returned for it.
        needed: the least size of the whole photo, upright ``(width, height)``. A smaller photo is decoded at full size.

    Returns:
        uint8 [h, w, 3] BGR, or [h, w, 4] BGRA if the photo has transparency; 16 bits are scaled to 8. The pixels cover the
        photo from edge to edge at every scale.

    Raises:
        PhotoError: if the photo is truncated or damaged.
        MemoryError, cv2.error: if there is not enough memory; ``opencv.is_out_of_memory`` tells.
    """
    pixels = _decoded(data, header, needed)
    scale = _decoded_scale(pixels, header)
    if scale is None:
        raise PhotoError("its decoded size does not match its header", remedy=COPY_AGAIN)
    return upright(_edge_to_edge(pixels, header, scale), header.orientation)


def _decoded(data: bytes, header: Header, needed: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode to BGR or BGRA, not turned, by the decoder that is best for the photo; if it refuses the photo, by another."""
    if header.format in _BY_EXTRA:
        return _BY_EXTRA[header.format](data)
    if header.format == "BMP" and (masked := bmp.layout_of(data)) is not None and masked.is_masked:
        return bmp.pixels(data, masked)
    if header.format == "PNG" and (frame := png.first_frame(png.sound(data))) is not None:
        with suppress(PhotoError):  # the still picture is there too
            return _on_canvas(*frame, _stored_size(header))
    by_pillow = header.has_alpha or header.is_cmyk or header.format == "PSD"
    try:
        if header.format == "TIFF" and (layout := tiff.layout_of(data)) is not None and layout.is_rare:
            return _decode_rare_tiff(data, layout)
        if header.format == "JPEG":
            return _decode_jpeg(data, header, needed)
        if header.format == "AVIF" and by_pillow and reads_avif() and (found := _avif_with_alpha(data)) is not None:
            return found
        if by_pillow:
            return _decode_by_pillow(data, header, needed)
        pixels = _decode_by_opencv(data, header, needed)
        if header.format == "BMP" and bmp.are_rows_missing(data, pixels):
            raise PhotoError("it is truncated or damaged", remedy=COPY_AGAIN)
        return pixels
    except PhotoError as error:
        for decoder in _second_opinions(data, header, needed, by_pillow):
            with suppress(PhotoError):
                return decoder()
        raise _unsupported(data, header) or error from error


def _on_canvas(data: bytes, frame: tuple[int, int, int, int], canvas: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode a PNG that is one frame of an animation, and put it on its canvas, which is clear elsewhere."""
    size = frame[2] - frame[0], frame[3] - frame[1]
    pixels = _decoded(data, probe(data, Limits(size[0] * size[1])), size)
    if pixels.shape[:2] != size[::-1]:
        raise PhotoError("its decoded size does not match its header", remedy=COPY_AGAIN)
    return pixels if size == canvas else _clear_around(pixels, frame, canvas)


def _clear_around(pixels: NDArray[np.uint8], frame: tuple[int, int, int, int], canvas: tuple[int, int]) -> NDArray[np.uint8]:
    """Put a frame, uint8 [h, w, 3 or 4], on a clear canvas ``(width, height)``: uint8 [height, width, 4] BGRA."""
    placed = np.zeros((canvas[1], canvas[0], 4), np.uint8)
    inside = placed[frame[1] : frame[3], frame[0] : frame[2]]
    inside[:, :, 3] = 255
    inside[:, :, : pixels.shape[2]] = pixels
    return placed


def _second_opinions(
    data: bytes, header: Header, needed: tuple[int, int], by_pillow: bool
) -> Iterator[Callable[[], NDArray[np.uint8]]]:
    """Yield the decoders to try if the first one refuses a photo.

    Pillow does not report what is missing of a PNG or GIF, so the pixels of these are counted first.
    """
    if header.format == "PNG":
        revived = png.revived(data)
        if revived is not None:
            if not by_pillow:
                yield lambda: _decode_by_opencv(revived, header, needed)
            yield lambda: _decode_by_pillow(revived, header, needed)
    elif header.format == "GIF":
        if not by_pillow and gif.is_whole(data):
            yield lambda: _decode_by_pillow(data, header, needed)
    elif header.format == "BMP":
        masked = bmp.layout_of(data)
        if masked is not None and not masked.compression:  # Pillow fills packed rows that break off
            yield lambda: _decode_by_pillow(data, header, needed)
    elif header.format == "AVIF" and reads_avif():
        # Pillow's decoder takes damaged pixels as they are.
        plain = avif.without_exif(data) if not by_pillow else None
        if plain is not None:
            yield lambda: _decode_by_opencv(plain, header, needed)
    elif not by_pillow and header.format != "JPEG":
        yield lambda: _decode_by_pillow(data, header, needed)
    layout = tiff.layout_of(data) if header.format == "TIFF" else None
    if layout is not None and layout.is_readable and not layout.is_rare:
        yield lambda: _decode_rare_tiff(data, layout)


def _unsupported(data: bytes, header: Header) -> PhotoError | None:
    """Return the error for a photo that may be whole, but is packed in a way that no decoder here reads; else None."""
    if header.format == "TIFF":
        return tiff.unreadable(tiff.layout_of(data))
    return bmp.unreadable(bmp.layout_of(data)) if header.format == "BMP" else None


def _decode_rare_tiff(data: bytes, layout: tiff.Layout) -> NDArray[np.uint8]:
    """Decode a TIFF whose layout Pillow and OpenCV lack, to BGR or BGRA, upright."""
    with _damage_told():
        stored = tiff.samples(data, layout, lambda plain: opened(plain, ["TIFF"], with_pixels=True))
    mode, shown, alpha = tiff.colours(stored, layout)
    image = Image.frombytes(mode, (shown.shape[1], shown.shape[0]), np.ascontiguousarray(shown).tobytes())
    rgb = inks_in_srgb(image, layout.profile) if mode == "CMYK" else lab_in_srgb(image) if mode == "LAB" else image.convert("RGB")
    bgr = cv2.cvtColor(np.asarray(rgb), cv2.COLOR_RGB2BGR)
    return upright(bgr if alpha is None else np.dstack([bgr, alpha]), layout.one(274, 1))  # type: ignore[arg-type]


def decode_or_salvage(data: bytes, header: Header, needed: tuple[int, int], limits: Limits) -> tuple[NDArray[np.uint8], bool]:
    """Decode a photo as ``decode`` does; if the limits allow it, salvage what a truncated or damaged photo still holds.

    Returns:
        The pixels, as from ``decode``, and whether some are missing. Missing pixels are black or grey.

    Raises:
        PhotoError: if the photo is damaged and the limits do not allow salvage, or nothing can be salvaged.
    """
    try:
        return decode(data, header, needed), False
    except PhotoError as error:
        if not limits.salvage:
            raise
        pixels = _salvaged(data, header, needed)
        scale = _decoded_scale(pixels, header) if pixels is not None else None
        if pixels is not None and scale is not None:
            return upright(_edge_to_edge(pixels, header, scale), header.orientation), True
        raise PhotoError(f"{error.what}, and no part of it can be salvaged", remedy=error.remedy) from error


def _salvaged(data: bytes, header: Header, needed: tuple[int, int]) -> NDArray[np.uint8] | None:
    """Return the part of a damaged photo that can be decoded, BGR or BGRA, not turned; None if there is none."""
    if header.format == "JPEG" and not header.is_cmyk:
        # With an end marker where it breaks off, libjpeg takes it as whole. The rest is grey, or coarse in a progressive JPEG.
        with suppress(PhotoError):
            pixels = _decode_by_opencv(data.rstrip(b"\xff") + jpeg.END, header, needed)
            return None if pixels.min() == pixels.max() else pixels
        return None
    if header.format == "BMP" and (ended := bmp.with_end(data)) is not None:
        with suppress(PhotoError):
            pixels = _decode_by_opencv(ended, header, needed)
            return None if pixels.min() == pixels.max() else pixels
        return None
    if header.format == "HEIF":
        with suppress(PhotoError):
            return heif.salvaged(data)
    if header.format in _BY_EXTRA:
        return None
    try:
        with opened(data, with_pixels=True) as image:
            image.draft(None, needed if header.orientation < 5 else needed[::-1])
            try:
                image.load()
            except Exception:  # as in probe; the rows before the damage are decoded
                image.tile = []
            if not any(high for _, high in _extrema(image)):
                return None
            if header.has_alpha:
                return _with_alpha(image, data)
            return without_alpha(image, header.icc_profile)
    except Exception:  # nothing can be salvaged
        return None


def _extrema(image: Image.Image) -> list[tuple[float, float]]:
    """Return the least and the greatest value in each channel."""
    extrema: Any = image.getextrema()
    return [extrema] if isinstance(extrema[0], (int, float)) else list(extrema)


def _decoded_scale(pixels: NDArray[np.uint8], header: Header) -> int | None:
    """Return how many times smaller than stored the decoded pixels are, not turned; None if their size fits no scale."""
    height, width = pixels.shape[:2]
    stored = _stored_size(header)
    scales = (1, *_REDUCED) if header.format == "JPEG" else (1,)
    return next((s for s in scales if (width, height) == (math.ceil(stored[0] / s), math.ceil(stored[1] / s))), None)


def _stored_size(header: Header) -> tuple[int, int]:
    """Return the width and height that a decoder gives, before the photo is turned."""
    return (header.width, header.height) if header.orientation < 5 else (header.height, header.width)


def scale_of(header: Header, needed: tuple[int, int]) -> int:
    """Return the largest factor that a photo can be decoded smaller by.

    Args:
        header: the photo's header.
        needed: the least size of the decoded photo, upright ``(width, height)``.

    Returns:
        1, 2, 4 or 8; 1 for every format but JPEG.
    """
    if header.format == "JPEG":
        for scale in _REDUCED:
            # The decoder rounds up: at an eighth, a side of 4001 pixels has 501.
            if math.ceil(header.width / scale) >= needed[0] and math.ceil(header.height / scale) >= needed[1]:
                return scale
    return 1


def reduction(header: Header, needed: tuple[int, int]) -> int:
    """Return OpenCV's flag for decoding at ``scale_of`` the photo."""
    return _REDUCED.get(scale_of(header, needed), cv2.IMREAD_COLOR)


def _decode_jpeg(data: bytes, header: Header, needed: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode a JPEG to BGR, not turned.

    The pixels equal OpenCV's and Pillow's. Both use the same library but ignore its warnings of damage.
    """
    scale = scale_of(header, needed)
    width, height = (math.ceil(side / scale) for side in _stored_size(header))
    try:
        stored = stored_pixels(data, "CMYK" if header.is_cmyk else "BGR", (width, height), scale)
    except NotSupportedError as error:
        if header.is_cmyk:
            return _decode_by_pillow(jpeg.sound(data) or data, header, needed)
        return _decode_odd_jpeg(data, header, needed, str(error))
    if not header.is_cmyk:
        return stored
    inks = Image.frombytes("CMYK", stored.shape[1::-1], (255 - stored).tobytes())
    return without_alpha(inks, header.icc_profile)


def _decode_odd_jpeg(data: bytes, header: Header, needed: tuple[int, int], said: str) -> NDArray[np.uint8]:
    """Decode a JPEG that libjpeg-turbo's interface does not support; if OpenCV does not either, say so."""
    try:
        return _decode_by_opencv(data, header, needed)
    except PhotoError as error:
        raise PhotoError(f"it is a kind of JPEG that cropper does not read ({said})", remedy=EXPORT_AGAIN) from error


def _decode_by_opencv(data: bytes, header: Header, needed: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode to BGR, not turned. A TIFF is the exception: both decoders return it upright."""
    if header.format == "PNG":
        data = png.sound(data)
        if png.breaks_off(data):
            raise PhotoError("it is truncated or damaged", remedy=COPY_AGAIN)
        data = png.still(data)
    data = _SOUND.get(header.format, bytes)(data)
    flags = reduction(header, needed)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        if is_out_of_memory(error):
            raise
        # The code of an assertion tells a user nothing.
        reason = "" if error.code == cv2.Error.StsAssert else f" ({' '.join(error.err.split())})"
        raise PhotoError(f"it cannot be decoded{reason}", remedy=EXPORT_AGAIN) from error
    if pixels is None:
        raise PhotoError("it is truncated or damaged", remedy=COPY_AGAIN)
    return pixels  # type: ignore[return-value]


def _avif_with_alpha(data: bytes) -> NDArray[np.uint8] | None:
    """Decode to BGRA by OpenCV; None if it does not read this kind of AVIF. Raises PhotoError if the photo is damaged."""
    try:
        pixels = cv2.imdecode(np.frombuffer(avif.without_exif(data) or data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if is_out_of_memory(error):
            raise
        return None
    if pixels is None and not avif.is_turned(data):
        raise PhotoError("it is truncated or damaged", remedy=COPY_AGAIN)
    return pixels if pixels is not None and pixels.dtype == np.uint8 and pixels.shape[2:] == (4,) else None  # type: ignore[return-value]


def _decode_by_pillow(data: bytes, header: Header, needed: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode to BGRA, or BGR if the photo has no transparency, not turned.

    OpenCV gets these photos wrong. It loses the transparent shade of a grey PNG and the alpha of a grey TIFF, and darkens the
    colours of a TIFF by their alpha. It rejects some turned AVIFs with alpha and AVIFs with EXIF that libheif writes. It treats
    CMYK as the inverse of RGB, whatever the inks are.
    """
    with _damage_told(), opened(data, with_pixels=True) as image:
        if header.has_alpha:
            return _with_alpha(image, data)
        image.draft(None, needed if header.orientation < 5 else needed[::-1])
        image.load()  # here, so that damage is not mistaken for an invalid profile
        return without_alpha(image, header.icc_profile)


@contextmanager
def _damage_told() -> Iterator[None]:
    """Turn what Pillow and a container say of damage into a PhotoError. A want of memory is none."""
    try:
        yield
    except PhotoError:
        raise
    except Exception as error:  # as in probe
        if is_out_of_memory(error):
            raise
        raise PhotoError(f"it is truncated or damaged ({reason_of(error)})", remedy=COPY_AGAIN) from error


def without_alpha(image: Image.Image, profile: bytes | None) -> NDArray[np.uint8]:
    """Return a loaded image without transparency as uint8 [h, w, 3] BGR, inks by their profile, not turned."""
    if image.mode.startswith("I;16"):  # Pillow cuts these off at 255
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
    rgb = inks_in_srgb(image, profile) if image.mode == "CMYK" else image.convert("RGB")
    return cv2.cvtColor(np.asarray(rgb), cv2.COLOR_RGB2BGR)  # type: ignore[return-value]


def with_shade(bgr: NDArray[np.uint8], image: Image.Image) -> NDArray[np.uint8]:
    """Give the pixels of a grey image of 16 bits its alpha: what has the transparent shade is clear. uint8 [h, w, 4] BGRA."""
    clear = np.asarray(image) == image.info.get("transparency")
    return np.dstack([bgr, np.where(clear, 0, 255).astype(np.uint8)])


def _with_alpha(image: Image.Image, data: bytes) -> NDArray[np.uint8]:
    """Return a photo with transparency as BGRA, from its file opened with Pillow and its bytes."""
    frame = first_frame(data, image)
    shade = image.info.get("transparency")
    if image.mode.startswith("I;16"):  # Pillow reads the transparent shade of this mode but does not apply it
        return with_shade(without_alpha(image, None), image)
    if image.format == "PNG" and image.mode == "L" and isinstance(shade, int):
        # Pillow spreads 2 and 4 bits over 8, but not the transparent shade.
        image.info["transparency"] = shade * 255 // ((1 << min(data[24], 8)) - 1)
    rgba = np.asarray(image if image.mode == "RGBA" else image.convert("RGBA"))
    bgra = cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA)
    if frame is not None:
        return _clear_around(bgra[frame[1] : frame[3], frame[0] : frame[2]], frame, image.size)  # type: ignore[arg-type]
    return psd.without_matte(bgra) if image.format == "PSD" else bgra  # type: ignore[arg-type, return-value]


def _edge_to_edge(pixels: NDArray[np.uint8], header: Header, scale: int) -> NDArray[np.uint8]:
    """Resample a JPEG that was decoded ``scale`` times smaller, not turned, so that its pixels cover the photo exactly.

    At an eighth, a photo 1297 pixels wide has 163 columns, and seven eighths of the last one lie beyond the photo's right edge.
    If the photo is then turned upside down, they lie beyond the left edge. A side that does not divide gets one more pixel.
    """
    height, width = pixels.shape[:2]
    stored = _stored_size(header)
    if stored[0] % scale == 0 and stored[1] % scale == 0:
        return pixels
    # One more pixel, because OpenCV only copies if the size does not change. The factors place the samples to the fraction.
    wider, taller = width + (stored[0] % scale > 0), height + (stored[1] % scale > 0)
    factors = wider * scale / stored[0], taller * scale / stored[1]
    larger = cv2.resize(pixels, None, fx=factors[0], fy=factors[1], interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(larger[:taller, :wider], np.uint8)


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn pixels, uint8 [h, w, 3 or 4], upright by an EXIF orientation, 1-8."""
    transposed, flip = UPRIGHT[orientation]
    if transposed:
        pixels = cv2.transpose(pixels)  # type: ignore[assignment]
    return pixels if flip is None else cv2.flip(pixels, flip)  # type: ignore[return-value]
