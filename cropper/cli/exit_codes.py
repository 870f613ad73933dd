"""The exit codes of the command line; 0 is success."""

from __future__ import annotations

SOME_FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
