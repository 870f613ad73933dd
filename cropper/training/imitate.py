"""A student learns to give, feature by feature, what the network it was made of gives.

Romero et al. 2015, "FitNets", https://arxiv.org/abs/1412.6550. The original has learned from a million photos to say the same of
photos never seen; what is left of it after pruning, and layers that were put in the place of its first ones, can only learn that
from the original.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn
from tqdm import tqdm

from cropper.model.runtime import onnxruntime
from cropper.training.data import Photo
from cropper.training.export import write_graph
from cropper.training.fit import Recipe, augmented, kl
from cropper.training.network import TAP_STRIDES, GazeNetwork, log_normalised

log = logging.getLogger(__name__)

# A nat of divergence counts as much as the whole variance of so many strides' features.
DENSITY_WEIGHT = 2.0
# Sides (height, width) of the part of each photo that is compared: a step costs less than half, and sees as much that is new.
PART = (192, 224)


def imitate_early(student: GazeNetwork, network: GazeNetwork, photos: list[Photo], recipe: Recipe, steps: int) -> None:
    """Train a student's layers down to the first of TAP_STRIDES alone, in place, to give a network's features there.

    The log says how much of their variance they explain.
    """
    original = _Original(_FirstFeatures(network), ["features"])
    student.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(student.early_parameters(), weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.head_rate, total_steps=steps, pct_start=0.1)
    report = _Report("features explain %.3f of the variance")
    for part in tqdm(_parts(network, photos, recipe, steps), total=steps, desc="imitate"):
        loss = _unexplained(student.first_features(part), *original(part))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        report.add(1 - loss.item())
    student.eval()


def imitate(student: GazeNetwork, network: GazeNetwork, photos: list[Photo], recipe: Recipe, steps: int) -> None:
    """Train a student, in place, for some batches to give the features and the density of the network it was made of.

    What was narrowed lies between the features. The log says how much of their variance the student's explain at each of
    TAP_STRIDES, and the divergence of its densities. Normalisations keep their statistics: those of a batch of parts, a few cells
    each at stride 32, are so far from the original's that little of its features there could be explained (MODEL_CARD.md).
    """
    original = _Original(_Answers(network), [*(f"stride{stride}" for stride in TAP_STRIDES), "density"])
    student.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    # Dense layers started from nothing; all else comes from the original, and what it says would be lost in larger steps.
    new: list[nn.Parameter] = []
    old: list[nn.Parameter] = []
    for name, parameter in student.named_parameters():
        (new if student.shape.dense and student.is_early(name) else old).append(parameter)
    optimizer = torch.optim.AdamW([{"params": new}, {"params": old}], weight_decay=recipe.weight_decay)
    rates = [recipe.head_rate, recipe.trunk_rate]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps, pct_start=0.1)
    report = _Report("features explain %.3f, %.3f and %.3f of the variance, densities diverge by %.3f nats")
    for part in tqdm(_parts(network, photos, recipe, steps), total=steps, desc="imitate"):
        *wanted, density = original(part)
        features = student.features(part)
        unexplained = [_unexplained(mine, theirs) for mine, theirs in zip(features, wanted, strict=True)]
        divergence = kl(log_normalised(student.read(features)), density).mean()
        loss = sum(unexplained, DENSITY_WEIGHT * divergence)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        report.add(*(1 - each.item() for each in unexplained), divergence.item())


class _Original:
    """What a module makes of a batch of parts of photos, by onnxruntime: three times as fast as torch."""

    def __init__(self, model: nn.Module, names: list[str]) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "original.onnx"
            write_graph(model.eval(), torch.zeros(2, 3, *PART), "image", names, path)
            self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def __call__(self, part: torch.Tensor) -> list[torch.Tensor]:
        answers = map(torch.from_numpy, self.session.run(None, {"image": part.contiguous().numpy()}))
        # Maps of features are compared with those of torch, which have the channels last.
        return [a.contiguous(memory_format=torch.channels_last) if a.ndim == 4 else a for a in answers]


class _FirstFeatures(nn.Module):
    def __init__(self, network: GazeNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Normalised photos -> their features at the first of TAP_STRIDES."""
        return self.network.first_features(image)


class _Answers(nn.Module):
    def __init__(self, network: GazeNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Normalised photos -> their features at each of TAP_STRIDES, and their density."""
        features = self.network.features(image)
        return *features, log_normalised(self.network.read(features)).exp()


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


def _random_part(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The same part of all photos of a batch [N, 3, H, W], at most PART, on the grid of the finest features."""
    stride, shares = TAP_STRIDES[0], torch.rand(2, generator=generator).tolist()
    room = [max(0, side - part) for side, part in zip(image.shape[2:], PART, strict=True)]
    y, x = (int(share * free / stride) * stride for share, free in zip(shares, room, strict=True))
    return image[:, :, y : y + PART[0], x : x + PART[1]]
