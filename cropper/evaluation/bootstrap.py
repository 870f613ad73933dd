"""How sure a mean over photos is: 95 % intervals by resampling the photos. Pure numpy.

Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 1979; percentile intervals. What they tell is how
far the figure may move with other photos of the same kind, seen by as many viewers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
SEED = 0
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure, and the ends of its 95 % interval. NaN where it cannot be told."""

    value: float
    low: float
    high: float


def resamples(photos: int) -> NDArray[np.float64]:
    """How often each photo is drawn in each resample: float64 [2001, photos]; the first row is the set itself, each photo once.

    The same for the same number of photos, so that figures of different croppers are compared on the same resamples.
    """
    drawn = np.random.default_rng(SEED).multinomial(photos, np.full(photos, 1 / photos), RESAMPLES)
    return np.vstack([np.ones(photos), drawn])


def interval(figures: NDArray[np.float64]) -> Interval:
    """The interval of a figure computed on each row of ``resamples``: float64 [2001]."""
    resampled = figures[1:][~np.isnan(figures[1:])]
    if np.isnan(figures[0]) or not len(resampled):
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(figures[0]), float(low), float(high))


def mean(values: NDArray[np.float64]) -> Interval:
    """The mean over photos of a value each has, float64 [photos], with its interval."""
    return interval(resamples(len(values)) @ values / len(values))
