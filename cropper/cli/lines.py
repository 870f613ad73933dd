"""Turn a row of the ledger into what ``cropper boxes`` prints for it: JSON, columns, or a text of the user's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cropper.errors import PhotoError
from cropper.ledger import shares
from cropper.ledger.table import HEADER, SHARES, WHOLE_NUMBERS, rows_writer
from cropper.storage.fields import WIDEST, Value, parts_of

if TYPE_CHECKING:
    from cropper.ledger.table import Row

# The fields of a ledger's row that need no output folder.
FIELDS = tuple(name for name in HEADER if name != "output")
TEXTS = tuple(name for name in FIELDS if name not in (*WHOLE_NUMBERS, *SHARES))
# The fields of a template: these, and where the box lies as the web writes it.
TEMPLATE_FIELDS = (*FIELDS, *shares.NUMBERS, *shares.TEXTS)

_REMEDY = (
    f"the fields are {', '.join(TEMPLATE_FIELDS)}; a format, as in {{kept:.2f}}, makes them at most {WIDEST} characters wide"
)

# Returns the line of a row without its end, or None if the row has none.
Line = Callable[["Row"], str | None]


def values_of(row: Row) -> dict[str, Value]:
    """Return the fields of a row: texts, numbers, and None for unknown values."""
    values: dict[str, Value] = {}
    for name in FIELDS:
        text = getattr(row, name)
        if name in TEXTS:
            values[name] = text
        elif text:
            values[name] = float(text) if name in SHARES else int(text)
        else:
            values[name] = None
    return values


def template_values_of(row: Row) -> dict[str, Value]:
    """Return the fields of a template for a row: ``values_of``, the shares, and the size that a thumbnail would have."""
    values = values_of(row)
    found = shares.shares_of(row)
    values.update((name, getattr(found, name) if found is not None else None) for name in TEMPLATE_FIELDS[len(FIELDS) :])
    if found is not None and values["output_width"] is None:
        values["output_width"], values["output_height"] = _size_to_make(row)
    return values


def _size_to_make(row: Row) -> tuple[int, int]:
    """Return the width and height of the thumbnail that a batch makes of a row, unless it enlarges photos."""
    from cropper.engine.stages import output_size
    from cropper.settings import Target

    image = int(row.image_width), int(row.image_height)
    return output_size(shares.fit_of(row), shares.box_of(row), image, Target(*shares.shape_of(row.size)), enlarge=False)


def as_json(row: Row) -> str:
    """Return the fields of a template for a row as a JSON object."""
    import json

    return json.dumps(template_values_of(row))


def columns(delimiter: str) -> Line:
    """Return a function from a row to its columns."""
    return lambda row: joined([getattr(row, name) for name in FIELDS], delimiter)


def joined(values: Sequence[str], delimiter: str) -> str:
    """Return values as columns, with quotes where they need some."""
    import io

    text = io.StringIO(newline="")
    rows_writer(text, delimiter).writerow(values)
    return text.getvalue().removesuffix("\n")


def template(text: str, one_line: bool) -> Line:
    """Return a function from a row to a line as a template says, or to None for a photo that failed.

    ``fields.parts_of`` says what it may hold. A value that is not known is left empty.

    Args:
        text: the template.
        one_line: whether a line break ends the line, so that none may come from a photo's name. The function then raises
            PhotoError for a row whose name has one.

    Raises:
        UsageError: if the template has another field, or a format that does not fit its field.
    """
    trial: dict[str, Value] = dict.fromkeys(TEMPLATE_FIELDS, 1)
    trial.update(dict.fromkeys((*TEXTS, *shares.TEXTS), ""))
    trial.update(dict.fromkeys((*SHARES, *shares.NUMBERS), 1.0))
    parts = parts_of(text, TEMPLATE_FIELDS, "the template", _REMEDY, trial)

    def line(row: Row) -> str | None:
        if row.status != "ok":
            return None
        values = template_values_of(row)
        made = [part.of(values) for part in parts]
        if one_line:
            for part, filled in zip(parts, made, strict=True):
                if re.search("[\r\n]", filled[len(part.text) :]):
                    reason = f"the line would break within {{{part.field}}}"
                    raise PhotoError(reason, path=row.path, remedy="use --print0, which ends lines with NUL")
        return "".join(made)

    return line
