"""Names and files under OUT."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropper import OutputError
from cropper.image_formats import output_format
from cropper.settings import Target
from cropper.storage import naming
from cropper.storage.naming import folder_in_out, folders_of, names_of, paths_of
from cropper.storage.thumbnails import are_up_to_date, stamp, write

FORMATS = st.sampled_from(["keep", "jpg", "png", "webp", "avif"])
STEMS = st.text(st.sampled_from("aAbé~2. ß\udce9"), min_size=1, max_size=5).filter(lambda stem: not stem.startswith("."))
NAMES = st.builds(str.__add__, STEMS, st.sampled_from([".jpg", ".JPG", ".jpeg", ".png", ".webp", ".tif", ".jpg~2.webp"]))
OLD, NEW = 1_600_000_000_123_456_789, 1_600_000_500_000_000_000


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
    alike = naming._alike
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

    monkeypatch.setattr(naming, "_alike", counted)
    assert tries(11) < 16 * tries(8)  # for eight times the names; 64 if each passed all before it


def test_format_kept_is_the_photos_own_or_png() -> None:
    assert [output_format(f"a{ending}", "keep") for ending in (".JPG", ".webp", ".tif", ".gif")] == ["jpg", "webp", "png", "png"]
    assert output_format("a.tif", "avif") == "avif"


def test_several_targets_have_a_folder_each() -> None:
    size, aspect = Target((64, 36), (64, 36)), Target((1, 1))
    assert paths_of((size,), "trip", "a.jpg") == ("trip/a.jpg",)
    assert paths_of((size, aspect), "trip", "a.jpg") == ("64x36/trip/a.jpg", "1-1/trip/a.jpg")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"the photo")
    os.utime(path, ns=(OLD, OLD))
    return path


def test_a_written_thumbnail_is_up_to_date_until_its_photo_changes(tmp_path: Path, photo: Path) -> None:
    thumbnail = tmp_path / "out" / "deep" / "a.jpg"
    write(thumbnail, b"small", ".part", OLD, ours=False)
    assert thumbnail.read_bytes() == b"small"
    assert os.listdir(thumbnail.parent) == ["a.jpg"]
    assert are_up_to_date([thumbnail], photo)
    for changed in (NEW, OLD - 1, OLD + 1000, OLD + 3_000_000_000):
        os.utime(photo, ns=(changed, changed))
        assert not are_up_to_date([thumbnail], photo)


@pytest.mark.parametrize("step", [100, 10_000_000, 1_000_000_000])
def test_a_file_system_with_a_coarse_clock_is_understood(tmp_path: Path, photo: Path, step: int) -> None:
    thumbnail = tmp_path / "a.jpg"
    write(thumbnail, b"small", ".part", OLD, ours=False)
    coarse = thumbnail.stat().st_mtime_ns // step * step
    os.utime(thumbnail, ns=(coarse, coarse))
    assert are_up_to_date([thumbnail], photo)


def test_a_missing_thumbnail_or_photo_is_not_up_to_date(tmp_path: Path, photo: Path) -> None:
    thumbnail = tmp_path / "a.jpg"
    assert not are_up_to_date([thumbnail], photo)
    write(thumbnail, b"small", ".part", OLD, ours=False)
    assert not are_up_to_date([thumbnail], tmp_path / "nowhere.jpg")
    assert not are_up_to_date([thumbnail, tmp_path / "b.jpg"], photo)


def test_a_replaced_thumbnail_counts_only_once_it_is_stamped(tmp_path: Path, photo: Path) -> None:
    """Its old row is still in the ledger: a run killed now must not take the row for the new thumbnail's."""
    thumbnail = tmp_path / "a.jpg"
    write(thumbnail, b"small", ".part", OLD, ours=False)
    os.utime(photo, ns=(NEW, NEW))
    write(thumbnail, b"new", ".part", NEW, ours=True)
    assert thumbnail.read_bytes() == b"new"
    assert not are_up_to_date([thumbnail], photo)
    stamp(thumbnail, NEW)
    assert are_up_to_date([thumbnail], photo)


def test_a_file_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "a.jpg"
    foreign.write_bytes(b"precious")
    with pytest.raises(OutputError, match="cropper did not write"):
        write(foreign, b"small", ".part", OLD, ours=False)
    assert foreign.read_bytes() == b"precious"


def test_a_copy_of_the_photo_itself_is_somebody_elses(tmp_path: Path, photo: Path) -> None:
    copy = tmp_path / "copy.jpg"
    shutil.copy2(photo, copy)
    with pytest.raises(OutputError, match="cropper did not write"):
        write(copy, b"small", ".part", OLD, ours=False)
    assert copy.read_bytes() == b"the photo"


def test_a_thumbnail_written_just_before_a_run_was_killed_is_replaced(tmp_path: Path) -> None:
    thumbnail = tmp_path / "a.jpg"
    write(thumbnail, b"small", ".part", OLD, ours=False)
    write(thumbnail, b"again", ".part", OLD, ours=False)
    assert thumbnail.read_bytes() == b"again"


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "a.jpg", b"small", ".part", OLD, ours=True)
    assert os.listdir(tmp_path) == ["a.jpg"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_under_a_temporary_name_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / ".part").symlink_to("mine")
    write(tmp_path / "a.jpg", b"small", ".part", OLD, ours=False)
    assert sorted(os.listdir(tmp_path)) == ["a.jpg", "mine"]
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert not (tmp_path / "a.jpg").is_symlink()


def test_a_folder_where_a_file_stands_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "trips").write_bytes(b"a file")
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "trips" / "a.jpg", b"small", ".part", OLD, ours=False)
