"""The other ways into cropper that pages show: a container, an action, a hook; and the pages that a package takes along."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from pages import PAGES, ROOT, blocks

from cropper.cli import cli

DOCKERFILE = ROOT / ".github" / "Dockerfile"
CLI = ROOT / "cropper" / "cli" / "README.md"


@pytest.mark.skipif(not DOCKERFILE.exists(), reason="an sdist is without it")
def test_the_container_has_what_the_package_needs_and_no_rights() -> None:
    lines = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text(encoding="utf-8")).splitlines()
    steps = [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines if line and not line.startswith("#")]
    verbs = [step[0] for step in steps]
    assert set(verbs) <= {"FROM", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT", "CMD"}
    copied = [source for verb, rest in steps if verb == "COPY" for source in rest.split()[:-1]]
    assert all((ROOT / source).exists() for source in copied)
    assert {"pyproject.toml", "README.md", "LICENSE", "cropper"} <= set(copied)  # what a wheel is built of
    assert dict(steps)["USER"] == "cropper"
    assert verbs.index("USER") > verbs.index("RUN")
    (installs,) = (rest for verb, rest in steps if verb == "RUN")
    assert re.search(r"uninstall --yes opencv-python && .*install .*'opencv-python-headless>=5\.0'", installs)
    assert "opencv-python>=5.0" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


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


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling is not installed here")
def test_an_sdist_has_every_page(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (made,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(made) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {page.relative_to(ROOT).as_posix() for page in PAGES} <= names
