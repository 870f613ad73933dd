"""Sharpening: how much, of what, and where not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cropper.choosing.decide import Decision
from cropper.engine.stages import thumbnail_of
from cropper.geometry import Box
from cropper.imaging.header import Header, probe
from cropper.imaging.sharpen import sharpened
from cropper.settings import Encoding, Fit, Settings, Target


def edge(channels: int = 3) -> np.ndarray:
    """Dark grey beside light grey."""
    picture = np.full((20, 30, channels), 80, np.uint8)
    picture[:, 15:, :3] = 160
    picture[:, :, 3:] = 255
    return picture


def header_of(width: int, height: int) -> Header:
    return probe(cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))[1].tobytes())


def test_an_edge_becomes_steeper_and_flat_places_stay() -> None:
    sharp = sharpened(edge(), 1.0)[10, :, 0].astype(int)
    assert (sharp[:12] == 80).all()
    assert (sharp[18:] == 160).all()
    assert 50 < sharp[14] < 75
    assert 165 < sharp[15] < 190


def test_more_is_more_and_nothing_is_nothing() -> None:
    contrast = [int(np.ptp(sharpened(edge(), amount))) for amount in (0, 0.3, 1, 3)]
    assert contrast[0] == 80
    assert contrast == sorted(set(contrast))


def test_opaque_alpha_changes_nothing_and_transparent_pixels_do_not_bleed() -> None:
    assert abs(sharpened(edge(4), 1.0)[:, :, :3].astype(int) - sharpened(edge(), 1.0)).max() <= 1
    cut_out = edge(4)
    cut_out[:, 15:] = (255, 255, 255, 0)
    sharp = sharpened(cut_out, 3.0)
    assert (sharp[:, :15] == (80, 80, 80, 255)).all()
    assert (sharp[:, 15:, 3] == 0).all()


@pytest.mark.parametrize(
    ("size", "enlarge", "is_sharpened"),
    [((64, 48), False, True), ((320, 240), True, False), ((320, 240), False, False), (None, False, False)],
)
@pytest.mark.parametrize("fit", [Fit.CROP, Fit.PAD])
def test_only_what_is_scaled_down_is_sharpened(fit: Fit, size: tuple[int, int] | None, enlarge: bool, is_sharpened: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    target = Target(size or (4, 3), size)
    decision = Decision(Box(0, 0, 160, 120, 1.0, (80, 60)), fit)
    plain, sharp = (
        thumbnail_of(pixels, header_of(160, 120), decision, target, Settings((target,), enlarge=enlarge, encoding=encoding))
        for encoding in (Encoding(), Encoding(sharpen=1.0))
    )
    assert (not np.array_equal(plain, sharp)) == is_sharpened


def test_a_jpeg_that_was_decoded_small_counts_as_scaled_down() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)  # of a photo of 160x120, at the size asked for
    target = Target((80, 60), (80, 60))
    decision = Decision(Box(0, 0, 160, 120, 1.0, (80, 60)))
    sharp = thumbnail_of(pixels, header_of(160, 120), decision, target, Settings((target,), encoding=Encoding(sharpen=1.0)))
    assert not np.array_equal(sharp, pixels)


def test_bars_are_not_sharpened() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    target = Target((60, 90), (60, 90))
    decision = Decision(Box(0, 0, 160, 120, 1.0, (80, 60)), Fit.PAD)
    plain, sharp = (
        thumbnail_of(pixels, header_of(160, 120), decision, target, Settings((target,), encoding=encoding))
        for encoding in (Encoding(), Encoding(sharpen=1.0))
    )
    assert np.array_equal(plain[:20], sharp[:20])
    assert not np.array_equal(plain[30:60], sharp[30:60])
