"""Rebuild a checkpoint from an exported student, to train it further when the original checkpoint is lost.

Export folds every normalisation into the convolution before it, and the last block's projection into the readout's convolution
after it. Quantisation then rounds the weights. This module undoes the folding, up to the rounding. It rebuilds each normalisation
from the statistics of its input over some photos, with the same effect as in the file. Some channels of the last block compute
the output of the readout's convolution, which only passes it on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from cropper.model.inputs import shape_for
from cropper.training.data import WHOLE, Photo, make_batch
from cropper.training.exported import PatchedStem
from cropper.training.network import LEAN_CHANNELS, GazeNetwork, Shape

_TRUNK_NORMS = {"_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2"}


def restore_network(path: Path, photos: list[Photo]) -> GazeNetwork:
    """Rebuild the network of a Lite0 student's ONNX file, int8 or not, and return it in evaluation mode.

    A new export at the same bias strength and sharpness gives the same densities, up to rounding. All gaze sets get the file's
    centre bias, at full strength.

    Args:
        path: the file that ``export`` wrote.
        photos: a hundred or so photos, for the statistics of the normalisations.
    """
    model = onnx.load(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    convolutions = _convolutions(model)
    network = GazeNetwork(_shape(convolutions, tuple(metadata["sets"].split()))).eval()
    _unfold_projection(network, convolutions)
    modules: dict[str, Any] = dict(network.named_modules())
    norms = {name: norm for name, norm in modules.items() if isinstance(norm, nn.BatchNorm2d)}
    for norm in norms.values():
        norm.running_var.fill_(1 - norm.eps)  # type: ignore[union-attr]
    for name, (weight, bias) in convolutions.items():
        conv = modules[name]
        conv.weight.data.copy_(torch.from_numpy(weight))
        if bias is not None:
            (conv if conv.bias is not None else norms[_norm_after(name)]).bias.data.copy_(torch.from_numpy(bias))
    slopes = torch.tensor(_slopes(model)) / float(metadata["bias_strength"])
    network.bias_slopes.data.copy_(slopes.expm1().log().expand_as(network.bias_slopes))
    _normalise_anew(network, list(norms.values()), photos)
    return network


def _convolutions(model: Any) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
    """Return the weight and bias of each convolution in a graph, by the name of its module."""
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    dequantised = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}

    def values(name: str) -> NDArray[np.float32]:
        if name in stored:
            return np.array(stored[name], np.float32)
        quantised, scale = (stored[n] for n in dequantised[name].input[:2])
        return np.asarray(quantised * scale.reshape(-1, *[1] * (quantised.ndim - 1)), np.float32)

    found = {}
    for node in model.graph.node:
        if node.op_type == "Conv":
            inputs = [values(name) for name in node.input[1:]]
            found[_module_name(node.name)] = (inputs[0], inputs[1] if len(inputs) > 1 else None)
    weight, bias = found.pop("stem.0.conv")
    unpatched = PatchedStem.unpatched(torch.from_numpy(weight)).numpy()
    found["stem.0"] = (unpatched, None if bias is None else bias[: len(unpatched)])
    return found


def _unfold_projection(network: GazeNetwork, convolutions: dict[str, tuple[NDArray[np.float32], Any]]) -> None:
    """Move the last block's projection out of the convolution that contains it."""
    name = f"laterals.{len(network.laterals) - 1}"
    weight, bias = convolutions[name]
    projection: Any = network.blocks[-1]._project_conv
    projected = np.zeros(projection.weight.shape, np.float32)
    projected[: len(weight)] = weight
    handing_on = np.eye(len(weight), len(projected), dtype=np.float32)[:, :, None, None]
    convolutions[name] = handing_on, bias
    convolutions[f"blocks.{len(network.blocks) - 1}._project_conv"] = projected, None


def _module_name(node_name: str) -> str:
    """Return the name of a node's module: ``/stem/stem.0/conv/Conv`` -> ``stem.0.conv``."""
    scopes = node_name.strip("/").split("/")[:-1]
    return ".".join(scope for scope, below in zip(scopes, [*scopes[1:], ""], strict=True) if not below.startswith(f"{scope}."))


def _shape(convolutions: dict[str, tuple[NDArray[np.float32], Any]], sets: tuple[str, ...]) -> Shape:
    dense = "blocks.0._depthwise_conv" not in convolutions
    whole = GazeNetwork(Shape(dense=dense))
    first = len(whole.blocks) - len(whole.hidden)
    hidden = tuple(len(convolutions[f"blocks.{i}._expand_conv"][0]) for i in range(first, len(whole.blocks)))
    return Shape(
        width=len(convolutions["laterals.1"][0]),
        sets=sets,
        hidden=hidden if hidden != whole.hidden else None,
        lean=convolutions["readout"][0].shape[1] == LEAN_CHANNELS,
        dense=dense,
        masks="masks.1" in convolutions,
    )


def _norm_after(convolution: str) -> str:
    parent, own = convolution.rsplit(".", 1)
    return f"{parent}.{_TRUNK_NORMS[own] if own in _TRUNK_NORMS else int(own) + 1}"


def _slopes(model: Any) -> list[float]:
    """Return the centre bias's slopes across and down: the two factors of the squared positions."""
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    made_by = {output: node for node in model.graph.node for output in node.output}
    found = []
    for node in model.graph.node:
        if node.op_type == "Mul" and node.input[1] in stored and made_by[node.input[0]].op_type == "Unsqueeze":
            found.append(float(stored[node.input[1]]))
    across, down = found
    return [across, down]


@torch.no_grad()
def _normalise_anew(network: GazeNetwork, norms: list[nn.BatchNorm2d], photos: list[Photo]) -> None:
    """Give each normalisation the statistics of its input, and adjust its weight and bias to keep its effect."""
    sums = [torch.zeros(3, norm.num_features, dtype=torch.float64) for norm in norms]

    def watching(total: torch.Tensor) -> Any:
        def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            x = inputs[0].double()
            total.add_(
                torch.stack([torch.ones_like(x[0, :, 0, 0]) * x[:, 0].numel(), x.sum((0, 2, 3)), x.square().sum((0, 2, 3))])
            )

        return hook

    hooks = [norm.register_forward_pre_hook(watching(total)) for norm, total in zip(norms, sums, strict=True)]
    for photo in photos:
        batch = make_batch([photo], [WHOLE], [False], shape_for(photo.bgr.shape[1], photo.bgr.shape[0]), network.shape.sets)
        network.content(network.normalised(batch.image))
    for hook in hooks:
        hook.remove()
    for norm, (count, total, squares) in zip(norms, sums, strict=True):
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0)
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(variance)  # type: ignore[union-attr]
        norm.weight.data.copy_((variance + norm.eps).sqrt())
        norm.bias.data.add_(mean)
