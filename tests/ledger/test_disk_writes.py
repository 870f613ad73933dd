"""How often a run waits for the disk: SQLite counts in its file how often it was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures import Command, MakePhoto

from cropper.ledger.database import connect, files_of
from cropper.ledger.state import State
from cropper.storage.access import place

_CHANGES = slice(24, 28)  # of the file: how many transactions have changed it


@pytest.mark.parametrize("is_empty", [False, True], ids=["new", "left empty by a kill"])
def test_a_first_run_writes_its_state_at_the_start_at_the_end_and_behind_the_table(
    cropper: Command, make_photo: MakePhoto, plain_rule: None, tmp_path: Path, is_empty: bool
) -> None:
    make_photo(tmp_path / "in" / "photo.jpg")
    database = files_of(tmp_path / "out").database
    if is_empty:
        database.parent.mkdir(parents=True)
        database.touch()
    assert cropper("batch", "in", "out")[0] == 0
    assert int.from_bytes(database.read_bytes()[_CHANGES], "big") == 3
    assert "1 unchanged" in cropper("batch", "in", "out")[2]
    assert int.from_bytes(database.read_bytes()[_CHANGES], "big") == 5  # it leaves the table alone


def test_a_state_that_no_run_began_is_as_if_there_were_none(tmp_path: Path) -> None:
    database = tmp_path / "state.db"
    connect(database).close()
    assert database.read_bytes() == b""


def test_a_run_that_has_settled_stays_so(tmp_path: Path) -> None:
    files = files_of(tmp_path)
    files.folder.mkdir()
    state = State(files, place(tmp_path))
    state.begin("in", "settings")
    state.settle()
    ended = state.connection.execute("SELECT ended FROM run").fetchone()
    assert ended[0] is not None
    state.end()
    assert not files.begun.exists()
