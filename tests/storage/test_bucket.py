"""Photos and thumbnails in a storage: the same trees and tables as on a disk, whatever the mixture."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import s3
from acting import DRIVER, does
from fixtures import Command, MakePhoto, read_table
from running import run_batch

from cropper import OutputError, PhotoError, UsageError
from cropper.errors import raise_if_for_all
from cropper.extras import install_command
from cropper.image_formats import FORMAT_OF, PHOTO_EXTENSIONS
from cropper.ledger import upload
from cropper.ledger.shards import Shard
from cropper.ledger.source import source_of
from cropper.settings import Settings, Target
from cropper.storage import bucket, listing, retries
from cropper.storage.access import bucket_place, place
from cropper.storage.naming import names_one_by_one
from cropper.storage.places import Place, Version, order
from cropper.storage.walk import walk

fsspec = pytest.importorskip("fsspec")
MemoryFile = pytest.importorskip("fsspec.implementations.memory").MemoryFile
SIZE = Target((64, 36), (64, 36))
MANY = 10


@pytest.fixture(autouse=True)
def _no_network(plain_rule: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSES", (0.0, 0.0, 0.0))


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    for seed in range(MANY):
        make_photo(tmp_path / "in" / ("", "a", "a/c", "a-b", "b")[seed % 5] / f"{seed:02}.png", seed=seed)
    make_photo(tmp_path / "in/a/01.jpg")
    make_photo(tmp_path / "in/.hidden/a.jpg")
    make_photo(tmp_path / "in/b/Über #1?.png")
    (tmp_path / "in/broken.jpg").write_bytes(b"no photo")
    (tmp_path / "in/empty.jpg").write_bytes(b"")
    (tmp_path / "in/notes.txt").write_text("no photo either")
    return tmp_path / "in"


@pytest.fixture
def memory() -> Iterator[Any]:
    """A storage in this process, empty."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    yield fs
    fs.store.clear()


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    if not all(importlib.util.find_spec(name) for name in ("s3fs", "moto", "flask")):
        pytest.skip("no s3fs or no moto here")
    with s3.server() as address:
        yield address


@pytest.fixture
def s3_files(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in s3.environment(s3_address).items():
        monkeypatch.setenv(name, value)
    fs = fsspec.filesystem("s3", skip_instance_cache=True)
    fs.mkdir("bucket")
    yield fs
    while found := fs.call_s3("list_objects_v2", Bucket="bucket").get("Contents"):
        for entry in found:  # one by one: a list of them holds no odd key
            fs.call_s3("delete_object", Bucket="bucket", Key=entry["Key"])
    fs.rmdir("bucket")


def put_photos(fs: Any, folder: Path, to: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            fs.pipe_file(f"{to}/{path.relative_to(folder)}", path.read_bytes())


def tree(out: Path | Place) -> dict[str, bytes]:
    """Every file under OUT that is not of the runs' own state."""
    folder = place(out).local_path
    if folder is not None:
        files = (path for path in folder.rglob("*") if path.is_file() and ".cropper" not in path.parts)
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}
    fs, root = fsspec.core.url_to_fs(place(out).full_name())
    found = {path[len(root) :].lstrip("/"): path for path in fs.find(root)}
    return {name: fs.cat_file(path) for name, path in found.items() if not name.startswith(".cropper")}


def process(source: Path | Place, out: Path | Place, shard: Shard | None = None, **settings: Any) -> Counter[str]:
    done = list(run_batch(source, out, Settings((SIZE,), **{"format": "webp", **settings}), 2, shard=shard))
    return Counter("failed" if one.error else "unchanged" if one.unchanged else "made" for one in done if one.rows)


MADE = {"made": MANY + 2, "failed": 2}


# The same everywhere ----------------------------------------------------------------------------------------------------------


def test_every_mixture_gives_the_same_tree_and_table(photos: Path, tmp_path: Path, memory: Any) -> None:
    put_photos(memory, photos, "/in")
    process(photos, tmp_path / "out")
    expected = tree(tmp_path / "out")
    assert len(expected) == MANY + 3
    for source, made in (("memory://in", "memory://out1"), ("memory://in", tmp_path / "out2"), (photos, "memory://out3")):
        out = place(str(made))
        assert process(place(str(source)), out) == MADE
        assert tree(out) == expected
        assert process(place(str(source)), out) == {"unchanged": MANY + 2, "failed": 2}
        assert tree(out) == expected


def test_a_bucket_gives_the_same_tree_and_table(photos: Path, tmp_path: Path, s3_files: Any) -> None:
    put_photos(s3_files, photos, "bucket/photos")
    process(photos, tmp_path / "out")
    source, out = place("s3://bucket/photos/"), place("s3://bucket/out")
    assert process(source, out) == MADE
    assert tree(out) == tree(tmp_path / "out")
    assert process(source, out) == {"unchanged": MANY + 2, "failed": 2}
    s3_files.pipe_file("bucket/photos/a/c/02.png", s3_files.cat_file("bucket/photos/00.png"))
    s3_files.rm_file("bucket/photos/a/01.jpg")
    assert process(source, out) == {"unchanged": MANY - 1, "made": 2, "failed": 2}  # one whose name is free now
    assert s3_files.info("bucket/out/00.webp")["ContentType"] == "image/webp"


def test_shards_of_a_bucket_merge_to_the_table_of_one_run(photos: Path, tmp_path: Path, s3_files: Any, cropper: Command) -> None:
    put_photos(s3_files, photos, "bucket/photos")
    process(photos, tmp_path / "out")
    source, out = place("s3://bucket/photos"), place("s3://bucket/out")
    with pytest.raises(OutputError, match="made in shards"):
        process(source, out, Shard(1, 2)) and process(source, out)
    code, _, err = cropper("ledger", "merge", out)
    assert (code, "shard 2/2 has not run yet" in err) == (2, True)
    process(source, out, Shard(2, 2))
    assert cropper("ledger", "merge", out) == (0, "s3://bucket/out/boxes.csv\n", "")
    assert tree(out) == tree(tmp_path / "out")
    parts = ["s3://bucket/out/boxes.csv"]
    for to in ("s3://bucket/merged.csv", "merged.csv"):
        assert cropper("ledger", "merge", *parts, "-o", to) == (0, f"{to}\n", "")
    assert (tmp_path / "merged.csv").read_bytes() == s3_files.cat_file("bucket/merged.csv") == tree(out)["boxes.csv"]
    assert cropper("ledger", "merge", out, "--finish")[0] == 0
    assert process(source, out) == {"unchanged": MANY + 2, "failed": 2}
    assert process(source, out, Shard(1, 3))["made"] == 0
    assert tree(out) == tree(tmp_path / "out")


def test_the_command_takes_urls(photos: Path, tmp_path: Path, s3_files: Any, cropper: Command) -> None:
    put_photos(s3_files, photos, "bucket/photos")
    code, _, err = cropper("batch", "s3://bucket/photos", "s3://bucket/out", "--size", "64x36")
    assert code == 1
    assert err.splitlines()[0].startswith("cropper: s3://bucket/photos/broken.jpg: ")
    assert f"{MANY + 4} photos: {MANY + 2} done, 0 unchanged, 2 failed; 1 other file ignored" in err
    for source, out, said in (
        ("s3://bucket/nothing", "s3://bucket/other", "there is no such folder"),
        ("s3://nowhere/photos", "s3://bucket/other", "s3://nowhere/photos: "),
        ("s3://bucket/nothing", "s3://bucket/out", "was made from the photos in s3://bucket/photos"),
        ("s3://bucket/photos", "s3://bucket", "OUT is the same folder as IN or contains it"),
        ("nonsense://bucket/photos", "out", "no storage is known as nonsense://"),
        ("s3://bucket/photos", "s3://bucket/out/64", "holds objects but nothing that cropper wrote"),
        ("file:///photos", "out", "give its path alone"),
    ):
        if out.endswith("64"):
            s3_files.pipe_file("bucket/out/64/somebody.txt", b"theirs")
        code, _, err = cropper("batch", source, out, "--size", "64x36")
        assert (code, err.count("\n")) == (2, 1), err
        assert said in err


# Keys that look like something else --------------------------------------------------------------------------------------------

FULL = "photos/"
LONG = "/".join(["k" * 200] * 5)[: 1024 - len(FULL) - 4] + ".png"
PLAIN_KEYS = (
    "a::b.png",
    "x::file:/etc/hosts.png",
    "memory::in/a.png",
    "s3::other/a::b/c.png",
    "trailing /spaces .png",
    "\x01\x1f\x7f.png",
    "line\r.png",
    "tab\t.png",
    "per%20cent+.png",
    "#1?.png",
    "two..dots...png",
    "q.png",
    LONG,
)
OTHERS_KEYS = ("q.png?versionId=1.png", "q.png?versionId=2/a.png")
NO_FOLDER_KEYS = ("/top.png", "//top.png", "d//e.png", "d/../e.png", "../f.png", "./g.png", "d/./h.png", "::/..//i.png")


def put_keys(fs: Any, keys: Iterable[str], folder: Path, make_photo: MakePhoto, tmp_path: Path) -> dict[str, bytes]:
    """Put a photo of its own under each key, and give the thumbnail that each must have."""
    names = {}
    for seed, key in enumerate(keys):
        names[key] = f"{seed:02}.png"
        photo = make_photo(tmp_path / "plain" / names[key], seed=seed)
        fs.call_s3("put_object", Bucket="bucket", Key=f"{FULL}{key}", Body=photo.read_bytes())
    process(tmp_path / "plain", tmp_path / "plain out", format="keep")
    return {key: (tmp_path / "plain out" / name).read_bytes() for key, name in names.items()}


def objects(fs: Any, prefix: str) -> dict[str, bytes]:
    """Every object below a prefix, read with no file system between."""
    found = fs.call_s3("list_objects_v2", Bucket="bucket", Prefix=prefix).get("Contents", ())
    return {one["Key"][len(prefix) :]: fs.cat_file(f"bucket/{one['Key']}", start=0) for one in found}


def statuses(out: Path | Place) -> dict[str, tuple[str, str]]:
    """What the table says of each photo."""
    text = read_table(place(out)).replace("\0", "\ue000")  # csv of Python 3.10 reads no NUL
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return {row["path"].replace("\ue000", "\0"): (row["status"], row["message"]) for row in rows}


def test_a_key_is_a_key_whatever_it_looks_like(tmp_path: Path, s3_files: Any, make_photo: MakePhoto) -> None:
    keys = (*PLAIN_KEYS, *OTHERS_KEYS, *NO_FOLDER_KEYS, "a.png", "a.png/b.png", "null\0.png")
    wanted = put_keys(s3_files, keys, tmp_path / "photos", make_photo, tmp_path)
    refused = {*OTHERS_KEYS, *NO_FOLDER_KEYS}
    source, out = place("s3://bucket/photos"), place("s3://bucket/out")
    made = len(keys) - len(refused)
    assert process(source, out, format="keep") == {"made": made, "failed": len(refused)}
    rows = statuses(out)
    assert {key for key, (status, _) in rows.items() if status == "failed"} == refused
    assert rows.keys() == set(keys)
    assert all("takes its name for another" in rows[key][1] for key in OTHERS_KEYS)
    assert all("empty, '.' or '..'" in rows[key][1] for key in NO_FOLDER_KEYS)
    found = objects(s3_files, "out/")
    ours = {key: data for key, data in found.items() if not key.startswith((".cropper", "boxes.csv"))}
    assert ours == {"a.png~2/b.png" if key == "a.png/b.png" else key: wanted[key] for key in keys if key not in refused}
    assert process(source, out, format="keep") == {"unchanged": made, "failed": len(refused)}

    before = {path.name for path in tmp_path.iterdir()}
    here = tmp_path / "out"
    process(source, here, format="keep")
    rows = statuses(here)
    assert rows.keys() == set(keys)
    failed = {*refused, "null\0.png"}
    assert {key for key, (status, _) in rows.items() if status == "failed"} == failed
    assert {name: data for name, data in tree(here).items() if name != "boxes.csv"} == {
        "a.png~2/b.png" if key == "a.png/b.png" else key: wanted[key] for key in keys if key not in failed
    }
    assert {path.name for path in tmp_path.iterdir()} == before | {"out"}
    assert pickle.loads(pickle.dumps(retries.KeyRefusedError(22, "no"))).strerror == "no"


def test_folders_without_a_name_and_outs_in_them_are_told_apart_from_the_folder_itself(s3_files: Any) -> None:
    for key in ("trip/a.png", "/Trip/b.png", "/trip/c.png", "//.cropper/x", "//d.png", "sheet.jpg", "d//review_files/e.png"):
        s3_files.call_s3("put_object", Bucket="bucket", Key=f"{FULL}{key}", Body=b"x")
    found = list(place("s3://bucket/photos").walk(PHOTO_EXTENSIONS))
    assert [(folder.path, folder.photos, folder.subfolders, folder.is_out) for folder in found] == [
        ("", (), ("", "d", "trip"), False),
        ("", (), ("/", "/Trip", "/trip"), False),  # whose names in OUT are not those of folders beside it
        ("/", (), (), True),
        ("/Trip", ("b.png",), (), False),
        ("/trip", ("c.png",), (), False),
        ("d", (), ("",), False),
        ("d/", (), ("review_files",), False),
        ("d//review_files", (), (), False),
        ("trip", ("a.png",), (), False),
    ]
    assert sum(folder.others for folder in found) == 2


def test_a_name_that_no_key_can_have_costs_its_own_photo(tmp_path: Path, s3_files: Any, make_photo: MakePhoto) -> None:
    names = ["q.png", "q.png?versionId=1.png", "a::b.png", "k" * 240 + ".png", os.fsdecode(b"\xff.png")]
    for seed, name in enumerate(names):
        make_photo(tmp_path / "in" / name, seed=seed)
    deep = "s3://bucket/" + "/".join(["d" * 200] * 4) + "/dddd"
    out = place(deep)
    assert process(tmp_path / "in", out, format="keep") == {"made": 2, "failed": 3}
    rows = statuses(out)
    assert {name for name, (status, _) in rows.items() if status == "ok"} == {"q.png", "a::b.png"}
    assert "1,024" in rows["k" * 240 + ".png"][1]
    assert s3_files.cat_file(f"{deep[5:]}/q.png") != b""
    assert [key for key in objects(s3_files, deep.removeprefix("s3://bucket/")) if key.endswith(".png")] == [
        "/a::b.png",
        "/q.png",
    ]


def test_what_a_library_cannot_address_is_said(memory: Any, make_photo: MakePhoto, tmp_path: Path) -> None:
    data = make_photo(tmp_path / "a.png").read_bytes()
    for key in ("/in/a.png", "/in/a.png/b.png", "/in/a::b.png", "/in/b.png"):
        memory.store[key] = MemoryFile(memory, key, data)
    found = list(place("memory://in").walk(PHOTO_EXTENSIONS))
    assert [(folder.path, folder.photos, str(folder.error or "")) for folder in found] == [
        ("", ("a.png", "a::b.png", "b.png"), ""),
        ("a.png", (), "memory://in/a.png: it cannot be listed (the library finds an object of that name instead); rename it"),
    ]
    memory.pipe_file("/out/c.png", b"")
    with pytest.raises(OutputError) as refused:
        bucket_place(place("memory://out/c.png/b.png")).write(b"x")
    assert isinstance(refused.value.__cause__, FileExistsError)
    raise_if_for_all(refused.value)  # it would raise one that is about more than this photo


def test_versions_in_names_are_no_versions() -> None:
    adlfs, gcsfs = pytest.importorskip("adlfs"), pytest.importorskip("gcsfs")
    azure = adlfs.AzureBlobFileSystem.__new__(adlfs.AzureBlobFileSystem)
    google = gcsfs.GCSFileSystem.__new__(gcsfs.GCSFileSystem)
    azure.version_aware = google.version_aware = False
    for fs in (azure, google):
        for name in ("a.jpg", "a::b.jpg", "x::file:///etc/hosts.jpg", "#1?.jpg", "b /c .jpg", "%20.jpg", "q.jpg?generation=1"):
            bucket._check_library(fs, f"bucket/photos/{name}")
    for name in ("a\tb.jpg", "q.jpg?versionid=1.jpg", "a\nb.jpg"):
        with pytest.raises(retries.KeyRefusedError):
            bucket._check_library(azure, f"bucket/photos/{name}")


# Runs that end early ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", [0, 1, 9])
def test_a_run_broken_off_goes_on_where_it_was(photos: Path, tmp_path: Path, memory: Any, taken: int) -> None:
    out = place("memory://out")
    with closing(run_batch(photos, out, Settings((SIZE,), format="webp"), 2)) as begun:
        kept = [done for done in islice(begun, taken) if done.rows and not done.error]
    again = process(photos, out)
    assert again["unchanged"] >= len(kept)
    process(photos, tmp_path / "out")
    assert tree(out) == tree(tmp_path / "out")
    assert not [path for path in memory.find("/out/.cropper") if "part" in path]


@pytest.mark.parametrize("kill_at", [0, 2, 9, 20, 33, 40])
def test_a_run_killed_before_any_request_goes_on_where_it_was(
    photos: Path, tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    """From then on nothing that it asks of the storage is done, as after a kill."""
    monkeypatch.setattr(upload, "PHOTOS", 3)
    out, count = place("memory://out"), 0
    process(photos, out, quality=30)
    (photos / "a/06.png").write_bytes((photos / "00.png").read_bytes())

    def counting(function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count > kill_at:
                raise OSError("gone")
            return function(*arguments, **named)

        return counted

    with monkeypatch.context() as killing:
        for name in ("pipe_file", "put_file", "rm_file"):
            killing.setattr(type(memory), name, counting(getattr(type(memory), name)))
        with suppress(OutputError):
            process(photos, out)
    again = process(photos, out)
    assert again["failed"] == 2
    assert again["made"] + again["unchanged"] == MANY + 2
    process(photos, tmp_path / "out")
    assert tree(out) == tree(tmp_path / "out")
    assert process(photos, out) == {"unchanged": MANY + 2, "failed": 2}


def test_rows_are_sent_every_so_often_as_whole_objects(photos: Path, memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "PHOTOS", 4)
    begun = run_batch(photos, place("memory://out"), Settings((SIZE,)), 1)
    for _ in islice(begun, 13):
        pass
    parts = sorted(path for path in memory.find("/out/.cropper") if "part-" in path)
    assert len(parts) >= 2
    lines = [json.loads(line) for path in parts for line in memory.cat_file(path).decode().splitlines()]
    assert sum("settings" in line for line in lines) == len(parts)  # each says by itself what it belongs to
    begun.close()


def test_a_storage_that_takes_nothing_ends_the_run_with_one_message(
    photos: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Any, path: str, *arguments: Any, **named: Any) -> Any:
        if path.endswith(".webp"):
            raise OSError("503 slow down")
        return pipe_file(self, path, *arguments, **named)

    pipe_file = type(memory).pipe_file
    with monkeypatch.context() as broken:
        broken.setattr(type(memory), "pipe_file", refuse)
        with pytest.raises(OutputError, match=r"cannot be written .503 slow down.; run again"):
            process(photos, place("memory://out"))
    assert process(photos, place("memory://out")) == MADE


# Requests ---------------------------------------------------------------------------------------------------------------------


def test_what_stumbles_is_tried_again_and_what_is_hopeless_is_not(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.pipe_file("/a.jpg", b"data")
    calls = []

    def stumble(self: Any, path: str, **named: Any) -> Any:
        calls.append(path)
        if "gone" in path:
            raise FileNotFoundError(path)
        if "vast" in path:
            raise MemoryError
        if "never" in path or len(calls) < 3:
            raise OSError("connection reset")
        return cat_file(self, path, **named)

    cat_file = type(memory).cat_file
    monkeypatch.setattr(type(memory), "cat_file", stumble)
    known = Version(4, 0, "")
    assert place("memory://a.jpg").read(known) == (b"data", known)
    assert len(calls) == 3
    for name, times in (("gone.jpg", 1), ("never.jpg", 4), ("vast.jpg", 1)):
        calls.clear()
        said = "not enough memory" if "vast" in name else "cannot be read"
        with pytest.raises(PhotoError, match=said):
            place(f"memory://{name}").read(known)
        assert len(calls) == times


def test_a_listing_is_asked_for_page_by_page_and_in_the_walks_order(
    photos: Path, s3_files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_photos(s3_files, photos, "bucket/photos")
    s3_files.pipe_file("bucket/photos/a/", b"")  # as some tools mark a folder
    monkeypatch.setattr(bucket, "MAX_PHOTOS", 2)
    pages = []

    def small(self: Any, method: str, **request: Any) -> Any:
        pages.append(method)
        return call_s3(self, method, **request, MaxKeys=2)

    call_s3 = type(s3_files).call_s3
    monkeypatch.setattr(type(s3_files), "call_s3", small)
    found = list(place("s3://bucket/photos").walk(PHOTO_EXTENSIONS))
    assert all(len(folder.photos) <= 4 for folder in found)
    paths = [f"{folder.path}/{name}".lstrip("/") for folder in found for name in folder.photos]
    assert paths == sorted(paths, key=order)
    expected = [f"{folder.path}/{name}".lstrip("/") for folder in walk(photos, PHOTO_EXTENSIONS) for name in folder.photos]
    assert paths == expected
    assert len(pages) > len(paths) / 2
    assert next(iter(place("s3://bucket/photos").walk(PHOTO_EXTENSIONS))).photos
    pages.clear()
    next(iter(place("s3://bucket/photos").walk(PHOTO_EXTENSIONS)))
    assert len(pages) < 5  # not all of them


def test_names_given_one_by_one_are_never_alike() -> None:
    photos = ("a.gif", "a.gif.png", "a.gif.png.png", "a.png", "a.jpg", "a.png.jpg", "a.tif", "b.x.png", "A.GIF")
    for format in ("keep", "png", "webp", "jpg"):
        names = names_one_by_one(photos, format)
        assert len(set(names.values())) == len(photos)
        assert all(FORMAT_OF[os.path.splitext(name)[1].lower()] for name in names.values())
    assert names_one_by_one(photos, "keep")["b.x.png"] == "b.x.png"


def test_names_that_differ_only_at_their_ends_are_cut_to_different_ones() -> None:
    for stem in ("k" * 244, "ü" * 122, os.fsdecode(b"\xff" * 244), "k" * 200):
        photos = tuple(f"{stem}{number:05}.gif" for number in range(50))
        for format in ("keep", "png", "webp"):
            names = names_one_by_one(photos, format)
            assert len(set(names.values())) == len(photos)
            assert all(len(os.fsencode(name)) <= 255 for name in names.values())
            assert names[photos[7]] == names_one_by_one(photos[7:8], format)[photos[7]]
            # A photo that has the name of a thumbnail already gives way.
            taken = names[photos[0]]
            assert taken not in names_one_by_one((*photos[1:], taken), format).values()


def test_times_of_every_library_are_understood() -> None:
    from datetime import datetime, timezone

    moment = datetime(2018, 1, 24, 12, 0, 0, 250_000, timezone.utc)
    for said in (moment, "2018-01-24T12:00:00.250Z", "2018-01-24T12:00:00.250000+00:00", moment.timestamp()):
        assert listing.nanoseconds(said) == 1_516_795_200_250_000_000


def test_in_and_out_may_not_overlap(memory: Any) -> None:
    memory.pipe_file("/in/a.jpg", b"")
    for out in ("memory://in", "memory://"):
        with pytest.raises(UsageError, match="OUT is the same folder as IN or contains it"):
            process(place("memory://in"), place(out))


def test_an_out_inside_in_is_not_walked(photos: Path, memory: Any) -> None:
    put_photos(memory, photos, "/in")
    process(place("memory://in"), place("memory://in/b/out"))
    assert process(place("memory://in"), place("memory://in/b/out")) == {"unchanged": MANY + 2, "failed": 2}


def test_a_dry_run_leaves_the_table_alone(photos: Path, tmp_path: Path, memory: Any) -> None:
    process(photos, tmp_path / "out", dry_run=True)
    process(photos, place("memory://out"), dry_run=True)
    assert memory.find("/out") == ["/out/.cropper/state.db", "/out/boxes.csv"]
    assert memory.cat_file("/out/boxes.csv") == (tmp_path / "out/boxes.csv").read_bytes()


def test_paths_never_load_fsspec(photos: Path, tmp_path: Path) -> None:
    script = (
        "import sys\nfrom cropper.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print({'fsspec', 's3fs', 'cropper.storage.bucket', 'cropper.ledger.upload'} & set(sys.modules))"
        "\n    print({'pyarrow', 'ray'} & set(sys.modules))"
    )
    command: list[str | Path] = [sys.executable, "-c", script, "batch", photos, tmp_path / "out", "--size", "64x36", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, set(done.stdout.splitlines())) == (1, {"set()"})  # of the supervisor too


@pytest.mark.skipif(sys.platform != "linux", reason="a run has a supervisor on Linux only")
def test_a_decoder_that_dies_costs_its_own_photo_and_leaves_nothing_behind(photos: Path, tmp_path: Path, s3_files: Any) -> None:
    process(photos, tmp_path / "undisturbed", format="keep")
    does(photos / "a/01.jpg", "SIGSEGV")
    put_photos(s3_files, photos, "bucket/photos")
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-c", DRIVER, "batch", "s3://bucket/photos", "s3://bucket/out", "--size", "64x36", "-j", "2"]
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path / "temporary")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 1
    assert "s3://bucket/photos/a/01.jpg: the decoder crashed on it (SIGSEGV)" in done.stderr
    assert f"{MANY + 4} photos: {MANY + 1} done, 0 unchanged, 3 failed; 1 other file ignored" in done.stderr
    fsspec.filesystem("s3").invalidate_cache()  # this process has not written it
    expected, found = tree(tmp_path / "undisturbed"), tree(place("s3://bucket/out"))
    assert {name for name in expected if expected[name] != found.get(name)} == {"a/01.jpg", "boxes.csv"}
    assert found.keys() == expected.keys() - {"a/01.jpg"}
    assert list((tmp_path / "temporary").glob("cropper*")) == []


def test_a_library_that_is_missing_is_an_error_in_one_line(
    cropper: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    code, _, err = cropper("batch", "s3://bucket/in", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)
    assert install_command("cloud") in err


def test_messages_name_the_bucket_and_no_copy_of_its_ledger(
    cropper: Command, photos: Path, tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    memory.pipe_file("/out/boxes.csv", b"theirs\n")
    put_photos(memory, photos, "/in")
    process(place("memory://in"), place("memory://shards"), Shard(1, 2))
    for arguments, said in (
        (("batch", "in", "memory://out", "--size", "64x36"), "memory://out/boxes.csv: is there already and is not a table"),
        (("batch", "in", "memory://shards", "--size", "64x36"), "memory://shards: is made in shards"),
        (("ledger", "merge", "memory://shards"), "memory://shards: shard 2/2 has not run yet"),
        (("ledger", "merge", "memory://out/boxes.csv", "-o", "x.csv"), "memory://out/boxes.csv: is there already and is not"),
    ):
        code, out, err = cropper(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith(f"cropper: {said}")
        assert str(tmp_path) not in err


def test_a_page_over_thumbnails_of_a_bucket_says_where_photos_are_wanted(
    cropper: Command, photos: Path, tmp_path: Path, memory: Any
) -> None:
    put_photos(memory, photos, "/in")
    process(place("memory://in"), tmp_path / "out")
    code, _, err = cropper("review", "out")
    assert (code, err.count("\n")) == (2, 1)
    assert "photos in memory://in; copy them to this machine, and give their folder with --photos" in err
    assert source_of(tmp_path / "out") is not None
