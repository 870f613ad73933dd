"""Names from templates in whole runs: right files, one for each photo, the same in shards, buckets, lists and later runs."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import pytest
from fixtures import Command, MakePhoto, imread
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import run_batch

from cropper import PhotoError
from cropper.engine.job import Done
from cropper.engine.names import Names
from cropper.ledger.shards import Shard, merge_shards
from cropper.settings import Settings, Target, Upkeep
from cropper.storage.access import place
from cropper.storage.listed import listed
from cropper.storage.local import LocalPlace
from cropper.storage.naming import alike
from cropper.storage.patterns import EVERYTHING, Patterns, Selection
from cropper.storage.places import Folder, Place

pytestmark = pytest.mark.usefixtures("plain_rule")
SIZE, LARGER, SQUARE = Target((3, 2), (24, 16)), Target((3, 2), (48, 32)), Target((1, 1))
FLAT = "{stem}-{width}w.{ext}"


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    """Two photos of one name in two folders, two that differ in case alone, and two of one stem."""
    names = ("lake.jpg", "a/lake.jpg", "a/wood.jpg", "b/Wood.jpg", "b/c/sea.png", "b/c/sea.jpg", "b/c/fig.gif.png")
    for seed, name in enumerate(names):
        make_photo(tmp_path / "in" / name, seed=seed)
    (tmp_path / "in/broken.jpg").write_bytes(b"no photo")
    return tmp_path / "in"


def process(
    source: Path | Place,
    out: Path | Place,
    name: str,
    *targets: Target,
    shard: Shard | None = None,
    upkeep: dict[str, bool] | None = None,
    **others: Any,
) -> dict[str, str]:
    """Make the thumbnails; what became of each photo."""
    asked = Settings(targets or (SIZE,), name=name, **others)
    done = [*run_batch(source, out, asked, 2, shard=shard, upkeep=Upkeep(**(upkeep or {})))]
    return {one.path: _outcome(one) for one in done if one.rows}


def _outcome(done: Done) -> str:
    return "failed" if done.error else "unchanged" if done.unchanged else "made"


def tree(out: Path) -> dict[str, bytes]:
    files = (path for path in out.rglob("*") if path.is_file() and ".cropper" not in path.parts)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def outputs(out: Path) -> dict[str, list[str]]:
    """The outputs of each photo, by the table; each is there, shows its photo, and has the size that the table says."""
    found: dict[str, list[str]] = {}
    with (out / "boxes.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["path"], []).append(row["output"])
            if row["output"]:
                height, width, _ = imread(str(out / row["output"])).shape
                assert (str(width), str(height)) == (row["output_width"], row["output_height"])
    given = [output for several in found.values() for output in several if output]
    assert len({*map(alike, given)}) == len(given)
    assert {*given} <= {*tree(out)}
    return found


@pytest.mark.parametrize(
    ("name", "targets"), [("{folder}/{stem}.{ext}", (SIZE,)), ("{size}/{folder}/{stem}.{ext}", (SIZE, SQUARE))]
)
def test_the_default_layout_is_a_template(photos: Path, tmp_path: Path, name: str, targets: tuple[Target, ...]) -> None:
    for format in ("keep", "webp"):
        process(photos, tmp_path / f"{format}-out", "", *targets, format=format)
        process(photos, tmp_path / f"{format}-named", name, *targets, format=format)
        assert tree(tmp_path / f"{format}-named") == tree(tmp_path / f"{format}-out")
        # The state knows that too: nothing is to be done.
        assert "made" not in process(photos, tmp_path / f"{format}-out", name, *targets, format=format).values()


def test_photos_whose_names_collide_are_told_apart_and_keep_their_names(
    photos: Path, tmp_path: Path, make_photo: MakePhoto
) -> None:
    out = tmp_path / "out"
    assert process(photos, out, FLAT, SIZE, LARGER)["broken.jpg"] == "failed"
    first = outputs(out)
    assert first["b/c/sea.png"] == ["sea-24w.png", "sea-48w.png"]
    assert first["b/c/sea.jpg"] == ["sea-24w.jpg", "sea-48w.jpg"]
    for path in ("lake.jpg", "a/lake.jpg", "a/wood.jpg", "b/Wood.jpg"):
        stem = Path(path).stem
        assert [output.startswith(f"{stem}-{width}w~") for output, width in zip(first[path], (24, 48), strict=True)] == [True] * 2
        assert len({output.rpartition("~")[2] for output in first[path]}) == 1  # one hash for all its files
    assert "made" not in process(photos, out, FLAT, SIZE, LARGER).values()
    # One more of the name takes nothing from the others.
    make_photo(photos / "0/lake.jpg", seed=50)
    assert [path for path, what in process(photos, out, FLAT, SIZE, LARGER).items() if what == "made"] == ["0/lake.jpg"]
    assert {path: found for path, found in outputs(out).items() if path != "0/lake.jpg"} == first
    # The last one of the name has it alone.
    for path in ("0/lake.jpg", "a/lake.jpg"):
        (photos / path).unlink()
    process(photos, out, FLAT, SIZE, LARGER, upkeep={"prune": True})
    assert outputs(out)["lake.jpg"] == ["lake-24w.jpg", "lake-48w.jpg"]
    assert len(tree(out)) == 1 + 2 * 6


@pytest.mark.parametrize(
    "name", [FLAT, "{folder}/{stem:.1}.{width}.{ext}", "{stem:.1}/{folder}/{width}.{ext}", "{size}.{hash:.1}.{ext}"]
)
def test_shards_name_as_one_run_does(photos: Path, tmp_path: Path, name: str) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    process(photos, whole, name, SIZE, LARGER)
    outputs(whole)
    for number in (1, 2, 3):
        process(photos, parts, name, SIZE, LARGER, shard=Shard(number, 3))
    merge_shards(parts, finish=True)
    assert tree(parts) == tree(whole)
    assert "made" not in process(photos, parts, name, SIZE, LARGER).values()


@pytest.mark.parametrize(
    "name", [FLAT, "{folder}/{stem}-{width}.{ext}", "{folder}/{stem}{hash}{width:>9}.{ext}", "{hash:.2}.{width}.{ext}"]
)
def test_a_bucket_has_the_same_tree(photos: Path, tmp_path: Path, name: str) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    for path in photos.rglob("*.*"):
        memory.pipe_file(f"/in/{path.relative_to(photos).as_posix()}", path.read_bytes())
    process(photos, tmp_path / "out", name, SIZE, LARGER)
    for source, out in (("memory://in", tmp_path / "other"), ("memory://in", "memory://out")):
        process(place(str(source)), place(str(out)), name, SIZE, LARGER)
        assert "made" not in process(place(str(source)), place(str(out)), name, SIZE, LARGER).values()
    assert tree(tmp_path / "other") == tree(tmp_path / "out")
    found = {path.removeprefix("/out/"): memory.cat_file(path) for path in memory.find("/out")}
    assert {path: data for path, data in found.items() if not path.startswith(".cropper")} == tree(tmp_path / "out")
    memory.store.clear()


@pytest.mark.parametrize("name", [FLAT, "{folder}/{stem}{width}.{ext}", "{folder}/{stem:.1}-{width}.{ext}"])
def test_a_list_names_as_a_run_over_all_does(photos: Path, tmp_path: Path, make_photo: MakePhoto, name: str) -> None:
    process(photos, tmp_path / "whole", name)
    away = make_photo(tmp_path / "away/sea.jpg", seed=70)
    out = tmp_path / "out"
    asked = Settings((SIZE,), name=name)
    [*run_batch(photos, out, asked, 1)]
    some = listed([str(photos / "a/lake.jpg"), str(away)], str(photos))
    assert {one.path: one.unchanged for one in run_batch(some, out, asked, 1) if one.rows} == {
        "a/lake.jpg": True,
        away.as_posix(): False,
    }
    whole, found = outputs(tmp_path / "whole"), outputs(out)
    assert found.pop(away.as_posix())[0].endswith(".jpg")
    assert found == whole
    alone = tmp_path / "alone"
    [*run_batch(listed([str(photos / "a/lake.jpg"), str(photos / "b/c/sea.jpg")], str(photos)), alone, asked, 1)]
    assert outputs(alone) == {path: whole[path] for path in ("a/lake.jpg", "b/c/sea.jpg")}


def test_a_changed_photo_has_another_hash_and_its_old_file_is_pruned(photos: Path, tmp_path: Path, make_photo: MakePhoto) -> None:
    out, name = tmp_path / "out", "{folder}/{stem}.{hash}.{ext}"
    process(photos, out, name)
    before = outputs(out)
    os.utime(photos / "lake.jpg", (1, 1))  # touched, not changed
    make_photo(photos / "a/wood.jpg", seed=99)
    what = process(photos, out, name)
    assert [path for path, one in what.items() if one == "made"] in (["a/wood.jpg"], ["lake.jpg", "a/wood.jpg"])
    after = outputs(out)
    assert after["lake.jpg"] == before["lake.jpg"]
    assert after["a/wood.jpg"] != before["a/wood.jpg"]
    assert before["a/wood.jpg"][0] in tree(out)
    process(photos, out, name, upkeep={"prune": True})
    assert before["a/wood.jpg"][0] not in tree(out)
    for upkeep in ({}, {"checksum": True}):
        assert "made" not in process(photos, out, name, upkeep=upkeep).values()
    assert outputs(out) == after
    # The thumbnail of a photo that fails since stays, as that photo has no other.
    (photos / "lake.jpg").write_bytes(b"no photo")
    assert process(photos, out, name, upkeep={"prune": True})["lake.jpg"] == "failed"
    assert before["lake.jpg"][0] in tree(out)
    make_photo(photos / "lake.jpg", seed=98)
    process(photos, out, name, upkeep={"prune": True})
    assert before["lake.jpg"][0] not in tree(out)
    assert len(tree(out)) == 1 + 7


def test_a_photo_that_changes_while_it_is_named_fails(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = LocalPlace.read
    times: dict[str, int] = {}

    def changing(self: LocalPlace, known: Any = None) -> Any:
        data, version = read(self, known)
        times[str(self)] = times.get(str(self), 0) + 1
        return (data + b"more" if times[str(self)] == 2 else data), version

    monkeypatch.setattr(LocalPlace, "read", changing)
    done = [*run_batch(photos, tmp_path / "out", Settings((SIZE,), name="{stem}.{hash}.{ext}"), 1)]
    (error,) = [str(one.error) for one in done if one.path == "lake.jpg"]
    assert error == f"{photos / 'lake.jpg'}: the photo changed while the run went on; run again: it goes on from here"
    assert [*tree(tmp_path / "out")] == ["boxes.csv"]


def test_another_template_makes_the_files_anew_and_the_old_ones_are_stale(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process(photos, out, "")
    old = {*tree(out)} - {"boxes.csv"}
    assert [*process(photos, out, FLAT).values()].count("made") == 7
    assert old <= {*tree(out)}
    ended = None
    run = run_batch(photos, out, Settings((SIZE,), name=FLAT), 1, upkeep=Upkeep(prune=True))
    while ended is None:
        try:
            next(run)
        except StopIteration as stop:
            ended = stop.value
    assert ended.pruned == len(old) == 7
    process(tmp_path / "in", tmp_path / "fresh", FLAT)
    assert tree(out) == tree(tmp_path / "fresh")


def test_a_dry_run_with_another_template_leaves_the_files_where_they_are(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process(photos, out, "")
    before = outputs(out)
    process(photos, out, FLAT, dry_run=True)
    assert outputs(out) == before
    assert "made" not in process(photos, out, "").values()


def test_a_name_that_went_over_to_another_photo_and_back_shows_the_right_one(
    photos: Path, tmp_path: Path, make_photo: MakePhoto
) -> None:
    """A run is killed after it gave a name to another photo, and the old order is back in the next one."""
    source, out = tmp_path / "two", tmp_path / "out"
    make_photo(source / "a/lake.jpg", seed=1)
    make_photo(source / "b/lake.jpg", seed=2)
    make_photo(source / "c/wood.jpg", seed=3)
    without_a, without_b = (Selection(exclude=Patterns.of([folder])) for folder in ("a/", "b/"))
    asked = Settings((SIZE,), name=FLAT)
    [*run_batch(source, out, asked, 1, selection=without_a)]
    expected = tree(out)
    with closing(run_batch(source, out, asked, 1, selection=without_b)) as run:
        assert next(done.path for done in run if done.rows) == "a/lake.jpg"  # and no further
    assert tree(out)["lake-24w.jpg"] != expected["lake-24w.jpg"]
    [*run_batch(source, out, asked, 1, selection=without_a)]
    assert tree(out) == expected


def test_a_photo_in_a_folder_that_cannot_be_listed_keeps_its_thumbnail(
    photos: Path, tmp_path: Path, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, walk = tmp_path / "out", LocalPlace.walk

    def without_b(self: LocalPlace, *words: Any) -> Iterator[Folder]:
        for folder in walk(self, *words):
            if not folder.path.startswith("b/c"):
                yield folder
            else:
                yield Folder(folder.path, error=PhotoError("the folder cannot be listed", path=photos / folder.path))

    process(photos, out, FLAT)
    before = tree(out)
    make_photo(photos / "a/sea.png", seed=60)
    monkeypatch.setattr(LocalPlace, "walk", without_b)
    process(photos, out, FLAT, upkeep={"prune": True})
    assert tree(out)["sea-24w.png"] == before["sea-24w.png"]
    assert len(tree(out)) == len(before) + 1
    outputs(out)


def test_a_file_and_a_folder_have_not_one_name(tmp_path: Path, make_photo: MakePhoto) -> None:
    source = tmp_path / "tree"
    for seed, name in enumerate(("x.jpg", "x-24w.jpg/y.jpg", "s/24.jpg/s.jpg", "s/s.jpg", "s.jpg")):
        make_photo(source / name, seed=seed)
    for number, name in enumerate(
        ("{folder}/{stem}-{width}w.{ext}", "{stem}/{folder}/{width}.{ext}", "{folder}/{stem}/{width}.{ext}")
    ):
        out = tmp_path / str(number)
        assert {*process(source, out, name).values()} == {"made"}
        assert len(outputs(out)) == 5


_STEMS = st.sampled_from(["a", "A", "b", "b1", "b1-24", "é", "e\u0301", "a~0123456789abcdef", "24", "a-24"])
_FOLDERS = st.lists(st.sampled_from(["a", "A", "24", "b1", "a.jpg", "a-24.jpg", "boxes.csv"]), max_size=2).map("/".join)
_TREES = st.sets(st.tuples(_FOLDERS, _STEMS, st.sampled_from([".jpg", ".png", ".JPG", ".gif"])), max_size=12)


class _Tree:
    """A folder IN of which there is only the walk."""

    is_listed = is_remote = False

    def __init__(self, photos: set[tuple[str, str, str]], in_pieces: bool) -> None:
        self.photos, self.in_pieces = photos, in_pieces

    def walk(self, *_: object) -> Iterator[Folder]:
        folders = {"", *(above for folder, _, _ in self.photos for above in (folder, folder.rpartition("/")[0]))}
        for folder in sorted(folders, key=lambda folder: folder.split("/") if folder else []):
            below = {other for other in folders if other and other.rpartition("/")[0] == folder}
            names = sorted(stem + extension for path, stem, extension in self.photos if path == folder)
            subfolders = tuple(sorted(other.rpartition("/")[2] for other in below))
            yield Folder(folder, tuple(names), subfolders=subfolders, in_pieces=self.in_pieces)


@given(
    _TREES,
    st.sampled_from(
        [
            *("{stem}-{width}.{ext}", "{stem}{width}.{ext}", "{folder}/{stem}-{width}.{ext}", "{folder}/{stem}{width}.{ext}"),
            *("{folder}-{stem}-{width}.{ext}", "{stem}/{folder}/{width}.{ext}", "{width}.{ext}", "{folder}/{width}.{ext}"),
            *("{width}/{stem}.{ext}", "{width}/{folder}/{stem}.{ext}", "{folder}/{stem}/{width}.{ext}", "{stem:.0}{width}.{ext}"),
        ]
    ),
    st.sampled_from(["keep", "webp"]),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_two_photos_have_one_name(photos: set[tuple[str, str, str]], name: str, format: str, in_pieces: bool) -> None:
    if in_pieces:  # of a bucket, where case counts
        photos = {
            (folder, stem, extension) for folder, stem, extension in photos if (folder, stem) == (folder.lower(), stem.lower())
        }
        photos = {one for one in photos if one[2] != ".JPG" and "e\u0301" not in one[1]}
    source: Any = _Tree(photos, in_pieces)
    asked = Settings((SIZE, Target((1, 1), (124, 124))), format=format, name=name)
    names = Names(source, LocalPlace(Path("out")), asked, EVERYTHING)
    named = [(names.of(folder), folder) for folder in source.walk()]  # of folders without photos too, as a run does
    found = [output for name_one, folder in named for name in folder.photos for output in name_one(name).outputs("")]
    assert len(found) == 2 * len(photos)
    keys = {*map(alike, found)}
    assert len(keys) == len(found)
    if not in_pieces:
        folders = {alike("/".join(output.split("/")[:depth])) for output in found for depth in range(1, output.count("/") + 1)}
        assert keys.isdisjoint(folders)


def test_an_interrupt_ends_the_walk_for_names(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Names(LocalPlace(photos), LocalPlace(tmp_path / "out"), Settings((SIZE,), name=FLAT), EVERYTHING, lambda: True)


def test_the_command_names_flat_and_by_a_template(photos: Path, cropper: Command, tmp_path: Path) -> None:
    (photos / "broken.jpg").unlink()
    size = ("--size", "24x16")
    assert cropper("batch", "in", "flat", *size, "--flat")[0] == 0
    assert {"sea.png", "sea.jpg", "fig.gif.png", "boxes.csv"} < {*tree(tmp_path / "flat")}
    assert all("/" not in name for name in tree(tmp_path / "flat"))
    assert cropper("batch", "in", "two", *size, "--size", "30x30", "--flat")[0] == 0
    assert "30x30/sea.png" in tree(tmp_path / "two")
    assert cropper("batch", "in", "named", *size, "--flat", "--name", FLAT)[0] == 0
    assert cropper("batch", "in", "named", *size, "--name", FLAT)[2].count("7 unchanged") == 1
    code, out, err = cropper("batch", "in", "other", *size, "--flat", "--name", "{folder}/{stem}.{ext}")
    assert (code, out) == (2, "")
    assert err == "cropper: --flat and the {folder} of --name contradict each other; leave out one of them\n"
    code, _, err = cropper("batch", "in", "other", *size, "--name", "../{stem}.{ext}")
    assert (code, err) == (2, "cropper: --name '../{stem}.{ext}' leads out of OUT; leave out ..\n")
    assert not (tmp_path / "other").exists()
    (tmp_path / "cropper.toml").write_text('[batch]\nname = "{folder}/x-{stem}.{ext}"\n')
    assert cropper("batch", "in", "found", *size)[0] == 0
    assert "b/c/x-sea.png" in tree(tmp_path / "found")
    assert cropper("batch", "in", "found2", *size, "--flat")[0] == 0
    assert "sea.png" in tree(tmp_path / "found2")


def test_the_thumbnails_show_their_photos(photos: Path, tmp_path: Path) -> None:
    process(photos, tmp_path / "plain", "", SIZE, LARGER, format="png")
    process(photos, tmp_path / "out", FLAT, SIZE, LARGER, format="png")
    plain, named = outputs(tmp_path / "plain"), outputs(tmp_path / "out")
    for path, several in plain.items():
        for one, other in zip(several, named[path], strict=True):
            assert not one or not cv2.absdiff(imread(str(tmp_path / "plain" / one)), imread(str(tmp_path / "out" / other))).any()
