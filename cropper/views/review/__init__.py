"""The review page: the modules that build it, and its parts as files for a browser.

Imports the same rooms as ``views``.
"""
