"""The ONNX session: same-shape photos in, densities out.

The model file's contract: input ``image``, uint8 ``[N, H, W, 3]`` BGR, H and W multiples of 32; output ``density``, float32
``[N, H / 8, W / 8]``, each summing to 1. Normalisation and softmax live inside the graph.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cropper import device as devices
from cropper.errors import CropperError, ModelError
from cropper.modelfile import refuse_external_data
from cropper.opencv import cv2
from cropper.runtime import onnxruntime

BUNDLED_MODEL = Path(__file__).parent / "model" / "student.onnx"
# The same, pruned further: seven eighths of the time, and boxes that keep about as much and cut a few more heads.
# MODEL_CARD.md has the figures of both.
FAST_MODEL = BUNDLED_MODEL.with_name("fast.onnx")

# Pixels of the input for one cell of the density.
STRIDE = 8

# Photos are decoded to at least so many times the sides of the input. A JPEG decoded to hardly more looks a little different
# there than one decoded whole, which can move its box; and the sizes asked for must not move boxes.
MARGIN = Fraction(3, 2)

# The shapes (height, width) photos are resized to before the model: one pixel budget, sides multiples of 32, and steps of
# aspect small enough that nothing between 1:10 and 10:1 is squashed beyond 15 %. Few, so that batches fill.
_LANDSCAPES = [
    (320, 320),
    (288, 352),
    (288, 384),
    (256, 384),
    (256, 448),
    (224, 480),
    (192, 544),
    (160, 576),
    (128, 608),
    (128, 768),
    (96, 736),
    (96, 896),
]
SHAPES = sorted({*_LANDSCAPES, *((width, height) for height, width in _LANDSCAPES)})


def shape_for(image_width: int, image_height: int) -> tuple[int, int]:
    """The model's input shape ``(height, width)`` whose aspect is nearest to the photo's.

    Between 1:10 and 10:1 the photo is squashed by at most 15 %; beyond, the last shape takes all.
    """
    aspect = math.log(image_width / image_height)
    return min(SHAPES, key=lambda shape: abs(aspect - math.log(shape[1] / shape[0])))


def share_needed(image_width: int, image_height: int) -> Fraction:
    """Of a photo's sides, what is to be decoded at least for the model to see what it would of all of it; may be above 1."""
    height, width = shape_for(image_width, image_height)
    return MARGIN * max(Fraction(width, image_width), Fraction(height, image_height))


def prepare(bgr: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize a photo, uint8 [H, W, 3] of any size, to a model input shape ``(height, width)``.

    Sides are halved by averages while they can be, and what is left is bilinear: a fifth of the time of one area average, and
    no difference to the density (correlation .998, the same NSS).
    """
    height, width = shape
    while True:
        rows, columns = bgr.shape[:2]
        down, across = (2 if side >= 2 * wanted else 1 for side, wanted in ((rows, height), (columns, width)))
        if down == across == 1:
            return np.asarray(cv2.resize(bgr, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        even = bgr[: rows // down * down, : columns // across * across]
        halved = cv2.resize(even, (columns // across, rows // down), interpolation=cv2.INTER_AREA)
        bgr = np.asarray(halved, np.uint8)


class Saliency:
    """A loaded model. Safe to call from several threads at once; each call computes on its caller's thread alone.

    Args:
        model: an ONNX file that keeps the contract above; the bundled student if left out.
        device: ``cpu`` or ``cuda``.

    Raises:
        DependencyError: if the device cannot be used here.
        ModelError: if the file is missing, is no ONNX model, keeps data in other files or has other inputs and outputs.
    """

    def __init__(self, model: str | Path | None = None, device: str = devices.CPU) -> None:
        path = Path(model) if model is not None else BUNDLED_MODEL
        if not path.is_file():
            raise ModelError("no such model file", path=path, remedy="give an ONNX file that keeps the model contract")
        if model is not None:
            refuse_external_data(path)
        options = onnxruntime.SessionOptions()
        # One thread a call: photos are the unit of parallel work, and a density must not depend on the number of jobs.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = devices.session(path, options, device)
        except CropperError:
            raise
        except Exception as error:  # onnxruntime raises classes of its own that share no public base
            reason = str(error).splitlines()[0]
            raise ModelError(f"onnxruntime cannot load it ({reason})", path=path, remedy="is it an ONNX model?") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        signature = [(i.name, i.type) for i in inputs], [(o.name, o.type) for o in outputs]
        if signature != ([("image", "tensor(uint8)")], [("density", "tensor(float)")]):
            remedy = "it must take uint8 'image' [N, H, W, 3] and give float 'density' [N, h, w]"
            raise ModelError("does not keep the model contract", path=path, remedy=remedy)

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says of its own making."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def densities(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 [N, H, W, 3] BGR, H and W multiples of 32 -> float32 [N, h, w], each non-negative and summing to 1."""
        try:
            (density,) = self._session.run(["density"], {"image": batch})
        except Exception as error:
            reason = " ".join(str(error).split())
            raise ModelError(f"the model failed on an input of {batch.shape} ({reason})") from error
        return np.asarray(density, np.float32)

    def density(self, bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One photo, uint8 [H, W, 3] BGR of any size -> float32 [h, w], non-negative, sums to 1, h / w near H / W."""
        height, width = bgr.shape[:2]
        density: NDArray[np.float32] = self.densities(prepare(bgr, shape_for(width, height))[None])[0]
        return density
