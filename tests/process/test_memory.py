"""Freed memory is kept: seen by the pages that the system has to clear anew."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from cropper import cli
from cropper.process import memory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")

# Two threads in turn use and free what photos of some megapixels take; how many pages were cleared meanwhile.
USE = """
import resource, threading
import numpy as np
from cropper.process.memory import keep_memory
{call}
def use():
    for _ in range(10):
        held = [np.ones(8 << 20, np.uint8) for _ in range(5)]
        del held
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
before = faults()
for _ in range(2):
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
print(faults() - before)
"""


def pages_cleared(call: str, **variables: str) -> int:
    variables["NUMPY_MADVISE_HUGEPAGE"] = "0"  # or there are few pages, and each is large
    command = [sys.executable, "-c", USE.format(call=call)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, env=variables).stdout)


def test_memory_that_a_photo_gave_back_is_there_for_the_next() -> None:
    alone = pages_cleared("")
    assert alone > 50_000
    assert pages_cleared("keep_memory(2)") < 0.2 * alone


def test_the_environments_word_on_the_allocator_counts() -> None:
    assert pages_cleared("keep_memory(2)", MALLOC_MMAP_THRESHOLD_="131072") > 50_000


def test_only_a_program_of_its_own_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(memory, "keep_memory", told.append)
    with pytest.raises(SystemExit):
        cli.main(["formats", "--help"])
    assert not told
    monkeypatch.setattr(sys, "argv", ["cropper", "formats", "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    assert len(told) == 1
