"""Makes a corpus of hostile and broken files, runs `cropper batch` over it, and says what became of them.

    python tests/stress/hostile.py [--truncations 40] [--flips 2000] [--jobs 2] [--corpus DIR]
    python tests/stress/hostile.py --decode 20000 [--only animated]

Every kind of file is truncated at so many points and has bits flipped so many times; beside them stand wrong extensions, headers
that lie about the size, decompression bombs, directories without an end, polyglots, odd names, and what is no file at all. Each
group is a folder and a run of its own, so that a decoder that dies, hangs or hoards is known by its group. Each group runs twice,
and fresh memory holds other bytes in the second run: a thumbnail that differs shows memory that nobody wrote. All is made from
`sample_images` with fixed seeds. Exits with 1 if a run died, a photo has no row or no reason why it failed, or a thumbnail
differs.

With `--decode COUNT` it makes so many files of more kinds and with more kinds of damage, behind right check sums as well, and
decodes them in two processes alone (`unwritten.py`): a thousand take ten seconds. A decoder that dies is a complaint there.
"""

from __future__ import annotations

import csv
import io
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from cropper.image_formats import FORMATS, extensions_here, is_written_here
from cropper.imaging import extra
from cropper.imaging.extra import jxl
from cropper.imaging.metadata import Metadata
from cropper.imaging.opencv import cv2
from cropper.storage.walk import walk

SAMPLE = Path(__file__).parents[2] / "sample_images" / "cat.jpg"
SIZE = (160, 120)
# Half of the flips are among the first bytes, where the structure is.
HEAD = 600
SAMPLES_OF_EXTRA = Path(extra.__file__).parent / "samples"
# What glibc fills fresh memory with in the first run of a group and in the second: a decoder that leaves pixels out shows it.
FRESH_MEMORY = (85, 170)
# The command itself, with its supervisor and a clock on the stages that touch a photo's bytes.
CLOCKED = """
import os, sys, time

times = sys.argv.pop(1)

def clocked(stage):
    def run(*arguments, **named):
        start = time.perf_counter()
        result = stage(*arguments, **named)
        job = getattr(arguments[0], "job", arguments[0])
        with open(times, "ab") as file:
            file.write(b"%f %s\\n" % (time.perf_counter() - start, repr(job.path).encode("ascii", "backslashreplace")))
        return result
    return run

def clock():
    from cropper.engine import pipeline, tasks
    pipeline.decode_photo = clocked(pipeline.decode_photo)
    pipeline.finish_photo = tasks.finish_photo = clocked(tasks.finish_photo)

if sys.platform == "linux":  # a supervisor has no pipeline, but its child
    os.register_at_fork(after_in_child=clock)
else:
    clock()
from cropper.cli import main
main()
"""

Files = Iterator[tuple[str | bytes, bytes]]  # name and content


@dataclass(frozen=True)
class Result:
    """What became of a group: how many of each status, the run's exit code, and what was wrong with it."""

    rows: Counter[str]
    passed_over: int
    code: int
    seconds: float
    longest: float
    longest_path: str
    peak_bytes: int
    complaints: tuple[str, ...]


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    """An image as a file."""
    stream = io.BytesIO()
    image.save(stream, format, **({"speed": 10} if format == "AVIF" else {}), **options)
    return stream.getvalue()


@cache
def kinds() -> dict[str, tuple[str, bytes]]:
    """A small photo in every format that is read, and every way of packing: name -> extension and bytes."""
    rgb = Image.open(SAMPLE).convert("RGB").resize(SIZE)
    rgba = rgb.copy()
    rgba.putalpha(Image.linear_gradient("L").resize(SIZE))
    deep = np.asarray(rgb).astype(np.uint16) * 257
    palette = rgb.quantize(64)
    turned = rgb.rotate(180)
    exif = Image.Exif()
    exif[274] = 6
    tagged = {"exif": exif, "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}
    several = {"save_all": True, "append_images": [turned]}
    return {
        "jpeg": (".jpg", saved(rgb, "JPEG")),
        "jpeg, tagged": (".jpg", saved(rgb, "JPEG", **tagged)),
        "jpeg, progressive": (".jpg", saved(rgb, "JPEG", progressive=True)),
        "jpeg, cmyk": (".jpg", saved(rgb.convert("CMYK"), "JPEG")),
        "jpeg, grey": (".jpg", saved(rgb.convert("L"), "JPEG")),
        "mpo": (".jpg", saved(rgb, "MPO", **several)),
        "png": (".png", saved(rgb, "PNG")),
        "png, tagged": (".png", saved(rgb, "PNG", **tagged)),
        "png, alpha": (".png", saved(rgba, "PNG")),
        "png, palette": (".png", saved(palette, "PNG", transparency=3)),
        "png, 16 bits": (".png", cv2.imencode(".png", deep)[1].tobytes()),
        "png, animated": (".png", saved(rgb, "PNG", **several)),
        "webp": (".webp", saved(rgb, "WEBP")),
        "webp, tagged": (".webp", saved(rgb, "WEBP", **tagged)),
        "webp, lossless": (".webp", saved(rgb, "WEBP", lossless=True)),
        "webp, alpha": (".webp", saved(rgba, "WEBP")),
        "webp, animated": (".webp", saved(rgba, "WEBP", **several)),
        "avif": (".avif", saved(rgb, "AVIF")),
        "avif, tagged": (".avif", saved(rgb, "AVIF", **tagged)),
        "avif, alpha": (".avif", saved(rgba, "AVIF")),
        "avif, animated": (".avif", saved(rgb, "AVIF", **several)),
        "tiff": (".tif", saved(rgb, "TIFF")),
        "tiff, lzw": (".tif", saved(rgb, "TIFF", compression="tiff_lzw")),
        "tiff, deflate": (".tif", saved(rgb, "TIFF", compression="tiff_adobe_deflate")),
        "tiff, jpeg": (".tif", saved(rgb, "TIFF", compression="jpeg")),
        "tiff, packbits": (".tif", saved(rgb, "TIFF", compression="packbits")),
        "tiff, fax": (".tif", saved(rgb.convert("1"), "TIFF", compression="group4")),
        "tiff, alpha": (".tif", saved(rgba, "TIFF", compression="tiff_lzw")),
        "tiff, 16 bits": (".tif", cv2.imencode(".tiff", deep)[1].tobytes()),
        "tiff, cmyk": (".tif", saved(rgb.convert("CMYK"), "TIFF")),
        "bmp": (".bmp", saved(rgb, "BMP")),
        "bmp, palette": (".bmp", saved(palette, "BMP")),
        "gif": (".gif", saved(palette, "GIF")),
        "gif, transparent": (".gif", saved(palette, "GIF", transparency=3)),
        "gif, animated": (".gif", saved(palette, "GIF", save_all=True, append_images=[turned.quantize(32)])),
        **extra_kinds(np.asarray(rgba)),
    }


def extra_kinds(rgba: NDArray[np.uint8]) -> dict[str, tuple[str, bytes]]:
    """As ``kinds``: what no library here writes, and JPEG XL, as far as this installation reads them."""
    found = {}
    for one in FORMATS:
        sample = SAMPLES_OF_EXTRA / f"picture{one.extensions[0]}"
        if one.is_here and sample.exists():
            found[one.title.lower()] = (one.extensions[0], sample.read_bytes())
    if is_written_here("jxl"):
        bgra = np.ascontiguousarray(rgba[:, :, [2, 1, 0, 3]])
        for name, pixels, quality in (("jxl", bgra[:, :, :3].copy(), 80), ("jxl, alpha", bgra, 100)):
            found[name] = (".jxl", jxl.encode(pixels, Metadata(), quality) or b"")
    return found


def truncated(kind: str, count: int) -> Files:
    """A kind of file, cut off at so many points."""
    extension, data = kinds()[kind]
    for number in range(count):
        yield f"{number:05}{extension}", data[: len(data) * number // count]


def flipped(kind: str, count: int) -> Files:
    """A kind of file so many times, each with 1 to 8 bits of it flipped."""
    extension, data = kinds()[kind]
    for number in range(count):
        rng = random.Random(f"{kind} {number}")
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 8) if number % 3 == 0 else 1):
            damaged[rng.randrange(min(HEAD, len(data)) if number % 2 else len(data))] ^= 1 << rng.randrange(8)
        yield f"{number:05}{extension}", bytes(damaged)


def mislabelled() -> Files:
    """Right content under wrong names, wrong content under right ones."""
    for kind, (_, data) in kinds().items():
        for extension in (".jpg", ".png", ".webp", ".avif", ".tif", ".bmp", ".gif"):
            yield f"{kind}{extension}", data
    junk = {
        "empty": b"",
        "zeros": bytes(10_000),
        "ones": b"\xff" * 10_000,
        "text": b"Dear diary,\n" * 100,
        "noise": random.Random(0).randbytes(10_000),
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="1e9" height="1e9"/>',
        "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(1000),
        "zip": b"PK\x03\x04" + bytes(100),
        "program": b"\x7fELF" + bytes(1000),
        "image tragick": b"push graphic-context\nviewbox 0 0 640 480\nfill 'url(https://127.0.0.1/x.png\"|ls \"-la)'\n",
    }
    for name, data in junk.items():
        for extension in (".jpg", ".png", ".webp", ".avif", ".tif", ".bmp", ".gif"):
            yield f"{name}{extension}", data


def chunk(name: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, depth: int, colour: int, packed: bytes) -> bytes:
    """A PNG of packed pixels, as many as they are."""
    ihdr = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """So many zero bytes, packed as well as they can be."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(count >> 20)]
    return b"".join([*parts, packer.compress(bytes(count & ((1 << 20) - 1))), packer.flush()])


def lying() -> Files:
    """Headers that say another size than the pixels have, smaller ones too."""
    of = {kind: data for kind, (_, data) in kinds().items()}
    for width, height in ((65535, 65535), (20000, 20000), (6000, 6000), (65535, 1), (1, 65535), (161, 121), (80, 60), (0, 0)):
        size = f"{width}x{height}"
        for kind in ("png", "png, alpha", "png, 16 bits", "png, animated"):
            data = of[kind]
            ihdr = struct.pack(">II", width, height) + data[24:29]
            yield f"{kind} {size}.png", data[:8] + chunk(b"IHDR", ihdr) + data[33:]
        for kind in ("jpeg", "jpeg, progressive", "jpeg, cmyk"):
            frame = of[kind].index(b"\xff\xc2" if "prog" in kind else b"\xff\xc0")
            yield f"{kind} {size}.jpg", with_bytes(of[kind], frame + 5, struct.pack(">HH", height, width))
        for kind in ("gif", "gif, transparent"):
            canvas = with_bytes(of[kind], 6, struct.pack("<HH", width, height))
            yield f"{kind}, canvas {size}.gif", canvas
            frame = canvas.index(b"\x2c\0\0\0\0" + struct.pack("<HH", *SIZE))
            yield f"{kind} {size}.gif", with_bytes(canvas, frame + 5, struct.pack("<HH", width, height))
        for kind in ("bmp", "bmp, palette"):
            yield f"{kind} {size}.bmp", with_bytes(of[kind], 18, struct.pack("<ii", width, height))
        canvas = struct.pack("<I", max(width - 1, 0))[:3] + struct.pack("<I", max(height - 1, 0))[:3]
        yield f"webp, canvas {size}.webp", with_bytes(of["webp, animated"], 24, canvas)
        at = of["avif"].index(b"ispe") + 8
        yield f"avif {size}.avif", with_bytes(of["avif"], at, struct.pack(">II", width, height))
        for kind in ("tiff", "tiff, lzw", "tiff, jpeg", "tiff, fax"):
            yield f"{kind} {size}.tif", retagged(of[kind], {256: width, 257: height, 278: height})


def with_bytes(data: bytes, at: int, new: bytes) -> bytes:
    """Data with other bytes in a place."""
    return data[:at] + new + data[at + len(new) :]


def retagged(tiff: bytes, values: dict[int, int]) -> bytes:
    """A little-endian TIFF with other values in its directory, in the form they have there."""
    data = bytearray(tiff)
    (directory,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, form = struct.unpack_from("<HH", data, entry)
        if tag in values and form in (3, 4):
            struct.pack_into("<H" if form == 3 else "<I", data, entry + 8, values[tag])
    return bytes(data)


def bombs() -> Files:
    """Few bytes that unpack to many, whole and valid, beyond the limit and just within it."""
    yield "400 megapixels.png", png(20000, 20000, 8, 0, zeros(20000 * 20001))
    yield "400 megapixels of colour.png", png(20000, 20000, 8, 2, zeros(20000 * 60001))
    yield "65535 x 65535.png", png(65535, 65535, 1, 0, zeros(65535 * (8192 + 1)))
    yield "149 megapixels.png", png(12200, 12200, 8, 0, zeros(12200 * 12201))
    yield "149 megapixels of one bit.png", png(12200, 12200, 1, 0, zeros(12200 * (1525 + 1)))
    yield "149 megapixels with alpha.png", png(12200, 12200, 8, 6, zeros(12200 * (12200 * 4 + 1)))
    yield "149 megapixels of 16 bits.png", png(12200, 12200, 16, 2, zeros(12200 * (12200 * 6 + 1)))
    large = Image.new("1", (12200, 12200))
    yield "149 megapixels.tif", saved(large, "TIFF", compression="group4")
    yield "149 megapixels.gif", saved(Image.new("P", (12200, 12200)), "GIF")
    yield "149 megapixels.jpg", saved(Image.new("L", (12200, 12200)), "JPEG")
    yield "149 megapixels, progressive.jpg", saved(Image.new("RGB", (12200, 12200)), "JPEG", progressive=True)
    # Deflated text that a reader of headers would unpack: 64 MB of it.
    text = chunk(b"zTXt", b"Comment\0\0" + zeros(64 << 20))
    small = kinds()["png"][1]
    yield "text.png", small[:33] + text + small[33:]
    yield "profile.png", small[:33] + chunk(b"iCCP", b"icc\0\0" + zeros(64 << 20)) + small[33:]


def directories() -> Files:
    """TIFFs whose directories have no end, and animations of very many frames."""
    tiff = kinds()["tiff"][1]
    (first,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, first)
    following = first + 2 + 12 * count
    directory = tiff[first:following]

    def linked(data: bytes, to: int) -> bytes:
        return data[:following] + struct.pack("<I", to) + data[following + 4 :]

    yield "to itself.tif", linked(tiff, first)
    chain = bytearray(linked(tiff, len(tiff)))
    for _ in range(20_000):
        chain += directory + struct.pack("<I", len(chain) + len(directory) + 4)
    yield "20000 directories.tif", bytes(chain)
    yield "65535 entries.tif", tiff[:first] + struct.pack("<H", 65535) + directory[2:] * 7000
    entry = struct.pack("<HHII", 330, 4, 1, first)  # a directory below it: itself
    yield (
        "below itself.tif",
        tiff[:4]
        + struct.pack("<I", len(tiff))
        + tiff[8:]
        + struct.pack("<H", count + 1)
        + (directory[2:] + entry + struct.pack("<I", 0)),
    )
    wide = struct.pack("<HHII", 273, 4, 0xFFFFFFF, 8)  # strips: 268 million
    yield "268 million strips.tif", tiff[:first] + struct.pack("<H", 1) + wide + bytes(4)
    frames = [Image.new("P", (16, 16), n % 256) for n in range(10_000)]
    yield "10000 frames.gif", saved(frames[0], "GIF", save_all=True, append_images=frames[1:], optimize=False)
    colours = [Image.new("RGB", (16, 16), (n % 256, 0, n // 256)) for n in range(1000)]
    yield "1000 frames.png", saved(colours[0], "PNG", save_all=True, append_images=colours[1:])
    yield "1000 frames.webp", saved(colours[0], "WEBP", save_all=True, append_images=colours[1:], method=0)
    jpeg = kinds()["jpeg"][1]
    comments = b"".join(b"\xff\xfe\xff\xff" + bytes(65533) for _ in range(200))
    yield "200 comments.jpg", jpeg[:2] + comments + jpeg[2:]
    scan = kinds()["jpeg, progressive"][1]
    at = scan.index(b"\xff\xda")
    yield "2000 scans.jpg", scan[:-2] + scan[scan.rindex(b"\xff\xda") : -2] * 2000 + scan[-2:]
    yield "no scans.jpg", scan[:at] + b"\xff\xd9"


def polyglots() -> Files:
    """What is a photo and something else as well, or two photos at once."""
    of = {kind: data for kind, (_, data) in kinds().items()}
    script = b"=1;/*" + b"alert(1)" + b"*/"
    yield "zip.jpg", of["jpeg"] + b"PK\x05\x06" + bytes(18)
    yield "php.jpg", of["jpeg"][:2] + b"\xff\xfe\0\x1f<?php system($_GET[0]); ?>    " + of["jpeg"][2:]
    yield "script.gif", b"GIF89a" + script + of["gif"][6:]
    yield "script.bmp", of["bmp"][:2] + b"/*  " + of["bmp"][6:] + b"*/=1;alert(1)"
    yield "pdf first.jpg", b"%PDF-1.7\n" + of["jpeg"]
    for one in ("jpeg", "png", "gif", "webp", "avif", "tiff", "bmp"):
        for other in ("jpeg", "png", "gif", "webp", "avif", "tiff", "bmp"):
            yield f"{one} then {other}.{one}", of[one] + of[other]


def odd_names() -> Files:
    """Names that break scripts."""
    data = kinds()["jpeg"][1]
    for stem in (
        *(b"new\nline", b"carriage\rreturn", b"tab\t", b"quote'", b'quotes"', b"comma,semicolon;", b"-leading", b"--help", b"-"),
        *(
            b"caf\xe9",
            b"\xff\xfe\xfd",
            b"\x1b[31mred\x1b[0m",
            b"\x07bell",
            b" space ",
            b"back\\slash",
            b"%s%n",
            b"$(id)",
            b"`id`",
        ),
        *(
            "\u202egnp".encode(),
            "\U0001f408".encode(),
            "e\u0301".encode(),
            "\u00e9".encode(),
            b"con",
            b"nul.",
            b"a" * 251,
            b"=1+1",
        ),
    ):
        yield stem + b".jpg", data


def strange(folder: Path) -> None:
    """What is no file, or lies elsewhere: none of it is a photo, nothing of it may be waited for."""
    (folder / "photo.jpg").write_bytes(kinds()["jpeg"][1])
    os.mkfifo(folder / "pipe.jpg")
    here = os.getcwd()
    os.chdir(folder)  # a socket's path has room for about 100 bytes
    with suppress(OSError), socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket.jpg")
    os.chdir(here)
    for name, device in (("null.jpg", (1, 3)), ("zero.jpg", (1, 5)), ("random.jpg", (1, 9))):
        with suppress(PermissionError):
            os.mknod(folder / name, 0o020644, os.makedev(*device))
    (folder / "folder.jpg").mkdir()
    (folder / "to zero.jpg").symlink_to("/dev/zero")
    (folder / "to the pipe.jpg").symlink_to("pipe.jpg")
    (folder / "out.jpg").symlink_to(SAMPLE)
    (folder / "passwords.jpg").symlink_to("/etc/passwd")
    (folder / "circle.jpg").symlink_to("circle.jpg")
    (folder / "one.jpg").symlink_to("other.jpg")
    (folder / "other.jpg").symlink_to("one.jpg")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "up").symlink_to("..")
    (folder / "self").symlink_to(".")
    (folder / "root").symlink_to("/")
    (folder / "alias.jpg").symlink_to("photo.jpg")


def groups(truncations: int, flips: int, with_large: bool = True) -> dict[str, Callable[[], Files]]:
    """What is tried, by name; the files of each are made when they are asked for."""
    found: dict[str, Callable[[], Files]] = {}
    for kind in kinds():
        found[f"truncated: {kind}"] = partial(truncated, kind, truncations)
    for kind in kinds():
        found[f"bits flipped: {kind}"] = partial(flipped, kind, flips)
    found |= {"mislabelled": mislabelled, "polyglots": polyglots, "odd names": odd_names}
    if with_large:
        found |= {"lying": lying, "bombs": bombs, "directories": directories}
    return found


def fill(folder: Path, files: Files) -> None:
    """Write files into a folder; names the file system does not take are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files:
        with suppress(OSError), open(os.path.join(os.fsencode(folder), os.fsencode(name)), "wb") as file:
            file.write(data)


def run(source: Path, out: Path, jobs: int, patience: float, *options: str, fresh_memory: int = 0) -> Result:
    """Run `cropper batch` over a group.

    Args:
        source: its folder.
        out: a folder that is not there yet.
        jobs: worker threads.
        patience: seconds after which the run counts as hanging, and is killed.
        options: more of the command's.
        fresh_memory: the byte that fresh memory is filled with; 0 for whatever is there.
    """
    environment = {**os.environ, "MALLOC_PERTURB_": str(fresh_memory)} if fresh_memory else None
    times = out.with_name(out.name + ".times")
    command: list[str | Path] = [
        sys.executable,
        "-c",
        CLOCKED,
        times,
        "batch",
        source,
        out,
        "--size",
        "64x36",
        "--jobs",
        str(jobs),
        *options,
    ]
    complaints: list[str] = []
    start = time.monotonic()
    with open(times.with_suffix(".stderr"), "wb+") as said:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment) as process:
            alarm = Timer(patience, os.kill, (process.pid, signal.SIGKILL))
            alarm.start()
            _, status, usage = os.wait4(process.pid, 0)
            alarm.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        words = said.read().decode(errors="replace")
    seconds = time.monotonic() - start
    if process.returncode not in (0, 1):
        how = "was killed: it hangs" if seconds >= patience else f"ended with {process.returncode}"
        complaints.append(f"the run {how}; {words[-300:]}")
    if "the run died" in words:
        complaints.append(words[words.index("the run died") :][:300])
    if "Traceback" in words:
        complaints.append(f"a traceback: {words[words.index('Traceback') :][:600]}")
    photos = Counter(f"{f.path}/{name}" if f.path else name for f in walk(source, extensions_here()) for name in f.photos)
    rows: Counter[str] = Counter()
    ledger = out / "boxes.csv"
    with suppress(FileNotFoundError), ledger.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        for row in csv.DictReader(file):
            rows[row["status"]] += 1
            photos[row["path"]] -= 1
            if row["status"] != "ok" and not row["message"]:
                complaints.append(f"{row['path']!a}: {row['status']} without a reason")
            if row["message"].startswith(("unexpected", "the decoder died", "it took longer")):
                complaints.append(f"{row['path']!a}: {row['message']}")
    complaints += [f"{path!a}: {1 - left} rows" for path, left in photos.items() if left]
    longest, longest_path = 0.0, ""
    if times.exists():
        for line in times.read_text().splitlines():
            took, _, path = line.partition(" ")
            longest, longest_path = max((longest, longest_path), (float(took), path))
    passed_over = sum(f.others for f in walk(source, extensions_here()))
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Result(rows, passed_over, process.returncode, seconds, longest, longest_path, peak, tuple(complaints))


def differing(one: Path, other: Path) -> tuple[str, ...]:
    """What two runs over one group made differently: complaints, none where all rows and thumbnails are alike."""
    tables = []
    for out in (one, other):
        with (out / "boxes.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            tables.append({row["path"]: row for row in csv.DictReader(file)})
    complaints = []
    for path, row in tables[0].items():
        again = tables[1].get(path, {})
        if row["status"] != again.get("status"):
            complaints.append(f"{path!a}: {row['status']}, then {again.get('status')}")
        elif row["status"] == "ok" and (one / row["output"]).read_bytes() != (other / row["output"]).read_bytes():
            complaints.append(f"{path!a}: the thumbnail shows memory that nobody wrote")
    return tuple(complaints)


@click.command()
@click.option("--truncations", default=40, show_default=True)
@click.option("--flips", default=2000, show_default=True)
@click.option("--jobs", default=2, show_default=True)
@click.option("--patience", default=600.0, show_default=True, help="Seconds after which a run counts as hanging.")
@click.option("--only", default="", metavar="TEXT", help="Only the groups that have it in their name.")
@click.option("--corpus", type=click.Path(file_okay=False, path_type=Path), help="Keep the files here.  [default: not kept]")
@click.option("--salvage", is_flag=True, help="With --salvage.")
@click.option("--decode", "decoded", type=click.IntRange(1), help="Only decode so many mutated files, without the command.")
def main(
    truncations: int, flips: int, jobs: int, patience: float, only: str, corpus: Path | None, salvage: bool, decoded: int | None
) -> None:
    """Make hostile and broken files, run `cropper batch` over them, and say what became of them."""
    if decoded:
        from unwritten import compare  # which makes its files from those of this module

        compared = compare(decoded, only, click.echo)
        click.echo(", ".join(f"{count} {outcome}" for outcome, count in sorted(compared.outcomes.items())))
        click.echo("all are alike in both runs" if not compared.complaints else f"{len(compared.complaints)} complaints")
        sys.exit(1 if compared.complaints else 0)
    complaints = 0
    with TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large images that are made here
        root = corpus or Path(scratch) / "corpus"
        found: dict[str, Callable[[], Files] | None] = {**groups(truncations, flips), "strange": None}
        click.echo(
            f"{'':28} {'ok':>5} {'failed':>6} {'other':>5} {'code':>4} {'seconds':>7} {'longest':>7} {'peak MB':>7}  slowest"
        )
        for number, (name, files) in enumerate(found.items()):
            if only not in name:
                continue
            folder = root / f"{number:03}"
            folder.mkdir(parents=True)
            if files is None:
                strange(folder)
            else:
                fill(folder, files())
            options = ["--salvage"] if salvage else []
            outs = [Path(scratch) / f"out-{number}-{byte}" for byte in FRESH_MEMORY]
            result, _ = (
                run(folder, out, jobs, patience, *options, fresh_memory=byte)
                for out, byte in zip(outs, FRESH_MEMORY, strict=True)
            )
            rows = result.rows
            found_wrong = (*result.complaints, *differing(*outs))
            click.echo(
                f"{name:28} {rows['ok']:5} {rows['failed']:6} {result.passed_over:5} {result.code:4} {result.seconds:7.1f} "
                f"{result.longest:7.2f} {result.peak_bytes / 1e6:7.0f}  {result.longest_path}"
            )
            for complaint in found_wrong[:10]:
                click.echo(f"    {complaint}")
            complaints += len(found_wrong)
    click.echo(
        "all rows are there and alike in both runs, each failure has its reason" if not complaints else f"{complaints} complaints"
    )
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
