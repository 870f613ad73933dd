"""Every recipe of the README, run as it stands there, so that it cannot rot.

Recipes find the files they name: ``photos/``, ``photo.jpg``, a batch's ``thumbnails/`` and ``decisions/``, a gaze set ``osie``
and another cropper's boxes. Those with a pipe are run by bash; the others in this process, which is quicker. ``curl`` gives a
photo without a network.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from fixtures import imread
from PIL import Image

from cropper.cli import main
from cropper.engine.batch import run_batch
from cropper.settings import Settings, Target

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_images"
README = (ROOT / "README.md").read_text(encoding="utf-8")
ASPECTS = ((1, 1), (16, 9), (9, 16), (3, 1))
# Programs that a machine may lack.
TOOLS = ("magick", "vips", "ffmpeg")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def recipes() -> list[str]:
    """What stands after a prompt, and the lines below that belong to it."""
    found = []
    for block in blocks("console"):
        found += [recipe.strip() for recipe in re.split(r"^\$ ", block, flags=re.MULTILINE) if recipe.strip()]
    return [recipe for recipe in found if "cropper" in recipe]


RECIPES = recipes()
# The first two set up and test the project itself: what checks a change runs them.
SHELL_LINES = [line for block in blocks("sh")[2:] for line in block.splitlines()]


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the recipes name."""
    folder = tmp_path_factory.mktemp("readme")
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
    return folder


def is_imagemagick(program: str) -> bool:
    """Whether a program is there that is ImageMagick's, and none of that name that stands in for it."""
    if not shutil.which(program):
        return False
    version = subprocess.run([program, "-version"], capture_output=True, text=True)
    return "ImageMagick" in version.stdout


@pytest.fixture
def here(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(prepared)
    monkeypatch.setenv("PATH", f"{prepared / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(click, "launch", lambda path: 0)
    return prepared


def by_bash(recipe: str, folder: Path) -> tuple[int, str]:
    if os.name == "nt" or not shutil.which("bash"):
        pytest.skip("no bash here")
    for tool in TOOLS:
        if re.search(rf"\b{tool} ", recipe) and not shutil.which(tool):
            pytest.skip(f"no {tool} here")
    command = ["bash", "-euo", "pipefail", "-c", recipe]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
    return done.returncode, done.stderr


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_does_what_it_says(here: Path, capfd: pytest.CaptureFixture[str], recipe: str) -> None:
    needs_shell = re.search(r"[|<>]|^[A-Z_]+=", recipe)
    code: str | int | None
    if needs_shell:
        shutil.rmtree(here / "square", ignore_errors=True)
        (here / "square").mkdir()
        code, err = by_bash(recipe, here)
    else:
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(recipe, comments=True)[1:])
        code, err = ended.value.code, capfd.readouterr().err
    assert code == 0, err
    assert all(line.startswith("cropper: ") and "failed" in line for line in err.splitlines())  # a batch's summary
    if "square/" in recipe:
        squares = {path.name: imread(str(path)).shape for path in (here / "square").iterdir()}
        assert squares.keys() == {"cat.jpg", "wren in the rocks.jpg", "turned.jpg", "cat.again.jpg"}
        assert all(height == width > 200 for height, width, _ in squares.values())
        assert cut_alike(here)


def cut_alike(folder: Path) -> bool:
    """Whether the photo stored on its side and the same one stored upright have the same square."""
    turned, upright = (imread(str(folder / "square" / name)) for name in ("turned.jpg", "wren in the rocks.jpg"))
    return turned.shape == upright.shape and float(abs(turned.astype(int) - upright).mean()) < 20  # lying down, it is 60


@pytest.mark.parametrize("settings", blocks("toml"))
def test_a_configuration_is_one(here: Path, capfd: pytest.CaptureFixture[str], settings: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(settings)
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


def test_the_readme_has_recipes_for_every_command() -> None:
    from cropper.cli import cli

    assert {name for name in cli.commands if not any(re.search(rf"\bcropper.* {name}\b", recipe) for recipe in RECIPES)} == set()
    assert len(SHELL_LINES) == 3
