"""Runs whose plan is given in arguments: most tests say where, what, and one thing more."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from cropper.engine import batch
from cropper.engine.job import Done
from cropper.engine.plan import Plan
from cropper.engine.watching import watch
from cropper.ledger.focus_file import ByHand, FocusRow
from cropper.ledger.session import Ending
from cropper.settings import Settings
from cropper.storage.access import place
from cropper.storage.places import Place

_OF_PLAN = {field.name for field in fields(Plan)}


def run_batch(
    source: Path | Place,
    out: Path | Place,
    settings: Settings,
    jobs: int,
    given: Iterable[FocusRow] = (),
    *,
    forgets: bool = False,
    **others: Any,
) -> Generator[Done, None, Ending]:
    """``engine.batch.run_batch``; others may be attributes of the plan."""
    of_plan = {name: others.pop(name) for name in _OF_PLAN & others.keys()}
    plan = Plan(place(source), place(out), settings, **of_plan)
    return batch.run_batch(plan, jobs, ByHand(given, forgets=forgets), **others)


def watch_folder(
    source: Place, out: Place, settings: Settings, jobs: int, caught_up: Callable[[Ending], None], **others: Any
) -> Generator[Done, None, Ending]:
    """``engine.watch.watch_folder``; others may be attributes of the plan."""
    of_plan = {name: others.pop(name) for name in _OF_PLAN & others.keys()}
    return watch.watch_folder(Plan(source, out, settings, **of_plan), jobs, caught_up, **others)
