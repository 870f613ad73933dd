"""The type of a path of this machine. It is apart from the other types, as the command line itself needs it, and none of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


class LocalPath(click.Path):
    """A path of this machine, as a ``Path``. A URL is refused: it would be a folder with the name of the scheme."""

    def __init__(self, exists: bool = False, dir_okay: bool = True, file_okay: bool = True, allow_dash: bool = False) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, allow_dash=allow_dash, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a path."""
        from cropper.storage.urls import is_url, respelt

        if isinstance(value, str) and (is_url(value) or respelt(value) is not None) and not os.path.lexists(value):
            self.fail(f"{value!r} is not a path of this machine; write ./{value} if it is one.", param, ctx)
        return super().convert(value, param, ctx)
