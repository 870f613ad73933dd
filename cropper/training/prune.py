"""Fisher pruning: the hidden channels that cost much and say little are cut out of the blocks.

The trunk's own blocks down to stride 8 are left alone: they are cheaper made of dense convolutions, by ``imitate``.

Theis, Korshunova, Tejani and Huszár 2018, "Faster gaze prediction with dense networks and Fisher pruning",
https://arxiv.org/abs/1801.05787: removing a channel raises the loss by about half the mean over photos of the squared gradient
with respect to a mask on it, and a channel goes where that is less than beta times the cost it saves. In an inverted bottleneck
all cost is proportional to its hidden channels, and removing one touches no other block.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from cropper.training.data import Photo
from cropper.training.fit import Recipe, augmented, batch_loss
from cropper.training.network import TAP_STRIDES, DenseBlock, GazeNetwork

log = logging.getLogger(__name__)

# Channels left in a block are a multiple of this: onnxruntime's int8 depthwise convolution takes 2.4 times as long otherwise.
CHANNEL_STEP = 16
# What one number of a hidden map costs, in ns: int8 in onnxruntime on one core with AVX-512 VNNI, by its profile. Depthwise
# convolutions have few multiplications, and take long for those.
TOUCH_COST = 0.12
MULTIPLY_COST = 0.0045
DEPTHWISE_COST = {3: 0.45, 5: 0.85}


def prune(network: GazeNetwork, photos: list[Photo], recipe: Recipe, share: float, rounds: int, steps: int) -> GazeNetwork:
    """Cut hidden channels until those blocks cost a share of what they did; between the rounds the network is trained.

    Args:
        network: a trained network; it is changed in place, and no layer of it is frozen any more.
        photos: to measure the Fisher information on, and to train.
        recipe: how to train between the rounds.
        share: of the cost to keep, 0..1.
        rounds: in how many rounds to get there, each by the same factor.
        steps: batches a round.

    Returns:
        The network, with its new shape.
    """
    network.frozen = 0
    whole = _cost(network)
    for number in range(1, rounds + 1):
        losses, gradients = _train(network, photos, recipe, number, steps)
        keep = _chosen(gradients, _costs(network), whole * share ** (number / rounds))
        network.keep_hidden(keep)
        log.info("round %d: loss %.4f, hidden channels %s", number, losses, network.hidden)
    return network


def _train(network: GazeNetwork, photos: list[Photo], recipe: Recipe, epoch: int, steps: int) -> tuple[float, list[torch.Tensor]]:
    """Train some batches; the mean loss, and of each block's hidden channels the loss expected of removing it, [channels]."""
    # With the statistics it has, as `imitate` trains what is left.
    network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    groups = [
        {"params": network.trunk_parameters(), "lr": recipe.trunk_rate},
        {"params": network.head_parameters(), "lr": recipe.head_rate},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    squared = [torch.zeros(hidden) for hidden in network.hidden]
    total, seen = 0.0, 0
    with _masked(network) as masks:
        batches = augmented(network, photos, recipe, epoch)
        for _, (image, batch) in zip(tqdm(range(steps), desc=f"round {epoch}"), batches, strict=False):
            loss = batch_loss(network, image, batch, recipe)
            optimizer.zero_grad()
            loss.mean().backward()  # type: ignore[no-untyped-call]
            # A photo's own gradient is that of the mean times the number of photos.
            for i, mask in masks.items():
                squared[i] += (mask.grad[:, :, 0, 0] * len(image)).square().sum(dim=0)
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            total += float(loss.detach().sum())
            seen += len(image)
    return total / seen, [s / (2 * seen) for s in squared]


@contextmanager
def _masked(network: GazeNetwork) -> Iterator[dict[int, Any]]:
    """A mask of ones on the hidden channels of each block, one a photo: its latest, [N, C, 1, 1], by the block."""
    masks: dict[int, Any] = {}

    def masking(i: int) -> Any:
        def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            masks[i] = torch.ones(*inputs[0].shape[:2], 1, 1, requires_grad=True)
            return (inputs[0] * masks[i],)

        return hook

    hooks = [block._project_conv.register_forward_pre_hook(masking(i)) for i, block in enumerate(network.narrowable)]
    try:
        yield masks
    finally:
        for hook in hooks:
            hook.remove()


def _costs(network: GazeNetwork) -> list[float]:
    """Of each block, what each hidden channel costs, in ns for one pixel of the input."""
    costs = []
    before = TAP_STRIDES[0]  # of what the dense ones give, and the first of the others takes
    for block in network.narrowable:
        project = TOUCH_COST + MULTIPLY_COST * block._project_conv.out_channels
        expand = TOUCH_COST + MULTIPLY_COST * block._expand_conv.weight[0].numel()
        if isinstance(block, DenseBlock):
            costs.append((expand + project) / before**2)
        else:
            depthwise = DEPTHWISE_COST[block._depthwise_conv.kernel_size[0]]
            stride = before * block._depthwise_conv.stride[0]
            costs.append(expand / before**2 + (depthwise + project) / stride**2)
            before = stride
    return costs


def _cost(network: GazeNetwork) -> float:
    return sum(cost * hidden for cost, hidden in zip(_costs(network), network.hidden, strict=True))


def _chosen(gradients: list[torch.Tensor], costs: list[float], budget: float) -> list[torch.Tensor]:
    """The channels of each block to keep, [k] each, for a total cost of at most the budget: beta by bisection."""
    low, high = 1e-15, 1e15
    for _ in range(100):
        beta = (low * high) ** 0.5
        keep = [_worth(gradient, cost, beta) for gradient, cost in zip(gradients, costs, strict=True)]
        if sum(len(k) * cost for k, cost in zip(keep, costs, strict=True)) > budget:
            low = beta
        else:
            high = beta
    return [_worth(gradient, cost, high) for gradient, cost in zip(gradients, costs, strict=True)]


def _worth(gradient: torch.Tensor, cost: float, beta: float) -> torch.Tensor:
    """The indices of a block's channels worth their cost, rounded to a multiple of CHANNEL_STEP, at least one such."""
    worth = int((gradient > beta * cost).sum())
    count = min(len(gradient), max(1, round(worth / CHANNEL_STEP)) * CHANNEL_STEP)
    return gradient.argsort(descending=True)[:count].sort().values
