"""What OUT remembers: the table ``boxes.csv``, its parts, locks, shards, merging and uploads.

Imports ``storage``, ``choosing``, ``settings`` and ``errors``. Only ``focus_file`` loads numpy.
"""
