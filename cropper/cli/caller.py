"""Who runs the command line: a process of its own, or another program."""

from __future__ import annotations

from typing import NamedTuple


class Caller(NamedTuple):
    """Who runs the command line: click's ``obj``.

    Attributes:
        is_program: whether the process runs nothing else. Another program is not forked: its own code would go on twice.
    """

    is_program: bool = False
