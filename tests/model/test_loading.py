"""The model loads on a thread of its own."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cropper.errors import ModelError
from cropper.model import loading as module
from cropper.model.loading import loading
from cropper.model.saliency import Saliency


def test_it_loads_during_the_body_and_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    may_load, began = threading.Event(), threading.Event()

    class Slow(Saliency):
        def __init__(self, model: str | Path | None, device: str) -> None:
            began.set()
            assert may_load.wait(10)
            super().__init__(model, device)

    monkeypatch.setattr(module, "Saliency", Slow)
    before = threading.active_count()
    with loading() as model:
        assert began.wait(10)
        may_load.set()  # the body goes on while it loads
        assert model() is model()
        assert isinstance(model(), Saliency)
    assert threading.active_count() == before


def test_it_can_wait_until_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[tuple[object, ...]] = []

    def load(*arguments: object) -> object:
        loads.append(arguments)
        return object()

    monkeypatch.setattr(module, "Saliency", load)
    with loading(early=False) as model:
        assert not loads
        assert model() is model()
    assert len(loads) == 1
    with loading(early=False):
        pass
    assert len(loads) == 1


def test_an_error_comes_where_the_model_is_asked_for(tmp_path: Path) -> None:
    with loading(tmp_path / "none.onnx") as model:
        with pytest.raises(ModelError, match="no such model file"):
            model()
        with pytest.raises(ModelError, match="no such model file"):
            model()
    with pytest.raises(KeyError), loading(tmp_path / "none.onnx"):
        raise KeyError  # of the body alone


def test_without_room_for_a_thread_it_loads_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with loading() as model:
        assert isinstance(model(), Saliency)
