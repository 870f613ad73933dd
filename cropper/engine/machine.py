"""Say what machine a measurement is from: the processor, what it has for whole numbers, and the libraries that compute."""

from __future__ import annotations

import platform
from pathlib import Path

from cropper.imaging.opencv import cv2
from cropper.model.runtime import onnxruntime

_CPU_INFO = Path("/proc/cpuinfo")
# Instructions that multiply and add whole numbers of 8 bits, as Linux names them, the better first. The model's weights are such
# numbers, and without these instructions it takes longer.
_VNNI = {"avx512_vnni": "AVX512-VNNI", "avx_vnni": "AVX-VNNI"}


def machine(cores: int) -> str:
    """Return in one line what a measurement was taken with.

    Args:
        cores: how many cores this process may use.
    """
    try:
        text = _CPU_INFO.read_text("utf-8", "replace")
    except OSError:  # not Linux
        text = ""
    number = f"{cores} core" + ("s" if cores > 1 else "")
    return f"{processor(text)}, {number}; onnxruntime {onnxruntime.__version__}, OpenCV {cv2.__version__}"


def processor(text: str) -> str:
    """Return the name of the processor and its VNNI, where the text of ``/proc/cpuinfo`` has them, else what Python knows."""
    about: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        about.setdefault(key.strip(), value.strip())  # of the first core
    name = about.get("model name") or platform.processor() or platform.machine() or "unknown processor"
    if "flags" not in about:  # not one of Intel or AMD, or not Linux
        return name
    flags = about["flags"].split()
    found = next((title for flag, title in _VNNI.items() if flag in flags), None)
    return f"{name} with {found}" if found else f"{name} without VNNI"
