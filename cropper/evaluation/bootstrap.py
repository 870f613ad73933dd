"""Compute 95 % intervals of means over photos by resampling the photos. Pure numpy.

Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 1979; percentile intervals. An interval shows how
much the figure may vary with other photos of the same kind and the same number of viewers.
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
    """A figure and the ends of its 95 % interval; NaN if it is undefined."""

    value: float
    low: float
    high: float


def resamples(photos: int) -> NDArray[np.float64]:
    """Count how often each resample draws each photo: float64 [2001, photos]; the first row is the set itself, each photo once.

    The same number of photos always gives the same resamples, so different croppers are compared on equal terms.
    """
    drawn = np.random.default_rng(SEED).multinomial(photos, np.full(photos, 1 / photos), RESAMPLES)
    return np.vstack([np.ones(photos), drawn])


def interval(figures: NDArray[np.float64]) -> Interval:
    """Return a figure and its interval from its values on the rows of ``resamples``: float64 [2001]."""
    resampled = figures[1:][~np.isnan(figures[1:])]
    if np.isnan(figures[0]) or not len(resampled):
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(figures[0]), float(low), float(high))


def mean(values: NDArray[np.float64]) -> Interval:
    """Return the mean of one value for each photo, float64 [photos], and its interval."""
    return interval(resamples(len(values)) @ values / len(values))
