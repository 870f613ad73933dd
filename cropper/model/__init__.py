"""The ONNX session, its inputs, and the files of the model with their card.

Imports ``imaging``, ``settings`` and ``errors``.
"""
