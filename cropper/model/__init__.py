"""The ONNX session, its inputs, ``look`` (bytes to pixels and maps), and the model files with their card.

Imports ``imaging``, ``choosing``, ``settings`` and ``errors``.
"""
