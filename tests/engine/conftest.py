"""What tests of the engine share: watches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plain import Plain
from watcher import Start, Watcher

from cropper.engine import batch
from cropper.engine.watching import source as watching
from cropper.engine.watching import watch as watching_module


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """A function that starts a watch over ``in``, whose thread ends with the test."""
    monkeypatch.setattr(watching_module, "Saliency", Plain)
    monkeypatch.setattr(batch, "Saliency", Plain)
    monkeypatch.setattr(watching, "CALM", 0.2)
    monkeypatch.setattr(watching, "BETWEEN_TABLES", 0.2)
    (tmp_path / "in").mkdir()
    begun: list[Watcher] = []

    def begin(*arguments: object, **others: object) -> Watcher:
        begun.append(Watcher(tmp_path, *arguments, **others))  # type: ignore[arg-type]
        return begun[-1]

    yield begin
    for one in begun:
        one.end()
