"""What the files for contributors say is true of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_rooms import FLOORS

ROOT = Path(__file__).parent.parent
CONTRIBUTING = ROOT / ".github/CONTRIBUTING.md"
pytestmark = pytest.mark.skipif(not (ROOT / ".ci/run").exists(), reason="an sdist is without the files that check a change")


@pytest.fixture
def contributing() -> str:
    return CONTRIBUTING.read_text(encoding="utf-8")


def test_the_five_commands_name_extras_and_files_that_exist(contributing: str) -> None:
    (block,) = re.findall(r"^```console\n(.*?)^```$", contributing, re.DOTALL | re.MULTILINE)
    assert block.count("$ ") == 5
    defined = set(re.findall(r"^([a-z]+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    for extras in re.findall(r"\.\[([a-z,]+)\]", contributing):
        assert set(extras.split(",")) <= defined
    for path in re.findall(r"\b(?:tests|cropper)/[\w/]+\.py\b", contributing):
        assert path == "cropper/cli/commands/NAME.py" or (ROOT / path).is_file(), path


def test_the_map_names_every_room_on_its_floor(contributing: str) -> None:
    rows = re.findall(r"^\| ([0-9]) \| (.*?) \|", contributing, re.MULTILINE)
    named = {(int(floor), room) for floor, rooms in rows for room in re.findall(r"`(\w+)`", rooms)}
    expected = {(number, room) for number, rooms in enumerate(FLOORS) for room in rooms if not room.startswith("_")}
    assert named == expected


def test_pre_commit_checks_what_ci_checks() -> None:
    checked = re.findall(r"entry: (.*)", (ROOT / ".pre-commit-config.yaml").read_text())
    in_ci = re.findall(r"^\.venv/bin/((?:ruff|mypy).*?)(?: \.)?$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert checked == in_ci
