"""The door to the ledger for a batch, on this machine and in a bucket."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fixtures import read_table

from cropper import OutputError
from cropper.ledger import lock
from cropper.ledger.changes import Change
from cropper.ledger.session import Session, open_session
from cropper.ledger.source import source_of
from cropper.ledger.table import Row
from cropper.storage.access import place
from cropper.storage.places import Place, Version

fsspec = pytest.importorskip("fsspec")
IN = place(Path("photos"))
PHOTO = Version(5, 1_600_000_000_000_000_000, "v1")


@pytest.fixture(params=["local", "bucket"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "local":
        yield place(tmp_path / "out")
        return
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    yield place("memory://out")
    fs.store.clear()


def paths(out: Place) -> list[str]:
    """The photos in the table."""
    return [line.split(",")[0] for line in read_table(out).splitlines()[1:]]


def record(out: Place, *names: str) -> None:
    """A session that comes to its end."""
    with open_session(out, IN, "settings") as session:
        for name in names:
            session.state.of(name)
            session.record(Change(name, (Row(name, name, "ok"),), PHOTO))
        session.finish()


def interrupt(out: Place, act: Callable[[Session], None], settings: str = "settings") -> None:
    """A session that does something and is interrupted."""
    with open_session(out, IN, settings) as session:
        act(session)
        raise KeyboardInterrupt


def test_a_complete_session_leaves_its_photos_alone(out: Place) -> None:
    record(out, "a", "b", "c")
    record(out, "a", "c")
    assert paths(out) == ["a", "c"]
    with open_session(out, IN, "settings") as session:
        known = session.state.of("a")
        assert known is not None
        assert known.change.version == PHOTO
        assert known.is_current
        assert not known.by_this_run


def test_an_interrupted_session_keeps_the_photos_it_had_not_come_to(out: Place) -> None:
    record(out, "a", "b", "d")
    with pytest.raises(KeyboardInterrupt):
        interrupt(out, lambda session: session.record(Change("c", (Row("c", "c", "ok"),), PHOTO)))
    assert paths(out) == ["a", "b", "c", "d"]


def test_system_errors_are_one_about_out(out: Place) -> None:
    with (
        pytest.raises(OutputError, match="was removed or moved while the run went on; run again") as raised,
        open_session(out, IN, "settings"),
    ):
        raise FileNotFoundError
    assert raised.value.path == out
    with pytest.raises(OutputError, match="the state cannot be written"), open_session(out, IN, "settings"):
        raise OSError(5, "Input/output error")


def test_an_abandoned_session_keeps_its_lock_and_its_rows(tmp_path: Path) -> None:
    out, sessions = place(tmp_path), []

    def abandon(session: Session) -> None:
        session.record(Change("a", (Row("a", "a", "ok"),)))
        session.abandoned = True
        sessions.append(session)

    with pytest.raises(KeyboardInterrupt):
        interrupt(out, abandon)
    assert paths(out) == ["a"]
    with pytest.raises(OutputError, match="is at work there"), open_session(out, IN, "settings"):
        pass
    lock.release(sessions[0].taken, tidy=True)


def test_the_next_session_cleans_up_after_a_killed_one(tmp_path: Path) -> None:
    record(place(tmp_path), "a")
    half = tmp_path / ".cropper-7.part"
    half.touch()
    record(place(tmp_path), "a")
    assert half.exists()  # the last run was tidy: this is nobody's business
    (tmp_path / ".cropper/lock").write_text("123\n")
    record(place(tmp_path), "a")
    assert not half.exists()
    assert source_of(tmp_path) == place(Path("photos").absolute())


def writes_table(out: Path, *names: str, act: Callable[[Session], None] = lambda session: None, goes_on: bool = False) -> bool:
    """Whether a session that finds these photos as they were writes the table, beside what it does to the state."""
    table = out / "boxes.csv"
    before = os.stat(table).st_ino
    with table.open():  # so that no other file gets its number
        with open_session(place(out), IN, "settings", goes_on=goes_on) as session:
            for name in names:
                session.state.of(name)
            act(session)
            session.finish()
        return os.stat(table).st_ino != before


def fail(session: Session) -> None:
    session.record(Change("b", (Row("b", "b", "failed", message="why"),), PHOTO))


def test_a_session_that_changes_nothing_leaves_the_table_alone_as_long_as_that_is_true(tmp_path: Path) -> None:
    table = tmp_path / "boxes.csv"
    record(place(tmp_path), "a", "b")
    whole = table.read_text()
    assert not writes_table(tmp_path, "a", "b")
    assert not writes_table(tmp_path, "a", "b")  # also behind a run that left it alone
    first, *rows = whole.splitlines(keepends=True)
    table.write_text("".join([first, *reversed(rows)]))  # of the same size
    assert writes_table(tmp_path, "a", "b")
    assert table.read_text() == whole
    assert not writes_table(tmp_path, "a", "b")
    assert writes_table(tmp_path, "a", "b", act=fail)
    assert "b,b,failed" in table.read_text()
    assert writes_table(tmp_path, "a")
    assert paths(place(tmp_path)) == ["a"]
    table.unlink()
    with open_session(place(tmp_path), IN, "settings") as session:
        session.state.of("a")
        session.finish()
    assert paths(place(tmp_path)) == ["a"]


@pytest.mark.parametrize("goes_on", [False, True])
def test_the_table_is_written_behind_a_killed_run(goes_on: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(session: Session, out: Place) -> None:
        session.state.commit()
        session.state.close()
        lock.release(session.taken, tidy=False)

    record(place(tmp_path), "a", "b")
    with monkeypatch.context() as patch:
        patch.setattr("cropper.ledger.session._close", killed)
        assert not writes_table(tmp_path, "a", "b", act=fail)
    assert writes_table(tmp_path, "a", "b", goes_on=goes_on)
    assert "b,b,failed" in (tmp_path / "boxes.csv").read_text()
