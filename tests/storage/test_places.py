"""Places on this machine and in a bucket answer the same questions alike."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from cropper import OutputError, PhotoError, UsageError
from cropper.image_formats import PHOTO_EXTENSIONS
from cropper.storage import thumbnails
from cropper.storage.access import bucket_place, place
from cropper.storage.patterns import selection_of
from cropper.storage.places import Found, LeftOut, Place, Trace, Version, Whose, file_below, in_64_bits
from cropper.storage.urls import respelt

fsspec = pytest.importorskip("fsspec")
PHOTO = b"\xff\xd8\xff and 16 more bytes"


@pytest.fixture(params=["local", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty folder of either kind."""
    if request.param == "local":
        (tmp_path / "root").mkdir()
        yield place(tmp_path / "root")
        return
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    fs.mkdir("/root")
    yield place("memory://root")
    fs.store.clear()


def put(root: Place, **files: bytes) -> None:
    """Put files under a folder; a double underscore in a name stands for a slash."""
    for name, data in files.items():
        file = root / (name.replace("__", "/") + ".jpg")
        assert file.write_thumbnail(data, ".part", Whose.UNKNOWN).size == len(data)


def walked(root: Place, leave_out: Place | None = None) -> list[tuple[str, tuple[str, ...], int, PhotoError | None]]:
    return [(f.path, f.photos, f.others, f.error) for f in root.walk(PHOTO_EXTENSIONS, leave_out)]


def test_text_and_name(root: Place) -> None:
    file = root / "a b" / "c.jpg"
    assert str(file).endswith("root/a b/c.jpg")
    assert file == root / "a b/c.jpg"
    assert file.__fspath__() == str(file) == file.full_name()
    assert place(str(root)) == place(root) == root
    assert (root.local_path is None) == root.is_remote


def test_a_place_travels_to_another_process(root: Place) -> None:
    assert pickle.loads(pickle.dumps(root / "a.jpg")) == root / "a.jpg"


def test_a_trailing_slash_makes_no_difference(root: Place) -> None:
    assert place(f"{root}/") == root


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("s3:/bucket/photos", "s3://bucket/photos"),
        ("S3:bucket", "s3://bucket"),
        ("gs:/bucket", "gs://bucket"),
        ("oss:/bucket", "oss://bucket"),
        ("s3:///bucket/photos/", "s3://bucket/photos"),
        ("s3://", "s3://bucket/photos"),
        ("s3:", "s3://bucket/photos"),
        ("file:/home/photos", "/home/photos"),
        ("file:photos", "photos"),
        ("data:,x", "s3://bucket/photos"),
        ("filecache::s3://bucket/photos", "s3://bucket/photos"),
        ("simplecache::gs:/bucket", "gs://bucket"),
        ("zip://a.jpg::file:/b.zip", "/b.zip"),
        ("s3://bucket/x::file:///etc", "file:///etc"),
    ],
)
def test_what_is_nearly_a_url_is_told_from_a_path(text: str, right: str) -> None:
    assert respelt(text) == right


@pytest.mark.parametrize(
    "text",
    [
        *(
            "photos",
            "./s3:/bucket",
            "/s3:/bucket",
            "s3",
            "Rome: day 1",
            "Rome:/day 1",
            "rome: day 1",
            "C:/photos",
            "c:\\photos",
            "",
        ),
        *("s3://bucket", "s3://bucket/a::b", "gs://bucket//a", "memory://", "file:///photos", "::", ":/", "2018:/a", "a::b"),
    ],
)
def test_paths_and_urls_stay_what_they_are(text: str) -> None:
    assert respelt(text) is None


@pytest.mark.parametrize("path", ["/etc/a.jpg", "../a.jpg", "a/../../b.jpg", "a//b.jpg", "./a.jpg", "a/..", "", "a\0.jpg"])
def test_the_path_of_a_row_is_one_below_its_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(PhotoError, match="no file below a folder"):
        file_below(tmp_path, path)
    assert file_below(tmp_path, "a/..b/c.jpg") == tmp_path / "a/..b/c.jpg"


def test_inside(root: Place) -> None:
    put(root, in__a=b"x")
    assert root.is_inside(root)
    assert (root / "in").is_inside(root)
    assert not root.is_inside(root / "in")
    assert not (root / "in").is_inside(root / "i")
    for other in (place("memory://"), place(Path.cwd().anchor)):
        assert root.is_inside(other) == (root.is_remote == other.is_remote)


def test_walk(root: Place) -> None:
    put(root, b=b"1", a=b"22", out__z=b"3", sub__deep__c=b"4", other__d=b"5")
    expected = [("", ("a.jpg", "b.jpg"), 0, None), ("other", ("d.jpg",), 0, None)]
    expected += [("sub", (), 0, None), ("sub/deep", ("c.jpg",), 0, None)]
    assert walked(root, leave_out=root / "out") == expected
    assert ("out", ("z.jpg",), 0, None) in walked(root)
    assert ("out", ("z.jpg",), 0, None) in walked(root, leave_out=place("memory://nowhere/out"))


def test_what_is_left_out_is_counted_here_and_in_a_bucket(root: Place) -> None:
    put(root, a=b"1", a_small=b"2", drafts__b=b"3", c__drafts__d=b"4", c__e=b"5")
    put(root, **{"@eaDir__a": b"6", ".thumbnails__a": b"7", "c__#recycle__f": b"8", ".hidden__g": b"9"})
    found = list(root.walk(PHOTO_EXTENSIONS, selection=selection_of(exclude=["*_small.jpg", "drafts/"])))
    assert found[0].left_out == LeftOut(files=1, folders=1, of_systems=(".thumbnails", "@eaDir"))
    assert found[1].left_out == LeftOut(folders=1, of_systems=("#recycle",))
    assert [(folder.path, folder.photos, folder.others) for folder in found] == [("", ("a.jpg",), 0), ("c", ("e.jpg",), 0)]


def test_no_out_and_no_product_is_walked(root: Place) -> None:
    put(root, a=b"1", out__b=b"2", out__sub__c=b"3", review_files__x=b"4", sheet=b"5", sheets=b"6")
    put(root, **{"out__.cropper__state": b"", "-__sheet": b"7"})
    found = {folder.path: folder for folder in root.walk(PHOTO_EXTENSIONS)}
    assert list(found) == ["", "-", "out", "review_files"]
    assert found[""].photos == ("a.jpg", "sheets.jpg")
    assert found[""].subfolders == ("-", "out", "review_files")
    assert [(folder.others, folder.is_out) for folder in found.values()] == [(1, False), (1, False), (0, True), (1, False)]
    asked = [(folder.path, folder.photos) for folder in (root / "out").walk(PHOTO_EXTENSIONS)]
    assert asked == [("", ("b.jpg",)), ("sub", ("c.jpg",))]


def test_read_gives_the_version_that_is_there(root: Place) -> None:
    put(root, a=PHOTO)
    file = root / "a.jpg"
    known = file.version_now()
    assert file.read(known) == (PHOTO, known)
    data, version = file.read()
    assert (data, version.size) == (PHOTO, len(PHOTO))
    put(root, empty=b"")
    assert (root / "empty.jpg").read((root / "empty.jpg").version_now())[0] == b""


def test_a_version_changes_with_the_file(root: Place) -> None:
    put(root, a=b"first")
    before = (root / "a.jpg").version_now()
    put(root, b=b"second, and longer")
    assert (root / "a.jpg").version_now() == before
    assert before.is_still(before)
    (root / "a.jpg").remove()
    put(root, a=b"another")
    assert not before.is_still((root / "a.jpg").version_now())


def test_what_is_not_there(root: Place) -> None:
    file = root / "gone.jpg"
    with pytest.raises(OSError, match="gone"):
        file.version_now()
    with pytest.raises(PhotoError, match="cannot be read"):
        file.read()
    file.remove()
    assert not root.is_gone()


def test_a_folder_that_is_not_there_is_an_error_of_its_walk(root: Place) -> None:
    folder = root / "gone"
    if root.is_remote:
        with pytest.raises(UsageError, match="there is no such folder"):
            walked(folder)
        assert not folder.is_gone()  # only a listing can tell
    else:
        assert [f.error is not None for f in folder.walk(PHOTO_EXTENSIONS)] == [True]
        assert folder.is_gone()


def test_thumbnails_are_found_as_they_were_written(root: Place) -> None:
    root.check_stays_in("sub/a.jpg")
    assert not root.is_taken("sub/a.jpg")
    trace = (root / "sub/a.jpg").write_thumbnail(b"small", ".part", Whose.UNKNOWN)
    assert root.find("sub/a.jpg", trace) is Found.SAME
    assert root.find("sub/a.jpg", Trace(None)) is Found.LOST
    assert root.is_taken("sub/a.jpg") is not root.is_remote  # nobody looks in a bucket
    assert (root.modified_ns("sub/a.jpg") == trace.modified_ns) is True


def test_a_link_out_of_a_local_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/link").symlink_to(tmp_path)
    with pytest.raises(OutputError, match="a link leads out of OUT"):
        place(tmp_path / "out").check_stays_in("link/a.jpg")


def test_only_a_place_in_a_bucket_is_one(tmp_path: Path) -> None:
    assert bucket_place(place("memory://root/")).url == "memory://root"
    with pytest.raises(TypeError, match="not in a bucket"):
        bucket_place(place(tmp_path))


def test_a_path_that_looks_like_a_url_stays_a_path() -> None:
    assert place(Path("s3://bucket")).local_path == Path("s3://bucket")


SECOND = 1_000_000_000
WROTE, COPIED = 1_700_000_001_234_567_891, 1_710_000_003_987_654_321


@pytest.mark.parametrize("step", [2 * SECOND, SECOND, 1000, 100], ids=["FAT", "ext3", "UDF", "NTFS"])
def test_a_version_is_the_same_once_its_file_system_shows_less_of_its_times(step: int) -> None:
    before = Version(5, WROTE, "", COPIED)
    wrote, copied = WROTE - WROTE % step, COPIED - COPIED % step
    assert before.is_still(Version(5, wrote, "", copied))
    assert before.is_still(Version(5, wrote, "", wrote))  # keeps no time of change, and shows the other
    assert not before.is_still(Version(6, wrote, "", copied))
    assert not before.is_still(Version(5, wrote - 2 * SECOND, "", copied))
    assert not before.is_still(Version(5, wrote + 2 * SECOND, "", copied))
    assert not Version(5, wrote, "", copied).is_still(before)  # never shows more


def test_a_version_is_the_same_once_its_time_is_cut_to_2038() -> None:
    last = ((1 << 31) - 1) * SECOND
    assert Version(5, last + 9 * SECOND, "", COPIED).is_still(Version(5, last, "", COPIED))
    assert not Version(5, last - 9 * SECOND, "", COPIED).is_still(Version(5, last, "", COPIED))


def test_a_file_put_back_with_its_old_time_is_another() -> None:
    before = Version(5, WROTE, "", WROTE)
    assert not before.is_still(Version(5, WROTE, "", COPIED))
    assert not before.is_still(Version(5, WROTE - WROTE % SECOND, "", COPIED))


def test_times_of_any_year_fit_into_64_bits() -> None:
    for time in (0, -1, WROTE, (1 << 63) - 1, -(1 << 63)):
        assert in_64_bits(time) == time
    times = [10**20, 10**20 + 1, -(10**20), 1 << 63]
    found = [*map(in_64_bits, times)]
    assert all(-(1 << 63) <= time < 1 << 63 for time in found)
    assert len({*found}) == len(times)


def test_files_of_any_year_have_times_that_the_state_can_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on tmpfs or btrfs: 10 ** 20 nanoseconds are the year 5138."""
    (tmp_path / "a.jpg").write_bytes(b"small")
    status, folder = os.stat(tmp_path / "a.jpg"), place(tmp_path)
    late = os.stat_result([*status[:10]], {"st_mtime_ns": 10**20, "st_ctime_ns": 10**20})
    for name in ("stat", "lstat", "fstat"):
        monkeypatch.setattr(os, name, lambda *arguments, **options: late)
    trace = thumbnails.trace_now(tmp_path / "a.jpg")
    version = (folder / "a.jpg").version_now()
    assert trace is not None
    assert folder.find("a.jpg", trace) is Found.SAME
    assert {folder.modified_ns("a.jpg"), trace.modified_ns, version.modified_ns, version.changed_ns} == {in_64_bits(10**20)}
