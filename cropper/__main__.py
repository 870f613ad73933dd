"""Run the command line: ``python -m cropper`` is ``cropper``."""

from cropper.cli import main

main()
