"""The memory of OUT: ``boxes.csv``, and what a second run needs. A batch comes in by ``session``.

Imports ``choosing``, ``storage``, ``geometry`` and ``errors``. Only ``focus_file`` loads numpy.
"""
