"""Fork processes that share the work of a run, and end this one as one of them ended.

Each worker process has a part of the run's journal and a channel to this process. It dies with this process, which dies with it:
the supervisor of the run then finds the photo that is to blame, as it does for a run of one process.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from cropper.process.child import NoProcessError, Signals, fork_child
from cropper.process.journal import MOST_PARTS, Journal
from cropper.process.messages import packable, send
from cropper.process.stop import STOPPING


@dataclass(frozen=True)
class WorkerProcess:
    """A process that shares the work.

    Attributes:
        process: its number in the system.
        part: of the journal.
        channel: a connected socket.
        threads: how many threads it is to have.
    """

    process: int
    part: int
    channel: socket.socket
    threads: int


def threads_of_processes(jobs: int, most: int) -> list[int]:
    """Share threads out evenly among the fewest processes of at most so many; return how many each has, at least 1.

    Beyond ``MOST_PARTS`` processes, each has more.
    """
    processes = min(-(-jobs // most), MOST_PARTS)
    return [jobs // processes + (number < jobs % processes) for number in range(processes)]


def fork_workers(
    shares: Sequence[int], journal: Journal, work: Callable[[socket.socket, Journal, int], None]
) -> list[WorkerProcess]:
    """Fork processes. Call it while this process can fork.

    Args:
        shares: how many threads each process is to have, at least 1; of ``MOST_PARTS`` processes at most.
        journal: of the run.
        work: does the work in each process, with its channel, its part of the journal and its number of threads. What it raises
            is sent through the channel.

    Raises:
        NoProcessError: if the system has no room for all of them; then there are none.
    """
    # A signal to stop is this process's to handle, wherever it is sent to.
    signals = Signals(tuple(getattr(signal, name) for name in STOPPING), -1)
    workers: list[WorkerProcess] = []
    try:
        for number, threads in enumerate(shares):
            part = journal.part(number)
            ours, theirs = _channel()
            with theirs:
                child = fork_child(signals, is_trial=True, at_once=True)
                if child is None:
                    for channel in (
                        ours,
                        *(worker.channel for worker in workers),
                    ):  # else nobody would see that this process ended
                        channel.close()
                    _work(work, theirs, part, threads)
            os.close(child.reading)
            workers.append(WorkerProcess(child.process, number, ours, threads))
    except BaseException:
        end_workers(workers)
        raise
    return workers


def _channel() -> tuple[socket.socket, socket.socket]:
    try:
        return socket.socketpair()
    except OSError as error:
        raise NoProcessError(error) from error


def _work(work: Callable[[socket.socket, Journal, int], None], channel: socket.socket, part: Journal, threads: int) -> NoReturn:
    code = 1
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(2):
            os.dup2(nothing, stream)
        try:
            work(channel, part, threads)
        except Exception as error:
            send(channel, packable(error))
        code = 0
    finally:
        os._exit(code)


def end_workers(workers: Sequence[WorkerProcess]) -> None:
    """Kill the processes whose channel is open, close it, and wait for their end. A second call does nothing."""
    left = [worker for worker in workers if worker.channel.fileno() >= 0]  # another process may have the number of one that ended
    for worker in left:
        worker.channel.close()
        os.kill(worker.process, signal.SIGKILL)
    for worker in left:
        os.waitpid(worker.process, 0)


def end_like(worker: WorkerProcess, workers: Sequence[WorkerProcess], journal: Journal) -> NoReturn:
    """End this process and the other workers as a worker has ended, and have the journal blame its photos alone.

    Args:
        worker: it has ended.
        workers: all of them.
        journal: of the run.
    """
    import resource

    code = os.waitstatus_to_exitcode(os.waitpid(worker.process, 0)[1])
    end_workers([other for other in workers if other is not worker])
    journal.blame(worker.part)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the worker already left a core file if you want one
        with suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(abs(code))
