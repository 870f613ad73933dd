"""``cropper batch``: a folder of photos to a folder of thumbnails."""

from __future__ import annotations

import io
import time
from contextlib import closing, nullcontext, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from cropper.cli.options import focus_option, jobs_option, settings_options
from cropper.cli.signals import end_without, held_back
from cropper.cli.supervision import STOPPED, supervised
from cropper.cli.terminal import INTERRUPTED, SOME_FAILED, progress, say, usable_cores
from cropper.cli.types import ShardType, Where
from cropper.engine.tally import Counts, place_in_walk
from cropper.errors import UsageError
from cropper.process.supervisor import Attempt

if TYPE_CHECKING:
    from cropper.engine.job import Begin
    from cropper.ledger.shards import Shard
    from cropper.settings import Settings
    from cropper.storage.places import Place


@click.command(short_help="Make thumbnails of a folder of photos.")
@click.argument("source", metavar="IN", type=Where(exists=True))
@click.argument("out", metavar="OUT", type=Where())
@supervised
@settings_options
@focus_option
@jobs_option
@click.option(
    "--shard", type=ShardType(), metavar=ShardType.name, help="Do just this share of the photos: N runs, each with its I, do all."
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="What does the work: threads of this process, or a Ray cluster, with as many workers as --jobs says, a core each.",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="A running cluster for --engine ray; all its cores, unless --jobs says how many.  [default: one here, for this run]",
)
@click.option("--dry-run", is_flag=True, help="Decide and write the ledger, but no thumbnails.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
def batch(
    source: Place,
    out: Place,
    settings: Settings,
    focus_file: Path | None,
    jobs: int,
    shard: Shard | None,
    engine: str,
    address: str | None,
    dry_run: bool,
    quiet: bool,
    attempt: Attempt,
    focus_copy: Path | None = None,
) -> int:
    """Make thumbnails of all photos in the folder IN, in the same tree under the folder OUT.

    OUT/boxes.csv says for every photo which box was chosen and how it went. Run it again to do just what is missing or has
    changed. With several sizes, each has a folder of its own under OUT. A file IN/.focus.csv is taken as if given with --focus.

    \b
    cropper batch photos/ thumbnails/
    cropper batch photos/ thumbnails/ --size 640x360 --size 400x400 --format webp
    cropper batch photos/ decisions/ --aspect 1:1 --dry-run
    cropper batch photos/ thumbnails/ --otherwise pad --pad-with white
    cropper batch photos/ thumbnails/ --focus focus.csv
    cropper batch photos/ thumbnails/ --shard 1/4          on one of four machines; see cropper ledger merge
    cropper batch s3://bucket/photos s3://bucket/thumbs    needs the extra cloud
    cropper batch photos/ thumbnails/ --engine ray         needs the extra ray
    """
    from cropper.engine.batch import local_threads, run_batch
    from cropper.engine.pipeline import WORKERS
    from cropper.engine.plan import Resume
    from cropper.engine.tasks import try_alone
    from cropper.image_formats import PHOTO_EXTENSIONS
    from cropper.imaging.opencv import libraries_muted
    from cropper.ledger.focus_file import FOCUS_FILE, read_focus_file
    from cropper.storage.places import join

    def holds(path: str) -> bool:
        return shard is None or shard.holds(path)

    def count() -> int | None:
        if source.is_remote:  # nobody pays for a second listing
            return None
        return sum(holds(join(folder.path, name)) for folder in source.walk(PHOTO_EXTENSIONS, out) for name in folder.photos)

    if address is not None and engine != "ray":
        raise UsageError("--address is for --engine ray", remedy="give both or none")
    begin: Begin = partial(local_threads, journal=attempt.journal)
    if engine == "ray":
        from cropper.engine.cluster import ray_cluster

        context = click.get_current_context()
        given_jobs = context.get_parameter_source("jobs") is not ParameterSource.DEFAULT
        # Its workers are processes, and those that wait for a storage have threads.
        jobs = jobs if given_jobs else usable_cores()
        begin = partial(ray_cluster, address=address, every_core=not given_jobs, deadline=context.params["deadline"])
    settings = replace(settings, dry_run=dry_run)
    in_source = source.local_path / FOCUS_FILE if source.local_path is not None else None
    if focus_file is None and in_source is not None and in_source.is_file():
        focus_file = in_source
        if not quiet and not attempt.state:
            say(f"{focus_file}: taken as --focus")
    given = read_focus_file(focus_file, focus_copy) if focus_file is not None else {}
    if attempt.alone is not None:
        try_alone(source, attempt.alone, settings, given, attempt.journal)
        return 0
    strangers = {path for path in given if holds(path)}
    counts, passed = Counts.after(attempt.state)
    interrupted = False
    try:
        with (
            libraries_muted(),
            # Ray prints there, and a batch has nothing to.
            redirect_stdout(io.StringIO()) if engine == "ray" else nullcontext(),
            progress(count, quiet) as bar,
            held_back() as interrupt,
            closing(
                run_batch(
                    source, out, settings, jobs, given, lambda: interrupt.came, shard, begin, Resume(attempt.condemned, passed)
                )
            ) as photos,
        ):
            for done in photos:
                strangers.discard(done.path)
                if passed is not None and place_in_walk(done) > passed:
                    passed = None
                if passed is None:  # else an earlier attempt has counted and said it
                    counts.add(done)
                    if done.error is not None:
                        bar.say(str(done.error))
                        bar.note(failed=counts.failed)
                    if not done.unchanged:
                        attempt.journal.save(counts.until(done))
                if done.rows:
                    bar.step()
                interrupt.let_through()
    except KeyboardInterrupt:
        interrupted = True
    try:
        if interrupted:
            say(STOPPED)
        elif strangers:
            others = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
            say(f"{focus_file}: no photo in IN is called {min(strangers)}{others}; give paths as boxes.csv does")
        if not quiet:
            say(counts.summary(time.monotonic() - attempt.begun, "decided" if dry_run else "done"))
    finally:  # a second interrupt may come right here
        if interrupted:
            end_without(WORKERS, INTERRUPTED)
    if interrupted:
        return INTERRUPTED
    return SOME_FAILED if counts.failed or counts.folders_failed else 0
