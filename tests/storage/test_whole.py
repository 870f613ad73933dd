"""Whether a file that somebody writes is whole, by its end."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cropper.storage.opening import open_file
from cropper.storage.whole import ends_whole


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".bmp", ".gif", ".avif"])
def test_a_photo_is_whole_at_its_end_and_not_before(tmp_path: Path, ending: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    data = cv2.imencode(ending, pixels)[1].tobytes()
    file = tmp_path / "photo"
    for cut, expected in ((len(data), True), (len(data) - 1, False), (len(data) // 2, False), (3, False), (0, False)):
        file.write_bytes(data[:cut])
        with open_file(file) as opened:
            assert ends_whole(opened) is expected, cut


def test_a_format_that_does_not_tell_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "photo"
    file.write_bytes(cv2.imencode(".tiff", np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    with open_file(file) as opened:
        assert not ends_whole(opened)
