"""The ledger: its bytes, and what a second run finds in it, however the first one ended."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cropper import OutputError
from cropper.geometry import Box
from cropper.ledger.run import OpenRun, close_run, open_run
from cropper.ledger.state import source_of
from cropper.ledger.table import HEADER, Previous, Row, Writer, decided_row, failed_row, read_rows
from cropper.storage.access import place
from cropper.storage.places import order

IN = Path("photos")
BOX = Box(10, 0, 640, 480, 0.81236, (300, 200))


def ok(path: str) -> Row:
    return decided_row(path, path, "ok", (800, 480), "4:3", BOX)


def write(path: Path, rows: list[Row]) -> None:
    writer = Writer(path)
    writer.append(rows)
    writer.close()


def paths(file: Path) -> list[str]:
    return [row.path for row in read_rows(file)]


def begin(out: Path, settings: str, rows: list[Row]) -> OpenRun:
    """A run that has come so far."""
    run = open_run(out, IN, settings)
    for row in rows:
        run.part.append([row])
    return run


# The file ---------------------------------------------------------------------------------------------------------------------


def test_ledger_is_written_as_the_contract_says(tmp_path: Path) -> None:
    write(tmp_path / "boxes.csv", [ok("trips/a.jpg"), failed_row("b, c.jpg", "4:3", 'it is "empty"')])
    assert (tmp_path / "boxes.csv").read_bytes() == (
        b"path,output,status,image_width,image_height,size,x,y,width,height,focus_x,focus_y,kept,message,subject_kept,heads_cut\n"
        b"trips/a.jpg,trips/a.jpg,ok,800,480,4:3,10,0,640,480,300,200,0.8124,,,\n"
        b'"b, c.jpg",,failed,,,4:3,,,,,,,,"it is ""empty""",,\n'
    )


def test_what_a_box_cuts_is_in_its_row() -> None:
    row = decided_row("a.jpg", "a.jpg", "ok", (80, 60), "1:1", Box(0, 0, 60, 60, 0.5, (30, 30), 0.75, 2))
    assert (row.subject_kept, row.heads_cut) == ("0.7500", "2")


@pytest.mark.parametrize("version", [(), ("version",)])
def test_a_ledger_from_before_boxes_said_what_they_cut_is_read(tmp_path: Path, version: tuple[str, ...]) -> None:
    """The next run over an older output folder goes on from its ledger."""
    row = replace(ok("a.jpg"), version="3" if version else "")
    columns = [*HEADER[:14], *version]
    text = ",".join(columns) + "\r\n" + ",".join(getattr(row, column) for column in columns) + "\r\n"
    (tmp_path / "boxes.csv").write_text(text)
    assert list(read_rows(tmp_path / "boxes.csv")) == [row]


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
        assert found == rows[: len(found)]
        counts.add(len(found))
    assert counts == {0, 1, 2, 3}


def test_rows_are_on_disk_before_the_ledger_is_closed(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "part.csv")
    writer.append([ok("a.jpg")])
    assert paths(tmp_path / "part.csv") == ["a.jpg"]
    writer.close()


def test_no_ledger_has_no_rows(tmp_path: Path) -> None:
    assert paths(tmp_path / "boxes.csv") == []
    (tmp_path / "boxes.csv").write_bytes(b"")
    assert paths(tmp_path / "boxes.csv") == []


def test_ledger_saved_by_a_spreadsheet_is_still_one(tmp_path: Path) -> None:
    write(tmp_path / "boxes.csv", [ok("a.jpg")])
    text = (tmp_path / "boxes.csv").read_text(encoding="utf-8")
    (tmp_path / "boxes.csv").write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert paths(tmp_path / "boxes.csv") == ["a.jpg"]


@pytest.mark.parametrize("content", [b"x,y,width,height\n1,2,3,4\n", b"\xff\xd8\xff\xe0\0\0", b'"' + b"a" * 200_000])
def test_foreign_boxes_csv_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "boxes.csv").write_bytes(content)
    with pytest.raises(OutputError, match="is not a ledger"):
        open_run(tmp_path, IN, "settings")
    assert (tmp_path / "boxes.csv").read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["boxes.csv"]


# The rows of earlier runs -----------------------------------------------------------------------------------------------------


PATHS = st.lists(st.sampled_from(["a", "b", "ab", "a b"]), min_size=1, max_size=3).map("/".join)


@given(st.sets(PATHS), st.sets(PATHS))
@settings(deadline=None)  # a busy disk is no failure
def test_rows_are_found_by_whoever_asks_in_order(known: set[str], asked: set[str]) -> None:
    """Photos that are new since, and photos that are gone, do no harm."""
    rows = [row for path in sorted(known, key=order) for row in (ok(path), failed_row(path, "1:1", ""))]
    previous = Previous(iter(rows))
    for path in sorted(asked, key=order):
        assert previous.of(path) == tuple(row for row in rows if row.path == path)


# Runs -------------------------------------------------------------------------------------------------------------------------


def test_complete_run_leaves_its_rows_alone(tmp_path: Path) -> None:
    close_run(begin(tmp_path, "same", [ok("a"), ok("b"), ok("d")]), complete=True)
    run = begin(tmp_path, "same", [ok("a"), ok("c")])
    assert paths(tmp_path / "boxes.csv") == ["a", "b", "d"]  # the old one stands until the new one is whole
    close_run(run, complete=True)
    assert paths(tmp_path / "boxes.csv") == ["a", "c"]


def test_interrupted_run_keeps_the_old_rows_of_what_it_had_not_come_to(tmp_path: Path) -> None:
    close_run(begin(tmp_path, "same", [ok("a"), ok("b"), ok("d"), ok("a/a")]), complete=True)
    close_run(begin(tmp_path, "same", [ok("a"), ok("c")]), complete=False)
    assert paths(tmp_path / "boxes.csv") == ["a", "c", "d", "a/a"]


@pytest.mark.parametrize("rows", [["a", "c"], ["a"], []])
def test_killed_run_is_taken_up_where_it_was(tmp_path: Path, rows: list[str]) -> None:
    close_run(begin(tmp_path, "same", [ok("b"), ok("d")]), complete=True)
    begin(tmp_path, "same", [ok(path) for path in rows]).part.close()  # never closed as a run
    run = open_run(tmp_path, IN, "same")
    expected = sorted({*rows, *(path for path in "bd" if not rows or path > rows[-1])})
    assert paths(tmp_path / "boxes.csv") == expected
    assert [path for path in "abcd" if run.current.of(path)] == expected
    run.part.close()


def test_rows_made_with_other_settings_are_known_but_not_current(tmp_path: Path) -> None:
    close_run(begin(tmp_path, "old", [ok("a"), ok("b")]), complete=True)
    run = open_run(tmp_path, IN, "new")
    assert run.current.of("a") == ()
    assert run.outdated.of("a") == (ok("a"),)
    close_run(run, complete=True)
    run = open_run(tmp_path, IN, "new")
    assert run.outdated.of("a") == ()
    run.part.close()


def test_rows_outlive_any_number_of_unfinished_runs_with_other_settings(tmp_path: Path) -> None:
    close_run(begin(tmp_path, "first", [ok("a"), ok("b"), ok("c"), ok("d")]), complete=True)
    close_run(begin(tmp_path, "second", [ok("a"), ok("b")]), complete=False)
    begin(tmp_path, "third", [ok("a")]).part.close()  # killed
    run = open_run(tmp_path, IN, "fourth")
    assert [path for path in "abcd" if run.outdated.of(path)] == ["a", "b", "c", "d"]
    assert run.current.of("a") == ()
    run.part.close()


def test_dry_run_leaves_nothing_but_the_ledger(tmp_path: Path) -> None:
    run = open_run(tmp_path, IN, "settings", dry=True)
    run.part.append([decided_row("a.jpg", "", "ok", (8, 8), "1:1", BOX)])
    close_run(run, complete=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["boxes.csv"]
    assert paths(tmp_path / "boxes.csv") == ["a.jpg"]


def test_ledger_knows_where_the_photos_of_the_last_run_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert source_of(tmp_path) is None
    monkeypatch.chdir(tmp_path)
    close_run(open_run(tmp_path, Path("caf\udce9"), "settings"), complete=True)
    assert source_of(tmp_path) == place(tmp_path / "caf\udce9")


def test_dry_run_does_not_spoil_the_ledger_of_thumbnails(tmp_path: Path) -> None:
    close_run(begin(tmp_path, "old", [ok("a")]), complete=True)
    before = (tmp_path / "boxes.csv").read_bytes()
    with pytest.raises(OutputError, match="other settings; choose another OUT"):
        open_run(tmp_path, IN, "new", dry=True)
    assert (tmp_path / "boxes.csv").read_bytes() == before
    run = open_run(tmp_path, IN, "old", dry=True)
    run.part.append([ok("a")])
    close_run(run, complete=True)
    run = open_run(tmp_path, IN, "old")
    assert run.current.of("a") == (ok("a"),)
    run.part.close()


def test_out_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        open_run(tmp_path / "file" / "out", IN, "settings")
    assert caught.value.remedy


def test_ledger_opens_in_any_csv_reader(tmp_path: Path) -> None:
    write(tmp_path / "boxes.csv", [ok("a.jpg")])
    rows = list(csv.DictReader(io.StringIO((tmp_path / "boxes.csv").read_text(encoding="utf-8"), newline="")))
    assert rows[0]["x"] == "10"
    assert rows[0]["kept"] == "0.8124"
