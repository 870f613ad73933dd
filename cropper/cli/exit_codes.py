"""The exit codes of the command line; 0 is success."""

from __future__ import annotations

from cropper.process.stop import INTERRUPTED

__all__ = ["INTERRUPTED", "SOME_FAILED", "WRONG_USAGE"]

SOME_FAILED, WRONG_USAGE = 1, 2
