"""The messages between the stages of a run, and the interface of an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cropper.errors import CropperError
from cropper.ledger.given import Given
from cropper.ledger.table import Row
from cropper.model.look import OpenedPhoto
from cropper.settings import Fit, Settings
from cropper.storage.light import light_dataclass
from cropper.storage.places import NOTHING_LEFT_OUT, LeftOut, Place, Trace, Version, Whose

# The message for a photo that replaced another, for which something was given by hand.
DROPPED = "the box given by hand was for another size of this photo"


@light_dataclass(frozen=True)
class Done:
    """The outcome of one photo; or, without rows, a report about a folder.

    Attributes:
        path: relative to IN.
        rows: the photo's rows in the ledger, one per target, or one per candidate.
        unchanged: whether an earlier run made the photo already.
        error: why the photo failed or the folder could not be listed, or None.
        passed_over: how many files in the folder are not photos.
        kinds: of these, how many are of a kind that the table of formats knows, by its name there.
        developed: how many RAWs in the folder were passed over for the JPEG or HEIC beside them.
        fits: how the photo was fitted into each shape that was made.
        is_out: whether the folder is the OUT of a run, and was not walked.
        altered: how many of its thumbnails somebody changed; they are left as they are.
        dropped: whether what was given by hand for the photo was forgotten, since the photo has another size now.
        seconds: how long workers were at it, reading and writing included, waiting for their turn not. A batch's time in the
            model is shared out evenly. 0 if nothing was done.
        left_out: what the walk leaves out of the folder.
        first_frame_alone: whether the photo is an animation of which the first frame alone was made.
        written: its thumbnails that have new bytes, relative to OUT.
        same: how many of its thumbnails were made again and came out as they were.
        orientation: EXIF orientation, 1-8, of its stored pixels, if sidecars are asked for.
    """

    path: str
    rows: tuple[Row, ...] = ()
    unchanged: bool = False
    error: CropperError | None = None
    passed_over: int = 0
    kinds: tuple[tuple[str, int], ...] = ()
    developed: int = 0
    fits: tuple[Fit, ...] = ()
    is_out: bool = False
    altered: int = 0
    dropped: bool = False
    seconds: float = 0.0
    left_out: LeftOut = NOTHING_LEFT_OUT
    first_frame_alone: bool = False
    written: tuple[str, ...] = ()
    same: int = 0
    orientation: int = 1


@dataclass(frozen=True)
class Job:
    """A photo to make: its place among all, and where its outputs go.

    Attributes:
        number: its place among all photos, from 0.
        path: relative to IN.
        file: where it is read.
        format: of its thumbnails; empty where none are made.
        outputs: paths of the thumbnails relative to OUT, one per target.
        known: its rows in the table from an earlier run.
        whose: for each output, whose file is there.
        given: what you give by hand, or None, one per target.
        seen: its version in the listing, where the listing gives one.
        unless: the digest of the photo's bytes for which nothing is to be done; None to make it in any case.
        digested: whether the digest of the photo's bytes is asked for.
        named_for: the digest of the bytes that its outputs are named for; None if their names do not depend on its content.
        sidecar: where its sidecar goes, relative to OUT, and whose file is there; None for no sidecar.
        temporary: the name of a thumbnail until it is complete, different from that of every other photo under way.
    """

    number: int
    path: str
    file: Path | Place
    format: str = ""
    outputs: tuple[str, ...] = ()
    known: tuple[Row, ...] = ()
    whose: tuple[Whose, ...] = ()
    given: tuple[Given | None, ...] = ()
    seen: Version | None = None
    unless: bytes | None = None
    digested: bool = False
    named_for: bytes | None = None
    sidecar: tuple[str, Whose] | None = None
    temporary: str = ""


@dataclass(frozen=True)
class Decoded:
    """A decoded photo, the version of its file, the digest of its bytes, if that is asked for, and for a sidecar the orientation
    of its stored pixels. A dry run keeps no pixels.
    """

    job: Job
    seen: Version
    photo: OpenedPhoto
    digest: bytes = b""
    orientation: int = 1


@light_dataclass(frozen=True)
class Finished:
    """A finished photo, or a report about a folder.

    Attributes:
        number: its place among all photos.
        done: the outcome.
        was_decoded: whether the photo was decoded.
        decoded_bytes: what it took of memory, decoded.
        written: its thumbnails by their paths in OUT, each as it was when it had been written.
        seen: the version of the photo that the thumbnails are from.
        digest: of the photo's bytes, if that was asked for.
        late: the deadline in seconds that the photo exceeded; 0 if it did not.
    """

    number: int
    done: Done
    was_decoded: bool = False
    decoded_bytes: int = 0
    written: tuple[tuple[str, Trace], ...] = ()
    seen: Version | None = None
    late: float = 0
    digest: bytes = b""


class Engine(Protocol):
    """Takes the photos of a batch through all stages: threads of this process, several processes, or workers on a cluster.

    Attributes:
        abandoned: after a run, whether workers may still be at work on photos; the lock on OUT stays then.
        untidy: after a run, whether a lost worker may have left incomplete files.
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
        """After an interrupted run, yield the photos that have not left it and may need a row, in order."""


# Takes IN, OUT, the settings and the number of workers, and gives an engine for a batch.
Begin = Callable[[Place, Place, Settings, int], AbstractContextManager[Engine]]
