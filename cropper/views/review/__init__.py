"""The review page: what builds it, and its parts as files that a browser takes.

Imports what ``views`` may.
"""
