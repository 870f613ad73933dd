"""A run in a child process, the journal that outlives it, and the supervisor that begins it again.

Imports ``storage`` and ``errors``. Loads no numpy.
"""
