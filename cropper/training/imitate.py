"""Train a student to reproduce the features of the network it was made from.

Romero et al. 2015, "FitNets", https://arxiv.org/abs/1412.6550. The original has learned from a million photos to answer
consistently on new ones. A pruned network, or one with new first layers, can learn that only from the original.
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

# One nat of divergence weighs as much as the whole variance of the features at this many strides.
DENSITY_WEIGHT = 2.0
# Height and width of the part of each photo to compare: a step costs less than half and provides as much new information.
PART = (192, 224)


def imitate_early(student: GazeNetwork, network: GazeNetwork, photos: list[Photo], recipe: Recipe, steps: int) -> None:
    """Train a student's layers down to the first of TAP_STRIDES, in place, to reproduce a network's features there.

    The log shows the share of the features' variance that they explain.

    Args:
        student: the network to train; its other layers stay as they are.
        network: the original.
        photos: the photos to train on.
        recipe: the settings; the learning rate is ``head_rate``.
        steps: number of batches.
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


def imitate_features(student: GazeNetwork, network: GazeNetwork, photos: list[Photo], recipe: Recipe, steps: int) -> None:
    """Train a student, in place, to reproduce the features and the density of the network it was made from.

    The narrowed layers lie between the features. The log shows, at each of TAP_STRIDES, the share of the features' variance that
    the student explains, and the divergence of its densities. Normalisations keep their statistics. A batch of parts has only a
    few cells each at stride 32, and its statistics are too far from the original's to explain its features.

    Args:
        student: the network to train.
        network: the original.
        photos: the photos to train on.
        recipe: the settings.
        steps: number of batches.
    """
    original = _Original(_Answers(network), [*(f"stride{stride}" for stride in TAP_STRIDES), "density"])
    student.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    # Dense layers start from nothing. All others come from the original, and larger steps would destroy what they know.
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
        divergence = kl(log_normalised(student.read(features)[0]), density).mean()
        loss = sum(unexplained, DENSITY_WEIGHT * divergence)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        report.add(*(1 - each.item() for each in unexplained), divergence.item())


class _Original:
    """Run a module on a batch of parts of photos with onnxruntime: three times as fast as torch."""

    def __init__(self, model: nn.Module, names: list[str]) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "original.onnx"
            write_graph(model.eval(), torch.zeros(2, 3, *PART), "image", names, path)
            self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def __call__(self, part: torch.Tensor) -> list[torch.Tensor]:
        answers = map(torch.from_numpy, self.session.run(None, {"image": part.contiguous().numpy()}))
        # Feature maps are compared with torch's, which have the channels last.
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
        return *features, log_normalised(self.network.read(features)[0]).exp()


class _Report:
    """Log the means of some figures every hundred steps."""

    def __init__(self, words: str) -> None:
        self.words, self.figures = words, list[tuple[float, ...]]()

    def add(self, *figures: float) -> None:
        self.figures.append(figures)
        if len(self.figures) % 100 == 0:
            means = torch.tensor(self.figures[-100:]).mean(dim=0).tolist()
            log.info("step %d: " + self.words, len(self.figures), *means)


def _unexplained(features: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the share of the variance of ``wanted`` [N, C, h, w] that the features do not explain, mean over the channels."""
    of_channel = (features - wanted).square().mean(dim=(0, 2, 3))
    return (of_channel / wanted.var(dim=(0, 2, 3)).clamp_min(1e-6)).mean()


def _parts(network: GazeNetwork, photos: list[Photo], recipe: Recipe, steps: int) -> Iterator[torch.Tensor]:
    """Yield ``steps`` batches [N, 3, H, W] of parts of photos, normalised for the network: two from each batch of windows."""
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
    """Cut the same random part, at most PART, from all photos of a batch [N, 3, H, W], on the grid of the finest features."""
    stride, shares = TAP_STRIDES[0], torch.rand(2, generator=generator).tolist()
    room = [max(0, side - part) for side, part in zip(image.shape[2:], PART, strict=True)]
    y, x = (int(share * free / stride) * stride for share, free in zip(shares, room, strict=True))
    return image[:, :, y : y + PART[0], x : x + PART[1]]
