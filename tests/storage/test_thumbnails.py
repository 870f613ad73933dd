"""Names and files under OUT."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropper import OutputError
from cropper.image_formats import output_format
from cropper.settings import Target
from cropper.storage import naming
from cropper.storage.naming import folder_in_out, folders_of, names_of, paths_of
from cropper.storage.places import Found, Trace, Whose
from cropper.storage.thumbnails import check_stays_in, find, write

FORMATS = st.sampled_from(["keep", "jpg", "png", "webp", "avif"])
STEMS = st.text(st.sampled_from("aAbé~2. ß\udce9"), min_size=1, max_size=5).filter(lambda stem: not stem.startswith("."))
NAMES = st.builds(str.__add__, STEMS, st.sampled_from([".jpg", ".JPG", ".jpeg", ".png", ".webp", ".tif", ".jpg~2.webp"]))
OLD = 1_600_000_000_123_456_789


@given(st.lists(NAMES, unique=True, max_size=12), FORMATS)
def test_no_two_photos_of_a_folder_get_one_output(names: list[str], format: str) -> None:
    outputs = names_of(tuple(names), format)
    assert set(outputs) == set(names)
    assert len({output.casefold() for output in outputs.values()}) == len(names)


@given(st.lists(NAMES, unique_by=str.casefold, max_size=12), FORMATS)
def test_photos_that_keep_their_format_keep_their_name(names: list[str], format: str) -> None:
    outputs = names_of(tuple(names), format)
    for name in names:
        same = name.lower().endswith((".jpg", ".jpeg")) and format == "jpg"
        if same or (format == "keep" and not name.endswith(".tif")):
            assert outputs[name] == name


@given(st.integers(1, 251), st.sampled_from(["x", "é", "日"]), FORMATS)
def test_names_stay_as_short_as_file_systems_need(length: int, letter: str, format: str) -> None:
    stem = letter * (length // len(letter.encode()))
    names = (f"{stem}.png", f"{stem}.tif", f"{stem}.jpg") if stem else ("a.png",)
    outputs = names_of(names, format)
    assert all(len(os.fsencode(output)) <= 255 for output in outputs.values())
    assert len(set(outputs.values())) == len(names)


@pytest.mark.parametrize(
    ("names", "format", "expected"),
    [
        (("a.png",), "webp", ["a.webp"]),
        (("a.jpg", "a.png"), "webp", ["a.jpg.webp", "a.png.webp"]),
        (("a.png", "a.webp"), "webp", ["a.png.webp", "a.webp"]),
        (("a.gif", "b.TIF"), "keep", ["a.png", "b.png"]),
        (("a.JPEG", "a.jpg"), "jpg", ["a.JPEG", "a.jpg"]),
        (("A.jpg", "a.jpg"), "keep", ["A.jpg", "a~2.jpg"]),
        (("e\u0301.jpg", "\u00e9.jpg"), "keep", ["e\u0301.jpg", "\u00e9~2.jpg"]),
    ],
)
def test_output_names_examples(names: tuple[str, ...], format: str, expected: list[str]) -> None:
    outputs = names_of(names, format)
    assert [outputs[name] for name in names] == expected


@given(st.lists(NAMES, unique=True, max_size=8), st.lists(NAMES, unique=True, max_size=8), FORMATS)
def test_no_photo_and_no_folder_get_one_output(photos: list[str], folders: list[str], format: str) -> None:
    beside = folders_of(tuple(folders), tuple(photos), format)
    outputs = names_of(tuple(photos), format, beside.values())
    assert (set(outputs), set(beside)) == (set(photos), set(folders))
    assert len({output.casefold() for output in (*outputs.values(), *beside.values())}) == len(photos) + len(folders)
    plain = names_of(tuple(photos), format)
    if {name.casefold() for name in folders}.isdisjoint(output.casefold() for output in plain.values()):
        assert outputs == plain or len({name.casefold() for name in folders}) < len(folders)


@pytest.mark.parametrize(
    ("photos", "folders", "expected", "beside"),
    [
        (("a.jpg",), ("a", "b.jpg"), ["a.jpg"], ["a", "b.jpg"]),
        ((), ("Trip", "trip"), [], ["Trip", "trip~2"]),
        ((), ("Trip", "trip", "trip~2"), [], ["Trip", "trip~3", "trip~2"]),
        (("album.gif",), ("album.png",), ["album.gif.png"], ["album.png"]),
        (("a.gif", "b.jpg"), ("A.PNG", "B.jpg"), ["a.gif.png", "b.jpg"], ["A.PNG", "B.jpg~2"]),
    ],
)
def test_folders_are_kept_apart_as_files_are(
    photos: tuple[str, ...], folders: tuple[str, ...], expected: list[str], beside: list[str]
) -> None:
    renamed = folders_of(folders, photos, "keep")
    assert [renamed[name] for name in folders] == beside
    outputs = names_of(photos, "keep", renamed.values())
    assert [outputs[name] for name in photos] == expected


def test_what_lies_in_a_renamed_folder_goes_with_it() -> None:
    renamed = {"trip": "trip~2", "trip/A": "trip~2/A~2"}
    assert [folder_in_out(path, renamed) for path in ("", "Trip/a", "trip", "trip/b/c", "trip/A/d", "trips")] == [
        "",
        "Trip/a",
        "trip~2",
        "trip~2/b/c",
        "trip~2/A~2/d",
        "trips",
    ]


@pytest.mark.parametrize("long", [False, True])
def test_names_alike_take_time_in_proportion_to_their_number(monkeypatch: pytest.MonkeyPatch, long: bool) -> None:
    alike = naming.alike
    calls = itertools.count()

    def counted(name: str) -> str:
        next(calls)
        return alike(name)

    def tries(bits: int) -> int:
        letters = zip("abcdefghijkl"[:bits], "ABCDEFGHIJKL"[:bits], strict=True)
        names = tuple(f"{''.join(case)}{'x' * (251 - bits) if long else ''}.jpg" for case in itertools.product(*letters))
        begun = next(calls)
        both = (names_of(names, "keep"), folders_of(names, (), "keep"))
        assert all(len({output.casefold() for output in outputs.values()}) == len(names) for outputs in both)
        return next(calls) - begun

    monkeypatch.setattr(naming, "alike", counted)
    assert tries(11) < 16 * tries(8)  # for eight times the names; 64 if each passed all before it


def test_format_kept_is_the_photos_own_or_png() -> None:
    assert [output_format(f"a{ending}", "keep") for ending in (".JPG", ".webp", ".tif", ".gif")] == ["jpg", "webp", "png", "png"]
    assert output_format("a.tif", "avif") == "avif"


def test_several_targets_have_a_folder_each() -> None:
    size, aspect = Target((64, 36), (64, 36)), Target((1, 1))
    assert paths_of((size,), "trip", "a.jpg") == ("trip/a.jpg",)
    assert paths_of((size, aspect), "trip", "a.jpg") == ("64x36/trip/a.jpg", "1-1/trip/a.jpg")


def test_a_written_thumbnail_is_found_as_it_was(tmp_path: Path) -> None:
    thumbnail = tmp_path / "out" / "deep" / "a.jpg"
    before = time.time_ns()
    trace = write(thumbnail, b"small", ".part", Whose.OURS)
    assert thumbnail.read_bytes() == b"small"
    assert os.listdir(thumbnail.parent) == ["a.jpg"]
    assert find(thumbnail, trace) is Found.SAME
    # Web servers and rsync go by the time: it is that of the writing. A file system may cut it to two seconds.
    assert abs(thumbnail.stat().st_mtime_ns - before) < 10**10


@pytest.mark.parametrize("change", [1, -1, 1000, 10**9, 10**12, -(10**12)])
def test_a_thumbnail_with_another_time_and_the_same_bytes_is_ours(tmp_path: Path, change: int) -> None:
    """Copies and restored backups have other times, and file systems cut them to 100 ns, 1 us or 2 s when they please."""
    thumbnail = tmp_path / "a.jpg"
    trace = write(thumbnail, b"small", ".part", Whose.OURS)
    os.utime(thumbnail, ns=(trace.modified_ns + change,) * 2)
    assert find(thumbnail, trace) is Found.MOVED


def test_a_thumbnail_that_is_gone_or_was_never_written_whole_is_lost(tmp_path: Path) -> None:
    thumbnail = tmp_path / "a.jpg"
    first = write(thumbnail, b"small", ".part", Whose.OURS)
    second = write(thumbnail, b"other", ".part", Whose.OURS)
    assert find(tmp_path / "b.jpg", first) is Found.LOST
    assert find(thumbnail, Trace(None)) is Found.LOST  # a killed run had begun it
    thumbnail.write_bytes(b"small")  # a power failure may bring back what was there before
    assert find(thumbnail, replace(second, earlier=first.digest)) is Found.LOST
    thumbnail.write_bytes(b"")
    assert find(thumbnail, second) is Found.LOST


@pytest.mark.parametrize("data", [b"SMALL", b"larger than before"])
def test_a_thumbnail_that_somebody_changed_is_told(tmp_path: Path, data: bytes) -> None:
    thumbnail = tmp_path / "a.jpg"
    trace = write(thumbnail, b"small", ".part", Whose.OURS)
    thumbnail.write_bytes(data)
    os.utime(thumbnail, ns=(trace.modified_ns + 1,) * 2)
    assert find(thumbnail, trace) is Found.ALTERED
    with pytest.raises(OutputError, match=r"someone has changed this thumbnail since cropper wrote it; delete it .*--force"):
        write(thumbnail, b"small", ".part", Whose.ALTERED)
    assert thumbnail.read_bytes() == data


def test_a_thumbnail_with_the_same_bytes_stays_as_it_is(tmp_path: Path) -> None:
    thumbnail = tmp_path / "a.jpg"
    write(thumbnail, b"small", ".part", Whose.OURS)
    os.utime(thumbnail, ns=(OLD, OLD))
    assert write(thumbnail, b"small", ".part", Whose.UNKNOWN).modified_ns == OLD
    assert thumbnail.stat().st_mtime_ns == OLD


def test_a_file_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "a.jpg"
    foreign.write_bytes(b"precious")
    with pytest.raises(OutputError, match="cropper did not write"):
        write(foreign, b"small", ".part", Whose.UNKNOWN)
    assert foreign.read_bytes() == b"precious"


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "a.jpg", b"small", ".part", Whose.OURS)
    assert os.listdir(tmp_path) == ["a.jpg"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_under_a_temporary_name_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / ".part").symlink_to("mine")
    write(tmp_path / "a.jpg", b"small", ".part", Whose.OURS)
    assert sorted(os.listdir(tmp_path)) == ["a.jpg", "mine"]
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert not (tmp_path / "a.jpg").is_symlink()


def test_a_folder_where_a_file_stands_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "trips").write_bytes(b"a file")
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "trips" / "a.jpg", b"small", ".part", Whose.OURS)


def test_a_thumbnail_in_a_folder_that_is_there_takes_no_system_call_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(name: str) -> None:
        check_stays_in(tmp_path, name)
        write(tmp_path / name, b"small", ".part", Whose.OURS)

    def needless(*arguments: object, **more: object) -> None:
        raise AssertionError

    make("a/b/one.jpg")
    for owner, name in ((os, "mkdir"), (os, "unlink"), (os.path, "realpath")):
        monkeypatch.setattr(owner, name, needless)
    make("a/b/two.jpg")
    assert (tmp_path / "a/b/two.jpg").read_bytes() == b"small"


@pytest.mark.skipif(os.name == "nt", reason="needs links")
@pytest.mark.parametrize(
    ("target", "is_fine"), [("out/there", True), (".", False), ("out/missing", True), ("missing", False), ("out/file", True)]
)
def test_links_may_lead_to_another_folder_of_out_alone(tmp_path: Path, target: str, is_fine: bool) -> None:
    (tmp_path / "out/there").mkdir(parents=True)
    (tmp_path / "out/sub").mkdir()
    (tmp_path / "out/file").touch()
    (tmp_path / "out/sub/link").symlink_to(tmp_path / target)
    for name in ("sub/link/a.jpg", "sub/link/deeper/a.jpg"):
        with nullcontext() if is_fine else pytest.raises(OutputError, match="a link leads out of OUT"):
            check_stays_in(tmp_path / "out", name)
    with pytest.raises(OutputError, match="a link leads out of OUT"):
        check_stays_in(tmp_path / "out", "sub/../../a.jpg")


@given(st.text(st.characters(max_codepoint=0x1FF), max_size=8))
def test_names_are_folded_alike_with_and_without_letters_beyond_ascii(name: str) -> None:
    assert naming.alike(name) == naming.alike(f"{name}\N{CYRILLIC SMALL LETTER A}")[:-1]
