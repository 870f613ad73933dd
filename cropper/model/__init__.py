"""The ONNX session, its inputs, ``look`` (bytes to pixels and maps), ``sources`` (photos as Python has them), and the model files
with their card.

Imports ``imaging``, ``choosing``, ``storage``, ``settings`` and ``errors``.
"""
