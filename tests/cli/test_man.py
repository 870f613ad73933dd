"""Manual pages: one for each command, with all that its help has, in roff that a renderer takes without a word."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from cropper.cli import cli
from cropper.cli.man import main, pages

PAGES = pages(cli, "cropper")


def plain(roff: str) -> str:
    return re.sub(r"\\f[BR]", "", roff).replace("\\-", "-").replace("\\(aq", "'")


def test_every_command_has_a_page_with_all_its_options() -> None:
    assert {"cropper.1", "cropper-batch.1", "cropper-ledger-merge.1", "cropper-evaluate-maps.1"} <= PAGES.keys()
    text = plain(PAGES["cropper-batch.1"])
    for param in cli.commands["batch"].params:
        if isinstance(param, click.Option):
            assert any(re.search(rf"^{re.escape(flag)}\b|, {re.escape(flag)}\b", text, re.MULTILINE) for flag in param.opts)
    assert ".SH EXIT STATUS" in text
    assert "cropper batch photos/ thumbnails/ --size 400x400 --format webp" in text


def test_the_same_version_gives_the_same_pages(tmp_path: Path) -> None:
    main(tmp_path / "man")
    assert {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "man").iterdir()} == PAGES


def test_a_line_that_begins_with_a_dot_or_a_quote_is_text() -> None:
    @click.command()
    def odd() -> None:
        """.dotted and 'quoted' \\n back.

        \b
        .one
        'two
        """

    text = pages(click.Group("odd", {"odd": odd}), "group")["group-odd.1"]
    requests = {line.split(" ")[0] for line in text.splitlines() if line.startswith((".", "'"))}
    assert requests <= {".TH", ".SH", ".PP", ".nf", ".fi", ".TP"}
    assert "\\&.one\n\\(aqtwo" in text


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff renders it")
def test_a_renderer_takes_the_pages_without_a_warning(tmp_path: Path) -> None:
    main(tmp_path)
    done = subprocess.run(["groff", "-man", "-ww", "-z", *sorted(tmp_path.iterdir())], capture_output=True, text=True, check=True)
    assert done.stderr == ""
