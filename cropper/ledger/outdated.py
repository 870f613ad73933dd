"""Say in what the settings of a run differ from those that thumbnails were made with, in the words of the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any

# Changes that are named; more are counted.
_MOST = 4
# What to call a setting, or the group that holds it, where the option has another name or there is none.
_CALLED = {
    "fill": "--pad-with",
    "max_pixels": "--max-pixels",
    "model": "the model",
    "version": "cropper",
    "weights": "the weights",
    "zoom": "the zoom",
}
# Settings whose values would tell you nothing.
_WITHOUT_VALUES = ("model", "weights", "zoom")


def changes_between(before: str, now: str) -> str:
    """Return what differs between the settings of two runs: ``--size 400x400 -> 640x360, --quality 75 -> 50``.

    Args:
        before, now: the settings, as the state has them.

    Returns:
        Nothing if they differ in nothing, or in something that these words do not know.
    """
    try:
        old, new = _by_name(_parsed(before)), _by_name(_parsed(now))
    except (ValueError, KeyError, TypeError, AttributeError):  # another version of cropper wrote it
        return ""
    names = [name for name in {**old, **new} if _value(old.get(name)) != _value(new.get(name))]
    said = [_said(name, old.get(name), new.get(name)) for name in islice(names, _MOST)]
    if len(names) > _MOST:
        said.append(f"and {len(names) - _MOST} more")
    return ", ".join(said)


def _parsed(text: str) -> dict[str, Any]:
    """Return settings; a dry run's begin with a word."""
    values = json.loads(text[text.index("{") :])
    return {**values, "targets": _shapes(values["targets"])}


def _shapes(targets: list[dict[str, Any]]) -> str:
    """Return the options that ask for shapes."""
    shapes = (("--size", "x", one["size"]) if one["size"] else ("--aspect", ":", one["aspect"]) for one in targets)
    options = [f"{option} {between.join(map(str, sides))}" for option, between, sides in shapes]
    return " ".join(dict.fromkeys(options))


def _by_name(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return single settings by their names, without what holds them."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and name not in _WITHOUT_VALUES:
            found |= _by_name(value)
        else:
            found[name] = value
    return found


def _said(name: str, old: Any, new: Any) -> str:
    if name == "targets":
        option, _, value = new.partition(" ")
        is_one_kind = old.startswith(f"{option} ") and " " not in value and old.count(" ") == 1
        return f"{old} -> {value if is_one_kind else new}"
    called = _CALLED.get(name, f"--{name.replace('_', '-')}")
    return called if name in _WITHOUT_VALUES else f"{called} {_value(old)} -> {_value(new)}"


def _value(value: Any) -> str:
    """Return a value as text. Options that are younger than the settings of many users stand there only where they are given."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "default" if value is None else json.dumps(value) if isinstance(value, Mapping) else str(value)
