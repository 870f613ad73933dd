"""The types of fixtures that are functions, and how tests read a thumbnail that is there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from cropper.choosing.boxes import best_box
from cropper.choosing.view import Maps, view_of
from cropper.geometry import Box
from cropper.image_formats import FORMATS
from cropper.ledger.table import Row, write_table
from cropper.storage.places import Place

if TYPE_CHECKING:
    from cropper.evaluation.gaze import GazePhoto


def write_rows(path: Path, rows: Iterable[Row]) -> Path:
    """Write a table of boxes, as a run does."""
    write_table((list(vars(row).values()) for row in rows), path)
    return path


def read_table(out: Place) -> str:
    """The text of the table in OUT, here or in a bucket. A place on this machine reads photos alone."""
    table = out / "boxes.csv"
    return os.fsdecode(table.local_path.read_bytes() if table.local_path is not None else table.read()[0])


# The output formats of every installation.
OUTPUTS = tuple(one.output for one in FORMATS if one.output and not one.needs)

Ended = tuple[str | int | None, str, str]
Command = Callable[..., Ended]
Complete = Callable[[str], list[str]]


class MakePhoto(Protocol):
    def __call__(self, path: Path, width: int = 96, height: int = 64, seed: int = 0) -> Path: ...


class StartProcess(Protocol):
    def __call__(
        self, *arguments: str | bytes | Path, environment: dict[str, str] | None = None, **streams: Any
    ) -> subprocess.Popen[bytes]: ...


class Viewed(Protocol):
    def __call__(
        self,
        points: Sequence[tuple[float, float]],
        size: tuple[int, int] = (100, 80),
        viewers: Sequence[int] | None = None,
        name: str = "p.jpg",
    ) -> GazePhoto: ...


class MakeBatch(Protocol):
    def __call__(self, *names: str, **settings: Any) -> tuple[Path, Path]: ...


@dataclass(frozen=True)
class Limited:
    """Sets one of the process's limits; ``lift`` has all as they were."""

    limit: Callable[[int, int], None]
    lift: Callable[[], None]

    def __call__(self, what: int, to: int) -> None:
        self.limit(what, to)


def imdecode(data: bytes) -> NDArray[np.uint8]:
    """OpenCV's, but for data that has to be an image."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels.astype(np.uint8, copy=False)


def imread(path: str, flags: int = cv2.IMREAD_COLOR) -> NDArray[np.uint8]:
    """OpenCV's, but for an image that has to be there: OpenCV gives None for one that is not."""
    pixels = cv2.imread(path, flags)
    assert pixels is not None, path
    return pixels.astype(np.uint8, copy=False)


def disc(x: float, y: float, radius: float, rows: int = 36, columns: int = 48) -> NDArray[np.float64]:
    """A round mask in a photo of 4:3, in shares of its height, as soft as its cells."""
    fine = 8
    ys, xs = (np.arange(rows * fine) + 0.5) / (rows * fine), (np.arange(columns * fine) + 0.5) / (columns * fine)
    inside = ((xs - x) * columns / rows)[None] ** 2 + (ys - y)[:, None] ** 2 <= radius**2
    return inside.reshape(rows, fine, columns, fine).mean(axis=(1, 3))


def choose(density: NDArray[np.floating], width: int, height: int, aspect: tuple[int, int]) -> Box:
    """The box that is chosen by a density alone."""
    return best_box(view_of(Maps(np.asarray(density, np.float32))), width, height, aspect)


def photos_in_two_folders(folder: Path, make_photo: MakePhoto, count: int, names: tuple[str, str] = ("", "b")) -> Path:
    """Make so many photos, by turns in two folders below one, and return that one."""
    for seed in range(count):
        make_photo(folder / names[seed % 2] / f"{seed:02}.jpg", seed=seed)
    return folder
