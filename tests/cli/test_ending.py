"""A command ends at once, and leaves no work of Python's undone."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading

import pytest

from cropper import __main__
from cropper.cli import signals


class Closed(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(sys, "gettrace", lambda: None)
    threads, of_others = threading.active_count, threading.active_count() - 1  # those that other tests have left
    monkeypatch.setattr(threading, "active_count", lambda: threads() - of_others)
    return codes


@pytest.mark.parametrize(("code", "number"), [(None, 0), (0, 0), (1, 1), (130, 130)])
def test_a_command_ends_at_once_with_its_code(
    ends: list[int], monkeypatch: pytest.MonkeyPatch, code: int | None, number: int
) -> None:
    def main() -> None:
        raise SystemExit(code)

    monkeypatch.setattr("cropper.cli.main", main)
    with pytest.raises(SystemExit):
        __main__.run()
    assert ends == [number]


def test_what_python_has_left_to_do_is_done(ends: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    signals.end_at_once("a message")
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    signals.end_at_once(0)
    assert ends == []
    signals.end_at_once(130)  # an interrupted command waits for no thread
    assert ends.pop() == 130
    release.set()
    thread.join()
    monkeypatch.setattr(sys, "stdout", Closed())
    signals.end_at_once(0)
    assert ends == []


def test_all_that_was_printed_arrives() -> None:
    command = [sys.executable, "-m", "cropper", "batch", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: cropper batch ")
    assert "--deadline" in done.stdout
    assert not done.stderr
