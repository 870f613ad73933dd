"""Measure words and draw them on pictures, in any script. All text on pictures comes from here.

Pillow's own font has ASCII letters only. For other letters a font of the system is used. A letter that no font has is drawn as
its escape: ``caf\\xe9.jpg`` still says which file is meant.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cropper.errors import printable

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour = tuple[int, int, int]  # BGR

# File names, which Pillow looks up where Linux, macOS and Windows keep their fonts; those with most letters first.
_SYSTEM_FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "segoeui.ttf", "Arial.ttf"),
    *("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf"),
    *("Arial Unicode.ttf", "PingFang.ttc", "msyh.ttc", "msgothic.ttc"),
)
# No script has this letter, so a font draws for it what it draws for every letter that it lacks.
_IN_NO_FONT = "\uffff"
_CUT = "..."
# Pixels around the box that a font gives for words: smooth letters may reach beyond it.
_MARGIN = 2


def text_width(words: str, size: int) -> int:
    """The pixels that words take across, in letters of a size in pixels."""
    drawn, font = lettered(words, size)
    return round(font.getlength(drawn))


def capital_height(size: int) -> int:
    """The height of capitals in pixels, in letters of a size in pixels."""
    box = _bundled(size).getbbox("X")
    return round(box[3] - box[1])


def write(
    picture: NDArray[np.uint8],
    words: str,
    place: tuple[int, int],
    size: int,
    colour: Colour,
    width: int | None = None,
    flush_right: bool = False,
) -> None:
    """Draw words onto a picture, uint8 [H, W, 3] BGR, in place.

    Args:
        picture: what to draw on.
        words: one line; it need not be printable.
        place: x and y in pixels, of the left end of the baseline, or of its right end.
        size: of the letters, in pixels.
        colour: blue, green and red, 0..255 each.
        width: the most pixels that the words may take across; longer ones lose their middle. None for no limit.
        flush_right: whether the words end at the place.
    """
    drawn, font = lettered(words, size, width)
    write_line(picture, drawn, font, place, colour, flush_right)


def write_line(
    picture: NDArray[np.uint8], line: str, font: Font, place: tuple[int, int], colour: Colour, flush_right: bool = False
) -> None:
    """Draw a line that ``lettered`` or ``wrapped`` gave, in its font; other arguments as of ``write``."""
    anchor = "rs" if flush_right else "ls"
    drawing = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    left, top, right, bottom = drawing.textbbox(place, line, font, anchor=anchor)
    # Only the part around the words goes through Pillow, which needs a copy.
    x, y = max(0, int(left) - _MARGIN), max(0, int(top) - _MARGIN)
    part = picture[y : max(y, int(bottom) + _MARGIN), x : max(x, int(right) + _MARGIN)]
    if not part.size:
        return
    # Pillow keeps the order of the channels, so colours stay BGR.
    image = Image.fromarray(np.ascontiguousarray(part))
    ImageDraw.Draw(image).text((place[0] - x, place[1] - y), line, colour, font, anchor=anchor)
    part[:] = np.asarray(image)


def lettered(words: str, size: int, width: int | None = None) -> tuple[str, Font]:
    """Choose a font for words, and escape the letters that it lacks.

    Args:
        words: a file's name, for example; it need not be printable.
        size: of the letters, in pixels.
        width: the most pixels that the words may take across. Longer ones lose their middle: the end of a name says as much as
            its start. None for no limit.

    Returns:
        The words to draw, and their font.
    """
    words = printable(unicodedata.normalize("NFC", words))
    best, most = _bundled(size), -1
    for font in _fonts(size):
        count = sum(_has(font, letter) for letter in words)
        if count > most:
            best, most = font, count
        if count == len(words):
            break
    drawn = "".join(c if _has(best, c) else c.encode("unicode_escape").decode("ascii") for c in words)
    return (drawn if width is None else _cut(drawn, best, width)), best


def wrapped(words: str, font: Font, width: int, most: int) -> list[str]:
    """Break words into lines of at most ``width`` pixels; beyond ``most`` lines, the last one ends in dots."""
    lines: list[str] = []
    line = ""
    for word in words.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > width:
            lines.append(line)
            line = word
        else:
            line = longer
    lines.append(line)
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1]} {_CUT}"]
    return [_cut(line, font, width) for line in lines]


def _cut(words: str, font: Font, width: int) -> str:
    if font.getlength(words) <= width:
        return words
    fewest, too_many = 0, len(words)
    while too_many - fewest > 1:
        keep = (fewest + too_many) // 2
        if font.getlength(_without_middle(words, keep)) <= width:
            fewest = keep
        else:
            too_many = keep
    return _without_middle(words, fewest)


def _without_middle(words: str, keep: int) -> str:
    return words[: keep - keep // 2] + _CUT + words[len(words) - keep // 2 :]


@functools.cache
def _bundled(size: int) -> Font:
    return ImageFont.load_default(size)


def _fonts(size: int) -> Iterator[Font]:
    """Yield Pillow's own font, then those of the system, which are loaded only when asked for."""
    yield _bundled(size)
    for name in _SYSTEM_FONTS:
        font = _system(name, size)
        if font is not None:
            yield font


@functools.cache
def _system(name: str, size: int) -> Font | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


@functools.cache
def _has(font: Font, letter: str) -> bool:
    """Tell whether a font has a letter, or only draws a box for it."""
    if letter.isspace():
        return True
    if not isinstance(font, ImageFont.FreeTypeFont):
        return letter.isascii()
    drawn, missing = font.getmask(letter), font.getmask(_IN_NO_FONT)
    return drawn.size != missing.size or bytes(drawn) != bytes(missing)
