"""Share the work of ``cropper batch`` among processes, where it has more threads than one process has use for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from cropper.cli.supervision import may_fork
from cropper.process.child import NoProcessError
from cropper.settings import CPU

if TYPE_CHECKING:
    import socket

    from cropper.process.journal import Journal
    from cropper.process.supervisor import Attempt
    from cropper.process.workers import WorkerProcess
    from cropper.settings import Settings
    from cropper.storage.places import Place

# Threads in one process. A photo takes about a millisecond of Python, which runs on one core at a time: more threads than this
# wait for each other where photos are small.
THREADS = 8


@contextmanager
def worker_processes(
    source: Place, out: Place, settings: Settings, jobs: int, attempt: Attempt
) -> Iterator[Sequence[WorkerProcess]]:
    """Fork processes for so many threads, and end them with the body; yield none where one process is enough or has to do.

    Call it before a large library is loaded. Where IN or OUT is a URL, threads mostly wait, and one process has use for them all.
    """
    is_local = settings.device == CPU and not (source.is_remote or out.is_remote)
    if jobs <= THREADS or attempt.alone is not None or not is_local or not may_fork():
        yield ()
        return

    from cropper.process.turns import Turns
    from cropper.process.workers import end_workers, fork_workers, threads_of_processes

    def work(channel: socket.socket, journal: Journal, threads: int) -> None:
        from cropper.engine.processes import work_on
        from cropper.imaging.opencv import libraries_muted
        from cropper.model.look import take_turns

        large.join()
        take_turns(large)
        with libraries_muted():
            work_on(channel, journal, threads, settings, out)

    workers: Sequence[WorkerProcess] = ()
    with suppress(NoProcessError, OSError), closing(Turns()) as large:  # else threads have to do, which need less
        workers = fork_workers(threads_of_processes(jobs, THREADS), attempt.journal, work)
    try:
        yield workers
    finally:
        end_workers(workers)
