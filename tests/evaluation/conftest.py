"""A small gaze set of sample photos: who looked where is made up, so that it is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures import Viewed, imread

from cropper.evaluation.gaze import GazePhoto

SAMPLES = Path(__file__).parents[2] / "sample_images"
HEADER = "image,subject,order,x,y,duration_ms"
VIEWERS = 6
PER_VIEWER = 10
# What the photo is scaled to, and where in it people look, as shares of its sides.
LOOKED_AT = {
    "a.jpg": ("astronaut.jpg", (160, 120), (0.3, 0.4)),
    "b.jpg": ("cat.jpg", (120, 160), (0.7, 0.3)),
    "c.jpg": ("dogs.jpg", (160, 120), (0.2, 0.6)),
    "d.jpg": ("wren.jpg", (200, 120), (0.6, 0.5)),
    "e.jpg": ("fig.jpg", (160, 120), (0.5, 0.7)),
}


def write_table(folder: Path, rows: Sequence[str], header: str = HEADER) -> Path:
    (folder / "fixations.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def gaze_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photos of several shapes; six viewers with ten fixations each around one place, but the first in the very middle."""
    folder = tmp_path_factory.mktemp("gaze") / "made_up"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(7)
    rows = []
    for name, (sample, (width, height), (u, v)) in LOOKED_AT.items():
        bgr = imread(str(SAMPLES / sample))
        cv2.imwrite(str(folder / "images" / name), cv2.resize(bgr, (width, height), interpolation=cv2.INTER_AREA))
        for viewer in range(VIEWERS):
            rows.append(f"{name},{viewer},0,{width / 2},{height / 2},200")
            for order in range(1, PER_VIEWER):
                x = np.clip((u + rng.normal(0, 0.07)) * width, 0, width - 0.1)
                y = np.clip((v + rng.normal(0, 0.07)) * height, 0, height - 0.1)
                rows.append(f"{name},{viewer},{order},{x:.1f},{y:.1f},200")
    return write_table(folder, rows)


@pytest.fixture
def viewed() -> Viewed:
    """Makes a photo that is not on disk, with fixations at the points given, by one viewer each unless told."""

    def make(
        points: Sequence[tuple[float, float]],
        size: tuple[int, int] = (100, 80),
        viewers: Sequence[int] | None = None,
        name: str = "p.jpg",
    ) -> GazePhoto:
        who = np.arange(len(points)) if viewers is None else np.array(viewers)
        return GazePhoto(Path(name), *size, np.array(points, np.float64).reshape(-1, 2), who)

    return make
