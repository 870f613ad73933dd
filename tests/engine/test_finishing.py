"""The photos of a batch, finished by the worker that inferred it or by another: nothing of one photo is told of another."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cropper.choosing.view import Maps
from cropper.engine import tasks
from cropper.engine.job import Finished, Job
from cropper.engine.pipeline import BATCH_SIZE, Pipeline
from cropper.errors import OutputError
from cropper.process.journal import Journal
from cropper.settings import Settings, Target

SETTINGS = Settings(targets=(Target((1, 1), (32, 32)),))
COUNT = 2 * BATCH_SIZE


class Even:
    """A model that sees nothing, and counts its calls."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def infer(self, batch: np.ndarray[Any, Any]) -> list[Maps]:
        self.batches.append(len(batch))
        return [Maps(np.full((batch.shape[1] // 8, batch.shape[2] // 8), 1e-3, np.float32)) for _ in batch]


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    (tmp_path / "out").mkdir()
    data = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    made = []
    for number in range(COUNT):
        (tmp_path / f"{number}.jpg").write_bytes(data)
        name = f"{number}.jpg"
        made.append(Job(number, name, tmp_path / name, "jpg", (name,), given=(None,), temporary=f".{number}.part"))
    return made


def pipeline_of(tmp_path: Path, workers: int, journal: Journal | None = None) -> Pipeline:
    return Pipeline(SETTINGS, tmp_path / "out", Even(), workers, journal=journal)  # type: ignore[arg-type]


def finishing(monkeypatch: pytest.MonkeyPatch, act: Callable[[Job], None]) -> None:
    """Let something happen whenever the worker that inferred a batch finishes a photo of it."""
    original = tasks.finish_photo

    def acting(decoded: Any, *arguments: Any, **options: Any) -> Finished:
        act(decoded.job)
        return original(decoded, *arguments, **options)

    monkeypatch.setattr(tasks, "finish_photo", acting)


def test_the_only_worker_finishes_what_it_inferred_and_hands_nothing_over(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    at: list[str] = []
    finishing(monkeypatch, lambda job: at.append(job.path))
    pipeline = pipeline_of(tmp_path, 1)
    done = [one.path for one in pipeline.run(iter(jobs), lambda finished: None)]
    assert done == sorted(at) == [job.path for job in jobs]


def test_what_is_left_of_a_batch_goes_to_workers_that_are_idle(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    at: list[str] = []
    finishing(monkeypatch, lambda job: at.append(job.path))
    pipeline = pipeline_of(tmp_path, 1)
    monkeypatch.setattr(pipeline, "_wants_more", lambda: len(at) % 2 == 1)
    done = list(pipeline.run(iter(jobs), lambda finished: None))
    assert [one.path for one in done] == [job.path for job in jobs]
    assert not [one.error for one in done if one.error]
    assert len(at) == 1  # and no second one
    assert pipeline.bytes == pipeline.tasks == 0


def test_each_photo_has_the_seconds_of_its_own_finish(tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    finishing(monkeypatch, lambda job: time.sleep(0.2 if job.number == 1 else 0))
    seconds = [one.seconds for one in pipeline_of(tmp_path, 1).run(iter(jobs), lambda finished: None)]
    assert seconds[1] >= 0.2
    assert max(seconds[:1] + seconds[2:]) < 0.15


def test_only_the_photo_that_is_being_finished_is_in_hand(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal()
    at: list[tuple[str, list[str]]] = []
    finishing(monkeypatch, lambda job: at.append((job.path, [photo.path for photo in journal.photos if photo.in_hand])))
    list(pipeline_of(tmp_path, 1, journal).run(iter(jobs), lambda finished: None))
    assert len(at) == COUNT
    assert all(in_hand == [path] for path, in_hand in at)


def test_an_error_that_ends_the_run_loses_no_photo_that_was_finished_before(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    finished: list[int] = []

    def full(job: Job) -> None:
        if len(finished) == 2:
            raise OutputError("the disk is full")
        finished.append(job.number)

    finishing(monkeypatch, full)
    pipeline = pipeline_of(tmp_path, 1)
    recorded: list[int] = []
    with pytest.raises(OutputError, match="the disk is full"):
        list(pipeline.run(iter(jobs), lambda one: recorded.append(one.number)))
    left = [*pipeline.left()]
    recorded += [one.number for one in left if isinstance(one, Finished)]
    assert sorted(recorded) == sorted(finished)
    assert sorted(recorded + [one.number for one in left if isinstance(one, Job)]) == [job.number for job in jobs[: len(left)]]
