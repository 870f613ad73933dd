"""Patterns of files: as git reads them, in time that a stranger's pattern cannot stretch."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropper.errors import UsageError
from cropper.storage.local import LocalPlace
from cropper.storage.patterns import MOST_BYTES, MOST_LINES, SYSTEM_FOLDERS, Patterns, Selection, selection_of


def left_out(patterns: list[str], path: str) -> bool:
    """Whether a walk leaves a file out: for its own name, or for a folder above it."""
    selection = Selection(exclude=Patterns.of(patterns))
    names = path.split("/")
    folders = ("/".join(names[:depth]) for depth in range(1, len(names)))
    return not all(map(selection.takes_folder, folders)) or not selection.takes_file(path)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.png", "a.png", True),
        ("*.png", "x/y/a.png", True),
        ("*.png", "a.PNG", False),
        ("*.png", "a.png.jpg", False),
        ("/a.jpg", "a.jpg", True),
        ("/a.jpg", "x/a.jpg", False),
        ("x/a.jpg", "x/a.jpg", True),
        ("x/a.jpg", "y/x/a.jpg", False),
        ("raw/", "raw/a.jpg", True),
        ("raw/", "x/raw/a.jpg", True),
        ("raw/", "raw", False),
        ("x/*.jpg", "x/y/a.jpg", False),
        ("**/y", "y", True),
        ("**/y/*.jpg", "x/y/a.jpg", True),
        ("x/**", "x/y/a.jpg", True),
        ("x/**/a.jpg", "x/a.jpg", True),
        ("x/**/a.jpg", "x/y/z/a.jpg", True),
        ("x/**/z/**/b.jpg", "x/y/z/a.jpg", False),
        ("**", "x/a.jpg", True),
        ("IMG_???.jpg", "IMG_123.jpg", True),
        ("IMG_???.jpg", "IMG_12.jpg", False),
        ("IMG_[0-9][!0-9].jpg", "IMG_1a.jpg", True),
        ("IMG_[0-9][^0-9].jpg", "IMG_12.jpg", False),
        ("[[:upper:]]*.jpg", "Aa.jpg", True),
        ("[[:upper:]]*.jpg", "aA.jpg", False),
        ("[]x].jpg", "].jpg", True),
        ("[z-a].jpg", "b.jpg", False),
        (r"\[a\].jpg", "[a].jpg", True),
        (r"\#a.jpg", "#a.jpg", True),
        (r"\!a.jpg", "!a.jpg", True),
        ("#a.jpg", "#a.jpg", False),
        ("", "a.jpg", False),
        ("a.jpg   ", "a.jpg", True),
        ("a\\ ", "a ", True),
        ("a*b*c.jpg", "aXbYbZc.jpg", True),
        ("a*b*c.jpg", "acb.jpg", False),
        ("caf\u00e9.jpg", "cafe\u0301.jpg", True),  # as a Mac writes it
        ("*.jpg", os.fsdecode(b"caf\xe9.jpg"), True),
        ("*(1)*", "a (1).jpg", True),
        ("[]/[]*", "[a]", True),  # one class, of three characters
        ("[]/[]*", "x/[a]", False),
        ("x\\[/a.jpg", "x[/a.jpg", True),
    ],
)
def test_a_pattern(pattern: str, path: str, expected: bool) -> None:
    assert left_out([pattern], path) is expected


def test_the_last_pattern_that_matches_decides_but_not_in_a_folder_that_is_left_out() -> None:
    assert not left_out(["*.jpg", "!keep.jpg"], "x/keep.jpg")
    assert left_out(["!keep.jpg", "*.jpg"], "x/keep.jpg")
    assert left_out(["x/", "!keep.jpg"], "x/keep.jpg")
    assert not left_out(["x/*", "!x/keep.jpg"], "x/keep.jpg")


PARTS = st.text("ab.*?[]!-", min_size=1, max_size=4) | st.just("**")
LINES = st.tuples(
    st.sampled_from(["", "!", "/"]), st.lists(PARTS, min_size=1, max_size=3).map("/".join), st.sampled_from(["", "/"])
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("git") is None:
        pytest.skip("without git nobody says what is right")
    root = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", root], check=True)
    for folder in ("", "a", "b", "ab", "a/b", "a/b/a", "b/a-b", "ab/ab/ab"):
        for name in ("a.", ".b", "a.b", "bb", "ba-", "[a]", "!b"):
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.touch()
    return root


@given(st.lists(LINES.map("".join), min_size=1, max_size=3))
@settings(deadline=None, max_examples=150)
def test_patterns_leave_out_what_git_does(repository: Path, lines: list[str]) -> None:
    try:
        Patterns.of(lines)
    except UsageError:
        return  # git takes it and it matches nothing, which no user means
    (repository / ".git/info/exclude").write_text("".join(f"{line}\n" for line in lines))
    files = sorted(str(path.relative_to(repository)) for path in repository.rglob("*") if path.is_file())
    files = [file for file in files if not file.startswith(".git/")]
    asked = "\0".join(files).encode()
    git = subprocess.run(["git", "check-ignore", "--no-index", "-z", "--stdin"], cwd=repository, input=asked, capture_output=True)
    ignored = {name.decode() for name in git.stdout.split(b"\0") if name}
    assert {file for file in files if left_out(lines, file)} == ignored


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("[2024/", "has a [ without a ]"),
        ("[!]", "has a [ without a ]"),
        ("a/[]", "has a [ without a ]"),
        ("a//b", "has an empty name between slashes"),
        ("a\\", "ends a name with a backslash"),
        ("[[:photo:]]", "has an unknown class [:photo:]"),
    ],
)
def test_a_pattern_that_can_match_nothing_is_refused(pattern: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        Patterns.of([pattern])
    assert reason in str(refused.value)
    assert str(refused.value).startswith(f"the pattern {pattern!r} matches nothing: ")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/.cropperignore").write_text(f"# mine\n\n{pattern}\n")
    with pytest.raises(UsageError, match=r"in/\.cropperignore: line 3: the pattern "):
        Selection().in_folder(LocalPlace(tmp_path / "in"))


@pytest.mark.parametrize("pattern", ["*a" * 40 + "b", "**/a" * 40 + "/b", "?*" * 100 + "b", "*" * 200 + "b"])
def test_no_pattern_takes_long(pattern: str) -> None:
    rules = Patterns.of([pattern])
    begun = time.monotonic()
    for path in ("a" * 255 + ".jpg", "a/" * 500 + "a.jpg"):
        assert rules.decide(path, is_folder=False) is None
    assert time.monotonic() - begun < 2


def test_include_takes_what_matches_it_or_lies_in_a_folder_that_does() -> None:
    include = Selection(Patterns.of(["2024/", "*.png", "!*_small.png"]))
    assert include.takes_file("x/2024/y/a.jpg")
    assert include.takes_file("a.png")
    assert not include.takes_file("2024/a_small.png")
    assert not include.takes_file("a.jpg")
    only_less = Selection(Patterns.of(["!*.png"]))
    assert (only_less.takes_file("a.jpg"), only_less.takes_file("a.png")) == (True, False)
    both = Selection(Patterns.of(["*.jpg"]), Patterns.of(["b.jpg"]))
    assert (both.takes_file("a.jpg"), both.takes_file("b.jpg")) == (True, False)


@pytest.mark.parametrize("name", [*SYSTEM_FOLDERS, "$Recycle.Bin", "@eadir"])
def test_folders_of_systems_are_left_out_unless_a_pattern_takes_them(name: str) -> None:
    assert Selection().system_folder(f"x/{name}").casefold() == name.casefold()
    again = Selection(exclude=Patterns.of([f"!{name}/"]))
    assert again.system_folder(f"x/{name}") == ""
    assert again.takes_folder(f"x/{name}")


def test_the_file_of_patterns_comes_before_what_the_user_gives(tmp_path: Path) -> None:
    (tmp_path / ".cropperignore").write_bytes(b"\xef\xbb\xbf*.png\r\n# not these\r\nb/\r\n")
    found = selection_of(exclude=["!a.png"]).in_folder(LocalPlace(tmp_path))
    assert [found.takes_file(name) for name in ("a.png", "b.png", "a.jpg")] == [True, False, True]
    assert not found.takes_folder("x/b")
    assert not Selection().in_folder(LocalPlace(tmp_path / "nowhere")).is_narrow


def test_a_file_of_patterns_that_cannot_be_read_ends_the_run(tmp_path: Path) -> None:
    file = tmp_path / "in/.cropperignore"
    file.mkdir(parents=True)
    with pytest.raises(UsageError, match="cannot be read"):
        Selection().in_folder(LocalPlace(tmp_path / "in"))
    file.rmdir()
    file.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(UsageError, match="larger than 100 KB"):
        Selection().in_folder(LocalPlace(tmp_path / "in"))
    file.write_bytes(b"\n" * MOST_LINES)
    with pytest.raises(UsageError, match="more than 1,000 lines"):
        Selection().in_folder(LocalPlace(tmp_path / "in"))
    file.unlink()
    (tmp_path / "outside").write_text("*\n")
    file.symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError, match="a link that leads out of the folder"):
        Selection().in_folder(LocalPlace(tmp_path / "in"))
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(UsageError, match="not a regular file"):
        Selection().in_folder(LocalPlace(tmp_path / "in"))
