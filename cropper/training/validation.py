"""Measure a network on the validation photos during training, and compare strengths of its centre bias."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import torch

from cropper.training.data import VALIDATION_SHAPE, WHOLE, Batch, Photo, batch_scale, make_batch, random_window, scaled_shape
from cropper.training.network import MASKS, GazeNetwork, log_normalised

log = logging.getLogger(__name__)


@torch.no_grad()
def compare_biases(
    network: GazeNetwork, photos: list[Photo], strengths: list[float], scale: float
) -> dict[float, tuple[float, float]]:
    """Return strength of the mean centre bias -> (KL on whole photos, KL on off-centre windows), in nats.

    Uses only photos with fixations.
    """
    photos = [photo for photo in photos if photo.fixations is not None]
    kl: dict[float, list[torch.Tensor]] = {strength: [] for strength in strengths}
    for off_centre in (False, True):
        parts: dict[float, list[torch.Tensor]] = {strength: [] for strength in strengths}
        for _, batch in validation_batches(photos, network.shape.sets, scale, off_centre):
            rows, columns = batch.gaze.shape[1:]
            content = network.content(network.normalised(batch.image))
            bias = network.mean_centre_bias(rows, columns)
            for strength in strengths:
                parts[strength].append(measures(log_normalised(content + strength * bias), batch.gaze)[:, 0])
        for strength in strengths:
            kl[strength].append(torch.cat(parts[strength]).mean())
    return {strength: (float(whole), float(windows)) for strength, (whole, windows) in kl.items()}


def validation_batches(photos: list[Photo], sets: tuple[str, ...], scale: float, off_centre: bool) -> Iterator[tuple[str, Batch]]:
    """Yield (set name, batch): whole photos, or an off-centre window of each, in batches of up to 16 from one set."""
    rng = np.random.default_rng(0)
    for name in sets:
        of_set = [photo for photo in photos if photo.collection == name]
        for start in range(0, len(of_set), 16):
            part = of_set[start : start + 16]
            shape = scaled_shape(VALIDATION_SHAPE, batch_scale(part, scale))
            windows = [random_window(p, shape[1] / shape[0], rng, whole=0.0) if off_centre else WHOLE for p in part]
            yield name, make_batch(part, windows, [False] * len(part), shape, sets)


@torch.no_grad()
def log_scores(network: GazeNetwork, photos: list[Photo], scale: float) -> None:
    """Log each set's KL (nats), CC and NSS: on whole photos with the set's centre bias, and on windows without it."""
    network.eval()
    if network.shape.masks:
        log.info(
            "  intersection over union: %s",
            "  ".join(f"{name} {share:.3f}" for name, share in mask_scores(network, photos, scale)),
        )
    for off_centre in (False, True):
        scores: dict[str, list[torch.Tensor]] = {name: [] for name in network.shape.sets}
        for name, batch in validation_batches(photos, network.shape.sets, scale, off_centre):
            logits = network.content(network.normalised(batch.image))
            if not off_centre:
                logits = logits + network.centre_bias(batch.grid, batch.gaze_set)
            scores[name].append(measures(log_normalised(logits), batch.gaze))
        for name, parts in scores.items():
            if parts:
                kl, cc, nss = torch.cat(parts).mean(dim=0).tolist()
                log.info("  %-14s %-7s KL %.3f  CC %.3f  NSS %.3f", name, "windows" if off_centre else "whole", kl, cc, nss)


@torch.no_grad()
def mask_scores(network: GazeNetwork, photos: list[Photo], scale: float) -> list[tuple[str, float]]:
    """Return the intersection over union of each mask, over all cells of whole photos that have masks, at the level .5."""
    shared, either = torch.zeros(len(MASKS)), torch.zeros(len(MASKS))
    for _, batch in validation_batches(
        [photo for photo in photos if photo.subject is not None], network.shape.sets, scale, False
    ):
        logits = network.maps(network.normalised(batch.image))[1]
        assert logits is not None
        given, wanted = logits > 0, batch.masks > 0.5
        shared += (given & wanted).sum(dim=(0, 2, 3))
        either += (given | wanted).sum(dim=(0, 2, 3))
    return list(zip(MASKS, (shared / either.clamp_min(1)).tolist(), strict=True))


def measures(log_density: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return KL in nats, CC, and NSS with the target as weights, for every map of a batch: [N, 3]."""
    log_density, target = log_density.flatten(1), target.flatten(1)
    density = log_density.exp()
    kl = (torch.xlogy(target, target) - target * log_density).sum(dim=1)
    z = (density - density.mean(dim=1, keepdim=True)) / density.std(dim=1, keepdim=True)
    b = (target - target.mean(dim=1, keepdim=True)) / target.std(dim=1, keepdim=True)
    return torch.stack([kl, (z * b).sum(dim=1) / (density.shape[1] - 1), (z * target).sum(dim=1)], dim=1)
