"""The ``cropper`` command: parse, call, print. No pixels here."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cropper import __version__
from cropper.errors import CropperError, PhotoError, UsageError, printable

if TYPE_CHECKING:
    from cropper.boxes import Target

SOME_FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
DEFAULT_SIZE = (640, 360)
MAX_SIDE = 16383  # what every output format can hold


class Pair(click.ParamType[tuple[int, int]]):
    """Two whole numbers joined by a sign, ``640x360`` or ``16:9``."""

    def __init__(self, name: str, sign: str, example: str) -> None:
        self.name, self.sign, self.example = name, sign, example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """The pair a user wrote; click says what is wrong with it otherwise."""
        if isinstance(value, tuple):
            return value
        numbers = str(value).lower().split(self.sign)
        if len(numbers) != 2 or not all(n.isascii() and n.isdigit() and 1 <= int(n) <= MAX_SIDE for n in numbers):
            self.fail(f"{value!r} is not two whole numbers from 1 to {MAX_SIDE} as in {self.example}", param, ctx)
        return int(numbers[0]), int(numbers[1])


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--size`` and ``--aspect``, the same in every command that takes them."""
    size = click.option(
        "--size",
        "sizes",
        type=Pair("WxH", "x", "640x360"),
        metavar="WxH",
        multiple=True,
        help="Pixels of the thumbnail; repeatable.  [default: 640x360]",
    )
    aspect = click.option(
        "--aspect",
        "aspects",
        type=Pair("W:H", ":", "16:9"),
        metavar="W:H",
        multiple=True,
        help="Shape of the crop, at the photo's own pixels; repeatable.",
    )
    return size(aspect(command))


def targets_of(sizes: Sequence[tuple[int, int]], aspects: Sequence[tuple[int, int]]) -> tuple[Target, ...]:
    """The targets asked for, each once, in the order given, sizes first; the default where none is."""
    from cropper.boxes import Target

    asked = [Target(size, size) for size in sizes] + [Target(aspect) for aspect in aspects]
    return tuple(dict.fromkeys(asked or [Target(DEFAULT_SIZE, DEFAULT_SIZE)]))


def default_jobs() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="cropper")
def cli() -> None:
    """Find the part of every photo that people look at first, and cut the thumbnail there.

    \b
    cropper batch photos/ thumbnails/          a folder of photos
    cropper show photo.jpg                     where people look, and the crop, as a picture
    """


@cli.command()
@click.argument("source", metavar="IN", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", metavar="OUT", type=click.Path(file_okay=False, path_type=Path))
@target_options
@click.option(
    "--format",
    type=click.Choice(["keep", "jpg", "png", "webp", "avif"]),
    default="keep",
    show_default=True,
    help="Of the thumbnails. TIFF, BMP and GIF photos are kept as PNG.",
)
@click.option("--quality", type=click.IntRange(1, 100), help="Of JPEG, WebP and AVIF.  [default: 85, 80, 65]")
@click.option("--enlarge", is_flag=True, help="Enlarge photos smaller than the size, rather than crop them at their own.")
@click.option("--jobs", "-j", type=click.IntRange(1), help="Worker threads.  [default: the cores this process may use]")
@click.option("--dry-run", is_flag=True, help="Decide and write the ledger, but no thumbnails.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
def batch(
    source: Path,
    out: Path,
    sizes: tuple[tuple[int, int], ...],
    aspects: tuple[tuple[int, int], ...],
    format: str,
    quality: int | None,
    enlarge: bool,
    jobs: int | None,
    dry_run: bool,
    quiet: bool,
) -> int:
    """Make thumbnails of all photos in the folder IN, in the same tree under the folder OUT.

    OUT/boxes.csv says for every photo which box was chosen and how it went. Run it again to do just what is missing or has
    changed. With several sizes, each has a folder of its own under OUT.

    \b
    cropper batch photos/ thumbnails/
    cropper batch photos/ thumbnails/ --size 640x360 --size 400x400 --format webp
    cropper batch photos/ decisions/ --aspect 1:1 --dry-run
    """
    from tqdm import tqdm

    from cropper import batch as batches
    from cropper.photo import EXTENSIONS
    from cropper.walk import walk

    settings = batches.Settings(targets_of(sizes, aspects), format, quality, enlarge, dry_run)
    made = unchanged = failed = passed_over = 0
    begun = time.monotonic()
    show_progress = not quiet and sys.stderr.isatty()
    total = sum(len(folder.photos) for folder in walk(source, EXTENSIONS, out)) if show_progress else None
    bar = tqdm(total=total, unit=" photos", disable=not show_progress, file=sys.stderr, dynamic_ncols=True)
    with bar, closing(batches.run(source, out, settings, jobs or default_jobs())) as photos:
        for done in photos:
            passed_over += done.passed_over
            if done.error is not None:
                failed += 1
                with bar.external_write_mode(sys.stderr):
                    say(str(done.error))
                bar.set_postfix(failed=failed)
            elif done.unchanged:
                unchanged += 1
            elif done.rows:
                made += 1
            if done.rows:
                bar.update()
    if not quiet:
        seconds = time.monotonic() - begun
        parts = [f"{made} {'decided' if dry_run else 'done'}", f"{unchanged} unchanged", f"{failed} failed"]
        others = f"; {passed_over} other files passed over" if passed_over else ""
        say(f"{made + unchanged + failed} photos: {', '.join(parts)}{others}; {seconds:.1f} s, {made / seconds:.0f} photos/s")
    return SOME_FAILED if failed else 0


@cli.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@target_options
@click.option(
    "-o",
    "output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The picture to write.  [default: ./NAME.saliency.png]",
)
@click.option("--open", "open_it", is_flag=True, help="Open the picture in the system's viewer.")
def show(
    image: Path,
    sizes: tuple[tuple[int, int], ...],
    aspects: tuple[tuple[int, int], ...],
    output: Path | None,
    open_it: bool,
) -> None:
    """Draw where people look in IMAGE, and the boxes chosen, and print the path of the picture.

    On a terminal that has the colours for it, and without -o, a preview is drawn there too.

    \b
    cropper show photo.jpg
    cropper show photo.jpg --aspect 1:1 --aspect 9:16 -o heat.jpg --open
    """
    from cropper.overlay import half_blocks
    from cropper.show import picture_of, save

    path = output or Path(f"{image.stem}.saliency.png")
    if path.exists() and path.samefile(image):
        raise UsageError("the picture would overwrite the photo", path=path, remedy="give another name with -o")
    picture = picture_of(image, targets_of(sizes, aspects))
    save(picture, path)
    click.echo(path)
    if output is None and can_draw():
        columns, rows = os.get_terminal_size(sys.stderr.fileno())
        click.echo(half_blocks(picture, columns, rows - 2), err=True, color=True)
    if open_it:
        click.launch(str(path))


def can_draw() -> bool:
    """Whether someone looks at a terminal that has 24-bit colours."""
    colours = os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit")
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return colours and wanted and sys.stdout.isatty() and sys.stderr.isatty()


def say(message: str) -> None:
    """One line to the user, on stderr."""
    click.echo(f"cropper: {printable(message)}", err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 all done, 1 some photos failed, 2 wrong usage, 130 interrupted."""
    try:
        code = cli.main(args=arguments, prog_name="cropper", standalone_mode=False)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "cropper"
        say(f"{error.format_message()} Try '{command} --help'.")
        code = WRONG_USAGE
    except click.ClickException as error:
        say(error.format_message())
        code = WRONG_USAGE
    except PhotoError as error:
        say(str(error))
        code = SOME_FAILED
    except CropperError as error:
        say(str(error))
        code = WRONG_USAGE
    except (click.Abort, KeyboardInterrupt):
        say("interrupted; what is finished is on disk, and the same command goes on from there")
        code = INTERRUPTED
    sys.exit(code)
