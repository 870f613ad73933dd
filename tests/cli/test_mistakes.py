"""Command lines that cannot be understood: one line says what was meant. Help and --config work wherever they are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures import Command, MakePhoto

FOLDER = "for a folder: cropper batch in out"
CASES = {
    "no command, a folder": (["in", "out"], "'in' is not a command; for a folder: cropper batch in out."),
    "no command, one folder": (["in"], "for a folder: cropper batch in OUT."),
    "no command, a URL": (["s3://bucket/in", "out"], "for a folder: cropper batch s3://bucket/in out."),
    "no command, a photo": (["in/a.jpg"], "for one photo: cropper crop in/a.jpg -o FILE, or cropper show in/a.jpg; for many"),
    "no command, no photo": (["no such.jpg"], "cropper crop 'no such.jpg' -o FILE"),
    "another program's command": (["thumbnail", "in", "out"], "for a folder of photos: cropper batch IN OUT; for one photo"),
    "merge alone": (["merge", "out"], "it may be: cropper ledger merge OUT."),
    "a misspelt command": (["bach", "in", "out"], "Did you mean one of: 'batch', 'bench', 'watch'?"),
    "ledger of a folder": (["ledger", "in"], "write cropper ledger merge in."),
    "no OUT": (["batch", "in"], "Missing argument 'OUT': give the folder for the thumbnails last"),
    "no OUT but a photo": (["batch", "in/a.jpg"], "Missing argument 'OUT'"),
    "nothing": (["batch"], "Missing argument 'OUT'"),
    "-o in batch": (["batch", "in", "-o", "out"], "OUT is the last argument, without an option: cropper batch IN OUT."),
    "--output in boxes": (["boxes", "in", "--output", "x.csv"], "It prints to stdout: cropper boxes ... > FILE."),
    "--output in crop": (["crop", "in/a.jpg", "--output", "x.jpg"], "It is -o FILE."),
    "-r": (["batch", "in", "out", "-r"], "Leave it out: folders are read with all that is in them."),
    "--recursive": (["boxes", "in", "--recursive"], "Leave it out: folders are read with all that is in them."),
    "--threads": (["batch", "in", "out", "--threads", "4"], "It is --jobs."),
    "--overwrite": (["batch", "in", "out", "--overwrite"], "It is --force."),
    "a misspelt option": (["batch", "in", "out", "--qualty", "8"], "Did you mean"),
    "an option that it has not": (["formats", "--threads"], "No such option '--threads'. Try 'cropper formats --help'."),
    "the version": (["batch", "-V"], "It is: cropper --version."),
    "a colour that is a comment": (
        ["batch", "in", "out", "--pad-with"],
        "'#336699'. Try 'cropper batch --help'.",
    ),
    "a second photo": (["crop", "in/a.jpg", "b.jpg"], "It takes one photo; name the thumbnail with -o FILE."),
    "a configuration of nothing": (
        ["batch", "in", "out", "--config"],
        "Option '--config' requires an argument.",
    ),
    "-0 of no list": (["batch", "in", "out", "-0"], "-0 splits the paths on stdin, and no - says to read them; add - as a path"),
    "-0 of no list in boxes": (["boxes", "in", "-0"], "add - as a path"),
    "an option before the command": (
        ["--size", "9x9", "in", "out"],
        "as in cropper batch IN OUT --size.",
    ),
    "no command but an option": (["-r", "in", "out"], "Options come after the command"),
    "the version of all": (["-V"], "It is: cropper --version."),
    "help of nothing": (["help", "bach"], "Did you mean one of: 'batch', 'bench', 'watch'?"),
}


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    make_photo(tmp_path / "in" / "a.jpg", 200, 160)
    return tmp_path / "in"


@pytest.mark.parametrize(("arguments", "said"), CASES.values(), ids=CASES)
def test_one_line_says_what_was_meant(cropper: Command, tmp_path: Path, arguments: list[str], said: str) -> None:
    code, out, err = cropper(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("command", [[], ["batch"], ["ledger", "merge"], ["evaluate"]])
def test_help_may_be_asked_for_in_words(cropper: Command, command: list[str]) -> None:
    assert cropper("help", *command) == cropper(*command, "--help")


def test_options_of_the_program_may_follow_the_command(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('size = "7x7"\n')
    line = ["boxes", photos, "--template", "{size}"]
    assert cropper(*line, "--config", "mine.toml") == (0, "7x7\n", "")
    assert cropper(*line, "--config=mine.toml") == (0, "7x7\n", "")
    (tmp_path / "cropper.toml").write_text('size = "9x9"\n')
    assert cropper(*line, "--no-config") == (0, "640x360\n", "")


def test_what_follows_two_dashes_is_no_option(cropper: Command, photos: Path, tmp_path: Path) -> None:
    photos.rename(tmp_path / "--config")
    code, out, err = cropper("boxes", "--template", "{size}", "--", "--config")
    assert (code, out, err) == (0, "640x360\n", "")
