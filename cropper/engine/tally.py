"""Count the outcomes of a run's photos, and sum them up in one line."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from cropper.extras import install_command
from cropper.image_formats import EXTRA, FORMAT_OF, FORMATS, needs_of, titles
from cropper.ledger.table import SKIPPED
from cropper.settings import ALL_FRAMES
from cropper.storage.places import order

if TYPE_CHECKING:
    from cropper.engine.job import Done
    from cropper.ledger.session import Ending
    from cropper.ledger.table import Row
    from cropper.settings import Fit
    from cropper.storage.places import LeftOut

# What to do for an animation of which the first frame alone was made.
_ANIMATED = [one for one in FORMATS if one.animates]
KEEPS_FRAMES = f"--animated {ALL_FRAMES} keeps all frames; it writes {titles(_ANIMATED, 'or')}"


@dataclass
class LeftOutCounts:
    """What walks left out so far; the attributes are those of ``places.LeftOut``, with the number of folders of each system."""

    files: int = 0
    folders: int = 0
    links: int = 0
    of_systems: dict[str, int] = field(default_factory=dict)

    def add(self, one: LeftOut) -> None:
        """Count what a walk left out of one folder."""
        self.files += one.files
        self.folders += one.folders
        self.links += one.links
        for name in one.of_systems:
            self.of_systems[name] = self.of_systems.get(name, 0) + 1

    def parts(self) -> list[str]:
        """Say it, as parts of a line."""
        excluded = [_count(number, noun) for number, noun in ((self.files, "file"), (self.folders, "folder")) if number]
        parts = [f"{' and '.join(excluded)} excluded"] if excluded else []
        if self.of_systems:
            folders = _count(sum(self.of_systems.values()), "system folder")
            parts.append(f"{folders} left out ({', '.join(sorted(self.of_systems))})")
        if self.links:
            parts.append(f"{_count(self.links, 'link')} out of the folder not followed")
        return parts


class Outcome(Enum):
    """What became of a photo."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


def outcome_of(done: Done) -> Outcome:
    """Return what became of a photo, or of a folder that could not be listed."""
    if done.error is not None:
        return Outcome.FAILED
    if done.unchanged:
        return Outcome.UNCHANGED
    return Outcome.SKIPPED if all(row.status == SKIPPED for row in done.rows) else Outcome.CHANGED


def outcome_in_words(done: Done) -> str:
    """Say what became of a photo that did not fail: ``changed 640x360``, with the sizes of its thumbnails."""
    outcome = outcome_of(done)
    made = [row for row in done.rows if outcome is Outcome.CHANGED and row.status != SKIPPED]
    sizes = [f"{row.output_width}x{row.output_height}" if row.output_width else row.size for row in made]
    return " ".join([outcome.value, ", ".join(sizes)]).strip()


@dataclass
class Counts:
    """The outcomes of the photos so far, and how many bytes ``--report`` has of them: -1 if it cannot be written any more."""

    made: int = 0
    unchanged: int = 0
    failed: int = 0
    folders_failed: int = 0
    passed_over: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    developed: int = 0
    by_hand: int = 0
    outs: int = 0
    first_out: str = ""
    altered: int = 0
    same: int = 0
    skipped: int = 0
    smaller: int = 0
    first_frames: int = 0
    left_out: LeftOutCounts = field(default_factory=LeftOutCounts)
    fits: Counter[Fit] = field(default_factory=Counter)
    too_large: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    reported: int = 0

    def add(self, done: Done) -> None:
        """Count one photo, or the report about a folder."""
        if not done.rows:
            self._add_folder(done)
            return
        for fit in done.fits:
            self.fits[fit] += 1
        for row in done.rows:
            if row.message:
                self._add_message(row.message)
            if (ending := os.path.splitext(row.output)[1].lower()) in FORMAT_OF:
                self.formats[FORMAT_OF[ending]] += 1
        self.altered += done.altered
        self.same += done.same
        self.smaller += any(map(_is_smaller, done.rows))
        self.first_frames += done.first_frame_alone
        outcome = outcome_of(done)
        self.made += outcome is Outcome.CHANGED
        self.unchanged += outcome is Outcome.UNCHANGED
        self.skipped += outcome is Outcome.SKIPPED
        self.failed += outcome is Outcome.FAILED

    def _add_folder(self, done: Done) -> None:
        self.passed_over += done.passed_over
        self.left_out.add(done.left_out)
        self.kinds.update(dict(done.kinds))
        self.developed += done.developed
        if done.is_out:
            self.first_out = self.first_out or done.path
            self.outs += 1
        self.folders_failed += done.error is not None

    def _add_message(self, message: str) -> None:
        from cropper.choosing.decide import AND, is_by_hand
        from cropper.imaging.fitting import TOO_LARGE, without_reason

        self.by_hand += is_by_hand(message)
        self.too_large.update(without_reason(note) for note in message.split(AND) if note.startswith(TOO_LARGE))

    def until(self, done: Done) -> bytes:
        """Encode the counts up to a photo, and its place in the walk, for ``after``."""
        fits = {fit.value: count for fit, count in self.fits.items()}
        return json.dumps([{**vars(self), "fits": fits, "left_out": vars(self.left_out)}, place_in_walk(done)]).encode()

    @staticmethod
    def after(state: bytes) -> tuple[Counts, list[tuple[bool, str]] | None]:
        """Decode the counts of an earlier attempt and the place in the walk that they reach; None at the start."""
        from cropper.settings import Fit

        if not state:
            return Counts(), None
        counts, place = json.loads(state)
        fits = Counter({Fit(fit): count for fit, count in counts.pop("fits").items()})
        left_out = LeftOutCounts(**counts.pop("left_out"))
        kinds, too_large, formats = (Counter[str](counts.pop(name)) for name in ("kinds", "too_large", "formats"))
        counts = Counts(**counts, fits=fits, left_out=left_out, kinds=kinds, too_large=too_large, formats=formats)
        return counts, [(is_folder, name) for is_folder, name in place]

    @property
    def photos(self) -> int:
        """How many photos there were."""
        return self.made + self.unchanged + self.skipped + self.failed

    def totals(self, ending: Ending | None = None) -> dict[str, int | dict[str, int]]:
        """Return what ``summary`` says as numbers; ``ending`` is what a complete run found at its end."""
        from cropper.settings import DONE, Fit

        outcomes = {
            Outcome.CHANGED: self.made,
            Outcome.UNCHANGED: self.unchanged,
            Outcome.SKIPPED: self.skipped,
            Outcome.FAILED: self.failed,
        }
        return {
            "photos": self.photos,
            **{outcome.value: number for outcome, number in outcomes.items()},
            "by_hand": self.by_hand,
            "altered": self.altered,
            "same": self.same,
            "smaller": self.smaller,
            "too_large": sum(self.too_large.values()),
            "first_frames": self.first_frames,
            **{words.replace(" ", "_"): self.fits[fit] for fit, words in DONE.items() if fit is not Fit.SKIP},
            "stale": ending.stale if ending is not None else 0,
            "pruned": ending.pruned if ending is not None else 0,
            "missing": ending.missing if ending is not None else 0,
            "folders_failed": self.folders_failed,
            "passed_over": self.passed_over,
            "kinds_passed_over": dict(sorted(self.kinds.items())),
            "raw_beside_others": self.developed,
        }

    def summary(self, seconds: float, verb: str, ending: Ending | None = None) -> str:
        """Sum up the run in one line.

        Args:
            seconds: how long it took.
            verb: what became of photos that were not left as they were.
            ending: what a complete run found at its end.
        """
        from cropper.settings import DONE, Fit

        parts = [f"{self.made} {verb}", f"{self.unchanged} unchanged", f"{self.failed} failed"]
        if self.skipped:
            parts.insert(1, f"{self.skipped} skipped")
        line = f"{_count(self.photos, 'photo')}: {', '.join(parts)}"
        if self.by_hand:
            line += f"; {_count(self.by_hand, 'crop')} by hand"
        if self.altered:
            line += f"; {_count(self.altered, 'thumbnail')} that you changed {'is' if self.altered == 1 else 'are'} kept"
        if ending is not None and ending.pruned:
            line += f"; {_count(ending.pruned, 'old thumbnail')} removed"
        elif ending is not None and ending.stale:
            are, them = ("is", "it") if ending.stale == 1 else ("are", "them")
            line += f"; {_count(ending.stale, 'thumbnail')} {are} not needed any more: --prune removes {them}"
        if self.smaller:
            line += f"; {self.smaller} smaller than asked for (--enlarge enlarges them)"
        for what, number in sorted(self.too_large.items()):
            line += f"; {_count(number, 'thumbnail')} {'is' if number == 1 else 'are'} {what}"
        if self.first_frames:
            line += f"; only the first frame of {_count(self.first_frames, 'animation')} ({KEEPS_FRAMES})"
        no_good = [f"{self.fits[fit]} {words}" for fit, words in DONE.items() if self.fits[fit] and fit is not Fit.SKIP]
        if no_good:
            line += f"; where no crop is good: {', '.join(no_good)}"
        if self.folders_failed:
            line += f"; {_count(self.folders_failed, 'folder')} not read"
        if self.developed:
            line += f"; {_count(self.developed, 'RAW')} beside a JPEG or HEIC ignored (--raw all takes them)"
        line = "; ".join((line, *unread(self.kinds)))
        others = self.passed_over - self.kinds.total()
        if others:
            line += f"; {_count(others, 'other file')} ignored"
        line = "; ".join((line, *self.left_out.parts()))
        line += f"; {seconds:.1f} s"
        return f"{line}, {self.made / seconds:.0f} photos/s" if self.made else line


def _is_smaller(row: Row) -> bool:
    """Whether a thumbnail is smaller than the size asked for on both sides, for want of pixels."""
    width, _, height = row.size.partition("x")
    return bool(height and row.output_width) and int(row.output_width) < int(width) and int(row.output_height) < int(height)


def outs_left_out(first: str, outs: int) -> str:
    """Say in one line that the walk passed over folders which are the OUT of a run: the first one, and how many there are."""
    others = f", and so are {outs - 1} more such folders" if outs > 2 else ", and so is 1 more such folder" if outs == 2 else ""
    return f"{first}: left out, since it holds what 'cropper batch' made{others}"


def made_again(ending: Ending, verb: str) -> str:
    """Say in one line why photos that are as they were came again; nothing if none did, or that is not known.

    Args:
        ending: what the run found at its end.
        verb: what became of them.
    """
    number, changes = ending.outdated
    are = "is" if number == 1 else "are"
    return f"settings changed since the last run: {changes}; {_count(number, 'photo')} {are} {verb} again" if changes else ""


def unread(kinds: Counter[str]) -> list[str]:
    """Say what was not read and what would read it: ``512 HEIC photos need pip install ...``."""
    said = []
    extra = {kind: number for kind, number in kinds.items() if needs_of(kind)}
    if extra:
        verb = "needs" if sum(extra.values()) == 1 else "need"
        said.append(f"{_listed(extra, 'photo')} {verb} {install_command(EXTRA)}")
    never = {kind: number for kind, number in kinds.items() if kind not in extra}
    if never:
        said.append(f"{_listed(never, 'file')} ignored, which cropper does not read")
    return said


def _listed(kinds: dict[str, int], noun: str) -> str:
    """List counts of kinds, the most of them first: ``512 HEIC and 3 RAW photos``."""
    *first, last = (f"{number} {kind}" for kind, number in sorted(kinds.items(), key=lambda one: (-one[1], one[0])))
    ending = noun if sum(kinds.values()) == 1 else f"{noun}s"
    return f"{', '.join(first)} and {last} {ending}" if first else f"{last} {ending}"


def place_in_walk(done: Done) -> list[tuple[bool, str]]:
    """Return the key that sorts outcomes in the walk's order: the report about a folder comes before its photos."""
    if done.rows:
        return order(done.path)
    return [(True, name) for name in done.path.split("/") if name]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
