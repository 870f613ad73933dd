"""Plan a batch: walk IN, name the outputs, and tell the photos that need work from those that are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count, islice, zip_longest
from typing import TYPE_CHECKING

from cropper.choosing.decide import is_by_hand
from cropper.choosing.focus import place_of
from cropper.engine.job import Done, Finished, Job
from cropper.engine.names import Named, Names
from cropper.engine.stages import foci_for
from cropper.engine.tasks import failed
from cropper.errors import PhotoError, raise_if_for_all
from cropper.image_formats import RAW_ALL, RAW_ALONE, beside_developed, extensions_here, output_format
from cropper.ledger.changes import Change, Known, is_still
from cropper.ledger.given import Given, given_for_all
from cropper.ledger.session import Session
from cropper.ledger.table import OK, SKIPPED, Row
from cropper.process.supervisor import took_too_long
from cropper.settings import Settings, Target
from cropper.storage.light import light_dataclass
from cropper.storage.naming import temporary_name
from cropper.storage.patterns import EVERYTHING, Selection
from cropper.storage.places import Folder, Found, Place, Version, Whose, digest_of, join, order
from cropper.storage.templates import hash_in_names

if TYPE_CHECKING:
    from cropper.ledger.shards import Shard

# Photos that are planned at once, and threads that read them from a storage where their names depend on their content.
_AHEAD, _READERS = 32, 16


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
    """What a batch is to make, and of which photos.

    Attributes:
        source: the folder IN, on this machine or in a bucket; nothing is ever written to it.
        out: the folder OUT; made if it is not there.
        settings: what to make.
        shard: the shard to do, beside runs that do the others; None for all photos.
        resume: what a killed process of the same run has left.
        deadline: seconds that the work on one photo may take, which the caller watches; 0 for no limit. A photo that is known
            to exceed it fails at once.
        selection: which files of IN to take. Photos that it leaves out count as gone.
        raw: which RAWs are made, one of ``image_formats.RAW_CHOICES``.
        stop: says whether an interrupt has come. It is called again and again.
    """

    source: Place
    out: Place
    settings: Settings
    shard: Shard | None = None
    resume: Resume = FROM_THE_START
    deadline: float = 0
    selection: Selection = EVERYTHING
    raw: str = RAW_ALONE
    stop: Callable[[], bool] = lambda: False


@light_dataclass(frozen=True)
class Photo:
    """A photo of the walk: its number, what names its thumbnails, and its version in the listing, if there is one."""

    number: int
    named: Named
    version: Version | None


def planned(plan: Plan, session: Session) -> Iterator[Job | Finished]:
    """Walk IN, and yield each photo as a job, or as finished if it needs no work; also folders with something to report.

    The names of a job's outputs are on the disk by then. They go there for many jobs at once: each time takes the disk a while.

    Raises:
        UsageError: if the template of names cannot be one.
        CropperError: if IN cannot be listed, or a folder in it for a reason that would meet every folder.
        KeyboardInterrupt: if the plan's ``stop`` says so before the first photo.
    """

    def chosen(folder: Folder) -> Folder:
        return chosen_of(folder, plan.raw)[0]

    names = Names(plan.source, plan.out, plan.settings, plan.selection, plan.stop, chosen, session.photo_of)
    found = _walked(plan, session, names)
    with ThreadPoolExecutor(_READERS if plan.source.is_remote else 1) as readers:
        while ahead := [*islice(found, _AHEAD)]:
            known = {one.number: session.state.of(one.named.path) for one in ahead if isinstance(one, Photo)}
            photos = [
                (one, known[one.number], readers.submit(read_digest, plan, one, known[one.number], session.upkeep.checksum))
                if isinstance(one, Photo) and names.need_content
                else (one, known.get(one.number), None)
                for one in ahead
            ]
            jobs = [
                plan_photo(plan, session, one, before, digest.result() if digest is not None else None)
                if isinstance(one, Photo)
                else one
                for one, before, digest in photos
            ]
            session.state.sync_begun()
            yield from jobs


def _walked(plan: Plan, session: Session, names: Names) -> Iterator[Photo | Finished]:
    numbers = count()
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
        name_one = names.of(folder)
        for name, version in zip_longest(folder.wanted, folder.versions):
            if plan.shard is None or plan.shard.holds(join(folder.path, name)):
                yield Photo(next(numbers), name_one(name), version)


def read_digest(plan: Plan, photo: Photo, known: Known | None, anew: bool) -> bytes | Exception:
    """Return the digest of a photo's content, from the state if that knows it, or why it cannot be read.

    Args:
        plan: of the run.
        photo: the photo.
        known: what the state holds of it.
        anew: whether to read it in any case.
    """
    path = photo.named.path
    try:
        now = photo.version or version_of(plan.source, path)
        if not anew and known is not None and known.change.digest and is_still(known, now):
            return known.change.digest
        return digest_of((plan.source / path).read(photo.version)[0])
    except Exception as error:
        return error


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


def plan_photo(
    plan: Plan, session: Session, photo: Photo, known: Known | None, digest: bytes | Exception | None
) -> Job | Finished:
    """Return a photo as a job, or as finished if nothing is to be done. ``sync_begun`` of the state comes before the job begins.

    Args:
        plan: of the run.
        session: its state.
        photo: the photo.
        known: what the state holds of it.
        digest: of its content, or why that cannot be read; None if names do not depend on it.
    """
    settings, path, number, version, state = plan.settings, photo.named.path, photo.number, photo.version, session.state
    gifts = state.gifts.of(path)
    given = given_for_all(gifts, settings)
    passed, condemned = plan.resume.passed, plan.resume.condemned.get(path)
    rows = known.change.rows if known is not None else ()
    if known is not None and known.by_this_run and passed is not None and order(path) <= passed:
        return Finished(number, Done(path, rows, unchanged=True))
    outputs = photo.named.outputs(hash_in_names(digest) if isinstance(digest, bytes) else "")
    is_written = not settings.dry_run and not isinstance(digest, Exception)
    if not is_written and known is not None and known.is_current and len(rows) == len(outputs):
        # Where they are, whatever the template says.
        outputs = tuple(row.output or output for row, output in zip(rows, outputs, strict=True))
    now = version or version_of(plan.source, path)
    unless: bytes | None = None
    if known is not None and not session.upkeep.force and condemned is None:
        still = is_still(known, now)
        if still and _is_too_slow(known.change, plan.deadline):
            condemned = took_too_long(plan.deadline)
        elif _is_decided(known, outputs, settings, given):
            altered = _altered(session, known.change, settings, photo.named.sidecar)
            if altered is not None and session.upkeep.checksum:
                unless = known.change.digest or None
            elif altered is not None and still and now is not None:
                if known.change.version != now:  # more is known of it now than then
                    state.seen_again(path, now)
                if gifts:
                    state.gifts.settle(path, (int(rows[0].image_width), int(rows[0].image_height)))
                return Finished(number, Done(path, rows, unchanged=True, altered=altered))
        elif still and not known.is_current and any(row.status == OK for row in rows):
            session.count_outdated(path)
    job = Job(
        number=number,
        path=path,
        file=plan.source / path,
        format=output_format(path, settings.format_for_names),
        outputs=outputs,
        known=rows,
        given=given,
        seen=version,
        unless=unless,
        digested=session.upkeep.checksum or digest is not None,
        named_for=digest if isinstance(digest, bytes) else None,
        temporary=temporary_name(number, plan.shard.label if plan.shard is not None else ""),
    )
    if condemned is not None:
        return failed(job, settings, condemned)
    if isinstance(digest, Exception):
        raise_if_for_all(digest)
        return failed(job, settings, digest)
    return job if settings.dry_run else _begun(job, photo.named.sidecar, session)


def _begun(job: Job, sidecar: str, session: Session) -> Job:
    """Return a job with whose its files are, and note those that are ours as begun. ``sidecar`` may be empty."""
    files = (*job.outputs, sidecar) if sidecar else job.outputs
    whose = tuple(map(session.state.whose, files))
    if session.upkeep.force:
        whose = tuple(Whose.OURS if one is Whose.ALTERED else one for one in whose)
    session.state.begin_photo(job.path, (file for file, one in zip(files, whose, strict=True) if one is Whose.OURS))
    of_sidecar = (sidecar, whose[-1]) if sidecar else None
    return replace(job, whose=whose[: len(job.outputs)], sidecar=of_sidecar)


def version_of(source: Place, path: str) -> Version | None:
    """Return the version of a photo in a folder as it is now; None if that cannot be told."""
    try:
        return source.version_of(path)
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


def _altered(session: Session, before: Change, settings: Settings, sidecar: str) -> int | None:
    """Return how many of a photo's files somebody changed since they were made; None if one of them is lost.

    Args:
        session: the state.
        before: what became of the photo.
        settings: what to make.
        sidecar: where its sidecar goes; empty for none.
    """
    altered = 0
    if sum(bool(row.output) for row in before.rows) != len(before.written):
        return None
    written = list(before.written)
    if sidecar and not settings.dry_run and any(row.status == OK for row in before.rows):
        trace = session.state.trace(sidecar)
        if trace is None:
            return None
        written.append((sidecar, trace))
    for output, trace in written:
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
        if (target.candidate or 1) > 1:  # what is given by hand is the first one, and has no others
            continue
        if one is None:  # as of nearly every photo: its size does not count
            if is_by_hand(row.message):
                return False
            continue
        image = int(row.image_width or 0), int(row.image_height or 0)
        (focus,) = foci_for((one,), image)
        if is_by_hand(row.message) != (focus is not None):
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
