"""Choose boxes from densities.

Pure numpy, no input or output. Imports ``geometry``, ``settings`` and ``errors``.
"""
