"""Where photos are and thumbnails go: places, the walk, names, buckets, files written whole.

Imports ``image_formats``, ``settings`` and ``errors``. Loads no numpy.
"""
