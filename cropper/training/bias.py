"""How strong a centre bias to ship: people's gaze on whole photos wants one, off-centre windows want none."""

from __future__ import annotations

import torch

from cropper.training.data import Photo
from cropper.training.fit import measures, validation_batches
from cropper.training.network import GazeNetwork, log_normalised


@torch.no_grad()
def compare(network: GazeNetwork, photos: list[Photo], strengths: list[float], scale: float) -> dict[float, tuple[float, float]]:
    """For each strength of the mean centre bias: KL in nats on whole photos and on off-centre windows, of sets with fixations."""
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
