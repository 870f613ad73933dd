"""The walls of the house: which folder may import which, and what loads no numpy."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cropper

PACKAGE = Path(cropper.__file__).parent
# From the top down. A room imports itself and those of lower floors, never up and never sideways.
FLOORS = (
    {"__main__"},
    {"cli", "api"},
    {"engine", "views", "training", "installation"},
    {"evaluation"},
    {"ledger", "model"},
    {"process", "imaging", "choosing"},
    {"storage", "geometry"},
    {"settings", "image_formats", "errors", "_version"},
    {"extras"},
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# Imports that go sideways, each for a reason.
SIDEWAYS = {
    ("settings", "image_formats"),  # the choices of --format are the formats that are written
}
MODULES = sorted(PACKAGE.rglob("*.py"))
# A run forks before numpy may be there, and `--help` is quick.
WITHOUT_NUMPY = ("errors", "settings", "geometry", "image_formats", "storage", "ledger", "process", "cli")
MOST_MODULES, MOST_LINES = 9, 400


def room_of(module: Path) -> str:
    """The folder of a module, or the module itself where it lies beside the folders."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(module: Path) -> Iterator[tuple[str, int]]:
    """The rooms that a module imports, at its top or in a function, and the lines."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names: list[str] = []
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "cropper":
            names = [f"cropper.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "cropper" and len(parts) > 1 and parts[1] in FLOOR_OF:
                yield parts[1], node.lineno


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_imports_go_down(module: Path) -> None:
    room = room_of(module)
    if room == "__init__":  # the public face gives what others make
        return
    for other, line in imports_of(module):
        allowed = other == room or FLOOR_OF[other] > FLOOR_OF[room] or (room, other) in SIDEWAYS
        assert allowed, f"{module.relative_to(PACKAGE)}, line {line}: {room} imports {other}, which is not below it"


@pytest.mark.parametrize("room", ["storage", "imaging", "choosing", "process", "ledger", "model"])
def test_a_room_says_what_it_imports(room: str) -> None:
    (sentence,) = re.findall(r"Imports (.*?)\.", (PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
    found = {other for module in MODULES if room_of(module) == room for other, _ in imports_of(module)} - {room}
    assert set(re.findall(r"``(\w+)``", sentence)) == found


def test_every_room_has_its_floor() -> None:
    assert {room_of(module) for module in MODULES} - {"__init__"} == set(FLOOR_OF)


def test_what_runs_before_a_fork_loads_no_numpy() -> None:
    names = [
        ".".join(("cropper", *module.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for module in MODULES
        if room_of(module) in WITHOUT_NUMPY
    ]
    script = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    heavy = {'numpy', 'cv2', 'onnxruntime', 'PIL'} & set(sys.modules)\n"
        "    assert not heavy, f'{name} loads {heavy}'\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *sorted(names)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_few_modules_lie_beside_the_rooms() -> None:
    beside = [module for module in PACKAGE.glob("*.py") if not module.name.startswith("__")]
    assert len(beside) <= MOST_MODULES


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_no_module_is_too_long_to_read(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
