"""What a command imports. For one photo, importing takes longer than all the rest: whoever adds a module here says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures import MakePhoto

from cropper.cli import cli

# What every command needs.
OF_ANY = {
    "cropper": "_version errors",
    "cropper.cli": "caller config exit_codes groups help paths terminal",
    "cropper.process": "stop",
}
OF_CROP = {
    **OF_ANY,
    "cropper": f"{OF_ANY['cropper']} geometry image_formats settings",
    "cropper.cli": f"supervision tuned {OF_ANY['cropper.cli']}",
    "cropper.cli.commands": "crop",
    "cropper.cli.options": "effects focus settings shapes shared types widths",
    "cropper.choosing": "asked boxes decide faces focus one view worth zoom",
    "cropper.engine": "one_photo stages",
    "cropper.imaging": (
        "colour colour_tags decode encode fitting header icc jpeg_file jpeg_pixels metadata opencv pad palette "
        "pillow resize sharpen"
    ),
    "cropper.imaging.animation": "changes film gif_file play write",
    "cropper.imaging.containers": "avif bmp gif jpeg png tiff webp",
    "cropper.imaging.extra": "heif jxl library psd raw wrapped",
    "cropper.ledger": "given",
    "cropper.model": "device external_data inputs loading look runtime saliency",
    "cropper.process": "child journal memory stop",
    "cropper.storage": "atomic opening photo_file urls",
}
# What is slow to import and not needed: of Python, and of the libraries what they load when they are first asked for it.
SLOW = (
    *("concurrent.futures", "csv", "hashlib", "html", "http", "json", "multiprocessing", "sqlite3", "ssl", "tempfile", "tomllib"),
    *("importlib.metadata", "numpy.fft", "numpy.ma", "numpy.polynomial", "numpy.random", "PIL.ImageCms", "tqdm", "xml"),
)
NOT_FOR_HELP = ("ctypes", "decimal", "fractions", "logging", "shlex", "subprocess", "numpy", "cv2", "onnxruntime", "PIL")

IMPORTED = """
import sys
libraries, arguments = sys.argv[1].split(), sys.argv[2:]
for name in libraries:
    __import__(name)
before = set(sys.modules)
from cropper.cli import main
sys.argv = ["cropper", *arguments]
try:
    main(arguments if arguments[0] == "batch" else None)  # a program would fork, and print twice
except SystemExit as ended:
    after = set(sys.modules)
    import json
    print()
    print(json.dumps([ended.code, sorted(after - before)]))
"""


def imported(folder: Path, libraries: str, *arguments: str) -> set[str]:
    """What a command imports beside some libraries, in a process of its own."""
    command = [sys.executable, "-c", IMPORTED, libraries, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    code, names = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    return set(names)


def named(modules: dict[str, str]) -> set[str]:
    return {*modules, *(f"{package}.{name}" for package, names in modules.items() for name in names.split())}


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name.partition(".")[0] == "cropper"}


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_imports_no_command(tmp_path: Path, option: str) -> None:
    found = imported(tmp_path, "click", option)
    assert ours(found) == named(OF_ANY)
    assert found.isdisjoint((*SLOW, *NOT_FOR_HELP))


def test_one_photo_imports_no_more_than_it_needs(tmp_path: Path, make_photo: MakePhoto) -> None:
    make_photo(tmp_path / "photo.jpg")
    libraries = "click numpy cv2 onnxruntime PIL.Image simplejpeg"
    found = imported(tmp_path, libraries, "crop", "photo.jpg", "-o", "thumbnail.jpg")
    assert (tmp_path / "thumbnail.jpg").exists()
    assert ours(found) == named(OF_CROP)
    assert found.isdisjoint(SLOW)


def test_a_batch_imports_nothing_for_what_is_not_asked_for(tmp_path: Path, make_photo: MakePhoto) -> None:
    make_photo(tmp_path / "in" / "photo.jpg")
    found = imported(tmp_path, "click numpy cv2 onnxruntime PIL.Image simplejpeg", "batch", "in", "out")
    assert (tmp_path / "out" / "boxes.csv").exists()
    assert found.isdisjoint(set(SLOW) - {"concurrent.futures", "csv", "hashlib", "json", "sqlite3"})
    assert found.isdisjoint(f"cropper.{name}" for name in ("engine.manifest", "imaging.placeholder", "ledger.manifest"))
    assert "cropper.storage.bucket" not in found
    assert found.isdisjoint(("shutil", "cropper.ledger.shards"))
    assert found.isdisjoint(("socket", "cropper.engine.processes", "cropper.process.workers"))  # one process is enough
    assert not any(name.startswith("cropper.views") for name in found)


def test_the_list_of_commands_says_of_each_what_its_own_help_says() -> None:
    assert {name: cli.commands.short_help(name, 80) for name in cli.commands} == {
        name: command.get_short_help_str(80) for name, command in cli.commands.items()
    }
    assert {command.name for command in cli.commands.values()} == set(cli.commands)
