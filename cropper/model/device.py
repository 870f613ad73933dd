"""Where the model runs: on the processor, or on a graphics card through onnxruntime's CUDA."""

from __future__ import annotations

from pathlib import Path

from cropper.errors import DependencyError
from cropper.model.runtime import onnxruntime
from cropper.settings import CPU, CUDA

_PROVIDER = "CUDAExecutionProvider"
# No trying out which algorithm is fastest, which may end otherwise in the next run, and no numbers of fewer bits.
_SETTINGS = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}


def load_session(model: Path, options: onnxruntime.SessionOptions, device: str) -> onnxruntime.InferenceSession:
    """Load a model to a device, and nowhere else.

    Args:
        model: an ONNX file.
        options: of the session.
        device: ``cpu`` or ``cuda``.

    Raises:
        DependencyError: if it cannot run with CUDA here.
        Exception: of onnxruntime's own, if it cannot be loaded to the processor.
    """
    if device == CPU:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    if _PROVIDER not in onnxruntime.get_available_providers():
        remedy = "pip uninstall onnxruntime; pip install onnxruntime-gpu; or take --device cpu"
        raise DependencyError("this onnxruntime is without CUDA", remedy=remedy)
    providers = [(_PROVIDER, _SETTINGS), "CPUExecutionProvider"]  # which takes what CUDA has no kernel for
    reason = "its driver or one of its libraries is missing"
    try:
        # onnxruntime's own way back to the processor is announced on stdout, and may come in the middle of a run.
        loaded = onnxruntime.InferenceSession(str(model), options, providers=providers, enable_fallback=False)
        if _PROVIDER in loaded.get_providers():
            return loaded
    except Exception as error:  # classes of onnxruntime's own that share no public base
        reason = str(error).splitlines()[0]
    remedy = "check the driver, and the CUDA and cuDNN that onnxruntime-gpu asks for; or take --device cpu"
    raise DependencyError(f"onnxruntime cannot use CUDA here ({reason})", remedy=remedy)


def best_device(model: Path) -> tuple[str, str]:
    """The device for ``auto``, and if that is not CUDA, why: found out by loading a model."""
    try:
        load_session(model, onnxruntime.SessionOptions(), CUDA)
    except DependencyError as error:
        return CPU, error.what
    return CUDA, ""
