"""A cheaper stem: one that looks at patches learns to give what the trunk's own first layers give.

What the trunk does before stride 8 are few multiplications on large maps. Two dense convolutions on 4x4 patches take a quarter of
that time, and ImageNet's features behind them go on working.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from cropper.training.data import Photo
from cropper.training.fit import Recipe, augmented
from cropper.training.network import PATCH, GazeNetwork

log = logging.getLogger(__name__)

RATE = 1e-2
# Side of the part of each photo that is compared: what the stem sees around a pixel is a tenth of that.
PART = 160


def with_patch_stem(network: GazeNetwork, width: int) -> GazeNetwork:
    """A copy of a network with an untrained patch stem of this many channels, and a lean readout of its weightiest channels."""
    lean = GazeNetwork(replace(network.shape, patches=width))
    dropped = len(network.blocks) - len(lean.blocks)
    lean.blocks.load_state_dict(network.blocks[dropped:].state_dict())
    lean.laterals.load_state_dict(network.laterals.state_dict())
    weight = network.readout.weight.data.sum(dim=(2, 3), keepdim=True)
    kept = weight.flatten().abs().argsort(descending=True)[: lean.readout.in_channels].sort().values
    lean.readout.load_state_dict({"weight": weight[:, kept], "bias": network.readout.bias})
    few = {"3.weight", *(f"4.{name}" for name in ("weight", "bias", "running_mean", "running_var"))}
    lean.mix.load_state_dict({key: value[kept] if key in few else value for key, value in network.mix.state_dict().items()})
    lean.bias_slopes.data.copy_(network.bias_slopes.data)
    return lean


def imitate(network: GazeNetwork, photos: list[Photo], recipe: Recipe, width: int, steps: int) -> GazeNetwork:
    """Replace a network's stem by a patch stem, trained for some batches to give the same features.

    Returns:
        The new network, with a lean readout. The log says how much of the features' variance its stem explains.
    """
    network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    student = with_patch_stem(network, width)
    student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    replaced = nn.Sequential(network.stem, *network.blocks[: len(network.blocks) - len(student.blocks)])
    optimizer = torch.optim.AdamW(student.stem.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    student.stem.train()
    generator = torch.Generator().manual_seed(recipe.seed)
    explained = []
    batches = (batch for epoch in range(steps) for batch in augmented(network, photos, recipe, epoch))
    for step, (image, _) in zip(tqdm(range(steps), desc="stem"), batches, strict=False):
        part = _random_part(image, generator)
        with torch.no_grad():
            wanted = replaced(part)
        if step == 0:
            _match(student.stem[-1], wanted)
        # The trunk's own input back to patches: BGR, as the photos come.
        features = student.stem(student.normalised((part.flip(1) * 128 + 127).permute(0, 2, 3, 1)))
        unexplained = ((features - wanted).square().mean(dim=(0, 2, 3)) / wanted.var(dim=(0, 2, 3))).mean()
        optimizer.zero_grad()
        unexplained.backward()
        optimizer.step()
        schedule.step()
        explained.append(1 - unexplained.item())
        if step % 100 == 99:
            log.info("step %d: the patch stem explains %.3f of the variance", step + 1, sum(explained[-100:]) / 100)
    return student


def _random_part(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The same part of all photos of a batch [N, 3, H, W], on whole patches: at most [N, 3, PART, PART]."""
    across, down = torch.rand(2, generator=generator).tolist()
    y, x = (int(p * max(0, side - PART) / PATCH) * PATCH for p, side in zip((down, across), image.shape[2:], strict=True))
    return image[:, :, y : y + PART, x : x + PART]


def _match(norm: Any, wanted: torch.Tensor) -> None:
    """Start a normalisation [C] at the mean and spread of what its output [N, C, h, w] should be."""
    norm.weight.data.copy_(wanted.std(dim=(0, 2, 3)))
    norm.bias.data.copy_(wanted.mean(dim=(0, 2, 3)))
