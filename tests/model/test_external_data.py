from __future__ import annotations

from pathlib import Path

import pytest

from cropper import Cropper, ModelError
from cropper.model.external_data import refuse_external_data
from cropper.model.saliency import BUNDLED_MODEL


def test_the_bundled_model_is_all_in_its_file() -> None:
    refuse_external_data(BUNDLED_MODEL)


def test_a_model_that_keeps_data_in_other_files_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(BUNDLED_MODEL)
    path = tmp_path / "spread.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=1000)
    with pytest.raises(ModelError, match="the model keeps data in other files") as caught:
        Cropper(path)
    assert str(path) in str(caught.value)


# A tensor whose data_location is EXTERNAL, as an initializer and in an attribute of a node in a branch.
TENSOR = b"\x70\x01"


def message(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


@pytest.mark.parametrize(
    "graph",
    [
        message(5, TENSOR),
        message(5, message(13, b"")),
        message(15, message(15, b"")) + message(15, message(1, TENSOR)[:1] + bytes([len(TENSOR)]) + TENSOR),
        message(1, message(5, message(6, message(1, message(5, message(5, TENSOR)))))),
    ],
)
def test_data_elsewhere_is_found_wherever_it_is_said(tmp_path: Path, graph: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(message(7, graph))
    with pytest.raises(ModelError, match="keeps data in other files"):
        refuse_external_data(path)


@pytest.mark.parametrize("data", [b"", b"no model", b"\x3a\xff\xff", b"\x3a\x7f", bytes(100), b"\x3a\x02\x0b\x0b"])
def test_what_is_no_model_is_for_onnxruntime_to_say(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    refuse_external_data(path)
    refuse_external_data(tmp_path / "missing.onnx")
