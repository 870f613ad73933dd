"""A run of several processes does what one of threads does: the same files, and each death costs one photo."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from acting import DRIVER, does
from fixtures import Command, MakePhoto, photos_in_two_folders
from numpy.typing import NDArray
from plain import Plain

from cropper.choosing.view import Maps
from cropper.engine import processes
from cropper.engine.job import Done, Finished, Job
from cropper.errors import PhotoError
from cropper.ledger.table import read_rows
from cropper.process.journal import MOST_PARTS, SLOTS, Journal
from cropper.process.messages import messages, packable, send
from cropper.process.turns import Turns
from cropper.process.workers import fork_workers, threads_of_processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a run has processes on Linux only")

COUNT, SIZE = 12, ("--size", "48x32")
# As on a machine of many cores, but with one thread in each process. numpy is there from the start: see acting.py.
MANY = """
from plain import Plain

from cropper.cli import sharing
from cropper.engine import processes
class Full(Plain):
    def infer(self, images):
        raise OSError(28, "No space left on device", "out")

processes.Saliency = Full if os.path.exists("full") else Plain
sharing.THREADS, sharing.may_fork = 1, lambda: True
numpy ="""
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    return photos_in_two_folders(tmp_path / "in", make_photo, COUNT)


@pytest.fixture
def alone(cropper: Command, photos: Path, plain_rule: None, tmp_path: Path) -> dict[str, bytes]:
    """What one process makes, before any photo does harm."""
    assert cropper("batch", photos, "alone", *SIZE)[0] == 0
    return tree(tmp_path / "alone")


@pytest.fixture
def start(photos: Path, tmp_path: Path) -> Iterator[Start]:
    begun = []

    def start(*options: str) -> subprocess.Popen[str]:
        command: list[str | Path] = [
            sys.executable,
            "-c",
            DRIVER.replace("\nnumpy =", MANY, 1),
            "batch",
            photos,
            "out",
            *SIZE,
            "-j",
            "3",
            *options,
        ]
        path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def tree(folder: Path, *but: str) -> dict[str, bytes]:
    """Every file but for the state, which also knows of the runs; of the table the lines of other photos."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "state.db")
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    lines = found["boxes.csv"].splitlines(True)
    found["boxes.csv"] = b"".join(line for line in lines if line.split(b",")[0].decode() not in but)
    return {name: data for name, data in found.items() if name not in but}


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    return [worker for child in children(process.pid) for worker in children(child)]


def wait_for(there: Callable[[], object], seconds: float = 60) -> None:
    patience = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < patience
        time.sleep(0.02)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def test_each_death_costs_its_photo_and_all_else_is_as_of_one_process(
    photos: Path, alone: dict[str, bytes], start: Start, tmp_path: Path
) -> None:
    (photos / "02.jpg").write_bytes(b"no photo")
    for name, act in (("04.jpg", "SIGSEGV"), ("b/09.jpg", "exit"), ("b/11.jpg", "hang")):
        does(photos / name, act)
    process = start("--deadline", "2")
    said = process.communicate(timeout=120)[1].splitlines()
    failed = ["02.jpg", "04.jpg", "b/09.jpg", "b/11.jpg"]
    assert tree(tmp_path / "out", *failed) == tree(tmp_path / "alone", *failed)
    messages = {row.path: row.message for row in read_rows(tmp_path / "out/boxes.csv") if row.status != "ok"}
    assert list(messages) == failed
    assert list(messages.values())[1:] == [
        "the decoder crashed on it (SIGSEGV); export it again",
        "the decoder crashed on it (exit code 3); export it again",
        "it took longer than 2 s; export it again, or set a longer --deadline",
    ]
    assert [line.split(": ")[1] for line in said[:-1]] == [str(photos / name) for name in failed]
    assert "12 photos: " in said[-1]
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("name", "to_all"), [("SIGINT", True), ("SIGTERM", False)], ids=["Ctrl-C to all", "a stop to the parent"]
)
def test_an_interrupt_ends_all_of_them(
    photos: Path, alone: dict[str, bytes], start: Start, tmp_path: Path, name: str, to_all: bool
) -> None:
    does(photos / "b/11.jpg", "hang")
    process = start()
    wait_for((tmp_path / "hangs").exists)
    wait_for(lambda: len(list((tmp_path / "out").rglob("*.jpg"))) >= COUNT - 4)
    time.sleep(0.3)  # until they are recorded
    workers = workers_of(process)
    assert len(workers) == 3
    (os.killpg if to_all else os.kill)(process.pid, getattr(signal, name))
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert said.count("interrupted; finished photos are on disk; run the same command to continue") == 1
    assert said.count("\n") == 2
    assert not any(map(is_running, workers))
    rows = len(list(read_rows(tmp_path / "out/boxes.csv")))
    assert COUNT - 4 <= rows < COUNT  # the others were in the hands of one process with the one that hangs
    (photos / "b/11.jpg").write_bytes((photos / "b/11.jpg").read_bytes().partition(b"ACT:")[0])
    again = start()
    assert f"12 photos: {COUNT - rows} done, {rows} unchanged, 0 failed" in again.communicate(timeout=60)[1]
    assert tree(tmp_path / "out") == alone


def test_a_process_killed_from_outside_costs_nothing_and_a_killed_run_leaves_none(
    photos: Path, alone: dict[str, bytes], start: Start, tmp_path: Path
) -> None:
    does(photos / "b/11.jpg", "slow")
    process = start()
    wait_for((tmp_path / "slow").exists)
    os.kill(workers_of(process)[1], signal.SIGKILL)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert "the run died (SIGKILL, possibly out of memory)" in said
    assert tree(tmp_path / "out") == alone
    does(photos / "b/07.jpg", "hang")
    os.utime(photos / "b/07.jpg")
    process = start()
    wait_for((tmp_path / "hangs").exists)
    workers = workers_of(process)
    process.kill()
    process.wait()
    wait_for(lambda: not any(map(is_running, workers)), 5)


def test_what_meets_every_photo_ends_the_run_with_the_same_message(
    photos: Path, start: Start, cropper: Command, monkeypatch: pytest.MonkeyPatch, plain_rule: None, tmp_path: Path
) -> None:
    def infer(self: Plain, images: NDArray[np.uint8]) -> list[Maps]:
        raise OSError(errno.ENOSPC, "No space left on device", "out")

    monkeypatch.setattr(Plain, "infer", infer)
    code, _, said = cropper("batch", photos, "out", *SIZE)
    (tmp_path / "full").touch()
    process = start()
    assert (process.communicate(timeout=60)[1], process.returncode) == (said, code)
    assert "No space left on device" in said


def test_threads_are_shared_out_evenly() -> None:
    assert threads_of_processes(1, 8) == [1]
    assert threads_of_processes(8, 8) == [8]
    assert threads_of_processes(9, 8) == [5, 4]
    assert threads_of_processes(20, 8) == [7, 7, 6]
    shares = threads_of_processes(1000, 8)
    assert (len(shares), sum(shares), max(shares) - min(shares)) == (MOST_PARTS, 1000, 1)


def test_a_journal_has_the_photos_of_all_parts_until_one_is_to_blame() -> None:
    journal = Journal()
    parts = [journal.part(number) for number in range(3)]
    for part in parts:
        for number in range(SLOTS + 1):  # one more than it has room for
            part.begin(number, f"{number}.jpg")
    parts[2].take([5])
    parts[2].clock(5, True)
    assert len(journal.photos) == 3 * SLOTS
    assert len({photo.birth for photo in journal.photos}) == 3 * SLOTS
    journal.blame(2)
    assert len(journal.photos) == SLOTS
    assert [photo.path for photo in journal.photos if photo.in_hand and photo.clocked] == ["5.jpg"]


def test_a_turn_is_one_threads_of_one_process_and_free_after_its_end() -> None:
    turns = Turns()
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        turns.join()
        with turns:
            os.write(writing, b"1")
            time.sleep(60)
    try:
        assert os.read(reading, 1) == b"1"
        fcntl = pytest.importorskip("fcntl")
        turns.join()
        with pytest.raises(BlockingIOError):
            fcntl.flock(turns._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    with turns:
        assert turns._here.locked()
    assert not turns._here.locked()


def test_messages_come_whole_and_errors_as_they_are_or_as_what_they_were() -> None:
    ours, theirs = socket.socketpair()
    sent = [
        "one",
        ["two" * 1000],
        PhotoError("is damaged", path="a.jpg", remedy="copy it again"),
        OSError(errno.ENOSPC, "No room", "out"),
    ]
    for message in sent:
        send(theirs, packable(message) if isinstance(message, Exception) else message)
    theirs.close()
    received: list[Any] = []
    buffer = bytearray()
    while some := ours.recv(1000):
        buffer += some
        received += messages(buffer)
    assert received[:2] == sent[:2]
    assert [(type(error), str(error)) for error in received[2:]] == [(type(error), str(error)) for error in sent[2:]]
    assert not buffer

    class Local(Exception):  # noqa: N818
        pass

    assert str(packable(Local("what"))).startswith("unexpected Local: what; please report it")
    ours.close()


class Collected(bytearray):
    def sendall(self, data: bytes) -> None:
        self.extend(data)


def test_an_answer_that_comes_together_with_an_error_counts_once() -> None:
    def work(channel: socket.socket, journal: Journal, threads: int) -> None:
        both: Any = Collected()
        send(channel, processes._Ready())
        channel.recv(1000)
        send(both, Finished(0, Done("a.jpg")))
        send(both, OSError(errno.ENOSPC, "No space left on device"))
        channel.sendall(both)
        channel.recv(1000)

    journal = Journal()
    engine = processes.Processes(fork_workers([1], journal, work), journal)
    jobs = (Job(number, f"{number}.jpg", Path(f"{number}.jpg")) for number in range(2))
    with pytest.raises(OSError, match="No space left"):
        list(engine.run(jobs, lambda finished: None))
    assert [(type(one), one.number) for one in engine.left()] == [(Finished, 0), (Job, 1)]
    assert engine.abandoned


def test_a_process_that_can_read_no_more_photos_ends_with_the_reason() -> None:
    class Short:
        def recv(self, most: int) -> bytes:
            raise MemoryError

        def wake(self) -> None:
            pass

    received: SimpleQueue[Job | Exception] = SimpleQueue()
    short: Any = Short()
    processes._read(short, received, short, threading.Event())
    with pytest.raises(MemoryError):
        next(processes._jobs(received))
