"""Times `cropper batch` beside the floor and other croppers, on copies of a folder's photos.

    python tests/bench/compare.py PHOTOS [--photos 165] [--jobs 2] [--size 640x360] [--rounds 7] [--peers PYTHON]

All in turn, several rounds, whole commands with their start. The floor is a bare OpenCV loop: it decodes at the smallest scale
that fills the size, cuts the centre out, scales, encodes and writes, and looks at nothing. vipsthumbnail comes with Debian's
libvips-tools. sharp and smartcrop.js come from npm (`npm install --legacy-peer-deps sharp smartcrop smartcrop-sharp`, and
NODE_PATH=.../node_modules). peers.py says how to get the croppers in Python. What is not installed is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
import cv2
from peers import PROGRAMS

from cropper.cli.options.shapes import Size
from cropper.image_formats import PHOTO_EXTENSIONS

FLOOR = """
import io, os, sys
from concurrent.futures import ThreadPoolExecutor
import cv2, numpy as np
from PIL import Image

source, out = sys.argv[1:3]
width, height, jobs = map(int, sys.argv[3:])
cv2.setNumThreads(1)
flags = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2, 1: cv2.IMREAD_COLOR}

def centre(name):
    with open(os.path.join(source, name), "rb") as file:
        data = file.read()
    image = Image.open(io.BytesIO(data))
    fits = (r for r in (8, 4, 2) if min(image.width / width, image.height / height) >= r and image.format == "JPEG")
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags[next(fits, 1)])
    h, w = pixels.shape[:2]
    across, down = min(w, round(h * width / height)), min(h, round(w * height / width))
    x, y = (w - across) // 2, (h - down) // 2
    thumbnail = cv2.resize(pixels[y : y + down, x : x + across], (width, height), interpolation=cv2.INTER_AREA)
    ending = os.path.splitext(name)[1]
    quality = {
        "JPEG": [cv2.IMWRITE_JPEG_QUALITY, 85],
        "WEBP": [cv2.IMWRITE_WEBP_QUALITY, 80],
        "AVIF": [cv2.IMWRITE_AVIF_QUALITY, 65, cv2.IMWRITE_AVIF_SPEED, 8],
    }.get(image.format, [])
    cv2.imencode(ending, thumbnail, quality)[1].tofile(os.path.join(out, name))

with ThreadPoolExecutor(jobs) as workers:
    list(workers.map(centre, os.listdir(source)))
"""
SHARP = """
const sharp = require("sharp"), fs = require("fs"), path = require("path");
const [source, out, width, height, jobs] = process.argv.slice(1);
const names = fs.readdirSync(source);
sharp.concurrency(1);
async function work() {
  for (let name; (name = names.pop()); )
    await sharp(path.join(source, name)).rotate().resize(+width, +height, { fit: "cover", position: "attention" })
      .jpeg({ quality: 85 }).toFile(path.join(out, name + ".jpg"));
}
Promise.all(Array.from({ length: +jobs }, work));
"""
# smartcrop.js looks at photos in JavaScript, which a process runs on one core: so each job is a process and has its share.
SMARTCROP_JS = """
const sharp = require("sharp"), smartcrop = require("smartcrop-sharp"), fs = require("fs"), path = require("path");
const [source, out] = process.argv.slice(1), [width, height, share, jobs] = process.argv.slice(3).map(Number);
sharp.concurrency(1);
async function work() {
  for (const name of fs.readdirSync(source).filter((_, number) => number % jobs == share)) {
    const file = path.join(source, name), { topCrop } = await smartcrop.crop(file, { width, height });
    await sharp(file).extract({ left: topCrop.x, top: topCrop.y, width: topCrop.width, height: topCrop.height })
      .resize(width, height).jpeg({ quality: 85 }).toFile(path.join(out, name + ".jpg"));
  }
}
work();
"""


@dataclass(frozen=True)
class Run:
    """One run of one contender.

    Attributes:
        seconds: from its start to its end. Where others use the machine, they count too.
        core_seconds: of all its processes and threads together, on a processor. These hold on a busy machine as well.
        peak_bytes: the most memory that its largest process held.
    """

    seconds: float
    core_seconds: float
    peak_bytes: int


Contender = Callable[[Path, Path], Run]


def contenders(size: tuple[int, int], jobs: int, peers: str) -> dict[str, Contender]:
    """Who can run here, by name; each takes a folder of photos and one for its thumbnails. ``peers`` is an interpreter."""
    width, height = size
    label = f"{width}x{height}"

    def floor(source: Path, out: Path) -> Run:
        return run([sys.executable, "-c", FLOOR, source, out, width, height, jobs])

    def cropper(source: Path, out: Path) -> Run:
        return run([sys.executable, "-m", "cropper", "batch", source, out, "--size", label, "--jobs", jobs])

    def vipsthumbnail(source: Path, out: Path) -> Run:
        each = f"xargs -0 -P {jobs} -n 8 vipsthumbnail --size {label} --smartcrop attention -o {out}/%s.jpg[Q=85]"
        return run(["sh", "-c", f"find {source} -type f -print0 | {each}"])

    def sharp(source: Path, out: Path) -> Run:
        return run(["node", "-e", SHARP, source, out, width, height, jobs])

    def smartcrop_js(source: Path, out: Path) -> Run:
        each = f'node -e "$0" "$1" "$2" {width} {height} $share {jobs} &'
        shares = " ".join(map(str, range(jobs)))
        return run(["sh", "-c", f"for share in {shares}; do {each} done; wait", SMARTCROP_JS, source, out])

    found: dict[str, Contender] = {"floor": floor, "cropper": cropper}
    if shutil.which("vipsthumbnail"):
        found["vipsthumbnail"] = vipsthumbnail
    else:
        click.echo("vipsthumbnail is not installed: skipped", err=True)
    for name, package, contender in (("sharp", "sharp", sharp), ("smartcrop.js", "smartcrop-sharp", smartcrop_js)):
        required = ["node", "-e", f'require("{package}")']
        if shutil.which("node") and subprocess.run(required, capture_output=True).returncode == 0:
            found[name] = contender
        else:
            click.echo(f"{name} is not installed: skipped", err=True)
    for name, program in PROGRAMS.items():
        if subprocess.run([peers, "-c", f"import {name}"], capture_output=True).returncode:
            click.echo(f"{name} is not installed for {peers}: skipped", err=True)
        else:
            found[name] = partial(_by_program, peers, program, (width, height, jobs))
    return found


def _by_program(python: str, program: str, numbers: tuple[int, int, int], source: Path, out: Path) -> Run:
    return run([python, "-c", program, source, out, *numbers])


def run(command: list[object]) -> Run:
    """Run a command to its end."""
    start = time.perf_counter()
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"{command[0]} failed: {said.decode(errors='replace')[-500:]}")
    return Run(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def fill(folder: Path, originals: list[Path], count: int) -> None:
    """Copy the originals under new names, over and over, until there are so many."""
    for number, original in zip(range(count), cycle(originals), strict=False):
        shutil.copyfile(original, folder / f"{number:06}{original.suffix}")


def scaled_copies(originals: Sequence[Path], folder: Path, count: int, megapixels: float, quality: int = 95) -> None:
    """The photos at that size as JPEGs, and copies of them, as many as asked for, a thousand in a folder."""
    files = []
    for path in originals:
        picture = cv2.imread(str(path))
        assert picture is not None, path
        scale = (megapixels * 1e6 / (picture.shape[0] * picture.shape[1])) ** 0.5
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        scaled = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=way)
        files.append(cv2.imencode(".jpg", scaled, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())
    for number, data in zip(range(count), cycle(files), strict=False):
        path = folder / f"{number // 1000:04}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def photos_in(folder: Path) -> list[Path]:
    """The photos of a folder, in name order."""
    found = sorted(file for file in folder.iterdir() if file.suffix.lower() in PHOTO_EXTENSIONS)
    if not found:
        raise click.UsageError(f"{folder} holds no photos")
    return found


def timed(originals: list[Path], count: int, rounds: int, who: dict[str, Contender], what: str) -> dict[str, list[Run]]:
    """Time all contenders in turn on copies of the originals, and say what is timed: a run of each in each round."""
    runs: dict[str, list[Run]] = {name: [] for name in who}
    with TemporaryDirectory() as scratch:
        source = Path(scratch) / "photos"
        source.mkdir()
        fill(source, originals, count)
        bytes_ = sum(file.stat().st_size for file in source.iterdir())
        click.echo(f"{count} photos, {bytes_ / 1e6:.0f} MB, {what}, {rounds} rounds", err=True)
        for _ in range(rounds):
            for name, contender in who.items():
                out = Path(scratch) / name
                out.mkdir()
                runs[name].append(contender(source, out))
                made = sum(file.suffix in PHOTO_EXTENSIONS for file in out.rglob("*"))
                if made != count:
                    raise click.ClickException(f"{name} made {made} thumbnails of {count} photos")
                shutil.rmtree(out)
    return runs


def ratio(runs: list[Run], others: list[Run], of: str = "seconds") -> float:
    """How many times as long runs take as others: the median of the ratios, each taken within a round."""
    return median(getattr(run, of) / getattr(other, of) for run, other in zip(runs, others, strict=True))


@click.command()
@click.argument("folder", metavar="PHOTOS", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--photos", "count", default=165, show_default=True)
@click.option("--jobs", default=2, show_default=True)
@click.option("--size", type=Size(), default=(640, 360), metavar="WxH", help="[default: 640x360]")
@click.option("--rounds", default=7, show_default=True)
@click.option("--peers", default=sys.executable, metavar="PYTHON", help="The interpreter that has the croppers in Python.")
def main(folder: Path, count: int, jobs: int, size: tuple[int, int], rounds: int, peers: str) -> None:
    """Time `cropper batch` beside others on copies of the photos in PHOTOS."""
    runs = timed(photos_in(folder), count, rounds, contenders(size, jobs, peers), f"to {size[0]}x{size[1]} with {jobs} jobs")
    click.echo(f"{'':14} {'seconds':>8} {'photos/s':>9} {'of floor':>9} {'to cropper':>11} {'core s':>8} {'peak MB':>8}")
    for name, of_name in runs.items():
        seconds = median(r.seconds for r in of_name)
        to_floor, to_cropper = (ratio(of_name, runs[reference]) for reference in ("floor", "cropper"))
        peak = max(r.peak_bytes for r in of_name) / 1e6
        cores = median(r.core_seconds for r in of_name)
        click.echo(f"{name:14} {seconds:8.2f} {count / seconds:9.1f} {to_floor:9.2f} {to_cropper:11.2f} {cores:8.2f} {peak:8.0f}")


if __name__ == "__main__":
    main()
