"""Prune the hidden channels of blocks that cost much and contribute little (Fisher pruning).

The trunk's own blocks down to stride 8 stay as they are: ``imitate`` replaces them with dense convolutions, which saves more.

Theis, Korshunova, Tejani and Huszár 2018, "Faster gaze prediction with dense networks and Fisher pruning",
https://arxiv.org/abs/1801.05787. Put a mask on a channel. Removing the channel raises the loss by about half the mean, over
photos, of the squared gradient with respect to the mask. A channel is removed if this is less than beta times the cost it saves.
In an inverted bottleneck, all cost is proportional to the hidden channels, and removing one affects no other block.
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

# A block keeps a multiple of this many channels: otherwise onnxruntime's int8 depthwise convolution takes 2.4 times as long.
CHANNEL_STEP = 16
# Cost of one number of a hidden map in ns, from onnxruntime's profile of int8 on one core with AVX-512 VNNI. Depthwise
# convolutions have few multiplications but are slow at them.
TOUCH_COST = 0.12
MULTIPLY_COST = 0.0045
DEPTHWISE_COST = {3: 0.45, 5: 0.85}


def prune_network(
    network: GazeNetwork, photos: list[Photo], recipe: Recipe, share: float, rounds: int, steps: int
) -> GazeNetwork:
    """Cut hidden channels until their blocks cost only a share of the original cost; train in each round.

    Args:
        network: a trained network; it changes in place, and none of its layers stays frozen.
        photos: the photos for the Fisher information and for training.
        recipe: the settings of the training.
        share: share of the cost to keep, 0..1.
        rounds: number of rounds; each reduces the cost by the same factor.
        steps: batches in each round.

    Returns:
        The same network, with its new shape.
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
    """Train some batches; return the mean loss, and for each block the expected loss of removing each channel, [channels]."""
    # Evaluation mode keeps the statistics, as `imitate` does after pruning.
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
            # A photo's own gradient is that of the mean loss times the number of photos.
            for i, mask in masks.items():
                squared[i] += (mask.grad[:, :, 0, 0] * len(image)).square().sum(dim=0)
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            total += float(loss.detach().sum())
            seen += len(image)
    return total / seen, [s / (2 * seen) for s in squared]


@contextmanager
def _masked(network: GazeNetwork) -> Iterator[dict[int, Any]]:
    """Put a mask of ones on the hidden channels of each block: block index -> latest mask, [N, C, 1, 1], one for each photo."""
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
    """Return the cost of one hidden channel of each block, in ns for one pixel of the input."""
    costs = []
    before = TAP_STRIDES[0]  # stride between the dense blocks and the others
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
    """Return the channels to keep in each block, [k] each, at a cost within the budget; bisection finds beta."""
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
    """Return the indices of a block's channels worth their cost; rounds their number to a multiple of CHANNEL_STEP, not 0."""
    worth = int((gradient > beta * cost).sum())
    count = min(len(gradient), max(1, round(worth / CHANNEL_STEP)) * CHANNEL_STEP)
    return gradient.argsort(descending=True)[:count].sort().values
