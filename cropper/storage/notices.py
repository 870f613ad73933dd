"""What the system says of changes in a folder, by the library watchfiles, which only ``cropper watch`` uses."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

from cropper.errors import CropperError, DependencyError, reason_of
from cropper.extras import install_command

# Milliseconds that a change waits for others, at least and at most, and after which the library looks up if nothing changes.
_STEP, _DEBOUNCE, _LOOK_UP = 5, 40, 100
# Paths that may wait to be taken. Of more than these only is told that something was lost.
MOST = 100_000


class Silence:
    """Tells of nothing, in the place of ``Notices``: somebody else looks."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is held."""

    def take(self) -> tuple[list[str], bool]:
        """Return no paths, and that none was lost."""
        return [], False


def is_told_here() -> bool:
    """Whether this installation has the library, so that the system can tell."""
    try:
        import watchfiles  # noqa: F401
    except ImportError:
        return False
    return True


class Notices:
    """Collects the paths below a folder that change, from ``begin`` on until the body of ``with`` ends.

    Args:
        root: the real path of the folder.
        is_wanted: says of a path below the root, ``/``-separated, whether anybody wants to know of it. Called in another thread.
        wake: called in another thread when there is something to take.

    Raises:
        DependencyError: if watchfiles is not installed.
    """

    def __init__(self, root: str, is_wanted: Callable[[str], bool], wake: Callable[[], None]) -> None:
        try:
            import watchfiles
        except ImportError as error:
            raise DependencyError("watching a folder needs watchfiles", remedy=f"run: {install_command('watch')}") from error
        self._watch = watchfiles.watch
        self._root, self._is_wanted, self._wake = root, is_wanted, wake
        self._paths: dict[str, None] = {}
        self._lost = False
        self._error: Exception | None = None
        self._guard, self._stop, self._begun = threading.Lock(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._listen, name="cropper-notices", daemon=True)

    def __enter__(self) -> Notices:
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(2)

    def take(self) -> tuple[list[str], bool]:
        """Return the paths that changed since the last call, in the order they did, and whether some were lost.

        Raises:
            CropperError: if the system does not say what changes any more.
        """
        with self._guard:
            paths, self._paths = self._paths, {}
            lost, self._lost = self._lost, False
        if self._error is not None:
            what = f"changes in it cannot be watched ({reason_of(self._error)})"
            remedy = "if it has very many folders, raise fs.inotify.max_user_watches or max_user_instances, or give --poll 10"
            raise CropperError(what, path=Path(self._root), remedy=remedy) from self._error
        return list(paths), lost

    def _listen(self) -> None:
        try:
            changes = self._watch(
                self._root,
                watch_filter=None,
                debounce=_DEBOUNCE,
                step=_STEP,
                rust_timeout=_LOOK_UP,
                yield_on_timeout=True,
                stop_event=self._stop,
                raise_interrupt=False,
                ignore_permission_denied=True,
            )
            for found in changes:  # the first look is soon, and from then on the system tells
                self._add(found)
                self._begun.set()
        except Exception as error:
            self._error = error
            self._wake()
        finally:
            self._begun.set()

    def _add(self, found: Iterable[tuple[int, str]]) -> None:
        start = len(self._root.rstrip(os.sep)) + 1
        paths = {path[start:].replace(os.sep, "/"): None for _, path in found}
        wanted = [path for path in paths if self._is_wanted(path)]
        if not wanted:
            return
        with self._guard:
            self._paths.update(dict.fromkeys(wanted))
            if len(self._paths) > MOST:
                self._paths, self._lost = {}, True
        self._wake()
