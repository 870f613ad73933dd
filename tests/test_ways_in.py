"""The other ways into cropper that pages show: a container, an action, a hook; and the pages that a package takes along."""

from __future__ import annotations

import re
import runpy
from fnmatch import fnmatch
from xml.etree import ElementTree

import pytest
from pages import PAGES, README, ROOT, blocks

from cropper.cli import cli

DOCKERFILE = ROOT / ".github" / "Dockerfile"
CLI = ROOT / "cropper" / "cli" / "README.md"
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.skipif(not DOCKERFILE.exists(), reason="an sdist is without it")
def test_the_container_has_what_the_package_needs_and_no_rights() -> None:
    lines = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text(encoding="utf-8")).splitlines()
    steps = [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines if line and not line.startswith("#")]
    verbs = [step[0] for step in steps]
    assert set(verbs) <= {"FROM", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT", "CMD"}
    copied = [source for verb, rest in steps if verb == "COPY" for source in rest.split()[:-1]]
    assert all((ROOT / source).exists() for source in copied)
    assert {"pyproject.toml", "README.md", "LICENSE", ".ci/pypi_readme.py", "cropper"} <= set(copied)  # what a wheel is built of
    assert dict(steps)["USER"] == "cropper"
    assert verbs.index("USER") > verbs.index("RUN")
    (installs,) = (rest for verb, rest in steps if verb == "RUN")
    assert re.search(r"uninstall --yes opencv-python && .*install .*'opencv-python-headless>=5\.0'", installs)
    assert "opencv-python>=5.0" in PYPROJECT


def test_the_lines_for_others_tools_are_yaml_and_run_what_exists() -> None:
    yaml = pytest.importorskip("yaml")
    action, hook = (yaml.safe_load(block.text) for block in blocks("yaml", CLI))
    runs = [step["run"] for step in action if "run" in step]
    (entry,) = (one["entry"] for repo in hook["repos"] for one in repo["hooks"])
    commands = [line.split() for line in (*runs, entry) if line.startswith("cropper ")]
    assert len(commands) == 2
    for _, command, *words in commands:
        options = {option for parameter in cli.commands[command].params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= options


def test_an_sdist_takes_every_page_along() -> None:
    (sdist,) = re.findall(r"^\[tool\.hatch\.build\.targets\.sdist\]\ninclude = \[(.*)\]$", PYPROJECT, re.MULTILINE)
    taken = re.findall(r'"(.*?)"', sdist)
    for page in PAGES:
        path = f"/{page.relative_to(ROOT).as_posix()}"
        assert any(fnmatch(path, pattern) or path.startswith(f"{pattern}/") for pattern in taken), path


def test_links_of_the_readme_work_on_pypi() -> None:
    """PyPI shows it without what lies beside it: pictures come from the repository, pages lead there."""
    pytest.importorskip("hatchling")
    script = runpy.run_path(str(ROOT / ".ci" / "pypi_readme.py"))
    (home,) = re.findall(r'^Homepage = "(.*)"$', PYPROJECT, re.MULTILINE)
    shown = script["with_absolute_links"](README.read_text(encoding="utf-8"), home)
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", shown)
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)]*)\)", shown)
    assert len(pictures) == 4
    assert all(re.match(r"https://raw\.githubusercontent\.com/\w+/\w+/main/\.github/\w+\.(jpg|svg)$", one) for one in pictures)
    assert len(links) > 20
    assert all(link.startswith(("https://", "#")) for link in links)
    assert f"{home}/blob/main/cropper/cli/README.md#in-a-container" in links


def test_the_recording_is_a_picture_of_commands_that_exist() -> None:
    """It says what the README's own example says, which is compared with what comes out."""
    drawing = ElementTree.fromstring((ROOT / ".github" / "terminal.svg").read_text(encoding="utf-8"))
    lines = ["".join(text.itertext()) for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
    commands = [line.split()[2] for line in lines if line.startswith("$ ")]
    assert commands == ["batch", "batch", "boxes", "show"]
    assert set(commands) <= set(cli.commands)
    (box,) = re.findall(r"wren\.jpg (\S+) keeps", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert box in lines
