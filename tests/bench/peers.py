"""Croppers written in Python, for compare.py: each cuts the photos of a folder as its own documentation says.

They are not installed with cropper, and some want other versions of its libraries. Put them into an environment of their own and
name its interpreter with `--peers PYTHON`:

    python -m venv peers && peers/bin/pip install smartcrop smart-crop-ai autocrop 'thumbor[opencv]'
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

# thumbor is a server; each job is one of its processes. They are asked for thumbnails as a page asks for them.
_THUMBOR = """
import socket, subprocess, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote
from urllib.request import urlopen

SETTINGS = f'''
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = {source!r}
STORAGE = "thumbor.storages.no_storage"
DETECTORS = ["thumbor.detectors.face_detector", "thumbor.detectors.feature_detector"]
QUALITY = 85
'''

def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]

def is_up(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0

def serve(names):
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(SETTINGS)
        file.flush()
        port = free_port()
        command = [sys.executable, "-m", "thumbor.server", "-i", "127.0.0.1", "-p", str(port), "-c", file.name]
        server = subprocess.Popen(command)
        try:
            until = time.monotonic() + 60
            while not is_up(port) and server.poll() is None and time.monotonic() < until:
                time.sleep(.05)
            for name in names:
                address = f"http://127.0.0.1:{port}/unsafe/{width}x{height}/smart/{quote(name)}"
                with urlopen(address, timeout=120) as answer, open(os.path.join(out, name + ".jpg"), "wb") as thumbnail:
                    thumbnail.write(answer.read())
        finally:
            server.kill()
            server.wait()

names = sorted(os.listdir(source))
with ThreadPoolExecutor(jobs) as workers:
    list(workers.map(serve, [names[share::jobs] for share in range(jobs)]))
"""

# By the name of the package: a program that takes a folder of photos, one for the thumbnails, their width and height, and jobs.
PROGRAMS = {
    name: _START + program + _END
    for name, program in (("smartcrop", _SMARTCROP), ("smart_crop_ai", _SMART_CROP_AI), ("autocrop", _AUTOCROP))
} | {"thumbor": _START + _THUMBOR}
