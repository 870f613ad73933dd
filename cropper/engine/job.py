"""What travels between the stages of a run, as frozen dataclasses, and what an engine is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cropper.choosing.focus import Focus
from cropper.errors import CropperError
from cropper.ledger.table import Row
from cropper.model.look import OpenedPhoto
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
    """A photo to make: its place among all, and where its outputs go.

    Attributes:
        number: its place among all photos, from 0.
        path: relative to IN.
        file: where it is read.
        format: of its thumbnails; empty where none are made.
        outputs: paths of the thumbnails relative to OUT, one per target.
        known: its rows in the ledger from an earlier run with the same settings.
        ours: the outputs that earlier runs wrote, with any settings.
        given: the focus that you give by hand, or None, one per target.
        seen: its version in the listing, where the listing gives one.
        temporary: the name of a thumbnail until it is complete, different from that of every other photo under way.
    """

    number: int
    path: str
    file: Place
    format: str = ""
    outputs: tuple[str, ...] = ()
    known: tuple[Row, ...] = ()
    ours: frozenset[str] = frozenset()
    given: tuple[Focus | None, ...] = ()
    seen: Version | None = None
    temporary: str = ""


@dataclass(frozen=True)
class Decoded:
    """A photo that is decoded, and the version of its file that the pixels are of. In a dry run it keeps no pixels."""

    job: Job
    seen: Version
    photo: OpenedPhoto


@dataclass(frozen=True)
class Finished:
    """A photo that is done, or what there is to say of a folder."""

    number: int
    done: Done
    was_decoded: bool = False
    bytes: int = 0  # of its decoded pixels
    unstamped: tuple[Path, ...] = ()  # thumbnails to stamp once the rows are in the ledger
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
