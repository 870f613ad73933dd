"""Compares the colours of thumbnails with libvips' own conversion of the originals, over photos of every kind.

    python tests/bench/colour.py [--corpus DIR]

Makes the corpus from `sample_images` and runs `cropper batch` over it at the photos' own pixels: with colours converted
(`--srgb --format png`), with the profile kept (`--format png`), and in the photos' own formats (`--quality 100`), which lose a
little themselves. Prints the mean difference of each to what libvips' command makes of the original in sRGB, on white: CIE76
deltaE. A thumbnail with a profile is read back by libvips. Where libvips does not heed what a file says (colour tags of AVIF and
PNG), it is told the same as a profile. Exits with 1 if a kind is beyond 1.5 in one of the first two columns.
"""

from __future__ import annotations

import io
import math
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

SAMPLES = Path(__file__).parents[2] / "sample_images"
# What the eye takes for the same, on average.
MOST = 1.5
SIZE = (241, 161)
_GAIN_MAP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
    b' rdf:about="" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/></rdf:RDF></x:xmpmeta>'
)

# Columns of the matrix from linear RGB to XYZ, adapted to D50, and the gamma, or none for sRGB's curve:
# http://www.brucelindbloom.com, Display P3 by Apple.
SPACES: dict[str, tuple[tuple[tuple[float, float, float], ...], float | None]] = {
    "Display P3": (((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)), 2.2),
    "Display P3, its own curve": (((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)), None),
    "Adobe RGB": (((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)), 2.19921875),
    "ProPhoto": (((0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249)), 1.8),
    "sRGB, nearly": (((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7142)), 2.2),
    "sRGB, linear": (((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7142)), 1.0),
    "BT.2020": (((0.6734, 0.2790, -0.0019), (0.1656, 0.6754, 0.0300), (0.1251, 0.0456, 0.7970)), None),
}


def profile_of(space: str, grey: bool = False) -> bytes:
    """An ICC profile of a colour space: a matrix and a gamma, or the gamma alone for grey."""
    columns, gamma = SPACES[space]
    fixed = [[round(number * 65536) for number in column] for column in columns]
    if gamma is None:
        codes = np.linspace(0, 1, 1024)
        light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
        curve = b"curv" + struct.pack(">II", 0, 1024) + (light * 65535).round().astype(">u2").tobytes()
    else:
        curve = b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + struct.pack(">I3i", 0, 0xF6D6, 0x10000, 0xD32D)
    parts = [(b"wtpt", white)]
    if grey:
        parts.append((b"kTRC", curve))
    else:
        parts += [
            (name, b"XYZ " + struct.pack(">I3i", 0, *xyz)) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), fixed, strict=True)
        ]
        parts += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    table, body = struct.pack(">I", len(parts)), b""
    for name, data in parts:
        table += struct.pack(">4sII", name, 132 + 12 * len(parts) + len(body), len(data))
        body += data
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"test", 0x02400000, b"mntr", b"GRAY" if grey else b"RGB ", b"XYZ ") + bytes(12)
    head = (head + b"acsp").ljust(68, b"\0") + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + table + body


@dataclass(frozen=True)
class Kind:
    """A photo of one kind.

    Attributes:
        name: what it says of itself.
        extension: of its file's name.
        data: the file.
        profile: what libvips is to be told of its colours, where it does not see it.
    """

    name: str
    extension: str
    data: bytes
    profile: bytes | None = None


def sample(mode: str = "RGB", size: tuple[int, int] = SIZE, name: str = "hibiscus.png") -> Image.Image:
    """A colourful photo, with sides that are odd."""
    with Image.open(SAMPLES / name) as opened:
        rgb = opened.convert("RGB").resize(size)
    if mode in ("RGBA", "LA"):
        rgb.putalpha(Image.linear_gradient("L").resize(size))
    return rgb.convert(mode)


def file(picture: Image.Image, format: str, **options: object) -> bytes:
    """A picture as Pillow writes it."""
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def kinds() -> list[Kind]:
    """Every kind that can be made here."""
    rgb, grey = sample(), sample("L")
    deep = np.asarray(rgb).astype(np.uint16) * 256 + 77
    made = [Kind(f"{format}, {space}", extension, data) for format, extension, space, data in _of_spaces(rgb)]
    made += [
        Kind("JPEG", ".jpg", file(rgb, "JPEG", quality=95)),
        Kind("JPEG, progressive", ".jpg", file(rgb, "JPEG", quality=95, progressive=True)),
        Kind("JPEG, 4:1:1", ".jpg", _by_opencv(".jpg", np.asarray(rgb), [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x411111])),
        Kind("JPEG, 4:2:0", ".jpg", file(rgb, "JPEG", quality=95, subsampling="4:2:0")),
        Kind("JPEG, grey", ".jpg", file(grey, "JPEG", quality=95)),
        Kind("JPEG, grey with a profile", ".jpg", file(grey, "JPEG", quality=95, icc_profile=profile_of("ProPhoto", grey=True))),
        Kind("JPEG, gain map behind it", ".jpg", gain_mapped(rgb)),
        Kind("PNG, 16 bits", ".png", _by_opencv(".png", deep)),
        Kind("PNG, grey of 16 bits", ".png", _by_opencv(".png", deep[:, :, 0])),
        Kind("PNG, grey with alpha", ".png", file(sample("LA"), "PNG")),
        Kind("PNG, grey of 16 bits with alpha", ".png", _deep_grey_with_alpha(deep)),
        Kind("PNG, grey with a profile", ".png", file(grey, "PNG", icc_profile=profile_of("ProPhoto", grey=True))),
        Kind(
            "PNG, grey with alpha and profile", ".png", file(sample("LA"), "PNG", icc_profile=profile_of("ProPhoto", grey=True))
        ),
        Kind("PNG, alpha and Adobe RGB", ".png", file(sample("RGBA"), "PNG", icc_profile=profile_of("Adobe RGB"))),
        Kind("PNG, palette with transparency", ".png", file(rgb.quantize(64), "PNG", transparency=3)),
        Kind("PNG, palette, Adobe RGB", ".png", file(rgb.quantize(64), "PNG", icc_profile=profile_of("Adobe RGB"))),
        Kind("PNG, one bit", ".png", file(sample("1"), "PNG")),
        Kind("PNG, gAMA 1", ".png", with_chunks(rgb, gAMA=struct.pack(">I", 100_000)), profile_of("sRGB, linear")),
        Kind(
            "PNG, cHRM of P3",
            ".png",
            with_chunks(rgb, gAMA=struct.pack(">I", 45_455), cHRM=_P3),
            profile_of("Display P3"),
        ),
        Kind("PNG, cICP of P3", ".png", with_chunks(rgb, cICP=bytes([12, 13, 0, 1])), profile_of("Display P3, its own curve")),
        Kind("WebP, lossless", ".webp", file(rgb, "WEBP", lossless=True)),
        Kind("WebP, alpha", ".webp", file(sample("RGBA"), "WEBP", lossless=True)),
        Kind("WebP, animated", ".webp", file(rgb, "WEBP", lossless=True, save_all=True, append_images=[rgb.rotate(180)])),
        Kind("AVIF", ".avif", file(rgb, "AVIF", quality=95)),
        Kind("AVIF, nclx of P3", ".avif", tagged_avif(rgb, 12, 13), profile_of("Display P3, its own curve")),
        Kind("AVIF, nclx of BT.2020", ".avif", tagged_avif(rgb, 9, 14), profile_of("BT.2020")),
        Kind("GIF", ".gif", file(rgb.quantize(64), "GIF")),
        Kind("BMP", ".bmp", file(rgb, "BMP")),
        Kind("TIFF", ".tif", file(rgb, "TIFF")),
        Kind("TIFF, 16 bits", ".tif", _by_opencv(".tif", deep)),
        Kind("TIFF, JPEG inside", ".tif", file(rgb, "TIFF", compression="jpeg", quality=95)),
    ]
    return made + list(_of_inks()) + list(_by_commands(rgb))


def _of_spaces(rgb: Image.Image) -> Iterator[tuple[str, str, str, bytes]]:
    for space in ("Display P3", "Adobe RGB", "ProPhoto"):
        for format, extension, options in (
            ("JPEG", ".jpg", {"quality": 95}),
            ("PNG", ".png", {}),
            ("TIFF", ".tif", {}),
            ("WEBP", ".webp", {"lossless": True}),
            ("AVIF", ".avif", {"quality": 95}),
        ):
            yield format, extension, space, file(rgb, format, icc_profile=profile_of(space), **options)


def _of_inks() -> Iterator[Kind]:
    """Of a real press, whose profile libvips brings along; with it and without."""
    if not shutil.which("vips"):
        return
    with tempfile.TemporaryDirectory() as folder:
        source, made = f"{folder}/rgb.png", f"{folder}/cmyk.jpg"
        sample().save(source)
        _vips("icc_transform", source, f"{made}[Q=98]", "cmyk", "--input-profile", "srgb")
        with Image.open(made) as inks:
            inks.load()
    profile = inks.info.pop("icc_profile")
    inks.info.clear()
    for words, options in (("with a profile", {"icc_profile": profile}), ("without a profile", {})):
        yield Kind(f"JPEG, CMYK {words}", ".jpg", file(inks, "JPEG", quality=95, **options))
        yield Kind(f"JPEG, YCCK {words}", ".jpg", ycck(inks, **options))
        yield Kind(f"TIFF, CMYK {words}", ".tif", file(inks, "TIFF", **options))


_BY_VIPS = (
    ("AVIF of libheif, with EXIF", "rgb.png", ".avif", ""),
    ("HEIC", "rgb.png", ".heic", ",compression=hevc"),
    ("HEIC, 10 bits", "rgb.png", ".heic", ",compression=hevc,bitdepth=10"),
    ("HEIC, Display P3", "p3.png", ".heic", ",compression=hevc"),
    ("JPEG XL", "rgb.png", ".jxl", ""),
    ("JPEG XL, Display P3", "p3.png", ".jxl", ""),
)


def _by_commands(rgb: Image.Image) -> Iterator[Kind]:
    """What only other encoders write, where they are installed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rgb.save(folder / "rgb.png")
        rgb.save(folder / "rgb.ppm")
        command: list[str | Path]
        if shutil.which("cjpeg"):
            command = ["cjpeg", "-quality", "95", "-arithmetic", "-outfile", folder / "a.jpg", folder / "rgb.ppm"]
            if not subprocess.run(command, capture_output=True).returncode:
                yield Kind("JPEG, arithmetic coding", ".jpg", (folder / "a.jpg").read_bytes())
        if shutil.which("vips"):
            (folder / "p3.png").write_bytes(file(rgb, "PNG", icc_profile=profile_of("Display P3")))
            for kind, source, extension, options in _BY_VIPS:
                with suppress(OSError):  # one without that format
                    _vips("copy", folder / source, f"{folder}/a{extension}[Q=95{options}]")
                    yield Kind(kind, extension, (folder / f"a{extension}").read_bytes())
        if shutil.which("avifenc"):
            for depth in ("10", "12"):
                command = ["avifenc", "--min", "0", "--max", "4", "-d", depth, folder / "rgb.png", folder / "a.avif"]
                if not subprocess.run(command, capture_output=True).returncode:
                    yield Kind(f"AVIF, {depth} bits", ".avif", (folder / "a.avif").read_bytes())


def gain_mapped(rgb: Image.Image) -> bytes:
    """A photo with a gain map for HDR as its second picture, and XMP that says so."""
    return file(rgb, "MPO", quality=95, save_all=True, xmp=_GAIN_MAP, append_images=[rgb.convert("L").rotate(180)])


def ycck(inks: Image.Image, **options: object) -> bytes:
    """A CMYK JPEG whose inks are stored as luminance and chrominance, as Photoshop does.

    The stored samples are the inks' opposites, and so is what YCCK decodes to: so luminance and chrominance are of the inks.
    """
    cyan, magenta, yellow, black = inks.split()
    stored = Image.merge("RGB", (cyan, magenta, yellow)).convert("YCbCr").split()
    data = bytearray(
        file(Image.merge("CMYK", [*(channel.point(lambda v: 255 - v) for channel in stored), black]), "JPEG", quality=95)
    )
    adobe = data.index(b"Adobe")
    assert data[adobe + 11] == 0
    data[adobe + 11] = 2
    with_profile = file(inks.resize((8, 8)), "JPEG", **options)
    return bytes(data[:2]) + _markers(with_profile, b"\xff\xe2") + bytes(data[2:])


def _markers(jpeg: bytes, kind: bytes) -> bytes:
    """All of a JPEG's markers of one kind before its pixels."""
    at, found = 2, b""
    while jpeg[at : at + 2] != b"\xff\xda":
        length = 2 + struct.unpack_from(">H", jpeg, at + 2)[0]
        if jpeg[at : at + 2] == kind:
            found += jpeg[at : at + length]
        at += length
    return found


_P3 = struct.pack(">8I", 31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)


def with_chunks(rgb: Image.Image, **chunks: bytes) -> bytes:
    """A PNG with chunks of these names after its header."""
    png = file(rgb, "PNG")
    added = b""
    for name, body in chunks.items():
        named = name.encode() + body
        added += struct.pack(">I", len(body)) + named + struct.pack(">I", zlib.crc32(named))
    return png[:33] + added + png[33:]


def tagged_avif(rgb: Image.Image, primaries: int, transfer: int, **options: object) -> bytes:
    """An AVIF that says by numbers which colours it is of."""
    data = bytearray(file(rgb, "AVIF", quality=95, **options))
    struct.pack_into(">HH", data, data.index(b"colrnclx") + 8, primaries, transfer)
    return bytes(data)


def _by_opencv(extension: str, rgb: np.ndarray, options: Sequence[int] = ()) -> bytes:
    done, data = cv2.imencode(extension, rgb[:, :, ::-1] if rgb.ndim == 3 else rgb, options)
    assert done
    return data.tobytes()


def _deep_grey_with_alpha(deep: np.ndarray) -> bytes:
    """A PNG of 16 bits, grey with alpha, which neither Pillow nor OpenCV writes."""
    height, width = deep.shape[:2]
    alpha = np.broadcast_to(np.linspace(0, 65535, width), (height, width))
    rows = np.dstack([deep[:, :, 1], alpha]).astype(">u2").reshape(height, -1).view(np.uint8)
    unfiltered = np.hstack([np.zeros((height, 1), np.uint8), rows]).tobytes()
    png = b"\x89PNG\r\n\x1a\n"
    head = struct.pack(">IIBBBBB", width, height, 16, 4, 0, 0, 0)
    for named in (b"IHDR" + head, b"IDAT" + zlib.compress(unfiltered), b"IEND"):
        png += struct.pack(">I", len(named) - 4) + named + struct.pack(">I", zlib.crc32(named))
    return png


def by_vips(data: bytes, extension: str, folder: Path, profile: bytes | None = None) -> Image.Image:
    """A photo in sRGB on white, as libvips makes it: by the profile given, else by its own where it has one.

    Raises:
        OSError: if libvips does not read the format.
    """
    photo_file, made, profile_file = folder / f"photo{extension}", folder / "vips.png", folder / "given.icc"
    photo_file.write_bytes(data)
    try:
        with Image.open(photo_file) as opened:
            has_profile = bool(opened.info.get("icc_profile"))
    except UnidentifiedImageError:  # libvips' command takes longer to start. It names the field on stderr where there is none
        has_profile = "not found" not in _asked("vipsheader", "-f", "icc-profile-data", photo_file)
    if profile is not None:
        profile_file.write_bytes(profile)
        _vips("icc_transform", photo_file, made, "srgb", "--input-profile", profile_file, "--intent", "relative")
    elif has_profile:
        _vips("icc_transform", photo_file, made, "srgb", "--embedded", "--intent", "relative")
    else:
        _vips("colourspace", photo_file, made, "srgb")
    with Image.open(made) as opened:
        opened.load()
        return on_white(opened)


def _asked(*command: object) -> str:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True).stderr


def _vips(*arguments: object) -> None:
    ran = subprocess.run(["vips", *map(str, arguments)], capture_output=True, text=True)
    if ran.returncode:
        raise OSError(ran.stderr.strip())


def on_white(image: Image.Image) -> Image.Image:
    """An image of any mode laid onto white, RGB."""
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def in_lab(image: Image.Image) -> np.ndarray:
    """float [h, w, 3]: L 0..100, a and b, relative to D65, of sRGB."""
    codes = np.asarray(image.convert("RGB")) / 255
    light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    matrix = np.array([(0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041)])
    relative = light @ (matrix / matrix.sum(1, keepdims=True)).T
    root = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(root, 2, 0)
    return np.dstack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def delta_e(one: Image.Image, other: Image.Image) -> float:
    """The mean CIE76 difference of two images in sRGB."""
    assert one.size == other.size
    return float(np.linalg.norm(in_lab(one) - in_lab(other), axis=2).mean())


@click.command()
@click.option("--corpus", type=click.Path(file_okay=False, path_type=Path), help="Where to put the photos, and leave them.")
def main(corpus: Path | None) -> None:
    """Compare the colours of thumbnails with libvips' own conversion, over photos of every kind."""
    if not shutil.which("vips"):
        raise click.ClickException("the reference is libvips' command: apt install libvips-tools")
    beyond = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = corpus or folder / "photos"
        photos.mkdir(parents=True, exist_ok=True)
        made = kinds()
        for number, kind in enumerate(made):
            (photos / f"{number:03}{kind.extension}").write_bytes(kind.data)
        aspect = "{}:{}".format(*SIZE)
        runs = {
            "--srgb": ("--srgb", "--format", "png"),
            "kept": ("--format", "png"),
            "own format": ("--quality", "100"),
        }
        for out, options in runs.items():
            command = [sys.executable, "-m", "cropper", "batch", str(photos), str(folder / out), "--aspect", aspect, *options]
            subprocess.run(command)  # photos that fail are said, and missed below
        click.echo(f"{'kind':34}" + "".join(f"{out:>12}" for out in runs))
        for number, kind in enumerate(made):
            try:
                reference = by_vips(kind.data, kind.extension, folder, kind.profile)
            except OSError:
                click.echo(f"{kind.name:34}  not read by this libvips")
                continue
            differences = []
            for out in runs:
                path = next((folder / out).glob(f"{number:03}.*"), None)
                differences.append(delta_e(by_vips(path.read_bytes(), path.suffix, folder), reference) if path else math.inf)
            is_beyond = max(differences[:2]) >= MOST
            beyond += is_beyond
            click.echo(f"{kind.name:34}" + "".join(f"{d:12.2f}" for d in differences) + ("  beyond" if is_beyond else ""))
    click.echo(f"{len(made)} kinds, {beyond} beyond {MOST}")
    sys.exit(1 if beyond else 0)


if __name__ == "__main__":
    main()
