"""What the state keeps of the last run's options."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from fixtures import MakePhoto
from running import run_batch

from cropper.engine.plan import Plan
from cropper.image_formats import RAW_ALL
from cropper.ledger.database import files_of
from cropper.ledger.last_run import LastRun, last_run_of
from cropper.model.saliency import BUNDLED_MODEL
from cropper.settings import Choosing, Fit, Limits, Settings, Target, Weights, Whole, Zoom
from cropper.storage.local import LocalPlace
from cropper.storage.patterns import selection_of

EVERY_OPTION = Settings(
    (Target((64, 36), (64, 36)), Target((1, 1))),
    format="webp",
    quality=70,
    enlarge=True,
    choosing=Choosing(Zoom(0.5, 0.8, 0), 1, Fit.CENTRE, 2, Whole.HEADS, Weights(place=0.5, across=0.3)),
    fill="#102030",
    limits=Limits(1000000, True),
    srgb=True,
    keep="copyright",
    one=True,
)


@pytest.fixture
def folder(tmp_path: Path, make_photo: MakePhoto) -> Path:
    make_photo(tmp_path / "in" / "a.jpg")
    return tmp_path


def run(folder: Path, settings: Settings, **others: object) -> None:
    list(run_batch(folder / "in", folder / "out", settings, 1, **others))  # type: ignore[arg-type]


@pytest.mark.usefixtures("plain_rule")
def test_all_options_of_the_last_run_come_back(folder: Path) -> None:
    run(folder, Settings((Target((1, 1)),)))
    selection = selection_of(["*.jpg", "a/"], ["!b", " c\\ "]).in_folder(LocalPlace(folder / "in"))
    run(folder, EVERY_OPTION, selection=selection, raw=RAW_ALL)
    last = last_run_of(folder / "out")
    assert last == LastRun(EVERY_OPTION, RAW_ALL, ("*.jpg", "a/"), ("!b", " c\\ "))
    assert last.selection == selection_of(["*.jpg", "a/"], ["!b", " c\\ "])


def test_a_model_is_found_again_from_another_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BUNDLED_MODEL.parent)
    run(folder, Settings((Target((1, 1)),), model=Path(BUNDLED_MODEL.name)))
    last = last_run_of(folder / "out")
    assert last is not None
    assert last.settings.model == BUNDLED_MODEL


@pytest.mark.usefixtures("plain_rule")
def test_a_dry_run_makes_nothing_and_so_is_not_the_last_run(folder: Path) -> None:
    assert last_run_of(folder / "out") is None
    settings = Settings((Target((1, 1)),))
    run(folder, dataclasses.replace(settings, dry_run=True))
    assert last_run_of(folder / "out") is None
    run(folder, settings)
    run(folder, dataclasses.replace(settings, dry_run=True))
    assert last_run_of(folder / "out") == LastRun(settings)


@pytest.mark.usefixtures("plain_rule")
@pytest.mark.parametrize("change", [{"unheard_of": 1}, {"targets": 5}, {"quality": "70"}, {"choosing": {"zoom": {"far": 1}}}])
def test_options_of_another_version_are_not_guessed(folder: Path, change: dict[str, object]) -> None:
    run(folder, Settings((Target((1, 1)),)))
    with closing(sqlite3.connect(files_of(folder / "out").database)) as connection:
        kept = json.loads(connection.execute("SELECT text FROM last_run").fetchone()[0])
        kept["settings"].update(change)
        connection.execute("UPDATE last_run SET text = ?", (json.dumps(kept),))
        connection.commit()
    assert last_run_of(folder / "out") is None


def test_what_a_plan_asks_for_is_kept_or_has_no_part_in_making_a_photo_again() -> None:
    """A new field of a plan that decides an output or its name belongs into ``LastRun``."""
    kept = {"settings", "selection", "raw"}
    not_needed = {"source", "out", "shard", "resume", "deadline", "stop"}
    assert {field.name for field in dataclasses.fields(Plan)} == kept | not_needed
