"""Where files of options lie: the user's own, that of the photos' folder, the table in a pyproject.toml, and the named one."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures import Command, MakePhoto

from cropper.cli.config import user_file

LINE = ("boxes", "in", "--template", "{size}")
SAID = "cropper: {}: sets options of this run; --no-config leaves it out\n"


@pytest.fixture(autouse=True)
def own(tmp_path: Path, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch, cropper: Command) -> Path:
    """The user's own file, which is not there yet. ``cropper`` comes first, as it sets a home without one."""
    make_photo(tmp_path / "in" / "a.jpg", 200, 160)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    (tmp_path / "home/cropper").mkdir(parents=True)
    return tmp_path / "home/cropper/config.toml"


def test_each_file_goes_before_the_one_that_is_farther_away(
    cropper: Command, tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.write_text('size = "1x1"\n')
    assert cropper(*LINE) == (0, "1x1\n", "")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n[tool.cropper]\nsize = "2x2"\n')
    assert cropper(*LINE) == (0, "2x2\n", SAID.format("pyproject.toml"))
    (tmp_path / "cropper.toml").write_text('size = "3x3"\n')
    assert cropper(*LINE) == (0, "3x3\n", SAID.format("cropper.toml"))
    (tmp_path / "mine.toml").write_text('size = "4x4"\n')
    assert cropper("--config", "mine.toml", *LINE) == (0, "4x4\n", "")
    monkeypatch.setenv("CROPPER_BOXES_SIZE", "5x5")
    assert cropper("--config", "mine.toml", *LINE) == (0, "5x5\n", "")
    assert cropper(*LINE, "--size", "6x6", "-q") == (0, "6x6\n", "")


def test_files_are_one_above_the_other(cropper: Command, tmp_path: Path, own: Path) -> None:
    own.write_text('[boxes]\ntemplate = "{size} {path}"\n')
    (tmp_path / "cropper.toml").write_text('size = "3x3"\n')
    assert cropper("boxes", "in") == (0, "3x3 in/a.jpg\n", SAID.format("cropper.toml"))


def test_a_shape_replaces_those_of_a_file_that_is_farther_away(cropper: Command, tmp_path: Path, own: Path) -> None:
    own.write_text('[boxes]\nsize = ["8x8", "9x9"]\n')
    (tmp_path / "cropper.toml").write_text('aspect = "1:1"\n')
    assert cropper(*LINE, "-q") == (0, "1:1\n", "")


def test_no_config_reads_none_of_them(cropper: Command, tmp_path: Path, own: Path) -> None:
    own.write_text("no TOML")
    (tmp_path / "pyproject.toml").write_text("[tool.cropper]\nno TOML")
    assert cropper("--no-config", *LINE) == (0, "640x360\n", "")


def test_the_users_own_file_may_set_all_and_a_found_table_not(cropper: Command, tmp_path: Path, own: Path) -> None:
    own.write_text('keep = "all"\ndeadline = 600\n')
    assert cropper("formats")[::2] == (0, "")
    (tmp_path / "pyproject.toml").write_text('[tool.cropper]\nkeep = "all"\n')
    code, _, err = cropper("formats")
    assert code == 2
    assert err.startswith("cropper: pyproject.toml: line 2: 'keep' cannot be 'all' in a file that is found in the working folder")
    assert "cropper --config pyproject.toml" in err
    assert cropper("--config", "pyproject.toml", "formats")[::2] == (0, "")


def test_quiet_of_ones_own_quiets_a_found_file(cropper: Command, tmp_path: Path, own: Path) -> None:
    own.write_text("[boxes]\nquiet = true\n")
    (tmp_path / "cropper.toml").write_text('size = "3x3"\n')
    assert cropper(*LINE) == (0, "3x3\n", "")
    (tmp_path / "cropper.toml").write_text('size = "3x3"\n[boxes]\nquiet = true\n')
    assert cropper(*LINE) == (0, "3x3\n", SAID.format("cropper.toml"))


OTHERS = {
    "none of cropper": '[tool.black]\nline-length = 100\n[project]\ndependencies = ["cropper"]\n',
    "broken and none of cropper": '[project]\ndependencies = ["cropper"\n',
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_a_pyproject_without_a_table_is_no_configuration(cropper: Command, tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert cropper(*LINE) == (0, "640x360\n", "")


@pytest.mark.parametrize("data", ["[tool.cropper]\n".encode("utf-16"), "[tool.cropper]".encode("utf-16-le"), b"\0\0", b"\xff"])
def test_a_pyproject_that_is_no_text_is_left_out_with_a_line(cropper: Command, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "pyproject.toml").write_bytes(data)
    said = "cropper: pyproject.toml: is not text in UTF-8, so no options are taken from it\n"
    assert cropper(*LINE) == (0, "640x360\n", said)
    assert cropper(*LINE, "-q") == cropper("--no-config", *LINE) == (0, "640x360\n", "")


WRONG = {
    "one that needs another": (
        "[batch]\nwidth = 300\n",
        ("batch", "in", "out"),
        "--width needs a shape (width is set in {}); add",
    ),
    "a wrong value": (
        '[batch]\nname = "{{foo}}.{{ext}}"\n',
        ("batch", "in", "out"),
        " unknown field {{foo}} (name is set in {});",
    ),
    "one in the remedy": ('[crop]\nsize = ["3x3", "4x4"]\n', ("crop", "in/a.jpg"), "several shapes (size is set in {});"),
    "of no command's own": ("[review]\nport = 70\n", ("review", "in"), "--port needs --serve (port is set in {}); give both"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_an_error_names_the_file_that_sets_the_option(
    cropper: Command, own: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[str, tuple[str, ...], str]
) -> None:
    text, line, said = case
    own.write_text(text.replace("{{", "{").replace("}}", "}"))
    code, _, err = cropper(*line)
    assert code == 2
    assert said.format(own) in err
    assert err.count("\n") == 1


def test_an_error_names_the_variable_that_sets_the_option_but_no_file_for_one_of_this_run(
    cropper: Command, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.write_text("[batch]\nwidth = 200\n")
    assert "--width needs a shape; add" in cropper("batch", "in", "out", "--width", "300")[2]
    monkeypatch.setenv("CROPPER_BATCH_WIDTH", "300")
    assert "--width needs a shape (CROPPER_BATCH_WIDTH is set); add" in cropper("batch", "in", "out")[2]


BROKEN = {
    "no TOML": ("[tool.cropper]\nsize = 64x36\n", "it is not valid TOML (", "line 2"),
    "no option": (
        '[tool.cropper.batch]\nsizes = "9x9"\n',
        "line 2: 'sizes' in [batch] is not an option",
        "cropper batch --help",
    ),
    "no table": ('[tool]\ncropper = "9x9"\n', "[tool.cropper] is not a table"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_table_is_one_line_that_names_the_file(cropper: Command, tmp_path: Path, broken: tuple[str, ...]) -> None:
    text, *said = broken
    (tmp_path / "pyproject.toml").write_text(text)
    code, out, err = cropper(*LINE)
    assert (code, out) == (2, "")
    assert err.startswith("cropper: pyproject.toml: ")
    assert all(words in err for words in said)
    assert err.count("\n") == 1


LINES = {
    "dotted": ('# size\nbatch.speed = "9x9"\n', "cropper.toml: line 2: 'speed' in [batch]"),
    "in quotes": ('[ "batch" ] # size\n"speed" = "9x9"\n', "cropper.toml: line 2: 'speed' in [batch]"),
    "another's too": ('[boxes]\nsize = "9x9"\n\n[bench]\nsize = "9"\n', "cropper.toml: line 5: 'size' in [bench]"),
    "in one line": ('batch = {speed = "9x9"}\n', "cropper.toml: 'speed' in [batch]"),
}


@pytest.mark.parametrize(("text", "said"), LINES.values(), ids=LINES)
def test_a_wrong_key_is_named_with_its_line(cropper: Command, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "cropper.toml").write_text(text)
    code, _, err = cropper(*LINE)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"cropper: {said}")


def test_a_broken_file_of_ones_own_is_one_line_that_names_it(cropper: Command, own: Path) -> None:
    own.write_text("[batch]\nquality = 101\n")
    code, out, err = cropper(*LINE)
    assert (code, out) == (2, "")
    assert err.startswith(f"cropper: {own}: line 2: 'quality' in [batch] cannot be used: 101 is not a whole number from 1 to 100")
    own.write_text('[evaluate.maps]\nmodel = "none.onnx"\n')
    assert f"Invalid value for 'model' in {own}: File 'none.onnx'" in cropper("evaluate", "maps", "in")[2]


def test_a_named_pyproject_must_have_the_table(cropper: Command, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    assert cropper("--config", "pyproject.toml", *LINE)[2].startswith("cropper: pyproject.toml: it has no table [tool.cropper]; ")


def test_a_home_that_is_no_whole_path_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/you")
    assert user_file() == Path("/home/you/.config/cropper/config.toml")
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert user_file() is None
