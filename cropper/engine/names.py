"""Name the thumbnails of a plan's photos: by the default layout, or as a template says, no two alike.

Where two photos would have one name, none has it: each gets a hash of its path. So a name depends on what lies in IN alone, is
the same in every shard, and never goes over to another photo while the first is there. A template that leaves photos in their
folders is looked at folder by folder, as the default layout is; any other needs a walk of its own, before the first photo.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from cropper.image_formats import extensions_here
from cropper.ledger.table import TABLE_NAME
from cropper.settings import NO_SIDECAR, Settings
from cropper.storage.light import light_dataclass
from cropper.storage.local import LocalPlace
from cropper.storage.naming import (
    SIDECAR_FOLDER,
    alike,
    folder_in_out,
    folders_of,
    names_of,
    names_one_by_one,
    paths_of,
    sidecars_of,
)
from cropper.storage.patterns import Selection
from cropper.storage.places import Folder, Place, join
from cropper.storage.templates import Template, Words, template_of


@light_dataclass(frozen=True)
class Named:
    """Where the thumbnails of one photo go.

    Attributes:
        path: of the photo, relative to IN.
        fixed: relative to OUT, one a target, where that does not depend on the photo's content; else None.
        words: what a template says of the photo.
        template: the template.
        is_told_apart: whether another photo would have one of its names.
        sidecar: where its sidecar goes, relative to OUT; empty where none is asked for.
    """

    path: str
    fixed: tuple[str, ...] | None = None
    words: Words | None = None
    template: Template | None = None
    is_told_apart: bool = False
    sidecar: str = ""

    def outputs(self, hash: str) -> tuple[str, ...]:
        """Return where they go; ``hash`` is what {hash} says of the photo."""
        if self.fixed is not None:
            return self.fixed
        assert self.template is not None
        assert self.words is not None
        words = replace(self.words, hash=hash)
        if self.is_told_apart:
            return self.template.paths_told_apart(words, self.path)
        return self.template.paths(words)[0]


@dataclass(frozen=True)
class LaidOut:
    """A folder in the default layout.

    Attributes:
        path: relative to IN.
        here: where it goes, relative to OUT.
        names: what each photo in it is called there, by its name in IN.
        beside: and each folder in it.
        sidecars: what the sidecar of each photo is called; empty where none are asked for.
    """

    path: str
    here: str
    names: dict[str, str]
    beside: dict[str, str]
    sidecars: dict[str, str] = field(default_factory=dict)


@dataclass
class Layout:
    """The default layout, folder by folder in the order of a walk.

    Attributes:
        settings: what to make.
        renamed: folders with another name in OUT, by their paths in IN.
    """

    settings: Settings
    renamed: dict[str, str] = field(default_factory=dict)

    def of(self, folder: Folder) -> LaidOut:
        """Lay out a folder."""
        settings, format = self.settings, self.settings.format_for_names
        here = folder_in_out(folder.path, self.renamed) if folder.in_out is None else folder.in_out
        reserved = (TABLE_NAME,) if not here and (settings.name or settings.rows == 1) else ()
        beside = folders_of(folder.subfolders, folder.photos, format, reserved)
        self.renamed.update((join(folder.path, name), join(here, other)) for name, other in beside.items() if name != other)
        asks = settings.sidecar != NO_SIDECAR
        sidecars = sidecars_of(folder.photos, beside.values(), folder.in_pieces) if asks else {}
        if folder.in_pieces:
            return LaidOut(folder.path, here, names_one_by_one(folder.photos, format), beside, sidecars)
        return LaidOut(folder.path, here, names_of(folder.photos, format, beside.values()), beside, sidecars)


class Crowd:
    """How many photos of one folder a template gives each name, and the names of the folders beside them."""

    def __init__(self, folders: Iterable[str]) -> None:
        self.folders = {*map(alike, folders)}
        self._times: Counter[str] = Counter()

    def add(self, paths: Iterable[str]) -> None:
        """Add a photo, by where it would go, one a target."""
        self._times.update({*map(alike, paths)})

    def discard(self, paths: Iterable[str]) -> None:
        """Take a photo away again."""
        self._times.subtract({*map(alike, paths)})

    def holds_another(self, paths: Iterable[str]) -> bool:
        """Whether another photo than the one that goes there, which was added, or a folder has one of its names."""
        return any(self._times[alike(path)] > 1 or alike(os.path.basename(path)) in self.folders for path in paths)

    def names_times(self, paths: Iterable[str], times: int) -> bool:
        """Whether that many photos have one of these names."""
        return any(self._times[alike(path)] == times for path in paths)

    def is_crowded(self) -> bool:
        """Whether any photo has to be told apart from another one, or from a folder."""
        return any(count > 1 or (count and os.path.basename(path) in self.folders) for path, count in self._times.items())

    def names_folder(self, name: str) -> bool:
        """Whether a photo has the name of a folder."""
        return any(count and os.path.basename(path) == alike(name) for path, count in self._times.items())


class _Claims:
    """The photo that has a name to itself, for each name: in a file of its own, which goes with it, if there are many."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute("CREATE TABLE claim (name BLOB PRIMARY KEY, photo BLOB) WITHOUT ROWID")
        self._connection.execute("BEGIN")

    def add(self, names: Collection[str], photo: str | None) -> None:
        """Claim names for a photo, or for folders if that is None."""
        owner = _key(photo) if photo is not None else b""
        self._connection.executemany(
            "INSERT INTO claim VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET photo = NULL WHERE photo IS NOT excluded.photo",
            [(_key(alike(name)), owner) for name in names],
        )

    def are_of(self, names: Collection[str], photo: str) -> bool:
        """Whether a photo has all these names to itself."""
        find, owner = "SELECT 1 FROM claim WHERE name = ? AND photo = ?", _key(photo)
        return all(self._connection.execute(find, (_key(alike(name)), owner)).fetchone() is not None for name in names)


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Names:
    """Names the thumbnails of a run, folder by folder in the order of the walk.

    Args:
        source: the folder IN.
        out: the folder OUT.
        settings: what to make.
        selection: which files of IN to take.
        stop: says whether an interrupt has come.
        chosen: returns a folder of the walk with the photos alone that a run makes.
        photo_of: returns the photo that has a thumbnail in OUT already, by its path in IN, or None.

    Raises:
        UsageError: if the template of the settings cannot be one.
        KeyboardInterrupt: if ``stop`` says so.
        CropperError: if a bucket cannot be listed.
    """

    def __init__(
        self,
        source: Place,
        out: Place,
        settings: Settings,
        selection: Selection,
        stop: Callable[[], bool] = lambda: False,
        chosen: Callable[[Folder], Folder] = lambda folder: folder,
        photo_of: Callable[[str], str | None] = lambda output: None,
    ) -> None:
        self._settings, self._layout, self._claims = settings, Layout(settings), None
        self._photo_of = photo_of
        self._unlisted: list[str] = []  # folders whose photos nobody has seen
        targets = settings.targets[: settings.rows]  # where a photo gets one of them, names do not depend on which
        self.template = template_of(settings.name, targets, (TABLE_NAME,)) if settings.name else None
        if self.template is not None and not self.template.stays_in_folder:
            # All of IN, also for a list: its photos have the names that a run over all gives them.
            whole = LocalPlace(source.local_path) if source.is_listed and source.local_path is not None else source
            self._claims = self._claimed(self.template, map(chosen, whole.walk(extensions_here(), out, selection)), stop)

    @property
    def need_content(self) -> bool:
        """Whether names depend on the photos' content."""
        return self.template is not None and self.template.has_hash

    def of(self, folder: Folder) -> Callable[[str], Named]:
        """Return what names the photos of a folder that come in this run."""
        laid = self._layout.of(folder)
        crowd = None if self._claims is not None or folder.in_pieces else self.crowd_of(laid)

        def is_told_apart(photo: str, paths: Collection[str]) -> bool:
            assert self.template is not None
            if self._claims is not None:
                return folder.in_out is not None or not self._claims.are_of(paths, photo) or self._is_of_unlisted(paths)
            return crowd.holds_another(paths) if crowd is not None else not self.template.tells_photos_apart

        return lambda name: self._named(laid, name, is_told_apart)

    def crowd_of(self, laid: LaidOut) -> Crowd | None:
        """Return the names that the template gives in a folder; None without a template."""
        if self.template is None:
            return None
        crowd = Crowd(laid.beside.values())
        for name in laid.names:
            crowd.add(self.paths(laid, name))
        return crowd

    def paths(self, laid: LaidOut, name: str) -> tuple[str, ...]:
        """Return where the template would have a photo, one a target, but for its content and for others of one name."""
        assert self.template is not None
        return self.template.paths(_words(laid.here, laid.names[name]))[0]

    def in_crowd(self, laid: LaidOut, name: str, crowd: Crowd | None) -> Named:
        """Name one photo of a folder; ``crowd`` is what ``crowd_of`` gives for the folder."""
        return self._named(laid, name, lambda photo, paths: crowd is not None and crowd.holds_another(paths))

    def _named(self, laid: LaidOut, name: str, is_told_apart: Callable[[str, Collection[str]], bool]) -> Named:
        photo, template, settings = join(laid.path, name), self.template, self._settings
        sidecar = join(SIDECAR_FOLDER, join(laid.here, laid.sidecars[name])) if laid.sidecars else ""
        if template is None:
            return Named(photo, paths_of(settings.targets, laid.here, laid.names[name], settings.one), sidecar=sidecar)
        words = _words(laid.here, laid.names[name])
        paths, in_any_case = template.paths(words)
        one = Named(photo, None, words, template, is_told_apart(photo, paths) or in_any_case, sidecar)
        return one if template.has_hash else replace(one, fixed=one.outputs(""))

    def _is_of_unlisted(self, paths: Collection[str]) -> bool:
        """Whether a photo that could not be seen has one of these names, and may still be there."""
        owners = map(self._photo_of, paths) if self._unlisted else ()
        return any(owner is not None and owner.startswith(f"{folder}/") for owner in owners for folder in self._unlisted)

    def _claimed(self, template: Template, folders: Iterator[Folder], stop: Callable[[], bool]) -> _Claims:
        """Walk IN once, and see which photo has which name to itself."""
        claims, layout = _Claims(), Layout(self._settings)
        for folder in folders:
            if stop():
                raise KeyboardInterrupt
            if folder.error is not None:
                self._unlisted.append(folder.path)
            laid = layout.of(folder)
            above: set[str] = set()
            for name, one in laid.names.items():
                paths, in_any_case = template.paths(_words(laid.here, one))
                if not in_any_case:
                    claims.add(paths, join(folder.path, name))
                above.update(*map(_folders_above, paths))
            claims.add(above, None)
        return claims


def _words(folder: str, name: str) -> Words:
    stem, ext = os.path.splitext(name)
    return Words(folder, stem, ext.removeprefix("."))


def _folders_above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path
