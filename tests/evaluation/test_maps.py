"""Scores of maps, by predictors whose worth is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from fixtures import Viewed
from numpy.typing import NDArray

from cropper.evaluation import gaze, maps


def flat(bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.full((12, 16), 1 / 192, np.float32)


def test_the_fixations_own_density_scores_what_can_be_scored(gaze_folder: Path) -> None:
    photos = gaze.read(gaze_folder, drop_first=True).photos
    truth = iter([photo.density() for photo in photos])
    scores = maps.summary(list(maps.score(photos, lambda bgr: next(truth))))
    assert scores["CC"].value == pytest.approx(1)
    assert scores["SIM"].value == pytest.approx(1)
    assert scores["KL"].value == pytest.approx(0, abs=1e-6)
    assert scores["AUC"].value > 0.95
    assert scores["sAUC"].value > 0.9
    assert scores["NSS"].value > 2
    assert scores["IG"].value > 1


def test_a_flat_map_scores_chance_and_what_the_centre_bias_knows(gaze_folder: Path) -> None:
    photos = gaze.read(gaze_folder).photos
    rows = list(maps.score(photos, flat))
    assert {(row["AUC"], row["sAUC"], row["NSS"], row["CC"]) for row in rows} == {(0.5, 0.5, 0.0, 0.0)}
    bias = gaze.centre_bias(photos)
    for photo, row in zip(photos, rows, strict=True):
        likelihood = gaze.at_size(bias, photo.width, photo.height)
        x, y = photo.points.astype(int).T
        known = np.log2(likelihood[y, x] * photo.width * photo.height).mean()
        assert row["IG"] == pytest.approx(-known, abs=1e-5)
        assert row["SIM"] == pytest.approx(np.minimum(photo.density(), 1 / photo.density().size).sum(), abs=1e-5)


def test_a_map_of_the_set_instead_of_the_photo_earns_no_shuffled_auc(viewed: Viewed, monkeypatch: pytest.MonkeyPatch) -> None:
    """All look at the same places: what sets them apart is nothing."""
    monkeypatch.setattr(gaze.GazePhoto, "bgr", lambda self: np.zeros((self.height, self.width, 3), np.uint8))
    points = [(30, 30), (60, 50), (62, 52), (31, 28)]
    photos = [viewed(points, name=f"{i}.jpg") for i in range(4)]
    for row in maps.score(photos, lambda bgr: photos[0].density()):
        assert row["AUC"] > 0.9
        assert row["sAUC"] == 0.5


def test_a_lone_photo_has_no_others_to_be_told_from(gaze_folder: Path) -> None:
    photos = gaze.read(gaze_folder, every=5).photos
    scores = maps.summary(list(maps.score(photos, flat)))
    assert len(photos) == 1
    assert math.isnan(scores["sAUC"].value)
    assert scores["AUC"].value == 0.5


def test_the_photos_own_pixels_reach_the_model_in_order(gaze_folder: Path) -> None:
    photos = gaze.read(gaze_folder).photos
    seen = []

    def watch(bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(bgr)
        return flat(bgr)

    list(maps.score(photos, watch))
    assert all(np.array_equal(bgr, photo.bgr()) for bgr, photo in zip(seen, photos, strict=True))


def test_summary_is_the_mean_over_photos() -> None:
    scores = maps.summary([{"AUC": 0.5, "IG": 1.0}, {"AUC": 0.9, "IG": 3.0}])
    assert scores["AUC"].value == pytest.approx(0.7)
    assert scores["IG"].value == pytest.approx(2)
    assert (scores["IG"].low, scores["IG"].high) == (1, 3)
