"""Train the saliency model: gaze sets in, ``student.onnx`` out.

Run it as ``python -m cropper.training``. Needs the extra ``train`` (torch); nothing else in cropper imports this package.
"""

from cropper.model import runtime as runtime  # first, before another module here loads onnxruntime
