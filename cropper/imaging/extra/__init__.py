"""Photos that Pillow and OpenCV do not read by themselves: HEIC, JPEG XL and RAW with the extra ``formats``; and PSD.

A library of the extra is imported where the first photo needs it, never at the start.
"""
