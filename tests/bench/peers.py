"""Croppers written in Python, for compare.py: each cuts the photos of a folder as its own documentation says.

They are not installed with cropper, and some want other versions of its libraries. Put them into an environment of their own and
name its interpreter with `--peers PYTHON`:

    python -m venv peers && peers/bin/pip install smartcrop smart-crop-ai autocrop
"""

from __future__ import annotations

_START = """
import os, sys
from multiprocessing import Pool
import numpy as np
from PIL import Image, ImageOps

source, out = sys.argv[1:3]
width, height, jobs = map(int, sys.argv[3:])

def opened(name):
    return ImageOps.exif_transpose(Image.open(os.path.join(source, name)).convert("RGB"))

def save(image, name):
    image.save(os.path.join(out, name + ".jpg"), quality=85)
"""
_END = """
if __name__ == "__main__":
    with Pool(jobs) as workers:
        workers.map(cut, sorted(os.listdir(source)), chunksize=4)
"""
_SMARTCROP = """
from smartcrop import SmartCrop

def cut(name):
    image = opened(name)
    box = SmartCrop().crop(image, width, height)["top_crop"]
    corners = box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]
    save(image.resize((width, height), Image.Resampling.BOX, corners), name)
"""
_SMART_CROP_AI = """
import smart_crop_ai

def cut(name):
    save(smart_crop_ai.thumbnail(opened(name), (width, height)), name)
"""
# autocrop makes nothing of a photo without a face: then its users need a crop by other means, here the centre.
_AUTOCROP = """
from autocrop import Cropper

cropper = Cropper(width=width, height=height)

def cut(name):
    image = opened(name)
    face = cropper.crop(np.ascontiguousarray(np.asarray(image)[:, :, ::-1])).image
    save(ImageOps.fit(image, (width, height)) if face is None else Image.fromarray(face), name)
"""

# By the name of the package: a program that takes a folder of photos, one for the thumbnails, their width and height, and jobs.
PROGRAMS = {
    name: _START + program + _END
    for name, program in (("smartcrop", _SMARTCROP), ("smart_crop_ai", _SMART_CROP_AI), ("autocrop", _AUTOCROP))
}
