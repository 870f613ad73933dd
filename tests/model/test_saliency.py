"""The ONNX session and the shapes photos are given to it in. Nothing here depends on what the bundled model finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropper import ModelError
from cropper.model.inputs import SHAPES, prepare, shape_for
from cropper.model.saliency import BUNDLED_MODEL, Saliency


@pytest.fixture(scope="module")
def model() -> Saliency:
    return Saliency()


@given(st.integers(1, 3000), st.floats(0.1, 10))
def test_no_photo_between_1_10_and_10_1_is_squashed_beyond_15_percent(height: int, aspect: float) -> None:
    width = max(1, round(height * aspect))
    if not 0.1 <= width / height <= 10:
        return
    model_height, model_width = shape_for(width, height)
    squash = (width / height) / (model_width / model_height)
    assert 1 / 1.15 <= squash <= 1.15


@given(st.integers(1, 20000), st.integers(1, 20000))
def test_a_photo_on_its_side_gets_the_shape_on_its_side(width: int, height: int) -> None:
    if width != height:
        assert shape_for(height, width) == shape_for(width, height)[::-1]


def test_the_bundled_model_is_small_to_install() -> None:
    assert BUNDLED_MODEL.stat().st_size <= 3_000_000


def test_shapes_suit_the_model_and_cost_about_the_same() -> None:
    assert all(height % 32 == 0 and width % 32 == 0 for height, width in SHAPES)
    areas = [height * width for height, width in SHAPES]
    assert max(areas) <= 2 * min(areas)


@pytest.mark.parametrize("shape", SHAPES)
def test_maps_are_the_same_alone_and_in_a_batch(model: Saliency, shape: tuple[int, int]) -> None:
    """Which photos share a batch depends on the timing of threads; what is decided must not."""
    images = np.random.default_rng(1).integers(0, 256, (5, *shape, 3), np.uint8)
    together = model.infer(images)
    for image, maps in zip(images, together, strict=True):
        (alone,) = model.infer(image[None])
        np.testing.assert_array_equal(alone.density, maps.density)
        np.testing.assert_array_equal(alone.subject, maps.subject)
        np.testing.assert_array_equal(alone.head, maps.head)


@pytest.mark.parametrize("shape", [SHAPES[0], (256, 256), SHAPES[-1]])
def test_maps_keep_the_models_contract(model: Saliency, shape: tuple[int, int]) -> None:
    images = np.random.default_rng(2).integers(0, 256, (3, *shape, 3), np.uint8)
    maps = model.infer(images)
    for subject, head in ((one.subject, one.head) for one in maps):
        for mask in (subject, head):
            assert mask is not None
            assert mask.dtype == np.float32
            assert mask.shape == maps[0].density.shape
            assert 0 <= mask.min() <= mask.max() <= 1
    densities = np.stack([one.density for one in maps])
    assert densities.dtype == np.float32
    assert len(densities) == 3
    assert densities.min() >= 0
    np.testing.assert_allclose(densities.sum(axis=(1, 2)), 1, atol=1e-4)
    assert densities.shape[1] / densities.shape[2] == pytest.approx(shape[0] / shape[1])


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (33, 1000), (1000, 90), (700, 500)])
def test_one_photo_of_any_size_has_a_density(model: Saliency, size: tuple[int, int]) -> None:
    photo = np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)
    density = model.density(photo)
    assert density.ndim == 2
    assert density.sum() == pytest.approx(1, abs=1e-4)


def test_the_model_looks_at_the_photo(model: Saliency) -> None:
    """A light disc on the left and one on the right: each draws the gaze to its side, whichever model is bundled."""
    y, x = np.mgrid[0:256, 0:256]
    maps = []
    for column in (50, 206):
        photo = np.full((256, 256, 3), 60, np.uint8)
        photo[(x - column) ** 2 + (y - 128) ** 2 < 30**2] = (40, 200, 255)
        density = model.density(photo)
        maps.append(float(density[:, density.shape[1] // 2 :].sum()))
    assert maps[0] < 0.5 < maps[1]


def test_a_photo_is_averaged_down_not_sampled() -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.unique(prepare(stripes, (256, 256))).tolist() == [100]


def test_a_photo_is_prepared_in_the_shape_asked_for() -> None:
    assert prepare(np.zeros((10, 2000, 3), np.uint8), (64, 608)).shape == (64, 608, 3)
    assert prepare(np.zeros((10, 10, 3), np.uint8), (256, 256)).dtype == np.uint8


def test_a_missing_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model file") as caught:
        Saliency(tmp_path / "none.onnx")
    assert str(tmp_path / "none.onnx") in str(caught.value)


def test_a_file_that_is_no_model_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ModelError, match="onnxruntime cannot load it"):
        Saliency(tmp_path / "text.onnx")


def test_a_model_with_another_contract_is_said(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [None, 3, None, None])
    density = onnx.helper.make_tensor_value_info("density", onnx.TensorProto.FLOAT, [None, 3, None, None])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["image"], ["density"])], "other", [image], [density])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="does not keep the model contract"):
        Saliency(tmp_path / "other.onnx")


def test_an_input_the_model_cannot_take_is_a_model_error(model: Saliency) -> None:
    with pytest.raises(ModelError, match="the model failed on an input of"):
        model.infer(np.zeros((1, 64, 64, 3), np.float32))
