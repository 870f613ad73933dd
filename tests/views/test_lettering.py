"""Words on pictures, in fonts that may lack a letter."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from cropper.views import lettering
from cropper.views.lettering import _SYSTEM_FONTS, _system, capital_height, lettered, text_width, wrapped, write


def test_words_in_ascii_are_drawn_as_they_are_whatever_fonts_a_system_has() -> None:
    words, font = lettered("wren (2).jpg", 15)
    assert words == "wren (2).jpg"
    ours = ImageFont.load_default(15)
    assert isinstance(ours, ImageFont.FreeTypeFont)
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert font.getname() == ours.getname()


def test_a_letter_that_no_font_has_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "_SYSTEM_FONTS", ("no such font.ttf",))
    assert lettered("cafe\u0301 \u4e2d.jpg", 15)[0] == "caf\\xe9 \\u4e2d.jpg"


def test_names_that_are_no_text_are_escaped() -> None:
    assert lettered("latin\udce9\n.jpg", 15)[0] == "latin\\udce9\\n.jpg"


def test_a_system_font_that_has_the_letters_draws_them(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name in _SYSTEM_FONTS if _system(name, 15)]
    if not names:
        pytest.skip("no system font here")
    monkeypatch.setattr(lettering, "_SYSTEM_FONTS", names[:1])
    words, font = lettered("caf\xe9.jpg", 15)
    assert words == "caf\xe9.jpg"
    assert font.getmask("\xe9").getbbox() != font.getmask("\uffff").getbbox()


@pytest.mark.parametrize("width", [40, 90, 200])
def test_a_long_name_loses_its_middle(width: int) -> None:
    name = "holidays/2019/the long way round the lake.jpg"
    words, font = lettered(name, 15, width)
    assert font.getlength(words) <= width
    before, after = words.split("...")
    assert name.startswith(before)
    assert name.endswith(after)
    assert width == 40 or len(before) - len(after) in (0, 1)


def test_words_wrap_and_end_in_dots_where_there_are_too_many() -> None:
    font = lettered("a", 15)[1]
    words = "the content is not an image that cropper can read; check that the file is complete"
    assert " ".join(wrapped(words, font, 120, 9)) == words
    lines = wrapped(words, font, 120, 2)
    assert len(lines) == 2
    assert lines[1].endswith("...")
    assert all(font.getlength(line) <= 120 for line in lines)


def drawn_places(picture: np.ndarray) -> np.ndarray:
    return np.argwhere(picture.max(axis=2) > 0)


@pytest.mark.parametrize("size", [15, 24])
def test_words_stand_on_their_place_and_are_as_wide_as_measured(size: int) -> None:
    picture = np.zeros((60, 400, 3), np.uint8)
    write(picture, "XOX", (50, 40), size, (10, 200, 90))
    (top, left), (bottom, right) = drawn_places(picture).min(axis=0), drawn_places(picture).max(axis=0)
    assert abs(left - 50) <= 2
    assert abs(right - (50 + text_width("XOX", size))) <= 2
    assert abs(bottom - 39) <= 1
    assert abs(40 - top - capital_height(size)) <= 2
    assert picture.reshape(-1, 3).max(axis=0).tolist() == [10, 200, 90]


def test_words_may_end_at_their_place_and_within_a_width() -> None:
    picture = np.zeros((40, 400, 3), np.uint8)
    write(picture, "holidays/the long way round the lake.jpg", (380, 30), 15, (255, 255, 255), width=120, flush_right=True)
    columns = drawn_places(picture)[:, 1]
    assert columns.min() >= 258
    assert 376 <= columns.max() <= 380


def test_words_on_a_part_of_a_picture_are_those_that_pillow_draws_on_the_whole() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (80, 300, 3), np.uint8)
    whole = Image.fromarray(picture)
    words, font = lettered("jagged quay (3).jpg", 24)
    ImageDraw.Draw(whole).text((20, 50), words, (1, 2, 3), font, anchor="ls")
    write(picture, words, (20, 50), 24, (1, 2, 3))
    np.testing.assert_array_equal(picture, np.asarray(whole))


@pytest.mark.parametrize("place", [(-30, 10), (90, 10), (10, 1), (10, 60), (-500, 10), (10, 500)])
def test_words_beyond_the_edge_are_cut_off(place: tuple[int, int]) -> None:
    write(np.zeros((40, 100, 3), np.uint8), "over the edge", place, 15, (255, 255, 255))
