"""``cropper tune``: learn from corrections how a collection wants its crops."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cropper.cli import config, tuned
from cropper.cli.exit_codes import SOME_FAILED
from cropper.cli.help import Heading, command, option
from cropper.cli.options.given_focus import strangers_of
from cropper.cli.options.shared import batch_argument, jobs_option, limits_options, photos_option
from cropper.cli.options.types import LocalPath
from cropper.cli.terminal import progress, put, put_line, tell
from cropper.errors import UsageError

if TYPE_CHECKING:
    from cropper.choosing.tune import Correction, Lesson
    from cropper.settings import Limits


@command()
@batch_argument("Learn from the boxes that you gave by hand for the batch in this folder.")
@option(
    "--good",
    metavar="FILE",
    type=LocalPath(exists=True, dir_okay=False),
    heading=Heading.PHOTOS,
    help="Learn also from the photos in this list, one path a line as in boxes.csv, whose boxes are good as they are.",
)
@option("--dry-run", is_flag=True, heading=Heading.MAKE, found=True, help="Print what was learned, and write nothing.")
@photos_option
@limits_options
@jobs_option
@click.pass_context
def tune(ctx: click.Context, out: Path, good: Path | None, dry_run: bool, source: Path | None, jobs: int, limits: Limits) -> int:
    """Learn your taste from your corrections, and write it into cropper.toml if the boxes are better by it.

    \b
    cropper batch photos/ thumbnails/ --focus focus.csv    apply corrections
    cropper tune thumbnails/                               learn from them
    cropper batch photos/ thumbnails/                      crop the rest again

    A correction is a box or a point that you gave by hand, or a box that you call good. You call it good with g on the review
    page, then Save or --focus focus.csv, or with --good. cropper needs about 30 corrections, and learns more from 100. Call some
    boxes good too, or it learns from its mistakes alone. It learns nothing from boxes that are tighter than the largest.

    The output says how many corrections the boxes meet, to within 5% of their length, before and after, on photos that cropper
    did not learn from. If more are met, beyond chance, it writes the table [choosing].

    The table goes into cropper.toml in the working folder, or into the file given with --config. If your options are in a
    pyproject.toml, it is [tool.cropper.choosing] there. It holds for every later batch, watch, boxes, crop and show in that
    folder, and 'cropper batch' says so. Delete the table to undo it.
    """
    from cropper.choosing.tune import GOOD, LEAST, learned
    from cropper.engine.corrections import corrected, look_at
    from cropper.imaging.opencv import libraries_muted

    if not dry_run and _leaves_out_config(ctx):
        raise UsageError(
            "--no-config leaves out the file that 'cropper tune' writes", remedy="add --dry-run, or drop --no-config"
        )
    found, strangers = corrected(out, _listed(good) if good is not None else frozenset())
    if strangers:
        tell(strangers_of(good, "OUT", strangers[0], len(strangers)))
    corrections: list[Correction] = []
    failed = tighter = 0
    with (
        libraries_muted(),
        progress(lambda: len(found)) as bar,
        closing(look_at(found, out, source, jobs, limits)) as photos,
    ):
        for seen in photos:
            if seen.error is not None:
                failed += 1
                bar.say(str(seen.error))
            corrections += seen.corrections
            tighter += seen.tighter
            bar.step()
    if tighter:
        tell(f"left out {tighter} {'boxes that are' if tighter > 1 else 'box that is'} tighter than the largest")
    code = SOME_FAILED if failed else 0
    if len(corrections) < LEAST:
        count = f"{len(corrections) or 'no'} correction{'' if len(corrections) == 1 else 's'}"
        put_line(f"not enough to learn from: {count}, about {LEAST} are needed")
        return code
    lesson = learned(corrections, tuned.current())
    put(report(lesson, sum(photo.by_hand for photo in found)))
    path = config.photos_file(ctx)
    if not lesson.is_better:
        left = f"{path} stays as it is" if path.exists() else "nothing is written"
        more = f"; {GOOD} corrections or more do better" if len(corrections) < GOOD else ""
        put_line(f"not better beyond noise: {left}{more}")
    elif dry_run:
        put(tuned.table_text(lesson.weights, tuned.table_of(path)))
    else:
        tuned.write(path, lesson.weights)
        put_line(f"wrote [{tuned.table_of(path)}] into {path}")
        whose = f"with --config {shlex.quote(str(path))}" if _is_named(ctx) else "that you run in this folder"
        tell(f"it holds for every later batch, watch, boxes, crop and show {whose}; to undo it, delete the table")
        tell("it holds for shapes that you did not correct, too: review them after the next batch")
        tell(f"make the crops again with 'cropper batch IN {shlex.quote(str(out))}' and the options of the last run")
    return code


def report(lesson: Lesson, by_hand: int) -> str:
    """Return what was learned, in lines."""
    from cropper.choosing.tune import share_interval

    of = len(lesson.before)
    lines = [f"{of} corrections, {by_hand} photo{'' if by_hand == 1 else 's'} by hand"]
    for title, met in (("met before", sum(lesson.before)), ("met after", sum(lesson.after))):
        low, high = share_interval(met, of)
        lines.append(f"{title:10}  {met:4} of {of}  {met / of:4.0%}  (95%: {low:.0%} to {high:.0%})")
    low, high = lesson.gain
    gain = (sum(lesson.after) - sum(lesson.before)) / of
    lines.append(
        f"gain        {100 * gain:+.0f} points  (95%: {100 * low:+.0f} to {100 * high:+.0f}), on photos that were not fitted to"
    )
    return "\n".join(lines) + "\n"


def _is_named(ctx: click.Context) -> bool:
    return ctx.parent is not None and ctx.parent.params.get("config_file") is not None


def _leaves_out_config(ctx: click.Context) -> bool:
    return ctx.parent is not None and bool(ctx.parent.params.get("no_config"))


def _listed(file: Path) -> frozenset[str]:
    """Read a list of photos, one path a line, with the bytes of names that are not UTF-8 as the table has them."""
    try:
        text = file.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", path=file) from error
    return frozenset(line.removesuffix("\r") for line in text.split("\n") if line.strip())
