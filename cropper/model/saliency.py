"""Run the ONNX model: photos of one shape in, maps out.

The contract of a model file: input ``image``, uint8 ``[N, H, W, 3]`` BGR, H and W multiples of 32; output ``density``, float32
``[N, H / 8, W / 8]``, each summing to 1; optional outputs ``subject`` and ``head``, float32 of the same shape, 0..1.
Normalisation, softmax and sigmoid live inside the graph.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper.choosing.view import Maps
from cropper.errors import MORE_MEMORY, CropperError, ModelError, says_no_memory
from cropper.model.device import load_session
from cropper.model.external_data import refuse_external_data
from cropper.model.inputs import prepare, shape_for
from cropper.model.runtime import onnxruntime
from cropper.settings import CPU

BUNDLED_MODEL = Path(__file__).with_name("student.onnx")


# What a model file may give, in this order.
OUTPUTS = (("density",), ("density", "subject", "head"))


class Saliency:
    """A loaded model. Threads may share it; each call computes on the caller's thread alone.

    Args:
        model: an ONNX file that keeps the contract above; None for the bundled student.
        device: ``cpu`` or ``cuda``.

    Raises:
        DependencyError: if this machine cannot use the device.
        ModelError: if the file is missing, is not an ONNX model, keeps data in other files, or has other inputs or outputs.
    """

    def __init__(self, model: str | Path | None = None, device: str = CPU) -> None:
        path = Path(model) if model is not None else BUNDLED_MODEL
        if not path.is_file():
            raise ModelError("no such model file", path=path, remedy="give an ONNX file that keeps the model contract")
        if model is not None:
            refuse_external_data(path)
        options = onnxruntime.SessionOptions()
        # One thread per call: cropper works on several photos at once, and the density must not depend on the number of jobs.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = load_session(path, options, device)
        except CropperError:
            raise
        except Exception as error:  # onnxruntime's errors share no public base class
            reason = str(error).splitlines()[0]
            if says_no_memory(error):
                raise ModelError("there is not enough memory to load it", path=path, remedy=MORE_MEMORY) from error
            raise ModelError(f"onnxruntime cannot load it ({reason})", path=path, remedy="is it an ONNX model?") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        signature = [(i.name, i.type) for i in inputs], [(o.name, o.type) for o in outputs]
        kept = [signature == ([("image", "tensor(uint8)")], [(name, "tensor(float)") for name in names]) for names in OUTPUTS]
        if not any(kept):
            remedy = (
                "it must take uint8 'image' [N, H, W, 3] and give float 'density' [N, h, w], with or without 'subject' and 'head'"
            )
            raise ModelError("does not keep the model contract", path=path, remedy=remedy)
        self._outputs = OUTPUTS[kept.index(True)]

    @property
    def metadata(self) -> dict[str, str]:
        """The notes in the file about how the model was made."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def infer(self, batch: NDArray[np.uint8]) -> list[Maps]:
        """Infer the maps of photos of one shape.

        Args:
            batch: uint8 [N, H, W, 3] BGR, H and W multiples of 32.

        Raises:
            ModelError: if the model fails.
        """
        try:
            maps = self._session.run(list(self._outputs), {"image": batch})
        except Exception as error:
            reason = " ".join(str(error).split())
            if says_no_memory(error):
                raise ModelError(f"there is not enough memory for an input of {batch.shape}", remedy=MORE_MEMORY) from error
            raise ModelError(f"the model failed on an input of {batch.shape} ({reason})") from error
        if not all(np.isfinite(one).all() for one in maps):
            raise ModelError("the model gave numbers that are not finite", remedy="use another model")
        return [Maps(*of_photo) for of_photo in zip(*maps, strict=True)]

    def maps(self, bgr: NDArray[np.uint8]) -> Maps:
        """Infer the maps of one photo, uint8 [H, W, 3] BGR of any size."""
        height, width = bgr.shape[:2]
        return self.infer(prepare(bgr, shape_for(width, height))[None])[0]

    def density(self, bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Infer the density of one photo, uint8 [H, W, 3] BGR of any size: float32 [h, w], non-negative, sums to 1."""
        return self.maps(bgr).density
