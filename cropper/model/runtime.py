"""Import onnxruntime with its telemetry switched off. Import ``onnxruntime`` from here.

Since version 1.29, onnxruntime reports models and hardware to a Microsoft server and keeps an identifier in your home folder,
unless telemetry is off before it loads: https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md. A program that
loaded onnxruntime before cropper keeps its own choice.
"""

from __future__ import annotations

import os
import sys

_is_ours = "onnxruntime" not in sys.modules
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime  # noqa: E402

if _is_ours:
    onnxruntime.disable_telemetry_events()  # Windows ignores the environment variable

__all__ = ["onnxruntime"]
