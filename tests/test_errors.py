"""What an error says, and to whom."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cropper
from cropper.errors import (
    CropperError,
    DependencyError,
    ModelError,
    OutputError,
    PhotoError,
    UsageError,
    naming,
    printable,
    reading,
    says_no_memory,
    unexpected,
)

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


def test_a_want_of_memory_is_explained() -> None:
    assert unexpected(MemoryError()).startswith("there is not enough memory for it; use fewer --jobs")
    with pytest.raises(PhotoError, match=r"^a\.jpg: there is not enough memory for it; "), reading("a.jpg"):
        raise MemoryError


def test_libraries_that_do_not_load_for_want_of_memory_say_so() -> None:
    words = (
        "Exception caught: std::bad_alloc",
        "libm.so: failed to map segment from shared object",
        "can't start new thread",
        "Can't register constant COVAR_SCRAMBLED in module cv2",
    )
    assert all(says_no_memory(ImportError(one)) for one in words)
    assert not says_no_memory(ImportError("no module named memory"))


def test_an_error_that_no_code_expects_asks_for_a_report() -> None:
    assert unexpected(KeyError()) == "unexpected KeyError; please report it as a bug of cropper"
    assert unexpected(TypeError("no\nway")) == "unexpected TypeError: no way; please report it as a bug of cropper"


def test_an_error_about_a_copy_names_what_it_is_a_copy_of(tmp_path: Path) -> None:
    def raised(path: Path | None) -> str:
        with pytest.raises(OutputError) as error, naming({tmp_path / "0.csv": "s3://a/0.csv", tmp_path: "s3://b/out"}):
            raise OutputError("broke", path=path)
        assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
        return str(error.value)

    assert raised(tmp_path / "0.csv") == "s3://a/0.csv: broke"
    assert raised(tmp_path / ".cropper/x.csv") == "s3://b/out/.cropper/x.csv: broke"
    assert raised(tmp_path) == "s3://b/out: broke"
    assert raised(tmp_path.parent) == f"{tmp_path.parent}: broke"
    assert raised(None) == "broke"


def test_printable_path_is_one_line_of_utf8() -> None:
    hostile = os.fsdecode(b"a\nb\x1b[31m\xff\xe9.jpg")
    shown = printable(hostile)
    assert shown == "a\\nb\\x1b[31m\\udcff\\udce9.jpg"
    assert shown.encode("utf-8").isascii()
    assert printable(shown) == shown
    assert printable("Zürich/日本 1.jpg") == "Zürich/日本 1.jpg"
    assert "\n" not in str(CropperError("it broke", path="a\nb"))
