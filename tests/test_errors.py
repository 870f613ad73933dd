"""What an error says, and to whom."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import cropper
from cropper.errors import CropperError, DependencyError, ModelError, OutputError, PhotoError, UsageError, printable

ALL = [UsageError, PhotoError, OutputError, ModelError, DependencyError]


@pytest.mark.parametrize("error", ALL)
def test_every_error_is_public_and_caught_by_the_base(error: type[CropperError]) -> None:
    assert getattr(cropper, error.__name__) is error
    with pytest.raises(cropper.CropperError):
        raise error("it broke")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PhotoError("it broke"), "it broke"),
        (PhotoError("it broke", remedy="mend it"), "it broke; mend it"),
        (PhotoError("it broke", path="a/b.jpg"), "a/b.jpg: it broke"),
        (PhotoError("it broke", path="a/b.jpg", remedy="mend it"), "a/b.jpg: it broke; mend it"),
    ],
)
def test_error_says_where_what_and_what_to_do(error: PhotoError, said: str) -> None:
    assert str(error) == said


def test_reason_leaves_out_the_path() -> None:
    assert PhotoError("it broke", path="a.jpg", remedy="mend it").reason == "it broke; mend it"


@pytest.mark.parametrize("error", ALL)
@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copied", "pickled"])
def test_error_survives_a_way_to_another_process(error: type[CropperError], again: Callable[[Any], Any]) -> None:
    original = error("it broke", path="a.jpg", remedy="mend it")
    copied = again(original)
    assert type(copied) is error
    assert (copied.what, copied.path, copied.remedy) == ("it broke", "a.jpg", "mend it")
    assert str(copied) == str(original)


def test_printable_path_is_one_line_of_utf8() -> None:
    hostile = os.fsdecode(b"a\nb\x1b[31m\xff\xe9.jpg")
    shown = printable(hostile)
    assert shown == "a\\nb\\x1b[31m\\udcff\\udce9.jpg"
    assert shown.encode("utf-8").isascii()
    assert printable(shown) == shown
    assert printable("Zürich/日本 1.jpg") == "Zürich/日本 1.jpg"
    assert "\n" not in str(CropperError("it broke", path="a\nb"))
