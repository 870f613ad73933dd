"""Each measure on cases worked out by hand, and by what must not change it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cropper.evaluation import metrics

FLAT = np.full((4, 6), 1 / 24)


def at(*pixels: tuple[int, int]) -> np.ndarray:
    return np.array(pixels, np.int64).reshape(-1, 2)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A density, the density of the fixations, the fixations; some pixels are looked at by nobody."""
    height, width = draw(st.integers(2, 20)), draw(st.integers(2, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    saliency, density = rng.random((height, width)) ** 3, rng.random((height, width)) ** 3
    fixated = np.stack([rng.integers(0, width, 8), rng.integers(0, height - 1, 8)], axis=1)
    return saliency / saliency.sum(), density / density.sum(), fixated


def test_auc_is_the_share_of_unfixated_pixels_below() -> None:
    saliency = np.array([[0.1, 0.2], [0.3, 0.4]])
    assert metrics.auc(saliency, at((1, 1))) == 1
    assert metrics.auc(saliency, at((0, 0))) == 0
    assert metrics.auc(saliency, at((1, 0))) == pytest.approx(1 / 3)
    # Both 0.2 and 0.4 are fixated: against 0.1 and 0.3 they win 1/2 and 1.
    assert metrics.auc(saliency, at((1, 0), (1, 1))) == pytest.approx(3 / 4)


def test_auc_counts_a_pixel_as_often_as_it_is_looked_at_and_ties_half() -> None:
    saliency = np.array([[0.1, 0.2], [0.3, 0.4]])
    # 0.2 against 0.1 and 0.3 is 1/2, thrice; 0.4 is 1, once.
    assert metrics.auc(saliency, at((1, 0), (1, 0), (1, 0), (1, 1))) == pytest.approx(5 / 8)
    # Against 0.1, 0.2 and 0.3: one below, one tied.
    assert metrics.auc(np.array([[0.2, 0.2], [0.1, 0.3]]), at((0, 0))) == pytest.approx(1.5 / 3)


def test_auc_is_the_area_under_the_roc_curve_swept_threshold_by_threshold() -> None:
    rng = np.random.default_rng(3)
    saliency = rng.integers(0, 12, (15, 20)).astype(float)
    fixated = np.stack([rng.integers(0, 20, 30), rng.integers(0, 15, 30)], axis=1)
    positives = saliency[fixated[:, 1], fixated[:, 0]]
    free = np.ones(saliency.shape, bool)
    free[fixated[:, 1], fixated[:, 0]] = False
    thresholds = [np.inf, *range(11, -1, -1)]
    hits = [(positives >= t).mean() for t in thresholds]
    alarms = [(saliency[free] >= t).mean() for t in thresholds]
    area = sum((b - a) * (h + g) / 2 for a, b, g, h in zip(alarms, alarms[1:], hits, hits[1:], strict=False))
    assert metrics.auc(saliency, fixated) == pytest.approx(area)


def test_shuffled_auc_tells_from_the_other_photos_fixations() -> None:
    saliency = np.array([[0.1, 0.2], [0.3, 0.4]])
    assert metrics.shuffled_auc(saliency, at((1, 1)), at((0, 0), (0, 1))) == 1
    assert metrics.shuffled_auc(saliency, at((1, 0)), at((0, 0), (0, 1), (1, 1))) == pytest.approx(1 / 3)
    # Looking where one always looks earns nothing, however high the map is there.
    assert metrics.shuffled_auc(saliency, at((1, 1), (0, 1)), at((0, 1), (1, 1))) == 0.5
    assert math.isnan(metrics.shuffled_auc(saliency, at((1, 1)), at()))


def test_nss_is_in_standard_deviations_above_the_mean() -> None:
    saliency = np.array([[0.0, 0.0], [0.0, 4.0]])  # mean 1, deviation sqrt(3)
    assert metrics.nss(saliency, at((1, 1))) == pytest.approx(math.sqrt(3))
    assert metrics.nss(saliency, at((0, 0))) == pytest.approx(-1 / math.sqrt(3))
    assert metrics.nss(saliency, at((1, 1), (0, 0), (0, 1), (1, 0))) == pytest.approx(0)


def test_cc_is_pearsons_coefficient() -> None:
    saliency, density = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 3.0], [2.0, 4.0]])
    assert metrics.cc(saliency, density) == pytest.approx(0.8)
    assert metrics.cc(density * 5 + 1, density) == pytest.approx(1)
    assert metrics.cc(-density, density) == pytest.approx(-1)


def test_sim_is_what_two_densities_share() -> None:
    assert metrics.sim(np.array([[0.5, 0.5, 0, 0]]), np.full((1, 4), 0.25)) == 0.5
    assert metrics.sim(np.array([[1.0, 0]]), np.array([[0, 1.0]])) == 0
    assert metrics.sim(FLAT, FLAT) == pytest.approx(1)


def test_kl_is_in_nats_from_the_fixations_to_the_prediction() -> None:
    density, saliency = np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])
    assert metrics.kl(saliency, density) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), abs=1e-7)
    assert metrics.kl(density, saliency) == pytest.approx(0.25 * math.log(1 / 2) + 0.75 * math.log(3 / 2), abs=1e-7)
    assert metrics.kl(density, density) == 0
    # A place ruled out and looked at costs a lot, and not infinitely much.
    assert 10 < metrics.kl(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])) < 100


def test_information_gain_is_in_bits_per_fixation() -> None:
    saliency, baseline = np.array([[0.5, 0.25, 0.25]]), np.array([[0.125, 0.25, 0.625]])
    assert metrics.information_gain(saliency, baseline, at((0, 0))) == pytest.approx(2)
    assert metrics.information_gain(saliency, baseline, at((0, 0), (1, 0))) == pytest.approx(1)
    assert metrics.information_gain(baseline, baseline, at((0, 0), (2, 0))) == 0
    assert -50 < metrics.information_gain(np.array([[1.0, 0.0]]), np.full((1, 2), 0.5), at((1, 0))) < -20


@pytest.mark.parametrize("rounding", [0, 1e-9])
def test_a_flat_map_is_worth_chance_even_if_rounding_dents_it(rounding: float) -> None:
    dented = FLAT * (1 + rounding * np.arange(24).reshape(4, 6))
    fixated = at((5, 3), (4, 3), (5, 2))
    assert metrics.auc(dented, fixated) == 0.5
    assert metrics.shuffled_auc(dented, fixated, at((0, 0))) == 0.5
    assert metrics.nss(dented, fixated) == 0
    assert metrics.cc(dented, np.arange(24.0).reshape(4, 6)) == 0
    assert metrics.information_gain(dented, FLAT, fixated) == pytest.approx(0, abs=1e-6)


@given(scenes())
def test_only_the_order_of_values_counts_for_auc(scene: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]) -> None:
    saliency, _, fixated = scene
    elsewhere = fixated[::2, ::1] // 2
    for changed in (saliency**3, np.log(saliency + 1), 7 * saliency + 2):
        assert metrics.auc(changed, fixated) == pytest.approx(metrics.auc(saliency, fixated), abs=1e-12)
        expected = metrics.shuffled_auc(saliency, fixated, elsewhere)
        assert metrics.shuffled_auc(changed, fixated, elsewhere) == pytest.approx(expected, abs=1e-12)
    assert metrics.auc(-saliency, fixated) == pytest.approx(1 - metrics.auc(saliency, fixated))


@given(scenes())
def test_scale_and_offset_do_not_count_for_nss_and_cc(scene: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]) -> None:
    saliency, density, fixated = scene
    assert metrics.nss(saliency * 1000 + 3, fixated) == pytest.approx(metrics.nss(saliency, fixated), abs=1e-6)
    assert metrics.cc(saliency * 1000 + 3, density) == pytest.approx(metrics.cc(saliency, density), abs=1e-6)


@given(scenes(), st.sampled_from([0, 1]))
def test_flips_change_nothing(scene: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], axis: int) -> None:
    saliency, density, fixated = scene
    turned = fixated.copy()
    turned[:, 1 - axis] = saliency.shape[axis] - 1 - fixated[:, 1 - axis]
    flipped, flipped_density = np.flip(saliency, axis), np.flip(density, axis)
    for straight, mirrored in (
        (metrics.auc(saliency, fixated), metrics.auc(flipped, turned)),
        (metrics.shuffled_auc(saliency, fixated[:4], fixated[4:]), metrics.shuffled_auc(flipped, turned[:4], turned[4:])),
        (metrics.nss(saliency, fixated), metrics.nss(flipped, turned)),
        (metrics.cc(saliency, density), metrics.cc(flipped, flipped_density)),
        (metrics.sim(saliency, density), metrics.sim(flipped, flipped_density)),
        (metrics.kl(saliency, density), metrics.kl(flipped, flipped_density)),
        (
            metrics.information_gain(saliency, density, fixated),
            metrics.information_gain(flipped, flipped_density, turned),
        ),
    ):
        assert mirrored == pytest.approx(straight, abs=1e-9)


@given(scenes())
def test_nothing_beats_the_fixations_own_density(scene: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]) -> None:
    saliency, density, _ = scene
    assert metrics.kl(saliency, density) >= metrics.kl(density, density)
    assert metrics.sim(saliency, density) <= metrics.sim(density, density) + 1e-12
    assert metrics.cc(saliency, density) <= metrics.cc(density, density) + 1e-12
