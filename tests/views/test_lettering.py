"""Words on pictures, in fonts that may lack a letter."""

from __future__ import annotations

import pytest
from PIL import ImageFont

from cropper.views import lettering
from cropper.views.lettering import _SYSTEM_FONTS, _system, lettered, wrapped


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
    words = "the content is no image that can be read; is it complete"
    assert " ".join(wrapped(words, font, 120, 9)) == words
    lines = wrapped(words, font, 120, 2)
    assert len(lines) == 2
    assert lines[1].endswith("...")
    assert all(font.getlength(line) <= 120 for line in lines)
