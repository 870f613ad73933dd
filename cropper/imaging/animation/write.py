"""Write an animation: WebP, PNG, GIF or AVIF, frame by frame as the frames come. Only the packed frames stay in memory.

WebP and PNG are made of still pictures, files of their own, each of what changes. They replace what is below them, so that
they need no disposal.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cropper.errors import PhotoError
from cropper.image_formats import QUALITY
from cropper.imaging.animation.changes import changed_box
from cropper.imaging.animation.film import shown_ms
from cropper.imaging.animation.gif_file import gif_file
from cropper.imaging.colour import GREY_SPACE, RGB_SPACE, in_srgb
from cropper.imaging.colour_tags import boxes_of
from cropper.imaging.containers import png, webp
from cropper.imaging.encode import AVIF_SPEED, Prepared
from cropper.imaging.header import Header
from cropper.imaging.metadata import NOTHING, Metadata
from cropper.imaging.opencv import cv2
from cropper.imaging.palette import palette_for

_MOST_PLAYS, _MOST_MS = 65535, (1 << 24) - 1
# The bytes of a PNG chunk around its content, and the end of the first chunk.
_AROUND, _BEHIND_HEADER = 12, 33
# The flags of a WebP's VP8X chunk.
_PROFILE, _ALPHA, _EXIF, _XMP, _ANIMATION = 0x20, 0x10, 0x08, 0x04, 0x02
_FRAME_REPLACES = 2
# The boxes of an AVIF that say when it was written, and those around them (ISO/IEC 14496-12, 8.2 to 8.4).
_WITH_TIMES, _AROUND_TIMES = (b"mvhd", b"tkhd", b"mdhd"), (b"moov", b"trak", b"mdia")


@dataclass(frozen=True)
class Timing:
    """How an animation is shown.

    Attributes:
        durations: of each frame, in milliseconds; at least two.
        plays: how often all of them are shown; 0 for without end.
        has_alpha: whether a frame is transparent anywhere.
    """

    durations: tuple[float, ...]
    plays: int
    has_alpha: bool


@dataclass(frozen=True)
class PreparedAnimation:
    """An animation as an output format takes it, to be encoded once or several times.

    Attributes:
        frames: returns the frames, as many as there are durations, all of one size, uint8 [h, w, 3] BGR or [h, w, 4] BGRA. They
            are taken one after the other, and closed at the end.
        timing: how they are shown. AVIF has no number of plays here: it plays without end.
        profile: the colour profile to write, or None.
        metadata: what to write beside it.
        format: one of ``image_formats.ANIMATED``.
    """

    frames: Callable[[], Generator[NDArray[np.uint8], None, None]]
    timing: Timing
    profile: bytes | None
    metadata: Metadata
    format: str

    def file(self, quality: int | None = None, progressive: bool = False, colours: int | None = None) -> bytes:
        """Encode the animation.

        Args:
            quality: 1..100; by default that of the format. PNG and GIF ignore it.
            progressive: ignored, as by all formats but JPEG.
            colours: the most colours, 2..256, or None for all: of a PNG, or of each frame of a GIF. Other formats ignore it.

        Raises:
            PhotoError: if a frame is damaged, or the encoder rejects one.
        """
        palette: NDArray[np.uint8] | None = None
        if self.format == "png" and colours is not None:
            with closing(self.frames()) as frames:  # all of them share one
                palette = palette_for(self._of_one_shape(frames), colours)
        with closing(self.frames()) as frames:
            timed = zip(self._of_one_shape(frames), self.timing.durations, strict=True)
            if self.format == "gif":
                return gif_file(timed, self.timing.plays, colours)
            if self.format == "avif":
                return self._avif((frame for frame, _ in timed), quality)
            write = {"png": _png, "webp": _webp}[self.format]
            return write(self._stills(timed, quality, palette), self.timing)

    def _of_one_shape(self, frames: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        return (_with_alpha(frame) if self.timing.has_alpha else frame for frame in frames)

    def _stills(
        self, frames: Iterable[tuple[NDArray[np.uint8], float]], quality: int | None, palette: NDArray[np.uint8] | None
    ) -> Iterator[_Still]:
        before: NDArray[np.uint8] | None = None
        for frame, ms in frames:
            left, upper, right, lower = changed_box(before, frame, even=self.format == "webp")
            cut = np.ascontiguousarray(frame[upper:lower, left:right])
            is_first = before is None
            still = Prepared(cut, self.profile if is_first else None, self.metadata if is_first else NOTHING, self.format)
            yield _Still((left, upper, right, lower), still.file(quality, palette=palette), ms)
            before = frame

    def _avif(self, frames: Iterator[NDArray[np.uint8]], quality: int | None) -> bytes:
        reel = _Reel(frames, len(self.timing.durations))
        file = io.BytesIO()
        try:
            reel.save(
                file,
                "AVIF",
                save_all=True,
                quality=QUALITY["avif"] if quality is None else quality,
                speed=AVIF_SPEED,
                range="limited",  # Chromium takes all sequences for such, and shows others with too much contrast
                max_threads=1,  # the same bytes, whatever the machine
                duration=[*_whole_ms(map(shown_ms, self.timing.durations))],
                icc_profile=self.profile,
                exif=self.metadata.exif or None,
                xmp=self.metadata.xmp or None,
            )
        except (OSError, ValueError) as error:
            raise PhotoError(
                "the avif encoder rejected the animation", remedy="try another --format or a smaller size"
            ) from error
        return _without_times(file.getvalue())


def prepared_animation(
    frames: Callable[[], Generator[NDArray[np.uint8], None, None]],
    timing: Timing,
    header: Header,
    format: str,
    srgb: bool = False,
) -> PreparedAnimation:
    """Bring an animation into the colours that its file has, with the photo's colour profile and the metadata of the header.

    Args:
        frames: as of ``PreparedAnimation``, in the photo's colours.
        timing: how they are shown.
        header: the header of the photo.
        format: one of ``image_formats.ANIMATED``.
        srgb: whether to convert the colours to sRGB and write no profile.
    """
    profile, metadata = header.icc_profile, header.metadata if format != "gif" else NOTHING
    if profile is not None and (srgb or format == "gif" or profile[16:20] == GREY_SPACE):
        return PreparedAnimation(partial(_in_srgb, frames, profile), timing, None, metadata, format)
    if profile is not None and profile[16:20] != RGB_SPACE:  # of inks
        profile = None
    return PreparedAnimation(frames, timing, profile, metadata, format)


def _in_srgb(
    frames: Callable[[], Generator[NDArray[np.uint8], None, None]], profile: bytes
) -> Generator[NDArray[np.uint8], None, None]:
    with closing(frames()) as of_photo:
        for frame in of_photo:
            yield in_srgb(frame, profile)


@dataclass(frozen=True)
class _Still:
    """What changes in a frame: where it lies, a file of its own, and how long the frame is shown, in milliseconds."""

    box: tuple[int, int, int, int]
    file: bytes
    ms: float


def _with_alpha(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return frame if frame.shape[2] == 4 else np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2BGRA), np.uint8)


def _whole_ms(durations: Iterable[float]) -> Iterator[int]:
    """Round times to milliseconds so that their errors do not add up."""
    end, told = 0.0, 0
    for ms in durations:
        end += ms
        yield min(round(end) - told, _MOST_MS)
        told = round(end)


def _png(stills: Iterator[_Still], timing: Timing) -> bytes:
    written = bytearray()
    number = 0
    for still in stills:
        left, upper, right, lower = still.box
        is_first = not written
        control = struct.pack(">4I", right - left, lower - upper, left, upper) + struct.pack(">HHBB", *_share(still.ms), 0, 0)
        if is_first:
            played = struct.pack(">II", len(timing.durations), timing.plays)
            written += still.file[:_BEHIND_HEADER] + png.chunk(b"acTL", played)
        is_begun = False
        for name, start, length in png.chunks_of(still.file):
            if name != b"IDAT":
                if is_first and not is_begun and name != b"IHDR":  # the profile, and what else goes along
                    written += still.file[start - 8 : start - 8 + length + _AROUND]
                continue
            if not is_begun:
                written += png.chunk(b"fcTL", struct.pack(">I", number), control)
                number, is_begun = number + 1, True
            if is_first:
                written += still.file[start - 8 : start - 8 + length + _AROUND]
            else:
                written += png.chunk(b"fdAT", struct.pack(">I", number), still.file[start : start + length])
                number += 1
    return bytes(written + png.chunk(b"IEND"))


def _share(ms: float) -> tuple[int, int]:
    """Return a time as two numbers of 16 bits, above and below a line: of a second."""
    share = Fraction(ms / 1000).limit_denominator(1000)
    most = 65535
    return (share.numerator, share.denominator) if share.numerator <= most else (min(round(ms / 1000), most), 1)


def _webp(stills: Iterator[_Still], timing: Timing) -> bytes:
    before, behind, framed = bytearray(), bytearray(), bytearray()
    flags = _ANIMATION | (_ALPHA if timing.has_alpha else 0)
    size = b""
    for still, ms in zip(stills, _whole_ms(timing.durations), strict=True):
        left, upper, right, lower = still.box
        sides = _three(right - left - 1) + _three(lower - upper - 1)
        size = size or sides
        content = _three(left // 2) + _three(upper // 2) + sides + _three(ms) + bytes([_FRAME_REPLACES])
        for name, start, length in webp.chunks_of(still.file):
            chunk = webp.chunk(name, still.file[start : start + length])
            if name in (b"ALPH", b"VP8 ", b"VP8L"):
                content += chunk
            elif name == b"ICCP":
                before, flags = before + chunk, flags | _PROFILE
            elif name in (b"EXIF", b"XMP "):
                behind, flags = behind + chunk, flags | (_EXIF if name == b"EXIF" else _XMP)
        framed += webp.chunk(b"ANMF", content)
    head = webp.chunk(b"VP8X", bytes([flags, 0, 0, 0]) + size)
    played = webp.chunk(b"ANIM", struct.pack("<IH", 0, min(timing.plays, _MOST_PLAYS)))
    return webp.file_of(b"".join([head, before, played, framed, behind]))


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")


def _without_times(avif: bytes) -> bytes:
    """Return an AVIF that does not say when it was written: the same photo has the same bytes at any time."""
    file, ahead = bytearray(avif), [(0, len(avif))]
    while ahead:
        for name, start, end in boxes_of(avif, *ahead.pop()):
            if name in _AROUND_TIMES:
                ahead.append((start, end))
            elif name in _WITH_TIMES:
                times = slice(start + 4, start + 4 + (16 if file[start] else 8))  # of 64 bits in version 1
                file[times] = bytes(times.stop - times.start)
    return bytes(file)


class _Reel(Image.Image):
    """An image of several frames, as Pillow's encoders walk through one, which takes each frame as it is asked for."""

    is_animated = True

    def __init__(self, frames: Iterator[NDArray[np.uint8]], count: int) -> None:
        super().__init__()
        self._frames, self._at, self.n_frames = frames, -1, count
        self.seek(0)

    def seek(self, frame: int) -> None:
        if frame >= self.n_frames:
            raise EOFError
        if frame <= self._at:  # Pillow goes back to the first one at the end, and does not look at it
            return
        bgr = next(self._frames)
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGRA2RGBA if bgr.shape[2] == 4 else cv2.COLOR_BGR2RGB)
        image = Image.fromarray(np.asarray(rgb, np.uint8))
        self.im, self._mode, self._size, self._at = image.im, image.mode, image.size, frame

    def tell(self) -> int:
        return self._at
