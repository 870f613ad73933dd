from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from fixtures import imread

from cropper.cli import cli
from cropper.views.checks import on_checks


def test_what_is_opaque_stays_and_what_is_clear_shows_two_greys() -> None:
    pixels = np.full((48, 96, 4), 255, np.uint8)
    pixels[:, :48] = 10, 20, 30, 255
    pixels[:, 48:, 3] = 0
    shown = on_checks(pixels)
    assert shown.shape == (48, 96, 3)
    assert (shown[:, :48] == (10, 20, 30)).all()
    assert sorted(np.unique(shown[:, 48:]).tolist()) == [199, 255]
    assert on_checks(shown) is shown


def test_no_value_wraps_around() -> None:
    alpha = np.arange(256, dtype=np.uint8)
    pixels = np.zeros((256, 256, 4), np.uint8)
    pixels[:, :, 3] = alpha
    shown = on_checks(pixels)[:, :, 0].astype(int)
    assert np.abs(np.diff(shown[0])).max() < 60  # one step of the board, and no more
    assert (shown <= 255 - alpha.astype(int)).all()


def test_a_white_logo_on_clear_ground_can_be_seen_on_a_sheet(tmp_path: Path) -> None:
    logo = np.full((120, 120, 4), 255, np.uint8)
    logo[:, :, 3] = 0
    cv2.circle(logo, (60, 60), 30, (255, 255, 255, 255), -1)
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in/logo.png"), logo)
    cli(["batch", str(tmp_path / "in"), str(tmp_path / "out"), "--size", "100x100"], standalone_mode=False)
    cli(["sheet", str(tmp_path / "out"), "-o", str(tmp_path / "sheet.png")], standalone_mode=False)
    sheet = imread(str(tmp_path / "sheet.png"))
    assert ((sheet == 199).all(axis=2)).sum() > 500
    assert ((sheet == 255).all(axis=2)).sum() > 2000
