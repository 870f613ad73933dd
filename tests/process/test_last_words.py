"""A library that ends a child for want of memory: its words reach the parent, and the user reads one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a child dies with its parent on Linux only")

# In a process without numpy, which is fast and may fork. What ``work`` prints on 2 stands for a library's words.
RUN = """
import os, sys
from pathlib import Path
from cropper.errors import CropperError
from cropper.process.last_words import with_last_words
from cropper.process.supervisor import supervise
from cropper.storage.local import LocalPlace
def work(*attempt):
    os.write(2, {words!r})
    print("ours", file=sys.stderr)
    {end}
    return 3
try:
    code = {call}
except CropperError as error:
    print(error)
    code = 2
sys.exit(code)
"""
ALONE = "with_last_words(work)"
SUPERVISED = "supervise(work, LocalPlace(Path('in')), 0, lambda message: print('said', message))"
OF_MEMORY = [
    b"terminate called after throwing an instance of 'std::bad_alloc'\n",
    b"OpenBLAS error: Memory allocation still failed after 10 retries, giving up.\n",
    b"libgcc_s.so.1 must be installed for unwinding to work\n",
]
ENDS = ["os.abort()", "os._exit(1)"]
NO_MEMORY = "there is not enough memory for this run; run again with more memory or fewer --jobs\n"


def ended(call: str, words: bytes, end: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    command = [sys.executable, "-c", RUN.format(call=call, words=words, end=end)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("words", "end"), [(OF_MEMORY[0], ENDS[0]), (OF_MEMORY[1], ENDS[1]), (OF_MEMORY[2], ENDS[0])])
@pytest.mark.parametrize("call", [ALONE, SUPERVISED])
def test_a_library_that_ends_the_process_for_want_of_memory_leaves_one_message(call: str, words: bytes, end: str) -> None:
    assert ended(call, words, end) == (2, NO_MEMORY, "ours\n")


def test_another_death_is_told_as_such() -> None:
    assert ended(ALONE, b"", "os.abort()")[1].startswith("the run died (SIGABRT), possibly out of memory; run again")
    assert ended(SUPERVISED, b"assertion failed", "os.abort()")[1].count("died (SIGABRT)") == 3


@pytest.mark.parametrize("call", [ALONE, SUPERVISED])
def test_a_library_that_goes_on_is_not_heard_and_the_code_is_the_childs(call: str) -> None:
    """onnxruntime, short of memory, prints a line of its own and raises an error, which is told."""
    assert ended(call, b"Schema error: std::bad_alloc\n", "pass") == (3, "", "ours\n")
