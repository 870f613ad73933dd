"""Animations: take them apart into frames, compose what each frame shows, and write them again.

Imports ``image_formats``, ``settings`` and ``errors``, and the modules beside this folder.
"""
