"""Which files of a folder, or of a list, the commands take, and what a second run makes of another choice."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from fixtures import Command, MakePhoto

pytestmark = pytest.mark.usefixtures("plain_rule")
SIZE = ("--size", "48x32")


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    for seed, name in enumerate(("a.jpg", "b.jpg", "drafts/c.jpg", "trips/d.jpg")):
        make_photo(tmp_path / "in" / name, seed=seed)
    return tmp_path / "in"


def summary(run: Command, *arguments: object) -> str:
    """The last line that a run says, without the number of photos and the time."""
    code, out, err = run("batch", *arguments, *SIZE)
    assert (code, out) == (0, ""), err
    return err.splitlines()[-1].removeprefix("cropper: ").rpartition("; ")[0].partition(": ")[2]


def made(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.jpg"))


def paths(out: Path) -> list[str]:
    with (out / "boxes.csv").open(newline="") as file:
        return [row["path"] for row in csv.DictReader(file)]


def test_what_is_excluded_counts_as_gone(photos: Path, cropper: Command, tmp_path: Path) -> None:
    assert summary(cropper, "in", "out") == "4 done, 0 unchanged, 0 failed"
    excluding = ("in", "out", "--exclude", "drafts/", "--exclude", "/b.*")
    assert summary(cropper, *excluding) == (
        "0 done, 2 unchanged, 0 failed; 2 thumbnails of no photo: --prune removes them; 1 file and 1 folder excluded"
    )
    assert paths(tmp_path / "out") == ["a.jpg", "trips/d.jpg"]
    assert len(made(tmp_path / "out")) == 4
    pruned = "0 done, 2 unchanged, 0 failed; 2 old thumbnails removed; 1 file and 1 folder excluded"
    assert summary(cropper, *excluding, "--prune") == pruned
    assert made(tmp_path / "out") == ["a.jpg", "trips/d.jpg"]
    assert summary(cropper, "in", "out") == "2 done, 2 unchanged, 0 failed"


def test_only_what_is_included_is_made(photos: Path, cropper: Command, tmp_path: Path) -> None:
    assert summary(cropper, "in", "out", "--include", "trips/", "--include", "a.*") == (
        "2 done, 0 unchanged, 0 failed; 2 files excluded"
    )
    assert paths(tmp_path / "out") == ["a.jpg", "trips/d.jpg"]


def test_the_file_of_patterns_in_the_folder_counts(photos: Path, cropper: Command, tmp_path: Path) -> None:
    (photos / ".cropperignore").write_text("# not yet\ndrafts/\n*.jpg\n!a.jpg\n")
    assert summary(cropper, "in", "out") == "1 done, 0 unchanged, 0 failed; 2 files and 1 folder excluded"
    assert summary(cropper, "in", "out", "--exclude", "!b.jpg") == "1 done, 1 unchanged, 0 failed; 1 file and 1 folder excluded"
    assert made(tmp_path / "out") == ["a.jpg", "b.jpg"]


def test_a_run_that_excludes_all_known_photos_stops(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper, "in", "out")
    code, _, err = cropper("batch", "in", "out", *SIZE, "--exclude", "*")
    assert code == 2
    assert "none of the 4 photos is there that OUT was made from; are they all excluded, or is a disk not mounted?" in err
    assert len(paths(tmp_path / "out")) == 4


@pytest.mark.parametrize("command", [("batch", "in", "out"), ("boxes", "in"), ("bench", "in")])
def test_a_broken_file_of_patterns_publishes_nothing(
    photos: Path, cropper: Command, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (photos / ".cropperignore").write_text("drafts/\n[secret/\n")
    code, out, err = cropper(*command, *SIZE)
    assert (code, out) == (1 if command[0] == "boxes" else 2, "")
    assert "in/.cropperignore: line 2: the pattern '[secret/' matches nothing: it has a [ without a ]; write it as in a" in err
    assert not list(tmp_path.glob("out/**/*.jpg"))


def test_a_pattern_that_matches_nothing_is_wrong_usage(photos: Path, cropper: Command) -> None:
    code, out, err = cropper("batch", "in", "out", "--exclude", "[secret/")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "Invalid value for '--exclude': the pattern '[secret/' matches nothing: it has a [ without a ]" in err


def test_what_systems_put_beside_photos_and_links_out_are_counted(
    photos: Path, cropper: Command, make_photo: MakePhoto, tmp_path: Path
) -> None:
    for name in ("@eaDir/a.jpg", "trips/@eaDir/x.jpg", "__MACOSX/y.jpg", "lost+found/z.jpg"):
        make_photo(photos / name)
    (photos / "link.jpg").symlink_to(make_photo(tmp_path / "outside.jpg"))
    left_out = "4 system folders left out (@eaDir, __MACOSX, lost+found); 1 link out of the folder not followed"
    assert summary(cropper, "in", "out") == f"4 done, 0 unchanged, 0 failed; {left_out}"
    assert summary(cropper, "in", "out", "--exclude", "!@eaDir/") == (
        "2 done, 4 unchanged, 0 failed; 2 system folders left out (__MACOSX, lost+found); 1 link out of the folder not followed"
    )
    code, out, err = cropper("boxes", "in", *SIZE)
    assert code == 0
    assert [json.loads(line)["path"] for line in out.splitlines()] == [f"in/{path}" for path in ORDER]
    assert err == f"cropper: {left_out}\n"


ORDER = ("a.jpg", "b.jpg", "drafts/c.jpg", "trips/d.jpg")


def test_boxes_takes_the_same_files(photos: Path, cropper: Command) -> None:
    (photos / ".cropperignore").write_text("drafts/\n")
    code, out, err = cropper("boxes", "in", *SIZE, "--exclude", "b.jpg")
    assert [json.loads(line)["path"] for line in out.splitlines()] == ["in/a.jpg", "in/trips/d.jpg"]
    assert (code, err) == (0, "cropper: 1 file and 1 folder excluded\n")
    _, out, _ = cropper("boxes", "in", *SIZE, "--include", "trips/")
    assert [json.loads(line)["path"] for line in out.splitlines()] == ["in/trips/d.jpg"]
