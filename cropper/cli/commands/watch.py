"""``cropper watch``: a batch that does not end. Each photo has its thumbnail as soon as it is whole."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cropper.cli.commands.batch import say_of, say_removed, tell_ending
from cropper.cli.exit_codes import INTERRUPTED, WRONG_USAGE
from cropper.cli.help import Heading, command, option
from cropper.cli.options.given_focus import given_focus
from cropper.cli.options.making import facts_of, is_trial, making_options
from cropper.cli.options.shared import (
    deadline_option,
    focus_option,
    log_option,
    verbose_option,
)
from cropper.cli.options.types import Seconds, Where
from cropper.cli.report import report_option
from cropper.cli.signals import end_without, held_back
from cropper.cli.supervision import STOPPED, supervised
from cropper.cli.terminal import Progress, progress, say, tell
from cropper.errors import CropperError, UsageError

if TYPE_CHECKING:
    from cropper.cli.report import Report
    from cropper.ledger.session import Ending
    from cropper.process.supervisor import Attempt
    from cropper.settings import Settings, Upkeep
    from cropper.storage.patterns import Selection
    from cropper.storage.places import Place


@command()
@click.argument("source", metavar="IN", type=Where(exists=True), help="Watch this folder of photos, on this machine.")
@click.argument("out", metavar="OUT", type=Where(), help="Write thumbnails and boxes.csv to this folder.")
@report_option
@verbose_option
@log_option
@supervised
@focus_option
@making_options
@deadline_option
@option(
    "--poll",
    metavar="SECONDS",
    type=Seconds(),
    heading=Heading.PHOTOS,
    help="Look through IN this often, instead of waiting until the system tells of photos: for a network disk, where other "
    "machines put them.  [default: 2, if watchfiles is not installed]",
)
def watch(
    source: Place,
    out: Place,
    settings: Settings,
    focus_file: Path | None,
    jobs: int,
    raw: str,
    upkeep: Upkeep,
    report: Report,
    verbose: bool,
    selection: Selection,
    attempt: Attempt,
    poll: float | None,
    deadline: float = 0,
    focus_copy: Path | None = None,
) -> int:
    """Do what 'cropper batch IN OUT' does, and then make the thumbnail of each photo that comes or changes, until you stop it.

    A photo that is renamed into IN has its thumbnail at once; one that is written there, when it is whole. OUT/boxes.csv is
    brought up to date when no photo has come for a second. With --prune, the thumbnail of a deleted photo goes too.

    The library watchfiles tells of photos at once. Without it, cropper looks through IN every two seconds.

    Stop it with Ctrl-C or SIGTERM: it finishes the photos in work.

    \b
    cropper watch uploads/ thumbnails/
    cropper watch uploads/ thumbnails/ --size 400x400 --prune --verbose
    """
    from cropper.engine.pipeline import WORKERS
    from cropper.engine.plan import Plan, Resume
    from cropper.engine.tally import Counts, unread
    from cropper.engine.watching.rounds import POLL
    from cropper.engine.watching.watch import watch_folder
    from cropper.extras import install_command
    from cropper.imaging.opencv import libraries_muted
    from cropper.storage.notices import is_told_here

    for folder in (source, out):
        if folder.is_remote:
            raise UsageError("watch needs a folder on this machine", path=folder, remedy="run 'cropper batch' from time to time")
    given = given_focus(source, focus_file, focus_copy, attempt)
    if is_trial(source, settings, given.by_hand, attempt):
        return 0
    counts, before = Counts.after(attempt.state)
    is_first = before is None  # not after a crash
    at_once = ""
    if poll is None and not is_told_here():
        poll, at_once = POLL, f"; to see them at once, run: {install_command('watch')}"
    report.begin(counts)
    ending: Ending | None = None
    has_caught_up = False

    with ExitStack() as drawing:
        bar = drawing.enter_context(progress(lambda: None, is_in_the_way=report.is_on_terminal))

        def caught_up(found: Ending) -> None:
            nonlocal bar, ending, has_caught_up
            drawing.close()
            bar, ending, has_caught_up = Progress(None), found, True
            if is_first:
                tell_ending(source, settings, counts, found, time.monotonic() - attempt.begun)
                how = f" by a look every {poll:g} seconds{at_once}" if poll is not None else ""
                tell(f"{source}: watching for photos{how}")

        def removed(output: str) -> None:
            say_removed(out, output, report, bar, verbose)

        try:
            with libraries_muted(), held_back() as interrupt:
                resume, stop = Resume(attempt.condemned), lambda: interrupt.came
                plan = Plan(source, out, settings, None, resume, deadline, selection, raw, stop)
                photos = watch_folder(plan, jobs, caught_up, given.by_hand, upkeep, attempt.journal, removed, poll)

                def watched() -> Any:
                    nonlocal ending
                    ending = yield from photos

                with closing(watched()) as outcomes:
                    for done in outcomes:
                        if not (done.unchanged and not is_first):
                            counts.add(done)
                            report.add(done, bar.say)
                            say_of(done, source, bar, counts, verbose)
                            if has_caught_up and done.kinds:  # the summary of the first walk has said the others
                                tell(f"{source / done.path}: {'; '.join(unread(Counter(dict(done.kinds))))}")
                            attempt.journal.save(counts.until(done))
                        if done.rows:
                            bar.step()
        except KeyboardInterrupt:
            pass
        except (CropperError, OSError) as error:
            report.end(facts_of(source, out, attempt), WRONG_USAGE, say, error=error)
            raise
    try:
        report.end(facts_of(source, out, attempt), INTERRUPTED, say, ending)
        done = f"{counts.made} done, {counts.unchanged} unchanged, {counts.failed} failed"
        say(f"stopped; since the start {done}" if has_caught_up else STOPPED)
    finally:  # a second interrupt may come right here
        end_without(WORKERS, INTERRUPTED)
    return INTERRUPTED
