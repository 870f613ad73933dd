"""Ledgers joined to one."""

from __future__ import annotations

import csv
import json
import tracemalloc
from pathlib import Path

import pytest
from fixtures import Command, write_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from cropper import UsageError
from cropper.extras import install_command
from cropper.geometry import Box
from cropper.ledger import merge
from cropper.ledger.merge import merge_tables
from cropper.ledger.table import HEADER, SHARES, WHOLE_NUMBERS, Row, decided_row, failed_row, read_rows
from cropper.storage.places import order

BOX = Box(10, 0, 640, 480, 0.81236, (300, 200))


def row(path: str, size: str = "4:3") -> Row:
    return decided_row(path, path, "ok", (800, 480), size, BOX)


def write(path: Path, rows: list[Row]) -> Path:
    return write_rows(path, rows)


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
        ["one.csv", "-o", "one.csv/x.csv"],
        ["one.csv", "-o", "x.xlsx"],
        ["one.csv", "-o", "x"],
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
    assert (code, err) == (2, f"cropper: a Parquet file needs pyarrow; run: {install_command('parquet')}\n")


def test_json_lines_have_the_same_rows_with_their_types(tmp_path: Path, cropper: Command) -> None:
    rows = [row("a"), row('b\r"\n'), failed_row("l\udce9.jpg", "4:3", "why")]
    write(tmp_path / "1.csv", rows)
    assert cropper("ledger", "merge", "1.csv", "-o", "boxes.JSONL")[:2] == (0, "boxes.JSONL\n")
    data = (tmp_path / "boxes.JSONL").read_bytes()
    found = [json.loads(line) for line in data.split(b"\n")[:-1]]
    assert [tuple(line) for line in found] == [HEADER] * 3
    assert [line["path"] for line in found] == [one.path for one in rows]
    assert (found[0]["x"], found[0]["kept"], found[0]["message"]) == (10, 0.8124, "")
    assert {found[2][name] for name in (*WHOLE_NUMBERS, *SHARES) if name != "candidate"} == {None}


@pytest.mark.parametrize("odd", ["nan", "inf", "9" * 400, "9" * 5000, "no number"])
def test_an_edited_number_that_is_none_is_null_in_json_lines(tmp_path: Path, odd: str) -> None:
    write(tmp_path / "1.csv", [Row("a", "a", "ok", kept=odd, x=odd)])
    merge_tables([tmp_path / "1.csv"], tmp_path / "boxes.jsonl")
    line = json.loads((tmp_path / "boxes.jsonl").read_text())
    assert (line["kept"], line["x"]) == (None, None)


def test_a_table_of_an_unknown_kind_is_refused_with_those_that_are_known(tmp_path: Path, cropper: Command) -> None:
    write(tmp_path / "one.csv", [row("a")])
    code, out, err = cropper("ledger", "merge", "one.csv", "-o", "y.json")
    said = "cropper: y.json: the name does not say what kind of table to write; end it in .csv, .jsonl or .parquet\n"
    assert (code, out, err) == (2, "", said)
    assert not (tmp_path / "y.json").exists()


def test_lines_of_a_merged_table_end_with_lf_and_a_cr_within_a_name_stays(tmp_path: Path) -> None:
    whole = write(tmp_path / "1.csv", [row("a"), row("b\r\nc\r")])
    whole.write_bytes(whole.read_bytes().replace(b"heads_cut\n", b"heads_cut\r\n"))  # as versions before wrote it
    merge_tables([whole], tmp_path / "merged.csv")
    with (tmp_path / "merged.csv").open(newline="") as file:
        lines = file.read()
        file.seek(0)
        assert [line["path"] for line in csv.DictReader(file)] == ["a", "b\r\nc\r"]
    assert lines.replace('"b\r\nc\r"', "").count("\r") == 0
