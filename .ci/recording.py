"""Record a terminal as `.github/terminal.svg`: what the commands below print, drawn as they follow each other.

    python .ci/recording.py        # with the cropper of this Python, on a system with pseudo-terminals

The picture plays once and then stands still; who asks for less motion sees its end at once.
"""

from __future__ import annotations

import base64
import io
import os
import pty
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = (
    ("batch", "sample_images", "thumbnails", "--size", "400x400"),
    ("batch", "sample_images", "thumbnails", "--size", "400x400"),
    ("boxes", "sample_images/wren.jpg", "--aspect", "1:1", "--template", "{width}x{height}+{x}+{y}"),
    ("show", "sample_images/trips/tourist.webp", "--aspect", "1:1"),
)
COLUMNS, ROWS = 92, 24
CELL_WIDTH, CELL_HEIGHT, BORDER = 8.43, 18, 16  # of the font below at 14 pixels
COLOURS = re.compile(r"\x1b\[([\d;]*)m")
HALF_BLOCK = "\u2580"


@dataclass(frozen=True)
class Shown:
    """Some rows of the screen, and the second at which they come."""

    second: float
    rows: int
    drawing: str


def run(arguments: tuple[str, ...]) -> str:
    """What a command writes to a terminal of 24-bit colours."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(COLORTERM="truecolor", TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(ROWS))
        os.execv(sys.executable, [sys.executable, "-m", "cropper", *arguments])
    written = b""
    try:
        while data := os.read(terminal, 65536):
            written += data
    except OSError:  # Linux says so that the other end was closed
        pass
    if os.waitpid(child, 0)[1]:
        raise SystemExit(written.decode())
    return written.decode()


def lines_of(written: str) -> list[str]:
    """The lines that stay. A progress bar is written over, and so it is not among them."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in written.split("\n")]
    return [line for line in (re.sub(r"\x1b\[[\d;?]*[A-JKhl]", "", line) for line in lines) if COLOURS.sub("", line)]


def wrapped(line: str) -> list[str]:
    """A line in pieces as wide as the terminal."""
    return [line[start : start + COLUMNS] for start in range(0, len(line), COLUMNS)]


def words(text: str, row: int, colour: str) -> str:
    """A row of letters."""
    return f'<text x="{BORDER}" y="{(row + 1) * CELL_HEIGHT - 5 + BORDER}" fill="{colour}">{escape(text)}</text>'


def picture(lines: list[str], row: int) -> str:
    """Rows of half blocks as an image of two pixels each: the upper one is the colour of the letter, the lower that behind it."""
    across = max(line.count(HALF_BLOCK) for line in lines)
    image = Image.new("RGB", (across, 2 * len(lines)), "#161b22")
    for down, line in enumerate(lines):
        upper = lower = (22, 27, 34)
        column = 0
        for part in re.split(r"(\x1b\[[\d;]*m)", line):
            if found := COLOURS.fullmatch(part):
                numbers = [int(number or 0) for number in found[1].split(";")]
                while numbers[:2] in ([38, 2], [48, 2]):
                    colour = (numbers[2], numbers[3], numbers[4])
                    upper, lower = (colour, lower) if numbers[0] == 38 else (upper, colour)
                    numbers = numbers[5:]
            for _ in range(part.count(HALF_BLOCK)):
                image.putpixel((column, 2 * down), upper)
                image.putpixel((column, 2 * down + 1), lower)
                column += 1
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode()
    place = f'x="{BORDER}" y="{row * CELL_HEIGHT + BORDER}" width="{across * CELL_WIDTH:.0f}" height="{len(lines) * CELL_HEIGHT}"'
    return f'<image {place} preserveAspectRatio="none" style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'


def output(lines: list[str], row: int) -> tuple[int, str]:
    """Draw a command's lines from a row on; give how many rows they take, too."""
    drawn, begun = [], row
    blocks = [line for line in lines if HALF_BLOCK in line]
    for line in lines:
        if HALF_BLOCK in line:
            if line is blocks[0]:
                drawn.append(picture(blocks, row))
            row += 1
            continue
        for piece in wrapped(COLOURS.sub("", line)):
            drawn.append(words(piece, row, "#c9d1d9"))
            row += 1
    return row - begun, "".join(drawn)


def typed(arguments: tuple[str, ...]) -> str:
    """The command as one would write it."""
    return " ".join(["cropper", *(f"'{word}'" if re.search(r"[{ ]", word) else word for word in arguments)])


def record() -> list[Shown]:
    """Run the commands and draw what they print."""
    shown, row, second = [], 0, 0.2
    for arguments in COMMANDS:
        pieces = wrapped(f"$ {typed(arguments)}")
        shown.append(Shown(second, len(pieces), "".join(words(piece, row + n, "#7ee787") for n, piece in enumerate(pieces))))
        row += len(pieces)
        rows, drawing = output(lines_of(run(arguments)), row)
        shown.append(Shown(second + 0.6, rows, drawing))
        row += rows
        second += 1.2  # all of it within five seconds, after which what moves would need a button that stops it
    return shown


def svg(shown: list[Shown]) -> str:
    """The whole picture. It has its last state where nothing is animated."""
    width = round(COLUMNS * CELL_WIDTH + 2 * BORDER)
    height = sum(part.rows for part in shown) * CELL_HEIGHT + 2 * BORDER
    parts = "\n".join(f'<g style="animation-delay:{part.second:.1f}s">{part.drawing}</g>' for part in shown)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">\n'
        "<title>A terminal in which cropper makes thumbnails, prints a box and shows where people look</title>\n"
        "<style>text{font:14px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}"
        "@media (prefers-reduced-motion:no-preference){g{animation:come .01s backwards}}"
        "@keyframes come{from{opacity:0}}</style>\n"
        f'<rect width="100%" height="100%" rx="8" fill="#161b22"/>\n{parts}\n</svg>\n'
    )


def main() -> None:
    """Write the picture, from a folder that has the sample photos and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "sample_images", Path(folder) / "sample_images")
        os.chdir(folder)
        drawn = svg(record())
    (ROOT / ".github" / "terminal.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
