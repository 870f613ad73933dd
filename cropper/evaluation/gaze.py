"""Read gaze sets: photos and where people looked in them.

A gaze set is a folder with ``images/NAME`` and ``fixations.csv``. The table has one row for each fixation, and the columns
``image,subject,order,x,y`` and any others; x and y are in pixels of the stored image.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cropper.errors import UsageError, reading
from cropper.imaging.decode import decode
from cropper.imaging.header import Header, probe
from cropper.imaging.opencv import cv2
from cropper.imaging.resize import on_white
from cropper.storage.local import LocalPlace

TABLE = "fixations.csv"
COLUMNS = ("image", "subject", "order", "x", "y")

# How far from a fixation a viewer sees sharply: the standard deviation of the blur in the densities that predictions are scored
# against, as a share of the photo's width. About one degree of visual angle, as a photo usually fills about 30 degrees. It is
# larger than training's FIXATION_SIGMA (cropper/training/data.py), which blurs only by the eye trackers' error: a network learns
# a sharper density from it.
VIEWING_SIGMA = 0.033
# The centre bias: cells on each side, and the standard deviation of its smoothing, in cells.
BIAS_CELLS = 64
BIAS_SIGMA = 3.0

# The off-centre twin: the share of each side in a window, the fewest fixations in it, the number of tries, and the seed.
WINDOW_SHARE = 0.7
WINDOW_FIXATIONS = 30
WINDOW_TRIES = 20
WINDOW_SEED = 20181


@dataclass(frozen=True)
class GazePhoto:
    """A photo or a window of one, and the fixations in it. ``bgr`` reads the pixels on demand.

    Attributes:
        path: the stored image.
        width, height: of the photo or window, in pixels.
        points: float64 [n, 2]: x and y of at least one fixation, in pixels of the photo or window, all inside it.
        viewers: int64 [n]: the viewer of each fixation.
        corner: left and top of the window in the stored image; ``(0, 0)`` for a whole photo.
    """

    path: Path
    width: int
    height: int
    points: NDArray[np.float64]
    viewers: NDArray[np.int64]
    corner: tuple[int, int] = (0, 0)

    @property
    def name(self) -> str:
        """The file name, by which tables of boxes and fixations refer to the photo."""
        return self.path.name

    def bgr(self) -> NDArray[np.uint8]:
        """Return the pixels, uint8 [height, width, 3], upright and on white.

        Raises:
            PhotoError: if they cannot be decoded.
        """
        whole = pixels_of(self.path)
        x, y = self.corner
        return whole[y : y + self.height, x : x + self.width]

    def fixated(self) -> NDArray[np.int64]:
        """Return the pixel under each fixation: int64 [n, 2], x and y."""
        return self.points.astype(np.int64)

    def relative(self) -> NDArray[np.float64]:
        """Return the fixations as shares of the sides: float64 [n, 2], from 0 to below 1."""
        return self.points / (self.width, self.height)

    def density(self) -> NDArray[np.float64]:
        """Return the density of the fixations, each blurred by VIEWING_SIGMA: float64 [height, width], sums to 1."""
        x, y = self.fixated().T
        counts = np.zeros((self.height, self.width))
        np.add.at(counts, (y, x), 1)
        blurred = _blurred(counts, VIEWING_SIGMA * self.width)
        return blurred / blurred.sum()


@dataclass(frozen=True)
class GazeSet:
    """The photos of a set with fixations to score.

    Attributes:
        photos: in name order, at least one.
        left_out: names of photos without a fixation to score, in name order.
    """

    photos: tuple[GazePhoto, ...]
    left_out: tuple[str, ...] = ()


def read(folder: Path, every: int = 1, drop_first: bool = False) -> GazeSet:
    """Read a gaze set, without fixations that lie outside their photo.

    Args:
        folder: the set.
        every: take every Nth of the photos that the table names, in name order, from the first.
        drop_first: leave out each viewer's first fixation (``order`` 0). In many sets it only shows where the start cross was.

    Raises:
        UsageError: if the folder or its table is missing, the table is not valid, or no photo has a fixation to score.
        PhotoError: if a photo is missing or its header cannot be read.
    """
    fixations = _read_table(folder / TABLE)
    photos, left_out = [], []
    for name in sorted(fixations)[::every]:
        path = folder / "images" / name
        _, header = _open(path)
        # Columns: viewer, order, x, y.
        rows = np.array(fixations[name], np.float64)
        inside = (rows[:, 2:] >= 0).all(axis=1) & (rows[:, 2:] < (header.width, header.height)).all(axis=1)
        rows = rows[inside & (rows[:, 1] > 0) if drop_first else inside]
        if len(rows):
            photos.append(GazePhoto(path, header.width, header.height, rows[:, 2:], rows[:, 0].astype(np.int64)))
        else:
            left_out.append(name)
    if not photos:
        raise UsageError(
            "no photo has a fixation to score", path=folder / TABLE, remedy="check that x and y are pixels of the photos"
        )
    return GazeSet(tuple(photos), tuple(left_out))


def off_centre(gaze_set: GazeSet) -> GazeSet:
    """Return the off-centre twin: a random window of each photo, 70 % of each side, with its fixations; the same every time.

    Eye trackers start their viewers in the middle, and photographers place their subjects there. So a centre crop scores well on
    any gaze set. A random window removes this advantage, and its fixations are still real.

    A photo is left out if none of 20 windows has 30 fixations.

    Raises:
        UsageError: if no photo remains.
    """
    rng = np.random.default_rng(WINDOW_SEED)
    photos, left_out = [], list(gaze_set.left_out)
    for whole in gaze_set.photos:
        window = _random_window(whole, rng)
        if window is None:
            left_out.append(whole.name)
        else:
            photos.append(window)
    if not photos:
        raise UsageError(f"no photo has a window with {WINDOW_FIXATIONS} fixations", remedy="score the set without --off-centre")
    return GazeSet(tuple(photos), tuple(sorted(left_out)))


def _random_window(whole: GazePhoto, rng: np.random.Generator) -> GazePhoto | None:
    width, height = max(1, int(whole.width * WINDOW_SHARE)), max(1, int(whole.height * WINDOW_SHARE))
    for _ in range(WINDOW_TRIES):
        x = int(rng.integers(0, whole.width - width, endpoint=True))
        y = int(rng.integers(0, whole.height - height, endpoint=True))
        points = whole.points - (x, y)
        inside = ((points >= 0) & (points < (width, height))).all(axis=1)
        if inside.sum() >= WINDOW_FIXATIONS:
            viewers = whole.viewers[inside]
            return replace(whole, width=width, height=height, points=points[inside], viewers=viewers, corner=(x, y))
    return None


def centre_bias(photos: Sequence[GazePhoto]) -> NDArray[np.float64]:
    """Return where people look whatever the photo shows: the density of all photos' fixations, float64 [64, 64], for any aspect.

    It includes the fixations of the photo being scored. Cross-validation would exclude them. The bias would then predict each
    photo slightly worse, and information gains over it would be higher: by 3 % on 175 photos of OSIE.
    """
    cells = np.concatenate([viewed.relative() for viewed in photos]) * BIAS_CELLS
    counts = np.zeros((BIAS_CELLS, BIAS_CELLS))
    np.add.at(counts, (cells[:, 1].astype(int), cells[:, 0].astype(int)), 1)
    blurred = _blurred(counts, BIAS_SIGMA)
    return blurred / blurred.sum()


def at_size(density: NDArray[Any], width: int, height: int) -> NDArray[np.float64]:
    """Resize a density by interpolation between its cells: float64 [height, width], sums to 1."""
    scaled = cv2.resize(np.asarray(density, np.float64), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(scaled / scaled.sum(), np.float64)


def _blurred(counts: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    # Mirror the borders, so that a fixation near one counts as much as any other.
    return np.asarray(cv2.GaussianBlur(counts, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float64)


def pixels_of(path: Path) -> NDArray[np.uint8]:
    """Return the pixels of a photo, uint8 [height, width, 3] BGR, upright and on white.

    Raises:
        PhotoError: if it cannot be read or decoded.
    """
    data, header = _open(path)
    with reading(path):
        return on_white(decode(data, header, (header.width, header.height)))


def _open(path: Path) -> tuple[bytes, Header]:
    data, _ = LocalPlace(path).read()
    with reading(path):
        return data, probe(data)


def _read_table(path: Path) -> dict[str, list[tuple[float, float, float, float]]]:
    """Return image name -> (viewer, order, x, y) of each fixation."""
    fixations = defaultdict(list)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (lines.fieldnames or ())]
            if missing:
                remedy = f"a gaze set's table has the columns {','.join(COLUMNS)}"
                raise UsageError(f"there is no column {missing[0]!r}", path=path, remedy=remedy)
            for row in lines:
                numbers = [_number(row, column, path, lines.line_num) for column in COLUMNS[1:]]
                fixations[row["image"]].append((numbers[0], numbers[1], numbers[2], numbers[3]))
    except OSError as error:
        remedy = f"a gaze set is a folder with images/ and {TABLE}"
        raise UsageError(f"cannot be read ({error.strerror})", path=path, remedy=remedy) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"it is not a CSV table in UTF-8 ({error})", path=path) from error
    if not fixations:
        raise UsageError("it has no fixations", path=path)
    return fixations


def _number(row: dict[str, str], column: str, path: Path, line: int) -> float:
    try:
        value = float(row[column] or "")
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"line {line}: {column} is not a number: {row[column]!r}", path=path)
    return value
