"""What a run costs that finds everything done: counted, not timed, so that it is the same on any machine."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from running import run_batch

from cropper.engine.tally import Counts
from cropper.ledger import state
from cropper.ledger.database import connect
from cropper.settings import Settings, Target

SETTINGS = Settings((Target((48, 32), (48, 32)),))
FEW, MANY = 4, 24
# Calls of functions and methods, those of Python among them: a tenth more than there are now.
MOST_CALLS = 185


@pytest.fixture
def made(tmp_path: Path) -> dict[int, Path]:
    """A folder of few photos and one of many, each beside its thumbnails."""
    photo = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    for number in (FEW, MANY):
        (tmp_path / f"{number}" / "in").mkdir(parents=True)
        for name in range(number):
            cv2.imwrite(str(tmp_path / f"{number}" / "in" / f"{name}.jpg"), photo)
        assert count(tmp_path / f"{number}").made == number
    return {number: tmp_path / f"{number}" for number in (FEW, MANY)}


def count(folder: Path) -> Counts:
    counts = Counts()
    for done in run_batch(folder / "in", folder / "out", SETTINGS, jobs=1):
        counts.add(done)
    return counts


def test_a_photo_that_is_as_it_was_costs_few_calls_and_no_statement_of_its_own(
    made: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def listened(path: Path | None) -> sqlite3.Connection:
        connection = connect(path)
        connection.set_trace_callback(said.append)
        return connection

    monkeypatch.setattr(state, "connect", listened)
    calls, statements = {}, {}
    for number, folder in made.items():
        number_of_calls = 0
        said.clear()

        def note(frame: object, event: str, what: object) -> None:
            nonlocal number_of_calls
            number_of_calls += event in ("call", "c_call")

        sys.setprofile(note)
        try:
            counts = count(folder)
        finally:
            sys.setprofile(None)
        assert counts.unchanged == number
        calls[number], statements[number] = number_of_calls, len(said)
    assert statements[MANY] == statements[FEW]
    assert (calls[MANY] - calls[FEW]) / (MANY - FEW) < MOST_CALLS, calls
