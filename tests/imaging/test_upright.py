"""The right picture: however a photo is stored and turned, the same box in upright pixels and the same thumbnail."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colour import delta_e
from fixtures import Command
from PIL import Image
from test_photo import STORED

FORMATS: dict[str, dict[str, Any]] = {
    "jpg": {"quality": 100, "subsampling": 0},
    "png": {},
    "webp": {"lossless": True, "method": 0},
    "avif": {"quality": 100, "subsampling": "4:4:4", "speed": 10},
    "tif": {},
}


@pytest.fixture(scope="module")
def upright(tmp_path_factory: pytest.TempPathFactory) -> Image.Image:
    with Image.open(Path(__file__).parents[2] / "sample_images" / "cat.jpg") as opened:
        return opened.convert("RGB")


def stored(upright: Image.Image, format: str, orientation: int) -> bytes:
    turned = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(upright))))
    file = io.BytesIO()
    if format == "tif":
        turned.save(file, "TIFF", tiffinfo={274: orientation})
    else:
        exif = Image.Exif()
        exif[274] = orientation
        turned.save(file, {"jpg": "JPEG"}.get(format, format.upper()), exif=exif, **FORMATS[format])
    return file.getvalue()


def test_every_orientation_in_every_format_has_the_box_and_the_thumbnail_of_the_upright_photo(
    cropper: Command, tmp_path: Path, upright: Image.Image
) -> None:
    (tmp_path / "in").mkdir()
    upright.save(tmp_path / "in" / "upright.png")
    for format in FORMATS:
        for orientation in STORED:
            (tmp_path / "in" / f"{format}{orientation}.{format}").write_bytes(stored(upright, format, orientation))
    options = ("--size", "96x96", "--size", "120x60", "--format", "png", "--quiet")
    assert cropper("batch", "in", "out", *options)[0] == 0
    with (tmp_path / "out" / "boxes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (1 + len(FORMATS) * len(STORED))
    places = ("x", "y", "width", "height")
    for size in ("96x96", "120x60"):
        (wanted,) = (row for row in rows if row["path"] == "upright.png" and row["size"] == size)
        with Image.open(tmp_path / "out" / wanted["output"]) as opened:
            thumbnail = opened.convert("RGB")
        for row in rows:
            if row["size"] != size:
                continue
            assert (row["status"], row["image_width"], row["image_height"]) == ("ok", str(upright.width), str(upright.height))
            for place in places:
                # A lossy format has other pixels for each turn, and these move a border a little.
                assert abs(int(row[place]) - int(wanted[place])) <= 2, (row["path"], place)
            with Image.open(tmp_path / "out" / row["output"]) as opened:
                # A box that lies beside the other shows fine texture at another place. A wrong turn differs by 15 or more.
                is_same = all(row[place] == wanted[place] for place in places)
                assert delta_e(opened, thumbnail) < (1 if is_same else 5), row["path"]
