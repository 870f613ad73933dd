"""Standard streams that are closed, full or gone: one line and exit code 2, and no run ends for its messages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures import Command, MakePhoto, StartProcess

from cropper.cli import terminal

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="needs Linux's /dev/full")

# Printed by click and flushed as Python ends, so that it takes a real end to see it.
OF_CLICK = ("--version", "boxes --help")
# All commands that print data, and click's own printing.
PRINTING = (
    "boxes in/0.jpg",
    "boxes in --format csv",
    "crop in/0.jpg",
    "show in/0.jpg",
    "sheet out",
    "sheet out -o -",
    "review out",
    "bench in --photos 1 --rounds 1",
    "formats",
    "formats --json",
    "ledger merge out/boxes.csv -o all.csv",
    *OF_CLICK,
)
CLOSED = ("boxes in/0.jpg", "crop in/0.jpg", "show in/0.jpg", "formats")


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto, plain_rule: None, cropper: Command) -> Path:
    for seed in range(3):
        make_photo(tmp_path / "in" / f"{seed}.jpg", seed=seed)
    assert cropper("batch", "in", "out", "--size", "64x36", "--quiet")[0] == 0
    return tmp_path / "in"


def is_one_line(err: bytes) -> bool:
    return err.startswith(b"cropper: ") and err.count(b"\n") == 1


@pytest.mark.parametrize("command", PRINTING)
def test_data_that_cannot_be_written_is_one_line_and_exit_code_2(
    photos: Path, cropper_process: StartProcess, cropper_program: StartProcess, command: str
) -> None:
    start = cropper_program if command in OF_CLICK else cropper_process
    with FULL.open("wb") as full, start(*command.split(), stdout=full) as process:
        err = process.communicate(timeout=60)[1]
    assert (process.returncode, is_one_line(err)) == (2, True), err
    assert b"stdout" in err
    assert b"No space left on device" in err


@pytest.mark.parametrize("command", CLOSED)
def test_a_closed_stdout_is_one_line_and_exit_code_2(photos: Path, cropper_process: StartProcess, command: str) -> None:
    with cropper_process(*command.split(), preexec_fn=lambda: os.close(1)) as process:
        err = process.communicate(timeout=60)[1]
    assert (process.returncode, err) == (2, b"cropper: stdout: cannot be written (it is closed); send it elsewhere\n")


@pytest.mark.parametrize("command", ["boxes -", "crop -"])
def test_a_closed_stdin_is_one_line_and_exit_code_2(photos: Path, cropper_program: StartProcess, command: str) -> None:
    with cropper_program(*command.split(), preexec_fn=lambda: os.close(0)) as process:
        out, err = process.communicate(timeout=60)
    said = b"cropper: stdin: cannot be read (it is closed); give it a file or a pipe\n"
    assert (process.returncode, out, err) == (2, b"", said)


def test_a_command_without_streams_still_says_how_it_ended(photos: Path, cropper_program: StartProcess, tmp_path: Path) -> None:
    for command, code in (("crop in/0.jpg -o a.jpg", 0), ("crop in/0.jpg", 2), ("boxes in/0.jpg", 2), ("crop in/none.jpg", 2)):
        with cropper_program(*command.split(), preexec_fn=lambda: os.closerange(0, 3)) as process:
            assert process.wait(60) == code, command
    assert (tmp_path / "a.jpg").read_bytes()[:2] == b"\xff\xd8"


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_batch_goes_on_when_its_messages_cannot_be_written(
    photos: Path, cropper_process: StartProcess, tmp_path: Path, is_closed: bool
) -> None:
    for name in ("0a.jpg", "1a.jpg"):
        (photos / name).write_bytes(b"")
    close = (lambda: os.close(2)) if is_closed else None
    with FULL.open("wb") as full, cropper_process("batch", "in", "new", stderr=full, preexec_fn=close) as process:
        assert process.wait(60) == 1
    assert sorted(path.name for path in (tmp_path / "new").glob("*.jpg")) == ["0.jpg", "1.jpg", "2.jpg"]


def test_a_batch_goes_on_when_its_terminal_is_gone(photos: Path, cropper_process: StartProcess, tmp_path: Path) -> None:
    (photos / "0a.jpg").write_bytes(b"")
    ours, theirs = os.openpty()
    os.close(ours)
    with cropper_process("batch", "in", "new", stderr=theirs) as process:
        os.close(theirs)
        assert process.wait(60) == 1
    assert sorted(path.name for path in (tmp_path / "new").glob("*.jpg")) == ["0.jpg", "1.jpg", "2.jpg"]


def test_no_command_is_wrong_usage_where_nothing_can_be_said(cropper_program: StartProcess) -> None:
    with FULL.open("wb") as full, cropper_program(stderr=full) as process:
        assert process.wait(60) == 2


def test_messages_are_written_again_once_the_disk_has_room(tmp_path: Path) -> None:
    """The line that found no room is dropped, and is not written late."""
    script = (
        "import os, sys\n"
        "from cropper.cli.terminal import say\n"
        "there, full = os.dup(2), os.open('/dev/full', os.O_WRONLY)\n"
        "os.dup2(full, 2); say('lost'); os.dup2(there, 2); say('found')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"cropper: found\n")


@pytest.mark.parametrize("command", ["crop in/0.jpg -o", "show in/0.jpg -o", "sheet out -o", "ledger merge out/boxes.csv -o"])
def test_an_output_that_the_system_refuses_is_one_line_and_exit_code_2(cropper: Command, photos: Path, command: str) -> None:
    """As a folder that may not be read does, which stops no root."""
    name = f"{'x' * 300}.jpg" if "merge" not in command else f"{'x' * 300}.csv"
    code, out, err = cropper(*command.split(), name)
    assert (code, out) == (2, "")
    assert err.startswith(f"cropper: {name}: cannot be ")
    assert "(File name too long)" in err
    assert err.count("\n") == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every folder")
@pytest.mark.parametrize("command", ["crop in/0.jpg -o", "show in/0.jpg -o", "sheet out -o"])
def test_an_output_in_a_locked_folder_is_one_line_and_exit_code_2(
    cropper: Command, photos: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "locked").mkdir(mode=0)
    code, out, err = cropper(*command.split(), "locked/a.jpg")
    assert (code, out) == (2, "")
    assert "Permission denied" in err
    assert err.count("\n") == 1


def test_a_program_without_stdout_gets_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from cropper import OutputError

    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OutputError, match="stdout: cannot be written"):
        terminal.put(b"data")


def test_a_reader_that_goes_is_no_error_to_speak_of(photos: Path, cropper_process: StartProcess) -> None:
    for command, code in (("boxes in", 0), ("crop in/0.jpg", 1), ("formats", 1)):
        reading, writing = os.pipe()
        os.close(reading)
        with cropper_process(*command.split(), stdout=writing) as process:
            os.close(writing)
            assert (process.wait(60), process.stderr.read() if process.stderr else b"") == (code, b""), command
