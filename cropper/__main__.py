"""Run the command line: ``python -m cropper`` is ``cropper``."""

import os
import sys
from contextlib import suppress

from cropper.process.stop import INTERRUPTED, end_as_interrupted, errors_as_interrupt


def run() -> None:
    """Run the command line as ``main`` does, and end the process."""
    end_as_interrupted()  # what follows is a tenth of a second of imports
    try:
        with errors_as_interrupt():
            from cropper.cli import main
            from cropper.cli.signals import end_at_once

            try:
                main()
            except SystemExit as ended:
                end_at_once(ended.code)
                raise
    except KeyboardInterrupt:  # before ``main`` or after it: it handles its own
        with suppress(OSError, ValueError, AttributeError):  # a closed stream is None
            os.write(sys.stderr.fileno(), b"cropper: interrupted\n")
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    run()
