"""The names in OUT of the photos that come into a folder one by one, as a walk over all of it would give them.

This module keeps the names of a folder, so that one more photo costs no listing of the others. Some names depend on each other:
those of ``a.png`` and ``a.gif`` as WebP, for example. Where such a photo comes or goes, a walk over the folder names all anew.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cropper.engine.names import Crowd, LaidOut, Layout, Named, Names
from cropper.engine.plan import Plan, chosen_of
from cropper.errors import UsageError, raise_if_for_all
from cropper.image_formats import EXTENSIONS_OF, RAW_ALL, extensions_here
from cropper.ledger.table import TABLE_NAME
from cropper.settings import NO_SIDECAR, Settings
from cropper.storage.naming import REVIEW_FOLDER, STATE_FOLDER, alike, is_product, name_beside, sidecars_of
from cropper.storage.places import Folder, join
from cropper.storage.templates import template_of
from cropper.storage.walk import walk

# Names of photos and folders that are kept at most, beside those of the folder in hand.
MOST_NAMES = 300_000


def check_names(settings: Settings) -> None:
    """Raise UsageError if names depend on more than the folder of a photo: each photo that comes would need a walk over IN."""
    template = template_of(settings.name, settings.targets[: settings.rows]) if settings.name else None
    if template is not None and not template.stays_in_folder:
        raise UsageError(
            "--flat and a --name without folders of its own need a look at all of IN for each photo that comes",
            remedy="begin --name with {folder}/, or run 'cropper batch' from time to time",
        )


@dataclass
class _Kept:
    """The names of one folder.

    Attributes:
        laid: what the default layout calls all that is in it.
        taken: what ``alike`` gives for these names, for those that they would have alone, and for that of the table at the top.
        crowd: the names that a template gives there; None without one.
        is_plain: whether no name of the default layout depends on another.
        raws: whether there are RAWs that are made or not as the photos beside them are.
    """

    laid: LaidOut
    taken: set[str]
    crowd: Crowd | None
    is_plain: bool
    raws: bool


class WatchedFolders:
    """Names photos that come one by one.

    Attributes:
        names: what names them.
        unsettled: folders in which a photo that came or went changes the names of others, so that a walk has to look at all
            photos there. True if the name of a folder changes too, and the walk has to look at the photos below.
    """

    def __init__(self, plan: Plan) -> None:
        local = plan.source.local_path
        assert local is not None
        self._plan, self._root, self._extensions = plan, local, extensions_here()
        self.names = Names(plan.source, plan.out, plan.settings, plan.selection)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self.unsettled: dict[str, bool] = {}

    def forget(self, folder: str) -> None:
        """Forget the names in a folder and below it."""
        for other in [other for other in self._kept if not folder or other == folder or other.startswith(f"{folder}/")]:
            del self._kept[other]

    def walked(self, folders: Iterable[Folder], above: Mapping[str, str]) -> Iterator[tuple[Folder, LaidOut, Crowd | None]]:
        """Yield the folders of a walk with the photos alone that a run makes, and their names.

        Args:
            folders: those of the walk, in its order.
            above: path -> name in OUT, of folders above the first one that have another name there.
        """
        layout = Layout(self._plan.settings, dict(above))
        for walked in folders:
            folder, _ = chosen_of(walked, self._plan.raw)
            laid = layout.of(folder)
            yield folder, laid, self.names.crowd_of(laid)

    def named(self, path: str) -> Named | None:
        """Return where the thumbnails of a photo go; None if a walk would not take the photo.

        Args:
            path: of a regular file below IN, by its real path there.
        """
        folder, _, name = path.rpartition("/")
        if not self.may_be_photo(path):
            return None
        kept = self._of(folder)
        if kept is not None and name not in kept.laid.names and not self._take_in(kept, name):
            kept = self._anew(folder)
        if kept is None or name not in kept.laid.names:
            return None
        return self.names.in_crowd(kept.laid, name, kept.crowd)

    def gone(self, path: str, was_photo: bool) -> None:
        """Take note that a known photo, or something else, is gone. Another photo may get a better name then."""
        folder, _, name = path.rpartition("/")
        self.forget(path)
        kept = self._kept.get(folder)
        if kept is not None and self._take_out(kept, name):
            return
        now = kept or self._of(folder)
        if now is None:
            return
        is_alike = alike(name) in map(alike, now.laid.beside)
        if kept is not None or was_photo or is_alike or now.crowd is not None:
            self._unsettle(folder, is_alike)
        if kept is not None:
            del self._kept[folder]

    def may_be_photo(self, path: str) -> bool:
        """Whether a walk would take a file of this path, if it takes the folder."""
        name = path.rpartition("/")[2]
        return os.path.splitext(name)[1].lower() in self._extensions and self.may_be_counted(path)

    def may_be_counted(self, path: str) -> bool:
        """Whether a walk would look at the kind of a file of this path, if it takes the folder."""
        folder, _, name = path.rpartition("/")
        is_named_so = not is_product(name) and name[0] != "."
        return is_named_so and folder.rpartition("/")[2] != REVIEW_FOLDER and self._plan.selection.takes_file(path)

    def above(self, folder: str) -> dict[str, str] | None:
        """Return what ``walked`` needs to begin with a folder; None if a walk of all of IN does not come there."""
        kept = self._of(folder)
        self.unsettled.pop(folder, None)
        if kept is None:
            return None
        return {folder: kept.laid.here} if kept.laid.here != folder else {}

    def _take_in(self, kept: _Kept, name: str) -> bool:
        """Name one more photo of a folder. Return False, with nothing done, if that changes what becomes of the others."""
        output = name_beside(name, self._plan.settings.format_for_names, kept.taken)
        if output is None or self._depends_on_others(kept, name):
            return False
        kept.laid.names[name] = output
        if kept.crowd is not None:
            paths = self.names.paths(kept.laid, name)
            if kept.crowd.names_times(paths, 1):  # the other one is told apart from now on
                del kept.laid.names[name]
                return False
            kept.crowd.add(paths)
        kept.taken.add(alike(output))
        if self._plan.settings.sidecar != NO_SIDECAR:
            kept.laid.sidecars.update(sidecars_of((name,)))
        return True

    def _take_out(self, kept: _Kept, name: str) -> bool:
        """Forget the name of a photo or a folder that is gone. Return False if that changes what becomes of others."""
        if not kept.is_plain or self._depends_on_others(kept, name):
            return False
        if name in kept.laid.beside:
            if kept.crowd is not None and kept.crowd.names_folder(name):
                return False
            output = kept.laid.beside.pop(name)
            kept.taken.discard(alike(output))
            if kept.crowd is not None:
                kept.crowd.folders.discard(alike(output))
        elif name in kept.laid.names:
            if kept.crowd is not None:
                paths = self.names.paths(kept.laid, name)
                if kept.crowd.names_times(paths, 2):
                    return False
                kept.crowd.discard(paths)
            kept.taken.discard(alike(kept.laid.names.pop(name)))
            kept.laid.sidecars.pop(name, None)
        return True

    def _depends_on_others(self, kept: _Kept, name: str) -> bool:
        """Whether a photo may decide, or others may, which of them are made: a RAW beside its JPEG is not."""
        return kept.raws or (self._plan.raw != RAW_ALL and _is_raw(name))

    def _anew(self, folder: str) -> _Kept | None:
        """Name all anew that is in a folder."""
        before = self._kept.pop(folder)
        after = self._of(folder)
        renamed = after is not None and any(after.laid.beside.get(name, to) != to for name, to in before.laid.beside.items())
        self._unsettle(folder, renamed)
        return after

    def _unsettle(self, folder: str, deep: bool = False) -> None:
        self.unsettled[folder] = self.unsettled.get(folder, False) or deep

    def _of(self, folder: str) -> _Kept | None:
        """Return the names of a folder; None if a walk does not come there, or by a link alone."""
        if (kept := self._kept.get(folder)) is not None:
            self._kept.move_to_end(folder)
            return kept
        renamed: dict[str, str] = {}
        if folder:
            above, _, name = folder.rpartition("/")
            parent = self._of(above)
            if parent is None or not self._comes_to(folder):
                return None
            if name not in parent.laid.beside:
                if alike(name) in parent.taken or (parent.crowd is not None and parent.crowd.names_folder(name)):
                    parent = self._anew(above)
                    if parent is None or name not in parent.laid.beside:
                        return None
                else:
                    parent.laid.beside[name] = name
                    parent.taken.add(alike(name))
                    if parent.crowd is not None:
                        parent.crowd.folders.add(alike(name))
            renamed = {folder: join(parent.laid.here, parent.laid.beside[name])}
        return self._listed(folder, renamed)

    def _listed(self, folder: str, renamed: dict[str, str]) -> _Kept | None:
        plan = self._plan
        folders = walk(self._root, self._extensions, plan.out.local_path, plan.selection, enters=lambda path: False, start=folder)
        listed = next(folders, None)
        if listed is None or listed.is_out:
            return None
        if listed.error is not None:
            raise_if_for_all(listed.error)
            return None
        ((_, laid, crowd),) = self.walked([listed], renamed)
        format = plan.settings.format_for_names
        wanted = {name: name_beside(name, format, ()) for name in laid.names}
        is_plain = wanted == laid.names and all(name == output for name, output in laid.beside.items())
        raws = plan.raw != RAW_ALL and any(map(_is_raw, listed.photos))
        if not is_plain or raws or (crowd is not None and crowd.is_crowded()):  # one of them may have come just now
            self._unsettle(folder, any(name != output for name, output in laid.beside.items()))
        names = (*laid.names.values(), *filter(None, wanted.values()), *laid.beside, *laid.beside.values())
        taken = {*map(alike, names), *([alike(TABLE_NAME)] if not laid.here else [])}
        kept = self._kept[folder] = _Kept(laid, taken, crowd, is_plain, raws)
        while len(self._kept) > 1 and sum(len(one.taken) for one in self._kept.values()) > MOST_NAMES:
            self._kept.popitem(last=False)
        return kept

    def _comes_to(self, folder: str) -> bool:
        """Whether a walk that comes to the folder above comes to this one, as itself."""
        path, selection = os.path.join(self._root, folder), self._plan.selection
        return (
            not folder.rpartition("/")[2].startswith(".")
            and not os.path.islink(path)
            and os.path.isdir(path)
            and not os.path.lexists(os.path.join(path, STATE_FOLDER))
            and not selection.system_folder(folder)
            and selection.takes_folder(folder)
        )


def _is_raw(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS_OF["RAW"]
