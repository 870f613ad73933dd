"""A cheaper stem: dense convolutions learn to give what the trunk's own first layers give.

What the trunk does down to stride 8 is half of a student's time: few multiplications, on large maps, in
depthwise convolutions that move more bytes than they compute with. A stem of dense ones takes a third of it, and the pretrained
blocks behind go on working.
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
from cropper.training.network import TAP_STRIDES, GazeNetwork

log = logging.getLogger(__name__)

RATE = 4e-3
# Sides (height, width) of the part of each photo that is compared: a step costs less than half, and sees as much that is new.
PART = (192, 224)


def lightened(network: GazeNetwork) -> GazeNetwork:
    """A light copy of a network: its stem and the finer part of its readout are untrained."""
    dropped = network.taps[0] + 1
    hidden = network.shape.hidden and network.shape.hidden[dropped:]
    light = GazeNetwork(replace(network.shape, lean=False, light=True, hidden=hidden))
    light.blocks.load_state_dict(network.blocks[dropped:].state_dict())
    for mine, theirs in zip(light.laterals[1:], network.laterals[1:], strict=True):
        mine.load_state_dict(theirs.state_dict())
    light.bias_slopes.data.copy_(network.bias_slopes.data)
    return light


def imitate(network: GazeNetwork, photos: list[Photo], recipe: Recipe, steps: int) -> GazeNetwork:
    """Replace a network's first layers by a dense stem, trained for some batches to give the same features.

    Returns:
        The new network, a light one. The log says how much of the features' variance its stem explains.
    """
    network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    student = lightened(network)
    student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    replaced = nn.Sequential(network.stem, *network.blocks[: -len(student.blocks)])
    optimizer = torch.optim.AdamW(student.stem.parameters(), weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    student.stem.train()
    generator = torch.Generator().manual_seed(recipe.seed)
    explained = []
    batches = (image for epoch in range(steps) for image, _ in augmented(network, photos, recipe, epoch))
    for step, image in zip(tqdm(range(steps), desc="stem"), batches, strict=False):
        part = _random_part(image, generator)
        with torch.no_grad():
            wanted = replaced(part)
        features = student.stem(_unnormalised(student, part))
        unexplained = ((features - wanted).square().mean(dim=(0, 2, 3)) / wanted.var(dim=(0, 2, 3))).mean()
        optimizer.zero_grad()
        unexplained.backward()
        optimizer.step()
        schedule.step()
        explained.append(1 - unexplained.item())
        if step % 100 == 99:
            log.info("step %d: the dense stem explains %.3f of the variance", step + 1, sum(explained[-100:]) / 100)
    return student


def _unnormalised(student: GazeNetwork, image: torch.Tensor) -> Any:
    """What a network with another stem takes, of photos that are normalised for the trunk's own."""
    return student.normalised((image.flip(1) * 128 + 127).permute(0, 2, 3, 1))


def _random_part(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The same part of all photos of a batch [N, 3, H, W], at most PART, where the strides of both stems agree."""
    stride, shares = TAP_STRIDES[0], torch.rand(2, generator=generator).tolist()
    room = [max(0, side - part) for side, part in zip(image.shape[2:], PART, strict=True)]
    y, x = (int(share * free / stride) * stride for share, free in zip(shares, room, strict=True))
    return image[:, :, y : y + PART[0], x : x + PART[1]]
