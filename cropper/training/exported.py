"""Build the network for export, with normalisation, resizing and softmax inside, for any ONNX runtime."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from cropper.model.inputs import STRIDE
from cropper.training.network import MASKS, GazeNetwork, quadratic, scaled

# Neighbouring pixels of a row that the exported stem takes as channels. This moves no bytes, and onnxruntime's int8 convolutions
# are fastest with a multiple of four channels.
ROW_PATCH = 4


def rows_of_patches(image: torch.Tensor) -> torch.Tensor:
    """View neighbours in a row as channels: [N, H, W, 3] -> [N, H, W / ROW_PATCH, 3 * ROW_PATCH], without moving bytes."""
    return image.reshape(image.shape[0], image.shape[1], -1, 3 * ROW_PATCH)


class Exported(nn.Module):
    """The network that users run: uint8 BGR photos in, densities and masks out, with the mean centre bias at a fixed strength.

    Before the centre bias, the density is raised to the power of the sharpness: a network that runs at a larger scale than in
    training gives too blurred a density.
    """

    def __init__(self, network: GazeNetwork, bias_strength: float, sharpness: float) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.network = copy.deepcopy(network)
        self.network.stem = nn.Sequential(PatchedStem(network.stem[0], network.stem[1]))
        _fold_projection(self.network.blocks[-1], self.network.laterals[-1])
        _fold_norm(self.network.mix, [*reversed(self.network.laterals)])
        self.slopes: torch.Tensor
        self.register_buffer("slopes", network.mean_bias_slopes() * bias_strength)

    @property
    def outputs(self) -> list[str]:
        """The names of what ``forward`` returns."""
        return ["density", *(MASKS if self.network.shape.masks else ())]

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """uint8 [N, H, W, 3] BGR, H and W multiples of 32 -> ``outputs``, each float32 [N, H / STRIDE, W / STRIDE].

        Each density sums to 1; masks are 0..1.
        """
        logits, masks = self.network.maps(image)
        rows, columns = image.shape[1] // STRIDE, image.shape[2] // STRIDE
        logits = self.sharpness * logits + quadratic(self.slopes, rows, columns)
        density = torch.softmax(logits.flatten(1), dim=1).view(-1, rows, columns)
        return (density,) if masks is None else (density, *masks.sigmoid().unbind(dim=1))


class PatchedStem(nn.Module):
    """The trunk's stem on rows of patches: the same results in a third less time.

    The original convolution, 3 x 3 at stride 2, reads pixels one by one, three bytes each, and spends its time on that. This one
    computes the ROW_PATCH / 2 outputs of a whole patch at once; they depend only on the patch and the first pixel of the next.
    It reads BGR directly, so no pixel has to move.
    """

    def __init__(self, convolution: Any, norm: Any) -> None:
        super().__init__()
        weight = convolution.weight.detach().flip(1)  # [C, 3, 3, 3]
        self.outputs, self.channels = ROW_PATCH // 2, len(weight)
        patched = torch.zeros(self.outputs, self.channels, ROW_PATCH, 3, 3, 2)  # output, channel, pixel, colour, row, patch
        for output, pixel, column in self._columns():
            patched[output, :, pixel % ROW_PATCH, :, :, pixel // ROW_PATCH] = weight[:, :, :, column]
        self.conv = nn.Conv2d(3 * ROW_PATCH, self.outputs * self.channels, (3, 2), stride=(2, 1), bias=False)
        self.conv.weight = nn.Parameter(patched.flatten(0, 1).flatten(1, 2))
        self.norm = nn.BatchNorm2d(self.outputs * self.channels, eps=norm.eps)
        self.norm.load_state_dict({k: v.repeat(self.outputs) if v.ndim else v for k, v in norm.state_dict().items()})

    @staticmethod
    def _columns() -> list[tuple[int, int, int]]:
        """Return (output, pixel, column): the pixel, counted from the patch's first, that each column of each output reads."""
        return [(output, 2 * output + column, column) for output in range(ROW_PATCH // 2) for column in range(3)]

    @staticmethod
    def unpatched(weight: torch.Tensor) -> torch.Tensor:
        """Recover the trunk's RGB weight [C, 3, 3, 3] from a patched weight [ROW_PATCH / 2 * C, 3 * ROW_PATCH, 3, 2]."""
        patched = weight.reshape(ROW_PATCH // 2, -1, ROW_PATCH, 3, 3, 2)
        columns = [patched[0, :, pixel, :, :, 0] for output, pixel, _ in PatchedStem._columns() if output == 0]
        return torch.stack(columns, dim=3).flip(1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 [N, H, W, 3] BGR -> [N, C, H / 2, W / 2]."""
        # The trunk pads even sides only at the end. Without an explicit value, onnxruntime keeps padding as a separate step.
        patches = F.pad(scaled(rows_of_patches(image)), (0, 1, 0, 1), value=0.0)
        x = F.relu6(self.norm(self.conv(patches))).permute(0, 2, 3, 1)
        # Use the input's shape: if the shape came from x, onnxruntime would not keep x in bytes.
        return x.reshape(image.shape[0], image.shape[1] // 2, image.shape[2] // 2, self.channels).permute(0, 3, 1, 2)


def _fold_projection(block: Any, taker: Any) -> None:
    """Fold a block's final projection into the 1 x 1 convolution after it: same results, less work.

    Requires that nothing else uses the projection, that the block has no residual, and that the convolution has a bias.
    """
    factor, offset = _norm_as_line(block._bn2)
    projection, weight = block._project_conv.weight.flatten(1) * factor[:, None], taker.weight.flatten(1)
    taker.bias = nn.Parameter(taker.bias + weight @ offset)
    taker.weight = nn.Parameter((weight @ projection)[:, :, None, None])
    block._project_conv, block._bn2 = nn.Identity(), nn.Identity()


def _norm_as_line(norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the factor and the offset that a normalisation in evaluation mode applies to each channel."""
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    return factor, norm.bias - norm.running_mean * factor


def _fold_norm(layers: nn.Sequential, summed: list[Any]) -> None:
    """Fold the first normalisation of layers into the convolutions that feed them, as a sum: same results, less work.

    Requires that the last of the convolutions has a bias.
    """
    factor, offset = _norm_as_line(layers[0])
    for conv in summed:
        conv.weight = nn.Parameter(conv.weight * factor[:, None, None, None])
        if conv.bias is not None:
            conv.bias = nn.Parameter(conv.bias * factor)
    last = summed[-1]
    last.bias = nn.Parameter(last.bias + offset)
    layers[0] = nn.Identity()
