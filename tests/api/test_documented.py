"""The Python of its page, run as it stands there."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from pages import README, ROOT, blocks

BLOCKS = [block.text for block in blocks("python", ROOT / "cropper" / "api" / "README.md")]


def test_the_examples_run_and_give_what_they_say(
    tmp_path: Path, samples: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(samples / "wren.jpg", tmp_path / "photo.jpg")
    (tmp_path / "photos").mkdir()
    shutil.copy(samples / "cat.jpg", tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    first, second, third = BLOCKS
    names: dict[str, object] = {}
    exec(first, names)
    assert getattr(names["thumbnail"], "shape", None) == (360, 640, 3)
    assert repr(names["box"]).startswith("Box(x=")
    exec(second, names)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["photo.jpg", "photos/cat.jpg", "gone.jpg"]
    assert lines[0].startswith("photo.jpg [Box(")
    assert lines[2].startswith("gone.jpg gone.jpg: cannot be read")
    edges = [float(str(names[name])) for name in ("left", "top", "right", "bottom")]
    assert min(edges) >= 0
    assert max(edges) == 1
    if sys.version_info >= (3, 11):  # has tomllib
        (tmp_path / "cropper.toml").write_text("[choosing]\nplace = 1\n")
        exec(third, names)


def test_the_box_of_the_readme_is_the_one_that_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = (block.text for block in blocks("python", README))
    shown = re.search(r"# (Box\(.*), \.\.\.\)", block)
    assert shown
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    exec(block, names)
    numbers = zip(*(map(float, re.findall(r"[\d.]+", text)) for text in (shown[1], repr(names["box"]))), strict=False)
    assert all(abs(one - other) <= 0.02 * max(one, other) for one, other in numbers)  # another decoder, another pixel
