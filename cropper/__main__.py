"""Run the command line: ``python -m cropper`` is ``cropper``."""

from cropper.cli import main
from cropper.cli.signals import end_at_once


def run() -> None:
    """Run the command line as ``main`` does, and end the process."""
    try:
        main()
    except SystemExit as ended:
        end_at_once(ended.code)
        raise


if __name__ == "__main__":
    run()
