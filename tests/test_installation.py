"""What an installation says of itself, and whether it is true."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
import pytest
from fixtures import Command, MakePhoto

from cropper import installation
from cropper.errors import PhotoError
from cropper.extras import install_command
from cropper.image_formats import EXTENSIONS_OF, FORMATS, QUALITY
from cropper.imaging.encode import encode
from cropper.imaging.header import Header
from cropper.installation import Format, formats, model
from cropper.model.saliency import BUNDLED_MODEL

INSTALL = install_command("formats")

HEADER = Header("PNG", 96, 64, 1, False, False, False, None)


def test_what_is_said_is_what_batches_do(cropper: Command, make_photo: MakePhoto, tmp_path: Path) -> None:
    """Every format that is read makes thumbnails, in every format that is written."""
    known = formats()
    assert [one.name for one in known] == list(EXTENSIONS_OF)
    for one in known:
        if one.name in ("PSD", "HEIF", "RAW", "JXL") and one.reads:
            data = encode(np.full((64, 96, 3), 90, np.uint8), HEADER, "jxl") if one.name == "JXL" else sample(one)
            (tmp_path / "in" / f"a{one.extensions[0]}").write_bytes(data)
        elif one.reads:
            make_photo(tmp_path / "in" / f"a{one.extensions[-1]}" if one.name != "JPEG" else tmp_path / "in" / "a.jpg")
    made = {}
    (tmp_path / "in" / "a.dng").rename(tmp_path / "in" / "raw.dng") if of("RAW").reads else None  # a.jpg lies beside it
    for output in QUALITY:
        code, _, _ = cropper("batch", "in", output, "--size", "30x20", "--format", output)
        made[output] = code == 0 and len(list((tmp_path / output).glob("*[aw].*"))) == sum(one.reads is True for one in known)
    assert made == {one.extensions[0][1:]: one.writes for one in known if one.extensions[0][1:] in QUALITY}


def test_what_is_never_written_is_said(cropper: Command) -> None:
    assert {one.name for one in formats() if not one.writes} >= {"TIFF", "BMP"}
    assert {one.name: one.quality for one in formats() if one.writes}["PNG"] is None


def sample(one: Format) -> bytes:
    return (installation._SAMPLES / f"picture{one.extensions[0]}").read_bytes()


def of(name: str) -> Format:
    return next(one for one in formats() if one.name == name)


def raise_damaged() -> NoReturn:
    raise PhotoError("it is truncated or damaged")


def test_a_decoder_that_is_missing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    imdecode: Callable[..., Any] = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: None if b"WEBPVP8" in data.tobytes() else imdecode(data, flags))
    assert of("WEBP").reads is True  # Pillow reads it
    monkeypatch.setattr("cropper.imaging.decode._decode_by_pillow", lambda *arguments: raise_damaged())
    assert of("WEBP").reads is False
    assert of("JPEG").reads is True


def test_a_decoder_that_gives_other_colours_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    imdecode: Callable[..., Any] = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: imdecode(data, flags)[:, :, ::-1])
    assert of("BMP").reads is False


def test_an_encoder_that_is_missing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PhotoError("the encoder refused")

    monkeypatch.setattr(installation, "encode", refuse)
    assert (of("AVIF").writes, of("AVIF").quality) == (False, None)


def test_what_cannot_be_tried_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.delitem(Image.SAVE, "AVIF")
    assert of("AVIF").reads is True  # tried with a file of OpenCV's
    monkeypatch.setattr(cv2, "imencode", lambda *arguments: (False, None))
    assert of("AVIF").reads is None


def test_the_model_is_the_file_that_ships() -> None:
    about = model()
    assert about.sha256 == hashlib.sha256(BUNDLED_MODEL.read_bytes()).hexdigest()
    assert about.bytes == BUNDLED_MODEL.stat().st_size
    assert about.metadata


@pytest.mark.parametrize("name", ["JPEG", "AVIF"])
def test_the_command_prints_a_table_or_json(cropper: Command, name: str) -> None:
    code, out, err = cropper("formats", "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said["versions"]["opencv"] == cv2.__version__
    one = next(one for one in said["formats"] if one["name"] == name)
    code, out, err = cropper("formats")
    assert (code, err) == (0, "")
    row = next(line for line in out.splitlines() if line.startswith(name))
    assert all(extension in row for extension in one["extensions"])
    assert ("yes" in row) == (one["reads"] or one["writes"])
    assert str(one["quality"] or "-") in row


def test_without_the_extra_it_says_what_brings_it(cropper: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cropper.image_formats._is_installed", lambda module: False)
    needed = {one.pillow for one in FORMATS if one.needs}
    assert {one.name for one in formats() if one.needs} == needed
    assert not any(one.reads or one.writes for one in formats() if one.needs)
    code, out, _ = cropper("formats")
    assert code == 0
    assert f"HEIF, JXL, RAW: {INSTALL}" in out


def test_a_gif_is_not_called_lossless(cropper: Command) -> None:
    rows = {line.split()[0]: line.split()[1:4] for line in cropper("formats")[1].splitlines() if "." in line[31:32]}
    assert (rows["PNG"], rows["GIF"]) == (["yes", "yes", "lossless"], ["yes", "yes", "palette"])
