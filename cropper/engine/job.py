"""What travels between the stages of a run, as frozen dataclasses, and what an engine is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.focus import Focus
from cropper.errors import CropperError
from cropper.imaging.header import Header
from cropper.ledger.table import Row
from cropper.settings import Fit, Settings
from cropper.storage.places import Place, Version

# The ledger's message of a photo that is there in part.
SALVAGED = "salvaged: part of the photo is missing"


@dataclass(frozen=True)
class Done:
    """What became of one photo; or, without rows, what there is to say of a folder.

    Attributes:
        path: relative to IN.
        rows: the photo's rows in the ledger, one a target, or one a candidate.
        fits: how the photo came into each shape, where it did.
        unchanged: whether an earlier run had done it already.
        error: why the photo failed or the folder could not be listed, or None.
        passed_over: files of the folder that are no photos.
    """

    path: str
    rows: tuple[Row, ...] = ()
    unchanged: bool = False
    error: CropperError | None = None
    passed_over: int = 0
    fits: tuple[Fit, ...] = ()


@dataclass(frozen=True)
class Job:
    """A photo to begin: its place among all, and where its outputs go."""

    number: int
    path: str
    file: Path | Place
    format: str
    outputs: tuple[str, ...]  # relative to OUT, one a target
    known: tuple[Row, ...]  # its rows in the ledger, of an earlier run with the same settings
    ours: frozenset[str]  # outputs that an earlier run wrote, with whatever settings
    given: tuple[Focus | None, ...]  # the user's word, one a target
    seen: Version | None = None  # what the listing said of it, where it did
    temporary: str = ""  # what a thumbnail is called until it is whole: no other photo's that is under way


@dataclass(frozen=True)
class Decoded:
    """A photo's pixels, what the model sees of them, and whether they are but what could be salvaged."""

    job: Job
    header: Header
    seen: Version
    pixels: NDArray[np.uint8]
    model_input: NDArray[np.uint8]
    salvaged: bool


@dataclass(frozen=True)
class Finished:
    """A photo that is done, or what there is to say of a folder."""

    number: int
    done: Done
    was_decoded: bool = False
    bytes: int = 0  # of its decoded pixels
    unstamped: tuple[Place, ...] = ()  # thumbnails to stamp once the rows are in the ledger
    seen: Version | None = None  # the version of the photo that it is of


class Engine(Protocol):
    """What takes a batch's photos through all stages: threads of this process, or workers on a cluster.

    Attributes:
        abandoned: after a run, whether workers may still be at photos: the lock on OUT stays then.
        untidy: after a run, whether a worker that was lost may have left files half made.
    """

    abandoned: bool
    untidy: bool

    def run(
        self,
        photos: Iterator[Job | Finished | None],
        record: Callable[[Finished], None],
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Done]:
        """Take photos through all stages, as ``Pipeline.run`` does."""

    def left(self) -> Iterator[Job | Finished]:
        """After a run that was interrupted, in their order: what has not left it and may need a row."""


# An engine for a batch of IN, OUT, settings and so many workers.
Begin = Callable[[Place, Place, Settings, int], AbstractContextManager[Engine]]
