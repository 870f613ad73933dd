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


def test_what_onnxruntime_prints_while_it_loads_is_dropped_by_the_command_alone(tmp_path: Path) -> None:
    """As with little memory: "Schema error: std::bad_alloc", over and over."""
    (tmp_path / "onnxruntime.py").write_text("import os\nos.write(2, b'Schema error')\ndef disable_telemetry_events(): pass\n")
    load = "import sys; sys.path.insert(0, sys.argv[1]); import cropper.model.runtime; sys.stderr.write('ours')"
    for first, said in (("import cropper.cli; ", "ours"), ("", "Schema errorours")):
        ran = subprocess.run([sys.executable, "-c", first + load, tmp_path], capture_output=True, text=True, check=True)
        assert ran.stderr == said
