"""What brings the libraries that cropper does without: the command that adds those of an extra to this installation.

The package may have come from a repository or a file, so no index need know it: the command names the libraries themselves.
"""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path

# The part of a requirement that names the library, with extras of its own, and the extra of ours that asks for it.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]]*\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
# Files in the folder of an environment that only these tools write there.
_OF_PIPX, _OF_UV = "pipx_metadata.json", "uv-receipt.toml"


@cache
def install_command(extra: str) -> str:
    """Return the command that installs the libraries of an extra beside this cropper: ``pip install pyarrow``.

    Args:
        extra: one that ``pyproject.toml`` names, such as ``formats``.
    """
    from importlib.metadata import PackageNotFoundError, distribution  # takes as long as the rest of a start

    try:
        package = distribution("cropper")
        requirements = package.requires or []
    except PackageNotFoundError:
        requirements = []
    libraries = " ".join(map(_quoted, _libraries(requirements, extra)))
    if not libraries:  # a checkout that nobody installed, or that has another version since
        return f"{_pip()} install {_quoted(f'{Path(__file__).parent.parent}[{extra}]')}"
    environment = Path(sys.prefix)
    if (environment / _OF_PIPX).exists():
        return f"pipx inject {_quoted(environment.name)} {libraries}"
    if (environment / _OF_UV).exists() or (package.read_text("INSTALLER") or "").strip() == "uv":
        return f"uv pip install --python {_quoted(sys.executable)} {libraries}"
    return f"{_pip()} install {libraries}"


def _libraries(requirements: list[str], extra: str) -> list[str]:
    """Return the names of the libraries that an extra asks for."""
    asked = [one for one in requirements if (found := _EXTRA.search(one)) and found[1] == extra]
    return [name[0] for one in asked if (name := _NAME.match(one))]


def _pip() -> str:
    """Return pip as the user calls that of this environment: by its name where the shell finds that one first."""
    from shutil import which

    found = which("pip")
    if found is not None and Path(found).parent == Path(sys.executable).parent:
        return "pip"
    return f"{_quoted(sys.executable)} -m pip"


def _quoted(word: str) -> str:
    """Return a word as a shell needs it."""
    if re.fullmatch(r"[\w@%+=:,./~-]+", word) or (os.name == "nt" and " " not in word):
        return word
    return f'"{word}"' if os.name == "nt" else "'" + word.replace("'", "'\"'\"'") + "'"
