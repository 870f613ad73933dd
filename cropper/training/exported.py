"""The network as it is exported: normalisation, resizing and softmax inside, for any ONNX runtime."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from cropper.model.inputs import STRIDE
from cropper.training.network import GazeNetwork, quadratic, scaled

# Neighbouring pixels of a row that an exported stem takes as channels: no byte is moved for it, and onnxruntime's int8
# convolutions are at their best with channels in fours.
ROW_PATCH = 4


def rows_of_patches(image: torch.Tensor) -> torch.Tensor:
    """[N, H, W, 3] -> [N, H, W / ROW_PATCH, 3 * ROW_PATCH]: neighbours in a row as channels, without moving a byte."""
    return image.reshape(image.shape[0], image.shape[1], -1, 3 * ROW_PATCH)


class Exported(nn.Module):
    """The network as users run it: uint8 BGR photos in, densities out, the mean centre bias at a fixed strength.

    What the photo shows is taken to the power of the sharpness: at a larger scale than it was trained at, a network gives a
    density that is less sharp than what it knows.
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

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 [N, H, W, 3] BGR, H and W multiples of 32 -> float32 [N, H / STRIDE, W / STRIDE], each sums to 1."""
        logits = self.network.content(image)
        rows, columns = image.shape[1] // STRIDE, image.shape[2] // STRIDE
        logits = self.sharpness * logits + quadratic(self.slopes, rows, columns)
        return torch.softmax(logits.flatten(1), dim=1).view(-1, rows, columns)


class PatchedStem(nn.Module):
    """The trunk's stem on rows of patches: the same numbers in two thirds of the time.

    Its convolution, 3 x 3 at stride 2, takes pixels one by one, three bytes each, and that is what its time goes into. Here one
    gives the outputs of a whole patch: those are ROW_PATCH / 2, and see no more than the patch and the first pixel of the next.
    It takes BGR as it comes, so that no pixel is moved for it.
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
        """Which pixel, from the patch's first, each output takes at each column of the convolution: (output, pixel, column)."""
        return [(output, 2 * output + column, column) for output in range(ROW_PATCH // 2) for column in range(3)]

    @staticmethod
    def unpatched(weight: torch.Tensor) -> torch.Tensor:
        """The trunk's own weight [C, 3, 3, 3], of RGB, of a patched one [ROW_PATCH / 2 * C, 3 * ROW_PATCH, 3, 2]."""
        patched = weight.reshape(ROW_PATCH // 2, -1, ROW_PATCH, 3, 3, 2)
        columns = [patched[0, :, pixel, :, :, 0] for output, pixel, _ in PatchedStem._columns() if output == 0]
        return torch.stack(columns, dim=3).flip(1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 [N, H, W, 3] BGR -> [N, C, H / 2, W / 2]."""
        # The trunk pads even sides behind alone. Without the value, onnxruntime keeps the padding as a step of its own.
        patches = F.pad(scaled(rows_of_patches(image)), (0, 1, 0, 1), value=0.0)
        x = F.relu6(self.norm(self.conv(patches))).permute(0, 2, 3, 1)
        # In terms of the input's shape: with what it takes from x itself, onnxruntime would not keep x in bytes.
        return x.reshape(image.shape[0], image.shape[1] // 2, image.shape[2] // 2, self.channels).permute(0, 3, 1, 2)


def _fold_projection(block: Any, taker: Any) -> None:
    """Put the projection that a block ends with into the 1 x 1 convolution that alone takes it: same numbers, less work.

    The block adds nothing to its projection, and the convolution has a bias.
    """
    factor, offset = _norm_as_line(block._bn2)
    projection, weight = block._project_conv.weight.flatten(1) * factor[:, None], taker.weight.flatten(1)
    taker.bias = nn.Parameter(taker.bias + weight @ offset)
    taker.weight = nn.Parameter((weight @ projection)[:, :, None, None])
    block._project_conv, block._bn2 = nn.Identity(), nn.Identity()


def _norm_as_line(norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """What a normalisation in evaluation mode multiplies each channel with, and what it adds then."""
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    return factor, norm.bias - norm.running_mean * factor


def _fold_norm(layers: nn.Sequential, summed: list[Any]) -> None:
    """Put the normalisation that layers begin with into the convolutions whose sum they take: same numbers, less work.

    The last of the convolutions has a bias.
    """
    factor, offset = _norm_as_line(layers[0])
    for conv in summed:
        conv.weight = nn.Parameter(conv.weight * factor[:, None, None, None])
        if conv.bias is not None:
            conv.bias = nn.Parameter(conv.bias * factor)
    last = summed[-1]
    last.bias = nn.Parameter(last.bias + offset)
    layers[0] = nn.Identity()
