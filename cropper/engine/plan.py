"""Plan a batch: walk IN, name the outputs, and tell the photos that need work from those that are done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, zip_longest

from cropper.choosing.decide import BY_HAND
from cropper.choosing.focus import Focus, place_of
from cropper.engine.job import Done, Finished, Job
from cropper.engine.tasks import failed
from cropper.errors import PhotoError, raise_if_for_all
from cropper.image_formats import PHOTO_EXTENSIONS, output_format
from cropper.ledger.focus_file import Given, focus_for
from cropper.ledger.session import Session
from cropper.ledger.shards import Shard
from cropper.ledger.state import TABLE_NAME
from cropper.ledger.table import OK, Row
from cropper.settings import Settings, Target
from cropper.storage.naming import folder_in_out, folders_of, names_of, names_one_by_one, paths_of, temporary_name
from cropper.storage.places import Place, Version, join, order


@dataclass(frozen=True)
class Resume:
    """What a killed process of the same run has left for the next one.

    Attributes:
        condemned: photos that fail at once, by their paths in IN, and why.
        passed: the place in the walk (``places.order``) that the run had come to. Photos up to there that have rows are not begun
            again, whatever became of them. None at the start.
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
        given: what the user gives by hand, by the photos' paths in IN.
        shard: the shard to do; None for all photos.
        resume: what a killed process of the same run has left.
    """

    source: Place
    out: Place
    settings: Settings
    given: Given = field(default_factory=dict)
    shard: Shard | None = None
    resume: Resume = FROM_THE_START


def planned(plan: Plan, session: Session) -> Iterator[Job | Finished]:
    """Walk IN, and yield each photo as a job, or as finished if it needs no work; also folders with something to report.

    Raises:
        CropperError: if IN cannot be listed, or a folder in it for a reason that would meet every folder.
    """
    numbers = count()
    renamed: dict[str, str] = {}  # folders with another name in OUT
    for folder in plan.source.walk(PHOTO_EXTENSIONS, leave_out=plan.out):
        if folder.error is not None:
            raise_if_for_all(folder.error)
        if folder.error is not None or folder.others or folder.is_out:
            report = Done(folder.path, error=folder.error, passed_over=folder.others, is_out=folder.is_out)
            yield Finished(next(numbers), report)
        here, format = folder_in_out(folder.path, renamed), plan.settings.format
        reserved = (TABLE_NAME,) if paths_of(plan.settings.targets, here, TABLE_NAME) == (TABLE_NAME,) else ()
        beside = folders_of(folder.subfolders, folder.photos, format, reserved)
        renamed.update((join(folder.path, name), join(here, other)) for name, other in beside.items() if name != other)
        names = names_one_by_one(folder.photos, format) if folder.in_pieces else names_of(folder.photos, format, beside.values())
        for name, version in zip_longest(folder.photos, folder.versions):
            path = join(folder.path, name)
            if plan.shard is None or plan.shard.holds(path):
                outputs = paths_of(plan.settings.targets, here, names[name])
                yield _planned(plan, session, next(numbers), path, outputs, version)


def _planned(
    plan: Plan, session: Session, number: int, path: str, outputs: tuple[str, ...], version: Version | None
) -> Job | Finished:
    settings, file = plan.settings, plan.source / path
    known, outdated = session.known(path), session.outdated(path)
    foci = tuple(focus_for(plan.given, path, target.label) for target in settings.targets)
    passed = plan.resume.passed
    was_left = passed is not None and session.loses_no_rows and bool(known) and order(path) <= passed
    if was_left or (_is_done(file, version, plan.out, outputs, known) and _as_given(known, settings.targets, foci)):
        return Finished(number, Done(path, known, unchanged=True))
    job = Job(
        number=number,
        path=path,
        file=file,
        format=output_format(path, settings.format),
        outputs=outputs,
        known=known,
        ours=frozenset(row.output for row in (*known, *outdated) if row.output),
        given=foci,
        seen=version,
        temporary=temporary_name(number, plan.shard.label if plan.shard is not None else ""),
    )
    return failed(job, settings, plan.resume.condemned[path]) if path in plan.resume.condemned else job


def _is_done(file: Place, version: Version | None, out: Place, outputs: tuple[str, ...], known: tuple[Row, ...]) -> bool:
    """Whether an earlier run with these settings made these outputs, and neither they nor the photo changed since.

    Args:
        file: the photo.
        version: its version in the listing, if the listing gives one.
        out: the folder OUT.
        outputs: where the photo's thumbnails go.
        known: the photo's rows in the ledger.
    """
    if [(row.status, row.output) for row in known] != [(OK, output) for output in outputs]:
        return False
    try:
        version = version or file.version_now()
    except OSError:
        return False
    return out.are_up_to_date(outputs, [row.version for row in known], version)


def _as_given(known: tuple[Row, ...], targets: tuple[Target, ...], foci: tuple[Focus | None, ...]) -> bool:
    """Whether each row of a photo, one a target, holds what the user gave by hand, or the model's choice if nothing is given."""
    for row, target, given in zip(known, targets, foci, strict=True):
        if (row.message == BY_HAND) != (given is not None):
            return False
        if given is not None:
            try:
                wanted = place_of(given, int(row.image_width), int(row.image_height), target.aspect)
            except PhotoError:
                return False
            place, point = (row.x, row.y, row.width, row.height), (row.focus_x, row.focus_y)
            if wanted != tuple(tuple(int(number) for number in numbers) for numbers in (place, point)):
                return False
    return True
