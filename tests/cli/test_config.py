"""Options from a file and from the environment: what goes before what, and what is said of mistakes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from fixtures import Command, MakePhoto, imread

from cropper import installation
from cropper.cli import cli
from cropper.cli.help import Option
from cropper.cli.options.types import Named
from cropper.installation import Format


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    make_photo(tmp_path / "in" / "a.jpg", 200, 160)
    return tmp_path / "in"


@pytest.fixture(scope="module")
def known() -> tuple[Format, ...]:
    return installation.formats()


@pytest.fixture(autouse=True)
def _formats_tried_once(known: tuple[Format, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """``cropper formats`` stands here for any command: it tries out each format, which takes longer than all else."""
    monkeypatch.setattr(installation, "formats", lambda: known)


SAID = "cropper: cropper.toml: sets options of this run; --no-config leaves it out\n"


def size_of(picture: Path) -> tuple[int, int]:
    height, width = imread(str(picture)).shape[:2]
    return width, height


def sizes(cropper: Command, photos: Path, *arguments: object) -> list[str]:
    """The shapes that boxes are chosen for, with whatever is set."""
    code, out, err = cropper("boxes", photos, *arguments)
    assert (code, err) == (0, SAID if Path("cropper.toml").exists() else "")
    return [json.loads(line)["size"] for line in out.splitlines()]


def test_options_are_taken_from_the_file_in_the_working_folder(cropper: Command, photos: Path, tmp_path: Path) -> None:
    text = '[batch]\nsize = ["64x36", "40x40"]\nformat = "webp"\ndry_run = false\nquiet = true\njobs = 1\n'
    (tmp_path / "cropper.toml").write_text(text)
    assert cropper("batch", photos, "out") == (0, "", SAID)
    assert size_of(tmp_path / "out/64x36/a.webp") == (64, 36)
    assert size_of(tmp_path / "out/40x40/a.webp") == (40, 40)


def test_a_flag_goes_before_a_variable_before_the_file_before_the_default(
    cropper: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sizes(cropper, photos) == ["640x360"]
    (tmp_path / "cropper.toml").write_text('[boxes]\nsize = "3x3"\n')
    assert sizes(cropper, photos) == ["3x3"]
    monkeypatch.setenv("CROPPER_BOXES_SIZE", "2x2 4x5")
    assert sizes(cropper, photos) == ["2x2", "4x5"]
    assert sizes(cropper, photos, "--size", "1x1") == ["1x1"]


def test_a_shape_on_the_command_line_replaces_the_size_of_the_file(
    cropper: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cropper.toml").write_text('size = "30x20"\n')
    assert sizes(cropper, photos, "--aspect", "1:1") == ["1:1"]
    assert cropper("crop", photos / "a.jpg", "--aspect", "1:1", "-o", "a.png") == (0, "", SAID)
    assert size_of(tmp_path / "a.png") == (160, 160)
    monkeypatch.setenv("CROPPER_BOXES_ASPECT", "2:1")
    assert sizes(cropper, photos) == ["2:1"]
    assert sizes(cropper, photos, "--size", "9x9") == ["9x9"]
    (tmp_path / "cropper.toml").write_text('size = "30x20"\naspect = "1:1"\n')
    monkeypatch.delenv("CROPPER_BOXES_ASPECT")
    assert sizes(cropper, photos) == ["30x20", "1:1"]


def test_a_format_on_the_command_line_replaces_the_template_of_the_file(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "cropper.toml").write_text('[boxes]\ntemplate = "{size}"\n')
    assert cropper("boxes", photos) == (0, "640x360\n", SAID)
    assert cropper("boxes", photos, "--format", "csv")[1].startswith("path,status,")


def test_another_file_is_named_before_the_command_or_in_the_environment(
    cropper: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cropper.toml").write_text('size = "1x1"\n')
    (tmp_path / "other.toml").write_bytes(b'\xef\xbb\xbfsize = "7x7"\r\n')  # as Windows' editors save it
    command = ["boxes", photos, "--template", "{size}"]
    assert cropper("--config", "other.toml", *command) == (0, "7x7\n", "")
    monkeypatch.setenv("CROPPER_CONFIG", "other.toml")
    assert cropper(*command) == (0, "7x7\n", SAID.replace("cropper.toml", "other.toml"))
    assert cropper("--no-config", *command) == (0, "640x360\n", "")
    (tmp_path / "none.toml").write_text("")
    assert cropper("--config", "none.toml", *command) == (0, "640x360\n", "")


def test_keys_above_the_tables_are_for_all_commands_that_can_take_them(cropper: Command, photos: Path, tmp_path: Path) -> None:
    """boxes has a --format too, but none that could be webp; and --quality it has not."""
    (tmp_path / "cropper.toml").write_text('format = "webp"\nquality = 50\nsize = "64x36"\n[batch]\nsize = "40x40"\n')
    assert sizes(cropper, photos) == ["64x36"]
    cropper("batch", photos, "out")
    assert size_of(tmp_path / "out/a.webp") == (40, 40)
    cropper("crop", photos / "a.jpg", "-o", "a.webp")
    assert size_of(tmp_path / "a.webp") == (64, 36)


def test_commands_of_a_group_have_tables_too(cropper: Command, tmp_path: Path) -> None:
    """What it says reaches them: there is no such model."""
    (tmp_path / "mine.toml").write_text('[evaluate]\nevery = 2\n[evaluate.maps]\nmodel = "none.onnx"\n')
    (tmp_path / "set").mkdir()
    code, _, err = cropper("--config", "mine.toml", "evaluate", "maps", "set")
    assert (code, err.count("\n")) == (2, 1)
    assert "Invalid value for 'model' in mine.toml: File 'none.onnx' does not exist." in err
    assert "none.onnx" not in cropper("--config", "mine.toml", "evaluate", "boxes", "set")[2]


WRONG = {
    "no TOML": ("[batch]\nsize = 64x36\n", "cropper.toml: it is not valid TOML (", "line 2"),
    "no text": ("[batch]\n# \udce9", "cropper.toml: it is not valid TOML (line 2 is not UTF-8)"),
    "no option": ('[batch]\nsizes = "9x9"\n', "'sizes' in [batch] is not an option of any command; 'cropper batch --help'"),
    "no option of any": ('speed = "high"\n', "'speed' is not an option of any command; 'cropper --help'"),
    "another's option": ("[boxes]\nquality = 80\n", "'quality' in [boxes] is not an option of any command"),
    "no command": ('[cut]\nsize = "9x9"\n', "the table [cut] does not name a command"),
    "below a command": ('[batch.size]\nwidth = "9"\n', "the table [batch.size] does not name a command"),
    "an argument": ('[batch]\nsource = "in"\n', "'source' in [batch] is not an option of any command"),
    "not the kind": ("[batch]\nsize = 640\n", "'size' in [batch] cannot be used: it must be text in quotes, or a list of them"),
    "no whole number": ("[batch]\nquality = 85.5\n", "'quality' in [batch] cannot be used: it must be a whole number"),
    "a truth for a number": ("[batch]\njobs = true\n", "it must be a whole number"),
    "a number for a truth": ("[batch]\nenlarge = 1\n", "'enlarge' in [batch] cannot be used: it must be true or false"),
    "beyond": ("[batch]\nquality = 101\n", "'quality' in [batch] cannot be used: 101 is not a whole number from 1 to 100"),
    "no size": ('[batch]\nsize = ["9x9", "9:9"]\n', "'9:9' is not WxH in whole numbers"),
    "not a number": ("[batch]\ndeadline = nan\n", "'deadline' in [batch] cannot be used: it must be a finite number"),
    "no end": ("[batch]\ndeadline = inf\n", "it must be a finite number"),
    "a number without end": (f"[batch]\ndeadline = {'9' * 4000}\n", "it must be a finite number"),
    "no share": ("[batch]\nmin-kept = nan\n", "'min-kept' in [batch] cannot be used: it must be a finite number"),
    "too many digits": (f"[batch]\njobs = {'9' * 5000}\n", "it is not valid TOML (", "4300", "digits"),
    "deep lists": (f"size = {'[' * 100_000}", "it is not valid TOML (its lists or tables are nested too deeply)"),
    "deep tables": (f"size = {'{a=' * 100_000}", "it is not valid TOML (its lists or tables are nested too deeply)"),
    "long names": (f"\nsize{'.a' * 20_000} = 1", "line 2 has more than 32 dots"),
    "too large": ("#" * 1_000_001, "it is larger than 1 MB"),
    "no choice": ('[batch]\nformat = "tiff"\n', "'format' in [batch] cannot be used: 'tiff' is not one of"),
    "no choice of any": ('format = "tiff"\n', "'format' cannot be used: 'tiff' is not one of"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_the_file_is_one_line_that_names_it(
    cropper: Command, photos: Path, tmp_path: Path, wrong: tuple[str, ...]
) -> None:
    text, *said = wrong
    (tmp_path / "cropper.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    code, out, err = cropper("batch", photos, "out")
    assert (code, out) == (2, "")
    assert err.startswith("cropper: cropper.toml: ")
    assert err.count("\n") == 1
    assert all(words in err for words in said)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices have no names there")
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "/dev/null", "much"])
def test_a_file_that_has_no_end_or_no_beginning_is_not_read(
    cropper: Command, photos: Path, tmp_path: Path, kind: str, named: bool
) -> None:
    file = tmp_path / "cropper.toml"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "much":
        file.touch()
        os.truncate(file, 10_000_000_000)  # takes no room on the disk
    else:
        file.symlink_to(kind)
    code, out, err = cropper(*(["--config", "cropper.toml"] if named else []), "boxes", photos)
    assert (code, out) == (2, "")
    assert err.startswith("cropper: cropper.toml: it is ")
    assert err.count("\n") == 1
    assert cropper("--no-config", "boxes", photos)[0] == 0


HARMFUL = {
    "where a table is written": '[ledger.merge]\noutput = "photo.jpg"\n',
    "what is removed": "[ledger.merge]\nfinish = true\n",
    "what is opened": "open = true\n",
    "which cluster": 'batch.engine = "ray"\n',
    "which machine": 'address = "stranger.example:6379"\n',
    "where photos are": '[review]\nphotos = "/"\n',
    "which focus": 'focus = "cropper.toml"\n',
    "which model": '[evaluate.maps]\nmodel = "cropper.toml"\n',
    "no deadline": "[batch]\ndeadline = 0\n",
    "a later deadline": "[batch]\ndeadline = 121\n",
    "the place of a photo": 'keep = "all"\n',
    "larger photos": "max-pixels = 151\n",
    "a thousand threads": "jobs = 4096\n",
    "another's pipe": "[boxes]\nnull = true\n",
}


@pytest.mark.parametrize("text", HARMFUL.values(), ids=HARMFUL)
def test_a_file_that_was_found_may_not_say_so_and_one_that_is_named_may(
    cropper: Command, photos: Path, tmp_path: Path, text: str
) -> None:
    (tmp_path / "cropper.toml").write_text(text)
    code, out, err = cropper("formats")
    assert (code, out) == (2, "")
    assert re.match(r"cropper: cropper\.toml: line [12]: '", err)
    assert "in a file that is found in the working folder; if you trust the file, name it: cropper --config cropper.toml" in err
    assert err.count("\n") == 1
    code, _, err = cropper("--config", "cropper.toml", "formats")
    assert (code, err) == (0, "")


def test_a_file_that_was_found_may_say_what_is_made_and_how_it_is_cropped(cropper: Command, tmp_path: Path) -> None:
    text = (
        'size = "9x9"\nformat = "webp"\nkeep = "copyright"\nmax-pixels = 150\njobs = 1\nzoom = "auto"\nmin-kept = 0.5\n'
        'device = "cpu"\n[batch]\ndeadline = 120.0\npad-with = "white"\n[bench]\nphotos = 9\n[sheet]\nsort = "cut"\n'
    )
    (tmp_path / "cropper.toml").write_text(text)
    assert cropper("formats")[::2] == (0, SAID)


def test_no_option_that_names_a_file_a_folder_or_a_url_may_be_found() -> None:
    def options(command: click.Command) -> Iterator[Option]:
        for below in command.commands.values() if isinstance(command, click.Group) else ():
            yield from options(below)
        yield from (option for option in command.params if isinstance(option, Option))

    paths = [option for option in options(cli) if isinstance(option.type, (click.Path, Named))]
    assert len(paths) > 10
    assert not [option.opts for option in paths if option.may_be_found("a.jpg")]


def test_quiet_says_no_file_unless_the_file_itself_asks_for_quiet(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "cropper.toml").write_text('size = "9x9"\n')
    assert cropper("batch", photos, "out", "-q") == (0, "", "")
    (tmp_path / "cropper.toml").write_text("[batch]\nquiet = true\n")
    assert cropper("batch", photos, "out") == (0, "", SAID)
    assert cropper("--config", "cropper.toml", "batch", photos, "out") == (0, "", "")


def test_a_file_is_read_or_not(cropper: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "cropper.toml").write_text("no TOML")
    assert cropper("--no-config", "boxes", photos)[::2] == (0, "")
    (tmp_path / "mine.toml").write_text('size = "7x7"\n')
    assert cropper("--no-config", "--config", "mine.toml", "boxes", photos, "--template", "{size}") == (0, "7x7\n", "")


def test_a_file_that_is_not_there_is_said(cropper: Command, photos: Path) -> None:
    code, out, err = cropper("--config", "gone.toml", "boxes", photos)
    assert (code, out) == (2, "")
    assert err == "cropper: Invalid value for '--config': File 'gone.toml' does not exist. Try 'cropper --help'.\n"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("CROPPER_BATCH_SIZE", "640", "Invalid value for CROPPER_BATCH_SIZE: '640' is not WxH in whole numbers"),
        ("CROPPER_BATCH_DRY_RUN", "perhaps", "Invalid value for CROPPER_BATCH_DRY_RUN: 'perhaps' is not a valid boolean"),
    ],
)
def test_what_is_wrong_with_a_variable_names_it(
    cropper: Command, photos: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    code, out, err = cropper("batch", photos, "out")
    assert (code, out) == (2, "")
    assert said in err


def test_the_variables_of_builds_are_none_of_ours(cropper: Command, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPPER_VERSION", "1.2.3")
    monkeypatch.setenv("CROPPER_HELP", "1")
    assert sizes(cropper, photos) == ["640x360"]


def test_without_a_file_no_toml_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from cropper.cli import main\n"
        "try: main(['boxes'])\n"
        "except SystemExit: print([name for name in ('tomllib', 'tomli') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[]\n"
