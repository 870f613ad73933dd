"""Load a model onto the processor, or onto a graphics card with CUDA."""

from __future__ import annotations

from pathlib import Path

from cropper.errors import DependencyError
from cropper.model.runtime import onnxruntime
from cropper.settings import CPU, CUDA

_PROVIDER = "CUDAExecutionProvider"
# Every run gives the same numbers: no search for the fastest algorithm, which may end differently, and no lower precision.
_SETTINGS = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}


def load_session(model: Path, options: onnxruntime.SessionOptions, device: str) -> onnxruntime.InferenceSession:
    """Load a model onto a device, without falling back to another one.

    Args:
        model: an ONNX file.
        options: the options of the session.
        device: ``cpu`` or ``cuda``.

    Raises:
        DependencyError: if this machine cannot run the model with CUDA.
        Exception: onnxruntime's own errors, if the model cannot be loaded onto the processor.
    """
    if device == CPU:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    if _PROVIDER not in onnxruntime.get_available_providers():
        remedy = "pip uninstall onnxruntime; pip install onnxruntime-gpu; or use --device cpu"
        raise DependencyError("this onnxruntime is without CUDA", remedy=remedy)
    providers = [(_PROVIDER, _SETTINGS), "CPUExecutionProvider"]  # for operators that CUDA has no kernel for
    reason = "its driver or one of its libraries is missing"
    try:
        # onnxruntime's own fallback to the processor prints to stdout, and may start in the middle of a run.
        loaded = onnxruntime.InferenceSession(str(model), options, providers=providers, enable_fallback=False)
        if _PROVIDER in loaded.get_providers():
            return loaded
    except Exception as error:  # onnxruntime's errors share no public base class
        reason = str(error).splitlines()[0]
    remedy = "check the driver and the versions of CUDA and cuDNN that onnxruntime-gpu needs; or use --device cpu"
    raise DependencyError(f"onnxruntime cannot use CUDA here ({reason})", remedy=remedy)


def best_device(model: Path) -> tuple[str, str]:
    """Choose the device for ``auto`` by loading a model: the device, and the reason if it is not CUDA."""
    try:
        load_session(model, onnxruntime.SessionOptions(), CUDA)
    except DependencyError as error:
        return CPU, error.what
    return CUDA, ""
