"""Put the manual pages into the sdist, below man/. Packagers install them from there; a wheel has none."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPages(BuildHookInterface):
    """Writes the pages from the command line's own help, which needs click and nothing else."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write them before the sdist is packed."""
        sys.path.insert(0, self.root)
        from cropper.cli.man import main

        self.folder = TemporaryDirectory()  # until the hook is gone
        main(Path(self.folder.name))
        build_data["force_include"][self.folder.name] = "man"
