"""How well a saliency map says where people looked: the field's measures, each by its definition. Pure numpy, no I/O.

All take maps as float [H, W] at the photo's own size, and fixations as int [n, 2], columns x and y: the pixels looked at, inside
the photo, as often as they were looked at. A *density* is a map that is non-negative and sums to 1. Which measure shows what is
discussed in Bylinskii et al., "What do different evaluation metrics tell us about saliency models?", PAMI 2019.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.floating[Any]]
Pixels = NDArray[np.integer[Any]]

# Stands in for a probability of nothing, so that a model that rules out a place is punished hard but not without end. A pixel of
# a flat density over 24 megapixels has 4e-8.
TINY = 1e-12
# The same in KL, where both maps are smooth and most of one is next to nothing: small against 5e-6, a pixel of a flat density
# over 512 x 384.
TINY_IN_KL = 1e-9
# A map whose values differ by less than this share of the largest is flat: what is left is rounding.
FLAT = 1e-6


def auc(saliency: Map, fixated: Pixels) -> float:
    """Area under the ROC curve of telling fixations from the pixels nobody looked at, 0..1; chance is 0.5.

    AUC-Judd: Judd et al., "Learning to predict where humans look", ICCV 2009. Here as the chance that a fixation lies on a higher
    value than an unfixated pixel, ties counting half, which is the same area without choosing thresholds (Mann and Whitney 1947).
    Only the order of the values counts. NaN where every pixel was looked at.
    """
    unfixated = np.ones(saliency.shape, bool)
    unfixated[fixated[:, 1], fixated[:, 0]] = False
    return _chance_higher(_at(saliency, fixated), saliency[unfixated], is_flat(saliency))


def shuffled_auc(saliency: Map, fixated: Pixels, elsewhere: Pixels) -> float:
    """As ``auc``, but told from where people look in other photos, so that knowing about the middle earns nothing; 0..1.

    Zhang et al., "SUN: A Bayesian framework for saliency using natural statistics", Journal of Vision 2008.

    Args:
        saliency: the map.
        fixated: this photo's fixations.
        elsewhere: int [m, 2]: the other photos' fixations, scaled to this photo. NaN is returned where there are none.
    """
    return _chance_higher(_at(saliency, fixated), _at(saliency, elsewhere), is_flat(saliency))


def nss(saliency: Map, fixated: Pixels) -> float:
    """Normalised scanpath saliency: the mean value at the fixations, in standard deviations above the map's mean. Chance is 0.

    Peters et al., "Components of bottom-up gaze allocation in natural images", Vision Research 2005. A flat map scores 0.
    """
    if is_flat(saliency):
        return 0.0
    return float((_at(saliency, fixated).mean() - saliency.mean()) / saliency.std())


def cc(saliency: Map, density: Map) -> float:
    """Pearson's correlation coefficient between a map and the density of the fixations, -1..1. A flat map scores 0.

    Used for saliency since Ouerhani et al., "Empirical validation of the saliency-based model of visual attention", ELCVIA 2004.
    """
    if is_flat(saliency) or is_flat(density):
        return 0.0
    a, b = saliency - saliency.mean(), density - density.mean()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def sim(saliency: Map, density: Map) -> float:
    """Similarity: what two densities have in common, the sum of their minimum, 0..1.

    Judd et al., "A benchmark of computational models of saliency to predict human fixations", MIT technical report 2012; the
    histogram intersection of Swain and Ballard 1991.
    """
    return float(np.minimum(saliency, density).sum())


def kl(saliency: Map, density: Map) -> float:
    """Kullback and Leibler's divergence of a predicted density from the density of the fixations, in nats; 0 is perfect.

    What is lost where the prediction stands for the fixations: the sum of ``density * log(density / saliency)``.
    """
    return float((density * np.log((density + TINY_IN_KL) / (saliency + TINY_IN_KL))).sum())


def information_gain(saliency: Map, baseline: Map, fixated: Pixels) -> float:
    """How much better a density foretells the fixations than a baseline does, in bits per fixation; 0 is no better.

    Kümmerer et al., "Information-theoretic model comparison unifies saliency metrics", PNAS 2015: the mean difference of the log
    likelihoods.

    Args:
        saliency: the predicted density.
        baseline: a density that knows nothing of the photo, such as the centre bias of the set.
        fixated: this photo's fixations.
    """
    likelihoods = np.maximum(_at(saliency, fixated), TINY), np.maximum(_at(baseline, fixated), TINY)
    return float((np.log2(likelihoods[0]) - np.log2(likelihoods[1])).mean())


def is_flat(values: Map) -> bool:
    """Whether a map says nothing: all values equal but for rounding."""
    return bool(np.ptp(values) <= FLAT * np.abs(values).max())


def _at(values: Map, pixels: Pixels) -> NDArray[Any]:
    return values[pixels[:, 1], pixels[:, 0]]


def _chance_higher(positives: NDArray[Any], negatives: NDArray[Any], flat: bool) -> float:
    """The chance that a positive is higher than a negative, both drawn at random; ties count half, as all do on a flat map."""
    if not len(negatives):
        return float("nan")
    if flat:
        return 0.5
    ordered = np.sort(negatives)
    below, up_to = np.searchsorted(ordered, positives, "left"), np.searchsorted(ordered, positives, "right")
    return float((below + up_to).mean() / 2 / len(ordered))
