"""Runs whose disk is full, whose files are too many, whose folders go away: one clear message, and on from there afterwards."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures import Command, Limited, MakePhoto, photos_in_two_folders
from PIL import Image
from running import run_batch

from cropper import CropperError, OutputError, PhotoError, UsageError
from cropper.engine.job import Done
from cropper.errors import raise_if_for_all
from cropper.ledger.table import read_rows
from cropper.settings import Settings, Target

resource = pytest.importorskip("resource", reason="limits are others there")
SIZE = Target((64, 36), (64, 36))
MANY = 24
pytestmark = pytest.mark.usefixtures("plain_rule")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="a run has a supervisor on Linux only")


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    return photos_in_two_folders(tmp_path / "in", make_photo, MANY, ("a", "b"))


@pytest.fixture
def limited() -> Iterator[Limited]:
    """Set one of the process's limits; it is as before afterwards."""
    before = {}

    def limit(what: int, to: int) -> None:
        before[what] = resource.getrlimit(what)
        resource.setrlimit(what, (to, before[what][1]))

    def lift() -> None:
        for what, limits in before.items():
            resource.setrlimit(what, limits)

    yield Limited(limit, lift)
    lift()


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "state.db"]
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_size) for path in found}


def process(source: Path, out: Path) -> list[Done]:
    return list(run_batch(source, out, Settings((SIZE,)), 2))


def goes_on_from(photos: Path, out: Path, before: dict[str, tuple[bytes, int]]) -> None:
    """The sources are as they were, nothing is half made, and the next run ends as an undisturbed one."""
    assert tree(photos) == before
    assert not list(out.rglob("*.part"))
    undisturbed = out.with_name("undisturbed")
    process(photos, undisturbed)
    whole = tree(undisturbed)
    assert all(path.read_bytes() == whole[str(path.relative_to(out))][0] for path in out.rglob("*.jpg"))
    assert all(done.error is None for done in process(photos, out))
    assert tree(out) == whole


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of 81 megapixels, which takes as long to write as a run over it."""
    path = tmp_path_factory.mktemp("large") / "large.png"
    Image.new("RGB", (9000, 9000)).save(path, compress_level=1)
    return path


@linux_only
@pytest.mark.parametrize("megabytes", [300, 400, 500, 650])
def test_a_run_with_little_memory_ends_or_fails_photos_in_one_line_each(tmp_path: Path, large: Path, megabytes: int) -> None:
    """Libraries, the model, threads and photos that memory has no room for: no traceback, and no run that dies three times."""
    (tmp_path / "in").mkdir()
    os.link(large, tmp_path / "in" / "large.png")
    Image.new("RGB", (90, 60)).save(tmp_path / "in" / "small.jpg")
    # By a shell: a process's own limits would hold for pytest too.
    command = f"ulimit -v {megabytes * 1000}; '{sys.executable}' -m cropper batch in out --size 64x36 --jobs 8"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    ran = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=120)
    lines = ran.stderr.splitlines()
    assert ran.returncode in (1, 2), ran.stderr
    assert all(line.startswith("cropper: ") for line in lines), ran.stderr
    assert "memory" in lines[0], ran.stderr
    assert "died" not in ran.stderr, ran.stderr
    if megabytes == 650:  # the run itself needs some 430 MB
        assert lines[0] == (
            "cropper: in/large.png: there is not enough memory for it (about 487 MB); run again with more memory or fewer --jobs"
        )
        assert "1 done" in lines[-1]
    elif ran.returncode == 2:
        assert len(lines) == 1, ran.stderr


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs to mount a disk")
@pytest.mark.parametrize("kilobytes", [16, 32, 64])
def test_a_full_disk_ends_a_run_with_one_message(photos: Path, tmp_path: Path, kilobytes: int) -> None:
    before = tree(photos)
    out = tmp_path / "out"
    out.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", out], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs to mount a disk")
    try:
        with pytest.raises(OutputError, match=r"No space left on device.*; free some disk space and run again"):
            process(photos, out)
        with pytest.raises(OutputError, match="free some disk space"):
            process(photos, out)
        subprocess.run(["mount", "-o", "remount,size=50m", out], check=True)
        goes_on_from(photos, out, before)
    finally:
        subprocess.run(["umount", out], check=True)


@pytest.mark.parametrize("bytes", [100, 600, 1200])
def test_files_that_may_not_grow_end_a_run_with_one_message(photos: Path, tmp_path: Path, limited: Limited, bytes: int) -> None:
    before = tree(photos)
    limited(resource.RLIMIT_FSIZE, bytes)
    with pytest.raises(OutputError, match="File too large"):
        process(photos, tmp_path / "out")
    limited.lift()
    goes_on_from(photos, tmp_path / "out", before)


def test_too_many_open_files_end_a_run_with_one_message(photos: Path, tmp_path: Path, limited: Limited) -> None:
    before = tree(photos)
    here = run_batch(photos, tmp_path / "out", Settings((SIZE,)), 2)
    next(here)
    limited(resource.RLIMIT_NOFILE, 3)
    with pytest.raises(CropperError, match=r"[Tt]oo many .*open.*raise the limit on open files \(ulimit -n\)"):
        list(here)
    limited.lift()
    here.close()
    goes_on_from(photos, tmp_path / "out", before)


def test_a_folder_that_takes_no_files_ends_a_run_before_it_begins(photos: Path, tmp_path: Path) -> None:
    """As root permissions bind nobody, so that this has to be another user's or a disk without writing."""
    before = tree(photos)
    out = tmp_path / "out"
    out.mkdir()
    if os.geteuid() == 0:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", out], capture_output=True).returncode:
            pytest.skip("permissions do not bind root")
    else:
        out.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="the output cannot be written"):
            process(photos, out)
        assert os.listdir(out) == []
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", out], check=True)
        else:
            out.chmod(0o700)
    goes_on_from(photos, out, before)


@pytest.mark.parametrize("is_kept", [True, False], ids=["moved", "removed"])
def test_an_out_that_goes_away_ends_a_run_with_one_message(photos: Path, tmp_path: Path, is_kept: bool) -> None:
    before = tree(photos)
    here = run_batch(photos, tmp_path / "out", Settings((SIZE,)), 1)
    next(here)
    (tmp_path / "out").rename(tmp_path / "elsewhere")  # at once, where a worker may be writing
    if not is_kept:
        shutil.rmtree(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="was removed or moved while the run went on; run again"):
        list(here)
    goes_on_from(photos, tmp_path / "out", before)


def test_an_in_that_goes_away_ends_a_run_and_is_not_struck_from_the_ledger(photos: Path, tmp_path: Path) -> None:
    process(photos, tmp_path / "out")
    for path in photos.rglob("*.jpg"):  # each is to be made anew
        os.utime(path, ns=(0, 10**18))
    here = run_batch(photos, tmp_path / "out", Settings((SIZE,)), 1)
    next(here)
    photos.rename(tmp_path / "gone")
    with pytest.raises(UsageError, match="the folder is gone; when it is back, run again"):
        list(here)
    assert len(list(read_rows(tmp_path / "out/boxes.csv"))) == MANY
    (tmp_path / "gone").rename(photos)
    goes_on_from(photos, tmp_path / "out", tree(photos))


def test_one_folder_that_takes_no_thumbnails_costs_no_other_its_own(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").write_bytes(b"somebody's")
    done = process(photos, tmp_path / "out")
    assert [d.error is not None for d in done if d.rows] == [True] * (MANY // 2) + [False] * (MANY // 2)


# What a killed run leaves -----------------------------------------------------------------------------------------------------


def test_temporaries_of_a_killed_run_go_and_nothing_else_does(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process(photos, out)
    ours = [out / ".cropper-3.part", out / "a/.cropper-17.part", out / "no more/.cropper-0.part"]
    others = [
        out / ".cropper-x.part",
        out / "a/cropper-1.part",
        out / "a/.cropper-1.partial",
        out / "b/.cropper-5.part/photo.jpg",
    ]
    others += [tmp_path / "beside/.cropper-1.part", out / "another/.cropper/lock", out / "another/.cropper-1.part"]
    for file in (*ours, *others):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"1")
    (out / "link").symlink_to(tmp_path / "beside")
    (out / ".cropper-9.part").symlink_to(tmp_path / "beside/.cropper-1.part")
    process(photos, out)
    assert all(file.exists() for file in ours)  # the last run ended well, so that none is looked for
    (out / ".cropper/lock").write_bytes(b"1234\n")
    process(photos, out)
    assert not any(file.exists() for file in ours)
    assert all(file.exists() for file in (*others, out / ".cropper-9.part"))


def test_an_empty_thumbnail_is_made_again(photos: Path, tmp_path: Path) -> None:
    """A power failure leaves it so, named and stamped, where nothing of it had come to the disk."""
    process(photos, tmp_path / "out")
    thumbnail = tmp_path / "out/a/00.jpg"
    whole, times = thumbnail.read_bytes(), thumbnail.stat()
    thumbnail.write_bytes(b"")
    os.utime(thumbnail, ns=(times.st_atime_ns, times.st_mtime_ns))
    process(photos, tmp_path / "out")
    assert thumbnail.read_bytes() == whole


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forks")
@pytest.mark.parametrize("options", [(), pytest.param(("--supervised",), marks=linux_only)], ids=["alone", "supervised"])
def test_runs_killed_at_random_points_end_as_undisturbed_ones(tmp_path: Path, options: tuple[str, ...]) -> None:
    """The short form of what tests/stress/killed.py does."""
    harness = Path(__file__).parents[1] / "stress/killed.py"
    command: list[str | Path] = [sys.executable, harness, "--kills", "5", "--photos", "12", *options]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("5 killed")


# Interrupts -------------------------------------------------------------------------------------------------------------------

SLOW = """
import sys, time
from cropper.imaging import decode as module
decode = module.decode
def slow(data, *arguments):
    pixels = decode(data, *arguments)
    if len(data) > 30_000:
        print("slow", flush=True)
        time.sleep(60)
    return pixels
module.decode = slow
from cropper.cli import main
main(["batch", "in", "out", "-j", "2"])
"""


@pytest.fixture
def slow(photos: Path, make_photo: MakePhoto, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that has come to a photo which takes a minute to decode."""
    make_photo(photos / "a/99.jpg", 900, 600)
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW],
        cwd=tmp_path,
        stdout=-1,
        stderr=-1,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout
    assert process.stdout.readline() == b"slow\n"
    while not (tmp_path / "out/b").exists():
        time.sleep(0.02)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_does_not_wait_for_a_slow_photo(
    slow: subprocess.Popen[bytes], photos: Path, cropper: Command, tmp_path: Path, name: str
) -> None:
    begun = time.monotonic()
    slow.send_signal(getattr(signal, name))
    err = slow.communicate(timeout=30)[1].decode()
    assert time.monotonic() - begun < 10  # under 1 s where there is a core for it
    assert slow.returncode == 130
    assert "interrupted; finished photos are on disk; run the same command to continue" in err
    kept = {row.output for row in read_rows(tmp_path / "out/boxes.csv")}
    assert {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.jpg")} == kept
    code, _, err = cropper("batch", "in", "out")
    assert code == 0
    assert f"{len(kept)} unchanged, 0 failed" in err


def test_a_second_interrupt_ends_at_once(slow: subprocess.Popen[bytes], cropper: Command, tmp_path: Path) -> None:
    slow.send_signal(signal.SIGINT)
    time.sleep(0.2)
    begun = time.monotonic()
    slow.send_signal(signal.SIGINT)
    err = slow.communicate(timeout=30)[1].decode()
    assert time.monotonic() - begun < 5
    assert slow.returncode == 130
    assert "run the same command to continue" in err
    assert cropper("batch", "in", "out")[0] == 0


# One photo -------------------------------------------------------------------------------------------------------------------


def test_what_one_photo_does_is_not_for_all() -> None:
    for error in (PhotoError("it broke"), OSError(errno.ENOENT, "gone"), ValueError("odd")):
        outputs_error = OutputError("the thumbnail cannot be written")
        outputs_error.__cause__ = error
        for one in (error, outputs_error):
            raise_if_for_all(one)
