"""What the model runs on, as far as it can be tried without a graphics card."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from fixtures import Command, MakePhoto, imread

from cropper import DependencyError
from cropper.model.device import best_device
from cropper.model.saliency import BUNDLED_MODEL, Saliency

without_cuda = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this onnxruntime has CUDA"
)


@pytest.fixture
def photo(make_photo: MakePhoto, tmp_path: Path) -> Path:
    return make_photo(tmp_path / "in/a.png")


@without_cuda
def test_cuda_where_it_is_missing_is_an_error_with_the_remedy(photo: Path, cropper: Command) -> None:
    with pytest.raises(DependencyError, match="is without CUDA"):
        Saliency(device="cuda")
    for command in (["batch", "in", "out"], ["boxes", "in"], ["crop", photo]):
        code, out, err = cropper(*command, "--device", "cuda")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "pip uninstall onnxruntime; pip install onnxruntime-gpu" in err


def device_of(out: Path) -> list[str]:
    """The devices in the settings that an output folder was made with."""
    with closing(sqlite3.connect(out / ".cropper/state.db")) as connection:
        return [json.loads(text)["device"] for (text,) in connection.execute("SELECT text FROM setting")]


@without_cuda
def test_auto_falls_back_to_the_processor_with_one_line(photo: Path, cropper: Command, tmp_path: Path) -> None:
    assert cropper("batch", "in", "out", "--size", "64x36", "--quiet") == (0, "", "")
    assert device_of(tmp_path / "out") == ["cpu"]
    said = "cropper: --device auto: using the processor, because this onnxruntime is without CUDA\n"
    code, _, err = cropper("batch", "in", "out", "--size", "64x36", "--device", "auto")
    assert (code, err.startswith(said), "1 unchanged" in err) == (0, True, True)
    assert device_of(tmp_path / "out") == ["cpu"]
    assert cropper("batch", "in", "out", "--size", "64x36", "--device", "auto", "--quiet") == (0, "", "")
    for command in (["boxes", "in", "--aspect", "1:1"], ["crop", photo, "--aspect", "1:1", "-o", "a.png"]):
        _, expected, _ = cropper(*command)
        assert cropper(*command, "--device", "auto") == (0, expected, said)
    picture = imread(str(tmp_path / "a.png"))
    assert picture.shape == (64, 64, 3)


@pytest.mark.parametrize("outcome", ["raises", "does without"])
def test_cuda_that_is_there_and_does_not_work_is_not_used(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], outcome: str
) -> None:
    """As an onnxruntime-gpu does on a machine without a card: it raises, or loads the model to the processor alone."""
    session = onnxruntime.InferenceSession

    def load(model: Any, options: Any, providers: object, **named: object) -> Any:
        if outcome == "raises":
            raise RuntimeError("CUDA failure 35\nsecond line")
        return session(model, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", load)
    reason = "CUDA failure 35" if outcome == "raises" else "its driver or one of its libraries is missing"
    assert best_device(BUNDLED_MODEL) == ("cpu", f"onnxruntime cannot use CUDA here ({reason})")
    with pytest.raises(DependencyError, match="check the driver"):
        Saliency(device="cuda")


@without_cuda
def test_thumbnails_of_another_device_are_made_again(
    photo: Path, cropper: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The card is played by the processor: what counts is which thumbnails are taken for done."""
    from cropper.engine import batch

    monkeypatch.setattr(batch, "Saliency", lambda model, device: Saliency(model))
    for device, made in (("cpu", 1), ("cpu", 0), ("cuda", 1), ("cuda", 0), ("cpu", 1)):
        code, _, err = cropper("batch", "in", "out", "--size", "64x36", "--device", device)
        assert code == 0
        assert f": {made} done, {1 - made} unchanged" in err


def test_the_processors_densities_are_those_of_no_device_named(samples: Path) -> None:
    picture = imread(str(samples / "cat.jpg"))
    assert np.array_equal(Saliency().density(picture), Saliency(device="cpu").density(picture))
