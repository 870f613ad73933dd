"""The standard streams: data on stdout, messages and the progress bar on stderr, and what becomes of those that do not work."""

from __future__ import annotations

import errno
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from io import UnsupportedOperation
from pathlib import Path
from typing import Any, TextIO

import click

from cropper.errors import CropperError, OutputError, UsageError, printable, reason_of, remedy_for


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a standard stream is a terminal. A closed one, which is None, is not."""
    return stream is not None and stream.isatty()


def is_stdout(output: Path) -> bool:
    """Return whether a picture goes to stdout, ``-``.

    Raises:
        UsageError: if stdout is a terminal.
    """
    if str(output) != "-":
        return False
    if is_terminal(sys.stdout):
        raise UsageError("a terminal cannot show the picture", remedy="write it to a file with -o, or into a pipe")
    return True


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# Bytes of a file that tell what it holds.
_START = 64
# The key in a context's meta that says whether the user wants errors only.
QUIET = "cropper.quiet"


def is_quiet() -> bool:
    """Return whether the user wants errors only, with ``--quiet``."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(QUIET))


def be_heard() -> None:
    """Take back ``--quiet``."""
    click.get_current_context().meta[QUIET] = False


def say(message: str) -> None:
    """Print one line on stderr, and into the log, that the user needs even with ``--quiet``: an error, or how the run ended."""
    _print(message, is_heard=True)


def tell(message: str) -> None:
    """Print one line on stderr, unless the user wants errors only, and into the log in any case."""
    _print(message, is_heard=not is_quiet())


def _print(message: str, is_heard: bool) -> None:
    line = f"cropper: {printable(message)}"
    log(line)
    if is_heard:
        with forgiven():
            click.echo(line, err=True)


# The open file of ``--log-file``. The streams of a process are global, and this goes with stderr.
_log: int | None = None
# How the lines of a log begin: with the time. A file that begins otherwise is not added to: it may be a photo.
_TIME = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T")


def begin_log(path: Path) -> None:
    """Add all messages to a file from now on, whatever becomes of stderr. Raises OutputError if the file cannot be written."""
    global _log
    end_log()
    _log = open_for_lines(path, _TIME)


def end_log() -> None:
    """Add no more messages to the file."""
    global _log
    if _log is not None:
        os.close(_log)
        _log = None


def log(line: str) -> None:
    """Add a line to the log, with the time before it, if there is a log. A line that cannot be written is dropped."""
    if _log is not None:
        with suppress(OSError):  # not through a buffer: several processes write here, and a handler of signals may
            os.write(_log, f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n".encode("utf-8", "backslashreplace"))


def open_for_lines(path: Path, beginning: re.Pattern[bytes]) -> int:
    """Open a file to add lines to, and return its descriptor.

    Args:
        path: the file; made if it is not there, and so is its folder.
        beginning: how the lines begin. A file that has something else at its start is somebody else's.

    Raises:
        OutputError: if it cannot be written, or is somebody else's.
    """
    from cropper.storage.atomic import make_folder_of

    try:
        if path.is_file():
            with open(path, "rb") as file:
                start = file.read(_START)
            if start and not beginning.match(start):
                raise OutputError("holds something else, so nothing is written to it", path=path, remedy="give another name")
        make_folder_of(path)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise unwritable(path, error, remedy_for(error, "give another name")) from error


def unwritable(path: str | Path, error: OSError, remedy: str = "") -> OutputError:
    """Return the error for an output that the system refuses."""
    return OutputError(f"cannot be written ({_cause(error)})", path=path, remedy=remedy)


@contextmanager
def forgiven() -> Iterator[None]:
    """Go on if stderr cannot be written: its reader has gone, or its disk is full. A long run must not end for that.

    What the body wrote is dropped. What comes later is tried again.
    """
    try:
        yield
    except OSError:
        drop_unwritten(sys.stderr)


def put(data: bytes | str) -> None:
    """Write data to stdout, at once. All that a command prints goes this way.

    Raises:
        OutputError: if it cannot be written.
        BrokenPipeError: if its reader has gone.
    """
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if isinstance(data, bytes):
            sys.stdout.buffer.write(data)
        else:
            sys.stdout.write(data)
        sys.stdout.flush()
    except OSError as error:
        drop_unwritten(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise
        raise OutputError(f"cannot be written ({_cause(error)})", path="stdout", remedy="send it elsewhere") from error


def check_stdout() -> None:
    """Raise OutputError if stdout is closed, before anything is made for it."""
    if sys.stdout is None:
        raise unwritable("stdout", OSError(errno.EBADF, os.strerror(errno.EBADF)))
    with suppress(ValueError):  # a stream of another program may have no descriptor
        try:
            os.write(sys.stdout.fileno(), b"")
        except UnsupportedOperation:
            pass
        except OSError as error:
            raise unwritable("stdout", error) from error


def put_line(text: str) -> None:
    """Write text and a line end to stdout. Raises the errors of ``put``."""
    put(f"{text}\n")


def put_path(path: str | os.PathLike[str]) -> None:
    """Write a path and a line end to stdout, as the bytes that it is: a name need not be text. Raises the errors of ``put``."""
    put(os.fsencode(path) + b"\n")


def say_unusable(error: OSError) -> None:
    """Say that a file that a user named, or a standard stream that click prints to, cannot be used."""
    drop_unwritten(sys.stdout)
    reason = f"cannot be used ({_cause(error)})"
    if error.filename is None:
        say(f"stdout or a file {reason}")
    else:
        say(str(CropperError(reason, error.filename, remedy_for(error))))


@contextmanager
def reading_stdin() -> Iterator[None]:
    """Turn a failure to read stdin in the body into a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot be read ({_cause(error)})", path="stdin", remedy="give it a file or a pipe") from error


def _cause(error: OSError) -> str:
    return "it is closed" if error.errno == errno.EBADF else error.strerror or reason_of(error)


def drop_unwritten(stream: TextIO | None) -> None:
    """Empty the buffer of a stream that cannot be written: Python would write it again, and fail, with each line and at exit."""
    if stream is None:
        return
    with suppress(OSError, ValueError):  # a stream of another program may have no descriptor
        descriptor = stream.fileno()
        kept = os.dup(descriptor)
        try:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), descriptor)
                stream.flush()
        finally:
            os.dup2(kept, descriptor)
            os.close(kept)


def open_closed_streams() -> None:
    """Open closed standard streams on the null device. Otherwise other files get their numbers, and libraries print there.

    To read stdin or write stdout then fails, as where they are closed; stderr takes what is written.
    """
    for stream, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest free number
    # Python has none of its own for those that were closed.
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


class Progress:
    """A progress bar, or nothing where none is drawn.

    Args:
        bar: tqdm's bar, or None to draw nothing.
    """

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def step(self) -> None:
        """Count one more photo as done."""
        if self._bar is not None:
            with forgiven():
                self._bar.update()

    def note(self, **figures: int) -> None:
        """Show figures behind the bar."""
        if self._bar is not None:
            with forgiven():
                self._bar.set_postfix(**figures)

    def say(self, message: str) -> None:
        """Print one line for the user on stderr, above the bar."""
        with forgiven(), self._bar.external_write_mode(sys.stderr) if self._bar is not None else nullcontext():
            say(message)


def draws_progress() -> bool:
    """Return whether the user is to see a progress bar: on a terminal, and not with ``--quiet``."""
    return is_terminal(sys.stderr) and not is_quiet()


@contextmanager
def progress(total: Callable[[], int | None], is_in_the_way: bool = False) -> Iterator[Progress]:
    """Draw a progress bar while the body runs, if the user is to see one.

    Args:
        total: counts the photos, or returns None where counting costs too much. Called only if a bar is drawn.
        is_in_the_way: whether stdout prints lines on the same terminal, so that none is drawn.
    """
    if is_in_the_way or not draws_progress():
        yield Progress(None)
        return
    from tqdm import tqdm  # its import takes as long as a small photo

    count, bar = total(), None
    with forgiven():
        bar = tqdm(total=count, unit=" photos", file=sys.stderr, dynamic_ncols=True)
    try:
        yield Progress(bar)
    finally:
        if bar is not None:
            with forgiven():
                bar.close()
