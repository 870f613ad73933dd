"""The table of formats, and the lists derived from it."""

from __future__ import annotations

import pytest

from cropper.image_formats import (
    ANIMATED,
    FORMAT_NAMES,
    FORMAT_OF,
    FORMATS,
    KEEP_FRAMES,
    MIME_OF,
    PHOTO_EXTENSIONS,
    QUALITY,
    output_format,
    titles,
)


def test_no_two_formats_share_an_extension_or_an_output() -> None:
    extensions = [extension for one in FORMATS for extension in one.extensions]
    assert len(extensions) == len(set(extensions)) == len(PHOTO_EXTENSIONS)
    outputs = [one.output for one in FORMATS if one.output]
    assert len(outputs) == len(set(outputs))


def test_derived_lists() -> None:
    assert {
        **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "jpg"),
        **{".png": "png", ".webp": "webp", ".avif": "avif", ".gif": "gif", ".jxl": "jxl"},
    } == FORMAT_OF
    assert QUALITY == {"jpg": 85, "png": 100, "webp": 80, "avif": 65, "gif": 100, "jxl": 80}
    assert ANIMATED == ("png", "webp", "avif", "gif")
    assert (FORMAT_NAMES["jpeg"], FORMAT_NAMES["jpg"], FORMAT_NAMES["webp"]) == ("jpg", "jpg", "webp")
    assert "tiff" not in FORMAT_NAMES
    assert MIME_OF[".jfif"] == "image/jpeg"
    assert MIME_OF[".webp"] == "image/webp"


@pytest.mark.parametrize(
    ("name", "format", "output"),
    [
        ("a.JPG", "keep", "jpg"),
        ("a.gif", "keep", "png"),
        ("a", "keep", "png"),
        ("a.jpg", "webp", "webp"),
        ("a.GIF", KEEP_FRAMES, "gif"),
    ],
)
def test_output_format_of_a_photo(name: str, format: str, output: str) -> None:
    assert output_format(name, format) == output


def test_titles_make_a_sentence() -> None:
    assert titles(FORMATS, "or") == "JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF, PSD, HEIC, JPEG XL or RAW"
    assert titles(FORMATS[:1], "and") == "JPEG"
