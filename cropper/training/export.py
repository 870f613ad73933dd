"""Export a checkpoint to the ONNX file that users run, check it against torch, and quantise it to int8."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from cropper.model.inputs import SHAPES, prepare, shape_for
from cropper.model.runtime import onnxruntime
from cropper.training.data import Photo
from cropper.training.exported import Exported
from cropper.training.fit import load_checkpoint
from cropper.training.lighten import lighten
from cropper.training.network import MASKS

log = logging.getLogger(__name__)

# Strength of the mean learned centre bias. Users' photos have less of it than gaze sets: of 0 to 1.25, this one fitted whole
# validation photos and off-centre windows of them best together.
BIAS_STRENGTH = 0.75
# The power of the density that makes validation fixations most likely, for networks distilled at the scale they run at.
SHARPNESS = 1.0
OPSET = 17
TOLERANCE = 1e-3
CALIBRATION_PHOTOS = 128


def export_student(checkpoint: Path, path: Path, bias_strength: float, sharpness: float, calibration: list[Photo]) -> None:
    """Write a checkpoint's student as an ONNX file that meets the model contract.

    Checks the float32 graph against torch. With calibration photos, then quantises it to int8.

    Raises:
        AssertionError: if, at any input shape, a density of the float32 graph differs from torch's by 1e-3 of its peak or more.
        ValueError: if the calibration photos do not span black to white.
    """
    network, state = load_checkpoint(checkpoint)
    model = Exported(network, bias_strength, sharpness).eval()
    with TemporaryDirectory() as folder:
        float32 = Path(folder) / "float32.onnx"
        write_float32(model, float32)
        worst = max(_difference(model, float32, shape) for shape in SHAPES)
        log.info("differs from torch by at most %.1e of the peak", worst)
        assert worst < TOLERANCE, f"differs from torch by {worst:.1e} of the peak"
        written = _quantised(float32, calibration) if calibration else float32
        graph = onnx.load(written)
    properties: dict[str, Any] = {
        "bias_strength": bias_strength,
        "sharpness": sharpness,
        "epoch": state["epoch"],
        "sets": " ".join(network.shape.sets),
    }
    for key, value in properties.items():
        graph.metadata_props.append(onnx.StringStringEntryProto(key=key, value=str(value)))
    onnx.checker.check_model(graph)
    onnx.save(graph, path)
    log.info("%s: %.2f MB", path, path.stat().st_size / 1e6)


def write_float32(model: Exported, path: Path) -> None:
    """Write a network as a float32 ONNX file that meets the model contract."""
    write_graph(model, torch.zeros(2, *SHAPES[0], 3, dtype=torch.uint8), "image", model.outputs, path, height=1)


def write_graph(model: nn.Module, example: torch.Tensor, taken: str, given: list[str], path: Path, height: int = 2) -> None:
    """Write a module with one input as an ONNX file, for any number of photos of any size.

    Args:
        model: the module, in evaluation mode.
        example: an input.
        taken: the name of the input.
        given: the names of the outputs, [N, ..., h, w].
        path: the file to write.
        height: the input's axis of the height; the width is the next axis.
    """
    axes = {taken: {0: "N", height: "H", height + 1: "W"}}
    axes |= {name: {0: "N", 1: "h", 2: "w"} for name in given if name in ("density", *MASKS)}
    torch.onnx.export(
        model,
        (example,),
        str(path),
        input_names=[taken],
        output_names=given,
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,  # the tracer keeps shapes dynamic without rewriting the graph
    )


def _difference(model: Exported, path: Path, shape: tuple[int, int]) -> float:
    """Return the largest difference between torch's and onnxruntime's outputs on noise, as a share of the peak."""
    image = np.random.default_rng(0).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = [output.numpy() for output in model(torch.from_numpy(image))]
    given = onnxruntime.InferenceSession(str(path)).run(model.outputs, {"image": image})
    assert np.allclose(given[0].sum(axis=(1, 2)), 1, atol=1e-4)
    return max(float(np.abs(one - other).max() / other.max()) for one, other in zip(given, expected, strict=True))


class _Photos(CalibrationDataReader):  # type: ignore[misc]
    """Evenly spaced calibration photos, each at its own input shape."""

    def __init__(self, photos: list[Photo]) -> None:
        self.photos = iter(photos[:: max(1, len(photos) // CALIBRATION_PHOTOS)])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        photo = next(self.photos, None)
        if photo is None:
            return None
        return {"image": prepare(photo.bgr, shape_for(photo.bgr.shape[1], photo.bgr.shape[0]))[None]}


def _quantised(float32: Path, photos: list[Photo]) -> Path:
    """Quantise to static int8, with a scale for each output channel.

    Weights use 7 bits, because int8 sums saturate on processors without VNNI. The last convolution before each output and all
    later nodes stay float32: they cost almost nothing, and a density has more than 256 levels.
    """
    prepared, int8 = float32.with_name("prepared.onnx"), float32.with_name("int8.onnx")
    quant_pre_process(str(float32), str(prepared), skip_symbolic_shape=True)
    graph = onnx.load(prepared).graph
    quantize_static(
        str(prepared),
        str(int8),
        _Photos(photos),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Add", "Resize", "Clip"],
        nodes_to_exclude=_last_nodes(graph),
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        # Use the whole range: averages and percentiles cut off the peaks, and with them a tenth of NSS.
        calibrate_method=CalibrationMethod.MinMax,
    )
    graph = onnx.load(int8)
    _take_bytes_as_they_are(graph)
    _leave_out_zeros(graph)
    lighten(graph)
    onnx.save(graph, int8)
    return int8


def _last_nodes(graph: Any) -> list[str]:
    """Return the names of the last convolution before each output of a graph and of the nodes after it."""
    made_by = {output: node for node in graph.node for output in node.output}
    found, left = [], [made_by[output.name] for output in graph.output]
    while left:
        node = left.pop()
        found.append(node.name)
        if node.op_type != "Conv":
            left += [made_by[name] for name in node.input if name in made_by]
    return found


def _take_bytes_as_they_are(model: Any) -> None:
    """Drop the normalisation from a quantised graph: quantisation turns its output back into the same byte.

    Calibration finds scale 1 / 128 and zero point 127, so ``(byte - 127) / 128`` quantises to the byte itself.

    Raises:
        ValueError: if calibration finds other values.
    """
    made_by = {output: node for node in model.graph.node for output in node.output}
    taken_by = {name: node for node in model.graph.node for name in node.input}
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    chain = [next(node for node in model.graph.node if node.op_type == "Div" and made_by[node.input[0]].op_type == "Sub")]
    while chain[-1].op_type != "Cast":
        chain.append(made_by[chain[-1].input[0]])
    quantise = taken_by[chain[0].output[0]]
    scale, zero_point = (values[name].item() for name in quantise.input[1:])
    if (scale, zero_point) != (1 / 128, 127):
        raise ValueError(f"the calibration photos do not span black to white: scale {scale}, zero point {zero_point}")
    for node in model.graph.node:
        node.input[:] = [chain[-1].input[0] if name == quantise.output[0] else name for name in node.input]
    for node in [quantise, *chain]:
        model.graph.node.remove(node)


def _leave_out_zeros(model: Any) -> None:
    """Drop the zero points of weights and biases from a quantised graph: all are 0, which is also the default."""
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and len(node.input) == 3 and values[node.input[2]].ndim == 1:
            assert not values[node.input[2]].any(), node.name
            del node.input[2]
