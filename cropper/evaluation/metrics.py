"""Measure how well a saliency map predicts where people looked, by the field's standard measures. Pure numpy, no I/O.

All measures take maps as float [H, W] at the photo's own size, and fixations as int [n, 2], columns x and y. Fixations are pixels
inside the photo; a pixel appears once for each fixation on it. A *density* is a map that is non-negative and sums to 1. For the
properties of each measure see Bylinskii et al., "What do different evaluation metrics tell us about saliency models?", PAMI 2019.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.floating[Any]]
Pixels = NDArray[np.integer[Any]]

# The smallest probability in information gain: the penalty for ruling out a fixated pixel is high but finite. For comparison, a
# pixel of a flat density over 24 megapixels has 4e-8.
TINY = 1e-12
# The same for KL, where both maps are smooth and mostly near zero. For comparison, a pixel of a flat density over 512 x 384 has
# 5e-6.
TINY_IN_KL = 1e-9
# A map whose values differ by less than this share of the largest is flat: the rest is rounding.
FLAT = 1e-6


def auc(saliency: Map, fixated: Pixels) -> float:
    """Return the area under the ROC curve that separates fixations from unfixated pixels, 0..1; chance is 0.5.

    AUC-Judd: Judd et al., "Learning to predict where humans look", ICCV 2009. This function computes the chance that a fixation
    has a higher value than an unfixated pixel; ties count half. That is the same area without thresholds (Mann and Whitney 1947).
    Only the order of the values matters. NaN if every pixel has a fixation.
    """
    unfixated = np.ones(saliency.shape, bool)
    unfixated[fixated[:, 1], fixated[:, 0]] = False
    return _chance_higher(_at(saliency, fixated), saliency[unfixated], is_flat(saliency))


def shuffled_auc(saliency: Map, fixated: Pixels, elsewhere: Pixels) -> float:
    """Return the area as in ``auc``, but against fixations of other photos, 0..1: a centre bias gains nothing.

    Zhang et al., "SUN: A Bayesian framework for saliency using natural statistics", Journal of Vision 2008.

    Args:
        saliency: the map.
        fixated: this photo's fixations.
        elsewhere: int [m, 2]: fixations of other photos, scaled to this photo; the result is NaN if there are none.
    """
    return _chance_higher(_at(saliency, fixated), _at(saliency, elsewhere), is_flat(saliency))


def nss(saliency: Map, fixated: Pixels) -> float:
    """Return the normalised scanpath saliency: the mean value at fixations, in standard deviations above the map's mean.

    Peters et al., "Components of bottom-up gaze allocation in natural images", Vision Research 2005. Chance is 0. A flat map
    scores 0.
    """
    if is_flat(saliency):
        return 0.0
    return float((_at(saliency, fixated).mean() - saliency.mean()) / saliency.std())


def cc(saliency: Map, density: Map) -> float:
    """Return Pearson's correlation coefficient between a map and the density of fixations, -1..1; 0 for a flat map.

    Used for saliency since Ouerhani et al., "Empirical validation of the saliency-based model of visual attention", ELCVIA 2004.
    """
    if is_flat(saliency) or is_flat(density):
        return 0.0
    a, b = saliency - saliency.mean(), density - density.mean()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def sim(saliency: Map, density: Map) -> float:
    """Return the similarity of two densities: the sum of their pixelwise minimum, 0..1.

    Judd et al., "A benchmark of computational models of saliency to predict human fixations", MIT technical report 2012; the
    histogram intersection of Swain and Ballard 1991.
    """
    return float(np.minimum(saliency, density).sum())


def kl(saliency: Map, density: Map) -> float:
    """Return the Kullback-Leibler divergence of a predicted density from the density of fixations, in nats; 0 is perfect.

    It is the information lost if the prediction replaces the fixations: the sum of ``density * log(density / saliency)``.
    """
    return float((density * np.log((density + TINY_IN_KL) / (saliency + TINY_IN_KL))).sum())


def information_gain(saliency: Map, baseline: Map, fixated: Pixels) -> float:
    """Return how much better a density predicts the fixations than a baseline, in bits per fixation; 0 is no better.

    Kümmerer et al., "Information-theoretic model comparison unifies saliency metrics", PNAS 2015: the mean difference of the log
    likelihoods.

    Args:
        saliency: the predicted density.
        baseline: a density that does not depend on the photo, such as the centre bias of the set.
        fixated: this photo's fixations.
    """
    likelihoods = np.maximum(_at(saliency, fixated), TINY), np.maximum(_at(baseline, fixated), TINY)
    return float((np.log2(likelihoods[0]) - np.log2(likelihoods[1])).mean())


def is_flat(values: Map) -> bool:
    """Return whether all values of a map are equal, apart from rounding."""
    return bool(np.ptp(values) <= FLAT * np.abs(values).max())


def _at(values: Map, pixels: Pixels) -> NDArray[Any]:
    return values[pixels[:, 1], pixels[:, 0]]


def _chance_higher(positives: NDArray[Any], negatives: NDArray[Any], flat: bool) -> float:
    """Return the chance that a random positive exceeds a random negative; ties count half, and a flat map has only ties."""
    if not len(negatives):
        return float("nan")
    if flat:
        return 0.5
    ordered = np.sort(negatives)
    below, up_to = np.searchsorted(ordered, positives, "left"), np.searchsorted(ordered, positives, "right")
    return float((below + up_to).mean() / 2 / len(ordered))
