"""What a second run of the command finds, keeps, refuses and says."""

from __future__ import annotations

import csv
import os
import shutil
import time
from pathlib import Path

import cv2
import pytest
from fixtures import Command, MakePhoto, imread

pytestmark = pytest.mark.usefixtures("plain_rule")
SIZE = ("--size", "48x32")


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    for seed, name in enumerate(("a.jpg", "b.jpg", "trips/c.jpg")):
        make_photo(tmp_path / "in" / name, seed=seed)
    return tmp_path / "in"


def summary(run: Command, *arguments: object) -> str:
    """The last line that a run of the usual size says, without the time."""
    code, out, err = run("batch", "in", "out", *SIZE, *arguments)
    assert (code, out) == (0, ""), err
    return err.splitlines()[-1].removeprefix("cropper: ").rpartition(";")[0].partition(": ")[2]


def rows(table: Path) -> dict[str, dict[str, str]]:
    with table.open(newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_what_is_given_by_hand_is_remembered_and_counted(photos: Path, cropper: Command, tmp_path: Path) -> None:
    (tmp_path / "focus.csv").write_text("path,x,y\na.jpg,5,6\nb.jpg,7,8\n")
    assert summary(cropper, "--focus", "focus.csv") == "3 done, 0 unchanged, 0 failed; 2 crops by hand"
    assert summary(cropper) == "0 done, 3 unchanged, 0 failed; 2 crops by hand"
    assert summary(cropper, "--quality", "50") == "3 done, 0 unchanged, 0 failed; 2 crops by hand"
    (tmp_path / "focus.csv").write_text("path,x,y\na.jpg,,\ntrips/c.jpg,1,2\n")
    assert summary(cropper, "--quality", "50", "--focus", "focus.csv") == "2 done, 1 unchanged, 0 failed; 2 crops by hand"
    assert {path: row["message"] for path, row in rows(tmp_path / "out/boxes.csv").items()} == {
        "a.jpg": "",
        "b.jpg": "focus given",
        "trips/c.jpg": "focus given",
    }
    assert summary(cropper, "--quality", "50", "--focus", "none") == "2 done, 1 unchanged, 0 failed"
    assert summary(cropper, "--quality", "50") == "0 done, 3 unchanged, 0 failed"


def test_a_photo_of_another_size_drops_what_was_given_and_says_so(photos: Path, cropper: Command, tmp_path: Path) -> None:
    (tmp_path / "focus.csv").write_text("path,x,y\na.jpg,5,6\n")
    summary(cropper, "--focus", "focus.csv")
    cv2.imwrite(str(photos / "a.jpg"), imread(str(photos / "a.jpg"))[:40])
    _, _, err = cropper("batch", "in", "out", *SIZE)
    assert "cropper: in/a.jpg: the box given by hand was for another size of this photo; the model chose" in err


def test_a_photo_that_another_replaced_with_the_same_size_and_time_is_made_again(photos: Path, cropper: Command) -> None:
    """As restored backups, touch -r, Nix and Docker leave one: only the time of the change tells."""
    summary(cropper)
    before = (photos / "a.jpg").stat()
    data = bytearray((photos / "a.jpg").read_bytes())
    data[-20] ^= 1
    (photos / "a.jpg").write_bytes(data)
    os.utime(photos / "a.jpg", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert summary(cropper) == "1 done, 2 unchanged, 0 failed"


def test_checksums_tell_what_times_do_not(photos: Path, cropper: Command) -> None:
    assert summary(cropper) == "3 done, 0 unchanged, 0 failed"
    assert summary(cropper, "--checksum") == "3 done, 0 unchanged, 0 failed"  # none was taken before
    os.utime(photos / "a.jpg")
    assert summary(cropper, "--checksum") == "0 done, 3 unchanged, 0 failed"
    shutil.copy(photos / "a.jpg", photos / "b.jpg")
    assert summary(cropper, "--checksum") == "1 done, 2 unchanged, 0 failed"
    assert summary(cropper) == "0 done, 3 unchanged, 0 failed"


def test_force_makes_everything_again_and_leaves_equal_files_alone(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.jpg")}
    assert summary(cropper, "--force") == "3 done, 0 unchanged, 0 failed"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.jpg")} == before


def test_a_thumbnail_has_the_time_it_was_written(photos: Path, cropper: Command, tmp_path: Path) -> None:
    os.utime(photos / "a.jpg", (1_000_000_000, 1_000_000_000))
    begun = time.time()
    summary(cropper)
    first = (tmp_path / "out/a.jpg").stat().st_mtime
    assert first > begun - 3
    time.sleep(0.05)
    summary(cropper, "--quality", "30")
    assert (tmp_path / "out/a.jpg").stat().st_mtime > first  # a web server sees that it is another


def test_files_of_other_peoples_are_never_replaced(photos: Path, cropper: Command, tmp_path: Path) -> None:
    mine = tmp_path / "out/a.jpg"
    mine.parent.mkdir()
    mine.write_bytes(b"precious")
    stamp = (photos / "a.jpg").stat().st_mtime_ns + 2_000_000_000  # it happens
    os.utime(mine, ns=(stamp, stamp))
    for options in ((), ("--force",), ("--quality", "30")):
        code, _, err = cropper("batch", "in", "out", *SIZE, *options)
        assert code == 1
        assert "out/a.jpg: a file that cropper did not write is there already; move it away or choose another OUT" in err
        assert mine.read_bytes() == b"precious"


def test_a_thumbnail_that_somebody_changed_is_left_alone_until_force(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper)
    (tmp_path / "out/a.jpg").write_bytes(b"retouched")
    assert summary(cropper) == "0 done, 3 unchanged, 0 failed; 1 thumbnail that you changed is kept"
    os.utime(photos / "a.jpg")
    code, _, err = cropper("batch", "in", "out", *SIZE)
    assert code == 1
    assert "out/a.jpg: someone has changed this thumbnail since cropper wrote it; delete it to have it made again; --force" in err
    assert (tmp_path / "out/a.jpg").read_bytes() == b"retouched"
    assert summary(cropper, "--force") == "3 done, 0 unchanged, 0 failed"
    assert summary(cropper) == "0 done, 3 unchanged, 0 failed"


def test_a_copied_or_restored_output_folder_is_known_again(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper)
    shutil.copytree(tmp_path / "out", tmp_path / "copy", copy_function=shutil.copy)  # all times are new
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "copy").rename(tmp_path / "out")
    assert summary(cropper) == "0 done, 3 unchanged, 0 failed"


def test_an_output_folder_without_its_state_is_known_again_by_its_content(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper)
    shutil.rmtree(tmp_path / "out/.cropper")
    (tmp_path / "out/boxes.csv").unlink()
    assert summary(cropper) == "3 done, 0 unchanged, 0 failed"


def test_a_removed_state_takes_no_edit_and_no_file_of_yours_with_it(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper)
    (tmp_path / "out/a.jpg").write_bytes(b"retouched")
    shutil.rmtree(tmp_path / "out/.cropper")
    code, _, err = cropper("batch", "in", "out", *SIZE)
    assert (code, "2 done, 0 unchanged, 1 failed" in err) == (1, True)
    assert (tmp_path / "out/a.jpg").read_bytes() == b"retouched"


@pytest.mark.parametrize("kind", ["sorted", "semicolons", "folder", "gone", "huge field"])
def test_whatever_happens_to_the_table_nothing_is_made_again(photos: Path, cropper: Command, tmp_path: Path, kind: str) -> None:
    summary(cropper)
    table = tmp_path / "out/boxes.csv"
    whole = table.read_bytes()
    lines = whole.decode().splitlines()
    table.unlink()
    if kind == "sorted":
        table.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    elif kind == "semicolons":
        table.write_bytes("\r\n".join(lines).replace(",", ";").encode("utf-8-sig"))
    elif kind == "huge field":
        table.write_text(lines[0] + "\n" + "x" * 200_000)
    elif kind == "folder":
        table.mkdir()
        code, _, err = cropper("batch", "in", "out", *SIZE)
        assert code == 2
        assert err == (
            "cropper: out/boxes.csv: is a folder, so the table of boxes cannot be written there; the thumbnails are made; "
            "move it away and run again\n"
        )
        table.rmdir()
    assert summary(cropper) == "0 done, 3 unchanged, 0 failed"
    assert table.read_bytes() == whole


def test_an_empty_folder_of_photos_is_no_reason_to_forget_them(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper)
    photos.rename(tmp_path / "away")
    photos.mkdir()
    code, _, err = cropper("batch", "in", "out", *SIZE)
    assert code == 2
    assert err.splitlines()[-1].startswith(f"cropper: {photos}: none of the 3 photos is there that OUT was made from; ")
    assert len(rows(tmp_path / "out/boxes.csv")) == 3
    photos.rmdir()
    (tmp_path / "away").rename(photos)
    assert summary(cropper) == "0 done, 3 unchanged, 0 failed"


def test_a_photo_that_goes_away_and_comes_back_is_made_again(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper)
    (photos / "a.jpg").rename(tmp_path / "away.jpg")
    assert summary(cropper) == "0 done, 2 unchanged, 0 failed; 1 thumbnail is not needed any more: --prune removes it"
    (tmp_path / "away.jpg").rename(photos / "a.jpg")
    assert summary(cropper) == "1 done, 2 unchanged, 0 failed"


def test_prune_removes_what_cropper_made_and_no_photo_has(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper)
    (tmp_path / "out/mine.jpg").write_bytes(b"mine")
    (photos / "a.jpg").unlink()
    assert summary(cropper, "--prune", "--format", "png") == "2 done, 0 unchanged, 0 failed; 3 old thumbnails removed"
    names = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*") if path.is_file()}
    assert names - {".cropper/state.db"} == {"b.png", "trips/c.png", "mine.jpg", "boxes.csv"}


def test_a_run_says_why_it_makes_photos_again_that_are_as_they_were(
    photos: Path, cropper: Command, make_photo: MakePhoto
) -> None:
    def said(*options: str) -> list[str]:
        lines = cropper("batch", "in", "out", *options)[2].splitlines()
        return [line.removeprefix("cropper: settings changed since the last run: ") for line in lines[:-1]]

    assert said(*SIZE) == said(*SIZE) == []
    make_photo(photos / "a.jpg", seed=9)
    make_photo(photos / "new.jpg")
    assert said("--size", "32x32") == ["--size 48x32 -> 32x32; 2 photos are processed again"]  # the third has changed itself
    assert said("--size", "32x32") == said("--size", "32x32", "--force") == []
    assert said("--size", "32x32", "--quality", "50", "--quiet") == []


def test_a_dry_run_says_it_too_and_is_no_other_setting_itself(photos: Path, cropper: Command) -> None:
    run = ("batch", "in", "out", *SIZE)
    assert cropper(*run, "--dry-run")[2].count("\n") == 1
    again = cropper(*run, "--dry-run", "--quality", "50")[2]
    assert again.startswith("cropper: settings changed since the last run: --quality default -> 50; 3 photos are decided again\n")
    assert cropper(*run, "--quality", "50")[2].count("\n") == 1


def test_prune_names_what_it_removes_where_each_photo_is_named(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper)
    for name in ("b.jpg", "trips/c.jpg"):
        (photos / name).unlink()
    *lines, _ = cropper("batch", "in", "out", *SIZE, "--prune", "-v")[2].splitlines()
    assert lines == ["cropper: in/a.jpg: unchanged", "cropper: out/b.jpg: removed", "cropper: out/trips/c.jpg: removed"]


def test_another_folder_is_refused_unless_it_moved(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper)
    shutil.copytree(photos, tmp_path / "other")
    code, _, err = cropper("batch", "other", "out", *SIZE)
    assert code == 2
    remedy = "choose another OUT, or give --moved if other is that folder, moved or renamed"
    assert err == f"cropper: out: was made from the photos in {photos}; {remedy}\n"
    shutil.rmtree(photos)
    assert cropper("batch", "other", "out", *SIZE, "--moved")[0] == 0
    assert cropper("batch", "other", "out", *SIZE)[0] == 0


def test_photos_smaller_than_asked_for_are_counted_and_padding_fills(photos: Path, cropper: Command, tmp_path: Path) -> None:
    code, _, err = cropper("batch", "in", "out", "--size", "400x400")
    assert code == 0
    assert "3 done, 0 unchanged, 0 failed; 3 smaller than asked for (--enlarge enlarges them); " in err
    row = rows(tmp_path / "out/boxes.csv")["a.jpg"]
    assert (row["output_width"], row["output_height"]) == ("64", "64")
    options = ("--size", "400x400", "--min-kept", "1", "--otherwise", "pad", "--pad-with", "white")
    assert cropper("batch", "in", "padded", *options)[0] == 0
    assert imread(str(tmp_path / "padded/a.jpg")).shape == (400, 400, 3)


def test_counts_add_up(photos: Path, cropper: Command) -> None:
    (photos / "broken.png").write_bytes(b"no photo")
    options = (*SIZE, "--min-kept", "1", "--otherwise", "skip")
    assert "4 photos: 0 done, 3 skipped, 0 unchanged, 1 failed; " in cropper("batch", "in", "out", *options)[2]
    assert "4 photos: 0 done, 3 unchanged, 1 failed; " in cropper("batch", "in", "out", *options)[2]


def test_prune_leaves_the_last_thumbnail_of_a_photo_that_fails_now(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper)
    (photos / "a.jpg").write_bytes(b"no photo any more")
    code, _, err = cropper("batch", "in", "out", *SIZE, "--prune", "--format", "png")
    assert (code, "2 old thumbnails removed" in err) == (1, True)
    assert (tmp_path / "out/a.jpg").exists()


def test_a_dry_run_removes_nothing(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper)
    (photos / "a.jpg").unlink()
    assert summary(cropper, "--prune", "--dry-run").endswith("1 thumbnail is not needed any more: --prune removes it")
    assert (tmp_path / "out/a.jpg").exists()


def test_prune_leaves_a_thumbnail_that_another_photo_has_by_now(photos: Path, cropper: Command, tmp_path: Path) -> None:
    (photos / "a.jpg").rename(photos / "d.JPG")
    summary(cropper, "--format", "webp")
    (photos / "d.JPG").rename(photos / "d.jpg")
    said = summary(cropper, "--format", "webp", "--prune")
    assert said == "1 done, 2 unchanged, 0 failed"
    assert (tmp_path / "out/d.webp").exists()
    assert summary(cropper, "--format", "webp", "--prune") == "0 done, 3 unchanged, 0 failed"


def test_a_dry_run_leaves_no_old_thumbnail_for_a_new_photo(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper)
    shutil.copy(photos / "b.jpg", photos / "a.jpg")
    assert summary(cropper, "--dry-run") == "1 decided, 2 unchanged, 0 failed"
    assert summary(cropper, "--dry-run") == "0 decided, 3 unchanged, 0 failed"
    assert summary(cropper) == "1 done, 2 unchanged, 0 failed"
    assert (tmp_path / "out/a.jpg").read_bytes() == (tmp_path / "out/b.jpg").read_bytes()


def test_a_dry_run_forgets_and_learns_nothing_that_is_given_by_hand(photos: Path, cropper: Command, tmp_path: Path) -> None:
    (tmp_path / "focus.csv").write_text("path,x,y\na.jpg,5,6\n")
    (tmp_path / "other.csv").write_text("path,x,y\nb.jpg,5,6\nnobody.jpg,1,1\n")
    summary(cropper, "--focus", "focus.csv")
    assert summary(cropper, "--dry-run", "--focus", "none") == "1 decided, 2 unchanged, 0 failed"
    _, _, err = cropper("batch", "in", "out", *SIZE, "--dry-run", "--focus", "other.csv")
    assert "IN has no photo nobody.jpg" in err
    assert summary(cropper).endswith("; 1 crop by hand")
    assert rows(tmp_path / "out/boxes.csv")["a.jpg"]["message"] == "focus given"


def test_a_focus_file_in_the_folder_wins_only_by_what_changes_in_it(photos: Path, cropper: Command, tmp_path: Path) -> None:
    (photos / ".focus.csv").write_text("path,x,y\na.jpg,5,6\n")
    summary(cropper)
    (tmp_path / "focus.csv").write_text("path,x,y\na.jpg,60,40\n")
    summary(cropper, "--focus", "focus.csv")
    assert summary(cropper) == "0 done, 3 unchanged, 0 failed; 1 crop by hand"
    assert rows(tmp_path / "out/boxes.csv")["a.jpg"]["focus_x"] == "60"
    (photos / ".focus.csv").write_text("path,x,y\na.jpg,7,6\n")
    summary(cropper)
    assert rows(tmp_path / "out/boxes.csv")["a.jpg"]["focus_x"] == "7"


@pytest.mark.parametrize("found", [False, True])
def test_a_box_that_was_dropped_stays_dropped_until_another_is_given(
    photos: Path, cropper: Command, tmp_path: Path, found: bool
) -> None:
    options = () if found else ("--focus", "focus.csv")
    (photos / ".focus.csv" if found else tmp_path / "focus.csv").write_text("path,x,y\na.jpg,5,6\n")
    summary(cropper, *options)
    cv2.imwrite(str(photos / "a.jpg"), imread(str(photos / "a.jpg"))[:40])
    cropper("batch", "in", "out", *SIZE, *options)
    table = (tmp_path / "out/boxes.csv").read_bytes()
    assert summary(cropper, *options) == "0 done, 3 unchanged, 0 failed"
    assert (tmp_path / "out/boxes.csv").read_bytes() == table
    assert rows(tmp_path / "out/boxes.csv")["a.jpg"]["message"] == "the box given by hand was for another size of this photo"


def test_prune_needs_a_run_without_shards(photos: Path, cropper: Command) -> None:
    code, _, err = cropper("batch", "in", "out", *SIZE, "--shard", "1/2", "--prune")
    assert code == 2
    assert "--prune needs a run without --shard" in err


def test_a_refused_run_does_not_change_where_the_photos_are(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper)
    (tmp_path / "empty").mkdir()
    assert cropper("batch", "empty", "out", *SIZE, "--moved")[0] == 2
    assert summary(cropper) == "0 done, 3 unchanged, 0 failed"
