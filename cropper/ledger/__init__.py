"""The memory of OUT: the state, a SQLite file, and the table written from it, ``boxes.csv``. A batch comes in by ``session``.

Imports ``storage``, ``geometry``, ``image_formats``, ``settings``, ``extras`` and ``errors``.
"""
