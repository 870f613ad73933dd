"""onnxruntime, which tells its makers nothing. Import ``onnxruntime`` from here.

Since 1.29 it sends what it runs, and on what, to a server of Microsoft's, unless told not to before it loads; it keeps an
identifier and what is to be sent in the user's home: https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md. In a
program that has loaded it already, that program has decided.
"""

from __future__ import annotations

import os
import sys

_is_ours = "onnxruntime" not in sys.modules
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime  # noqa: E402

if _is_ours:
    onnxruntime.disable_telemetry_events()  # for Windows, which does not ask the environment

__all__ = ["onnxruntime"]
