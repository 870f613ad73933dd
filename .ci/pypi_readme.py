"""Give a package a README whose links lead to the repository. PyPI shows it without the pages and pictures that lie beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Readme(MetadataHookInterface):
    """Takes README.md with links that work anywhere. The wheel and the sdist have it in their metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the field ``readme``."""
        page = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = with_absolute_links(page, metadata["urls"]["Homepage"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def with_absolute_links(page: str, home: str) -> str:
    """A page with links to the repository in the place of relative ones. Those to its own headings stay.

    Args:
        page: Markdown.
        home: the repository's address on GitHub.
    """
    files = home.replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main/"

    def absolute(link: re.Match[str]) -> str:
        return f"{link[1]}{files if link[1].startswith('!') else f'{home}/blob/main/'}{link[2]})"

    return re.sub(r"(!?\[[^\]]*\]\()(?!\w+:|#)([^)\s]+)\)", absolute, page)
