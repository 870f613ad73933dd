"""The Python API, as its documentation shows it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import imread
from numpy.typing import NDArray

import cropper
from cropper import Box, Cropper, ModelError, PhotoError, UsageError


@pytest.fixture(scope="module")
def model() -> Cropper:
    return Cropper()


@pytest.fixture
def astronaut(samples: Path) -> NDArray[np.uint8]:
    return imread(str(samples / "astronaut.jpg"))


def test_saliency_is_a_density_shaped_like_the_photo(model: Cropper, samples: Path) -> None:
    for path in [*samples.glob("*.jpg"), samples / "trips" / "skyline_panorama.jpg"]:
        photo = imread(str(path))
        density = model.saliency(photo)
        assert density.dtype == np.float32
        assert density.min() >= 0
        assert density.sum() == pytest.approx(1, abs=1e-4)
        assert density.shape[0] / density.shape[1] == pytest.approx(photo.shape[0] / photo.shape[1], rel=0.16)


def test_saliency_finds_the_face_and_the_crop_keeps_it(model: Cropper, astronaut: NDArray[np.uint8]) -> None:
    face_x, face_y = range(180, 275), range(75, 190)  # her face, from the hairline to the chin
    density = model.saliency(astronaut)
    row, column = np.unravel_index(density.argmax(), density.shape)
    assert int((column + 0.5) / density.shape[1] * 512) in face_x
    assert int((row + 0.5) / density.shape[0] * 512) in face_y
    box = model.box(astronaut, aspect=(16, 9))
    assert (box.width, box.height) == (512, 288)
    assert box.y <= face_y[0]
    assert box.y + box.height > face_y[-1]


def test_crop_is_the_box_at_exactly_the_size(model: Cropper, astronaut: NDArray[np.uint8]) -> None:
    box = model.box(astronaut, aspect=(1, 1))
    assert isinstance(box, Box)
    np.testing.assert_array_equal(model.crop(astronaut, size=(512, 512)), astronaut)
    for size in ((64, 36), (37, 91), (2000, 100), (1, 1)):
        thumbnail = model.crop(astronaut, size=size)
        assert thumbnail.shape == (size[1], size[0], 3)
        assert thumbnail.dtype == np.uint8


def test_box_is_the_same_for_every_size_of_an_aspect(model: Cropper, astronaut: NDArray[np.uint8]) -> None:
    assert model.box(astronaut, aspect=(640, 360)) == model.box(astronaut, aspect=(16, 9))


def test_a_view_of_an_array_is_as_good_as_an_array(model: Cropper, astronaut: NDArray[np.uint8]) -> None:
    rgb = np.ascontiguousarray(astronaut[:, :, ::-1])
    np.testing.assert_array_equal(model.saliency(rgb[:, :, ::-1]), model.saliency(astronaut))
    np.testing.assert_array_equal(model.crop(rgb[:, :, ::-1], (160, 90)), model.crop(astronaut, (160, 90)))


def test_threads_may_share_a_cropper(model: Cropper, samples: Path) -> None:
    photos = [imread(str(path)) for path in sorted(samples.glob("*.jpg"))]
    alone = [model.box(photo, (1, 2)) for photo in photos]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda photo: model.box(photo, (1, 2)), photos * 3)) == alone * 3


@pytest.mark.parametrize("photo", [np.zeros((0, 10, 3), np.uint8), np.zeros((10, 10, 2), np.uint8), np.zeros((4, 4), np.int64)])
def test_what_is_no_photo_is_refused(model: Cropper, photo: NDArray[Any]) -> None:
    for call in (model.saliency, lambda p: model.box(p, (1, 1)), lambda p: model.crop(p, (8, 8))):
        with pytest.raises(PhotoError):
            call(photo)


@pytest.mark.parametrize("size", [(0, 10), (10, -1)])
def test_a_size_without_area_is_refused(model: Cropper, astronaut: NDArray[np.uint8], size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="no area"):
        model.crop(astronaut, size)
    with pytest.raises(UsageError, match="no area"):
        model.box(astronaut, size)


def test_another_model_may_be_given_and_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model"):
        Cropper(model=tmp_path / "mine.onnx")


def test_all_public_names_are_there() -> None:
    assert {name for name in cropper.__all__ if not hasattr(cropper, name)} == set()
    with pytest.raises(AttributeError, match="no attribute 'Croper'"):
        _ = cropper.Croper


def test_importing_loads_none_of_the_heavy_libraries() -> None:
    code = "import cropper, sys; print({'numpy', 'cv2', 'onnxruntime', 'PIL', 'tqdm'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
