"""Photos that come one by one are called what a run over all of them calls them."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cropper.engine.names import Named, Names
from cropper.engine.plan import Plan, chosen_of
from cropper.engine.watching.folders import WatchedFolders, check_names
from cropper.errors import UsageError
from cropper.image_formats import extensions_here
from cropper.settings import XMP, Settings, Target
from cropper.storage.local import LocalPlace
from cropper.storage.places import join
from cropper.storage.walk import walk

SIZES = (Target((3, 2), (24, 16)), Target((3, 2), (48, 32)))
ASKED = (
    Settings(SIZES[:1]),
    Settings(SIZES, format="webp"),
    Settings(SIZES[:1], name="{folder}/x-{stem:.1}.{ext}"),
    Settings(SIZES, format="webp", name="{size}/{folder}/{stem}.{ext}"),
    Settings(SIZES[:1], name="{folder}/{hash}.{ext}"),
    Settings(SIZES[:1], format="webp", sidecar=XMP),
)
PATHS = (
    *("a.jpg", "a.png", "A.JPG", "a.jpeg", "ab.jpg", "a~2.jpg", "a.jpg.webp", "a.bmp", "r.nef", "r.jpg", "R.heic", "no.txt"),
    *("trip/a.jpg", "Trip/a.jpg", "trip/a.png", "TRIP/a.jpg", "A.jpg/b.jpg", "a.webp/b.jpg", "x-a.jpg/b.jpg", "boxes.csv/a.jpg"),
)
HASH = "01234567"
NUMBERS = count()


def files_of(named: Named) -> tuple[str, ...]:
    """What a photo's thumbnails and its sidecar are called."""
    return (*named.outputs(HASH), *filter(None, [named.sidecar]))


def of_a_run(plan: Plan) -> dict[str, tuple[str, ...]]:
    """What a run over all of IN calls the photos."""
    names, found = Names(plan.source, plan.out, plan.settings, plan.selection), {}
    for walked in plan.source.walk(extensions_here(), plan.out, plan.selection):
        folder, _ = chosen_of(walked, plan.raw)
        name_one = names.of(folder)
        found.update({join(folder.path, name): files_of(name_one(name)) for name in folder.wanted})
    return found


class Watched:
    """What photos are called as they come and go, with the walks that a watch does."""

    def __init__(self, plan: Plan) -> None:
        assert plan.source.local_path is not None
        self.plan, self.root, self.folders = plan, plan.source.local_path, WatchedFolders(plan)
        self.names = of_a_run(plan)

    def come(self, path: str) -> None:
        (self.root / path).parent.mkdir(exist_ok=True)
        (self.root / path).touch()
        if (named := self.folders.named(path)) is not None:
            self.names[path] = files_of(named)
        self.settle()

    def go(self, path: str) -> None:
        (self.root / path).unlink()
        self.folders.gone(path, self.names.pop(path, None) is not None)
        folder = path.rpartition("/")[0]
        if folder and not any((self.root / folder).iterdir()):
            (self.root / folder).rmdir()
            self.folders.gone(folder, False)
        self.settle()

    def settle(self) -> None:
        while self.folders.unsettled:
            start, deep = self.folders.unsettled.popitem()
            self.folders.forget(start)
            above = self.folders.above(start)
            if above is None:
                continue
            enters = (lambda path: True) if deep else (lambda path: False)
            for path in [path for path in self.names if path.rpartition("/")[0] == start or deep]:
                del self.names[path]
            for folder, laid, crowd in self.folders.walked(walk(self.root, extensions_here(), enters=enters, start=start), above):
                for name in folder.photos:
                    self.names[join(folder.path, name)] = files_of(self.folders.names.in_crowd(laid, name, crowd))


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.name or asked.format)
@given(steps=st.lists(st.sampled_from(PATHS), max_size=12), before=st.sets(st.sampled_from(PATHS), max_size=3))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_photos_that_come_one_by_one_are_called_as_in_a_run(
    tmp_path: Path, asked: Settings, steps: list[str], before: set[str]
) -> None:
    root = tmp_path / str(next(NUMBERS))
    root.mkdir()
    for path in before:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).touch()
    watched, there = Watched(Plan(LocalPlace(root), LocalPlace(tmp_path / "out"), asked)), {*before}
    for path in steps:  # the second time, it goes
        (watched.go if path in there else watched.come)(path)
        there ^= {path}
        assert watched.names == of_a_run(watched.plan)


def test_one_more_photo_costs_no_listing_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    asked = Settings(SIZES, name="{folder}/{stem}-{width}.{ext}")
    watched = Watched(Plan(LocalPlace(tmp_path / "in"), LocalPlace(tmp_path / "out"), asked))
    watched.come("a.jpg")
    monkeypatch.setattr(WatchedFolders, "_listed", lambda *arguments: pytest.fail("listed"))
    watched.come("b.jpg")
    watched.go("a.jpg")
    assert watched.names == {"b.jpg": ("b-24.jpg", "b-48.jpg")}


@pytest.mark.parametrize("name", ["{stem}.{ext}", "{hash}.{ext}", "{folder}-{stem}.{ext}"])
def test_names_that_need_a_look_at_all_of_in_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="look at all of IN"):
        check_names(Settings(SIZES[:1], name=name))
