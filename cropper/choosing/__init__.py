"""Choose boxes from densities.

Pure numpy, no input or output. Imports ``storage``, ``geometry``, ``settings`` and ``errors``.
"""
