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
        "0 done, 2 unchanged, 0 failed; 2 thumbnails are not needed any more: --prune removes them; 1 file and 1 folder excluded"
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
    _, out, err = cropper("boxes", "in/a.jpg", "in/b.jpg", "in/drafts/c.jpg", *SIZE, "--exclude", "b.jpg")
    assert [json.loads(line)["path"] for line in out.splitlines()] == ["in/a.jpg", "in/drafts/c.jpg"]  # named, so it is taken
    assert err == "cropper: 1 file excluded\n"
    _, out, _ = cropper("boxes", "in", *SIZE, "--include", "trips/")
    assert [json.loads(line)["path"] for line in out.splitlines()] == ["in/trips/d.jpg"]


def test_a_list_is_a_part_of_the_folder(photos: Path, cropper: Command, tmp_path: Path) -> None:
    summary(cropper, "in", "out")
    assert summary(cropper, "in/trips/d.jpg", "out") == "0 done, 1 unchanged, 0 failed"
    (photos / "drafts/c.jpg").unlink()
    assert summary(cropper, "in/a.jpg", "in/b.jpg", "out", "--quality", "50", "--prune") == "2 done, 0 unchanged, 0 failed"
    assert paths(tmp_path / "out") == list(ORDER)  # those that are not listed are not missing
    assert made(tmp_path / "out") == list(ORDER)
    assert summary(cropper, "in/trips", str(photos / "a.jpg"), "out") == "1 done, 1 unchanged, 0 failed"
    assert summary(cropper, "in", "out", "--prune") == "1 done, 2 unchanged, 0 failed; 1 old thumbnail removed"


def test_the_folder_of_a_list_is_the_deepest_that_holds_all(photos: Path, cropper: Command, tmp_path: Path) -> None:
    assert summary(cropper, "in/a.jpg", "out1") == "1 done, 0 unchanged, 0 failed"
    assert made(tmp_path / "out1") == paths(tmp_path / "out1") == ["a.jpg"]
    assert summary(cropper, "in/drafts/c.jpg", "in/trips", "out2") == "2 done, 0 unchanged, 0 failed"
    assert made(tmp_path / "out2") == paths(tmp_path / "out2") == ["drafts/c.jpg", "trips/d.jpg"]
    # From then on it stays.
    assert summary(cropper, "in/trips/d.jpg", "out2") == "0 done, 1 unchanged, 0 failed"
    assert summary(cropper, "in/a.jpg", "out2") == "1 done, 0 unchanged, 0 failed"
    assert paths(tmp_path / "out2") == ["a.jpg", "drafts/c.jpg", "trips/d.jpg"]
    assert summary(cropper, "in", "out2") == "1 done, 3 unchanged, 0 failed"


def test_photos_outside_of_the_folder_keep_their_tree_below_out(
    photos: Path, cropper: Command, make_photo: MakePhoto, tmp_path: Path
) -> None:
    summary(cropper, "in", "out")
    make_photo(tmp_path / "elsewhere/x.jpg", seed=7)
    make_photo(tmp_path / "more/deep/y.jpg", seed=8)
    for expected in ("3 done, 1 unchanged, 0 failed", "0 done, 4 unchanged, 0 failed"):
        make_photo(photos / "new.jpg", seed=9) if expected[0] == "3" else None
        listed = ("in/../elsewhere/x.jpg", "more", "in/new.jpg", "in/a.jpg")
        assert summary(cropper, *listed, "out") == expected
    tree = str(tmp_path).strip("/")
    assert made(tmp_path / "out") == sorted([*ORDER, "new.jpg", f"{tree}/elsewhere/x.jpg", f"{tree}/more/deep/y.jpg"])
    assert paths(tmp_path / "out")[:5] == [
        "a.jpg",
        "b.jpg",
        "new.jpg",
        f"{tmp_path}/elsewhere/x.jpg",
        f"{tmp_path}/more/deep/y.jpg",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "in", "more", "out"]  # never above OUT
    code, _, err = cropper("batch", tmp_path, "out", *SIZE)
    assert (code, "was made from the photos in" in err) == (2, True)
    code, _, err = cropper("batch", tmp_path, "in/a.jpg", "out", *SIZE)
    assert (code, "which OUT was made from; choose another OUT for it" in err) == (2, True)


@pytest.mark.parametrize("command", [("batch", "-", "out"), ("boxes", "-")])
@pytest.mark.parametrize(
    "given", [b"in/a.jpg\0in/trips/d.jpg\0", b"\xff\xd8\xff\xe0\0\x10JFIF\0"], ids=["-0 forgotten", "a photo"]
)
def test_what_is_no_list_is_said_in_one_line(
    photos: Path, cropper: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...], given: bytes
) -> None:
    (tmp_path / "list").write_bytes(given)
    with (tmp_path / "list").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        code, out, err = cropper(*command)
    assert (code, out, err) == (2, "", "cropper: stdin is not a list of paths, one a line; add -0 if NUL ends each path\n")


@pytest.mark.parametrize("end", ["\n", "\0"])
def test_a_list_comes_on_stdin(photos: Path, cropper: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: str) -> None:
    if end == "\0":
        (photos / "a.jpg").rename(photos / "a\nb.jpg")
    first = "a.jpg" if end == "\n" else "a\nb.jpg"
    (tmp_path / "list").write_text(f"in/{first}{end}in/trips/d.jpg{end}{end}in/{first}")
    for expected in ("2 done, 0 unchanged, 0 failed", "0 done, 2 unchanged, 0 failed"):
        with (tmp_path / "list").open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            assert summary(cropper, *(["-0"] if end == "\0" else []), "-", "out") == expected
    assert made(tmp_path / "out") == [first, "trips/d.jpg"]
    (tmp_path / "list").write_text("")
    with (tmp_path / "list").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert summary(cropper, "-", "out") == "0 done, 0 unchanged, 0 failed"
    assert paths(tmp_path / "out") == [first, "trips/d.jpg"]


def test_a_listed_photo_that_cannot_be_read_costs_its_own_row(photos: Path, cropper: Command, tmp_path: Path) -> None:
    (photos / "notes.txt").write_text("no photo")
    code, _, err = cropper("batch", "in/a.jpg", "in/gone.jpg", "in/notes.txt", "out", *SIZE)
    assert code == 1
    assert "3 photos: 1 done, 0 unchanged, 2 failed" in err
    assert "in/gone.jpg: " in err
    assert paths(tmp_path / "out") == ["a.jpg", "gone.jpg", "notes.txt"]
    code, _, err = cropper("batch", "in/gone.jpg", "out", *SIZE)  # alone it may be a typing error
    assert (code, err.count("\n"), "'in/gone.jpg' does not exist" in err) == (2, 1, True)


def test_a_listed_photo_has_the_name_that_a_run_over_all_gives_it(
    photos: Path, cropper: Command, make_photo: MakePhoto, tmp_path: Path
) -> None:
    make_photo(photos / "a.png", seed=5)
    make_photo(photos / "Trips/e.jpg", seed=6)
    for listed in (("in/a.png", "in/trips/d.jpg"), ("in",)):
        summary(cropper, *listed, "out", "--format", "webp")
    assert summary(cropper, "in/a.png", "in/trips/d.jpg", "out", "--format", "webp") == "0 done, 2 unchanged, 0 failed"
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.webp")) == [
        "Trips/e.webp",
        "a.jpg.webp",
        "a.png.webp",
        "b.webp",
        "drafts/c.webp",
        "trips~2/d.webp",
    ]


def test_a_list_takes_what_a_walk_would_not_but_for_the_users_own_patterns_and_out(
    photos: Path, cropper: Command, make_photo: MakePhoto, tmp_path: Path
) -> None:
    (photos / ".cropperignore").write_text("b.jpg\n")
    (photos / "link.jpg").symlink_to(make_photo(tmp_path / "outside.jpg", seed=4))
    make_photo(photos / "@eaDir/x.jpg", seed=5)
    make_photo(photos / ".hidden/y.jpg", seed=6)
    named = [f"in/{name}" for name in ("b.jpg", "link.jpg", "@eaDir/x.jpg", ".hidden/y.jpg", "drafts/c.jpg")]
    assert summary(cropper, *named, "in/out", "--exclude", "drafts/") == "4 done, 0 unchanged, 0 failed; 1 file excluded"
    assert made(photos / "out") == [".hidden/y.jpg", "@eaDir/x.jpg", "b.jpg", "link.jpg"]
    # As 'find' lists them the next time.
    again = [*named[:4], "in/out/b.jpg", "in/out/link.jpg"]
    assert summary(cropper, *again, "in/out") == "0 done, 4 unchanged, 0 failed; 2 files excluded"
    assert len(made(photos / "out")) == 4


def test_what_is_given_by_hand_for_other_photos_stays(photos: Path, cropper: Command, tmp_path: Path) -> None:
    (tmp_path / "focus.csv").write_text("path,x,y\na.jpg,5,6\ntrips/d.jpg,7,8\n")
    code, _, err = cropper("batch", "in/b.jpg", "in/trips", "out", *SIZE, "--focus", "focus.csv")
    assert (code, "IN has no photo" in err) == (0, False)
    assert summary(cropper, "in", "out") == "2 done, 2 unchanged, 0 failed; 2 crops by hand"


def test_shards_share_a_list(photos: Path, cropper: Command, tmp_path: Path) -> None:
    for number in (1, 2):
        cropper("batch", "in/a.jpg", "in/b.jpg", "in/trips", "parts", *SIZE, "--shard", f"{number}/2")
        cropper("batch", "in/trips/d.jpg", "parts", *SIZE, "--shard", f"{number}/2")
    assert cropper("ledger", "merge", "parts")[0] == 0
    assert paths(tmp_path / "parts") == made(tmp_path / "parts") == ["a.jpg", "b.jpg", "trips/d.jpg"]


def test_a_list_of_urls_is_refused(photos: Path, cropper: Command) -> None:
    code, _, err = cropper("batch", "in/a.jpg", "memory://photos/b.jpg", "out", *SIZE)
    assert (code, "a URL can be IN alone" in err) == (2, True)
