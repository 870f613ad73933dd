"""``cropper batch``: a folder of photos to a folder of thumbnails."""

from __future__ import annotations

import io
import json
import re
import time
from collections import Counter
from contextlib import closing, nullcontext, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cropper.cli.options import INTERRUPTED, SOME_FAILED, Where, focus_option, jobs_option, say, settings_options, usable_cores
from cropper.cli.progress import progress
from cropper.cli.signals import end_without, held_back
from cropper.cli.supervised import STOPPED, supervised
from cropper.errors import UsageError
from cropper.supervise import Attempt
from cropper.walk import order

if TYPE_CHECKING:
    from cropper.decide import Fit
    from cropper.pipeline import Begin, Done, Settings
    from cropper.shards import Shard
    from cropper.storage import Place


class Part(click.ParamType["Shard"]):
    """One of several runs that share the photos, ``1/4``."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        """The shard a user wrote; click says what is wrong with it otherwise."""
        from cropper.shards import Shard

        if isinstance(value, Shard):
            return value
        match = re.fullmatch("([0-9]{1,6})/([0-9]{1,6})", str(value))
        if match is None:
            self.fail(f"{value!r} is not a shard's number and how many there are, as in 1/4.", param, ctx)
        try:
            return Shard(int(match[1]), int(match[2]))
        except UsageError as error:
            self.fail(f"{error}.", param, ctx)


@click.command(short_help="Make thumbnails of a folder of photos.")
@click.argument("source", metavar="IN", type=Where(exists=True))
@click.argument("out", metavar="OUT", type=Where())
@supervised
@settings_options
@focus_option
@jobs_option
@click.option(
    "--shard", type=Part(), metavar=Part.name, help="Do just this share of the photos: N runs, each with its I, do all."
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
    from cropper import batch as batches
    from cropper import focus
    from cropper.opencv import libraries_muted
    from cropper.photo import EXTENSIONS
    from cropper.pipeline import WORKERS
    from cropper.storage import folders
    from cropper.walk import join

    def holds(path: str) -> bool:
        return shard is None or shard.holds(path)

    def count() -> int | None:
        if not isinstance(source, Path):  # nobody pays for a second listing
            return None
        return sum(holds(join(folder.path, name)) for folder in folders(source, EXTENSIONS, out) for name in folder.photos)

    if address is not None and engine != "ray":
        raise UsageError("--address is for --engine ray", remedy="give both or none")
    begin: Begin = partial(batches.threads, journal=attempt.journal)
    if engine == "ray":
        from cropper.cluster import cluster

        context = click.get_current_context()
        given_jobs = context.get_parameter_source("jobs") is not ParameterSource.DEFAULT
        # Its workers are processes, and those that wait for a storage have threads.
        jobs = jobs if given_jobs else usable_cores()
        begin = partial(cluster, address=address, every_core=not given_jobs, deadline=context.params["deadline"])
    settings = replace(settings, dry_run=dry_run)
    if focus_file is None and isinstance(source, Path) and (source / focus.NAME).is_file():
        focus_file = source / focus.NAME
        if not quiet and not attempt.state:
            say(f"{focus_file}: taken as --focus")
    given = focus.read(focus_file, focus_copy) if focus_file is not None else {}
    if attempt.alone is not None:
        batches.try_alone(source, attempt.alone, settings, given, attempt.journal)
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
                batches.run(source, out, settings, jobs, given, lambda: interrupt.came, shard, begin, attempt.condemned, passed)
            ) as photos,
        ):
            for done in photos:
                strangers.discard(done.path)
                if passed is not None and _place_of(done) > passed:
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


@dataclass
class Counts:
    """What became of the photos so far."""

    made: int = 0
    unchanged: int = 0
    failed: int = 0
    folders_failed: int = 0
    passed_over: int = 0
    by_hand: int = 0
    fits: Counter[Fit] = field(default_factory=Counter)

    def add(self, done: Done) -> None:
        """Count one photo, or what there is to say of a folder."""
        from cropper.decide import BY_HAND

        self.passed_over += done.passed_over
        self.fits.update(done.fits)
        if not done.unchanged:
            self.by_hand += sum(row.message == BY_HAND for row in done.rows)
        if not done.rows:
            self.folders_failed += done.error is not None
        elif done.error is not None:
            self.failed += 1
        elif done.unchanged:
            self.unchanged += 1
        else:
            self.made += 1

    def until(self, done: Done) -> bytes:
        """The counts up to a photo, and which that is, for ``after``."""
        fits = {fit.value: count for fit, count in self.fits.items()}
        return json.dumps([{**vars(self), "fits": fits}, _place_of(done)]).encode()

    @staticmethod
    def after(state: bytes) -> tuple[Counts, list[tuple[bool, str]] | None]:
        """The counts of an earlier attempt, and the place in the walk up to which they are; none at its begin."""
        from cropper.decide import Fit

        if not state:
            return Counts(), None
        counts, place = json.loads(state)
        fits = Counter({Fit(fit): count for fit, count in counts.pop("fits").items()})
        return Counts(**counts, fits=fits), [(is_folder, name) for is_folder, name in place]

    def summary(self, seconds: float, verb: str) -> str:
        """One line for the end."""
        from cropper.decide import DONE

        photos = self.made + self.unchanged + self.failed
        parts = [f"{self.made} {verb}", f"{self.unchanged} unchanged", f"{self.failed} failed"]
        line = f"{_count(photos, 'photo')}: {', '.join(parts)}"
        if self.by_hand:
            line += f"; {_count(self.by_hand, 'crop')} as given"
        no_good = [f"{self.fits[fit]} {words}" for fit, words in DONE.items() if self.fits[fit]]
        if no_good:
            line += f"; where no crop is good: {', '.join(no_good)}"
        if self.folders_failed:
            line += f"; {_count(self.folders_failed, 'folder')} not read"
        if self.passed_over:
            line += f"; {_count(self.passed_over, 'other file')} passed over"
        line += f"; {seconds:.1f} s"
        return f"{line}, {self.made / seconds:.0f} photos/s" if self.made else line


def _place_of(done: Done) -> list[tuple[bool, str]]:
    """The key that sorts what a run gives as the walk does: what there is to say of a folder before its photos."""
    if done.rows:
        return order(done.path)
    return [(True, name) for name in done.path.split("/") if name]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
