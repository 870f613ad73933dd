"""Plan a batch: walk IN, name the outputs, and tell the photos that need work from those that are done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count, islice, zip_longest

from cropper.choosing.decide import BY_HAND
from cropper.choosing.focus import place_of
from cropper.engine.job import Done, Finished, Job
from cropper.engine.tasks import failed, foci_for
from cropper.errors import PhotoError, raise_if_for_all
from cropper.image_formats import RAW_ALL, RAW_ALONE, beside_developed, extensions_here, output_format
from cropper.ledger.changes import Change, Known
from cropper.ledger.focus_file import Given, given_for_all
from cropper.ledger.session import Session
from cropper.ledger.shards import Shard
from cropper.ledger.table import OK, SKIPPED, TABLE_NAME, Row
from cropper.process.supervisor import took_too_long
from cropper.settings import Settings, Target
from cropper.storage.naming import folder_in_out, folders_of, names_of, names_one_by_one, paths_of, temporary_name
from cropper.storage.patterns import EVERYTHING, Selection
from cropper.storage.places import Folder, Found, Place, Version, Whose, join, order

# Photos that are planned at once.
_AHEAD = 32


@dataclass(frozen=True)
class Resume:
    """What a killed process of the same run has left for the next one.

    Attributes:
        condemned: photos that fail at once, by their paths in IN, and why.
        passed: the place in the walk (``places.order``) that the run had come to. Photos up to there that it recorded are not
            begun again, whatever became of them. None at the start.
    """

    condemned: Mapping[str, PhotoError] = field(default_factory=dict)
    passed: list[tuple[bool, str]] | None = None


FROM_THE_START = Resume()


@dataclass(frozen=True)
class Plan:
    """What a batch is to make.

    Attributes:
        source: the folder IN.
        out: the folder OUT.
        settings: what to make.
        shard: the shard to do; None for all photos.
        resume: what a killed process of the same run has left.
        deadline: seconds that the work on one photo may take; 0 for no limit.
        selection: which files of IN to take.
        raw: which RAWs are made, one of ``image_formats.RAW_CHOICES``.
    """

    source: Place
    out: Place
    settings: Settings
    shard: Shard | None = None
    resume: Resume = FROM_THE_START
    deadline: float = 0
    selection: Selection = EVERYTHING
    raw: str = RAW_ALONE


def planned(plan: Plan, session: Session) -> Iterator[Job | Finished]:
    """Walk IN, and yield each photo as a job, or as finished if it needs no work; also folders with something to report.

    The names of a job's outputs are on the disk by then. They go there for many jobs at once: each time takes the disk a while.

    Raises:
        CropperError: if IN cannot be listed, or a folder in it for a reason that would meet every folder.
    """
    photos = _walked(plan, session)
    while ahead := [*islice(photos, _AHEAD)]:
        session.state.sync_begun()
        yield from ahead


def _walked(plan: Plan, session: Session) -> Iterator[Job | Finished]:
    numbers = count()
    renamed: dict[str, str] = {}  # folders with another name in OUT
    for walked in plan.source.walk(extensions_here(), plan.out, plan.selection):
        if walked.error is not None:
            raise_if_for_all(walked.error)
            session.unlisted.append(walked.path)
        folder, developed = chosen_of(walked, plan.raw)
        report = Done(
            folder.path,
            error=folder.error,
            passed_over=folder.others,
            kinds=folder.kinds,
            developed=developed,
            is_out=folder.is_out,
            left_out=folder.left_out,
        )
        if report != Done(folder.path):
            yield Finished(next(numbers), report)
        here = folder_in_out(folder.path, renamed) if folder.in_out is None else folder.in_out
        format = plan.settings.format
        targets, one = plan.settings.targets, plan.settings.one
        reserved = (TABLE_NAME,) if paths_of(targets, here, TABLE_NAME, one) == (TABLE_NAME,) else ()
        beside = folders_of(folder.subfolders, folder.photos, format, reserved)
        renamed.update((join(folder.path, name), join(here, other)) for name, other in beside.items() if name != other)
        names = names_one_by_one(folder.photos, format) if folder.in_pieces else names_of(folder.photos, format, beside.values())
        for name, version in zip_longest(folder.wanted, folder.versions):
            path = join(folder.path, name)
            if plan.shard is None or plan.shard.holds(path):
                outputs = paths_of(targets, here, names[name], one)
                yield _planned(plan, session, next(numbers), path, outputs, version)


def chosen_of(folder: Folder, raw: str) -> tuple[Folder, int]:
    """Return a folder without the RAWs that have a JPEG or HEIC beside them, and how many of those that count are among them.

    They stay where ``raw`` asks for all of them, and those stay that the user listed.
    """
    left_out = beside_developed(folder.photos).difference(folder.named) if raw != RAW_ALL else frozenset[str]()
    if not left_out:
        return folder, 0
    kept = [n for n, name in enumerate(folder.photos) if name not in left_out]
    versions = tuple(folder.versions[n] for n in kept) if folder.versions else ()
    developed = len(left_out.intersection(folder.wanted))
    return replace(folder, photos=tuple(folder.photos[n] for n in kept), versions=versions), developed


def _planned(
    plan: Plan, session: Session, number: int, path: str, outputs: tuple[str, ...], version: Version | None
) -> Job | Finished:
    settings, file, state = plan.settings, plan.source / path, session.state
    known, gifts = state.of(path), state.gifts.of(path)
    given = given_for_all(gifts, settings)
    passed, condemned = plan.resume.passed, plan.resume.condemned.get(path)
    rows = known.change.rows if known is not None else ()
    if known is not None and known.by_this_run and passed is not None and order(path) <= passed:
        return Finished(number, Done(path, rows, unchanged=True))
    now = version or _version_of(file)
    unless: bytes | None = None
    if known is not None and not session.upkeep.force and condemned is None:
        still = now is not None and known.change.version.is_still(now)
        if still and _is_too_slow(known.change, plan.deadline):
            condemned = took_too_long(plan.deadline)
        elif _is_decided(known, outputs, settings, given):
            altered = _altered(session, known.change)
            if altered is not None and session.upkeep.checksum:
                unless = known.change.digest or None
            elif altered is not None and still and now is not None:
                if known.change.version != now:  # more is known of it now than then
                    state.seen_again(path, now)
                if gifts:
                    state.gifts.settle(path, (int(rows[0].image_width), int(rows[0].image_height)))
                return Finished(number, Done(path, rows, unchanged=True, altered=altered))
    job = Job(
        number=number,
        path=path,
        file=file,
        format=output_format(path, settings.format),
        outputs=outputs,
        known=rows,
        given=given,
        seen=version,
        unless=unless,
        digested=session.upkeep.checksum,
        temporary=temporary_name(number, plan.shard.label if plan.shard is not None else ""),
    )
    if condemned is not None:
        return failed(job, settings, condemned)
    if settings.dry_run:
        return job
    whose = tuple(map(state.whose, outputs))
    if session.upkeep.force:
        whose = tuple(Whose.OURS if one is Whose.ALTERED else one for one in whose)
    state.begin_photo(path, (output for output, one in zip(outputs, whose, strict=True) if one is Whose.OURS))
    return replace(job, whose=whose)


def _version_of(file: Place) -> Version | None:
    try:
        return file.version_now()
    except OSError:
        return None


def _is_too_slow(before: Change, deadline: float) -> bool:
    """Whether a photo exceeded a deadline that was no shorter."""
    return 0 < deadline <= before.late


def _is_decided(known: Known, outputs: tuple[str, ...], settings: Settings, given: tuple[Given | None, ...]) -> bool:
    """Whether an earlier run with these settings came to an end with a photo, and nothing else is given by hand since.

    Args:
        known: what is known of the photo.
        outputs: where its thumbnails go.
        settings: what to make.
        given: what is given by hand, or None, one per target.
    """
    rows = known.change.rows
    if not known.is_current or len(rows) != len(outputs):
        return False
    for row, output in zip(rows, outputs, strict=True):
        is_made = row.status == OK and (row.output == output or (settings.dry_run and not row.output))
        if not is_made and not (row.status == SKIPPED and not row.output):
            return False
    if not settings.one:
        return _as_given(rows, settings.targets, given)
    (row,) = rows
    foci = foci_for(given, (int(row.image_width or 0), int(row.image_height or 0)))
    given_too = any(focus is not None for focus in foci)
    for number, target in enumerate(settings.targets):
        if target.label == row.size and (foci[number] is not None or not given_too):
            return _as_given(rows, (target,), (given[number],))
    return False


def _altered(session: Session, before: Change) -> int | None:
    """Return how many of a photo's thumbnails somebody changed since they were made; None if one of them is lost."""
    altered = 0
    if sum(bool(row.output) for row in before.rows) != len(before.written):
        return None
    for output, trace in before.written:
        found = session.state.out.find(output, trace)
        if found is Found.LOST:
            return None
        if found is Found.MOVED:
            session.state.touch(output, session.state.out.modified_ns(output))
        altered += found is Found.ALTERED
    return altered


def _as_given(rows: tuple[Row, ...], targets: tuple[Target, ...], given: tuple[Given | None, ...]) -> bool:
    """Whether each row of a photo, one a target, holds what is given by hand, or the model's choice if nothing is given."""
    for row, target, one in zip(rows, targets, given, strict=True):
        image = int(row.image_width or 0), int(row.image_height or 0)
        (focus,) = foci_for((one,), image)
        if (row.message == BY_HAND) != (focus is not None):
            return False
        if focus is not None:
            try:
                wanted = place_of(focus, *image, target.aspect)
            except PhotoError:
                return False
            place, point = (row.x, row.y, row.width, row.height), (row.focus_x, row.focus_y)
            if wanted != tuple(tuple(int(number) for number in numbers) for numbers in (place, point)):
                return False
    return True
