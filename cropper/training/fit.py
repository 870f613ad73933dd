"""Train a network and write a checkpoint after each epoch, for a teacher's member or, with the teacher's labels, a student."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from tqdm import tqdm

from cropper.training.data import Batch, EpochBatches, Photo, jitter_colours, read_gaze_set
from cropper.training.network import GazeNetwork, Shape, log_normalised
from cropper.training.parity import Cast, parity_loss, random_scene, scene_batch
from cropper.training.validation import log_scores

log = logging.getLogger(__name__)

HEAD_CELL_WEIGHT = 5.0
DICE_WEIGHT = 0.3


@dataclass(frozen=True)
class Recipe:
    """The settings of a training run, apart from its photos and its initial network."""

    epochs: int = 4
    scale: float = 1.0  # of the input, relative to the size that users' photos are resized to
    batch_size: int = 16
    whole: float = 0.3  # share of photos used whole, not as a window, 0..1
    trunk_rate: float = 3e-4
    head_rate: float = 3e-3
    mask_rate: float = 3e-3
    weight_decay: float = 1e-4
    cc_weight: float = 0.5
    # A box's offset depends only on the density's sums across or down, so these matter most.
    marginal_weight: float = 0.5
    # Weight of the teacher's density in the loss of a photo that also has people's gaze, 0..1.
    teacher_weight: float = 0.7
    # Weights of the masks' losses, of the subject and of heads, and of the equality of faces (parity.py), against the density's.
    mask_weights: tuple[float, float] = (0.5, 0.5)
    parity_weight: float = 0.5
    # How many scenes of faces each batch has beside its photos.
    scenes: int = 4
    # The share of batches at data.SMALL_SCALE instead, so that the network can also look at fewer pixels.
    small: float = 0.0
    # The share of batches that are upside down: people turn photos, and a head is a head.
    upside_down: float = 0.0
    # How often an epoch uses each photo with true fixations: they carry more information than noisy maps.
    fixation_repeats: int = 2
    # Whether normalisations keep their statistics instead of using each batch's. A restored, imitating or pruned network depends
    # on the statistics that it has.
    keep_statistics: bool = False
    seed: int = 0

    def at(self, rate: float) -> Recipe:
        """Return the same recipe with its learning rates multiplied by ``rate``."""
        return replace(self, trunk_rate=self.trunk_rate * rate, head_rate=self.head_rate * rate)


def divergence(log_density: torch.Tensor, target: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Return the loss of densities against targets, [N, h, w] twice -> [N]; 0 for empty targets.

    It is the KL divergence, plus that of the marginals across and down, minus the correlation coefficient, each weighted.
    """
    density = log_density.exp()
    divergence = kl(log_density, target) - recipe.cc_weight * _correlation(density, target)
    for side in (1, 2):
        divergence = divergence + recipe.marginal_weight * kl(density.sum(dim=side).clamp_min(1e-12).log(), target.sum(dim=side))
    return divergence


def kl(log_density: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the KL divergence of densities from targets, in nats: [N, ...] twice -> [N]."""
    return (torch.xlogy(target, target) - target * log_density).flatten(1).sum(dim=1)


def _correlation(density: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the correlation coefficient, [N, h, w] twice -> [N]; 0 if either map is constant."""
    a, b = (x.flatten(1) - x.flatten(1).mean(dim=1, keepdim=True) for x in (density, target))
    return (a * b).sum(dim=1) / (a.square().sum(dim=1) * b.square().sum(dim=1)).clamp_min(1e-24).sqrt()


def batch_loss(network: GazeNetwork, image: torch.Tensor, batch: Batch, recipe: Recipe) -> torch.Tensor:
    """Return the loss of each photo of a batch, [N]; ``image`` is normalised.

    People start in the middle, so their density is compared with the content plus their set's centre bias. The teacher's density
    has no centre bias, so it is compared with the content alone.
    """
    content, masks = network.maps(image)
    with_bias = log_normalised(content + network.centre_bias(batch.grid, batch.gaze_set))
    gaze = divergence(with_bias, batch.gaze, recipe)
    teacher = divergence(log_normalised(content), batch.teacher, recipe)
    has_gaze, has_teacher = batch.gaze.flatten(1).any(dim=1), batch.teacher.flatten(1).any(dim=1)
    share = torch.where(has_gaze & has_teacher, recipe.teacher_weight, has_teacher.float())
    loss = (1 - share) * gaze + share * teacher
    if masks is not None:
        loss = loss + (mask_losses(masks, batch.masks) @ torch.tensor(recipe.mask_weights)) * batch.has_masks
    return loss


def mask_losses(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the loss of masks, logits [N, 2, h, w] against targets in 0..1 -> [N, 2].

    It is the cross-entropy of each cell plus the Dice loss of the whole mask, which keeps small subjects from being left out.
    Cells of heads weigh HEAD_CELL_WEIGHT times others: they are few.
    """
    weight = torch.stack([torch.ones_like(target[:, 0]), 1 + (HEAD_CELL_WEIGHT - 1) * target[:, 1]], dim=1)
    entropy = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="none").mean(dim=(2, 3))
    share = logits.sigmoid()
    overlap, total = (share * target).sum(dim=(2, 3)), (share + target).sum(dim=(2, 3))
    return entropy + DICE_WEIGHT * (1 - (2 * overlap + 1) / (total + 1))


def read_sets(folders: list[Path]) -> tuple[list[Photo], list[Photo]]:
    """Return the training photos and the validation photos of all sets."""
    training, validation = [], []
    for folder in folders:
        train, held_out = read_gaze_set(folder)
        log.info("%s: %d photos to train on, %d to validate", folder.name, len(train), len(held_out))
        training += train
        validation += held_out
    return training, validation


def fit_network(
    network: GazeNetwork,
    training: list[Photo],
    validation: list[Photo],
    out: Path,
    recipe: Recipe,
    resume: bool,
    cast: Cast | None = None,
) -> Path:
    """Train a network in place, write ``out/epoch-N.pt`` after every epoch, and return the path of the last one.

    With ``resume``, training continues from the newest checkpoint in ``out``. With a cast, each batch also has scenes of its
    faces, which should get equal density.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups = [{"params": network.trunk_parameters()}, {"params": network.head_parameters()}]
    rates = [recipe.trunk_rate, recipe.head_rate]
    if network.shape.masks:
        groups.append({"params": network.mask_parameters()})
        rates.append(recipe.mask_rate)
    optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        rates,
        total_steps=len(epoch_batches(network.shape, training, recipe, 0)) * recipe.epochs,
        pct_start=0.15,
    )
    first = 0
    checkpoints = sorted(out.glob("epoch-*.pt"), key=lambda path: int(path.stem.removeprefix("epoch-")))
    if resume and checkpoints:
        state = torch.load(checkpoints[-1], weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = state["epoch"] + 1
        log.info("resumed from %s", checkpoints[-1])

    for epoch in range(first, recipe.epochs):
        network.train(not recipe.keep_statistics)
        losses = []
        bar = tqdm(total=len(epoch_batches(network.shape, training, recipe, epoch)), desc=f"epoch {epoch}")
        scenes_rng = np.random.default_rng((recipe.seed, epoch, 1))
        for image, batch in augmented(network, training, recipe, epoch):
            loss = batch_loss(network, image, batch, recipe).mean()
            if cast is not None:
                pictures, regions = scene_batch([random_scene(cast, scenes_rng) for _ in range(recipe.scenes)])
                content = network.content(network.normalised(pictures))
                loss = loss + recipe.parity_weight * parity_loss(content, regions).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            bar.set_postfix(loss=f"{np.mean(losses[-50:]):.3f}", refresh=False)
            bar.update()
        bar.close()
        path = out / f"epoch-{epoch}.pt"
        progress = {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(), "epoch": epoch}
        save_checkpoint(network, path, recipe, progress)
        log.info("epoch %d: loss %.4f, saved %s", epoch, float(np.mean(losses)), path)
        log_scores(network, validation, recipe.scale)
    return out / f"epoch-{recipe.epochs - 1}.pt"


def epoch_batches(shape: Shape, photos: list[Photo], recipe: Recipe, epoch: int) -> EpochBatches:
    """Return the batches of an epoch, with photos that have true fixations ``fixation_repeats`` times."""
    repeated = [photo for photo in photos for _ in range(1 if photo.fixations is None else recipe.fixation_repeats)]
    scales = recipe.scale, recipe.small
    return EpochBatches(repeated, shape.sets, scales, recipe.batch_size, recipe.whole, recipe.seed, epoch)


def augmented(network: GazeNetwork, photos: list[Photo], recipe: Recipe, epoch: int) -> Iterator[tuple[torch.Tensor, Batch]]:
    """Yield the batches of an epoch, each with its images colour-jittered and normalised for the network."""
    generator = torch.Generator().manual_seed(recipe.seed * 1000 + epoch)
    batches = epoch_batches(network.shape, photos, recipe, epoch)
    for batch in DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=4):
        if recipe.upside_down and torch.rand(1, generator=generator).item() < recipe.upside_down:
            batch = upside_down(batch)
        yield network.normalised(jitter_colours(batch.image.float(), generator)), batch


def upside_down(batch: Batch) -> Batch:
    """Return a batch with all of its photos and maps upside down."""
    flipped = {name: getattr(batch, name).flip(-2) for name in ("gaze", "teacher", "grid", "masks")}
    return replace(batch, image=batch.image.flip(1), **flipped)


def save_checkpoint(network: GazeNetwork, path: Path, recipe: Recipe, progress: dict[str, Any]) -> None:
    """Write a checkpoint: the network, its shape and recipe, and the state that a resumed run needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"network": network.state_dict(), "shape": asdict(network.shape), "recipe": asdict(recipe), **progress}, path)


def load_checkpoint(checkpoint: Path) -> tuple[GazeNetwork, dict[str, Any]]:
    """Return a trained network in evaluation mode, and the contents of its checkpoint."""
    state = torch.load(checkpoint, weights_only=True)
    network = GazeNetwork(Shape(**state["shape"]))
    network.load_state_dict(state["network"])
    return network.eval(), state
