"""Import onnxruntime with its telemetry switched off. Import ``onnxruntime`` from here.

Since version 1.29, onnxruntime reports models and hardware to a Microsoft server and keeps an identifier in your home folder,
unless telemetry is off before it loads: https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md. A program that
loaded onnxruntime before cropper keeps its own choice.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

_is_ours = "onnxruntime" not in sys.modules
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


@contextmanager
def _silent() -> Iterator[None]:
    """Discard what is printed on file descriptor 2. It belongs to the whole process."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


# Where memory ends while it loads, it prints "Schema error: std::bad_alloc", over and over. A program that uses cropper as a
# library may write to its stderr meanwhile, so there it prints.
with _silent() if "cropper.cli" in sys.modules else nullcontext():
    import onnxruntime

if _is_ours:
    onnxruntime.disable_telemetry_events()  # Windows ignores the environment variable

__all__ = ["onnxruntime"]
