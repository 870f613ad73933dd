"""Ledgers joined to one."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from fixtures import Command
from hypothesis import given, settings
from hypothesis import strategies as st

from cropper import UsageError
from cropper.geometry import Box
from cropper.ledger import merge
from cropper.ledger.merge import merge_tables
from cropper.ledger.table import HEADER, Row, Writer, decided_row, failed_row, read_rows
from cropper.storage.places import order

BOX = Box(10, 0, 640, 480, 0.81236, (300, 200))


def row(path: str, size: str = "4:3") -> Row:
    return decided_row(path, path, "ok", (800, 480), size, BOX)


def write(path: Path, rows: list[Row]) -> Path:
    writer = Writer(path)
    writer.append(rows)
    writer.close()
    return path


PATHS = st.lists(st.sampled_from(["a", "b", "ab", "a b", "a-b", "é", 'q"\r\n', "l\udce9"]), min_size=1, max_size=3).map("/".join)


@settings(max_examples=25)
@given(st.dictionaries(PATHS, st.integers(0, 3), max_size=20))
def test_parts_merge_to_the_bytes_of_the_whole(tmp_path_factory: pytest.TempPathFactory, part_of: dict[str, int]) -> None:
    folder = tmp_path_factory.mktemp("merging")
    paths = sorted(part_of, key=order)
    whole = write(folder / "whole.csv", [row(path, size) for path in paths for size in ("4:3", "1:1")])
    parts = [
        write(folder / f"{part}.csv", [row(path, size) for path in paths if part_of[path] == part for size in ("4:3", "1:1")])
        for part in range(4)
    ]
    assert merge_tables(parts, folder / "merged.csv") == 2 * len(paths)
    assert (folder / "merged.csv").read_bytes() == whole.read_bytes()


def test_more_parts_than_files_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "_AT_ONCE", 3)
    names = [f"{number:03}" for number in range(40)]
    parts = [write(tmp_path / f"{name}.csv", [row(f"{name}/a"), row(f"{name}/b")]) for name in reversed(names)]
    merge_tables(parts, tmp_path / "merged.csv")
    assert [found.path for found in read_rows(tmp_path / "merged.csv")] == [f"{name}/{end}" for name in names for end in "ab"]


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    parts = [write(tmp_path / f"{part}.csv", [row(f"{n:06}-{part}.jpg") for n in range(3000)]) for part in range(2)]
    tracemalloc.start()
    merge_tables(parts, tmp_path / "merged.csv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (tmp_path / "merged.csv").stat().st_size < 600_000


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        (["a", "b"], ["b", "c"], "two.csv: has rows of b, as .*one.csv does; give ledgers that share no photo"),
        (["b", "a"], ["c"], "one.csv: is not in the order of the walk: a comes too late"),
    ],
)
def test_parts_that_do_not_fit_are_refused_and_nothing_is_written(
    tmp_path: Path, one: list[str], two: list[str], said: str
) -> None:
    parts = [write(tmp_path / "one.csv", [row(path) for path in one]), write(tmp_path / "two.csv", [row(path) for path in two])]
    (tmp_path / "merged.csv").write_text("as it was")
    with pytest.raises(UsageError, match=said):
        merge_tables(parts, tmp_path / "merged.csv")
    assert (tmp_path / "merged.csv").read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["merged.csv", "one.csv", "two.csv"]


def test_the_command_says_what_is_wrong_in_one_line(cropper: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "one.csv", [row("a")])
    for arguments in (
        ["one.csv"],
        ["empty"],
        ["empty", "-o", "x.csv"],
        ["one.csv", "empty", "-o", "x.csv"],
        ["one.csv", "-o", "no/x.csv"],
    ):
        code, out, err = cropper("ledger", "merge", *arguments)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
    assert cropper("ledger", "merge", "one.csv", "-o", "x.csv")[:2] == (0, "x.csv\n")


def test_a_parquet_file_has_the_same_rows_with_their_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(merge, "_ROW_GROUP", 2)
    failed = failed_row("l\udce9.jpg", "4:3", "why")
    merge_tables([write(tmp_path / "1.csv", [row("a"), row("b"), failed])], tmp_path / "boxes.parquet")
    table = parquet.read_table(tmp_path / "boxes.parquet").to_pylist()
    assert tuple(table[0]) == HEADER
    assert [found["path"] for found in table] == ["a", "b", r"l\xe9.jpg"]
    assert (table[0]["x"], table[0]["kept"], table[0]["message"]) == (10, 0.8124, "")
    assert (table[2]["x"], table[2]["kept"], table[2]["message"]) == (None, None, "why")


def test_a_parquet_file_without_pyarrow_is_an_error_in_one_line(
    tmp_path: Path, cropper: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    write(tmp_path / "1.csv", [row("a")])
    code, _, err = cropper("ledger", "merge", "1.csv", "-o", "boxes.parquet")
    assert (code, err) == (2, "cropper: a Parquet file needs pyarrow; pip install 'cropper[parquet]'\n")
