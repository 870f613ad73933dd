"""The one door to the state for a batch: open it, record, close it, on this machine or in a bucket, with shards or without.

Only this module knows that the state of a bucket is a copy in a scratch folder and is sent there (``upload``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cropper.errors import RUN_AGAIN, OutputError, UsageError, naming, remedy_for
from cropper.ledger import lock
from cropper.ledger.changes import Change
from cropper.ledger.database import SHARDS_FOLDER, Files, as_system_errors, decoded, encoded, files_of, key_of, savepoint
from cropper.ledger.focus_file import NOTHING_BY_HAND, ByHand
from cropper.ledger.handover import TakenIn
from cropper.ledger.known import rows_of
from cropper.ledger.migration import migrate_if_old
from cropper.ledger.outdated import changes_between
from cropper.ledger.report import is_report_true, keep_report
from cropper.ledger.source import is_same_folder
from cropper.ledger.state import State
from cropper.ledger.table import read_rows, write_table
from cropper.settings import UPKEEP, Upkeep
from cropper.storage import thumbnails
from cropper.storage.access import bucket_place, place
from cropper.storage.atomic import sync_folder
from cropper.storage.naming import STATE_FOLDER
from cropper.storage.places import Found, Place, Trace

if TYPE_CHECKING:  # loads the libraries for buckets
    from contextlib import AbstractContextManager

    from cropper.ledger.shards import Shard
    from cropper.ledger.upload import Mirror


@dataclass(frozen=True)
class Ending:
    """What a complete run found at its end.

    Attributes:
        missing: photos that were known and are not in IN any more.
        stale: thumbnails of ours that no photo has any more; ``pruned`` of them were removed.
        strangers: photos that the focus file names and IN does not have, and the first of them.
        outdated: photos that were made again for other settings alone, and in what these differ from those of the first of them.
    """

    missing: int = 0
    stale: int = 0
    pruned: int = 0
    strangers: tuple[int, str] = (0, "")
    outdated: tuple[int, str] = (0, "")


@dataclass
class Session:
    """The state of a batch that is under way.

    Attributes:
        state: what is known.
        taken: the lock on it.
        mirror: what of it is in the bucket; None where OUT is a folder of this machine.
        shard: the shard, or None.
        upkeep: what the run may do with what is there.
        handed: what was given by hand meanwhile.
        unlisted: folders of IN that could not be listed.
        is_listed: whether the run is over photos that the user listed: the others are not gone.
        is_narrow: whether the user asked for photos of IN to be left out.
        abandoned: whether some workers are still at a photo when the session closes. Then the lock stays until the process ends,
            which should be at once, and the next run looks for what they left.
        changes: how many changes of the state came before the first photo.
        removed: called with each thumbnail that was removed, relative to OUT.
        outdated: how many photos are as they were and were made with other settings, and those of the first of them.
    """

    state: State
    taken: lock.Lock
    mirror: Mirror | None
    shard: Shard | None
    upkeep: Upkeep
    handed: TakenIn
    unlisted: list[str] = field(default_factory=list)
    is_listed: bool = False
    is_narrow: bool = False
    abandoned: bool = False
    changes: int = 0
    removed: Callable[[str], None] = lambda output: None
    outdated: tuple[int, str] = (0, "")

    def record(self, change: Change) -> None:
        """Keep what became of a photo; send it to a bucket from time to time.

        Raises:
            OSError: if the state cannot be written here.
            OutputError: if it cannot be sent to the bucket.
        """
        self.state.record(change)
        if self.mirror is not None:
            from cropper.ledger import upload

            upload.send_changes(self.mirror, change)

    def photo_of(self, output: str) -> str | None:
        """Return the photo, by its path in IN, that has a thumbnail of ours; None if none has."""
        find = "SELECT photo FROM output WHERE path = ? AND NOT stale"
        found = self.state.connection.execute(find, (encoded(output),)).fetchone()
        return decoded(found[0]) if found is not None else None

    def count_outdated(self, path: str) -> None:
        """Count a photo that is made again for other settings alone."""
        number, settings = self.outdated
        if not number:
            find = "SELECT text FROM setting WHERE id = (SELECT setting FROM photo WHERE key = ?)"
            (settings,) = self.state.connection.execute(find, (key_of(path),)).fetchone() or ("",)
        self.outdated = number + 1, settings

    def finish(self, spared: Iterable[str] = ()) -> Ending:
        """Take leave of photos that are gone, at the end of the walk, and of their thumbnails, if asked to.

        Args:
            spared: photos that came, or came again, while the walk went on.

        Raises:
            UsageError: if none of the known photos is there, and the run may not lose them all.
        """
        state = self.state
        with self._where_it_was(), savepoint(state.connection):
            missing = state.drop_missing(self.unlisted, spared) if not self.is_listed else 0
            if missing and not state.found and not self.upkeep.allow_empty:
                what = f"none of the {missing} photos is there that OUT was made from"
                cause = "are they all excluded, or is a disk not mounted?" if self.is_narrow else "is the right disk mounted?"
                remedy = f"{cause} If they are really gone, give --allow-empty"
                raise UsageError(what, path=place(state.source() or ""), remedy=remedy)
        stale, pruned = self.let_go(state.stale_outputs())
        strangers = state.gifts.strangers(state.run, state.knows) if not self.is_listed else (0, "")
        number, settings = self.outdated
        outdated = number, changes_between(settings, state.settings()) if number else ""
        return Ending(missing, stale, pruned, strangers, outdated)

    def let_go(self, outputs: Iterable[tuple[str, Trace]]) -> tuple[int, int]:
        """Remove thumbnails that no photo has any more, if asked to, and the folders that this empties.

        Returns:
            how many there are, and how many were removed.
        """
        state = self.state
        stale = pruned = 0
        for output, trace in outputs:
            found = state.out.find(output, trace)
            if found is Found.LOST and trace.size is not None:
                state.drop_output(output)
            elif found is not Found.ALTERED:
                stale += 1
                if self.upkeep.prune:
                    (state.out / output).remove()
                    if state.out.local_path is not None:
                        thumbnails.remove_emptied(state.out.local_path, output)
                    state.drop_output(output)
                    self.removed(output)
                    pruned += 1
        return stale, pruned

    def write_report(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Bring ``boxes.csv`` up to date, and commit. Return False if ``stop`` said so meanwhile: the table is as it was then.

        Raises:
            OSError: if it cannot be written.
        """
        files = self.state.files
        self.state.commit()
        with suppress(_Stopped), _as_table_errors(self.state.out):
            write_table(_until(stop, rows_of(self.state.connection)), files.table, files.folder / "table.new")
            return True
        return False

    @contextmanager
    def _where_it_was(self) -> Iterator[None]:
        """Keep the word of where the photos were if the body raises."""
        try:
            yield
        except UsageError:
            self.state.keep_source()
            raise

    def remove_temporaries(self) -> None:
        """Remove half-written thumbnails of this run's killed workers; a bucket has none."""
        if self.mirror is None:
            label = self.shard.label if self.shard is not None else ""
            thumbnails.remove_temporaries(self.state.files.out, STATE_FOLDER, label)


@contextmanager
def open_session(
    out: Place,
    source: Place,
    settings: str,
    dry: bool = False,
    shard: Shard | None = None,
    upkeep: Upkeep = UPKEEP,
    given: ByHand = NOTHING_BY_HAND,
    goes_on: bool = False,
) -> Iterator[Session]:
    """Open the state of an output folder for one batch, and close it at the end, however that comes.

    Args:
        out: the folder OUT; made if it is not there.
        source: the folder IN.
        settings: all that decides the outputs, beside the photos, as text. What was made with another text is outdated.
        dry: whether the batch decides and makes no thumbnails.
        shard: the shard that the batch does; None for a batch without shards.
        upkeep: what the run may do with what is there.
        given: what is given by hand; it is remembered, unless the batch is dry.
        goes_on: whether this process follows a killed one of the same run.

    Raises:
        OutputError: if OUT or its state cannot be written, another run is at work there, or OUT is of another kind: holds a
            foreign ``boxes.csv``, is made in other shards, or is made with other settings and this is a dry run.
        UsageError: if OUT was made from another folder.
    """
    with (
        _scratch() if out.is_remote else nullcontext(os.fspath(out)) as folder,
        naming({Path(folder): out} if out.is_remote else {}),
    ):
        session = _begin(out, Path(folder), source, settings, dry, shard, upkeep, goes_on)
        session.is_listed = source.is_listed
        with _as_output_errors(out, session.state.files):
            try:
                session.handed.take(session.state.gifts, session.state.run)
                if given.forgets:
                    session.state.gifts.drop_all()
                session.state.gifts.add(given.rows, session.state.run, given.was_found)
                session.state.commit()
                _start(session)
                session.changes = session.state.connection.total_changes
                yield session
                if session.handed:
                    session.state.commit()
                    session.handed.leave()
            finally:
                _close(session, out)


def _scratch() -> AbstractContextManager[str]:
    from tempfile import TemporaryDirectory  # loads much that a run on this machine does not need

    return TemporaryDirectory(prefix="cropper-state-")


def _begin(
    out: Place, folder: Path, source: Place, settings: str, dry: bool, shard: Shard | None, upkeep: Upkeep, goes_on: bool
) -> Session:
    """Take the lock and open the state in a folder of this machine: OUT itself, or a scratch folder."""
    mirror = None
    if out.is_remote:
        from cropper.ledger import upload

        mirror = upload.fetch_state(bucket_place(out), folder, shard, dry)
    files = files_of(folder)

    def check() -> None:
        if (files.folder / SHARDS_FOLDER).exists():
            remedy = "run each with --shard, or end them first with 'cropper ledger merge OUT --finish'"
            raise OutputError("is made in shards", path=out, remedy=remedy)

    def opened(files: Files, prepare: Callable[[], None]) -> Session:
        taken = lock.take(files.lock, Path(out) if not out.is_remote else folder)
        try:
            prepare()
            with as_system_errors(files.database):
                state = _open(files, out, source, settings, dry, upkeep, goes_on)
                return Session(state, taken, mirror, shard, upkeep, TakenIn(files, dry))
        except BaseException:
            lock.release(taken, tidy=not taken.was_left)
            raise

    with writing_to(out):
        if shard is not None:
            from cropper.ledger.shards import begin_shard

            return opened(*begin_shard(folder, shard, out))
        if not files.database.exists():
            next(read_rows(files.table), None)  # refuses a foreign file before anything is touched
        return opened(files, check)


def _open(files: Files, out: Place, source: Place, settings: str, dry: bool, upkeep: Upkeep, goes_on: bool) -> State:
    migrate_if_old(files, out)
    state = State(files, out)
    try:
        earlier = state.source()
        if earlier is not None and state.knows_photos() and not upkeep.moved and not is_same_folder(source, earlier):
            remedy = f"choose another OUT, or give --moved if {source} is that folder, moved or renamed"
            raise UsageError(f"was made from the photos in {place(earlier)}", path=out, remedy=remedy)
        if dry and state.has_other_outputs(settings):
            raise OutputError("holds thumbnails made with other settings", path=out, remedy="choose another OUT for the dry run")
        state.begin(source.full_name(), settings, goes_on, dry)
    except BaseException:
        state.close()
        raise
    return state


def _start(session: Session) -> None:
    """Send what the beginning changed, or clean up after a killed run."""
    if session.mirror is not None:
        from cropper.ledger import upload

        upload.send_start(session.mirror, session.state)
    elif session.taken.was_left:
        session.remove_temporaries()


class _Stopped(Exception):  # noqa: N818
    """Somebody does not want the table any more that is being written."""


def _until(stop: Callable[[], bool], rows: Iterable[list[str]]) -> Iterator[list[str]]:
    for number, row in enumerate(rows):
        if number % 1000 == 999 and stop():
            raise _Stopped
        yield row


def _close(session: Session, out: Place) -> None:
    """Write the report, and close the state. A report that cannot be written costs nothing that is known."""
    state, tidy = session.state, False
    try:
        try:
            connection, table = state.connection, state.files.table
            has_changed = connection.total_changes != session.changes
            if session.shard is None and not has_changed and is_report_true(connection, state.last, table):
                keep_report(connection, state.run, table)
                state.settle()
            else:
                state.settle()
                if session.shard is None:
                    with _as_table_errors(out):
                        write_table(rows_of(connection), table, state.files.folder / "table.new")
                        sync_folder(state.files.out)
                    with savepoint(connection):
                        keep_report(connection, state.run, table)
        finally:
            state.end(leave_begun=session.abandoned)
        tidy = True
    finally:
        state.close()
        if not session.abandoned:
            lock.release(session.taken, tidy)
    if session.mirror is not None:
        from cropper.ledger import upload

        upload.send_end(session.mirror)


@contextmanager
def writing_to(out: Place | Path) -> Iterator[None]:
    """Turn system errors at the start of a run into an OutputError."""
    try:
        yield
    except OSError as error:
        reason = f"the output cannot be written ({error.strerror})"
        remedy = remedy_for(error, "choose another OUT or check its permissions")
        path = out if isinstance(out, Path) or not out.is_remote else None
        raise OutputError(reason, path=(error.filename or path) if path is not None else out, remedy=remedy) from error


@contextmanager
def _as_table_errors(out: Place) -> Iterator[None]:
    try:
        yield
    except IsADirectoryError as error:
        what = "is a folder, so the table of boxes cannot be written there; the thumbnails are made"
        raise OutputError(what, path=out / "boxes.csv", remedy="move it away and run again") from error


@contextmanager
def _as_output_errors(out: Place, files: Files) -> Iterator[None]:
    """Turn system errors of a batch under way into one about OUT."""
    try:
        with as_system_errors(files.database):
            yield
    except FileNotFoundError as error:
        raise OutputError("was removed or moved while the run went on", path=out, remedy="run again") from error
    except OSError as error:
        reason = f"the state cannot be written ({error.strerror})"
        raise OutputError(reason, path=out, remedy=remedy_for(error, RUN_AGAIN)) from error
