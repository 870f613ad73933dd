"""What a run takes of ``--focus``, or of a table ``.focus.csv`` that lies in IN."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cropper.cli.options.shared import is_given
from cropper.cli.terminal import say, tell
from cropper.errors import UsageError, printable

if TYPE_CHECKING:
    from cropper.ledger.focus_file import ByHand
    from cropper.process.supervisor import Attempt
    from cropper.storage.places import Place


@dataclass(frozen=True)
class GivenFocus:
    """What is given by hand, and the table that it is from; None if there is none."""

    by_hand: ByHand
    file: Path | None


def given_focus(source: Place, focus_file: Path | None, focus_copy: Path | None, attempt: Attempt) -> GivenFocus:
    """Return what is given by hand. Names a table that was found, and says if it is left out because it is broken.

    Args:
        source: the folder IN.
        focus_file: the value of ``--focus``.
        focus_copy: what to read in its place, if it can be read only once.
        attempt: the work of this process. Only the first one of a run says something.

    Raises:
        UsageError: if the table that the user named cannot be read.
    """
    from cropper.ledger.focus_file import FOCUS_FILE, ByHand, read_focus_file

    in_source = source.local_path / FOCUS_FILE if source.local_path is not None else None
    # --focus none gives no file and forgets what the user gave before.
    forgets = focus_file is None and is_given("focus_file")
    found_in: Path | None = None
    if in_source is not None and os.path.lexists(in_source) and not is_given("focus_file"):
        is_first = not attempt.state and attempt.alone is None
        try:
            deque(read_focus_file(in_source, found_in=source.local_path), 0)  # to the end, for its errors
            focus_file, found_in = in_source, source.local_path
            if is_first:
                tell(f"{focus_file}: used as --focus")
        except UsageError as error:
            if is_first:
                say(f"{error}; the file is left out")
    rows = read_focus_file(focus_file, focus_copy, found_in) if focus_file is not None else ()
    return GivenFocus(ByHand(rows, found_in is not None, forgets), focus_file)


def strangers_of(file: Path | None, where: str, first: str, number: int) -> str:
    """Return a line about photos that a file of the user names and that a folder, ``IN`` or ``OUT``, does not have."""
    others = f" and {number - 1} more" if number > 1 else ""
    return f"{file}: {where} has no photo {printable(first)}{others}; write paths as in boxes.csv"
