"""``cropper evaluate``: how well maps and boxes meet where people looked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cropper.cli.options import aspect_option
from cropper.cli.terminal import say
from cropper.cli.types import Named
from cropper.errors import UsageError

if TYPE_CHECKING:
    from cropper.evaluation.gaze import GazeSet
    from cropper.evaluation.report import Scored


DEFAULT_ASPECTS = ((1, 1), (16, 9), (9, 16), (3, 1))
# Names said before "and N more".
MOST_NAMES = 5

Item = TypeVar("Item")


def gaze_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """SET and the options that both commands take."""
    folder = click.Path(exists=True, file_okay=False, path_type=Path)
    file = click.Path(exists=True, dir_okay=False, path_type=Path)
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table."),
        click.option(
            "--model", metavar="FILE", type=file, help="An ONNX file that keeps the model contract.  [default: bundled]"
        ),
        click.option("--drop-first", is_flag=True, help="Leave out each viewer's first fixation, often just the start cross."),
        click.option("--off-centre", is_flag=True, help="Score a random window of each photo, 70 % of each side, instead."),
        click.option("--every", metavar="N", type=click.IntRange(1), default=1, help="Only every Nth photo, from the first."),
        click.argument("folder", metavar="SET", type=folder),
    ):
        command = option(command)
    return command


@click.group(short_help="Score maps and crops against where people looked.")
def evaluate() -> None:
    """Score maps and crops against where people looked.

    SET is a gaze set: a folder with images/ and fixations.csv, a table with the columns image,subject,order,x,y and a row for
    each fixation, in pixels of the image. All figures are means over the photos, with 95 % intervals by resampling the photos.
    The same input gives the same figures.

    \b
    cropper evaluate maps osie                 where the model says people look
    cropper evaluate boxes osie                the boxes it chooses, and other croppers'
    """


@evaluate.command(short_help="Score where the model says people look.")
@gaze_options
def maps(folder: Path, every: int, off_centre: bool, drop_first: bool, model: Path | None, as_json: bool) -> None:
    """Score where the model says people look in the photos of SET.

    \b
    AUC   chance that a fixation lies on a higher value than a pixel nobody looked at
    sAUC  the same, against where people look in the other photos
    NSS   standard deviations by which the map is higher at fixations than on average
    CC    correlation with the density of the fixations
    SIM   what both densities have in common
    KL    divergence from the density of the fixations, in nats; less is better
    IG    information gained over the set's own centre bias, in bits per fixation

    \b
    cropper evaluate maps osie --every 4
    cropper evaluate maps osie --every 4 --off-centre --model other.onnx --json
    """
    from cropper.evaluation import maps, report
    from cropper.model.saliency import Saliency

    predict = Saliency(model).density
    gaze_set = _read(folder, every, off_centre, drop_first)
    scores = maps.summary(list(_progress(maps.score(gaze_set.photos, predict), len(gaze_set.photos))))
    write = report.maps_json if as_json else report.maps_table
    click.echo(write(_scored(gaze_set, folder, every, off_centre, drop_first, model), scores))


@evaluate.command(short_help="Score the boxes of the model and of other croppers.")
@gaze_options
@aspect_option("Shape of the crop; repeatable.  [default: 1:1, 16:9, 9:16, 3:1]")
@click.option(
    "--boxes",
    "peers",
    type=Named(),
    metavar="NAME=FILE",
    multiple=True,
    help="Another cropper's boxes, as a CSV table; repeatable.",
)
def boxes(
    folder: Path,
    every: int,
    off_centre: bool,
    drop_first: bool,
    model: Path | None,
    as_json: bool,
    aspects: tuple[tuple[int, int], ...],
    peers: tuple[tuple[str, str], ...],
) -> None:
    """Score the boxes chosen by the model, and other croppers', on the photos of SET.

    Kept is the share of the fixations inside the box. Gap is how much of the way from the centre crop (0) to the best possible
    box (1) a cropper goes; below 0 is worse than not looking at the photo. "Half the viewers" is the box that one half of the
    viewers would choose, scored by the other half: how well people foretell each other.

    Other croppers' tables have the columns path,x,y,width,height (or w,h), in pixels of the image; the ledger of 'cropper batch'
    is one. A column size, 16:9 or 640x360, says which aspect a row is for. Without it, give a table for each aspect and write
    {aspect} where its name has 16x9.

    \b
    cropper evaluate boxes osie --every 4 --aspect 1:1 --aspect 16:9
    cropper evaluate boxes osie --every 4 --boxes ledger=out/boxes.csv
    cropper evaluate boxes osie --every 4 --boxes "sharp=peers/sharp.{aspect}.csv"
    """
    import numpy as np

    from cropper.evaluation import crops, report
    from cropper.evaluation.peers import kept_by
    from cropper.model.saliency import Saliency

    shapes = tuple(dict.fromkeys(aspects or DEFAULT_ASPECTS))
    names = [crops.OURS, *crops.REFERENCES, *(name for name, _ in peers)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two croppers are named {twice!r}", remedy="give --boxes another name")

    predict = Saliency(model).density
    gaze_set = _read(folder, every, off_centre, drop_first)
    others = {name: kept_by(pattern, gaze_set.photos, shapes) for name, pattern in peers}
    rows = list(_progress(crops.score(gaze_set.photos, shapes, predict), len(gaze_set.photos)))
    scores = crops.summary(gaze_set.photos, {name: np.array([row[name] for row in rows]) for name in rows[0]} | others)
    for name, score in scores.items():
        for (width, height), missing in zip(shapes, score.missing, strict=True):
            if missing:
                say(f"{name} has no {width}:{height} box for {len(missing)} of {len(rows)} photos: {_some(missing)}")
    write = report.boxes_json if as_json else report.boxes_table
    click.echo(write(_scored(gaze_set, folder, every, off_centre, drop_first, model), shapes, scores))


def _read(folder: Path, every: int, off_centre: bool, drop_first: bool) -> GazeSet:
    from cropper.evaluation import gaze

    gaze_set = gaze.read(folder, every, drop_first)
    if off_centre:
        gaze_set = gaze.off_centre(gaze_set)
    if gaze_set.left_out:
        total = len(gaze_set.photos) + len(gaze_set.left_out)
        say(f"{len(gaze_set.left_out)} of {total} photos left out, for want of fixations: {_some(gaze_set.left_out)}")
    return gaze_set


def _scored(gaze_set: GazeSet, folder: Path, every: int, off_centre: bool, drop_first: bool, model: Path | None) -> Scored:
    from cropper.evaluation.report import Scored

    return Scored(
        gaze_set=folder.resolve().name,
        every=every,
        off_centre=off_centre,
        first_fixations=not drop_first,
        model=model.name if model else "bundled",
        photos=len(gaze_set.photos),
        fixations=sum(len(photo.points) for photo in gaze_set.photos),
        left_out=gaze_set.left_out,
    )


def _some(names: tuple[str, ...]) -> str:
    """The first few of many names."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _progress(items: Iterator[Item], total: int) -> Iterator[Item]:
    """The items, with a bar on stderr where that is a terminal."""
    from tqdm import tqdm

    yield from tqdm(items, total=total, unit=" photos", disable=not sys.stderr.isatty(), file=sys.stderr, dynamic_ncols=True)
