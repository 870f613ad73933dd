"""What ``cropper bench`` says of the machine."""

from __future__ import annotations

import platform

import onnxruntime
import pytest

from cropper.engine.machine import machine, processor
from cropper.imaging.opencv import cv2

CORE = "processor\t: {}\nmodel name\t: Some CPU @ 2.00GHz\nflags\t\t: fpu sse2 {}\n\n"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("avx2", "without VNNI"),
        ("avx2 avx_vnni", "with AVX-VNNI"),
        ("avx512f avx512_vnni avx_vnni", "with AVX512-VNNI"),
        ("avx512_vnni_of_another_name", "without VNNI"),
    ],
)
def test_the_processor_has_its_name_and_its_instructions(flags: str, expected: str) -> None:
    assert processor(CORE.format(0, flags) + CORE.format(1, flags)) == f"Some CPU @ 2.00GHz {expected}"


@pytest.mark.parametrize("text", ["", "processor\t: 0\nFeatures\t: fp asimd\n"])
def test_without_a_name_it_is_what_python_knows(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert processor(text) == "aarch64"


def test_cores_and_libraries_are_named() -> None:
    libraries = f"onnxruntime {onnxruntime.__version__}, OpenCV {cv2.__version__}"
    assert machine(1).endswith(f", 1 core; {libraries}")
    assert machine(8).endswith(f", 8 cores; {libraries}")
