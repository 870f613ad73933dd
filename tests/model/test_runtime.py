"""onnxruntime keeps to itself what it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fixtures import MakePhoto


def test_nothing_is_kept_to_be_sent_to_onnxruntimes_makers(tmp_path: Path, make_photo: MakePhoto) -> None:
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    for folder in (home, scratch):
        folder.mkdir()
    make_photo(tmp_path / "in" / "a.jpg")
    hidden = {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment |= {"HOME": str(home), "TMPDIR": str(scratch)}
    command: list[str | Path] = [sys.executable, "-m", "cropper", "batch", tmp_path / "in", tmp_path / "out", "--quiet"]
    subprocess.run(command, env=environment, check=True)
    assert [*home.rglob("*"), *scratch.rglob("*")] == []
