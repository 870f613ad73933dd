"""Kept and gap, the references, and the arithmetic between them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from fixtures import Viewed
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cropper.choosing.view import Maps
from cropper.evaluation import crops, gaze
from cropper.geometry import largest_size


def test_kept_is_the_share_inside_left_and_top_edges_in() -> None:
    points = np.array([(10, 10), (19.9, 14.9), (20, 12), (12, 15), (9.9, 12)])
    assert crops.kept(points, (10, 10, 10, 5)) == pytest.approx(2 / 5)
    assert crops.kept(points, (0, 0, 100, 100)) == 1
    assert math.isnan(crops.kept(np.empty((0, 2)), (0, 0, 1, 1)))


def test_the_centre_box_is_in_the_middle() -> None:
    assert crops.centre_box(100, 80, (1, 1)) == (10, 0, 80, 80)
    assert crops.centre_box(100, 80, (2, 1)) == (0, 15, 100, 50)
    assert crops.centre_box(101, 80, (1, 1)) == (10.5, 0, 80, 80)


def test_the_best_box_goes_where_most_look() -> None:
    points = np.array([(5, 40)] * 3 + [(95, 40)] * 4, float)
    x, y, width, height = crops.best_box(points, 100, 80, (1, 1))
    assert (y, width, height) == (0, 80, 80)
    assert x > 15
    assert crops.kept(points, (x, y, width, height)) == pytest.approx(4 / 7)
    upright = crops.best_box(points[:, ::-1], 80, 100, (1, 1))
    assert upright == (0, x, 80, 80)


def test_among_equals_the_best_box_is_the_middle_one() -> None:
    assert crops.best_box(np.array([(50.0, 40.0)]), 100, 80, (1, 1)) == (10, 0, 80, 80)
    # Offsets 30 to 60 of 0 to 60 keep it.
    assert crops.best_box(np.array([(69.5, 20.0)]), 100, 40, (1, 1))[0] == pytest.approx(45, abs=1)


@given(st.integers(0, 2**32 - 1), st.integers(2, 120), st.integers(2, 120), st.sampled_from([(1, 1), (16, 9), (9, 16), (3, 1)]))
def test_no_box_keeps_more_than_the_best(seed: int, width: int, height: int, aspect: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    points = rng.random((20, 2)) * (width, height)
    best = crops.best_box(points, width, height, aspect)
    assert best[2:] == largest_size(width, height, aspect)
    assert best[0] + best[2] <= width
    assert best[1] + best[3] <= height
    free = width - best[2] + height - best[3]
    for offset in range(int(free) + 1) if free <= 64 else np.linspace(0, free, 65).round():
        corner = (offset, 0.0) if best[2] < width else (0.0, offset)
        assert crops.kept(points, (*corner, *best[2:])) <= crops.kept(points, best)


def test_viewers_are_split_whole_and_the_same_every_time(viewed: Viewed) -> None:
    photos = [viewed([(i, i) for i in range(30)], viewers=[i % 5 for i in range(30)]) for _ in range(20)]
    halves = crops.split_viewers(photos)
    for photo, half in zip(photos, halves, strict=True):
        assert len(set(photo.viewers[half])) == 2
        assert not set(photo.viewers[half]) & set(photo.viewers[~half])
    assert len({tuple(sorted(set(photos[0].viewers[half]))) for half in halves}) > 4
    assert all(np.array_equal(a, b) for a, b in zip(halves, crops.split_viewers(photos), strict=True))
    (alone,) = crops.split_viewers([viewed([(1, 1), (2, 2)], viewers=[3, 3])])
    assert not alone.any()


def test_ours_is_the_box_the_density_chooses_and_references_lie_about_it(gaze_folder: Path) -> None:
    photos = gaze.read(gaze_folder, drop_first=True).photos
    aspects = [(1, 1), (3, 1)]
    truth = iter([photo.density().astype(np.float32) for photo in photos])
    rows = list(crops.score(photos, aspects, lambda bgr: Maps(next(truth))))
    assert all(len(row[name]) == 2 for row in rows for name in row)
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    assert list(table) == ["cropper", "centre crop", "half the viewers", "best possible"]
    assert (table["best possible"] >= table["centre crop"]).all()
    scores = crops.summary(photos, table)
    assert scores["cropper"].mean_gap.value > 0.9
    assert 0.6 < scores["half the viewers"].mean_gap.value < 1

    # Looking away from where people look is worse than not looking.
    truth = iter([photo.density().astype(np.float32) for photo in photos])
    away = list(crops.score(photos, aspects, lambda bgr: Maps(next(truth)[::-1, ::-1])))
    table["cropper"] = np.array([row["cropper"] for row in away])
    assert crops.summary(photos, table)["cropper"].mean_gap.value < -0.2


def test_half_the_viewers_are_measured_on_the_other_half(viewed: Viewed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Viewer 0 looks left, viewer 1 looks right: the box of one keeps nothing of the other's."""
    monkeypatch.setattr(gaze.GazePhoto, "bgr", lambda self: np.zeros((self.height, self.width, 3), np.uint8))
    photo = viewed([(5, 40), (6, 40), (290, 40), (295, 40)], size=(300, 80), viewers=[0, 0, 1, 1])
    alone = viewed([(5, 40)], size=(300, 80))
    first, second = crops.score([photo, alone], [(1, 1)], lambda bgr: Maps(np.ones((4, 8), np.float32)))
    assert first["half the viewers"] == [0]
    assert first["best possible"] == [0.5]
    assert math.isnan(second["half the viewers"][0])


def tables(**rows: list[list[float]]) -> dict[str, NDArray[np.float64]]:
    named = {crops.CENTRE: [[0.4], [0.6]], crops.BEST: [[0.9], [0.9]], **rows}
    return {name: np.array(values, float) for name, values in named.items()}


def test_gap_is_the_way_gone_from_the_centre_to_the_best(viewed: Viewed) -> None:
    photos = [viewed([(1, 1)], name="a.jpg"), viewed([(1, 1)], name="b.jpg")]
    scores = crops.summary(photos, tables(half_way=[[0.7], [0.7]], worse=[[0.1], [0.1]]))
    assert scores[crops.CENTRE].gap[0].value == 0
    assert scores[crops.BEST].gap[0].value == 1
    assert scores["half_way"].kept[0].value == pytest.approx(0.7)
    assert scores["half_way"].gap[0].value == pytest.approx(0.2 / 0.4)
    assert scores["worse"].gap[0].value == pytest.approx(-0.4 / 0.4)
    # Resampled, the first photo alone says 0.3 / 0.5, the second alone 0.1 / 0.3.
    assert (scores["half_way"].gap[0].low, scores["half_way"].gap[0].high) == pytest.approx((1 / 3, 3 / 5))


def test_photos_without_a_box_are_named_and_count_nowhere(viewed: Viewed) -> None:
    photos = [viewed([(1, 1)], name="a.jpg"), viewed([(1, 1)], name="b.jpg")]
    score = crops.summary(photos, tables(peer=[[0.65], [math.nan]]))["peer"]
    assert score.missing == (("b.jpg",),)
    assert score.kept[0].value == pytest.approx(0.65)
    assert score.gap[0].value == pytest.approx(0.25 / 0.5)  # by the first photo's own centre and best
    assert score.gap[0].low == pytest.approx(0.5)


def test_the_mean_is_over_aspects(viewed: Viewed) -> None:
    photos = [viewed([(1, 1)], name="a.jpg")]
    rows = {crops.CENTRE: [[0.4, 0.2]], crops.BEST: [[0.8, 1.0]], "peer": [[0.6, 0.4]]}
    score = crops.summary(photos, {name: np.array(values) for name, values in rows.items()})["peer"]
    assert [figure.value for figure in score.gap] == pytest.approx([0.5, 0.25])
    assert score.mean_gap.value == pytest.approx(0.375)
    assert score.mean_kept.value == pytest.approx(0.5)


def test_where_there_is_nothing_to_gain_there_is_no_gap(viewed: Viewed) -> None:
    rows = {crops.CENTRE: [[1.0]], crops.BEST: [[1.0]], "peer": [[1.0]]}
    score = crops.summary([viewed([(1, 1)])], {name: np.array(values) for name, values in rows.items()})["peer"]
    assert score.kept[0].value == 1
    assert math.isnan(score.gap[0].value)
