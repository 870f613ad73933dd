"""``cropper batch``: a folder of photos, or a list of them, to a folder of thumbnails."""

from __future__ import annotations

import io
import os
import time
from contextlib import closing, nullcontext, redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cropper.cli import tuned
from cropper.cli.exit_codes import INTERRUPTED, SOME_FAILED, WRONG_USAGE
from cropper.cli.help import Heading, command, option
from cropper.cli.options.effects import without_effect, without_padding
from cropper.cli.options.given import sources_argument
from cropper.cli.options.given_focus import given_focus, strangers_of
from cropper.cli.options.making import facts_of, is_trial, making_options
from cropper.cli.options.manifest import manifest_options, without_hashes
from cropper.cli.options.shared import (
    deadline_option,
    focus_option,
    is_given,
    log_option,
    verbose_option,
)
from cropper.cli.options.types import Choice, Out, ShardType
from cropper.cli.report import report_option
from cropper.cli.sharing import worker_processes
from cropper.cli.signals import end_without, held_back
from cropper.cli.supervision import STOPPED, supervised
from cropper.cli.terminal import Progress, progress, say, tell, usable_cores
from cropper.errors import CropperError, UsageError
from cropper.settings import CPU, ENGINES, LOCAL, RAY

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from cropper.cli.report import Report
    from cropper.engine.job import Begin, Done
    from cropper.engine.tally import Counts
    from cropper.ledger.manifest import Manifest
    from cropper.ledger.session import Ending
    from cropper.ledger.shards import Shard
    from cropper.model.saliency import Saliency
    from cropper.process.journal import Journal
    from cropper.process.supervisor import Attempt
    from cropper.process.workers import WorkerProcess
    from cropper.settings import Settings, Upkeep
    from cropper.storage.patterns import Selection
    from cropper.storage.places import Place


@command()
@sources_argument
@click.argument("out", metavar="OUT", type=Out(), help="Write thumbnails and boxes.csv to this folder or URL.")
@report_option
@verbose_option
@log_option
@supervised
@manifest_options
@focus_option
@option(
    "--shard",
    type=ShardType(),
    metavar=ShardType.name,
    heading=Heading.PHOTOS,
    help="Process only part I of N of the photos, such as 1/4. Run each I from 1 to N once.",
)
@making_options
@option(
    "--engine",
    type=Choice(ENGINES),
    default=LOCAL,
    show_default=True,
    heading=Heading.SPEED,
    help="Run on this machine (local), or on a Ray cluster (ray), where each of the --jobs workers takes a core.",
)
@option(
    "--address",
    metavar="HOST:PORT",
    heading=Heading.SPEED,
    help="With --engine ray, use this running cluster: all its cores, or as many as --jobs says.  "
    "[default: start a cluster here for this run]",
)
@deadline_option
def batch(
    source: Place,
    out: Place,
    settings: Settings,
    focus_file: Path | None,
    jobs: int,
    shard: Shard | None,
    engine: str,
    address: str | None,
    raw: str,
    upkeep: Upkeep,
    report: Report,
    verbose: bool,
    selection: Selection,
    attempt: Attempt,
    manifest: Manifest | None,
    focus_copy: Path | None = None,
) -> int:
    """Make thumbnails of all photos in IN, in the same folders under OUT.

    OUT/boxes.csv lists the box chosen for each photo and what happened to it. Run the same command again to process only photos
    that are new, changed or unfinished. With several sizes, OUT has a folder for each.

    You can list photos instead of a folder. The thumbnails of all other photos stay as they are, and the list belongs to the
    folder that OUT was made from, or else to the deepest folder that holds them all.

    If IN/.focus.csv exists, it is used like --focus, unless you give --focus none.

    \b
    cropper batch photos/ thumbnails/
    cropper batch photos/ thumbnails/ --size 640x360 --size 400x400
    cropper batch photos/ thumbnails/ --size 400x400 --format webp
    cropper batch photos/ web/ --aspect 16:9 --width 320 --manifest web.json
    cropper batch photos/ web/ --name '{folder}/{stem}.{hash}.{ext}'
    cropper batch photos/ decisions/ --aspect 1:1 --dry-run
    cropper batch photos/ shop/ --size 800x800 --whole photo --pad-with white
    cropper batch photos/ thumbnails/ --prune --report report.jsonl
    cropper batch photos/ thumbnails/ --aspect 1:1 --aspect 4:3 --aspect 3:4 --one
    cropper batch photos/ thumbnails/ --aspect 1:1 --candidates 3
    cropper batch photos/ thumbnails/ --focus focus.csv
    find photos -newer stamp -print0 | cropper batch -0 - thumbnails/
    cropper batch photos/ thumbnails/ --exclude '*_small.jpg' --exclude drafts/

    \b
    On four machines, each with its own I/4; then 'cropper ledger merge':
    cropper batch photos/ thumbnails/ --shard 1/4

    \b
    With the extras cloud and ray:
    cropper batch s3://bucket/photos s3://bucket/thumbnails
    cropper batch photos/ thumbnails/ --engine ray
    """
    workers = (
        click.get_current_context().with_resource(worker_processes(source, out, settings, jobs, attempt))
        if engine == LOCAL
        else ()
    )

    from cropper.model.loading import loading

    model = None
    if engine == LOCAL and not workers and attempt.alone is None and settings.model is None and settings.device == CPU:
        # It loads while the rest is imported. Another model, or CUDA, may print to stderr, which is muted only later.
        model = click.get_current_context().with_resource(loading())

    from cropper.engine.batch import run_batch
    from cropper.engine.pipeline import WORKERS
    from cropper.engine.plan import Plan, Resume, chosen_of
    from cropper.engine.tally import Counts, place_in_walk
    from cropper.image_formats import extensions_here
    from cropper.imaging.opencv import libraries_muted
    from cropper.storage.places import join

    def holds(path: str) -> bool:
        return shard is None or shard.holds(path)

    def count() -> int | None:
        if source.is_remote:  # a second listing costs money
            return None
        folders = (chosen_of(folder, raw)[0] for folder in source.walk(extensions_here(), out, selection))
        return sum(holds(join(folder.path, name)) for folder in folders for name in folder.wanted)

    if shard is not None and upkeep.prune:
        remedy = "run 'cropper ledger merge OUT --finish' first, and then 'cropper batch IN OUT --prune'"
        raise UsageError("--prune needs a run without --shard: what one shard gave up another may have", remedy=remedy)
    if manifest is not None and settings.choosing.candidates > 1:
        raise UsageError("--manifest has one crop of each shape, and --candidates makes several", remedy="leave out one of them")
    deadline = click.get_current_context().params["deadline"]
    if address is not None and engine != RAY:
        raise UsageError("--address names a Ray cluster, and this run uses none", remedy="add --engine ray")
    if engine == RAY and not is_given("jobs"):
        jobs = usable_cores()  # its workers are processes, which have threads of their own where they wait for a storage
    begin = _engine_on_ray(address, deadline) if engine == RAY else _engine_here(workers, model, attempt.journal)
    if manifest is not None and report.is_file and manifest.path.exists() and os.path.samefile(report.path, manifest.path):
        raise UsageError("--report and --manifest name one file", path=manifest.path, remedy="give each its own")
    given = given_focus(source, focus_file, focus_copy, attempt)
    if is_trial(source, settings, given.by_hand, attempt):
        return 0
    counts, passed = Counts.after(attempt.state)
    report.begin(counts)
    interrupted = False
    ending = None
    selection, resume = selection.in_folder(source), Resume(attempt.condemned, passed)

    def removed(output: str) -> None:
        say_removed(out, output, report, bar, verbose)

    def outcomes(stop: Callable[[], bool]) -> Generator[Done, None, None]:
        nonlocal ending
        plan = Plan(source, out, settings, shard, resume, deadline, selection, raw, stop)
        ending = yield from run_batch(plan, jobs, given.by_hand, upkeep, begin, manifest, removed)

    try:
        with (
            libraries_muted(),
            # Ray prints to stdout, where a batch prints its report alone.
            redirect_stdout(io.StringIO()) if engine == RAY else nullcontext(),
            progress(count, is_in_the_way=report.is_on_terminal) as bar,
            held_back() as interrupt,
            closing(outcomes(lambda: interrupt.came)) as photos,
        ):
            for done in photos:
                if passed is not None and place_in_walk(done) > passed:
                    passed = None
                if passed is None:  # else an earlier attempt has counted and reported it
                    counts.add(done)
                    report.add(done, bar.say)
                    say_of(done, source, bar, counts, verbose)
                    if not done.unchanged or verbose or report.is_wanted:
                        attempt.journal.save(counts.until(done))
                if done.rows:
                    bar.step()
                interrupt.let_through()
    except KeyboardInterrupt:
        interrupted = True
    except (CropperError, OSError) as error:
        report.end(facts_of(source, out, attempt), WRONG_USAGE, say, error=error)
        raise
    code = INTERRUPTED if interrupted else SOME_FAILED if counts.failed or counts.folders_failed else 0
    try:
        report.end(facts_of(source, out, attempt), code, say, ending)
        if interrupted:
            say(STOPPED)
        elif ending is not None and ending.strangers[0]:
            number, first = ending.strangers
            say(strangers_of(given.file, "IN", first, number))
        lacks: list[str] = []
        if ending is not None and not counts.unchanged:
            lacks += without_padding(settings, counts.fits)
        if ending is not None and manifest is not None:
            lacks += without_hashes()
        tell_ending(source, settings, counts, ending, time.monotonic() - attempt.begun, lacks)
    finally:  # a second interrupt may come right here
        if interrupted:
            end_without(WORKERS, INTERRUPTED)
    return code


def _engine_here(workers: Sequence[WorkerProcess], model: Callable[[], Saliency] | None, journal: Journal) -> Begin:
    """Return the engine of this machine: the processes that were forked, or else threads of this one."""
    if workers:
        from cropper.engine.processes import local_processes

        return partial(local_processes, workers=workers, journal=journal)

    from cropper.engine.batch import local_threads

    return partial(local_threads, journal=journal, model=model)


def _engine_on_ray(address: str | None, deadline: float) -> Begin:
    """Return the engine of a Ray cluster. One at an address gives all its cores unless the user said how many."""
    from cropper.engine.cluster.coordinator import ray_cluster

    return partial(ray_cluster, address=address, every_core=not is_given("jobs"), deadline=deadline)


def tell_ending(
    source: Place, settings: Settings, counts: Counts, ending: Ending | None, seconds: float, lacks: Iterable[str] = ()
) -> None:
    """Tell what a run, or the first walk of a watch, comes to, the summary last.

    Args:
        source: the folder IN.
        settings: of the run.
        counts: what it counted.
        ending: what it found at its end; None if it was interrupted.
        seconds: how long it took.
        lacks: lines about what its own options did not do.
    """
    from cropper.engine.tally import made_again, outs_left_out

    made, again = ("decided", "decided") if settings.dry_run else ("done", "processed")
    lines: list[str | None] = [outs_left_out(str(source / counts.first_out), counts.outs)] if counts.outs else []
    if ending is not None:
        lines += without_effect(settings, counts.formats) if not settings.dry_run else ()
        lines += (*lacks, made_again(ending, again))
    lines += tuned.notice(), counts.summary(seconds, made, ending)
    for line in filter(None, lines):
        tell(line)


def say_removed(out: Place, thumbnail: str, report: Report, bar: Progress, verbose: bool) -> None:
    """Report a thumbnail that a run removed since no photo has it any more, and say so where each photo is told."""
    report.add_removed(thumbnail, bar.say)
    if verbose:
        bar.say(f"{out / thumbnail}: removed")


def say_of(done: Done, source: Place, bar: Progress, counts: Counts, verbose: bool) -> None:
    """Say what a user needs to know of a photo, or of a folder that could not be listed."""
    if done.error is not None:
        bar.say(str(done.error))
        bar.note(failed=counts.failed)
    elif verbose and done.rows:
        from cropper.engine.tally import outcome_in_words

        bar.say(f"{source / done.path}: {outcome_in_words(done)}")
    if done.dropped:
        from cropper.engine.job import DROPPED

        bar.say(f"{source / done.path}: {DROPPED}; the model chose")
