"""Where photos are and thumbnails go: places here and in buckets, the walk, lists of photos, patterns of what to
take, names of outputs, atomic files.

Imports ``image_formats``, ``settings``, ``extras`` and ``errors``. Loads no numpy.
"""
