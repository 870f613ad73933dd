"""From a density to a box.

Pure numpy, no input or output. Imports ``storage``, ``geometry``, ``settings`` and ``errors``.
"""
