"""A lighter model file gives the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropper.model.runtime import onnxruntime
from cropper.model.saliency import BUNDLED_MODEL

onnx = pytest.importorskip("onnx", reason="needs the extra `train`")

from cropper.training.lighten import lighten, lighten_file  # noqa: E402

SCALES = np.array((1, 1, 2, 2), np.float32)


def doubling(scale_after: float = 0.5) -> Any:
    """A quantised graph that doubles the sides of bytes [N, C, h, w]."""
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    constants = {"scale": np.float32(0.5), "after": np.float32(scale_after), "zero": np.uint8(3), "scales": SCALES}
    after = "scale" if scale_after == 0.5 else "after"
    nodes = [
        node("DequantizeLinear", ["bytes", "scale", "zero"], ["numbers"]),
        node("Resize", ["numbers", "", "scales"], ["larger"], "resize", mode="nearest", nearest_mode="floor",
             coordinate_transformation_mode="asymmetric"),
        node("QuantizeLinear", ["larger", after, "zero"], ["doubled"]),
    ]  # fmt: skip
    taken = value("bytes", onnx.TensorProto.UINT8, ["N", "C", "h", "w"])
    given = value("doubled", onnx.TensorProto.UINT8, ["N", "C", "H", "W"])
    stored = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "doubling", [taken], [given], stored), opset_imports=[onnx.helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    return model


def run(model: Any, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"bytes": image})[0]
    return found


def test_cells_are_repeated_without_a_resize() -> None:
    image = np.random.default_rng(0).integers(0, 256, (2, 5, 3, 4), dtype=np.uint8)
    model = doubling()
    expected = run(model, image)
    lighten(model)
    onnx.checker.check_model(model)
    assert "Resize" not in [node.op_type for node in model.graph.node]
    assert np.array_equal(run(model, image), expected)
    assert np.array_equal(expected, image.repeat(2, axis=2).repeat(2, axis=3))


def test_a_resize_whose_bytes_change_their_meaning_stays() -> None:
    model = doubling(scale_after=0.25)
    lighten(model)
    assert "Resize" in [node.op_type for node in model.graph.node]


def test_the_bundled_model_is_as_light_as_it_gets(tmp_path: Path) -> None:
    lighten_file(BUNDLED_MODEL, tmp_path / "student.onnx")
    assert (tmp_path / "student.onnx").read_bytes() == BUNDLED_MODEL.read_bytes()
    assert "Resize" not in [node.op_type for node in onnx.load(BUNDLED_MODEL).graph.node]
