"""Intervals: as wide as theory says, the same every time, honest about what cannot be told."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from cropper.evaluation import bootstrap
from cropper.evaluation.bootstrap import interval, mean, resamples


def test_each_resample_draws_as_many_photos_as_there_are() -> None:
    weights = resamples(7)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 7).all()
    assert (weights[1:] != 1).any(axis=1).mean() > 0.9
    assert np.array_equal(weights, resamples(7))


def test_a_mean_is_as_sure_as_the_normal_law_says() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)
    figure = mean(values)
    standard_error = values.std() / 20
    assert figure.value == pytest.approx(values.mean())
    assert figure.low == pytest.approx(values.mean() - 1.96 * standard_error, abs=0.12 * standard_error)
    assert figure.high == pytest.approx(values.mean() + 1.96 * standard_error, abs=0.12 * standard_error)


def test_intervals_hold_the_truth_about_19_times_in_20(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "resamples", cache(resamples))  # each set draws the same, and drawing is what takes time
    rng = np.random.default_rng(2)
    figures = [mean(rng.exponential(1.0, 100)) for _ in range(150)]
    assert 0.88 < np.mean([figure.low <= 1 <= figure.high for figure in figures]) <= 0.99


def test_what_does_not_vary_has_no_width() -> None:
    figure = mean(np.full(9, 0.25))
    assert (figure.value, figure.low, figure.high) == pytest.approx((0.25, 0.25, 0.25))


def test_resamples_that_tell_nothing_are_passed_over() -> None:
    figure = interval(np.array([1.0, np.nan, 0.0, 2.0]))
    assert figure.value == 1
    assert 0 <= figure.low < 0.1
    assert math.isnan(mean(np.array([1.0, np.nan])).value)
    assert math.isnan(interval(np.array([1.0, np.nan])).low)
