"""``cropper boxes --format json`` and JSON lines: what a site or a CMS reads as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fixtures import Command, MakePhoto

from cropper.cli.lines import TEMPLATE_FIELDS


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    for seed, name in enumerate(('say "a", b.jpg', "c.jpg")):
        make_photo(tmp_path / "in" / name, seed=seed)
    return tmp_path / "in"


def test_json_is_one_array_of_the_objects_of_json_lines(cropper: Command, photos: Path) -> None:
    arguments = ("boxes", "in", "in/none.jpg", "--aspect", "1:1", "--aspect", "9:16")
    code, out, err = cropper(*arguments, "--format", "json")
    assert (code, err.count("\n")) == (1, 1)
    assert json.loads(out) == [json.loads(line) for line in cropper(*arguments)[1].splitlines()]
    assert [(one["path"], one["status"]) for one in json.loads(out)][::2] == [
        ("in/c.jpg", "ok"),
        ('in/say "a", b.jpg', "ok"),
        ("in/none.jpg", "failed"),
    ]


def test_objects_have_the_fields_of_a_template(cropper: Command, photos: Path) -> None:
    whole, failed = json.loads(cropper("boxes", "in/c.jpg", "in/none.jpg", "--aspect", "1:1", "--format", "json")[1])
    assert tuple(whole) == tuple(failed) == TEMPLATE_FIELDS
    template = "{object_position} {output_width} {left}"
    line = cropper("boxes", "in/c.jpg", "--aspect", "1:1", "--template", template)[1]
    assert line == "{object_position} {output_width} {left}\n".format(**whole)
    assert failed["object_position"] is failed["left"] is None


def test_no_photos_are_an_empty_array(cropper: Command, photos: Path) -> None:
    assert json.loads(cropper("boxes", "in", "--include", "*.png", "--format", "json")[1]) == []


@pytest.mark.parametrize("format", ["json", "csv", "xmp"])
def test_a_template_is_a_format_of_its_own(cropper: Command, photos: Path, tmp_path: Path, format: str) -> None:
    said = "cropper: --template and --format contradict each other; give one of them\n"
    assert cropper("boxes", "in", "--template", "{path}", "--format", format) == (2, "", said)
    (tmp_path / "cropper.toml").write_text(f'[boxes]\nformat = "{format}"\n')
    assert cropper("boxes", "in/c.jpg", "-q", "--template", "{path}") == (0, "in/c.jpg\n", "")


def test_an_array_has_no_lines_to_end_with_nul(cropper: Command, photos: Path) -> None:
    said = "cropper: --print0 ends lines, and --format json prints one array; leave out one of them\n"
    assert cropper("boxes", "in", "--format", "json", "--print0") == (2, "", said)
