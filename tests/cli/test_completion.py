"""What shells are told when someone presses Tab."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures import Command, Complete


@pytest.fixture
def completed(cropper: Command, monkeypatch: pytest.MonkeyPatch) -> Complete:
    """A function from a line as typed so far to what comes after it."""

    def complete(line: str) -> list[str]:
        monkeypatch.setenv("_CROPPER_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        code, out, err = cropper()
        assert (code, err) == (0, "")
        return out.split()

    return complete


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("cropper b", ["plain,batch", "plain,boxes", "plain,bench"]),
        ("cropper batch --dr", ["plain,--dry-run"]),
        (
            "cropper batch --format ",
            ["plain,keep", "plain,jpg", "plain,png", "plain,webp", "plain,avif", "plain,gif", "plain,jxl"],
        ),
        ("cropper boxes --format t", ["plain,tsv"]),
        ("cropper sheet out --sort k", ["plain,kept"]),
        ("cropper evaluate m", ["plain,maps"]),
        ("cropper --config cr", ["file,cr"]),
        ("cropper batch pho", ["file,pho"]),
        ("cropper batch photos thu", ["file,thu"]),
        ("cropper boxes pho", ["file,pho"]),
        ("cropper boxes a.jpg pho", ["file,pho"]),
        ("cropper crop pho", ["file,pho"]),
        ("cropper show pho", ["file,pho"]),
        ("cropper sheet thu", ["dir,thu"]),
    ],
)
def test_commands_options_choices_and_paths_are_completed(completed: Complete, line: str, offered: list[str]) -> None:
    assert completed(line) == offered


@pytest.mark.parametrize("broken", ["not = toml = at all", '[batch]\nsize = "x"'])
def test_a_broken_configuration_does_not_come_in_between(completed: Complete, tmp_path: Path, broken: str) -> None:
    (tmp_path / "cropper.toml").write_text(broken)
    assert completed("cropper batch --quie") == ["plain,--quiet"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_it_understands(
    cropper: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    monkeypatch.setenv("_CROPPER_COMPLETE", f"{shell}_source")
    code, out, err = cropper()
    assert (code, err) == (0, "")
    (tmp_path / "script").write_text(out)
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    subprocess.run([shell, "-n", "script"], check=True, cwd=tmp_path)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_by_the_readmes_line(tmp_path: Path) -> None:
    (tmp_path / "cropper").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cropper "$@"\n')
    (tmp_path / "cropper").chmod(0o755)
    script = (
        'eval "$(_CROPPER_COMPLETE=bash_source cropper)"; complete -p cropper\n'
        'COMP_WORDS=(cropper sheet out --sort ""); COMP_CWORD=4; _cropper_completion cropper; echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment)
    assert done.stdout == "complete -o nosort -F _cropper_completion cropper\nledger kept cut\n"
    assert done.stderr == ""
