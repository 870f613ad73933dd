"""``cropper crop``: make the thumbnail of one photo."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cropper.cli.help import Heading, command, option
from cropper.cli.options.effects import check_effects, without_effect
from cropper.cli.options.focus import focus_of_one_options
from cropper.cli.options.settings import animated_option, check_is_written, settings_options
from cropper.cli.options.types import LocalPath, Photo
from cropper.cli.terminal import is_stdout, put, reading_stdin, tell
from cropper.errors import OutputError, UsageError, reading, remedy_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cropper.ledger.given import Given
    from cropper.settings import Settings

# Bytes of a photo up to which the model loads beside it. Of larger ones the pixels take most of the memory, and the model comes
# once they are scaled down.
_SMALL = 2_000_000


@command()
@click.argument(
    "image",
    metavar="IMAGE|-",
    type=Photo("cropper batch IN OUT", allow_dash=True),
    help="Crop this photo; - reads it from stdin.",
)
@option(
    "-o",
    "output",
    metavar="FILE|-",
    type=LocalPath(dir_okay=False, allow_dash=True),
    default="-",
    show_default=True,
    heading=Heading.MAKE,
    help="Write the thumbnail to this file, in the format of its extension; - writes to stdout.",
)
@focus_of_one_options
@settings_options
@animated_option
def crop(image: Path, output: Path, settings: Settings, given: Mapping[str, Given], animated: str) -> None:
    """Make the thumbnail of one photo. Both photo and thumbnail can go through a pipe.

    \b
    cropper crop photo.jpg --size 400x400 -o thumbnail.webp
    cropper crop photo.jpg --size 400x400 --at 50%,25% -o thumbnail.webp
    curl -s https://example.org/photo.jpg | cropper crop - > thumbnail.jpg
    """
    from cropper.image_formats import FORMAT_OF, FORMATS, KEEP_FORMAT
    from cropper.imaging.opencv import libraries_muted
    from cropper.model.loading import loading
    from cropper.storage.atomic import make_folder_of
    from cropper.storage.opening import open_file
    from cropper.storage.photo_file import read_opened

    settings = replace(settings, animated=animated)
    if len(settings.targets) != 1:
        remedy = "give one --size, or one --aspect and at most one --width, or use 'cropper batch'"
        raise UsageError("this command makes one thumbnail, but you gave several shapes", remedy=remedy)
    to_stdout, from_stdin = is_stdout(output), str(image) == "-"
    if not to_stdout:
        if not from_stdin and output.exists() and output.samefile(image):
            raise UsageError("the thumbnail would overwrite the photo", path=output, remedy="give another name with -o")
        if settings.format == KEEP_FORMAT:
            format = FORMAT_OF.get(output.suffix.lower())
            if format is None:
                *first, last = (one.extensions[0] for one in FORMATS if one.output)
                remedy = f"end it in {', '.join(first)} or {last}, or give --format"
                raise UsageError("the name does not say what kind of picture to write", path=output, remedy=remedy)
            check_is_written(format)
            settings = replace(settings, format=format)
            check_effects(settings)
    with reading(image):
        early = not from_stdin and image.stat().st_size <= _SMALL
    with libraries_muted(), loading(settings.model, settings.device, early) as model:
        from cropper.engine.one_photo import thumbnail  # takes as long to import as the model to load
        from cropper.engine.stages import SALVAGED

        with reading("stdin" if from_stdin else image):
            with reading_stdin() if from_stdin else open_file(image) as opened:
                data = read_opened(sys.stdin.buffer if opened is None else opened)
            made = thumbnail(data, settings, model, given)
    if made.salvaged:
        tell(f"{image}: {SALVAGED}")
    if made.too_large:
        tell(f"{image}: the thumbnail is {made.too_large}")
    for line in without_effect(settings, [made.format]):
        tell(line)
    if made.first_frame_alone:
        from cropper.engine.tally import KEEPS_FRAMES

        tell(f"{image}: only the first frame of an animation ({KEEPS_FRAMES})")
    if to_stdout:
        put(made.file)
        return
    try:
        make_folder_of(output)
        output.write_bytes(made.file)
    except OSError as error:
        remedy = remedy_for(error, "give another name with -o")
        raise OutputError(f"the thumbnail cannot be written ({error.strerror})", path=output, remedy=remedy) from error
