"""The names of outputs that a run has begun."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cropper.ledger import begun
from cropper.ledger.begun import Begun, names_in


def test_names_count_as_unrecorded_until_two_marks_come_behind_them(tmp_path: Path) -> None:
    file = Begun(tmp_path / "begun", tmp_path)
    file.note("a", ["a.jpg", "x/a.jpg"])
    file.note("slow", ["slow.jpg"])
    del file.photos["a"]
    for expected in (["a.jpg", "x/a.jpg", "slow.jpg"], ["a.jpg", "x/a.jpg", "slow.jpg"], ["slow.jpg"], ["slow.jpg"]):
        assert sorted(names_in(tmp_path / "begun")[0]) == sorted(expected)
        file.mark()
    assert names_in(tmp_path / "begun") == (["slow.jpg"], ["a.jpg", "x/a.jpg"])
    file.end()
    assert names_in(tmp_path / "begun") == ([], [])


def test_a_torn_name_and_one_with_a_null_character_are_left_out(tmp_path: Path) -> None:
    file = Begun(tmp_path / "begun", None)
    file.note("a", ["a\0b", "torn", "whole\udcff"])
    file.close()
    assert names_in(tmp_path / "begun") == (["torn", "whole\udcff"], [])
    (tmp_path / "begun").write_bytes(b"whole\0tor")
    assert names_in(tmp_path / "begun") == (["whole"], [])


def test_names_are_on_the_disk_before_outputs_and_these_before_names_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(begun, "_MOST", 10)
    monkeypatch.setattr(begun, "synced", lambda file: events.append(f"names {os.fstat(file).st_size}"))
    monkeypatch.setattr(begun, "sync_all", lambda folder: events.append(f"all {len(names_in(tmp_path / 'begun')[0])}"))
    file = Begun(tmp_path / "begun", tmp_path)
    file.note("a", ["a"])
    file.note("b", ["0123456789"])
    file.sync()
    file.sync()
    file.mark()
    file.end()
    assert events == ["names 13", "all 2", "names 13", "all 2"]


def test_a_run_that_began_nothing_syncs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(begun, "sync_all", lambda folder: pytest.fail("no output was written"))
    file = Begun(tmp_path / "begun", tmp_path)
    file.sync()
    file.mark()
    file.end()
    assert not (tmp_path / "begun").exists()
