"""What ``cropper watch`` says, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures import Command, MakePhoto, StartProcess

from cropper import DependencyError
from cropper.engine.job import Done
from cropper.engine.watching import watch as engine
from cropper.extras import install_command
from cropper.ledger.session import Ending
from cropper.storage.notices import Notices, is_told_here


@pytest.mark.parametrize(
    ("options", "poll", "said"),
    [
        ((), 2.0, f"by a look every 2 seconds; to see them at once, run: {install_command('watch')}"),
        (("--poll", "1m"), 60.0, "by a look every 60 seconds"),
    ],
)
def test_without_its_library_it_looks_for_itself_and_says_so(
    tmp_path: Path, cropper: Command, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], poll: float, said: str
) -> None:
    asked: list[object] = []

    def watch_folder(*arguments: Any) -> Iterator[Done]:
        asked.append(arguments[-1])
        arguments[2](Ending())
        raise KeyboardInterrupt
        yield

    monkeypatch.setitem(sys.modules, "watchfiles", None)
    monkeypatch.setattr(engine, "watch_folder", watch_folder)
    (tmp_path / "in").mkdir()
    code, _, err = cropper("watch", "in", "out", *options)
    assert (code, asked) == (130, [poll])
    assert f"cropper: in: watching for photos {said}\n" in err


def test_where_the_system_is_to_tell_its_library_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert not is_told_here()
    with pytest.raises(DependencyError, match="watching a folder needs watchfiles; run: "):
        Notices(str(tmp_path), lambda path: True, lambda: None)


@pytest.mark.parametrize("arguments", [("s3://bucket/in", "out"), (".", "s3://bucket/out")])
def test_a_bucket_is_refused(cropper: Command, arguments: tuple[str, str]) -> None:
    code, _, err = cropper("watch", *arguments)
    assert code == 2
    assert "watch needs a folder on this machine" in err
    assert err.count("\n") == 1


def test_out_may_not_hold_in(tmp_path: Path, cropper: Command) -> None:
    pytest.importorskip("watchfiles")
    (tmp_path / "in").mkdir()
    code, _, err = cropper("watch", "in", ".")
    assert code == 2
    assert "OUT is the same folder as IN or contains it" in err


@pytest.mark.parametrize("arguments", [("--flat",), ("--name", "{stem}.{ext}")])
def test_names_that_depend_on_other_folders_are_refused_in_a_line(
    tmp_path: Path, cropper: Command, arguments: tuple[str, ...]
) -> None:
    pytest.importorskip("watchfiles")
    (tmp_path / "in").mkdir()
    code, _, err = cropper("watch", "in", "out", *arguments)
    assert code == 2
    assert err.startswith("cropper: --flat and a --name without folders of its own need a look at all of IN")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no such signals")
@pytest.mark.parametrize("options", [(), ("--poll", "0.1")], ids=["told", "polled"])
def test_a_signal_ends_it_with_the_table_written_and_the_photos_named(
    tmp_path: Path, make_photo: MakePhoto, cropper_process: StartProcess, options: tuple[str, ...]
) -> None:
    if not options:
        pytest.importorskip("watchfiles")
    make_photo(tmp_path / "in/a.jpg")
    make_photo(tmp_path / "in/old.jpg")
    watch = ("watch", "in", "out", "-v", "--prune", "--report", "report.jsonl", "--size", "48x32")
    with cropper_process(*watch, *options) as process:
        assert process.stderr is not None
        said: list[str] = []
        while not said or "watching for photos" not in said[-1]:
            line = process.stderr.readline().decode()
            assert line, said
            said.append(line)
        (tmp_path / "b.txt").write_text("no photo")
        os.utime(tmp_path / "b.txt", (0, 0))  # nobody writes to it any more
        (tmp_path / "b.txt").rename(tmp_path / "in/b.jpg")
        make_photo(tmp_path / "c.jpg").rename(tmp_path / "in/c.jpg")
        (tmp_path / "in/old.jpg").unlink()
        end = time.monotonic() + 60
        while time.monotonic() < end and not ((tmp_path / "out/c.jpg").exists() and not (tmp_path / "out/old.jpg").exists()):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        said += process.stderr.read().decode().splitlines(keepends=True)
    assert process.returncode == 130
    text = "".join(said)
    assert "cropper: in/a.jpg: changed 48x32\n" in text
    assert "cropper: in/c.jpg: changed 48x32\n" in text
    assert text.count("in/b.jpg: the content is not an image") == 1
    assert text.count("cropper: out/old.jpg: removed\n") == 1
    assert said[-1] == "cropper: stopped; since the start 3 done, 0 unchanged, 1 failed\n"
    assert [line.split(",")[0] for line in (tmp_path / "out/boxes.csv").read_text().splitlines()[1:]] == [
        "a.jpg",
        "b.jpg",
        "c.jpg",
    ]
    *lines, totals = map(json.loads, (tmp_path / "report.jsonl").read_text().splitlines())
    assert [one["removed"] for one in lines if "removed" in one] == ["old.jpg"]
    assert sorted((one["path"], one["outcome"]) for one in lines if "path" in one) == [
        ("a.jpg", "changed"),
        ("b.jpg", "failed"),
        ("c.jpg", "changed"),
        ("old.jpg", "changed"),
    ]
    assert (totals["exit_code"], totals["totals"]["photos"]) == (130, 4)
