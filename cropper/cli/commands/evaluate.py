"""``cropper evaluate``: score maps and boxes against where people looked, and boxes by the heads they cut."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from cropper.cli.groups import Group
from cropper.cli.help import Command, Function, Heading, add_options, option
from cropper.cli.options.shared import aspect_option
from cropper.cli.options.types import LocalPath, Named, WholeNumber
from cropper.cli.terminal import draws_progress, put_line, tell
from cropper.errors import UsageError

if TYPE_CHECKING:
    from cropper.evaluation.gaze import GazeSet
    from cropper.evaluation.report import Scored


DEFAULT_ASPECTS = ((1, 1), (16, 9), (9, 16), (3, 1))
# The most names in a message, before "and N more".
MOST_NAMES = 5

Item = TypeVar("Item")


_model_option = option(
    "--model",
    metavar="FILE",
    type=LocalPath(exists=True, dir_okay=False),
    help="Score this ONNX model instead of the bundled one. The model card says what it must provide.",
)
_json_option = option("--json", "as_json", is_flag=True, found=True, help="Print JSON instead of a table.")
_aspect_option = aspect_option(
    f"Score crops of this shape; repeatable.  [default: {', '.join(f'{width}:{height}' for width, height in DEFAULT_ASPECTS)}]",
    Heading.OTHER,
)
_peers_option = option(
    "--boxes",
    "peers",
    type=Named(),
    metavar=Named.name,
    multiple=True,
    help="Also score another cropper's boxes, from this CSV table, under this name; repeatable.",
)


def gaze_options(command: Function) -> Function:
    """Add SET and the options of the commands that score by gaze."""
    return add_options(
        click.argument(
            "folder",
            metavar="SET",
            type=LocalPath(exists=True, file_okay=False),
            help="Score the photos of this gaze set, a folder with images/ and fixations.csv.",
        ),
        _model_option,
        option(
            "--every",
            metavar="N",
            type=WholeNumber(1),
            default=1,
            show_default=True,
            found=True,
            help="Score only every Nth photo, starting with the first.",
        ),
        option(
            "--off-centre",
            is_flag=True,
            found=True,
            help="Score a random window of each photo, 70 % of each side, instead of the whole photo.",
        ),
        option(
            "--drop-first",
            is_flag=True,
            found=True,
            help="Leave out each viewer's first fixation, which often only shows where the start cross was.",
        ),
        _json_option,
    )(command)


@click.group(cls=Group)
def evaluate() -> None:
    """Score maps and crops against where people looked, and crops by the heads they cut.

    maps and boxes read a gaze set: a folder with images/ and fixations.csv. The table has the columns image,subject,order,x,y and
    one row for each fixation, in pixels of the image. All figures are means over the photos, with 95 % intervals from resampling
    the photos. The same input gives the same figures.

    \b
    cropper evaluate maps osie                 where the model says people look
    cropper evaluate boxes osie                its boxes, and other croppers'
    cropper evaluate heads photos heads.csv    the heads that boxes cut
    """


@evaluate.command("maps", cls=Command, short_help="Score where the model says people look.")
@gaze_options
def evaluate_maps(folder: Path, every: int, off_centre: bool, drop_first: bool, model: Path | None, as_json: bool) -> None:
    """Score where the model says people look in the photos of SET.

    \b
    AUC   chance that a fixation has a higher value than other pixels
    sAUC  the same, against fixations of the other photos
    NSS   height of the map at fixations, in standard deviations above mean
    CC    correlation with the density of the fixations
    SIM   overlap with the density of the fixations
    KL    divergence from that density, in nats; less is better
    IG    information gain over the set's centre bias, in bits per fixation

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
    put_line(write(_scored(gaze_set, folder, every, off_centre, drop_first, model), scores))


@evaluate.command("boxes", cls=Command, short_help="Score the boxes of the model and of other croppers.")
@_aspect_option
@_peers_option
@gaze_options
def evaluate_boxes(
    folder: Path,
    every: int,
    off_centre: bool,
    drop_first: bool,
    model: Path | None,
    as_json: bool,
    aspects: tuple[tuple[int, int], ...],
    peers: tuple[tuple[str, str], ...],
) -> None:
    """Score the boxes of the model and of other croppers on the photos of SET.

    Kept is the share of the fixations inside the box. Gap is how far a cropper gets from the centre crop (0) to the best possible
    box (1); below 0 is worse than the centre crop. "Half the viewers" is the box that one half of the viewers would choose,
    scored by the other half. It shows how well people predict each other.

    A table of --boxes has the columns path,x,y,width,height (or w,h), in pixels of the image. The boxes.csv of 'cropper batch' is
    such a table. A column size, such as 16:9 or 640x360, gives the aspect of a row. Without that column, give a table for each
    aspect, and write {aspect} where the file names have 16x9.

    \b
    cropper evaluate boxes osie --every 4 --aspect 1:1 --aspect 16:9
    cropper evaluate boxes osie --every 4 --boxes ledger=out/boxes.csv
    cropper evaluate boxes osie --boxes "sharp=peers/sharp.{aspect}.csv"
    """
    import numpy as np

    from cropper.evaluation import crops, report
    from cropper.evaluation.peers import kept_by
    from cropper.model.saliency import Saliency

    shapes = tuple(dict.fromkeys(aspects or DEFAULT_ASPECTS))
    _refuse_twins([crops.OURS, *crops.REFERENCES, *(name for name, _ in peers)])
    predict = Saliency(model).maps
    gaze_set = _read(folder, every, off_centre, drop_first)
    others = {name: kept_by(pattern, gaze_set.photos, shapes) for name, pattern in peers}
    rows = list(_progress(crops.score(gaze_set.photos, shapes, predict), len(gaze_set.photos)))
    scores = crops.summary(gaze_set.photos, {name: np.array([row[name] for row in rows]) for name in rows[0]} | others)
    for name, score in scores.items():
        for (width, height), missing in zip(shapes, score.missing, strict=True):
            if missing:
                tell(f"{name} has no {width}:{height} box for {len(missing)} of {len(rows)} photos: {_some(missing)}")
    write = report.boxes_json if as_json else report.boxes_table
    put_line(write(_scored(gaze_set, folder, every, off_centre, drop_first, model), shapes, scores))


@evaluate.command("heads", cls=Command, short_help="Score the heads that boxes cut.")
@click.argument(
    "folder",
    metavar="PHOTOS",
    type=LocalPath(exists=True, file_okay=False),
    help="Score the photos of this folder that have heads in the table.",
)
@click.argument(
    "heads",
    metavar="HEADS",
    type=LocalPath(exists=True, dir_okay=False),
    help="Read the heads from this CSV table: path,x,y,width,height, in pixels; paths are relative to PHOTOS.",
)
@_aspect_option
@_peers_option
@_model_option
@_json_option
def evaluate_heads(
    folder: Path,
    heads: Path,
    aspects: tuple[tuple[int, int], ...],
    peers: tuple[tuple[str, str], ...],
    model: Path | None,
    as_json: bool,
) -> None:
    """Score the heads that the boxes of the model and of other croppers cut.

    Cut is the share of the heads that a box touches and does not show whole. Not whole is the share of the heads that would fit
    into a box of the shape and are cut or left out. A head counts as whole if 95 % of its area is inside. The tables of --boxes
    are those of 'cropper evaluate boxes'.

    \b
    cropper evaluate heads photos heads.csv --aspect 16:9
    cropper evaluate heads photos heads.csv --boxes "sharp=sharp.{aspect}.csv"
    """
    import numpy as np

    from cropper.evaluation import crops, report
    from cropper.evaluation.heads import score, summary
    from cropper.model.saliency import Saliency

    shapes = tuple(dict.fromkeys(aspects or DEFAULT_ASPECTS))
    _refuse_twins([crops.OURS, crops.CENTRE, *(name for name, _ in peers)])
    rows = list(_progress(score(folder, heads, shapes, Saliency(model).maps, dict(peers)), None))
    for name in rows[0]:
        for number, (width, height) in enumerate(shapes):
            missing = sum(bool(np.isnan(row[name][number]).any()) for row in rows)
            if missing:
                tell(f"{name} has no {width}:{height} box for {missing} of {len(rows)} photos: its figures are of the others")
    write = report.heads_json if as_json else report.heads_table
    put_line(write(len(rows), shapes, summary(rows)))


def _refuse_twins(names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two croppers are named {twice!r}", remedy="give --boxes another name")


def _read(folder: Path, every: int, off_centre: bool, drop_first: bool) -> GazeSet:
    from cropper.evaluation import gaze

    gaze_set = gaze.read(folder, every, drop_first)
    if off_centre:
        gaze_set = gaze.off_centre(gaze_set)
    if gaze_set.left_out:
        total = len(gaze_set.photos) + len(gaze_set.left_out)
        tell(f"{len(gaze_set.left_out)} of {total} photos left out, because they have no fixations: {_some(gaze_set.left_out)}")
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
    """List the first few of many names."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _progress(items: Iterator[Item], total: int | None) -> Iterator[Item]:
    """Yield the items, with a progress bar if the user is to see one."""
    from tqdm import tqdm

    yield from tqdm(items, total=total, unit=" photos", disable=not draws_progress(), file=sys.stderr, dynamic_ncols=True)
