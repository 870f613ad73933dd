"""What a watch is to look at, and when: the source of a pipeline that does not end."""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from cropper.engine.batch import check_still_there, record_finished
from cropper.engine.job import Done, Finished, Job
from cropper.engine.names import Named
from cropper.engine.pipeline import Pipeline
from cropper.engine.plan import FROM_THE_START, Photo, Plan, Resume, plan_photo, planned, read_digest, version_of
from cropper.engine.watching.asked_walks import AskedWalks
from cropper.engine.watching.due import QUIET, Due
from cropper.engine.watching.folders import WatchedFolders
from cropper.engine.watching.late_gifts import LateGifts
from cropper.engine.watching.rounds import Rounds
from cropper.errors import PhotoError, raise_if_for_all
from cropper.image_formats import extensions_here, name_of_kind, needs_of
from cropper.ledger.changes import is_still
from cropper.ledger.database import key_of_folder
from cropper.ledger.known import END
from cropper.ledger.session import Ending, Session
from cropper.ledger.table import FAILED
from cropper.settings import IGNORE_FILE
from cropper.storage.notices import Notices, Silence
from cropper.storage.patterns import Selection
from cropper.storage.places import Folder, Version, join
from cropper.storage.walk import walk
from cropper.storage.whole import ends_as_format

# Seconds without a change before the table is written, and the fewest from one table to the next. Tables take at most 1 / RARELY
# of the time.
CALM, BETWEEN_TABLES, RARELY = 1.0, 5.0, 50
# Seconds that photos in work have to finish once the watch is to stop.
TO_FINISH = 10.0
# After this many changes in a row, the system's queue may have overflowed.
STORM = 4096
# The most photos to prepare at once, and the most paths to look at for them.
_AHEAD, _AT_ONCE = 64, 256


class Watching:
    """What is to look at, and what is known. All of it belongs to the thread of the pipeline's coordinator."""

    def __init__(
        self,
        plan: Plan,
        session: Session,
        pipeline: Pipeline,
        notices: Notices | Silence,
        rounds: Rounds,
        selection: Selection,
        caught_up: Callable[[Ending], None],
    ) -> None:
        session.is_narrow = plan.selection.is_narrow
        self.plan, self.session, self.pipeline, self.notices, self.rounds = plan, session, pipeline, notices, rounds
        self.selection, self.stop, self.caught_up = selection, plan.stop, caught_up
        self.folders = WatchedFolders(plan)
        assert plan.source.local_path is not None
        self.root = Path(os.path.realpath(plan.source.local_path))
        self.number = 0  # of the next photo
        self.is_caught_up = self.is_withheld = self.was_woken = False
        self.stopped_at: float | None = None
        self.at_work: dict[str, Version | None] = {}  # photo -> as it was when it was planned
        self.again: set[str] = set()  # photos that changed while they were in work
        self.due = Due()
        self.gifts = LateGifts(session, lambda path: path in self.at_work or path in self.due or path in self.again)
        self.failures: dict[str, Version | None] = {}  # photo -> as it was when it failed
        self.ready: deque[Job | Finished] = deque()
        self.walks = AskedWalks()
        self.walk: Iterator[Job | Finished | None] | None = None
        self.came: set[str] = set()  # photos that were recorded while a walk goes on
        self.unlistable: set[str] = set()  # folders that were reported
        self.unread: set[str] = set()  # kinds of files that were
        self.changes = 0  # since it was calm
        self.last_change = self.next_table = 0.0
        self.is_table_old = self.is_unsaved = False

    # The source of the pipeline ------------------------------------------------------------------------------------------------

    def photos(self) -> Iterator[Job | Finished | None]:
        """Yield photos to make until the watch is to stop; None while there is none."""
        self.plan = replace(self.plan, resume=Resume(self._still_condemned()))
        for upcoming in planned(self.plan, self.session):
            if self.stop():
                return
            self.number = upcoming.number + 1
            self._take_in_work(upcoming)
            yield upcoming
        while self.at_work:
            if self.stop():
                return
            yield None
        self.plan = replace(self.plan, resume=FROM_THE_START)
        self.session.upkeep = replace(self.session.upkeep, force=False)  # else each walk would make all photos again
        ending = self.session.finish()
        self.session.write_report()
        self.is_caught_up = True
        self.rounds.plan(time.monotonic())
        self.caught_up(ending)
        while not self.stop():
            self.was_woken = False
            yield self._next()

    def _still_condemned(self) -> dict[str, PhotoError]:
        """Return the photos that killed a process of this watch, without those that came anew since and were made."""
        found = {}
        for path, error in self.plan.resume.condemned.items():
            known = self.session.state.look_up(path)
            is_made = known is not None and all(row.status != FAILED for row in known.change.rows)
            if not is_made or not is_still(known, self._version(path)):
                found[path] = error
        return found

    def is_late(self) -> bool:
        """Whether photos in work have had their time since the watch is to stop. Wakes the pipeline when something is due."""
        now = time.monotonic()
        if self.stop() and self.stopped_at is None:
            self.stopped_at = now
            self.pipeline.wake()
        elif self.is_caught_up and not self.was_woken and now >= self._next_due():
            self.was_woken = True
            self.pipeline.wake()
        return self.stopped_at is not None and now > self.stopped_at + TO_FINISH

    def record(self, finished: Finished) -> None:
        """Keep what became of a photo. Withhold it if the photo is as it was, or changed while it was in work."""
        done = finished.done
        before = self.at_work.pop(done.path, None) if done.rows else None
        self.is_withheld = self.is_caught_up and done.unchanged
        if done.path in self.again:
            self.again.discard(done.path)
            self.due.ask(done.path)
        if done.rows and done.error is not None:
            check_still_there(self.plan.source)
            now = self._version(done.path)
            if now != before:
                self.is_withheld = True
                self.due.ask(done.path)
                return
            self.failures[done.path] = now
        elif done.rows:
            self.failures.pop(done.path, None)
        self.unread.update(dict(done.kinds))
        record_finished(self.session, finished)
        if done.rows and not done.unchanged:
            self.is_table_old = self.is_unsaved = True
            self.last_change = time.monotonic()
            if self.walk is not None:
                self.came.add(done.path)

    def _take_in_work(self, upcoming: Job | Finished) -> None:
        if isinstance(upcoming, Job):
            self.at_work[upcoming.path] = self._version(upcoming.path)
        elif upcoming.done.rows:
            is_error = upcoming.done.error is not None
            self.at_work[upcoming.done.path] = self._version(upcoming.done.path) if is_error else None

    def _next(self) -> Job | Finished | None:
        """Return the next photo to make, those that changed before those that a walk finds."""
        now = time.monotonic()
        paths, lost = self.notices.take()
        self.changes += len(paths)
        if paths:
            self.last_change = now
        for path in paths:
            self.due.ask(path)
        if lost:
            self.walks.ask("", True, now)
        for path in self.gifts.taken(now):
            self.failures.pop(path, None)
            self.due.ask(path)
        if not self.ready:
            self._look(now)
            self._walk_on(now)
        if self.ready:
            return self.ready.popleft()
        self._keep_house(now)
        return None

    def _next_due(self) -> float:
        """When to look again, whatever the system says."""
        calm = self.last_change + CALM
        table = max(calm, self.next_table) if self.is_table_old else self.rounds.next
        storm = calm if self.changes > STORM else self.rounds.next
        times = self.rounds.next, self.gifts.next_look, self.due.soonest(), table, storm, self.walks.soonest()
        return min(times) if self.walk is None else 0.0

    # Paths ---------------------------------------------------------------------------------------------------------------------

    def _look(self, now: float) -> None:
        """Look at paths that are due, and get photos ready that are whole."""
        for _ in range(_AT_ONCE):
            if len(self.ready) >= _AHEAD or (path := self.due.next(now)) is None:
                break
            if path in self.at_work:
                self.again.add(path)
            elif (upcoming := self._seen_at(path, now)) is not None:
                self._take_in_work(upcoming)
                self.ready.append(upcoming)
        for folder, deep in self.folders.unsettled.items():
            self.walks.ask(folder, deep, now)
        self.folders.unsettled.clear()
        self.session.state.sync_begun()
        if self.due.soonest() <= now:
            self.pipeline.wake()

    def _seen_at(self, path: str, now: float) -> Job | Finished | None:
        """Look at a path; return the photo there if it is whole and needs work."""
        try:
            status = os.lstat(self.root / path)
        except (FileNotFoundError, NotADirectoryError):
            self._miss(path, now)
            return None
        except OSError:
            return None  # a walk reports it
        if path == IGNORE_FILE:
            if self._is_whole(path, status, now):
                self._use_patterns()
        elif stat.S_ISDIR(status.st_mode):
            # Files may have come into a new folder before the system was asked to tell of them: look now and later.
            self.walks.ask(path, True, now)
            self.walks.ask(path, True, now + QUIET, later=True)
        elif stat.S_ISLNK(status.st_mode):
            self.walks.ask(path.rpartition("/")[0], False, now)
        elif stat.S_ISREG(status.st_mode) and self.folders.may_be_photo(path):
            if self._is_whole(path, status, now) and (named := self.folders.named(path)) is not None:
                return self._planned(named)
        elif stat.S_ISREG(status.st_mode) and self.folders.may_be_counted(path):
            return self._unread(path, name_of_kind(path))
        return None

    def _unread(self, path: str, kind: str, number: int = 1) -> Finished | None:
        """Return a report about the first files of a kind that an extra would read."""
        if kind in self.unread or not needs_of(kind):
            return None
        self.unread.add(kind)
        self.number += 1
        return Finished(self.number - 1, Done(path, passed_over=number, kinds=((kind, number),)))

    def _planned(self, named: Named) -> Job | Finished | None:
        path = named.path
        if path in self.failures and self.failures[path] == self._version(path):
            return None
        known, photo = self.session.state.look_up(path), Photo(self.number, named, None)
        anew, need_content = self.session.upkeep.checksum, self.folders.names.need_content
        digest = read_digest(self.plan, photo, known, anew) if need_content else None
        upcoming = plan_photo(self.plan, self.session, photo, known, digest)
        if isinstance(upcoming, Finished) and upcoming.done.unchanged:
            return None
        self.number += 1
        return upcoming

    def _is_whole(self, path: str, status: os.stat_result, now: float) -> bool:
        """Whether nobody is writing to a file any more, as far as one can tell; else look at it again later."""
        ends_whole = path != IGNORE_FILE and ends_as_format(self.root, path)
        if time.time() - status.st_mtime >= QUIET or ends_whole:
            self.due.forget(path)
            return True
        return self.due.is_long_so(path, (status.st_size, status.st_mtime_ns), now)

    def _miss(self, path: str, now: float) -> None:
        """Forget a file or a folder that is gone, unless it soon comes back."""
        check_still_there(self.plan.source)
        if path == IGNORE_FILE:
            self._use_patterns()
            return
        if not self.rounds.is_same_folder():
            self.walks.ask("", True, now)
            return
        if not self.due.is_long_so(path, None, now):
            return
        known = self.session.state.look_up(path)
        self.folders.gone(path, known is not None)
        if known is not None:
            self.session.state.forget(path)
            self.session.let_go(known.change.written)
            self.failures.pop(path, None)
            self.is_table_old = self.is_unsaved = True
            self.last_change = now
            if self.walk is not None:
                self.came.discard(path)
        elif self.session.state.knows_below(path):
            self.walks.ask(path, True, now)

    def _use_patterns(self) -> None:
        """Read which photos are left out, and walk all of IN anew. Raises UsageError if a pattern is wrong, as a batch does."""
        self.plan = replace(self.plan, selection=self.selection.in_folder(self.plan.source))
        self.session.is_narrow = self.plan.selection.is_narrow
        self.folders = WatchedFolders(self.plan)
        self.walk = None
        self.walks.ask("", True, time.monotonic())

    def _version(self, path: str) -> Version | None:
        return version_of(self.plan.source, path)

    # Walks ---------------------------------------------------------------------------------------------------------------------

    def _walk_on(self, now: float) -> None:
        """Go on with the walk that is under way, or begin the next."""
        if self.walk is None:
            if (asked := self.walks.next(now)) is None:
                return
            self.walk = self._over(*asked)
        with self.rounds.timed():
            found = [*islice(self.walk, _AHEAD)]
        if len(found) < _AHEAD:
            self.walk = None
        self.session.state.sync_begun()
        self.ready.extend(one for one in found if one is not None)
        if self.walk is not None or self.walks.soonest() <= now:
            self.pipeline.wake()

    def _over(self, start: str, deep: bool) -> Iterator[Job | Finished | None]:
        """Walk a folder: yield what needs work and has not changed, and None from time to time; look at what has changed."""
        plan, state, changes = self.plan, self.session.state, self.session.state.connection.total_changes
        check_still_there(plan.source)
        if self.rounds.have_new_patterns():
            self.due.ask(IGNORE_FILE)
        self.folders.forget(start)
        above = self.folders.above(start) if start else self.folders.above("") or {}
        found: Iterator[Folder] = iter(())
        if above is not None:
            found = walk(self.root, extensions_here(), plan.out.local_path, plan.selection, lambda path: deep, start)
        elif os.path.lexists(self.root / start):  # a walk does not come there by itself
            if state.knows_below(start):
                self.walks.ask("", True, time.monotonic())
            return
        first = key_of_folder(start)
        state.read_again(first if deep else first + b"\1", first + (END if deep else b"\2"))
        self.session.unlisted.clear()
        self.came.clear()
        for folder, laid, crowd in self.folders.walked(found, above or {}):
            if folder.error is not None:
                raise_if_for_all(folder.error)
                self.session.unlisted.append(folder.path)
                if folder.path not in self.unlistable:
                    self.unlistable.add(folder.path)
                    self.number += 1
                    yield Finished(self.number - 1, Done(folder.path, error=folder.error))
            for kind, number in folder.kinds:
                yield self._unread(folder.path, kind, number)
            for name in folder.photos:
                path = join(folder.path, name)
                known = state.of(path)
                now = self._version(path)
                if path in self.came or path in self.at_work or path in self.due:
                    pass  # it is in hand
                elif path in self.failures and self.failures[path] == now:
                    pass  # it would fail again
                elif not is_still(known, now) and not os.path.islink(self.root / path):
                    self.due.ask(path)
                elif (upcoming := self._planned(self.folders.names.in_crowd(laid, name, crowd))) is not None:
                    self._take_in_work(upcoming)
                    yield upcoming
                yield None
        for path in self.rounds.away(state):
            self.due.ask(path)
        spared = {*self.came, *self.at_work, *self.due}
        if deep and not start:
            missing = self.session.finish(spared).missing
            self.rounds.plan(time.monotonic())
        else:
            missing = state.drop_missing(self.session.unlisted, spared)
            if missing and self.session.upkeep.prune:
                self.session.let_go(state.stale_outputs())
        self.is_table_old |= missing > 0
        self.is_unsaved |= state.connection.total_changes != changes

    # The house -----------------------------------------------------------------------------------------------------------------

    def _keep_house(self, now: float) -> None:
        """Do what can wait, once it is calm."""
        if now >= self.rounds.next:
            self.rounds.next = float("inf")
            self.walks.ask("", True, now)
            self.pipeline.wake()
        is_busy = bool(self.at_work or self.walk or self.ready)
        if is_busy or now < self.last_change + CALM:
            return
        if self.changes > STORM:
            self.walks.ask("", True, now)
            self.pipeline.wake()
        self.changes = 0
        if self.is_unsaved:
            if self.session.upkeep.prune:  # those of photos that are called otherwise since they changed
                self.session.let_go(self.session.state.stale_outputs())
            self.session.state.save()
            self.is_unsaved = False
        if self.is_table_old and now >= self.next_table:
            self.is_table_old = not self.session.write_report(lambda: self.pipeline.events.qsize() > 0 or self.stop())
            took = time.monotonic() - now
            self.next_table = now + max(BETWEEN_TABLES, RARELY * took)
