"""Compares cropper with other croppers: the fixations that their boxes keep, the heads that they cut, and their time a photo.

    python tests/bench/quality.py osie heads.csv boxes/ --off-centre windows/ --every 4 --photos PHOTOS --json .ci/quality.json

osie is a gaze set, heads.csv what heads.py writes, and boxes/ has a table of boxes for each cropper and aspect, path,x,y,w,h:
CROPPERS below names the files. Boxes for --off-centre are those on the windows of `cropper evaluate boxes --off-centre`. A
cropper without tables is left out. With --photos, all that are installed here are timed on copies of those photos, as compare.py
does it and says. `python .ci/chart.py` draws the chart and writes the tables of the pages from the JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import click
import numpy as np
from compare import contenders, photos_in, ratio, timed

from cropper.cli.commands.evaluate import DEFAULT_ASPECTS
from cropper.cli.terminal import usable_cores
from cropper.engine.machine import machine
from cropper.errors import CropperError
from cropper.evaluation import crops, gaze, heads
from cropper.evaluation.peers import kept_by
from cropper.model.saliency import Saliency

SIZE, JOBS = (640, 360), 2


@dataclass(frozen=True)
class Cropper:
    """Who is compared: the name in a report, that of the tables of boxes, and that in compare.py, where there are such."""

    name: str
    boxes: str | None
    timed: str | None


CROPPERS = (
    Cropper(crops.OURS, None, "cropper"),
    Cropper("autocrop 2.0", "autocrop-face", "autocrop"),
    Cropper("FastGaze, most mass", "fastgaze-mass", None),
    Cropper("FastGaze, as Twitter used it", "fastgaze-argmax", None),
    Cropper("thumbor 7.8 smart", "thumbor-smart", "thumbor"),
    Cropper("smart-crop-ai 0.1.0", "smart-crop-ai-auto", "smart_crop_ai"),
    Cropper("smartcrop.js 2.0.5", "smartcrop-js", "smartcrop.js"),
    Cropper("sharp 0.35.5 attention", "sharp-attention", "sharp"),
    Cropper(crops.CENTRE, None, "floor"),
)


@dataclass(frozen=True)
class Figures:
    """What a cropper comes to, over all aspects; None where it was not measured.

    Attributes:
        kept: the share of fixations inside its boxes, 0..1.
        gap: how far that is from the centre crop (0) to the best possible box (1).
        off_centre: the gap on random windows of the photos.
        heads_cut: the share of the heads in its boxes that are not whole, 0..1.
        heads_not_whole: the share of the heads that would fit and are cut or left out, 0..1.
        milliseconds: a photo's share of what a whole command takes of a core, all its processes and threads together.
        of_floor: how many times as much that is as of a command that decodes, cuts the centre out and encodes.
    """

    name: str
    kept: float
    gap: float
    off_centre: float | None
    heads_cut: float
    heads_not_whole: float
    milliseconds: float | None = None
    of_floor: float | None = None


def by_gaze(gaze_set: gaze.GazeSet, model: Saliency, tables: Mapping[str, str]) -> dict[str, crops.CropScore]:
    """Score the boxes of all croppers that have tables, and the references."""
    rows = list(crops.score(gaze_set.photos, DEFAULT_ASPECTS, model.maps))
    ours = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    others = {name: kept_by(pattern, gaze_set.photos, DEFAULT_ASPECTS) for name, pattern in tables.items()}
    return crops.summary(gaze_set.photos, ours | others)


def scored(
    folder: Path, heads_table: Path, boxes: Path, off_centre: Path | None, every: int
) -> tuple[gaze.GazeSet, dict[str, Figures]]:
    """Score the boxes of all croppers that have tables, by gaze and by heads, without their times."""
    model = Saliency()
    gaze_set = gaze.read(folder, every)
    tables = tables_in(boxes)
    looked_at = by_gaze(gaze_set, model, tables)
    windows = by_gaze(gaze.off_centre(gaze_set), model, tables_in(off_centre)) if off_centre else {}
    whole = heads.summary(list(heads.score(folder / "images", heads_table, DEFAULT_ASPECTS, model.maps, tables)))
    return gaze_set, {
        name: Figures(
            name,
            looked_at[name].mean_kept.value,
            looked_at[name].mean_gap.value,
            windows[name].mean_gap.value if name in windows else None,
            whole[name][-1].cut.value,
            whole[name][-1].not_whole.value,
        )
        for name in whole
    }


def tables_in(folder: Path) -> dict[str, str]:
    """Who has tables in a folder, and the pattern of their names."""
    width, height = DEFAULT_ASPECTS[0]
    return {
        one.name: str(folder / f"{one.boxes}.{{aspect}}.csv")
        for one in CROPPERS
        if one.boxes and (folder / f"{one.boxes}.{width}x{height}.csv").exists()
    }


def speeds(photos: Path, count: int, rounds: int, peers: str) -> dict[str, tuple[float, float]]:
    """Time who is installed: the name in compare.py -> milliseconds of a core a photo, and times as much as the floor.

    Seconds of a core, because a busy machine does not change them, while it changes how croppers compare by the clock.
    """
    wanted = {one.timed for one in CROPPERS}
    here = {name: contender for name, contender in contenders(SIZE, JOBS, peers).items() if name in wanted}
    runs = timed(photos_in(photos), count, rounds, here, f"to {SIZE[0]}x{SIZE[1]} with {JOBS} jobs")
    return {
        name: (median(run.core_seconds for run in of_name) / count * 1000, ratio(of_name, runs["floor"], "core_seconds"))
        for name, of_name in runs.items()
    }


def table(all_figures: Sequence[Figures]) -> str:
    """A text table with a line for each cropper."""
    titles = ("kept", "gap", "off-centre", "heads cut", "not whole", "ms a photo", "of floor")
    lines = [f"{'':30}" + "".join(f"{title:>12}" for title in titles)]
    for figures in all_figures:
        name, *numbers = asdict(figures).values()
        lines.append(f"{name:30}" + "".join(f"{'-' if number is None else f'{number:.3f}':>12}" for number in numbers))
    return "\n".join(lines)


@click.command()
@click.argument("folder", metavar="SET", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("heads_table", metavar="HEADS", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("boxes", metavar="BOXES", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--off-centre", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Boxes on windows of the photos."
)
@click.option("--every", default=1, show_default=True, help="Score only every Nth photo.")
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Time on copies of these photos.")
@click.option("--count", default=165, show_default=True, help="How many copies.")
@click.option("--rounds", default=7, show_default=True)
@click.option("--peers", default=sys.executable, metavar="PYTHON", help="The interpreter that has the croppers in Python.")
@click.option("--note", default="", metavar="TEXT", help="What else there is to say of the times, for the JSON.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there, too.")
def main(
    folder: Path,
    heads_table: Path,
    boxes: Path,
    off_centre: Path | None,
    every: int,
    photos: Path | None,
    count: int,
    rounds: int,
    peers: str,
    note: str,
    json_file: Path | None,
) -> None:
    """Compare cropper with other croppers on the gaze set SET."""
    try:
        gaze_set, scores = scored(folder, heads_table, boxes, off_centre, every)
    except CropperError as error:
        raise click.ClickException(str(error)) from error
    times = speeds(photos, count, rounds, peers) if photos else {}
    found = []
    for one in CROPPERS:
        if one.name in scores:
            milliseconds, of_floor = times.get(one.timed or "", (None, None))
            found.append(replace(scores[one.name], milliseconds=milliseconds, of_floor=of_floor))
    click.echo(table(found))
    if json_file:
        report = {
            "set": folder.name if every == 1 else f"{folder.name} (1 in {every})",
            "photos": len(gaze_set.photos),
            "machine": machine(usable_cores()),
            "timed": {"photos": count, "rounds": rounds, "jobs": JOBS, "note": note} if photos else None,
            "croppers": [
                {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(figures).items()}
                for figures in found
            ],
        }
        json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
