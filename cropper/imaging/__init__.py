"""Turn bytes into pixels and back: header, decode, colour, metadata, resize, pad, encode, and animations.

Imports ``geometry``, ``settings``, ``image_formats`` and ``errors``.
"""
