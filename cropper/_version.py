"""The version of cropper, in one place."""

__version__ = "0.1.0"
