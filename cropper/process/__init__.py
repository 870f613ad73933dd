"""Run the work in a child process, keep a journal that outlives it, and restart it after a crash.

Imports ``storage`` and ``errors``. Loads no numpy.
"""
