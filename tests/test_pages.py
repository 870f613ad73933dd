"""Every example of every page, run as it stands there; what a page shows as output is what comes out. So no page can rot.

Examples find the files they name: ``sample_images/``, ``photos/``, ``photo.jpg``, a batch's ``thumbnails/`` and ``decisions/``, a
gaze set ``osie`` and another cropper's boxes. Each block begins with these alone, and its commands follow each other. Those that
need a shell are run by bash; the others in this process, which is quicker. ``curl`` gives a photo without a network.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import click
import pytest
from fixtures import imread
from pages import PAGES, README, ROOT, Block, anchor_of, anchors, blocks, examples, prose
from PIL import Image
from running import run_batch

from cropper.cli import cli, main
from cropper.extras import install_command
from cropper.settings import Settings, Target

SAMPLES = ROOT / "sample_images"
ASPECTS = ((1, 1), (16, 9), (9, 16), (3, 1))
CLI = ROOT / "cropper" / "cli" / "README.md"
# Programs that a machine may lack.
TOOLS = ("magick", "vips", "ffmpeg", "jq")
# Those of the cropper; contributors have their own.
CONSOLE = [block for block in blocks("console") if ".github" not in block.page.parts]
RUN = [block for block in CONSOLE if block.not_run is None]
SHELL_LINES = [line for block in blocks("sh", CLI) for line in block.text.splitlines()]
# What runs leave behind goes before the next block; what they only read stays, so that it is as old as they remember.
KEPT = ("photos", "sample_images", "osie", "peers", "bin", "photo.jpg", "heads.csv", "focus.csv")
# Words of a page and what a screen or a machine makes of them.
NUMBER = re.compile(r"\d+(?:\.\d+)?")
TIME = re.compile(r"; \d+(?:\.\d+)? s(?:, [\d.]+ photos/s)?$")
NOT_RUN_FOR = {
    "it needs a bucket": 1,
    "it needs Ray": 1,
    "it installs": 2,
    "it needs Docker": 1,
    "it needs torch": 1,
    "it waits for you": 1,
    "it does not end": 2,
    "it needs corrections": 1,
    "it needs other croppers": 1,
}


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the examples name. What runs make there is kept beside it as well."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copytree(SAMPLES, folder / "sample_images")
    photos = folder / "photos"
    (photos / "trips").mkdir(parents=True)
    shutil.copy(SAMPLES / "cat.jpg", photos)
    shutil.copy(SAMPLES / "wren.jpg", photos / "wren in the rocks.jpg")
    shutil.copy(SAMPLES / "cat.jpg", photos / "trips" / "cat.again.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    with Image.open(SAMPLES / "wren.jpg") as image:
        image.transpose(Image.Transpose.ROTATE_90).save(photos / "turned.jpg", exif=exif, quality=98)
    shutil.copy(SAMPLES / "wren.jpg", folder / "photo.jpg")
    (folder / "focus.csv").write_text("path,x,y\ncat.jpg,200,130\n")
    list(run_batch(photos, folder / "thumbnails", Settings((Target((640, 360), (640, 360)),)), 2))
    list(run_batch(photos, folder / "decisions", Settings((Target((1, 1)),), dry_run=True), 2))

    (folder / "osie" / "images").mkdir(parents=True)
    (folder / "peers").mkdir()
    rows = ["image,subject,order,x,y"]
    for number in range(8):
        shutil.copy(SAMPLES / "cat.jpg", folder / "osie" / "images" / f"{number}.jpg")
        places = ((100 + 30 * i, 90 + 10 * i) for i in range(6))
        rows += [f"{number}.jpg,{i % 2},{i // 2},{x},{y}" for i, (x, y) in enumerate(places)]
    (folder / "osie" / "fixations.csv").write_text("\n".join(rows) + "\n")
    (folder / "heads.csv").write_text("path,x,y,width,height\n0.jpg,100,90,80,80\n")
    for across, down in ASPECTS:
        table = ["path,x,y,width,height", *(f"{number}.jpg,0,0,{15 * across},{15 * down}" for number in range(8))]
        (folder / "peers" / f"sharp-attention.{across}x{down}.csv").write_text("\n".join(table) + "\n")

    (folder / "bin").mkdir()
    program(folder / "bin" / "cropper", f'exec "{sys.executable}" -m cropper "$@"')
    program(folder / "bin" / "curl", f'cat "{folder}/photo.jpg"')
    if not shutil.which("magick") and is_imagemagick("convert"):  # ImageMagick 6 calls it so
        program(folder / "bin" / "magick", 'exec convert "$@"')
    for made in ("thumbnails", "decisions"):
        shutil.copytree(folder / made, folder.parent / f"{folder.name} made" / made)
    return folder


def is_imagemagick(program: str) -> bool:
    """Whether a program is there that is ImageMagick's, and none of that name that stands in for it."""
    if not shutil.which(program):
        return False
    version = subprocess.run([program, "-version"], capture_output=True, text=True)
    return "ImageMagick" in version.stdout


@pytest.fixture
def here(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for left in prepared.iterdir():
        if left.name not in KEPT:
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    (prepared / "photos" / "new.jpg").unlink(missing_ok=True)  # of an example that ended before it took it away
    shutil.copytree(prepared.parent / f"{prepared.name} made", prepared, dirs_exist_ok=True)
    monkeypatch.chdir(prepared)
    monkeypatch.setenv("PATH", f"{prepared / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(click, "launch", lambda path: 0)
    return prepared


def by_bash(command: str, folder: Path) -> tuple[int, str, str]:
    if os.name == "nt" or not shutil.which("bash"):
        pytest.skip("no bash here")
    for tool in TOOLS:
        if re.search(rf"\b{tool} ", command) and not shutil.which(tool):
            pytest.skip(f"no {tool} here")
    bash = ["bash", "-euo", "pipefail", "-c", command]
    done = subprocess.run(bash, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
    return done.returncode, done.stdout, done.stderr


def in_process(command: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    words = shlex.split(command, comments=True)
    program = words.index("cropper")
    with monkeypatch.context() as patch:
        for variable in words[:program]:
            patch.setenv(*variable.split("=", 1))
        with pytest.raises(SystemExit) as ended:
            main(words[program + 1 :])
    return int(ended.value.code or 0), *capfd.readouterr()


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.name)
def test_an_example_does_what_its_page_shows(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], block: Block
) -> None:
    if "sample_images" in block.text:  # what is in thumbnails/ is of other photos
        shutil.rmtree(here / "thumbnails")
    for example in examples(block):
        if needs_shell(example.command):
            code, out, err = by_bash(example.command, here)
        else:
            code, out, err = in_process(example.command, monkeypatch, capfd)
        if any(install_command(extra) in err for extra in ("cloud", "formats", "parquet", "ray")):
            pytest.skip("an extra is not installed here")
        expected = re.search(r"# exit code (\d+)", example.command)
        assert code == int(expected[1] if expected else 0), f"{example.command}\n{out}{err}"
        if example.output:
            assert is_shown(example.output, (out + err).splitlines()), f"{example.command}\n{out}{err}"
        else:  # nothing to be seen but a batch's summary, and that it makes photos again with the settings of the next example
            usual = ("failed", "settings changed since the last run: ")
            assert all(line.startswith("cropper: ") and any(map(line.__contains__, usual)) for line in err.splitlines()), err
        if " square/" in example.command or '"square/' in example.command:
            check_squares(here)


def needs_shell(command: str) -> bool:
    return not re.match(r"([A-Z_]+=\S+ |[A-Z_]+=\"[^\"]*\" )*cropper ", command) or re.search(r"[|<>]", command) is not None


def is_shown(shown: tuple[str, ...], printed: list[str]) -> bool:
    """Whether a page shows what was printed. ``...`` stands for any lines, or the rest of one; times count for nothing.

    Another build of a decoder gives other pixels by a bit, and so a box may be a pixel farther: numbers may differ by 2 %.
    """
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(is_shown(shown[1:], printed[skipped:]) for skipped in range(len(printed) + 1))
    return bool(printed) and is_line(shown[0], printed[0]) and is_shown(shown[1:], printed[1:])


def is_line(shown: str, printed: str) -> bool:
    shown, printed = (TIME.sub("", line).rstrip() for line in (shown, printed))
    pattern = r"(\d+(?:\.\d+)?)".join(re.escape(words).replace(r"\.\.\.", ".*") for words in NUMBER.split(shown))
    found = re.fullmatch(pattern, printed)
    if not found:
        return False
    pairs = zip(map(float, NUMBER.findall(shown)), map(float, found.groups()), strict=True)
    return all(abs(one - other) <= 0.02 * max(one, other) for one, other in pairs)


def test_what_a_page_shows_is_compared() -> None:
    assert is_line("2 photos: 2 done; 1.1 s, 14 photos/s", "2 photos: 2 done; 30 s")
    assert not is_line("2 photos: 2 done; 1.1 s", "3 photos: 2 done; 1.1 s")
    assert is_line('{"kept": 0.98, ...}', '{"kept": 0.981, "x": 3}')
    assert is_shown(("a", "...", "c"), ["a", "b", "b", "c"])
    assert not is_shown(("a", "...", "c"), ["a", "b", "b"])
    assert not is_shown(("a",), ["a", "b"])


def test_few_examples_are_not_run() -> None:
    """What needs a cluster, a bucket, an installer or a person. Who adds one counts it here."""
    assert Counter(block.not_run for block in CONSOLE if block.not_run) == NOT_RUN_FOR


def check_squares(folder: Path) -> None:
    squares = {path.name: imread(str(path)).shape for path in (folder / "square").iterdir()}
    assert squares.keys() == {"cat.jpg", "wren in the rocks.jpg", "turned.jpg", "cat.again.jpg"}
    assert all(height == width > 200 for height, width, _ in squares.values())
    assert cut_alike(folder)


def cut_alike(folder: Path) -> bool:
    """Whether the photo stored on its side and the same one stored upright have the same square."""
    turned, upright = (imread(str(folder / "square" / name)) for name in ("turned.jpg", "wren in the rocks.jpg"))
    return turned.shape == upright.shape and float(abs(turned.astype(int) - upright).mean()) < 20  # lying down, it is 60


@pytest.mark.parametrize("settings", blocks("toml"), ids=lambda block: block.name)
def test_a_configuration_is_one(here: Path, capfd: pytest.CaptureFixture[str], settings: Block, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(settings.text)
    with pytest.raises(SystemExit) as ended:
        main(["--config", str(tmp_path / "a.toml"), "boxes", "photo.jpg"])
    out, err = capfd.readouterr()
    assert (ended.value.code, err) == (0, "")
    assert [line.split(",")[4] for line in out.splitlines()] == ["size", "640x360", "400x400"]


@pytest.mark.parametrize("line", SHELL_LINES)
def test_a_line_for_a_shell_makes_it_complete(here: Path, line: str) -> None:
    found = re.search(r"=(\w+)_source", line)
    assert found
    shell = found[1]
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    loaded, known = {
        "bash": ("", "complete -p cropper"),
        "zsh": ("autoload -U compinit; compinit -u -D", "echo $_comps[cropper]"),
        "fish": ("", "complete --do-complete 'cropper sheet --sort '"),
    }[shell]
    script = "\n".join([loaded, line, known])
    options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run([shell, *options, "-c", script], capture_output=True, text=True, cwd=here, timeout=60)
    assert ("ledger" if shell == "fish" else "_cropper_completion") in done.stdout, done.stderr


def test_every_command_has_an_example() -> None:
    commands = [example.command for block in blocks("console") for example in examples(block)]
    assert {
        name for name in cli.commands if not any(re.search(rf"\bcropper.* {name}\b", command) for command in commands)
    } == set()
    assert len(SHELL_LINES) == 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if (ROOT / ".github") in target.parents and not (ROOT / ".github").exists():
            continue  # an sdist is without it
        if target.is_dir():
            target /= "README.md"
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_list_of_contents_has_each_section_in_order(page: Path) -> None:
    text = prose(page)
    sections = [anchor_of(title) for title in re.findall(r"^## (.+)$", text, re.MULTILINE)]
    listed = re.findall(r"^- \[[^\]]+\]\(#([^)]+)\)$", text.partition("\n## ")[0], re.MULTILINE)
    assert not listed or listed == sections


def test_the_readme_is_short_and_has_two_blocks_for_a_fresh_machine() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= 1400
    assert len(blocks("sh", README)) == 2


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    todo = [README]
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        links = [link.partition("#")[0] for link in re.findall(r"\]\(([^):\s]+)\)", prose(page))]
        targets = [(page.parent / link).resolve() for link in links if link]
        todo += [target for target in (t / "README.md" if t.is_dir() else t for t in targets) if target in PAGES]
    assert set(PAGES) - seen == set()


def test_every_option_that_a_page_names_exists() -> None:
    """Those of examples are tried; here those in sentences, which nothing runs. The scripts of contributors have their own."""
    known = {option for command in all_commands(cli) for parameter in command.params for option in parameter.opts}
    known |= {option for script in (ROOT / "cropper/training", ROOT / "tests/stress") for option in flags_of(script)}
    named = {
        option
        for page in PAGES
        for code in re.findall(r"`([^`]+)`", prose(page))
        if not code.startswith(("pip ", "apt ", "docker "))
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]+", code)
    }
    assert named - known == set()
    assert len(named) > 50


def all_commands(command: click.Command) -> list[click.Command]:
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return [command, *(one for each in below for one in all_commands(each))]


def flags_of(folder: Path) -> set[str]:
    return {flag for file in folder.rglob("*.py") for flag in re.findall(r'"(--[a-z-]+)"', file.read_text(encoding="utf-8"))}
