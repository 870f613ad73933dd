"""Words drawn on a picture, in whatever script: OpenCV's own letters are ASCII alone.

Pillow brings letters with it that are ASCII alone too. For a name in others a font of the system is looked for, and where there
is none that has a letter, its escape is drawn: ``caf\\xe9.jpg`` still says which file is meant.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator

from PIL import ImageFont

from cropper.errors import printable

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# By their file names, which Pillow looks for where Linux, macOS and Windows keep theirs; wide ones of many letters first.
_SYSTEM_FONTS = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "segoeui.ttf", "Arial.ttf"),
    *("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf"),
    *("Arial Unicode.ttf", "PingFang.ttc", "msyh.ttc", "msgothic.ttc"),
)
# No script has this letter, so what a font draws for it is what it draws for all it has not.
_IN_NO_FONT = "\uffff"
_CUT = "..."


def lettered(words: str, size: int, width: int | None = None) -> tuple[str, Font]:
    """What to draw for some words, and the font to draw it in.

    Args:
        words: a file's name for example; it need not be printable.
        size: of the letters in pixels.
        width: in pixels, of which they may take so many: longer ones lose their middle, since a name's end says as much as its
            beginning.
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
    """Words in lines of at most so many pixels, and at most so many lines."""
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
    """The bundled one, and the system's, looked for only where they are needed."""
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
    """Whether a font has a letter, or only draws a box for it."""
    if letter.isspace():
        return True
    if not isinstance(font, ImageFont.FreeTypeFont):
        return letter.isascii()
    drawn, missing = font.getmask(letter), font.getmask(_IN_NO_FONT)
    return drawn.size != missing.size or bytes(drawn) != bytes(missing)
