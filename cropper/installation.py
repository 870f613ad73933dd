"""Find out which formats this installation reads and writes. Builds of OpenCV and Pillow differ, so each format is tried."""

from __future__ import annotations

import hashlib
import io
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from cropper._version import __version__
from cropper.extras import install_command
from cropper.image_formats import EXTRA, FORMATS, ImageFormat
from cropper.imaging.decode import decode
from cropper.imaging.encode import encode
from cropper.imaging.extra.wrapped import unwrapped
from cropper.imaging.header import Header, probe
from cropper.imaging.opencv import cv2
from cropper.imaging.resize import on_white
from cropper.model.runtime import onnxruntime
from cropper.model.saliency import BUNDLED_MODEL, Saliency
from cropper.settings import LIMITS

_SIDE = 16
# The picture in formats that no library here encodes, made by hand.
_SAMPLES = Path(__file__).parent / "imaging" / "extra" / "samples"
# A mean difference of decoded pixels that lossy compression cannot explain.
_FAR_OFF = 24


@dataclass(frozen=True)
class Format:
    """One image format.

    Attributes:
        name: Pillow's name: ``JPEG``, ``PNG``, ...
        extensions: with the dot.
        reads: whether photos in this format can be read; None if no library here can make one to try.
        writes: whether thumbnails can be written in this format.
        quality: the default quality of thumbnails, 1..100; None where lossless or not written.
        needs: the command that brings what reads and writes it; empty if it is here.
    """

    name: str
    extensions: tuple[str, ...]
    reads: bool | None
    writes: bool
    quality: int | None
    needs: str = ""


@dataclass(frozen=True)
class Model:
    """A model file.

    Attributes:
        file: its path.
        bytes: its size.
        sha256: the hash of its content, in hexadecimal digits.
        metadata: the names and values that the file has about how it was made.
    """

    file: str
    bytes: int
    sha256: str
    metadata: dict[str, str]


def formats() -> tuple[Format, ...]:
    """Try every format of the table on a tiny picture."""
    known = []
    for one in FORMATS:
        writes = one.output is not None and one.is_here and _writes(one.output)
        needs = "" if one.is_here else install_command(EXTRA)
        known.append(Format(one.pillow, one.extensions, _reads(one), writes, one.quality if writes else None, needs))
    return tuple(known)


def versions() -> dict[str, str]:
    """Return the versions of cropper, Python and the libraries that decide what thumbnails look like."""
    packages = packages_distributions()  # it reads what each package has, which takes as long as all else
    extra = {
        one.needs.replace("_", "-"): _version_of(packages.get(one.needs, [])) for one in FORMATS if one.needs and one.is_here
    }
    return {
        "cropper": __version__,
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "onnxruntime": onnxruntime.__version__,
        "pillow": PIL.__version__,
        "numpy": np.__version__,
        **extra,
    }


def _version_of(names: Sequence[str]) -> str:
    return version(names[0]) if names else "?"


def model(file: Path = BUNDLED_MODEL) -> Model:
    """Load a model file and describe it. Raises ModelError if it cannot be loaded."""
    metadata = Saliency(file).metadata
    data = file.read_bytes()
    return Model(str(file), len(data), hashlib.sha256(data).hexdigest(), metadata)


def _picture(channels: int) -> NDArray[np.uint8]:
    """Draw a picture in RGB, or RGBA with a clear lower half: uint8 [_SIDE, _SIDE, channels]."""
    ramp = np.linspace(40, 220, _SIDE).astype(np.uint8)
    rgb = np.stack([np.tile(ramp, (_SIDE, 1)), np.tile(ramp[:, None], (1, _SIDE)), np.full((_SIDE, _SIDE), 90, np.uint8)], axis=2)
    if channels == 3:
        return rgb
    alpha = np.where(np.arange(_SIDE) < _SIDE // 2, 255, 0).astype(np.uint8)
    return np.dstack([rgb, np.tile(alpha[:, None], (1, _SIDE))])


def _reads(one: ImageFormat) -> bool | None:
    """Return whether pictures in a format decode to what was encoded; None if none can be encoded."""
    if not one.is_here:
        return False
    answers = []
    for channels in (3, 4) if one.alpha else (3,):
        picture = _picture(channels)
        data = _made(one, picture)
        if data is None:
            return None
        expected = on_white(np.ascontiguousarray(picture[:, :, [2, 1, 0, 3][:channels]]))
        try:
            data = unwrapped(data, LIMITS)
            header = probe(data)
            seen = on_white(decode(data, header, (_SIDE, _SIDE)))
        except Exception:  # a half-built decoder may raise anything
            answers.append(False)
            continue
        difference = np.abs(seen.astype(int) - expected).mean() if seen.shape == expected.shape else np.inf
        answers.append(header.format in (one.pillow, "JPEG" if one.pillow == "RAW" else "") and difference < _FAR_OFF)
    return all(answers)


def _made(one: ImageFormat, picture: NDArray[np.uint8]) -> bytes | None:
    """Encode a picture with Pillow, or else with OpenCV; None if neither can. What nothing here encodes is a file of ours."""
    sample = _SAMPLES / f"picture{one.extensions[0]}"
    if sample.exists():
        return sample.read_bytes()
    file = io.BytesIO()
    try:
        if one.needs and one.output:
            return _encoded(picture, one.output)
        Image.fromarray(picture).save(file, one.pillow)
        return file.getvalue()
    except Exception:  # OSError, KeyError or others: it depends on which parts of the encoder are missing
        pass
    code = cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
    try:
        done, written = cv2.imencode(one.extensions[0], cv2.cvtColor(picture, code))
    except cv2.error:
        return None
    return written.tobytes() if done else None


def _writes(output: str) -> bool:
    try:
        return bool(_encoded(_picture(3), output))
    except Exception:  # as in _reads
        return False


def _encoded(picture: NDArray[np.uint8], output: str) -> bytes:
    """Encode a picture, RGB or RGBA, as a thumbnail."""
    header = Header("PNG", _SIDE, _SIDE, 1, False, False, False, None)
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    return encode(np.asarray(bgr, np.uint8), header, output)
