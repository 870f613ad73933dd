"""The one door to the ledger for a batch: open it, record rows, close it, on this machine or in a bucket, with shards or without.

Only this module knows that the ledger of a bucket is a copy in a scratch folder and is sent there (``upload``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cropper.errors import RUN_AGAIN, OutputError, remedy_for
from cropper.ledger.run import OpenRun, close_run, open_run
from cropper.ledger.shards import Shard, open_shard_run
from cropper.ledger.state import STATE_FOLDER
from cropper.ledger.table import HEADER, SKIPPED, VERSIONED, Row
from cropper.storage import thumbnails
from cropper.storage.access import bucket_place
from cropper.storage.places import Place, Version

if TYPE_CHECKING:  # loads the libraries for buckets
    from cropper.ledger.upload import Mirror


@dataclass
class Session:
    """The ledger of a batch that is under way.

    Attributes:
        run: the ledger, in OUT or in the scratch folder.
        mirror: what of it is in the bucket; None where OUT is a folder of this machine.
        shard: the shard, or None.
        abandoned: whether some workers are still at a photo when the session closes. Then the lock stays until the process ends,
            which should be at once, and the next run looks for what they left.
    """

    run: OpenRun
    mirror: Mirror | None
    shard: Shard | None
    abandoned: bool = False

    @property
    def loses_no_rows(self) -> bool:
        """Whether every row that a killed run recorded is still there: in a bucket only those are that it had sent."""
        return self.mirror is None

    def known(self, path: str) -> tuple[Row, ...]:
        """Return the rows of a photo that an earlier run made with these settings. Ask in the order of the walk."""
        return self.run.current.of(path)

    def outdated(self, path: str) -> tuple[Row, ...]:
        """Return the rows of a photo that were made with other settings. Ask in the order of the walk."""
        return self.run.outdated.of(path)

    def record(self, rows: Sequence[Row], photo: Version | None = None, unstamped: Sequence[Place] = ()) -> None:
        """Write the rows of a photo, then stamp its thumbnails.

        Args:
            rows: all rows of the photo.
            photo: the version that the rows are of, if the photo was read.
            unstamped: thumbnails to stamp; there is a ``photo`` then.

        Raises:
            OSError: if the ledger cannot be written here.
            OutputError: if it cannot be sent to the bucket.
        """
        self.record_left(rows, photo, unstamped)
        if self.mirror is not None:
            from cropper.ledger import upload

            upload.send_rows(self.mirror, len(rows))

    def record_left(self, rows: Sequence[Row], photo: Version | None = None, unstamped: Sequence[Place] = ()) -> None:
        """Do as ``record`` does, but send nothing: for photos that are left at the end of a run, when all rows go together."""
        if photo is not None and self.mirror is not None:
            rows = [replace(row, version=photo.version) for row in rows]
        self.run.part.append(rows)
        for thumbnail in unstamped:
            assert photo is not None
            with suppress(OSError):  # it is gone or out of reach already: the next run makes it again
                thumbnail.stamp(photo.modified_ns)

    def record_interrupted(self, known: Iterable[Row]) -> None:
        """Keep the outputs of a photo that was begun and not finished, so that they still count as ours."""
        self.run.part.append(replace(row, status=SKIPPED, message="interrupted") for row in known if row.output)

    def remove_temporaries(self) -> None:
        """Remove half-written thumbnails of this run's killed workers; a bucket has none."""
        if self.mirror is None:
            label = self.shard.label if self.shard is not None else ""
            thumbnails.remove_temporaries(self.run.files.out, STATE_FOLDER, label)


@contextmanager
def open_session(out: Place, source: Place, settings: str, dry: bool = False, shard: Shard | None = None) -> Iterator[Session]:
    """Open the ledger of an output folder for one batch, and close it at the end, however that comes.

    The batch counts as complete if the body ends without an exception. Else a second run goes on from there.

    Args:
        out: the folder OUT; made if it is not there.
        source: the folder IN, whose name goes beside the ledger.
        settings: all that decides the outputs, beside the photos, as text. Rows made with another text are outdated.
        dry: whether the batch writes the ledger but no thumbnails.
        shard: the shard that the batch does; None for a batch without shards.

    Raises:
        OutputError: if OUT or the ledger cannot be written, another run is at work there, or OUT is of another kind: holds a
            foreign ``boxes.csv``, is made in other shards, or is made with other settings and this is a dry run.
    """
    with TemporaryDirectory(prefix="cropper-ledger-") if out.is_remote else nullcontext(os.fspath(out)) as folder:
        session = _begin(out, Path(folder), source, settings, dry, shard)
        complete = False
        with _as_output_errors(out):
            try:
                _start(session)
                yield session
                complete = True
            finally:
                _close(session, complete)


def _begin(out: Place, folder: Path, source: Place, settings: str, dry: bool, shard: Shard | None) -> Session:
    """Take the lock and join what earlier runs left, in a folder of this machine: OUT itself, or a scratch folder."""
    mirror = None
    if out.is_remote:
        from cropper.ledger import upload

        mirror = upload.fetch_ledger(bucket_place(out), folder, shard, dry)
    header = HEADER if mirror is None else VERSIONED
    if shard is None:
        run = open_run(folder, source, settings, dry, header)
    else:
        run = open_shard_run(folder, source, settings, dry, shard, header)
    return Session(run, mirror, shard)


def _start(session: Session) -> None:
    """Send what the beginning changed, or clean up after a killed run."""
    if session.mirror is not None:
        from cropper.ledger import upload

        upload.send_start(session.mirror)
    elif session.run.lock.was_left:
        session.remove_temporaries()


def _close(session: Session, complete: bool) -> None:
    close_run(session.run, complete, session.abandoned)
    if session.mirror is not None:
        from cropper.ledger import upload

        upload.send_end(session.mirror, session.run.leaves_state)


@contextmanager
def _as_output_errors(out: Place) -> Iterator[None]:
    """Turn system errors of a batch under way into one about OUT."""
    try:
        yield
    except FileNotFoundError as error:
        raise OutputError("was removed or moved while the run went on", path=out, remedy="run again") from error
    except OSError as error:
        reason = f"the ledger cannot be written ({error.strerror})"
        raise OutputError(reason, path=out, remedy=remedy_for(error, RUN_AGAIN)) from error
