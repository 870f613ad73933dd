"""A watch that a test drives, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from running import watch_folder

from cropper.engine.job import Done
from cropper.ledger.table import read_rows
from cropper.settings import Settings, Target, Upkeep
from cropper.storage.local import LocalPlace

TARGET = Target((64, 36), (64, 36))
PATIENCE = 30.0


class Watcher:
    """A watch in a thread of its own."""

    def __init__(self, root: Path, settings: Settings | None = None, upkeep: Upkeep | None = None, **others: object) -> None:
        self.source, self.out = root / "in", root / "in/out" if others.pop("inside", False) else root / "out"
        self.settings, self.done = settings or Settings((TARGET,)), list[Done]()
        self.error: BaseException | None = None
        self._stop, self._caught_up = threading.Event(), threading.Event()
        photos = watch_folder(
            LocalPlace(self.source),
            LocalPlace(self.out),
            self.settings,
            2,
            lambda ending: self._caught_up.set(),
            stop=self._stop.is_set,
            upkeep=upkeep or Upkeep(),
            **others,
        )

        self.photos, self._thread = photos, threading.Thread(target=self._work)
        self._thread.start()
        assert self._caught_up.wait(PATIENCE)

    def _work(self) -> None:
        try:
            for done in self.photos:
                self.done.append(done)
        except BaseException as error:
            self.error = error
        finally:
            self._caught_up.set()

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something to be so."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert self.error is None, self.error
            assert time.monotonic() < end, self.paths
            time.sleep(0.005)

    def end(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    @property
    def paths(self) -> list[tuple[str, bool]]:
        """What left since the start: paths, and whether all went well."""
        return [(done.path, done.error is None) for done in list(self.done)]

    def rows(self) -> dict[str, str]:
        return {row.path: row.status for row in read_rows(self.out / "boxes.csv")}


Start = Callable[..., Watcher]
