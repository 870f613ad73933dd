"""Texts with fields in braces that a user writes: plain fields with a format, and nothing else that Python would take there."""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cropper.errors import UsageError

# The most characters that a field may be made wide, and digits that a number may have.
WIDEST = 1000
# What Python's format() takes, but for ``c``, which makes a character of a number.
_SPEC = re.compile(r"(?:.?[<>=^])?[-+ ]?z?#?0?(?P<width>[0-9]*)[_,]?(?:\.(?P<digits>[0-9]+))?[bdeEfFgGnosxX%]?", re.DOTALL)

Value = str | float | int | None


@dataclass(frozen=True)
class Part:
    """A text of a template, and the field behind it, which is empty at the end."""

    text: str
    field: str = ""
    conversion: str = ""
    spec: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether the field stands as it is."""
        return not self.conversion and not self.spec

    def filled(self, values: Mapping[str, Value]) -> str:
        """Return the field filled in; nothing for a value that is not known. Raises ValueError if the format does not fit."""
        value = values[self.field] if self.field else None
        if value is None:
            return ""
        converted = {"": value, "s": str(value), "r": repr(value), "a": ascii(value)}[self.conversion]
        return format(converted, self.spec)

    def of(self, values: Mapping[str, Value]) -> str:
        """Return the text and the field filled in. Raises ValueError if the format does not fit the value."""
        return self.text + self.filled(values)


def parts_of(text: str, fields: Collection[str], name: str, remedy: str, trial: Mapping[str, Value]) -> list[Part]:
    """Take a text apart.

    Fields stand in braces, with a format behind a colon as Python's ``str.format`` takes it. Nothing else of it is taken: no
    attributes, no fields within a format, and no width beyond ``WIDEST``.

    Args:
        text: the text.
        fields: the names of its fields.
        name: what errors call the text.
        remedy: what to do about a wrong field.
        trial: a value of each field, to try the formats with.

    Raises:
        UsageError: if the text has another field, or a format that does not fit its field.
    """
    try:
        found = list(string.Formatter().parse(text))
    except ValueError as error:
        raise UsageError(f"{name} {text!r} is not valid ({error})", remedy="write {{ and }} for braces") from error
    parts = []
    for before, field, spec, conversion in found:
        if field is None:
            parts.append(Part(before))
            continue
        if field not in fields:
            remedy = remedy if re.fullmatch(r"\w*", field) else f"write {{{{ and }}}} for braces of your own; {remedy}"
            raise UsageError(f"{name} has an unknown field {{{field}}}", remedy=remedy)
        if not _is_safe(spec or "") or (conversion or "s") not in ("s", "r", "a"):
            whole = f"{field}{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}"
            raise UsageError(f"{name} has a field that cannot be filled in, {{{whole}}}", remedy=remedy)
        parts.append(Part(before, field, conversion or "", spec or ""))
    try:
        for part in parts:
            part.filled(trial)
    except ValueError as error:
        raise UsageError(f"{name} {text!r} cannot be filled in ({error})", remedy=remedy) from error
    return parts


def _is_safe(spec: str) -> bool:
    """Whether a format has no fields of its own and makes nothing wider than ``WIDEST``."""
    found = _SPEC.fullmatch(spec)
    return found is not None and all(
        len(size) <= 4 and int(size or 0) <= WIDEST for size in (found["width"], found["digits"] or "")
    )
