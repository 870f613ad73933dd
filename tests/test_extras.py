"""The command that brings the libraries of an extra: one that works however cropper came here."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cropper import extras
from cropper.image_formats import EXTRA

REQUIRES = [
    "pillow>=11.3",
    'pi-heif>=1.0; extra == "formats"',
    "rawpy>=0.25 ; extra == 'formats'",
    'ray[data]>=2.60; extra == "ray"',
]


class Installed:
    """What the metadata of an installed package say."""

    requires = REQUIRES

    def __init__(self, installer: str) -> None:
        self.installer = installer

    def read_text(self, name: str) -> str | None:
        return f"{self.installer}\n" if name == "INSTALLER" and self.installer else None


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An environment that pip made and whose commands the shell finds."""
    folder = tmp_path / "venvs" / "cropper"
    monkeypatch.setattr(sys, "prefix", str(folder))
    monkeypatch.setattr(sys, "executable", str(folder / "bin" / "python"))
    monkeypatch.setattr(shutil, "which", lambda name: str(folder / "bin" / name))
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed("pip"))
    (folder / "bin").mkdir(parents=True)
    extras.install_command.cache_clear()
    yield folder
    extras.install_command.cache_clear()


def test_pip_is_called_as_the_shell_finds_it(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert extras.install_command("formats") == "pip install pi-heif rawpy"
    extras.install_command.cache_clear()
    for elsewhere in ("/usr/bin/pip", None):  # the environment is not active, so this pip is another one's
        monkeypatch.setattr(shutil, "which", lambda name, found=elsewhere: found)
        extras.install_command.cache_clear()
        assert extras.install_command("formats") == f"{environment}/bin/python -m pip install pi-heif rawpy"


def test_a_library_with_extras_of_its_own_is_quoted() -> None:
    assert extras.install_command("ray") == "pip install 'ray[data]'"


def test_pipx_injects(environment: Path) -> None:
    (environment / "pipx_metadata.json").touch()
    assert extras.install_command("formats") == "pipx inject cropper pi-heif rawpy"


@pytest.mark.parametrize("is_tool", [True, False])
def test_uv_installs_into_its_environment_which_has_no_pip(
    environment: Path, monkeypatch: pytest.MonkeyPatch, is_tool: bool
) -> None:
    if is_tool:
        (environment / "uv-receipt.toml").touch()
    else:
        monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed("uv"))
    assert extras.install_command("formats") == f"uv pip install --python {environment}/bin/python pi-heif rawpy"


def test_a_checkout_is_named_that_nobody_installed_or_that_is_newer_than_what_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Installed:
        raise importlib.metadata.PackageNotFoundError(name)

    checkout = Path(extras.__file__).parent.parent
    assert extras.install_command("younger") == f"pip install '{checkout}[younger]'"
    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert extras.install_command("formats") == f"pip install '{checkout}[formats]'"


def test_words_are_quoted_for_the_shell() -> None:
    assert [extras._quoted(word) for word in ("a-b_c/d.e", "a b", "it's")] == ["a-b_c/d.e", "'a b'", "'it'\"'\"'s'"]


def test_every_extra_that_is_named_is_one() -> None:
    package = Path(extras.__file__).parent
    project = (package.parent / "pyproject.toml").read_text(encoding="utf-8")
    defined = re.findall(r"^([a-z]+) = \[", project.partition("[project.optional-dependencies]")[2], re.MULTILINE)
    sources = [path.read_text(encoding="utf-8") for path in package.rglob("*.py")]
    named = {name for text in sources for name in re.findall(r"""install_command\(['"](\w+)['"]\)""", text)}
    assert {"cloud", "watch"} < {*named, EXTRA} <= set(defined)
