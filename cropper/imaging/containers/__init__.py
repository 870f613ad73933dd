"""Take image files apart where no decoder does it right: chunks of PNG, tags of TIFF, masks of BMP, blocks of GIF and JPEG.

Bytes in, and bytes or pixels out. Imports ``errors``.
"""
