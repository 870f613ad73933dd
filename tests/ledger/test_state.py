"""What OUT remembers, however the run before ended."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropper import OutputError, UsageError
from cropper.geometry import Box
from cropper.ledger import begun, database, shards, state
from cropper.ledger.changes import Change
from cropper.ledger.database import Files, connect, decoded, encoded, files_of, key_of, key_of_folder
from cropper.ledger.session import open_session
from cropper.ledger.shards import Shard
from cropper.ledger.source import source_of
from cropper.ledger.state import State
from cropper.ledger.table import Row, decided_row, failed_row, read_rows
from cropper.settings import UPKEEP, Upkeep
from cropper.storage.access import place
from cropper.storage.places import UNKNOWN, Trace, Version, Whose, order
from cropper.storage.thumbnails import write

IN = place(Path("photos"))
BOX = Box(10, 0, 640, 480, 0.81236, (300, 200), 0.5, 1)
SEEN = Version(5, 1_600_000_000_000_000_000, "", 1_600_000_000_000_000_001)


def ok(path: str, message: str = "") -> Row:
    return decided_row(path, path, "ok", (800, 480), "4:3", BOX, message, (64, 48))


def made(out: Path, path: str, data: bytes = b"small") -> Change:
    """A photo whose thumbnail is there."""
    return Change(path, (ok(path),), SEEN, written=((path, write(out / path, data, ".part", Whose.OURS)),))


def finish(out: Path, *changes: Change, settings: str = "same", upkeep: Upkeep = UPKEEP, source: str = "photos") -> None:
    """A run over these photos that comes to its end."""
    with open_session(place(out), place(Path(source)), settings, upkeep=upkeep) as session:
        for change in changes:
            session.state.of(change.path)
            session.record(change)
        session.finish()


def killed(out: Path, act: Callable[[State], None]) -> None:
    """A run that does something and is killed: only what was committed is there, and what it had begun."""
    left: dict[str, bytes] = {}
    with open_session(place(out), IN, "same") as session:
        act(session.state)
        left = {file.name: file.read_bytes() for file in (out / ".cropper").iterdir()}
    for name, data in left.items():
        (out / ".cropper" / name).write_bytes(data)


def paths(out: Path) -> list[str]:
    return [row.path for row in read_rows(out / "boxes.csv")]


# Keys -------------------------------------------------------------------------------------------------------------------------


# Any text but lone surrogates other than those that stand for bytes which are no UTF-8.
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0/") | st.sampled_from("\udc80\udcff")
NAMES = st.text(LETTERS, min_size=1, max_size=4)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@given(PATHS, PATHS)
def test_keys_sort_as_the_walk_does(one: str, other: str) -> None:
    assert (key_of(one) < key_of(other)) == (order(one) < order(other))
    assert decoded(encoded(one)) == one


@given(PATHS, PATHS)
def test_the_photos_below_a_folder_have_its_key_in_front(path: str, folder: str) -> None:
    assert key_of(path).startswith(key_of_folder(folder)) == path.startswith(folder + "/")


# Photos -----------------------------------------------------------------------------------------------------------------------


@given(known=st.sets(PATHS, max_size=8), asked=st.sets(PATHS, max_size=8))
def test_photos_are_found_by_whoever_asks_in_order(
    tmp_path_factory: pytest.TempPathFactory, known: set[str], asked: set[str]
) -> None:
    """Photos that are new since, and photos that are gone, do no harm; names may hold anything."""
    out = tmp_path_factory.mktemp("out")
    rows = {path: (ok(path), failed_row(path, "1:1", f"of {path}")) for path in known}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "PAGE", 3)
        with open_session(place(out), IN, "same") as session:
            for path in known:
                session.record(Change(path, rows[path], SEEN))
        assert list(read_rows(out / "boxes.csv")) == [row for path in sorted(known, key=order) for row in rows[path]]
        with open_session(place(out), IN, "same") as session:
            for path in sorted(asked, key=order):
                found = session.state.of(path)
                assert (found.change.rows if found is not None else None) == rows.get(path)
            assert session.state.found == len(known & asked)


def test_all_of_a_photo_comes_back(tmp_path: Path) -> None:
    change = Change("a.jpg", (ok("a.jpg"), failed_row("a.jpg", "1:1", "caf\udce9")), SEEN, b"digest", 2.5)
    finish(tmp_path, change)
    with open_session(place(tmp_path), IN, "same") as session:
        found = session.state.of("a.jpg")
        assert found is not None
        assert (found.change, found.is_current) == (change, True)
    with open_session(place(tmp_path), IN, "other") as session:
        found = session.state.of("a.jpg")
        assert found is not None
        assert not found.is_current


def test_a_thumbnail_that_went_over_to_another_photo_is_that_ones_alone(tmp_path: Path) -> None:
    """As where names are shared out anew: the first photo comes later in the run, and is still known by its old row."""
    first = made(tmp_path, "a.jpg")
    other = replace(first, path="b.jpg", rows=(replace(ok("b.jpg"), output="a.jpg"),))
    finish(tmp_path, first)
    with open_session(place(tmp_path), IN, "same") as session:
        session.record(other)
    with open_session(place(tmp_path), IN, "same") as session:
        found = [session.state.of(path) for path in ("a.jpg", "b.jpg")]
    assert [one.change.written for one in found if one is not None] == [(), other.written]


def test_a_new_photo_takes_one_statement_for_itself_and_one_for_each_decision_and_thumbnail(tmp_path: Path) -> None:
    rows = tuple(replace(ok("a.jpg"), output=f"{n}/a.jpg") for n in range(5))
    change = Change("a.jpg", rows, SEEN, written=tuple((row.output, Trace(5, 1, b"digest")) for row in rows))
    statements: list[str] = []
    with open_session(place(tmp_path), IN, "same") as session:
        session.state.of("a.jpg")
        session.state.connection.set_trace_callback(statements.append)
        session.state.gifts.settle("a.jpg", (800, 480))
        session.record(change)
        session.state.connection.set_trace_callback(None)
    assert [statement.split()[0] for statement in statements].count("INSERT") == 1 + 5 + 5
    assert len(statements) == 1 + 1 + 5 + 5  # it asks once what was decided before


def test_photos_that_are_gone_leave_the_table_and_their_thumbnails_stay_ours(tmp_path: Path) -> None:
    finish(tmp_path, *(made(tmp_path, path) for path in ("a", "b", "c")))
    finish(tmp_path, made(tmp_path, "b"))
    assert paths(tmp_path) == ["b"]
    with open_session(place(tmp_path), IN, "same") as session:
        assert session.state.whose("a") is Whose.OURS


def test_photos_of_a_folder_that_could_not_be_listed_stay(tmp_path: Path) -> None:
    finish(tmp_path, *(made(tmp_path, path) for path in ("a", "x/b", "x/y/c", "xy/d")))
    with open_session(place(tmp_path), IN, "same") as session:
        session.state.of("a")
        session.unlisted.append("x")
        assert session.finish().missing == 1
    assert paths(tmp_path) == ["a", "x/b", "x/y/c"]


def test_a_run_that_would_lose_every_photo_stops(tmp_path: Path) -> None:
    finish(tmp_path, made(tmp_path, "a"), made(tmp_path, "b"))
    with pytest.raises(UsageError, match=r"none of the 2 photos is there .* is the right disk mounted"):
        finish(tmp_path)
    with pytest.raises(UsageError, match="--allow-empty"):
        finish(tmp_path, made(tmp_path, "c"))
    assert paths(tmp_path) == ["a", "b", "c"]
    finish(tmp_path, upkeep=Upkeep(allow_empty=True))
    assert paths(tmp_path) == []


def test_another_folder_is_refused(tmp_path: Path) -> None:
    finish(tmp_path, made(tmp_path, "a"))
    with pytest.raises(UsageError, match=r"was made from the photos in .*photos; choose another OUT, or give --moved"):
        finish(tmp_path, source="elsewhere")
    assert paths(tmp_path) == ["a"]
    finish(tmp_path, made(tmp_path, "a"), source="elsewhere", upkeep=Upkeep(moved=True))
    finish(tmp_path, made(tmp_path, "a"), source="elsewhere")
    assert source_of(tmp_path) == place(Path("elsewhere").absolute())


# Outputs ----------------------------------------------------------------------------------------------------------------------


def test_only_what_cropper_wrote_is_ours(tmp_path: Path) -> None:
    finish(tmp_path, made(tmp_path, "a"), made(tmp_path, "b"))
    (tmp_path / "b").write_bytes(b"retouched")
    (tmp_path / "c").write_bytes(b"precious")
    with open_session(place(tmp_path), IN, "same") as session:
        assert [session.state.whose(name) for name in "abcd"] == [Whose.OURS, Whose.ALTERED, Whose.UNKNOWN, Whose.OURS]


def test_a_killed_run_leaves_word_of_the_thumbnails_it_had_begun(tmp_path: Path) -> None:
    finish(tmp_path, made(tmp_path, "a"), made(tmp_path, "b"))

    def begin(state: State) -> None:
        for path in ("a", "n", "o"):
            state.begin_photo(path, [path])
        write(tmp_path / "a", b"newer", ".part", Whose.OURS)
        write(tmp_path / "n", b"new", ".part", Whose.OURS)

    killed(tmp_path, begin)
    with open_session(place(tmp_path), IN, "same") as session:
        assert [session.state.whose(name) for name in "abn"] == [Whose.OURS] * 3
        known = session.state.of("a")
        assert known is not None
        assert known.change.written[0][1].size is None  # not as its row says, so it is made again
    (tmp_path / "o").write_bytes(b"precious")  # had been begun, and nothing was written: whoever comes later is no one of ours
    with open_session(place(tmp_path), IN, "same") as session:
        assert session.state.whose("o") is Whose.UNKNOWN


def test_after_a_kill_what_a_person_changed_since_stays_and_what_lost_its_bytes_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "COMMIT", 0.0)

    def record(state: State) -> None:
        for path in "abcdef":
            state.begin_photo(path, [path])
            state.record(made(tmp_path, path, 100 * path.encode()))

    killed(tmp_path, record)
    (tmp_path / "a").write_bytes(b"retouched")
    for name, left in (("b", bytes(100)), ("c", b""), ("d", b"d" + bytes(70))):
        (tmp_path / name).write_bytes(left)
    now = (tmp_path / "f").stat()
    (tmp_path / "f").write_bytes(b"nobody" + 94 * b" ")  # a block that was in use before, under the name, size and time of ours
    os.utime(tmp_path / "f", ns=(now.st_atime_ns, now.st_mtime_ns))
    with open_session(place(tmp_path), IN, "same") as session:
        known = {name: session.state.of(name) for name in "abcdef"}
        sizes = {name: one.change.written[0][1].size for name, one in known.items() if one is not None}
        assert sizes == {"a": 100, "b": None, "c": None, "d": None, "e": 100, "f": None}
        assert [session.state.whose(name) for name in "abcdef"] == [Whose.ALTERED] + [Whose.OURS] * 5


def test_a_killed_run_loses_what_was_not_committed_and_nothing_else(tmp_path: Path) -> None:
    finish(tmp_path, made(tmp_path, "a"))

    def record(state: State) -> None:
        state.record(Change("b", (ok("b"),), SEEN))
        state.commit()
        state.record(Change("c", (ok("c"),), SEEN))

    killed(tmp_path, record)
    with open_session(place(tmp_path), IN, "same", goes_on=True) as session:
        found = {name: session.state.of(name) for name in "abc"}
    assert [known is not None and known.by_this_run for known in found.values()] == [False, True, False]
    assert found["c"] is None


def test_an_edit_after_a_kill_of_what_was_recorded_is_an_edit(tmp_path: Path) -> None:
    def record(state: State) -> None:
        state.begin_photo("a", ["a"])
        state.record(made(tmp_path, "a"))
        state.commit()

    killed(tmp_path, record)
    (tmp_path / "a").write_bytes(b"retouched")
    with open_session(place(tmp_path), IN, "same") as session:
        assert session.state.whose("a") is Whose.ALTERED


def test_a_take_over_that_fails_leaves_no_empty_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(tmp_path, made(tmp_path, "a"))
    shard = Shard(1, 1)
    with monkeypatch.context() as failing:
        failing.setattr(shards, "_copying", lambda *conditions: "INSERT INTO nothing VALUES (1);")
        with pytest.raises(OutputError), open_session(place(tmp_path), IN, "same", shard=shard):
            pass
    with open_session(place(tmp_path), IN, "same", shard=shard) as session:
        assert session.state.of("a") is not None


def test_the_file_of_begun_thumbnails_stays_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(begun, "_MOST", 100)
    monkeypatch.setattr(state, "COMMIT", 0.0)
    with open_session(place(tmp_path), IN, "same") as session:
        session.state.begin_photo("stays", ["stays.jpg"])
        for number in range(100):
            session.state.begin_photo(f"{number}", [f"{number}.jpg"])
            session.record(Change(f"{number}", ()))
        left = files_of(tmp_path).begun.read_bytes()
        assert b"stays.jpg\0" in left
        assert len(left) < 150
    assert not files_of(tmp_path).begun.exists()


def test_outputs_of_no_photo_are_counted_and_removed_on_request(tmp_path: Path) -> None:
    finish(tmp_path, *(made(tmp_path, path) for path in "abcd"))
    (tmp_path / "b").write_bytes(b"retouched")
    (tmp_path / "c").unlink()
    with open_session(place(tmp_path), IN, "same") as session:
        session.state.of("d")
        ending = session.finish()
    assert (ending.missing, ending.stale, ending.pruned) == (3, 1, 0)
    finish(tmp_path, made(tmp_path, "d"), upkeep=Upkeep(prune=True))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["b", "boxes.csv", "d"]


# The file ---------------------------------------------------------------------------------------------------------------------


def test_the_table_is_a_report_and_nobody_reads_it_back(tmp_path: Path) -> None:
    finish(tmp_path, made(tmp_path, "a"), made(tmp_path, "b"))
    whole = (tmp_path / "boxes.csv").read_bytes()
    for content in (b"\xef\xbb\xbfpath;output\r", b"", b'"' + b"a" * 200_000):
        (tmp_path / "boxes.csv").write_bytes(content)
        with open_session(place(tmp_path), IN, "same") as session:
            assert session.state.of("a") is not None
        assert (tmp_path / "boxes.csv").read_bytes() == whole
    (tmp_path / "boxes.csv").unlink()
    (tmp_path / "boxes.csv").mkdir()
    with pytest.raises(OutputError, match=r"boxes.csv: is a folder, .* move it away"):
        finish(tmp_path, made(tmp_path, "a"), made(tmp_path, "b"))
    with open_session(place(tmp_path / "boxes.csv" / "other"), IN, "same"):
        pass


@pytest.mark.parametrize("content", [b"x,y,width,height\n1,2,3,4\n", b"\xff\xd8\xff\xe0\0\0", b'"' + b"a" * 200_000])
def test_foreign_boxes_csv_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "boxes.csv").write_bytes(content)
    with pytest.raises(OutputError, match="is not a table"), open_session(place(tmp_path), IN, "settings"):
        pass
    assert (tmp_path / "boxes.csv").read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["boxes.csv"]


def test_a_damaged_state_is_one_line(tmp_path: Path) -> None:
    finish(tmp_path, made(tmp_path, "a"))
    file = files_of(tmp_path).database
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(OutputError, match="the state is damaged; remove it and run the same command again"):
        finish(tmp_path)
    file.unlink()
    finish(tmp_path, made(tmp_path, "a"))
    assert paths(tmp_path) == ["a"]


def test_a_state_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    finish(tmp_path, made(tmp_path, "a"))
    with closing(sqlite3.connect(files_of(tmp_path).database)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(OutputError, match="a newer version of cropper made this state; update cropper"):
        finish(tmp_path)


@pytest.mark.parametrize("number", ["EINVAL", "ENOTSUP", "ENOSYS"])
def test_a_file_system_that_cannot_sync_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    import errno
    import os

    def refused(descriptor: int) -> None:
        raise OSError(getattr(errno, number), "cannot")

    monkeypatch.setattr(os, "fsync", refused)
    finish(tmp_path, made(tmp_path, "a"))
    assert paths(tmp_path) == ["a"]


def test_a_file_system_without_locks_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "can_lock", lambda descriptor: False)
    finish(tmp_path, made(tmp_path, "a"))
    assert paths(tmp_path) == ["a"]


def test_the_source_is_told_while_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert source_of(tmp_path) is None
    with open_session(place(tmp_path / "out"), place(Path("caf\udce9")), "same") as session:
        session.record(Change("a", (ok("a"),)))
        assert source_of(tmp_path / "out") == place(tmp_path / "caf\udce9")


def test_a_dry_run_does_not_spoil_the_state_of_thumbnails(tmp_path: Path) -> None:
    finish(tmp_path, made(tmp_path, "a"), settings="old")
    before = (tmp_path / "boxes.csv").read_bytes()
    with (
        pytest.raises(OutputError, match="other settings; choose another OUT"),
        open_session(place(tmp_path), IN, "new", dry=True),
    ):
        pass
    assert (tmp_path / "boxes.csv").read_bytes() == before
    with open_session(place(tmp_path), IN, "old", dry=True):
        pass


def test_out_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written") as caught, open_session(place(tmp_path / "file/out"), IN, "same"):
        pass
    assert caught.value.remedy


def test_memory_does_not_grow_with_the_photos(tmp_path: Path) -> None:
    """A page is held, and no more."""
    import tracemalloc

    def peak(count: int) -> int:
        out = tmp_path / str(count)
        with open_session(place(out), IN, "same") as session:
            for number in range(count):
                session.record(Change(f"{number:06}.jpg", (ok(f"{number:06}.jpg"),), SEEN))
        tracemalloc.start()
        with open_session(place(out), IN, "same") as session:
            for number in range(count):
                assert session.state.of(f"{number:06}.jpg") is not None
            session.finish()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(6000) < 1.3 * peak(2000)


def test_an_unknown_version_is_never_the_same() -> None:
    assert not UNKNOWN.is_still(SEEN)
    assert SEEN.is_still(SEEN)
    for other in (Version(6, SEEN.modified_ns), Version(5, 7), Version(5, SEEN.modified_ns, "", 7)):
        assert not SEEN.is_still(other)
    assert Version(version="v1", modified_ns=3).is_still(Version(version="v1", modified_ns=9))
    assert Version(5, SEEN.modified_ns).is_still(SEEN)


def test_states_have_the_tables_that_the_code_says(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with closing(connect(Files(tmp_path, tmp_path / "folder").database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert Trace(None).size is None
