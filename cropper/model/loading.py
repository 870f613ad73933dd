"""Load the model on a thread of its own, while the caller imports the rest and decodes the first photo."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cropper.model.saliency import Saliency
from cropper.settings import CPU


@contextmanager
def loading(model: str | Path | None = None, device: str = CPU, early: bool = True) -> Iterator[Callable[[], Saliency]]:
    """Load a model during the body. The function that it yields waits for the model.

    onnxruntime needs a second core for it, and Python hardly at all. The body ends after the loading, however it ends.

    Args:
        model, device: as in ``Saliency``, whose errors the function raises.
        early: whether to begin at once. Else the model loads when it is asked for, and takes no memory before.
    """
    loaded: list[Saliency | BaseException] = []

    def load() -> None:
        try:
            loaded.append(Saliency(model, device))
        except BaseException as error:
            loaded.append(error)

    threads = [threading.Thread(target=load)] if early else []
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:  # the system has no room for a thread
        threads = []

    def wait() -> Saliency:
        for thread in threads:
            thread.join()
        if not loaded:
            load()
        if isinstance(loaded[0], BaseException):
            raise loaded[0]
        return loaded[0]

    try:
        yield wait
    finally:
        for thread in threads:
            thread.join()
