"""The training loop: batches in, a checkpoint an epoch out."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from cropper.training.data import (
    WHOLE,
    Batch,
    EpochBatches,
    GazePhoto,
    jitter_colours,
    make_batch,
    random_window,
    read_gaze_set,
)
from cropper.training.network import Student

log = logging.getLogger(__name__)

VALIDATION_SHAPE = (224, 288)


@dataclass(frozen=True)
class Recipe:
    """What a training run depends on, beside its photos."""

    epochs: int = 4
    batch_size: int = 16
    trunk_rate: float = 3e-4
    head_rate: float = 3e-3
    weight_decay: float = 1e-4
    cc_weight: float = 0.5
    # Photos with true fixations say more than noisy maps: how often an epoch visits each of them.
    fixation_repeats: int = 2
    seed: int = 0


def loss_of(log_density: torch.Tensor, target: torch.Tensor, cc_weight: float) -> torch.Tensor:
    """KL divergence from the target less a share of the correlation coefficient, mean over the batch."""
    log_density, target = log_density.flatten(1), target.flatten(1)
    kl = (torch.xlogy(target, target) - target * log_density).sum(dim=1)
    a = log_density.exp()
    a, b = a - a.mean(dim=1, keepdim=True), target - target.mean(dim=1, keepdim=True)
    cc = (a * b).sum(dim=1) / (a.square().sum(dim=1) * b.square().sum(dim=1)).sqrt().clamp_min(1e-12)
    return (kl - cc_weight * cc).mean()


def read_sets(folders: list[Path]) -> tuple[list[GazePhoto], list[GazePhoto], list[str]]:
    """All sets' training photos, validation photos and the sets' names."""
    training, validation = [], []
    for folder in folders:
        train, held_out = read_gaze_set(folder)
        log.info("%s: %d photos to train on, %d to validate", folder.name, len(train), len(held_out))
        training += train
        validation += held_out
    return training, validation, [folder.name for folder in folders]


def fit(folders: list[Path], out: Path, recipe: Recipe, resume: bool) -> Path:
    """Train a student on the gaze sets, write ``out/epoch-N.pt`` after every epoch and return the last one's path.

    With ``resume`` the newest checkpoint in ``out`` goes on where it stopped.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    training, validation, set_names = read_sets(folders)
    epoch_photos = [photo for photo in training for _ in range(1 if photo.fixations is None else recipe.fixation_repeats)]
    student = Student(len(set_names)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    head = [p for n, p in student.named_parameters() if not n.startswith(("stem", "blocks"))]
    trunk = [p for n, p in student.named_parameters() if n.startswith(("stem", "blocks"))]
    optimizer = torch.optim.AdamW([{"params": trunk}, {"params": head}], weight_decay=recipe.weight_decay)
    steps = len(EpochBatches(epoch_photos, set_names, recipe.batch_size, recipe.seed, 0))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [recipe.trunk_rate, recipe.head_rate], total_steps=steps * recipe.epochs, pct_start=0.15
    )
    first = 0
    checkpoints = sorted(out.glob("epoch-*.pt"), key=lambda path: int(path.stem.removeprefix("epoch-")))
    if resume and checkpoints:
        state = torch.load(checkpoints[-1], weights_only=True)
        student.load_state_dict(state["student"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = state["epoch"] + 1
        log.info("resumed from %s", checkpoints[-1])

    for epoch in range(first, recipe.epochs):
        generator = torch.Generator().manual_seed(recipe.seed * 1000 + epoch)
        batches = EpochBatches(epoch_photos, set_names, recipe.batch_size, recipe.seed, epoch)
        student.train()
        losses = []
        bar = tqdm(DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=4), desc=f"epoch {epoch}")
        for batch in bar:
            image = student.features(jitter_colours(batch.image.float(), generator))
            image = image.contiguous(memory_format=torch.channels_last)
            loss = loss_of(student(image, batch.grid, batch.gaze_set), batch.target, recipe.cc_weight)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(student.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            bar.set_postfix(loss=f"{np.mean(losses[-50:]):.3f}")
        path = out / f"epoch-{epoch}.pt"
        torch.save(
            {
                "student": student.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "epoch": epoch,
                "sets": set_names,
                "recipe": asdict(recipe),
            },
            path,
        )
        log.info("epoch %d: loss %.4f, saved %s", epoch, float(np.mean(losses)), path)
        for name, scores in validate(student, validation, set_names).items():
            log.info("  %-14s %s", name, "  ".join(f"{key} {value:.3f}" for key, value in scores.items()))
    return out / f"epoch-{recipe.epochs - 1}.pt"


def load_student(checkpoint: Path) -> tuple[Student, dict[str, Any]]:
    """A trained student in evaluation mode, and the checkpoint it came from."""
    state = torch.load(checkpoint, weights_only=True)
    student = Student(len(state["sets"]), pretrained=False)
    student.load_state_dict(state["student"])
    return student.eval(), state


def validation_batches(photos: list[GazePhoto], set_names: list[str], off_centre: bool, seed: int = 0) -> list[Batch]:
    """The photos whole, or an off-centre window of each, in batches of 16 of one set."""
    rng = np.random.default_rng(seed)
    height, width = VALIDATION_SHAPE
    batches = []
    for name in set_names:
        of_set = [photo for photo in photos if photo.gaze_set == name]
        for start in range(0, len(of_set), 16):
            part = of_set[start : start + 16]
            windows = [random_window(p, width / height, rng, whole=0.0) if off_centre else WHOLE for p in part]
            batches.append(make_batch(part, windows, [False] * len(part), VALIDATION_SHAPE, set_names))
    return batches


@torch.no_grad()
def validate(student: Student, photos: list[GazePhoto], set_names: list[str]) -> dict[str, dict[str, float]]:
    """Per set: loss in nats (KL) and CC on whole photos, with the set's own centre bias."""
    student.eval()
    scores: dict[str, dict[str, list[float]]] = {name: {"KL": [], "CC": [], "NSS": []} for name in set_names}
    for batch in validation_batches(photos, set_names, off_centre=False):
        log_density = student(student.features(batch.image), batch.grid, batch.gaze_set)
        name = set_names[int(batch.gaze_set[0])]
        for key, values in measures(log_density, batch.target).items():
            scores[name][key] += values
    return {name: {key: float(np.mean(v)) for key, v in of.items()} for name, of in scores.items()}


def measures(log_density: torch.Tensor, target: torch.Tensor) -> dict[str, list[float]]:
    """KL, CC and NSS (against the target as weights) of every map in a batch."""
    log_density, target = log_density.flatten(1), target.flatten(1)
    density = log_density.exp()
    kl = (torch.xlogy(target, target) - target * log_density).sum(dim=1)
    z = (density - density.mean(dim=1, keepdim=True)) / density.std(dim=1, keepdim=True)
    nss = (z * target).sum(dim=1)
    b = (target - target.mean(dim=1, keepdim=True)) / target.std(dim=1, keepdim=True)
    cc = (z * b).sum(dim=1) / (density.shape[1] - 1)
    return {"KL": kl.tolist(), "CC": cc.tolist(), "NSS": nss.tolist()}


def choose_bias_strength(
    student: Student, photos: list[GazePhoto], set_names: list[str], strengths: list[float]
) -> dict[float, tuple[float, float]]:
    """KL on whole photos and on off-centre windows for each strength of the mean centre bias, over sets with fixations."""
    photos = [photo for photo in photos if photo.fixations is not None]
    names = [name for name in set_names if any(photo.gaze_set == name for photo in photos)]
    slopes = torch.nn.functional.softplus(student.bias_slopes.detach()).mean(dim=0)
    kl: dict[float, list[list[float]]] = {strength: [[], []] for strength in strengths}
    for off_centre in (False, True):
        for batch in validation_batches(photos, names, off_centre):
            rows, columns = batch.target.shape[1:]
            u = (torch.arange(columns) + 0.5) * 2 / columns - 1
            v = (torch.arange(rows) + 0.5) * 2 / rows - 1
            with torch.no_grad():
                content = student.content(student.features(batch.image))
            for strength in strengths:
                logits = content - strength * (u.square()[None] * slopes[0] + v.square()[:, None] * slopes[1])
                log_density = torch.log_softmax(logits.flatten(1), dim=1).view_as(logits)
                kl[strength][off_centre] += measures(log_density, batch.target)["KL"]
    return {strength: (float(np.mean(whole)), float(np.mean(windows))) for strength, (whole, windows) in kl.items()}
