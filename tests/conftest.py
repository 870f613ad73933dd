"""What tests of several rooms share: photos made on the spot, the real ones, and the command as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

# The tests start a few hundred processes: none compiles the package again, or starts threads that it does not need.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2
import numpy as np
import pytest
from fixtures import Command, Ended, MakePhoto, StartProcess
from forked import CAN_FORK, Forked
from hypothesis import settings
from plain import Plain

from cropper.cli import main
from cropper.engine import batch
from cropper.model import loading
from cropper.model.device import load_session
from cropper.model.saliency import BUNDLED_MODEL
from cropper.settings import CPU

# No pool of threads: a fork has none of its threads, and the processes that run tests have no core to spare.
cv2.setNumThreads(1)
# A busy machine is no failure. Each run tries other examples, so half of Hypothesis's own number are enough for one; who changes
# what a property is about tries many: `pytest --hypothesis-profile thorough`.
settings.register_profile("unhurried", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("unhurried")

SAMPLES = Path(__file__).parent.parent / "sample_images"
# A process that is started says all to the test.
STREAMS = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
# They take seconds each. They begin first, so that no process is left alone with one of them at the end.
SLOW_FILES = (
    "test_steps.py",
    "test_cluster.py",
    "test_filesystems.py",
    "test_bucket.py",
    "test_hostile.py",
    "test_trouble.py",
    "test_pages.py",
    "test_cli.py",
    "test_review_page.py",
    "test_review_editor.py",
    "test_good_marks.py",
    "test_batch.py",
    "test_photo.py",
    "test_supervisor.py",
    "test_colour.py",
    "test_faults.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Hand files to the processes in their order, not those of the most tests first."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(SLOW_FILES)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(scope="session", autouse=True)
def _models_loaded_once() -> Iterator[None]:
    """Load the models of the package once in each process that runs tests; a session may be shared."""
    loaded: dict[Path, Any] = {}

    def load_once(model: Path, options: Any, device: str) -> Any:
        if device != CPU or model != BUNDLED_MODEL:
            return load_session(model, options, device)
        if model not in loaded:
            loaded[model] = load_session(model, options, device)
        return loaded[model]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cropper.model.saliency.load_session", load_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _packages_listed_once() -> Iterator[None]:
    """List the installed packages once: `cropper formats` reads the record of each, and a test installs none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cropper.installation.packages_distributions", cache(packages_distributions))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Let a run that syncs its table go on at once: no test cuts the power, and a disk may take longer than all of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def samples() -> Path:
    """The folder of real photos."""
    return SAMPLES


@pytest.fixture
def plain_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain rule in the network's place, for runs that are about files."""
    for room in (batch, loading):
        monkeypatch.setattr(room, "Saliency", Plain)


@pytest.fixture
def make_photo() -> MakePhoto:
    """A function that writes a small photo of noise with one bright subject, no two seeds alike."""

    def make(path: Path, width: int = 96, height: int = 64, seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        pixels = rng.integers(60, 120, (height, width, 3), np.uint8)
        centre = int(rng.integers(0, width)), int(rng.integers(0, height))
        cv2.circle(pixels, centre, max(2, min(width, height) // 6), (30, 60, 250), cv2.FILLED)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
        return path

    return make


@pytest.fixture
def cropper(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command in this process, in the test's folder, without the developer's own options: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no config"))

    def run(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return ended.value.code, os.fsdecode(out), os.fsdecode(err)

    return run


@pytest.fixture
def cropper_program(tmp_path: Path) -> StartProcess:
    """A function that starts ``cropper`` by an interpreter of its own, in the test's folder: for what is about that start."""

    def start(
        *arguments: str | bytes | Path, environment: dict[str, str] | None = None, **streams: Any
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "cropper", *arguments]
        return subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **(environment or {})}, **{**STREAMS, **streams})

    return start


@pytest.fixture
def cropper_process(tmp_path: Path, cropper_program: StartProcess) -> StartProcess:
    """The same as a fork of this process, where the system can: it imports nothing, and has what the test has patched."""

    def start(
        *arguments: str | bytes | Path, environment: dict[str, str] | None = None, **streams: Any
    ) -> subprocess.Popen[bytes]:
        return Forked(arguments, cwd=tmp_path, env={**os.environ, **(environment or {})}, **{**STREAMS, **streams})

    return start if CAN_FORK else cropper_program
