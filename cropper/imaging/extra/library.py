"""Import a library of the extra ``formats`` when the first photo needs it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from cropper.errors import PhotoError, reason_of
from cropper.image_formats import FORMATS, install_it, needs_extra

_FORMAT_OF = {one.pillow: one for one in FORMATS if one.needs}


def library_for(format: str) -> Any:
    """Return the module that decodes a format of the table.

    Raises:
        PhotoError: if it is not installed, or cannot be loaded.
    """
    one = _FORMAT_OF[format]
    try:
        return import_module(one.needs)
    except ModuleNotFoundError as error:
        raise PhotoError(needs_extra(one.title), remedy=install_it()) from error
    except ImportError as error:
        raise PhotoError(f"the library for {one.title} cannot be loaded ({reason_of(error)})", remedy=install_it()) from error
