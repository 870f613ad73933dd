"""Files that a user names for what a command writes: their folders are made, or one line says why they cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures import Command, MakePhoto

# What each command writes to a file of the user's.
WRITING = (
    "batch in out --size 24x16 --report",
    "batch in out --size 24x16 --log-file",
    "batch in out --size 24x16 --manifest",
    "crop in/0.jpg --size 24x16 -o",
    "show in/0.jpg -o",
    "sheet made -o",
    "ledger merge made/boxes.csv -o",
)
ENDING = {"--manifest": ".json", "--log-file": ".txt", "--report": ".jsonl", "ledger": ".csv"}


def file_of(command: str) -> str:
    words = command.split()
    return "a" + next((ending for word, ending in ENDING.items() if word in words), ".png")


@pytest.fixture
def made(cropper: Command, tmp_path: Path, make_photo: MakePhoto) -> None:
    make_photo(tmp_path / "in" / "0.jpg")
    assert cropper("batch", "in", "made", "--size", "24x16")[0] == 0


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("command", WRITING)
def test_the_folder_of_a_file_is_made(cropper: Command, tmp_path: Path, command: str) -> None:
    name = f"new/deep/{file_of(command)}"
    code, _, err = cropper(*command.split(), name)
    assert code == 0, err
    assert (tmp_path / name).exists()


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("command", WRITING)
def test_a_folder_that_cannot_be_made_is_one_line(cropper: Command, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    for folder in ("file", "file/deep"):
        code, _, err = cropper(*command.split(), f"{folder}/{file_of(command)}")
        assert (code, err.count("\n")) == (2, 1), err
        assert "Not a directory" in err
        assert err.rstrip().endswith(("give another name", "give another name with -o"))
    assert (tmp_path / "file").read_bytes() == b""
