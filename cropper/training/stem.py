"""A cheaper stem: dense convolutions learn to give what the trunk's own first layers give.

What the trunk does down to stride 8 is half of a student's time: few multiplications, on large maps, in
depthwise convolutions that move more bytes than they compute with. A stem of dense ones takes a third of it, and the pretrained
blocks behind go on working. They have learned from a million photos to say the same of photos never seen; what replaces them
can only learn that from them, so first the stem and then the whole light network imitates the one it was made of, feature by
feature: Romero et al. 2015, "FitNets", https://arxiv.org/abs/1412.6550.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from cropper.training.data import Photo
from cropper.training.fit import Recipe, augmented, kl
from cropper.training.network import TAP_STRIDES, GazeNetwork, log_normalised

log = logging.getLogger(__name__)

# Of learning: of a stem alone, and of one with all behind it.
STEM_RATE, STUDENT_STEM_RATE = 4e-3, 2e-3
# A nat of divergence counts as much as the whole variance of so many strides' features.
DENSITY_WEIGHT = 2.0
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


def stemmed(network: GazeNetwork, photos: list[Photo], recipe: Recipe, steps: int) -> GazeNetwork:
    """Replace a network's first layers by a dense stem, trained for some batches to give the same features.

    Returns:
        The new network, a light one. The log says how much of the features' variance its stem explains.
    """
    network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    student = lightened(network)
    student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    replaced = nn.Sequential(network.stem, *network.blocks[: -len(student.blocks)])
    optimizer = torch.optim.AdamW(student.stem.parameters(), weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, STEM_RATE, total_steps=steps, pct_start=0.1)
    student.stem.train()
    report = _Report("the dense stem explains %.3f of the variance")
    for part in tqdm(_parts(network, photos, recipe, steps), total=steps, desc="stem"):
        with torch.no_grad():
            wanted = replaced(part)
        unexplained = _unexplained(student.stem(_unnormalised(student, part)), wanted)
        optimizer.zero_grad()
        unexplained.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        report.add(1 - unexplained.item())
    return student


def imitate(student: GazeNetwork, network: GazeNetwork, photos: list[Photo], recipe: Recipe, steps: int) -> None:
    """Train a light student, in place, for some batches to give the features and the density of the network it was made of.

    It may have been pruned: what is narrowed lies between the features. The log says how much of their variance the student's
    explain at each of TAP_STRIDES, and the divergence of its densities.
    """
    for each in (network, student):
        each.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    layers = ((student.stem, STUDENT_STEM_RATE), (student.blocks, recipe.trunk_rate * 2))
    groups: list[dict[str, Any]] = [{"params": list(layer.parameters()), "lr": rate} for layer, rate in layers]
    groups.append({"params": student.head_parameters(), "lr": recipe.head_rate})
    optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    rates = [group["lr"] for group in groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps, pct_start=0.1)
    student.train()
    report = _Report("features explain %.3f, %.3f and %.3f of the variance, densities diverge by %.3f nats")
    for part in tqdm(_parts(network, photos, recipe, steps), total=steps, desc="imitate"):
        with torch.no_grad():
            wanted = network.features(part)
            density = log_normalised(network.read(wanted)).exp()
        features = student.features(_unnormalised(student, part))
        unexplained = [_unexplained(mine, theirs) for mine, theirs in zip(features, wanted, strict=True)]
        divergence = kl(log_normalised(student.read(features)), density).mean()
        loss = sum(unexplained, DENSITY_WEIGHT * divergence)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        report.add(*(1 - each.item() for each in unexplained), divergence.item())
    student.eval()


class _Report:
    """Logs the means of some figures every hundred steps."""

    def __init__(self, words: str) -> None:
        self.words, self.figures = words, list[tuple[float, ...]]()

    def add(self, *figures: float) -> None:
        self.figures.append(figures)
        if len(self.figures) % 100 == 0:
            means = torch.tensor(self.figures[-100:]).mean(dim=0).tolist()
            log.info("step %d: " + self.words, len(self.figures), *means)


def _unexplained(features: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The share of the variance of what is wanted [N, C, h, w] that features do not explain, mean over the channels."""
    of_channel = (features - wanted).square().mean(dim=(0, 2, 3))
    return (of_channel / wanted.var(dim=(0, 2, 3)).clamp_min(1e-6)).mean()


def _parts(network: GazeNetwork, photos: list[Photo], recipe: Recipe, steps: int) -> Iterator[torch.Tensor]:
    """So many batches [N, 3, H, W] of parts of windows of photos, normalised for the network; two of each batch of windows."""
    generator = torch.Generator().manual_seed(recipe.seed)
    given = 0
    for epoch in count():
        for image, _ in augmented(network, photos, recipe, epoch):
            for _ in range(2):
                if given == steps:
                    return
                yield _random_part(image, generator)
                given += 1


def _unnormalised(student: GazeNetwork, image: torch.Tensor) -> Any:
    """What a network with another stem takes, of photos that are normalised for the trunk's own."""
    return student.normalised((image.flip(1) * 128 + 127).permute(0, 2, 3, 1))


def _random_part(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The same part of all photos of a batch [N, 3, H, W], at most PART, where the strides of both stems agree."""
    stride, shares = TAP_STRIDES[0], torch.rand(2, generator=generator).tolist()
    room = [max(0, side - part) for side, part in zip(image.shape[2:], PART, strict=True)]
    y, x = (int(share * free / stride) * stride for share, free in zip(shares, room, strict=True))
    return image[:, :, y : y + PART[0], x : x + PART[1]]
