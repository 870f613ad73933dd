"""Where photos are and thumbnails go: places here and in buckets, the walk, names of outputs, atomic files.

Imports ``image_formats``, ``settings`` and ``errors``. Loads no numpy.
"""
