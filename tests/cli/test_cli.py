"""The command as a user meets it: streams, exit codes, signals, terminals."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
from fixtures import Command, MakePhoto, StartProcess, imdecode, imread
from PIL import Image
from plain import Plain

from cropper._version import __version__
from cropper.cli.lines import template
from cropper.engine import batch
from cropper.errors import printable
from cropper.ledger.table import failed_row

posix_only = pytest.mark.skipif(os.name == "nt", reason="signals and terminals are others there")


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    for seed in range(3):
        make_photo(tmp_path / "in" / f"{seed}.jpg", seed=seed)
    (tmp_path / "in" / "notes.txt").write_text("no photo")
    return tmp_path / "in"


def paths_in(ledger: Path) -> list[str]:
    with ledger.open(newline="", encoding="utf-8") as file:
        return [row["path"] for row in csv.DictReader(file) if row["status"] == "ok"]


HELPS = (
    "--help",
    "batch --help",
    "boxes --help",
    "crop --help",
    "show --help",
    "review --help",
    "sheet --help",
    "--version",
)


@pytest.fixture(scope="module")
def helps() -> dict[str, tuple[str, list[str]]]:
    """What each shows, and the libraries that are loaded behind it; one after another in one fresh process."""
    code = (
        "import contextlib, io, json, sys; from cropper.cli import main\n"
        "for arguments in sys.argv[1:]:\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):\n"
        "        main(arguments.split())\n"
        "    loaded = {'numpy', 'cv2', 'onnxruntime', 'PIL', 'tqdm'} & set(sys.modules)\n"
        "    print(json.dumps([arguments, [shown.getvalue(), sorted(loaded)]]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *HELPS], capture_output=True, text=True, check=True)
    return dict(map(json.loads, done.stdout.splitlines()))


@pytest.mark.parametrize("arguments", HELPS)
def test_help_loads_neither_libraries_nor_the_model(helps: dict[str, tuple[str, list[str]]], arguments: str) -> None:
    shown, loaded = helps[arguments]
    assert loaded == []
    assert shown


def test_version(cropper: Command) -> None:
    assert cropper("--version") == (0, f"cropper, version {__version__}\n", "")


def test_no_command_shows_the_help_and_is_wrong_usage(cropper: Command) -> None:
    code, out, err = cropper()
    assert (code, out) == (2, "")
    assert err.startswith("Usage: cropper")
    assert "batch " in err


def test_a_batch_says_one_line_on_stderr_and_nothing_on_stdout(cropper: Command, photos: Path) -> None:
    code, out, err = cropper("batch", photos, "out", "--size", "64x36")
    assert (code, out) == (0, "")
    assert err.startswith("cropper: 3 photos: 3 done, 0 unchanged, 0 failed; 1 other file ignored; ")
    assert err.count("\n") == 1
    assert cropper("batch", photos, "out", "--size", "64x36")[2].startswith("cropper: 3 photos: 0 done, 3 unchanged, 0 failed;")


def test_defaults_are_640x360_and_the_photos_own_format(cropper: Command, samples: Path, tmp_path: Path) -> None:
    assert cropper("batch", samples, "out")[0] == 0
    assert imread(str(tmp_path / "out/wren.jpg")).shape == (360, 640, 3)
    assert (tmp_path / "out/trips/tourist.webp").read_bytes()[8:12] == b"WEBP"
    assert (tmp_path / "out/hibiscus.png").read_bytes()[1:4] == b"PNG"


def test_options_reach_the_thumbnails(cropper: Command, photos: Path, tmp_path: Path) -> None:
    sizes = ["--size", "200X100", "--aspect", "1:1", "--aspect", "1:1"]
    options = ["--format", "webp", "--quality", "50", "--enlarge", "-j", "1"]
    assert cropper("batch", photos, "out", *sizes, *options)[0] == 0
    assert sorted(os.listdir(tmp_path / "out")) == [".cropper", "1-1", "200x100", "boxes.csv"]
    assert imread(str(tmp_path / "out/200x100/0.webp")).shape == (100, 200, 3)
    assert imread(str(tmp_path / "out/1-1/0.webp")).shape == (64, 64, 3)


def test_a_dry_run_writes_the_table_alone(cropper: Command, photos: Path, tmp_path: Path) -> None:
    code, _, err = cropper("batch", photos, "out", "--dry-run")
    assert code == 0
    assert "3 decided" in err
    assert sorted(os.listdir(tmp_path / "out")) == [".cropper", "boxes.csv"]


def test_failed_photos_have_a_line_each_and_exit_code_1(cropper: Command, photos: Path) -> None:
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "not\nan image.png").write_bytes(b"hello")
    code, out, err = cropper("batch", photos, "out")
    assert (code, out) == (1, "")
    lines = err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"cropper: {photos}/empty.jpg: the file is empty; ")
    assert lines[1].startswith(f"cropper: {photos}/not\\nan image.png: ")
    assert lines[2].startswith("cropper: 5 photos: 3 done, 0 unchanged, 2 failed; ")


def test_quiet_says_nothing_but_errors(cropper: Command, photos: Path) -> None:
    assert cropper("batch", photos, "out", "--quiet") == (0, "", "")
    (photos / "empty.jpg").write_bytes(b"")
    code, out, err = cropper("batch", photos, "out", "--quiet")
    assert (code, out) == (1, "")
    assert err == f"cropper: {photos}/empty.jpg: the file is empty; copy it again from where it came from\n"


@pytest.mark.parametrize(
    "command",
    [
        "boxes in",
        "crop in/half.jpg --salvage -o a.jpg",
        "show in/half.jpg --salvage",
        "bench in --salvage --photos 1 --rounds 1",
    ],
)
def test_quiet_leaves_out_what_is_no_error_in_every_command(cropper: Command, photos: Path, command: str) -> None:
    (photos / "half.jpg").write_bytes((photos / "0.jpg").read_bytes()[:-300])
    assert cropper("batch", photos, "in/made", "-q", "--salvage")[0] == 0
    code, _, heard = cropper(*command.split())
    errors = [line for line in heard.splitlines(True) if "it is truncated or damaged" in line]
    assert heard.count("\n") == len(errors) + 1
    assert cropper(*command.split(), "-q")[::2] == (code, "".join(errors))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_a_failure_and_no_photo(cropper: Command, photos: Path) -> None:
    (photos / "locked").mkdir(mode=0)
    code, _, err = cropper("batch", photos, "out")
    assert code == 1
    assert "3 photos: 3 done, 0 unchanged, 0 failed; 1 folder not read" in err


def test_a_folder_without_photos_is_no_failure(cropper: Command, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    code, _, err = cropper("batch", "in", "out")
    assert code == 0
    assert err.startswith("cropper: 0 photos: 0 done, ")


WRONG = {
    "no such IN": (["batch", "nowhere", "out"], "Invalid value for 'IN...': 'nowhere' does not exist"),
    "no OUT": (["batch", "in"], "Missing argument 'OUT'"),
    "OUT is a file": (["batch", "in", "in/0.jpg"], "is a file"),
    "OUT below a file": (["batch", "in", "in/0.jpg/out"], "choose another OUT"),
    "OUT is IN": (["batch", "in", "in"], "OUT is the same folder as IN or contains it"),
    "OUT holds IN": (["batch", "in", "."], "OUT is the same folder as IN or contains it"),
    "size of nothing": (["batch", "in", "out", "--size", "0x360"], "'0x360' is not WxH in whole numbers"),
    "size of one number": (["batch", "in", "out", "--size", "640"], "such as 640x360"),
    "size of three": (["batch", "in", "out", "--size", "6x4x2"], "such as 640x360"),
    "size with a sign": (["batch", "in", "out", "--size", "-6x4"], "such as 640x360"),
    "size beyond all formats": (["batch", "in", "out", "--size", "99999x9"], "from 1 to 16383"),
    "size of too many digits": (["batch", "in", "out", "--size", "9" * 5000 + "x1"], "from 1 to 16383"),
    "size in other digits": (["batch", "in", "out", "--size", "٣x٣"], "such as 640x360"),
    "aspect of one number": (["batch", "in", "out", "--aspect", "16"], "such as 16:9"),
    "unknown format": (["batch", "in", "out", "--format", "tga"], "'tga' is not one of"),
    "quality beyond": (["batch", "in", "out", "--quality", "101"], "'101' is not a whole number from 1 to 100."),
    "no jobs": (["batch", "in", "out", "--jobs", "0"], "'0' is not a whole number from 1 to 4096, or auto"),
    "zoom to nothing": (["batch", "in", "out", "--zoom", "0"], "'0' is neither auto nor a number"),
    "zoom beyond": (["crop", "in/0.jpg", "--zoom", "1.5..1"], "such as 0.5"),
    "unknown fill": (["batch", "in", "out", "--pad-with", "blurry"], "'blurry' is neither blur nor edge nor a colour"),
    "kept more than all": (
        ["boxes", "in", "--min-kept", "1.5"],
        "'1.5' is not a number above 0 and at most 1, such as 0.6 or 60%.",
    ),
    "kept no number": (["boxes", "in", "--min-kept", "nan"], "'nan' is not a number above 0 and at most 1, such as 0.6 or 60%."),
    "focus of no table": (["batch", "in", "out", "--focus", "in/notes.txt"], "no column path"),
    "no focus file": (["boxes", "in", "--focus", "none.csv"], "'none.csv' does not exist"),
    "unknown command": (["cut", "in", "out"], "No such command 'cut'"),
    "unknown option": (["batch", "in", "out", "--speed"], "No such option"),
    "show nothing": (["show", "in/none.jpg"], "'in/none.jpg' does not exist"),
    "show in no format": (["show", "in/0.jpg", "-o", "heat.txt"], "end it in .png or .jpg"),
    "show over the photo": (["show", "in/0.jpg", "-o", "in/0.jpg"], "would overwrite the photo"),
    "no number of seconds": (["batch", "in", "out", "--deadline", "nan"], "'nan' is not a number of seconds from 0 to 86400"),
    "no end of seconds": (["batch", "in", "out", "--deadline", "inf"], "'inf' is not a number of seconds from 0 to 86400"),
    "zoom to no number": (["batch", "in", "out", "--zoom", "nan"], "'nan' is neither auto nor a number"),
    "kept of no end": (["boxes", "in", "--min-kept", "inf"], "'inf' is not a number above 0 and at most 1, such as 0.6 or 60%."),
    "one slash": (["batch", "in", "s3:/bucket/out"], "write s3://bucket/out, or ./s3:/bucket/out for a path"),
    "IN with one slash": (["batch", "s3:/bucket/in", "out"], "write s3://bucket/in, or ./s3:/bucket/in for a path"),
    "no bucket": (["batch", "in", "s3:///bucket/out"], "write s3://bucket/out"),
    "chain of URLs": (["batch", "in", "filecache::s3://bucket/out"], "write s3://bucket/out"),
    "data as a URL": (["batch", "in", "data:,x"], "write s3://bucket/photos"),
    "file as a URL": (["ledger", "merge", "file:/out"], "write /out"),
    "merge to one slash": (["ledger", "merge", "in/0.jpg", "-o", "s3:/bucket/x.csv"], "write s3://bucket/x.csv"),
    "crop to a URL": (["crop", "in/0.jpg", "-o", "s3://bucket/x.jpg"], "'s3://bucket/x.jpg' is not a path of this machine"),
    "crop to data": (["crop", "in/0.jpg", "-o", "data:,x.jpg"], "'data:,x.jpg' is not a path of this machine"),
    "show a URL": (["show", "s3://bucket/x.jpg"], "is not a path of this machine"),
    "show to a URL": (["show", "in/0.jpg", "-o", "s3:/x.jpg"], "is not a path of this machine"),
    "sheet of a URL": (["sheet", "s3://bucket/out"], "is not a path of this machine"),
    "review of a URL": (["review", "s3://bucket/out"], "is not a path of this machine"),
    "bench of a URL": (["bench", "s3://bucket/out"], "is not a path of this machine"),
    "focus from a URL": (["batch", "in", "out", "--focus", "s3://bucket/focus.csv"], "is not a path of this machine"),
    "show to nowhere": (["show", "in/0.jpg", "-o", "in/0.jpg/heat.png"], "cannot be written"),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_wrong_usage_is_one_clear_line_and_exit_code_2(cropper: Command, photos: Path, arguments: list[str], said: str) -> None:
    before = {path: path.read_bytes() for path in photos.iterdir()}
    code, out, err = cropper(*arguments)
    assert (code, out) == (2, "")
    assert not [path for path in photos.parent.iterdir() if ":" in path.name]
    assert said in err
    assert err.startswith("cropper: ")
    assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in photos.iterdir()} == before


def test_a_folder_named_like_a_url_is_given_as_a_path(cropper: Command, photos: Path, tmp_path: Path) -> None:
    photos.rename(tmp_path / "data:")
    code, _, err = cropper("batch", "./data:", "./s3:/out", "--size", "64x36")
    assert code == 0, err
    assert (tmp_path / "s3:/out/boxes.csv").exists()
    assert cropper("crop", "data:/0.jpg", "--size", "64x36", "-o", "0.jpg")[0] == 0  # it is there: no doubt about it


def failing(raised: BaseException) -> Callable[..., None]:
    """A function that raises an error, whatever it is given."""

    def fail(*arguments: object) -> None:
        raise raised

    return fail


@pytest.mark.parametrize(
    "raised",
    [MemoryError(), OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), RuntimeError("can't start new thread")],
    ids=["object", "system", "thread"],
)
def test_a_want_of_memory_is_one_line(cropper: Command, photos: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception) -> None:
    monkeypatch.setattr("cropper.engine.bench.measure", failing(raised))
    code, _, err = cropper("bench", "in")
    said = "there is not enough memory for this run; run again with more memory or fewer --jobs"
    assert (code, err) == (2, f"cropper: {said}\n")


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), click.Abort()], ids=repr)
def test_an_interrupt_is_no_want_of_memory(
    cropper: Command, photos: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException
) -> None:
    monkeypatch.setattr("cropper.engine.bench.measure", failing(raised))  # click makes it an Abort, which is a RuntimeError
    code, _, err = cropper("bench", "in")
    assert (code, err.strip()) == (130, "cropper: interrupted")


def test_a_foreign_boxes_csv_is_wrong_usage_and_stays(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/boxes.csv").write_text("my,own,table\n")
    code, _, err = cropper("batch", photos, "out")
    assert code == 2
    assert "is not a table" in err
    assert (tmp_path / "out/boxes.csv").read_text() == "my,own,table\n"


MANY = 150


@pytest.fixture
def many(tmp_path: Path, make_photo: MakePhoto) -> Path:
    """Photos enough for a run of seconds, most of which the network takes."""
    data = make_photo(tmp_path / "in" / "000.jpg").read_bytes()
    for number in range(MANY):
        (tmp_path / "in" / f"{number:03}.jpg").write_bytes(data)
    return tmp_path / "in"


@posix_only
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_stopped_batch_keeps_what_is_finished_and_the_next_goes_on(
    cropper: Command, cropper_process: StartProcess, many: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    # Where the tests themselves run in the background, an interrupt would be ignored.
    arguments = ("batch", many, out, "--size", "64x36")
    process = cropper_process(*arguments, "-j", "1", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    patience = time.monotonic() + 60
    while not (out / "010.jpg").exists() and time.monotonic() < patience:
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    stderr = process.communicate(timeout=60)[1].decode()
    finished = [path.name for path in out.glob("*.jpg")]
    assert 10 < len(finished) < MANY  # stopped on the way
    if name == "SIGKILL":
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert "run the same command to continue" in stderr
        assert paths_in(out / "boxes.csv") == sorted(finished)
        assert not list(out.glob(".*.part"))
    monkeypatch.setattr(batch, "Saliency", Plain)  # the rest is about files
    code, _, err = cropper(*arguments)
    assert code == 0
    assert f"{MANY - len(finished)} done, {len(finished)} unchanged" in err or name == "SIGKILL"
    assert "0 failed" in err
    assert paths_in(out / "boxes.csv") == [f"{number:03}.jpg" for number in range(MANY)]


def on_terminal(
    cropper_process: StartProcess,
    *arguments: str | bytes | Path,
    stdout_too: bool = False,
    environment: dict[str, str] | None = None,
    size: tuple[int, int] = (80, 24),
) -> tuple[int, bytes, bytes]:
    """Run the command with stderr on a terminal: exit code, stdout, what the terminal got."""
    import fcntl
    import termios

    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    streams = {"stdout": theirs} if stdout_too else {}
    process = cropper_process(*arguments, stderr=theirs, environment={"TERM": "xterm", **(environment or {})}, **streams)
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 65536):
            seen += part
    except OSError:  # the other side is closed
        pass
    os.close(ours)
    stdout = process.stdout.read() if process.stdout else b""
    return process.wait(timeout=60), stdout, seen


@posix_only
def test_progress_is_drawn_on_a_terminal(cropper_process: StartProcess, photos: Path) -> None:
    (photos / "empty.jpg").write_bytes(b"")
    code, stdout, terminal = on_terminal(cropper_process, "batch", photos, "out")
    assert (code, stdout) == (1, b"")
    assert b"4/4" in terminal
    assert b"photos/s" in terminal
    assert b"failed=1" in terminal
    assert terminal.rstrip().splitlines()[-1].startswith(b"cropper: 4 photos: 3 done")


@posix_only
def test_quiet_draws_no_progress_on_a_terminal_either(cropper_process: StartProcess, photos: Path) -> None:
    assert on_terminal(cropper_process, "batch", photos, "out", "--quiet") == (0, b"", b"")


def test_show_writes_the_picture_beside_you_and_prints_its_path_alone(cropper: Command, samples: Path, tmp_path: Path) -> None:
    assert cropper("show", samples / "trips/tourist.webp") == (0, "tourist.saliency.png\n", "")
    assert imread(str(tmp_path / "tourist.saliency.png")) is not None


def test_show_writes_where_it_is_told(cropper: Command, samples: Path, tmp_path: Path) -> None:
    assert cropper("show", samples / "cat.jpg", "--aspect", "1:1", "-o", "heat.jpg") == (0, "heat.jpg\n", "")
    assert (tmp_path / "heat.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert os.listdir(tmp_path) == ["heat.jpg"]


def test_show_says_what_is_wrong_with_a_photo(cropper: Command, tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    expected = "cropper: empty.jpg: the file is empty; copy it again from where it came from\n"
    assert cropper("show", "empty.jpg") == (1, "", expected)


@posix_only
def test_show_prints_names_that_are_no_text_as_they_are(
    cropper_process: StartProcess, make_photo: MakePhoto, tmp_path: Path
) -> None:
    make_photo(tmp_path / "latin\udce9.jpg")
    process = cropper_process("show", os.fsencode("latin\udce9.jpg"))
    assert process.communicate(timeout=60) == (b"latin\xe9.saliency.png\n", b"")
    assert (tmp_path / "latin\udce9.saliency.png").exists()


def test_show_opens_the_picture_in_the_systems_viewer(cropper: Command, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", opened.append)
    cropper("show", samples / "cat.jpg")
    assert opened == []
    cropper("show", samples / "cat.jpg", "--open")
    assert opened == ["cat.saliency.png"]


TRUE_COLOUR = {"COLORTERM": "truecolor", "NO_COLOR": ""}


@posix_only
@pytest.mark.parametrize("size", [(80, 24), (0, 0)])  # some terminals do not know their size
def test_show_draws_a_preview_on_a_terminal_that_can(cropper_process: StartProcess, samples: Path, size: tuple[int, int]) -> None:
    photo = samples / "cat.jpg"
    code, _, terminal = on_terminal(cropper_process, "show", photo, stdout_too=True, environment=TRUE_COLOUR, size=size)
    assert code == 0
    lines = terminal.decode().splitlines()
    assert lines[0] == "cat.saliency.png"
    assert "640x360 keeps" in lines[-1]
    assert len(lines) < 24
    assert {line.count("\u2580") for line in lines[1:-1]} == {63}  # as wide as its height allows


@posix_only
@pytest.mark.parametrize(
    ("environment", "arguments"),
    [
        ({"COLORTERM": ""}, []),
        ({**TRUE_COLOUR, "NO_COLOR": "1"}, []),
        ({**TRUE_COLOUR, "TERM": "dumb"}, []),
        (TRUE_COLOUR, ["-o", "cat.saliency.png"]),
    ],
)
def test_show_draws_no_preview_where_it_cannot_or_is_not_wanted(
    cropper_process: StartProcess, samples: Path, environment: dict[str, str], arguments: list[str]
) -> None:
    photo = samples / "cat.jpg"
    shown = on_terminal(cropper_process, "show", photo, *arguments, stdout_too=True, environment=environment)
    assert shown == (0, b"", b"cat.saliency.png\r\n")


@posix_only
def test_show_draws_no_preview_into_a_pipe(cropper_process: StartProcess, samples: Path) -> None:
    shown = on_terminal(cropper_process, "show", samples / "cat.jpg", environment=TRUE_COLOUR)
    assert shown == (0, b"cat.saliency.png\n", b"")


def test_boxes_are_printed_as_objects_with_numbers(cropper: Command, photos: Path) -> None:
    code, out, err = cropper("boxes", photos, "--aspect", "1:1", "--size", "64x36")
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["path"], row["size"]) for row in rows] == [
        (str(photos / f"{seed}.jpg"), size) for seed in range(3) for size in ("64x36", "1:1")
    ]
    assert rows[1]["width"] == rows[1]["height"] == min(rows[1]["image_width"], rows[1]["image_height"])
    assert 0 < rows[0]["kept"] <= 1


def test_boxes_are_those_of_the_batch(cropper: Command, photos: Path) -> None:
    cropper("batch", photos, "out", "--dry-run")
    code, out, _ = cropper("boxes", photos, "--format", "csv")
    assert code == 0
    with open("out/boxes.csv", newline="", encoding="utf-8") as file:
        ledger = list(csv.DictReader(file))
    printed = list(csv.DictReader(out.splitlines()))
    sides = ("size", "x", "y", "width", "height", "focus_x", "focus_y", "kept", "image_width", "image_height")
    assert [{side: row[side] for side in sides} for row in printed] == [{side: row[side] for side in sides} for row in ledger]


@posix_only
@pytest.mark.parametrize("name", ["new\nline.jpg", "carriage\rreturn.jpg"])
def test_columns_quote_names_with_line_breaks(cropper: Command, photos: Path, name: str) -> None:
    shutil.copy(photos / "0.jpg", photos / name)
    code, out, _ = cropper("boxes", photos / name, "--format", "csv")
    assert code == 0
    assert [row["path"] for row in csv.DictReader(io.StringIO(out, newline=""))] == [str(photos / name)]
    assert out.replace(name, "").count("\r") == 0


def test_boxes_in_a_line_of_ones_own(cropper: Command, photos: Path) -> None:
    code, out, err = cropper(
        "boxes", photos / "0.jpg", "gone.jpg", "--aspect", "1:1", "--template", "{width}x{height}+{x}+{y} {kept:.1f}"
    )
    assert code == 1
    assert re.fullmatch(r"\d+x\d+\+\d+\+\d+ \d\.\d\n", out)
    assert err.startswith("cropper: gone.jpg: cannot be read")


@pytest.mark.parametrize(
    "template",
    [
        "{nothing}",
        "{path.__class__}",
        "{",
        "{x:zz}",
        "{0}",
        "{x:{y}{z}}",
        "{x:{y}}",
        "{x:{y.foo}}",
        "{x[0]}",
        "{path!x}",
        "{path:d}",
    ],
)
def test_a_template_that_cannot_be_filled_in_is_wrong_usage(cropper: Command, photos: Path, template: str) -> None:
    code, out, err = cropper("boxes", photos, "--template", template)
    assert (code, out) == (2, "")
    assert err.startswith("cropper: the template")
    assert err.count("\n") == 1


@pytest.mark.parametrize("format", ["1001", "999999999", "99999999999", ".1001", "9" * 5000, "c", "<" * 3])
def test_a_format_that_is_too_wide_or_odd_is_wrong_usage(cropper: Command, photos: Path, format: str) -> None:
    code, out, err = cropper("boxes", photos, "--template", f"{{kept:{format}}}")
    assert (code, out) == (2, "")
    assert err.startswith("cropper: the template has a field that cannot be filled in")
    assert "; the fields are path, status," in err
    assert err.count("\n") == 1


def test_a_format_of_a_thousand_characters_is_filled_in(cropper: Command, photos: Path) -> None:
    code, out, err = cropper("boxes", photos / "0.jpg", "--template", "{x:>1000}|{path!r:*^20.3}|{width:_d}")
    assert (code, err) == (0, "")
    assert re.fullmatch(r" {900,}\d+\|\*{8}'/.\*{9}\|\d+\n", out)


def test_a_template_of_json_is_told_to_double_its_braces(cropper: Command, photos: Path) -> None:
    err = cropper("boxes", photos / "0.jpg", "--template", '{"path": "{path}"}')[2]
    assert "write {{ and }} for braces of your own" in err
    out = cropper("boxes", photos / "0.jpg", "--template", '{{"path": "{path}"}}')[1]
    assert json.loads(out) == {"path": str(photos / "0.jpg")}


def test_a_template_has_the_numbers_of_the_web(cropper: Command, tmp_path: Path, make_photo: MakePhoto) -> None:
    make_photo(tmp_path / "a.png", 200, 100)
    text = "{left} {top} {right:.2f} {bottom:.0%} {object_position} {iiif_region}"
    given = ["--aspect", "1:1", "--focus", tmp_path / "f.csv", "--template"]
    (tmp_path / "f.csv").write_text(f"path,x,y,width,height\n{tmp_path / 'a.png'},25,0,100,100\n")
    assert cropper("boxes", tmp_path / "a.png", *given, text) == (0, "0.125 0.0 0.62 100% 25% 50% pct:12.5,0,50,100\n", "")
    assert cropper("boxes", tmp_path / "a.png", *given, "{focus_left:.1%} {focus_top:.1%}") == (0, "37.8% 50.5%\n", "")


@pytest.mark.parametrize(
    "options",
    [
        ("--size", "64x64"),
        ("--size", "400x300"),
        ("--aspect", "3:1"),
        ("--size", "64x64", "--min-kept", "1", "--otherwise", "pad"),
        ("--aspect", "1:3", "--min-kept", "1", "--otherwise", "pad"),
        ("--size", "64x64", "--min-kept", "1", "--otherwise", "keep"),
        ("--size", "64x64", "--min-kept", "1", "--otherwise", "center"),
    ],
)
def test_a_template_says_the_size_of_the_thumbnail_that_a_batch_makes(
    cropper: Command, tmp_path: Path, make_photo: MakePhoto, options: tuple[str, ...]
) -> None:
    make_photo(tmp_path / "photos" / "a.png", 200, 100)
    code, printed, _ = cropper("boxes", "photos", *options, "--template", "{output_width} {output_height}")
    assert (code, cropper("batch", "photos", "out", *options)[0]) == (0, 0)
    height, width, _ = imread(str(tmp_path / "out" / "a.png")).shape
    assert printed == f"{width} {height}\n"


def test_a_value_that_is_not_known_is_empty_in_a_template() -> None:
    row = failed_row("a.jpg", "1:1", "")
    assert template("{path} {kept:.2f}|{heads_cut:d}|", one_line=True)(replace(row, status="ok")) == "a.jpg ||"


@posix_only
@pytest.mark.parametrize("name", ["a\nphotos/b.jpg", "a\rb.jpg"])
def test_a_name_with_a_line_break_is_printed_with_nul_alone(cropper: Command, photos: Path, tmp_path: Path, name: str) -> None:
    odd = photos / name
    odd.parent.mkdir(exist_ok=True)
    shutil.copy(photos / "0.jpg", odd)
    shapes = ["--size", "64x36", "--aspect", "1:1"]
    code, out, err = cropper("boxes", odd, photos / "1.jpg", *shapes, "--template", "{path}")
    assert (code, out) == (1, f"{photos}/1.jpg\n" * 2)
    assert err.startswith(f"cropper: {printable(odd)}: the line would break within {{path}}; use --print0")
    assert err.count("\n") == 1
    arguments = ["--aspect", "1:1", "--print0"]
    assert cropper("boxes", odd, photos / "1.jpg", *arguments, "--template", "{path}") == (0, f"{odd}\0{photos}/1.jpg\0", "")
    assert cropper("boxes", odd, *arguments, "--template", "{size}") == (0, "1:1\0", "")
    assert cropper("boxes", odd, "--aspect", "1:1", "--template", "{size}") == (0, "1:1\n", "")
    assert [json.loads(line)["path"] for line in cropper("boxes", odd, *arguments)[1].split("\0")[:-1]] == [str(odd)]
    header, row, end = cropper("boxes", odd, *arguments, "--format", "csv")[1].split("\0")
    assert (header.startswith("path,"), row.startswith(f'"{odd}",'), end) == (True, True, "")


def test_boxes_of_nothing_are_wrong_usage(cropper: Command) -> None:
    code, out, err = cropper("boxes")
    assert (code, out) == (2, "")
    assert "stdin" in err


@posix_only
def test_boxes_of_paths_from_a_pipe_leave_before_it_ends(photos: Path, cropper_process: StartProcess) -> None:
    odd = photos / "new\nline \udcff.jpg"
    shutil.copy(photos / "0.jpg", odd)
    with cropper_process("boxes", "-0", "-", "--template", "{path!r} {width}", stdin=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for path in (photos / "1.jpg", odd):
            process.stdin.write(os.fsencode(path) + b"\0")
            process.stdin.flush()
            assert process.stdout.readline().startswith(os.fsencode(repr(str(path))) + b" ")
        process.stdin.close()
        assert process.wait(30) == 0


@posix_only
def test_boxes_end_quietly_when_nobody_reads_on(photos: Path, cropper_process: StartProcess) -> None:
    with cropper_process("boxes", "--template", "{path}", *[photos] * 40) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


def test_several_candidates_have_a_line_each(cropper: Command, samples: Path) -> None:
    code, out, _ = cropper("boxes", samples / "trips", "--aspect", "1:2", "--candidates", "3")
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    spice = [line for line in lines if line["path"].endswith("spice_market.jpg")]
    assert len(spice) == 3
    assert len({line["x"] for line in spice}) == 3
    assert spice[0]["kept"] == max(line["kept"] for line in spice)


def test_the_users_word_is_in_the_decisions_too(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "focus.csv").write_text("path,x,y\nin/1.jpg,40,30\n")
    code, out, _ = cropper("boxes", "in", "--aspect", "1:1", "--focus", "focus.csv")
    assert code == 0
    lines = {line["path"]: line for line in map(json.loads, out.splitlines())}
    assert (lines["in/1.jpg"]["x"], lines["in/1.jpg"]["message"]) == (8, "focus given")
    assert not lines["in/0.jpg"]["message"]


def test_a_focus_file_in_the_folder_is_taken_and_said(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (photos / ".focus.csv").write_text("path,x,y\n1.jpg,40,30\nnone.jpg,1,1\nother.jpg,1,1\n")
    code, _, err = cropper("batch", "in", "out", "--aspect", "1:1")
    assert code == 0
    taken, strangers, summary = err.splitlines()
    assert taken == "cropper: in/.focus.csv: used as --focus"
    assert strangers == ("cropper: in/.focus.csv: IN has no photo none.jpg and 1 more; write paths as in boxes.csv")
    assert "; 1 crop by hand; 1 other file" in summary
    code, _, err = cropper("batch", "in", "out", "--aspect", "1:1", "--focus", "in/.focus.csv", "--quiet")
    assert (code, len(err.splitlines())) == (0, 1)


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
@pytest.mark.parametrize("content", ["path,x,y\n1.jpg,forty,30\n", "no table", None])
def test_a_broken_focus_file_in_the_folder_is_said_and_left_out(
    cropper: Command, photos: Path, content: str | None, quiet: tuple[str, ...]
) -> None:
    if content is None:
        (photos / ".focus.csv").mkdir()
    else:
        (photos / ".focus.csv").write_text(content)
    code, _, err = cropper("batch", "in", "out", "--aspect", "1:1", *quiet)
    assert code == 0
    assert err.startswith("cropper: in/.focus.csv: ")
    assert err.splitlines()[0].endswith("; the file is left out")
    assert len(err.splitlines()) == (1 if quiet else 2)
    assert paths_in(Path("out/boxes.csv")) == ["0.jpg", "1.jpg", "2.jpg"]
    if content is not None:  # the one that the user names is wrong usage
        assert cropper("batch", "in", "out", "--aspect", "1:1", "--focus", "in/.focus.csv")[0] == 2


@posix_only
def test_a_focus_file_that_is_a_link_out_of_the_folder_is_not_read(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("path,x,y\n1.jpg,secret,30\n")
    (photos / ".focus.csv").symlink_to(tmp_path / "secret")
    code, _, err = cropper("batch", "in", "out", "--aspect", "1:1")
    assert code == 0
    said, _ = err.splitlines()
    assert said == "cropper: in/.focus.csv: it is a link that leads out of the folder; the file is left out"
    (photos / ".mine").write_text("path,x,y\n1.jpg,40,30\n")
    (photos / ".focus.csv").unlink()
    (photos / ".focus.csv").symlink_to(".mine")
    assert "; 1 crop by hand; " in cropper("batch", "in", "out", "--aspect", "1:1")[2]


def test_no_focus_file_is_taken_if_the_user_wants_none(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (photos / ".focus.csv").write_text("path,x,y\n1.jpg,40,30\n")
    code, _, err = cropper("batch", "in", "out", "--aspect", "1:1", "--focus", "none")
    assert (code, len(err.splitlines())) == (0, 1)
    assert "as given" not in err
    assert cropper("boxes", "in/1.jpg", "--focus", "none")[0] == 0
    (tmp_path / "none").write_text("path,x,y\n1.jpg,40,30\n")
    assert "; 1 crop by hand; " in cropper("batch", "in", "out", "--aspect", "1:1", "--focus", "./none")[2]


def test_outs_inside_in_are_left_out_and_said_once(cropper: Command, photos: Path) -> None:
    said = "cropper: in/a small: left out, since it holds what 'cropper batch' made"
    assert cropper("batch", "in", "in/a small", "--size", "32x18")[2].startswith("cropper: 3 photos: 3 done")
    first, summary = cropper("batch", "in", "in/b", "--aspect", "1:1", "--aspect", "2:1")[2].splitlines()
    assert first == said
    assert summary.startswith("cropper: 3 photos: 3 done")
    for _ in range(2):
        first, summary = cropper("batch", "in", "in/c", "--aspect", "1:1")[2].splitlines()
        assert first == f"{said}, and so is 1 more such folder"
        assert summary.startswith("cropper: 3 photos: ")
    code, out, err = cropper("boxes", "in")
    assert (code, len(out.splitlines())) == (0, 3)
    assert err == f"{said}, and so are 2 more such folders\n"
    assert cropper("batch", "in", "in/c", "--aspect", "1:1", "--quiet") == (0, "", "")
    # Thumbnails of thumbnails, for who asks for them.
    assert "3 photos: 3 done" in cropper("batch", "in/a small", "smaller", "--size", "16x9")[2]


def test_pictures_of_other_commands_are_no_photos(cropper: Command, photos: Path, tmp_path: Path) -> None:
    cropper("batch", "in", "out", "--size", "32x18")
    for command in (("show", "in/1.jpg", "-o", "in/1.saliency.png"), ("sheet", "out", "-o", "in/sheet.jpg"), ("review", "out")):
        assert cropper(*command)[0] == 0
    (tmp_path / "out" / "review_files").rename(photos / "review_files")
    said = cropper("batch", "in", "out", "--size", "32x18")[2]
    assert said.startswith("cropper: 3 photos: 0 done, 3 unchanged, 0 failed; 15 other files ignored; ")


def test_folders_alike_have_an_output_each(cropper: Command, make_photo: MakePhoto, tmp_path: Path) -> None:
    for seed, name in enumerate(["Trip/a.jpg", "trip/a.jpg", "trip/in/b.jpg", "album.png/c.jpg", "boxes.csv/d.jpg"]):
        make_photo(tmp_path / "in" / name, seed=seed)
    Image.new("RGB", (64, 64), "red").save(tmp_path / "in" / "album.gif")
    if (tmp_path / "in" / "TRIP").exists():
        pytest.skip("this file system ignores case")
    for _ in range(2):
        assert cropper("batch", "in", "out", "--aspect", "1:1")[0] == 0
        files = (file.relative_to("out") for file in Path("out").rglob("*.*") if file.is_file())
        made = {file.as_posix() for file in files if file.parts[0] != ".cropper"}
        folders = {"Trip/a.jpg", "album.png/c.jpg", "boxes.csv~2/d.jpg", "trip~2/a.jpg", "trip~2/in/b.jpg"}
        assert made == {"album.gif.png", "boxes.csv", *folders}


@posix_only
@pytest.mark.parametrize("becomes", ["link", "pipe"])
def test_what_a_photo_becomes_after_the_batch_is_not_looked_at(
    cropper: Command, photos: Path, make_photo: MakePhoto, tmp_path: Path, becomes: str
) -> None:
    assert cropper("batch", "in", "out", "--aspect", "1:1")[0] == 0
    for folder, name in (("in", "0.jpg"), ("out", "1.jpg")):
        (tmp_path / folder / name).unlink()
        if becomes == "pipe":
            os.mkfifo(tmp_path / folder / name)
        else:
            (tmp_path / folder / name).symlink_to(make_photo(tmp_path / "private" / name, seed=9))
    why = "a link that leads out of the folder" if becomes == "link" else "not a regular file but a pipe"
    code, _, err = cropper("review", "out")
    assert code == 1
    assert f"in/0.jpg: it is {why}" in err
    assert len(list(Path("out/review_files").glob("*.preview.jpg"))) == 2
    assert cropper("sheet", "out", "-o", "sheet.png")[0] == 0
    assert why in cropper("boxes", "in/0.jpg")[2] or becomes == "link"  # who names a link means it
    for command in (("crop", "in/0.jpg", "-o", "t.jpg"), ("show", "in/0.jpg")):
        code, _, err = cropper(*command)
        assert (code, why in err) == ((1, True) if becomes == "pipe" else (0, False))


def test_the_summary_counts_what_has_no_good_crop(cropper: Command, samples: Path) -> None:
    arguments = ["batch", samples / "trips", "out", "--size", "64x64", "--otherwise", "pad", "--pad-with", "navy"]
    code, _, err = cropper(*arguments)
    assert code == 0
    assert re.search("; where no crop is good: [1-6] padded; ", err)
    corner = imread("out/skyline_panorama.jpg")[2, 2]
    assert np.abs(corner.astype(int) - (128, 0, 0)).max() < 12


def test_a_crop_that_would_be_skipped_is_no_thumbnail(cropper: Command, samples: Path) -> None:
    code, out, err = cropper(
        "crop", samples / "trips/skyline_panorama.jpg", "-o", "t.jpg", "--min-kept", "0.9", "--otherwise", "skip"
    )
    assert (code, out) == (1, "")
    assert "no crop keeps 0.9" in err
    assert not Path("t.jpg").exists()


def test_a_crop_is_the_batchs_thumbnail_to_a_byte(cropper: Command, photos: Path, tmp_path: Path) -> None:
    cropper("batch", photos, "out", "--size", "64x36", "--format", "webp")
    assert cropper("crop", photos / "1.jpg", "--size", "64x36", "-o", "one.webp") == (0, "", "")
    assert (tmp_path / "one.webp").read_bytes() == (tmp_path / "out" / "1.webp").read_bytes()


@posix_only
def test_a_crop_goes_through_a_pipe_in_the_photos_format(photos: Path, tmp_path: Path, cropper_process: StartProcess) -> None:
    made = {}
    for name in ("0.jpg", "0.png"):
        cv2.imwrite(str(photos / name), imread(str(photos / "0.jpg")))
        with (photos / name).open("rb") as file, cropper_process("crop", "-", "--size", "40x40", stdin=file) as process:
            made[name], said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, b"")
    assert made["0.jpg"].startswith(b"\xff\xd8")
    assert made["0.png"].startswith(b"\x89PNG")
    assert imdecode(made["0.png"]).shape == (40, 40, 3)


@posix_only
def test_what_is_no_photo_gives_no_thumbnail(cropper_process: StartProcess) -> None:
    with cropper_process("crop", "-", stdin=subprocess.PIPE) as process:
        out, err = process.communicate(b"no photo", timeout=60)
    assert (process.returncode, out) == (1, b"")
    assert err.startswith(b"cropper: stdin: the content is not an image")
    assert err.count(b"\n") == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["in/0.jpg", "-o", "in/0.jpg"], "overwrite"),
        (["in/0.jpg", "-o", "a.tiff"], "what kind"),
        (["in/0.jpg", "--size", "9x9", "--aspect", "1:1", "-o", "a.jpg"], "several"),
        (["in/0.jpg", "-o", "in/0.jpg/a.jpg"], "cannot be written"),
    ],
)
def test_a_crop_that_makes_no_sense_writes_nothing(
    cropper: Command, photos: Path, tmp_path: Path, arguments: list[str], why: str
) -> None:
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    code, out, err = cropper("crop", *arguments)
    assert (code, out) == (2, "")
    assert why in err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()} == before


@pytest.mark.parametrize("margin", ["0.5", "-0.1", "nan", "wide"])
def test_a_margin_that_leaves_no_subject_is_refused(cropper: Command, samples: Path, margin: str) -> None:
    code, _, err = cropper("boxes", samples / "cat.jpg", "--zoom", "auto", "--margin", margin)
    assert code == 2
    assert f"'{margin}' is not a number from 0 to 0.45" in err


def test_heads_are_whole_by_default_with_sunglasses_too(cropper: Command, samples: Path, tmp_path: Path) -> None:
    """The model's head mask and the order of what matters, together: 16:9 is the shape that cuts portraits."""
    astronaut = imread(str(samples / "astronaut.jpg"))
    glasses = astronaut.copy()
    for x in (205, 252):
        cv2.ellipse(glasses, (x, 118), (22, 15), 0, 0, 360, (10, 10, 10), -1)
    cv2.line(glasses, (180, 115), (275, 115), (10, 10, 10), 5)
    # The head from its hair to its chin, in rows of 512.
    for name, photo, top, bottom in (
        ("plain", astronaut, 20, 175),
        ("glasses", glasses, 20, 175),
        # Upside down, the model sees less of the hair.
        ("upside down", astronaut[::-1], 337, 440),
    ):
        cv2.imwrite(str(tmp_path / "photo.png"), photo)
        code, out, _ = cropper("boxes", tmp_path / "photo.png", "--aspect", "16:9", "--template", "{y} {height} {heads_cut}")
        y, height, heads_cut = map(int, out.split())
        assert (code, heads_cut) == (0, 0), name
        assert y <= top, name
        assert y + height >= bottom, name
    code, out, _ = cropper("boxes", samples / "dogs.jpg", "--aspect", "16:9", "--template", "{y} {height}")
    y, height = map(int, out.split())
    # From the upper dog's hair to the lower dog's chin, in rows of 1300.
    assert y <= 330
    assert y + height >= 780
