"""Photos that say what their decoder is to do: die, hang, sleep. For tests of what a run makes of that."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from pathlib import Path
from typing import Any

from plain import Plain

from cropper.engine import batch
from cropper.model import loading, look

# An interpreter of its own, for what has to be its own from the start. The many children have their libraries from the
# supervisor, which saves most of their time; it is kept from noticing that numpy is loaded. OpenBLAS must start no threads: see
# conftest.py.
DRIVER = """
import os, sys

import acting
from cropper.cli import main

acting.take_over()
numpy = sys.modules.pop("numpy")
os.register_at_fork(after_in_child=lambda: sys.modules.update(numpy=numpy))
main()
"""

_decode = look.decode_or_salvage  # type: ignore[attr-defined]


def _acted(data: bytes, *rest: Any) -> Any:
    """What the photo says, and then what decoding it gives."""
    what = data.rpartition(b"ACT:")[2].decode() if b"ACT:" in data else ""
    if what == "hang":
        open("hangs", "w").close()
        time.sleep(1000)
    elif what == "slow":
        open("slow", "w").close()
        time.sleep(0.5)
    elif what == "exit":
        os._exit(3)
    elif what == "once":
        if not os.path.exists("died"):
            open("died", "w").close()
            os.abort()
    elif what == "company":
        if threading.current_thread() is not threading.main_thread():
            os.abort()
    elif what == "SIGSEGV":
        ctypes.string_at(0)
    elif what == "SIGABRT":
        os.abort()
    if os.path.exists("anything kills"):
        os.abort()
    return _decode(data, *rest)


def take_over() -> None:
    """Have this process decode as its photos say, with a plain rule in the network's place."""
    look.decode_or_salvage = _acted  # type: ignore[attr-defined, assignment]
    batch.Saliency = loading.Saliency = Plain  # type: ignore[attr-defined, assignment]


def does(photo: Path, act: str) -> None:
    """Have a photo do this when it is decoded. It is as it was otherwise, its time too."""
    times = photo.stat()
    with photo.open("ab") as file:
        file.write(f"ACT:{act}".encode())
    os.utime(photo, ns=(times.st_atime_ns, times.st_mtime_ns))
