"""The table of boxes: its bytes, and what is read from it."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures import write_rows
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cropper.geometry import Box
from cropper.ledger.table import HEADER, Row, decided_row, failed_row, read_rows, read_versioned

IN = Path("photos")
BOX = Box(10, 0, 640, 480, 0.81236, (300, 200))


def ok(path: str) -> Row:
    return decided_row(path, path, "ok", (800, 480), "4:3", BOX)


def write(path: Path, rows: list[Row]) -> None:
    write_rows(path, rows)


def paths(file: Path) -> list[str]:
    return [row.path for row in read_rows(file)]


# The file ---------------------------------------------------------------------------------------------------------------------


def test_ledger_is_written_as_the_contract_says(tmp_path: Path) -> None:
    write(tmp_path / "boxes.csv", [ok("trips/a.jpg"), failed_row("b, c.jpg", "4:3", 'it is "empty"')])
    assert (tmp_path / "boxes.csv").read_bytes() == (
        b"path,output,status,image_width,image_height,size,x,y,width,height,focus_x,focus_y,kept,message,subject_kept,heads_cut,output_width,output_height,candidate\n"
        b"trips/a.jpg,trips/a.jpg,ok,800,480,4:3,10,0,640,480,300,200,0.8124,,,,,,1\n"
        b'"b, c.jpg",,failed,,,4:3,,,,,,,,"it is ""empty""",,,,,1\n'
    )


def test_what_a_box_cuts_is_in_its_row() -> None:
    row = decided_row("a.jpg", "a.jpg", "ok", (80, 60), "1:1", Box(0, 0, 60, 60, 0.5, (30, 30), 0.75, 2))
    assert (row.subject_kept, row.heads_cut) == ("0.7500", "2")


@pytest.mark.parametrize("version", [(), ("version",)])
@pytest.mark.parametrize("count", [14, 16, 18])
def test_tables_of_older_versions_are_read(tmp_path: Path, version: tuple[str, ...], count: int) -> None:
    row = ok("a.jpg")
    columns = HEADER[:count]
    values = [getattr(row, column) for column in columns]
    text = ",".join((*columns, *version)) + "\r\n" + ",".join((*values, *("3" for _ in version))) + "\r\n"
    (tmp_path / "boxes.csv").write_text(text)
    assert list(read_rows(tmp_path / "boxes.csv")) == [Row(**dict(zip(columns, values, strict=True)))]
    assert [found for _, found in read_versioned(tmp_path / "boxes.csv")] == ["3" if version else ""]


# Any text but lone surrogates other than those that stand for bytes which are no UTF-8.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from('\udc80\udcff,"\r\n'))


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
@settings(deadline=None)  # a busy disk is no failure
@example([("caf\udce9.jpg", 'a "b",\r\nc')])
def test_any_name_and_message_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str]]) -> None:
    file = tmp_path_factory.mktemp("ledger") / "boxes.csv"
    rows = [failed_row(path, "1:1", message) for path, message in texts]
    write(file, rows)
    assert list(read_rows(file)) == rows


def test_rows_torn_anywhere_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "boxes.csv"
    rows = [ok("a.jpg"), ok('"b", c.jpg'), ok("d.jpg")]
    write(file, rows)
    whole = file.read_bytes()
    counts = set()
    for end in range(whole.index(b"\n") + 1, len(whole) + 1):
        file.write_bytes(whole[:end])
        found = list(read_rows(file))
        if found and whole[end : end + 2] == b"1\n":  # the end of a number may be torn off
            found[-1] = replace(found[-1], candidate="1")
        assert found == rows[: len(found)]
        counts.add(len(found))
    assert counts == {0, 1, 2, 3}


def test_no_ledger_has_no_rows(tmp_path: Path) -> None:
    assert paths(tmp_path / "boxes.csv") == []
    (tmp_path / "boxes.csv").write_bytes(b"")
    assert paths(tmp_path / "boxes.csv") == []


def test_ledger_saved_by_a_spreadsheet_is_still_one(tmp_path: Path) -> None:
    write(tmp_path / "boxes.csv", [ok("a.jpg")])
    text = (tmp_path / "boxes.csv").read_text(encoding="utf-8")
    (tmp_path / "boxes.csv").write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert paths(tmp_path / "boxes.csv") == ["a.jpg"]


def test_ledger_opens_in_any_csv_reader(tmp_path: Path) -> None:
    write(tmp_path / "boxes.csv", [ok("a.jpg")])
    rows = list(csv.DictReader(io.StringIO((tmp_path / "boxes.csv").read_text(encoding="utf-8"), newline="")))
    assert rows[0]["x"] == "10"
    assert rows[0]["kept"] == "0.8124"
