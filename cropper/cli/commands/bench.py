"""``cropper bench``: measure what a folder of photos costs on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cropper.cli.help import Heading, command, option
from cropper.cli.options.settings import settings_options
from cropper.cli.options.shared import jobs_option
from cropper.cli.options.types import LocalPath, WholeNumber
from cropper.cli.terminal import put_line, tell, usable_cores
from cropper.errors import UsageError

if TYPE_CHECKING:
    from cropper.engine.bench import Costs
    from cropper.settings import Settings

MEGABYTE = 1e6
HOUR = 3600
MILLION = 1_000_000


@command()
@click.argument("source", metavar="DIR", type=LocalPath(exists=True, file_okay=False), help="Measure photos of this folder.")
@option(
    "--photos",
    metavar="N",
    type=WholeNumber(1),
    default=200,
    show_default=True,
    heading=Heading.PHOTOS,
    found=True,
    help="Measure this many photos, chosen at random.",
)
@jobs_option
@settings_options
@option(
    "--rounds",
    metavar="N",
    type=WholeNumber(1, 1000),
    default=3,
    show_default=True,
    found=True,
    help="Repeat the measurement this many times and report the median.",
)
def bench(source: Path, settings: Settings, jobs: int, photos: int, rounds: int) -> None:
    """Measure what 'cropper batch' costs for the photos in DIR. Nothing is written to DIR.

    The first table shows each stage on one thread, and how many times as long it takes when --jobs threads run at once and wait
    for each other. The second compares the whole batch with a floor, both with --jobs threads. The floor is a bare OpenCV loop
    that decodes, cuts out the centre, scales, encodes and writes, and runs no model. The last line names the machine.

    \b
    cropper bench photos/
    cropper bench photos/ --size 200x200 --format webp --jobs 8
    """
    from tempfile import TemporaryDirectory

    from cropper.engine.bench import measure, sample
    from cropper.engine.machine import machine
    from cropper.engine.plan import chosen_of
    from cropper.engine.tally import outs_left_out
    from cropper.image_formats import RAW_ALONE, extensions_here
    from cropper.imaging.opencv import libraries_muted
    from cropper.storage.local import LocalPlace
    from cropper.storage.patterns import EVERYTHING
    from cropper.storage.walk import walk

    outs: list[str] = []

    def found() -> Iterator[Path]:
        for walked in walk(source, extensions_here(), selection=EVERYTHING.in_folder(LocalPlace(source))):
            folder, _ = chosen_of(walked, RAW_ALONE)
            if folder.is_out:
                outs.append(folder.path)
            yield from (source / folder.path / name for name in folder.photos)

    files = sample(found(), photos)
    if outs:
        tell(outs_left_out(str(source / outs[0]), len(outs)))
    if not files:
        raise UsageError("the folder has no photos", path=source)
    with TemporaryDirectory(prefix="cropper-bench-") as scratch, libraries_muted():
        costs = measure(files, settings, jobs, rounds, Path(scratch))
    put_line(table(costs, jobs))
    put_line(f"On {machine(usable_cores())}.")


def table(costs: Costs, jobs: int) -> str:
    """Format the figures as text."""
    whole = sum(costs.stages.values())
    lines = [f"{costs.photos} photos" + (f", {costs.failed} that cannot be read" if costs.failed else "")]
    threads = f"{jobs} thread" + ("s" if jobs > 1 else "")
    lines += ["", f"{'one thread':12}{'ms a photo':>12}{'share':>8}{f'in {threads}':>14}"]
    waiting = {**costs.waiting, "sum": sum(costs.waiting[name] * seconds for name, seconds in costs.stages.items()) / whole}
    lines += [
        f"{name:12}{seconds / costs.photos * 1e3:12.2f}{seconds / whole:8.0%}{f'x {waiting[name]:.2f}':>14}"
        for name, seconds in (*costs.stages.items(), ("sum", whole))
    ]
    lines += ["", f"{threads:12}{'photos/s':>12}{'hours a million':>18}"]
    for name, seconds in (("batch", costs.batch), ("floor", costs.floor)):
        lines.append(f"{name:12}{costs.photos / seconds:12.0f}{seconds / costs.photos * MILLION / HOUR:18.1f}")
    lines += ["", f"The batch takes {costs.ratio:.2f} times as long as the floor."]
    if costs.peak_bytes is not None:
        lines.append(f"Peak memory {costs.peak_bytes / MEGABYTE:.0f} MB.")
    return "\n".join(lines)
