"""A signal to stop that comes while a library loads is an interrupt, whatever the library makes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

# What stands for the import of a C extension: the handler's KeyboardInterrupt comes out of it as another error, or not at all.
STUB = """
import os, signal
from pathlib import Path
from cropper.cli import signals
from cropper.errors import CropperError
from cropper.process import supervisor, last_words
from cropper.storage.local import LocalPlace

def extension(*attempt):
    try:
        os.kill(os.getpid(), signal.{name})
    except KeyboardInterrupt as error:
        {then}
    with signals.held_back() as interrupt:
        interrupt.let_through()
    return 0

class Commands:
    def main(self, **others):
        return {call}

import cropper.cli
cropper.cli.cli = Commands()
"""
RAISED = "raise ImportError('initialization failed') from error"
WORDED = "raise CropperError('it cannot load') from None"
SWALLOWED = "pass"
CALLS = {
    "here": "extension()",
    "child": "last_words.with_last_words(extension)",
    "supervised": "supervisor.supervise(extension, LocalPlace(Path('in')), 0, print)",
}


def ended(program: str) -> tuple[int, str]:
    """Exit code and stderr."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("name", "then", "call"),
    [
        ("SIGINT", RAISED, "here"),
        ("SIGTERM", WORDED, "here"),
        ("SIGINT", SWALLOWED, "here"),
        ("SIGTERM", RAISED, "child"),
        ("SIGINT", RAISED, "supervised"),
    ],
)
def test_an_error_that_comes_of_a_signal_is_an_interrupt(name: str, then: str, call: str) -> None:
    if call != "here" and sys.platform != "linux":
        pytest.skip("a child dies with its parent on Linux only")
    program = STUB.format(name=name, then=then, call=CALLS[call])
    assert ended(program + "from cropper.__main__ import run\nrun()") == (130, "cropper: interrupted\n")


def test_an_error_of_its_own_stays_one() -> None:
    program = STUB.format(name="SIGINT", then=RAISED, call="1 / 0")
    code, said = ended(program + "from cropper.__main__ import run\nrun()")
    assert code == 1
    assert said.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.skipif(sys.platform != "linux", reason="a child dies with its parent on Linux only")
def test_a_child_that_dies_after_an_interrupt_ends_as_interrupted() -> None:
    """Python ends a process by SIGINT if one interrupted code that was compiled from text, whatever its exit code."""
    program = """
import os, signal, sys
from cropper.process.last_words import with_last_words
from cropper.process.stop import end_as_interrupted
end_as_interrupted()
def work():
    os.kill(os.getpid(), signal.SIGTERM)
try:
    code = with_last_words(work)
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
sys.exit(code)
"""
    assert ended(program) == (130, "")


def test_a_signal_while_the_command_line_loads_is_an_interrupt(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n")
    program = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nfrom cropper.__main__ import run\nrun()"
    assert ended(program) == (130, "cropper: interrupted\n")
