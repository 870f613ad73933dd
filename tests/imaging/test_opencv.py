"""OpenCV that cannot be loaded, and libraries that talk too much. Both concern a whole process, so each test has its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MISSING_LIBGL = 'raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")\n'


def python(code: str, first_on_path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONUTF8": "1"}
    if first_on_path is not None:
        environment["PYTHONPATH"] = str(first_on_path)
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, encoding="utf-8", check=False)


@pytest.fixture
def without_libgl(tmp_path: Path) -> Path:
    (tmp_path / "cv2.py").write_text(MISSING_LIBGL)
    return tmp_path


def test_missing_libgl_is_said_with_both_remedies(without_libgl: Path) -> None:
    done = python("from cropper.cli import main; main(['batch', '.', 'out'])", without_libgl)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "libGL.so.1" in done.stderr
    assert "apt install libgl1" in done.stderr
    assert "pip install opencv-python-headless" in done.stderr


def test_help_needs_no_opencv(without_libgl: Path) -> None:
    done = python("import cropper; from cropper.cli import main; main(['--help'])", without_libgl)
    assert done.returncode == 0
    assert "batch" in done.stdout


# A PNG cut off, on which OpenCV prints, photos with a damaged middle, on which libpng and libjpeg do, and a warning of Pillow's.
NOISE = """
import io, sys, warnings
import numpy as np
from PIL import Image
from cropper.imaging.opencv import cv2, libraries_muted

def make_noise():
    for format in ("PNG", "JPEG"):
        stream = io.BytesIO()
        Image.effect_noise((64, 64), 80).convert("RGB").save(stream, format)
        whole = stream.getvalue()
        middle = len(whole) // 2
        for data in (whole[:middle], whole[:middle] + bytes(40) + whole[middle + 40 :]):
            cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    warnings.warn_explicit("PILLOW", UserWarning, "x.py", 1, module="PIL.TiffImagePlugin")

"""


def test_libraries_do_talk() -> None:
    """Or the next test could not fail."""
    said = python(NOISE + "make_noise()").stderr
    assert "libpng" in said
    assert "Corrupt JPEG data" in said
    assert "[ERROR" in said or "[ WARN" in said
    assert "PILLOW" in said


def test_muted_libraries_say_nothing_and_we_still_do() -> None:
    code = """
print("before", file=sys.stderr)
with libraries_muted():
    make_noise()
    print("während", file=sys.stderr)
    warnings.warn("a warning of someone else's")
print("after", file=sys.stderr)
"""
    said = python(NOISE + code).stderr
    lines = [line for line in said.splitlines() if "warn" not in line]
    assert lines == ["before", "während", "after"]
    assert "a warning of someone else's" in said


def test_libraries_may_talk_again_afterwards_even_after_an_error() -> None:
    code = """
try:
    with libraries_muted():
        raise KeyboardInterrupt
except KeyboardInterrupt:
    make_noise()
"""
    assert "libpng" in python(NOISE + code).stderr


def test_muting_does_without_a_stderr() -> None:
    done = python(NOISE + "sys.stderr = None\nwith libraries_muted(): print('fine')")
    assert done.stdout == "fine\n"


def test_muting_leaves_a_stand_in_for_stderr_alone() -> None:
    code = """
sys.stderr = io.StringIO()
with libraries_muted():
    print("heard", file=sys.stderr)
print(sys.stderr.getvalue())
"""
    assert python(NOISE + code).stdout.strip() == "heard"
