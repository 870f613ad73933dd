"""Decoders that crash and hang, and processes that are killed: each costs its own photo at most, and the run goes on by itself.

A photo says itself what is to happen when it is decoded, behind its last byte. Processes, signals and deaths are real.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from acting import does, take_over
from fixtures import Command, MakePhoto, photos_in_two_folders
from forked import Forked
from running import run_batch

from cropper.engine.batch import local_threads
from cropper.engine.pipeline import MAX_IN_FLIGHT
from cropper.engine.plan import Resume
from cropper.errors import CropperError, OutputError, PhotoError
from cropper.ledger import lock, state
from cropper.ledger.table import read_rows
from cropper.model import look
from cropper.process import child, supervisor
from cropper.process.child import ChildEnd, _ready, held_signals
from cropper.process.journal import SLOTS, Journal
from cropper.process.supervisor import Attempt, _Watch, supervise
from cropper.settings import Settings, Target
from cropper.storage.access import place
from cropper.storage.places import order

fcntl = pytest.importorskip("fcntl", reason="a run has a supervisor on Linux only")
resource = pytest.importorskip("resource", reason="a run has a supervisor on Linux only")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a run has a supervisor on Linux only")

COUNT = 12
SETTINGS = Settings((Target((48, 32), (48, 32)),))


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    return photos_in_two_folders(tmp_path / "in", make_photo, COUNT)


@pytest.fixture
def undisturbed(cropper: Command, photos: Path, plain_rule: None, tmp_path: Path) -> dict[str, bytes]:
    """What there is to be after a run, made before any photo does harm."""
    assert cropper("batch", photos, "undisturbed", "--size", "48x32")[0] == 0
    return tree(tmp_path / "undisturbed")


@pytest.fixture
def start(photos: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    begun = []

    def start(*options: str, stderr: int = subprocess.PIPE, before: Callable[[], object] = int) -> subprocess.Popen[str]:
        def arrange() -> None:
            # Where the tests themselves run in the background, an interrupt would be ignored.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            take_over()
            before()

        process = Forked(
            ["batch", photos, "out", "--size", "48x32", "-j", "2", *options],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
            start_new_session=True,
            preexec_fn=arrange,
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def tree(folder: Path) -> dict[str, bytes]:
    """Every file, but for the state: that also knows of the runs."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "state.db")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def differs(out: Path, undisturbed: dict[str, bytes], *failed: str) -> dict[str, str]:
    """Make sure that all is as undisturbed but for some photos, which have no thumbnail, and give the reasons why."""
    found = tree(out)
    rows = {row.path: row for row in read_rows(out / "boxes.csv")}
    assert {path for path, row in rows.items() if row.status != "ok"} == set(failed)
    lines = [line for line in found["boxes.csv"].splitlines(True) if line.split(b",")[0].decode() not in failed]
    assert lines == [line for line in undisturbed["boxes.csv"].splitlines(True) if line.split(b",")[0].decode() not in failed]
    expected = {name: data for name, data in undisturbed.items() if name not in (*failed, "boxes.csv")}
    assert {name: data for name, data in found.items() if name != "boxes.csv"} == expected
    return {path: rows[path].message for path in failed}


def wait_for(there: Callable[[], object], seconds: float = 60) -> None:
    patience = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < patience
        time.sleep(0.02)


def child_of(process: subprocess.Popen[str]) -> int:
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def is_free(out: Path) -> bool:
    try:
        lock.release(lock.take(out / ".cropper/lock"), tidy=False)
    except OutputError:
        return False
    return True


def counts(summary: str, done: int, failed: int, deaths: int) -> bool:
    """Whether that many are done and failed: killed between a photo's row and its count, the next process finds it unchanged."""
    found = re.search("12 photos: ([0-9]+) done, ([0-9]+) unchanged, ([0-9]+) failed", summary)
    assert found is not None, summary
    made, unchanged, broken = map(int, found.groups())
    return (made + unchanged, broken) == (done, failed) and unchanged <= deaths


def test_decoders_that_die_cost_their_own_photos(
    photos: Path, undisturbed: dict[str, bytes], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (photos / "02.jpg").write_bytes(b"no photo")  # fails before any other dies, and once
    for name, act in (("04.jpg", "SIGSEGV"), ("06.jpg", "SIGABRT"), ("b/09.jpg", "exit")):
        does(photos / name, act)
    process = start()
    said = process.communicate(timeout=120)[1].splitlines()
    assert process.returncode == 1
    reasons = differs(tmp_path / "out", undisturbed, "02.jpg", "04.jpg", "06.jpg", "b/09.jpg")
    assert list(reasons.values())[1:] == [
        f"the decoder crashed on it ({how}); export it again" for how in ("SIGSEGV", "SIGABRT", "exit code 3")
    ]
    assert [line.split(": ")[1] for line in said[:4]] == [str(photos / path) for path in reasons]
    assert len(said) == 5
    assert counts(said[4], 8, 4, deaths=3)
    # A later run tries them again, and what was done is done.
    for name in ("06.jpg", "b/09.jpg"):
        (photos / name).write_bytes((photos / "b/07.jpg").read_bytes())
    process = start()
    assert "12 photos: 2 done, 8 unchanged, 2 failed" in process.communicate(timeout=120)[1]
    assert process.returncode == 1


def test_the_report_of_a_run_whose_children_die_has_each_photo_once_and_goes_on(
    photos: Path, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    acts = {"02.jpg": "SIGSEGV", "06.jpg": "SIGABRT", "b/09.jpg": "exit"}
    process = start("--log-file", "log", "-v")  # another run before it, so that some photos are unchanged
    process.communicate(timeout=120)
    for name, act in acts.items():
        does(photos / name, act)
        os.utime(photos / name)
    process = start("--report", "report.jsonl", "--log-file", "log", "-v")
    said = process.communicate(timeout=120)[1].splitlines()
    *lines, last = map(json.loads, (tmp_path / "report.jsonl").read_text().splitlines())
    assert [line["path"] for line in lines] == [row.path for row in read_rows(tmp_path / "out/boxes.csv")]
    outcomes = Counter(line["outcome"] for line in lines)
    assert outcomes["failed"] == 3
    assert {name: number for name, number in last["totals"].items() if number} == {"photos": COUNT, **outcomes}
    assert (last["exit_code"], process.returncode) == (1, 1)
    # So has the terminal, and what a trial says is not in the log.
    named = [line.split(": ")[1] for line in said if str(photos) in line and "the run died" not in line]
    assert named == [str(photos / line["path"]) for line in lines]
    logged = [line.partition(" ")[2] for line in (tmp_path / "log").read_text().splitlines()]
    assert logged[-len(said) :] == said
    assert len(logged) == len(said) + COUNT + 1


def test_a_photo_that_takes_too_long_fails_and_its_neighbour_does_not(
    photos: Path, undisturbed: dict[str, bytes], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    does(photos / "00.jpg", "hang")
    does(photos / "02.jpg", "slow")
    process = start("--deadline", "2")
    said = process.communicate(timeout=120)[1].splitlines()
    assert process.returncode == 1
    reasons = differs(tmp_path / "out", undisturbed, "00.jpg")
    assert reasons == {"00.jpg": "it took longer than 2 s; export it again, or set a longer --deadline"}
    assert said[0].startswith(f"cropper: {photos}/00.jpg: it took longer than 2 s; ")
    assert len(said) == 2
    assert counts(said[1], 11, 1, deaths=1)

    # It is remembered: later runs do not wait for it, unless it changes, or they have more patience.
    begun = time.monotonic()
    again = start("--deadline", "2")
    assert "0 done, 11 unchanged, 1 failed" in again.communicate(timeout=120)[1]
    assert time.monotonic() - begun < 2
    (photos / "00.jpg").write_bytes((photos / "02.jpg").read_bytes())
    assert "1 done, 11 unchanged, 0 failed" in start("--deadline", "2").communicate(timeout=120)[1]


def test_a_death_that_does_not_come_again_costs_nothing(
    photos: Path, undisturbed: dict[str, bytes], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    does(photos / "b/05.jpg", "once")
    process = start()
    said = process.communicate(timeout=120)[1].splitlines()
    assert process.returncode == 0
    assert differs(tmp_path / "out", undisturbed) == {}
    assert said[0].startswith("cropper: the run died (SIGABRT) while processing ")
    assert f"{photos}/b/05.jpg" in said[0]
    assert said[0].endswith(", which is harmless alone; it continues")
    assert counts(said[1], 12, 0, deaths=1)


def test_a_run_that_dies_again_and_again_for_no_photos_reason_gives_up(
    photos: Path, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    shutil.rmtree(photos / "b")  # each suspect takes its time
    does(photos / "00.jpg", "company")
    process = start("--quiet")
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 2
    assert said.startswith("cropper: the run died (SIGABRT) 3 times in a row while processing ")
    assert f"{photos}/00.jpg" in said
    assert said.count("\n") == 1
    assert is_free(tmp_path / "out")


def test_where_any_photo_kills_the_run_none_is_condemned(
    photos: Path, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "anything kills").touch()
    process = start()
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 2
    assert said.startswith("cropper: the run dies on every photo (SIGABRT); reinstall opencv-python")
    assert said.count("\n") == 1


def test_a_child_killed_from_outside_is_begun_again(
    photos: Path, undisturbed: dict[str, bytes], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    does(photos / "b/11.jpg", "slow")
    process = start()
    wait_for((tmp_path / "slow").exists)
    os.kill(child_of(process), signal.SIGKILL)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0
    assert differs(tmp_path / "out", undisturbed) == {}
    assert "the run died (SIGKILL, possibly out of memory)" in said
    assert counts(said, 12, 0, deaths=1)


def test_a_killed_run_leaves_no_child_behind(photos: Path, start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    does(photos / "b/11.jpg", "hang")
    process = start()
    wait_for((tmp_path / "hangs").exists)
    assert not is_free(tmp_path / "out")
    process.kill()
    process.wait()
    wait_for(lambda: is_free(tmp_path / "out"), 5)


@pytest.mark.parametrize("to_all", [True, False], ids=["to all", "to the parent"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_comes_once_however_it_comes(
    photos: Path, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, name: str, to_all: bool
) -> None:
    does(photos / "b/11.jpg", "hang")
    process = start()
    wait_for((tmp_path / "hangs").exists)
    wait_for((tmp_path / "out/b/09.jpg").exists)
    time.sleep(0.3)  # until it is recorded
    (os.killpg if to_all else os.kill)(process.pid, getattr(signal, name))
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert said.count("interrupted; finished photos are on disk; run the same command to continue") == 1
    assert "11 photos" in said
    assert said.count("\n") == 2
    assert len(list(read_rows(tmp_path / "out/boxes.csv"))) == COUNT - 1


@pytest.mark.parametrize("to_all", [True, False], ids=["to all", "to the parent"])
def test_a_second_interrupt_ends_at_once(
    photos: Path, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, to_all: bool
) -> None:
    """The run would wait for its worker, but for the second one; the grace of half a second is shorter than a busy machine is."""
    does(photos / "b/11.jpg", "hang")
    process = start()
    wait_for((tmp_path / "hangs").exists)
    child = child_of(process)
    os.kill(child, signal.SIGSTOP)  # so that both find it before it has dealt with the first
    for _ in range(2):
        (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)
        time.sleep(0.3)
    os.kill(child, signal.SIGCONT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    wait_for(lambda: is_free(tmp_path / "out"), 5)


def test_an_interrupt_while_a_photo_is_tried_alone_ends_the_run(
    photos: Path, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    does(photos / "b/11.jpg", "hang")
    process = start("--deadline", "2.5")
    wait_for((tmp_path / "hangs").exists)
    (tmp_path / "hangs").unlink()
    wait_for((tmp_path / "hangs").exists)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert said == "cropper: interrupted; finished photos are on disk; run the same command to continue\n"
    assert is_free(tmp_path / "out")


def test_a_job_that_is_stopped_takes_no_time(
    photos: Path, undisturbed: dict[str, bytes], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    does(photos / "b/11.jpg", "slow")
    process = start("--deadline", "2.5")
    wait_for((tmp_path / "slow").exists)
    os.killpg(process.pid, signal.SIGSTOP)
    time.sleep(3)
    os.killpg(process.pid, signal.SIGCONT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert said.startswith("cropper: 12 photos: 12 done")
    assert differs(tmp_path / "out", undisturbed) == {}


@pytest.mark.skipif(not shutil.which("mkfifo"), reason="no pipes here")
def test_a_focus_from_a_pipe_outlives_its_first_reader(
    photos: Path, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    does(photos / "04.jpg", "once")
    os.mkfifo(tmp_path / "focus")
    process = start("--focus", "focus")
    (tmp_path / "focus").write_text("path,x,y\nb/11.jpg,20,30\nnone.jpg,1,1\n")
    said = process.communicate(timeout=120)[1]
    assert "1 crop by hand" in said
    assert "cropper: focus: IN has no photo none.jpg; " in said
    assert [row.path for row in read_rows(tmp_path / "out/boxes.csv") if row.message == "focus given"] == ["b/11.jpg"]


def test_a_run_whose_parent_is_told_of_no_childs_end_has_one_all_the_same(
    photos: Path, undisturbed: dict[str, bytes], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start(before=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert "12 photos: 12 done" in process.communicate(timeout=120)[1]
    assert process.returncode == 0
    assert differs(tmp_path / "out", undisturbed) == {}


def test_a_run_goes_on_with_its_stderr_closed(
    photos: Path, undisturbed: dict[str, bytes], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (photos / "02.jpg").write_bytes(b"no photo")
    process = start(stderr=None, before=lambda: os.close(2))
    assert process.wait(timeout=120) == 1
    differs(tmp_path / "out", undisturbed, "02.jpg")


def test_a_run_goes_on_when_nobody_reads_its_stderr_any_more(
    photos: Path, undisturbed: dict[str, bytes], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (photos / "02.jpg").write_bytes(b"no photo")
    does(photos / "b/05.jpg", "once")
    reading, writing = os.pipe()
    os.close(reading)
    process = start(stderr=writing)
    os.close(writing)
    assert process.wait(timeout=120) == 1
    differs(tmp_path / "out", undisturbed, "02.jpg")


def test_another_program_that_calls_the_command_is_not_forked(photos: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from cropper.cli import main\n"
        "try: main(['batch', 'in', 'out', '--quiet'])\n"
        "except SystemExit as ended: print('went on after', ended.code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("went on after 0\n", "")


# What is made of a death ------------------------------------------------------------------------------------------------------


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., _Watch]]:
    """A function that gives what supervises some work, here, with no time to lose."""
    monkeypatch.setattr(supervisor, "_BREATH", 0.01)
    with held_signals() as signals:
        yield lambda work, deadline=0.2: _Watch(work, place(Path("in")), deadline, lambda message: None, signals)


def died_at(*paths: str) -> ChildEnd:
    return ChildEnd(None, overdue=paths)


def sleeps(attempt: Attempt) -> int:
    assert attempt.alone is not None
    attempt.journal.begin(0, attempt.alone)
    attempt.journal.take([0])
    attempt.journal.clock(0, True)
    time.sleep(100)
    return 0


def test_a_machine_that_is_slow_for_any_photo_gives_one_more_time_but_not_all(parent: Callable[..., _Watch]) -> None:
    run = parent(sleeps)
    for patience in (2, 4, 8):
        run.look_into(died_at("a.jpg"), Journal())
        assert (run.condemned, run.allowed("a.jpg") / run.deadline) == ({}, patience)
    run.look_into(died_at("a.jpg"), Journal())
    assert str(run.condemned["a.jpg"]).startswith("it took longer than 0.2 s; ")


def test_a_photo_that_is_slow_alone_where_others_are_not_is_condemned_at_once(parent: Callable[..., _Watch]) -> None:
    run = parent(lambda attempt: sleeps(attempt) if attempt.alone else 0)
    run.look_into(died_at("a.jpg"), Journal())
    assert list(run.condemned) == ["a.jpg"]


def test_photos_that_are_slow_in_company_alone_do_not_end_the_run(parent: Callable[..., _Watch]) -> None:
    run = parent(lambda attempt: 0)
    for path in "abcdefaa":
        run.look_into(died_at(path), Journal())
    with pytest.raises(
        CropperError, match=r"was stopped after 0\.2 s 3 times in a row while processing in/a, which is harmless alone"
    ):
        run.look_into(died_at("a"), Journal())
    assert run.condemned == {}


@pytest.mark.parametrize("times", [1, 2])
def test_a_photo_that_is_killed_alone_is_tried_once_more(parent: Callable[..., _Watch], tmp_path: Path, times: int) -> None:
    def work(attempt: Attempt) -> int:
        with (tmp_path / "kills").open("a") as file:
            file.write("x")
        if (tmp_path / "kills").stat().st_size <= times:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    found = parent(work)._errors_of(["a.jpg"])
    assert list(found) == ["a.jpg"] * (times - 1)


def test_a_system_that_has_no_room_for_a_process_is_asked_again(
    parent: Callable[..., _Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real limits bind no root."""
    tries = iter([False, False, True])
    fork = os.fork

    def failing() -> int:
        if next(tries, False):
            return fork()
        raise BlockingIOError(errno.EAGAIN, "busy")

    monkeypatch.setattr(child, "_PAUSES", (0.01, 0.01))
    monkeypatch.setattr(os, "fork", failing)
    opened = len(os.listdir("/proc/self/fd"))
    run = parent(lambda attempt: 0)
    assert run._error_of("a.jpg") is None
    with pytest.raises(CropperError, match=r"cannot start another process \(busy\); run again with fewer other processes"):
        run._error_of("a.jpg")
    assert len(os.listdir("/proc/self/fd")) == opened


def test_a_run_that_can_have_no_child_does_the_work_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> int:
        raise BlockingIOError(errno.EAGAIN, "busy")

    monkeypatch.setattr(os, "fork", failing)
    before = signal.getsignal(signal.SIGINT)
    said: list[str] = []

    def work(attempt: Attempt) -> int:
        assert signal.getsignal(signal.SIGINT) is before
        return 7

    assert supervise(work, place(Path("in")), 1, said.append) == 7
    assert said[0].startswith("cannot start another process (busy); this run is unsupervised: ")


def test_signals_are_afterwards_as_they_were() -> None:
    mine = socket.socketpair()
    mine[1].setblocking(False)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.set_wakeup_fd(mine[1].fileno())
    try:
        with held_signals():
            assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        assert signal.set_wakeup_fd(-1) == mine[1].fileno()
        for end in mine:
            end.close()


def test_many_open_files_do_no_harm() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2000, hard), hard))
    reading, writing = os.pipe()
    high = fcntl.fcntl(reading, fcntl.F_DUPFD, 1500)
    try:
        assert _ready([high], 0) == set()
        os.close(writing)
        assert _ready([high], 5) == {high}
    finally:
        os.close(reading)
        os.close(high)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# What a run does for it -------------------------------------------------------------------------------------------------------


def test_no_clock_runs_on_for_photos_that_are_abandoned(
    photos: Path, plain_rule: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    journal, hangs, goes_on = Journal(), threading.Event(), threading.Event()

    def act(*arguments: object) -> None:
        hangs.set()
        goes_on.wait(30)
        raise PhotoError("too late")

    monkeypatch.setattr(look, "decode_or_salvage", act)
    here = run_batch(photos, tmp_path / "out", SETTINGS, 1, stop=hangs.is_set, engine=partial(local_threads, journal=journal))
    with pytest.raises(KeyboardInterrupt):
        list(here)
    assert journal.photos == []
    goes_on.set()


def test_a_run_that_goes_on_does_not_begin_what_has_come_to_an_end(
    photos: Path, plain_rule: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "COMMIT", 0.0)
    (photos / "02.jpg").write_bytes(b"no photo")
    settings = replace(SETTINGS, dry_run=True)
    list(run_batch(photos, tmp_path / "undisturbed", settings, 2))
    here = run_batch(photos, tmp_path / "out", settings, 2)
    left = [next(here).path for _ in range(5)]
    shutil.copytree(tmp_path / "out", tmp_path / "killed")
    here.close()
    done = list(run_batch(photos, tmp_path / "killed", settings, 2, resume=Resume(passed=order(left[-1]))))
    assert [d.path for d in done if d.unchanged] == left
    assert tree(tmp_path / "killed") == tree(tmp_path / "undisturbed")


# The journal ------------------------------------------------------------------------------------------------------------------


def test_the_journal_has_what_is_on_its_way() -> None:
    journal = Journal()
    journal.begin(7, "a/\udcff.jpg")
    journal.begin(9, "b.jpg")
    journal.take([7, 8])
    journal.clock(7, True)
    first = {photo.path: (photo.in_hand, photo.clocked) for photo in journal.photos}
    assert first == {"a/\udcff.jpg": (True, True), "b.jpg": (False, False)}
    journal.rest([7])
    journal.end(9)
    journal.end(9)
    assert [(photo.path, photo.in_hand, photo.clocked) for photo in journal.photos] == [("a/\udcff.jpg", False, False)]


def test_a_journal_is_read_whole_while_it_is_written() -> None:
    journal = Journal()
    memory = journal._memory

    class InBetween:
        """Another photo takes the slot right before the path is read, which is longer than the first one's."""

        def __getitem__(self, part: slice) -> bytes:
            journal._memory = memory
            journal.end(1)
            journal.begin(2, "aaü.jpg")
            return memory[part]

    journal.begin(1, "a.j")
    journal._memory = InBetween()  # type: ignore[assignment]
    assert journal.photos == []
    assert [entry.path for entry in journal.photos] == ["aaü.jpg"]


def test_the_journal_has_room_for_all_that_a_pipeline_has_on_its_way() -> None:
    assert MAX_IN_FLIGHT <= SLOTS


def test_a_journal_that_is_full_forgets_and_goes_on() -> None:
    journal = Journal()
    for number in range(SLOTS + 3):
        journal.begin(number, f"{number}.jpg")
    journal.begin(1000, "long" * 2000)
    assert len(journal.photos) == SLOTS
    births = {photo.birth for photo in journal.photos}
    for number in range(SLOTS + 3):
        journal.take([number])
        journal.rest([number])
        journal.end(number)
    assert journal.photos == []
    journal.begin(1, "again.jpg")
    assert journal.photos[0].birth not in births


def test_the_journal_keeps_the_last_state_and_the_end() -> None:
    journal = Journal()
    assert (journal.saved, journal.code) == (b"", None)
    for saved in (b"one", b"another, which is longer", b"3", b"x" * 40_000):
        journal.save(saved)
    assert journal.saved == b"3"  # the last one is too long
    journal.close(0)
    assert journal.code == 0


def test_the_journal_of_a_killed_process_is_read_by_its_parent() -> None:
    journal = Journal()
    process = os.fork()
    if not process:
        journal.begin(1, "a.jpg")
        journal.take([1])
        journal.save(b"so far")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)
    assert [photo.path for photo in journal.photos if photo.in_hand] == ["a.jpg"]
    assert journal.saved == b"so far"
