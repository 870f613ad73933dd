"""One run at a time in an output folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures import Command, MakePhoto

from cropper import OutputError
from cropper.ledger import lock
from cropper.ledger.changes import Change
from cropper.ledger.session import open_session
from cropper.ledger.table import Row
from cropper.storage.access import place

HOLD = """
import sys
from pathlib import Path
from cropper.ledger import lock
taken = lock.take(Path(sys.argv[1]))
print("has", flush=True)
input()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the lock of OUT."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "out/.cropper/lock"], stdin=-1, stdout=-1)
    assert process.stdout
    assert process.stdout.readline().startswith(b"has")
    yield process
    process.kill()
    process.communicate()


def test_a_second_run_says_who_is_there_and_stops(
    other: subprocess.Popen[bytes], make_photo: MakePhoto, cropper: Command, tmp_path: Path
) -> None:
    make_photo(tmp_path / "in/a.jpg")
    for options in ([], ["--dry-run"]):
        code, out, err = cropper("batch", "in", "out", *options)
        assert (code, out) == (2, "")
        assert err.startswith(f"cropper: out: another run (process {other.pid}) is at work there; ")
        assert err.count("\n") == 1
    assert os.listdir(tmp_path / "out") == [".cropper"]


def test_a_run_that_is_killed_leaves_no_lock_but_word_of_it(other: subprocess.Popen[bytes], tmp_path: Path) -> None:
    path = tmp_path / "out/.cropper/lock"
    other.kill()
    other.communicate()
    taken = lock.take(path)
    assert taken.was_left
    lock.release(taken, tidy=True)
    taken = lock.take(path)
    assert not taken.was_left
    lock.release(taken, tidy=False)
    assert path.stat().st_size > 0


def test_two_runs_in_one_process_keep_each_other_out_too(tmp_path: Path) -> None:
    out, source = place(tmp_path), place(Path("in"))
    with (
        open_session(out, source, "settings"),
        pytest.raises(OutputError, match="is at work there; wait"),
        open_session(out, source, "settings"),
    ):
        pass
    with open_session(out, source, "settings"):
        pass
    assert (tmp_path / ".cropper/lock").read_bytes() == b""


def test_a_refused_run_lets_go_of_the_lock(tmp_path: Path) -> None:
    out, source = place(tmp_path), place(Path("in"))
    with open_session(out, source, "old") as session:
        session.record(Change("a", (Row("a", "a", "ok"),)))
    with pytest.raises(OutputError, match="other settings"), open_session(out, source, "new", dry=True):
        pass
    with open_session(out, source, "old"):
        pass


@pytest.mark.skipif(os.name == "nt", reason="open files stay there")
def test_a_lock_on_a_file_that_is_gone_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run takes the folder away at its end, perhaps right after somebody else has opened the file."""
    path = tmp_path / ".cropper/lock"
    is_ours, times = lock._is_ours, []

    def meanwhile(descriptor: int) -> bool:
        times.append(descriptor)
        if len(times) == 1:
            shutil.rmtree(path.parent)
        return is_ours(descriptor)

    monkeypatch.setattr(lock, "_is_ours", meanwhile)
    taken = lock.take(path)
    assert len(times) == 2
    assert os.path.samestat(path.stat(), os.fstat(taken.file.fileno()))
    lock.release(taken, tidy=True, remove=True)
    assert os.listdir(tmp_path) == []


def test_a_file_system_without_locks_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.name == "nt":
        pytest.skip("locks are others there")
    import errno
    import fcntl

    def none(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    lock.release(lock.take(tmp_path / ".cropper/lock"), tidy=True)
