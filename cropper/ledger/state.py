"""What OUT remembers, in one SQLite file, ``OUT/.cropper/state.db``: photos as they were, the outputs that are ours, what was
decided, what a person gave by hand, and runs.

One run writes it, under the lock of OUT. Changes are committed about once a second: a run that is killed loses at most that much
of its work, and no truth. Before a thumbnail is written its name goes to a small file beside the state (``begun``), which a kill
leaves. So the next run knows that the file is ours, and looks closely at what a power failure left of it.

Photos are asked for in the order of the walk, and read page by page in that order, so memory does not grow with their number.
Paths are bytes there, because a name may hold bytes that are not UTF-8.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from cropper.ledger.begun import Begun, names_in
from cropper.ledger.changes import Change, Known
from cropper.ledger.database import Files, connect, decoded, encoded, key_of, key_of_folder, spare_unread
from cropper.ledger.focus_file import Gifts
from cropper.ledger.known import COLUMNS, END, FIRST, NAMES, PAGE, changes_in, trace_of
from cropper.ledger.table import FAILED, SKIPPED
from cropper.storage.atomic import sync_folder
from cropper.storage.naming import SIDECAR_ENDING, SIDECAR_FOLDER
from cropper.storage.places import Found, Place, Trace, Version, Whose

# Seconds between two commits.
COMMIT = 1.0

# Runs that are kept: one a minute for a day.
_MOST_RUNS = 1440

_DECIDE = f"INSERT INTO decision (photo, number, {', '.join(COLUMNS)}) VALUES (?, ?{', ?' * len(COLUMNS)})"
_STALE = f"""SELECT path, photo, bytes, modified_ns, digest, earlier FROM output WHERE stale AND path > ?
    ORDER BY path LIMIT {PAGE}"""
_FAILED = "SELECT 1 FROM decision WHERE photo = ? AND status = ?"
# What the settings of a dry run begin with.
_DRY = "dry "
# Sidecars stand in no decision: the index, made with the first of them, finds that of a photo.
_ARE_SIDECARS = f"path > CAST('{SIDECAR_FOLDER}/' AS BLOB) AND path < CAST('{SIDECAR_FOLDER}0' AS BLOB)"
_FIND_SIDECARS = f"CREATE INDEX IF NOT EXISTS sidecar ON output (photo) WHERE {_ARE_SIDECARS}"
_UNWRITTEN = "UPDATE output SET bytes = NULL WHERE path = ?"
_WRITE = """INSERT INTO output VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT (path) DO UPDATE SET photo = excluded.photo,
    bytes = excluded.bytes, modified_ns = excluded.modified_ns, digest = excluded.digest, stale = 0,
    earlier = CASE WHEN digest IS excluded.digest THEN earlier ELSE digest END"""


class State:
    """The state of an output folder, open for one run. ``begin`` comes first, ``end`` last.

    Args:
        files: where it lies; the folder is there, and its lock is ours.
        out: the folder OUT with the thumbnails.

    Attributes:
        gifts: what was given by hand.
        run, setting: the numbers of this run and of its settings.
        last: the number of the run before; of this one, if a killed process of it was there before.
        found: how many of the photos that were asked for were known.
    """

    def __init__(self, files: Files, out: Place) -> None:
        self.files, self.out = files, out
        self.connection = connect(files.database)
        self.gifts = Gifts(self.connection)
        self.run = self.last = self.setting = self.found = 0
        self._good: set[int] = set()  # the settings whose decisions are current
        self._begun: Begun | None = None
        self._is_settled = False
        self._photos: Iterator[tuple[bytes, Known]] = iter(())
        self._next: tuple[bytes, Known] | None = None

    # The run -------------------------------------------------------------------------------------------------------------------

    def begin(self, source: str, settings: str, goes_on: bool = False, dry: bool = False) -> None:
        """Begin a run, or go on with the last one after its process was killed.

        Args:
            source: the full name of IN.
            settings: all that decides the outputs, beside the photos, as text.
            goes_on: whether this process follows a killed one of the same run.
            dry: whether it makes no thumbnails. What it decides counts as made with settings of its own, so that a run that makes
                them does not take old ones for those. For itself, what such a run decided is as good.
        """
        execute = self.connection.execute
        if not self.connection.in_transaction:  # else the state is new, and its tables are made in the same one
            execute("BEGIN")
        self.use(settings)
        self._good = {self.setting}
        if dry:
            self.use(_DRY + settings)
            self._good.add(self.setting)
            self.gifts = self.gifts.copied()
        self._earlier = self.source()
        self.last, ended = execute("SELECT id, ended FROM run ORDER BY id DESC LIMIT 1").fetchone() or (0, 0.0)
        if goes_on and ended is None:
            self.run = self.last
        else:
            self.run = execute("INSERT INTO run (source, began) VALUES (?, ?)", (encoded(source), time.time())).lastrowid or 0
            execute("DELETE FROM run WHERE id <= ?", (self.run - _MOST_RUNS,))
        # On the disk, if there are many.
        execute("CREATE TEMP TABLE gone (photo BLOB PRIMARY KEY) WITHOUT ROWID")
        unrecorded, recorded = names_in(self.files.begun)
        self._adopt(unrecorded, self.last)
        self._look_closely(recorded)
        self.commit()
        self._begun = Begun(self.files.begun, self.files.out if not self.out.is_remote else None)
        self._sync_folders()
        self.read_again()

    def use(self, settings: str) -> None:
        """Record what follows as made with these settings."""
        self.connection.execute("INSERT OR IGNORE INTO setting (text) VALUES (?)", (settings,))
        ((self.setting,),) = self.connection.execute("SELECT id FROM setting WHERE text = ?", (settings,))

    def source(self) -> str | None:
        """Return the full name of the folder IN of the last run, or None if it is not known."""
        found = self.connection.execute("SELECT source FROM run ORDER BY id DESC LIMIT 1").fetchone()
        return decoded(found[0]) or None if found is not None else None

    def keep_source(self) -> None:
        """Let the folder IN of the run before be that of this one: this one had nothing to do with the photos."""
        if self._earlier is not None:
            self.connection.execute("UPDATE run SET source = ? WHERE id = ?", (encoded(self._earlier), self.run))

    def settings(self) -> str:
        """Return the settings of this run."""
        ((text,),) = self.connection.execute("SELECT text FROM setting WHERE id = ?", (self.setting,))
        return str(text)

    def knows(self, key: bytes) -> bool:
        """Whether the photo with a key is known."""
        return self.connection.execute("SELECT 1 FROM photo WHERE key = ?", (key,)).fetchone() is not None

    def knows_photos(self) -> bool:
        """Whether any photo is known."""
        return self.connection.execute("SELECT 1 FROM photo LIMIT 1").fetchone() is not None

    def has_other_outputs(self, settings: str) -> bool:
        """Whether there are thumbnails that were made with other settings."""
        found = """SELECT 1 FROM decision JOIN photo ON photo = key WHERE output IS NOT NULL
            AND COALESCE(setting, 0) NOT IN (SELECT id FROM setting WHERE text IN (?, ?)) LIMIT 1"""
        return self.connection.execute(found, (settings, _DRY + settings)).fetchone() is not None

    def commit(self) -> None:
        """Write all changes to the disk."""
        if self.connection.in_transaction:
            self.connection.execute("COMMIT")
        self.connection.execute("BEGIN")
        self._committed = time.monotonic()

    def save(self) -> None:
        """Write all changes to the disk, when it is calm: none may follow for long."""
        self.commit()
        if self._begun is not None:
            self._begun.mark()

    def settle(self) -> None:
        """Write all changes to the disk, and that the run has ended. Only what table it wrote may follow (``keep_report``)."""
        if not self.connection.in_transaction:  # an error has taken it back
            self.connection.execute("BEGIN")
        if self._begun is not None:
            self._adopt(self._begun.outputs())
        self.connection.execute("UPDATE run SET ended = ? WHERE id = ?", (time.time(), self.run))
        self.connection.execute("COMMIT")
        self._is_settled = True

    def end(self, leave_begun: bool = False) -> None:
        """End the run: ``settle`` it, if that is not done, and close the file.

        Args:
            leave_begun: whether workers may still write what they have begun. The next run looks for it then.
        """
        if not self._is_settled:
            self.settle()
        self.close()
        if self._begun is not None and not leave_begun:
            self._begun.end()

    def close(self) -> None:
        """Close the files. This loses what is not committed, as a kill does."""
        self.connection.close()
        if self._begun is not None:
            self._begun.close()

    def _sync_folders(self) -> None:
        """Write the names of the state's folders to the disk: a power failure that keeps thumbnails must not lose their state."""
        folder = self.files.folder
        sync_folder(folder)
        while folder != self.files.out:
            folder = folder.parent
            sync_folder(folder)
        sync_folder(folder.absolute().parent)

    # Photos --------------------------------------------------------------------------------------------------------------------

    def of(self, path: str) -> Known | None:
        """Return what is known of a photo.

        Each call asks for a later photo in the order of the walk than the one before. Photos in between are gone from IN.
        """
        if self._next is not None and self._next[1].change.path != path:
            self._pass(key_of(path))
        if self._next is None or self._next[1].change.path != path:
            return None
        known = self._next[1]
        self.found += 1
        self._next = next(self._photos, None)
        return known

    def _pass(self, end: bytes | None = None) -> None:
        """Note the photos before a key, or all that are left, as not asked for."""
        while self._next is not None and (end is None or self._next[0] < end):
            self.connection.execute("INSERT OR IGNORE INTO gone VALUES (?)", (self._next[0],))
            self._next = next(self._photos, None)

    def _read(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, Known]]:
        for key, change, setting, run in changes_in(self.connection, first, end):
            yield key, Known(change, setting in self._good, run == self.run)

    def read_again(self, first: bytes = FIRST, end: bytes = END) -> None:
        """Begin another walk: over all of IN, or over the photos with keys from ``first`` up to ``end``."""
        self.connection.execute("DELETE FROM gone")
        self.found = 0
        self._photos = self._read(first, end)
        self._next = next(self._photos, None)

    def look_up(self, path: str) -> Known | None:
        """Return what is known of a photo, in any order and beside a walk."""
        key = key_of(path)
        return next((known for _, known in self._read(key, key + b"\0")), None)

    def knows_below(self, folder: str) -> bool:
        """Whether a photo in a folder or below it is known."""
        return next(changes_in(self.connection, key_of_folder(folder), key_of_folder(folder) + END), None) is not None

    def forget(self, path: str) -> None:
        """Drop a photo that is gone. Its outputs stay ours."""
        self._forget_decisions("= ?", (key_of(path),))
        self.connection.execute("DELETE FROM photo WHERE key = ?", (key_of(path),))

    def record(self, change: Change) -> None:
        """Keep what became of a photo, and commit from time to time."""
        execute, version = self.connection.execute, change.version
        key = key_of(change.path)
        execute(
            "INSERT OR REPLACE INTO photo VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(key, encoded(change.path), version.size, version.modified_ns, version.changed_ns, version.version or None),
                *(change.digest or None, change.late or None, self.setting, self.run),
            ),
        )
        if execute("SELECT 1 FROM decision WHERE photo = ?", (key,)).fetchone() is not None:
            self._forget_decisions("= ?", (key,))
        new = {output for output, _ in change.written}
        for number, row in enumerate(change.rows):
            values = ((column, getattr(row, column) or None) for column in COLUMNS)
            texts = (encoded(value) if column in NAMES and value else value for column, value in values)
            execute(_DECIDE, (key, number, *texts))
            if row.output and row.output not in new:  # writing it says so too
                execute("UPDATE output SET stale = 0 WHERE path = ?", (encoded(row.output),))
        photo = encoded(change.path)
        if any(output.endswith(SIDECAR_ENDING) for output in new):
            execute(_FIND_SIDECARS)
        for output, trace in change.written:
            outside = trace.size, trace.modified_ns, trace.digest, trace.earlier or None
            execute(_WRITE, (encoded(output), photo, *outside))
        assert self._begun is not None
        self._begun.photos.pop(change.path, None)
        if time.monotonic() - self._committed > COMMIT:
            self.save()

    def _forget_decisions(self, which: str, values: tuple[bytes, ...] = ()) -> None:
        """Forget the decisions of some photos; their outputs stay ours, and have no photo."""
        execute = self.connection.execute
        execute(
            f"""UPDATE output SET stale = 1 WHERE path IN (SELECT output FROM decision WHERE photo {which})
            AND photo IN (SELECT path FROM photo WHERE key {which})""",  # another photo may have it by now
            (*values, *values),
        )
        of_photos = f"photo IN (SELECT path FROM photo WHERE key {which})"
        execute(f"UPDATE output SET stale = 1 WHERE {_ARE_SIDECARS} AND {of_photos}", values)
        execute(f"DELETE FROM decision WHERE photo {which}", values)

    def mark_interrupted(self, path: str) -> None:
        """Say in a photo's rows that it was begun again and not finished."""
        update = "UPDATE decision SET status = ?, message = ? WHERE photo = ?"
        self.connection.execute(update, (SKIPPED, b"interrupted", key_of(path)))

    def seen_again(self, path: str, version: Version) -> None:
        """Keep the version of a photo that is as it was, as far as its content tells."""
        if self._begun is not None:
            self._begun.photos.pop(path, None)
        update = "UPDATE photo SET size = ?, modified_ns = ?, changed_ns = ?, version = ? WHERE key = ?"
        values = version.size, version.modified_ns, version.changed_ns, version.version or None
        self.connection.execute(update, (*values, key_of(path)))

    def missing(self) -> list[str]:
        """Return the photos that were not asked for, at the end of a walk."""
        self._pass()
        find = "SELECT path FROM photo WHERE key IN (SELECT photo FROM gone)"
        return [decoded(path) for (path,) in self.connection.execute(find)]

    def drop_missing(self, unlisted: Iterable[str], spared: Iterable[str] = ()) -> int:
        """Drop the photos that were not asked for, at the end of a walk; return their number. Their outputs stay ours.

        Args:
            unlisted: folders that could not be listed, whose photos may well be there.
            spared: photos that came, or came again, while the walk went on.
        """
        self._pass()
        execute = self.connection.execute
        for folder in unlisted:
            first = key_of_folder(folder)
            execute("DELETE FROM gone WHERE photo >= ? AND photo < ?", (first, first + END))
        for path in spared:
            execute("DELETE FROM gone WHERE photo = ?", (key_of(path),))
        spare_unread(self.connection)
        self._forget_decisions("IN (SELECT photo FROM gone)")
        execute("DELETE FROM photo WHERE key IN (SELECT photo FROM gone)")
        return int(execute("SELECT COUNT(*) FROM gone").fetchone()[0])

    # Outputs -------------------------------------------------------------------------------------------------------------------

    def whose(self, output: str) -> Whose:
        """Say whose file lies where a thumbnail goes."""
        trace = self.trace(output)
        if trace is None:
            return Whose.UNKNOWN if self.out.is_taken(output) else Whose.OURS
        return Whose.ALTERED if self.out.find(output, trace) is Found.ALTERED else Whose.OURS

    def begin_photo(self, path: str, outputs: Iterable[str]) -> None:
        """Note that outputs, which are ours, are about to be written. They may be after ``sync_begun``."""
        assert self._begun is not None
        self._begun.note(path, outputs)

    def sync_begun(self) -> None:
        """Write to the disk which photos are begun."""
        assert self._begun is not None
        self._begun.sync()

    def touch(self, output: str, modified_ns: int) -> None:
        """Keep another time of an output with the same bytes."""
        self.connection.execute("UPDATE output SET modified_ns = ? WHERE path = ?", (modified_ns, encoded(output)))

    def stale_outputs(self) -> Iterator[tuple[str, Trace]]:
        """Yield the outputs that no photo has any more. You may call ``drop_output`` meanwhile.

        The outputs of a photo that failed since are not among them: it has no others.
        """
        after = b""
        while page := self.connection.execute(_STALE, (after,)).fetchall():
            for path, photo, size, modified_ns, digest, earlier in page:
                failed = self.connection.execute(_FAILED, (key_of(decoded(photo)), FAILED)).fetchone()
                if failed is None:
                    yield decoded(path), trace_of(size, modified_ns, digest, earlier)
            after = page[-1][0]

    def drop_output(self, output: str) -> None:
        """Forget that an output is ours."""
        self.connection.execute("DELETE FROM output WHERE path = ?", (encoded(output),))

    def trace(self, output: str) -> Trace | None:
        """Return what is known of an output; None if it is not ours."""
        find = "SELECT bytes, modified_ns, digest, earlier FROM output WHERE path = ?"
        found = self.connection.execute(find, (encoded(output),)).fetchone()
        return trace_of(*found) if found is not None else None

    def _adopt(self, begun: Iterable[str], killed: int = 0) -> None:
        """Keep outputs as ours that were begun and are not recorded, whatever was written of them.

        Args:
            begun: the outputs.
            killed: the number of the run that began them, if that was killed. What it has recorded is not among them.
        """
        for output in begun:
            trace = self.trace(output)
            if trace is None and self.out.is_taken(output):
                self.connection.execute("INSERT INTO output VALUES (?, x'', NULL, NULL, NULL, NULL, 1)", (encoded(output),))
            elif trace is not None and self._was_recorded(output, killed):
                self._look_closely([output])
            elif trace is not None and self.out.find(output, trace, closely=True) in (Found.ALTERED, Found.LOST):
                self.connection.execute(_UNWRITTEN, (encoded(output),))

    def _was_recorded(self, output: str, run: int) -> bool:
        """Whether a run has recorded the photo of an output."""
        find = "SELECT 1 FROM output o JOIN photo p ON p.path = o.photo AND p.run = ? WHERE o.path = ? AND p.key = ?"
        ((photo,),) = self.connection.execute("SELECT photo FROM output WHERE path = ?", (encoded(output),))
        return self.connection.execute(find, (run, encoded(output), key_of(decoded(photo)))).fetchone() is not None

    def _look_closely(self, recorded: Iterable[str]) -> None:
        """Let those outputs be made again that a power failure damaged after they were recorded. What a person changed stays."""
        for output in recorded:
            trace = self.trace(output)
            if trace is not None and self.out.find(output, trace, closely=True) is Found.LOST:
                self.connection.execute(_UNWRITTEN, (encoded(output),))
