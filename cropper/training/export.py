"""A checkpoint as the ONNX file users run, checked against torch."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from cropper.saliency import SHAPES
from cropper.training.fit import load_student
from cropper.training.network import Exported

log = logging.getLogger(__name__)

OPSET = 17
TOLERANCE = 1e-3


def export(checkpoint: Path, path: Path, bias_strength: float) -> None:
    """Write a checkpoint's student as float32 ONNX that keeps the model contract, and check it against torch.

    Raises:
        AssertionError: if a density differs from torch's by more than 1e-3 of that density's peak, at any input shape.
    """
    student, state = load_student(checkpoint)
    model = Exported(student, bias_strength).eval()
    example = torch.zeros(2, *SHAPES[0], 3, dtype=torch.uint8)
    torch.onnx.export(
        model,
        (example,),
        str(path),
        input_names=["image"],
        output_names=["density"],
        dynamic_axes={"image": {0: "N", 1: "H", 2: "W"}, "density": {0: "N", 1: "h", 2: "w"}},
        opset_version=OPSET,
        dynamo=False,  # traces the shapes as dynamic without rewriting the graph
    )
    graph = onnx.load(path)
    for key, value in (("bias_strength", bias_strength), ("epoch", state["epoch"]), ("sets", " ".join(state["sets"]))):
        graph.metadata_props.append(onnx.StringStringEntryProto(key=key, value=str(value)))
    onnx.checker.check_model(graph)
    onnx.save(graph, path)
    worst = max(_difference(model, path, shape) for shape in SHAPES)
    log.info("%s: %.1f MB, differs from torch by at most %.1e of the peak", path, path.stat().st_size / 1e6, worst)
    assert worst < TOLERANCE, f"differs from torch by {worst:.1e} of the peak"


def _difference(model: Exported, path: Path, shape: tuple[int, int]) -> float:
    """The largest difference between torch's and onnxruntime's density on noise of a shape, as a share of the peak."""
    image = np.random.default_rng(0).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = model(torch.from_numpy(image)).numpy()
    (density,) = onnxruntime.InferenceSession(str(path)).run(["density"], {"image": image})
    assert density.shape == expected.shape
    assert np.allclose(density.sum(axis=(1, 2)), 1, atol=1e-4)
    return float(np.abs(density - expected).max() / expected.max())
