"""Colours beside libvips' own conversion to sRGB: photos of every kind, as a colour-managed viewer shows them."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from test_photo import cv_file, file, profile_of

from cropper import photo

pytestmark = pytest.mark.skipif(not shutil.which("vips"), reason="libvips' command is not installed")

# What the eye takes for the same, on average: CIE76.
MOST = 1.5
_SAMPLE = Path(__file__).parent.parent / "sample_images" / "hibiscus.png"
_LAB = ImageCms.createProfile("LAB")


def sample(mode: str = "RGB", size: tuple[int, int] = (241, 161)) -> Image.Image:
    """A colourful photo, with sides that are odd."""
    with Image.open(_SAMPLE) as opened:
        rgb = opened.convert("RGB").resize(size)
    if mode in ("RGBA", "LA"):
        rgb.putalpha(Image.linear_gradient("L").resize(size))
    return rgb.convert(mode)


def kinds() -> dict[str, tuple[str, bytes]]:
    """What it says of itself -> extension and bytes."""
    rgb = sample()
    deep = np.asarray(rgb)[:, :, ::-1].astype(np.uint16) * 256 + 77
    spaces = {
        f"{format}, {space}": (extension, file(rgb, format, icc_profile=profile_of(space), **options))
        for space in ("Display P3", "Adobe RGB", "ProPhoto")
        for format, extension, options in (("JPEG", ".jpg", {"quality": 95}), ("PNG", ".png", {}), ("TIFF", ".tif", {}))
    }
    return spaces | {
        "WebP, Display P3": (".webp", file(rgb, "WEBP", lossless=True, icc_profile=profile_of("Display P3"))),
        "AVIF, Display P3": (".avif", file(rgb, "AVIF", quality=95, icc_profile=profile_of("Display P3"))),
        "grey with a profile": (".png", file(sample("L"), "PNG", icc_profile=profile_of("ProPhoto", grey=True))),
        "JPEG": (".jpg", file(rgb, "JPEG", quality=95)),
        "JPEG, progressive": (".jpg", file(rgb, "JPEG", quality=95, progressive=True)),
        "JPEG, a second picture behind it": (
            ".jpg",
            file(rgb, "MPO", quality=95, save_all=True, append_images=[rgb.rotate(180)]),
        ),
        "JPEG, 4:1:1": (".jpg", file(rgb, "JPEG", quality=95, subsampling="4:1:1")),
        "JPEG, grey": (".jpg", file(sample("L"), "JPEG", quality=95)),
        "PNG, 16 bits": (".png", cv_file(".png", deep)),
        "PNG, grey with alpha": (".png", file(sample("LA"), "PNG")),
        "PNG, palette with transparency": (".png", file(rgb.quantize(64), "PNG", transparency=3)),
        "PNG, one bit": (".png", file(sample("1"), "PNG")),
        "WebP, lossless": (".webp", file(rgb, "WEBP", lossless=True)),
        "WebP, animated": (".webp", file(rgb, "WEBP", lossless=True, save_all=True, append_images=[rgb.rotate(180)])),
        "AVIF": (".avif", file(rgb, "AVIF", quality=95)),
        "GIF": (".gif", file(rgb.quantize(64), "GIF")),
        "TIFF": (".tif", file(rgb, "TIFF")),
    }


def by_vips(data: bytes, extension: str, folder: Path) -> Image.Image:
    """A photo in sRGB, as libvips makes it: through its profile where it has one."""
    photo_file, made = folder / f"photo{extension}", folder / "vips.png"
    photo_file.write_bytes(data)
    has_profile = photo.probe(data).icc_profile is not None
    if has_profile:
        command = ["icc_transform", photo_file, made, "srgb", "--embedded", "--intent", "relative"]
    else:
        command = ["colourspace", photo_file, made, "srgb"]
    ran = subprocess.run(["vips", *command], capture_output=True, text=True)
    if ran.returncode and "not a known file format" in ran.stderr:
        pytest.skip("this libvips does not read the format")
    assert ran.returncode == 0, ran.stderr
    with Image.open(made) as opened:
        opened.load()
        return on_white(opened)


def on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def in_lab(image: Image.Image) -> np.ndarray:
    """float [h, w, 3]: L 0..100, a and b, of sRGB."""
    lab = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), _LAB, outputMode="LAB")
    parts = np.asarray(lab)
    return np.dstack([parts[:, :, 0] / 2.55, parts[:, :, 1].astype(np.int8), parts[:, :, 2].astype(np.int8)]).astype(float)


def delta_e(one: Image.Image, other: Image.Image) -> float:
    """The mean CIE76 difference of two images in sRGB."""
    assert one.size == other.size
    return float(np.linalg.norm(in_lab(one) - in_lab(other), axis=2).mean())


KINDS = kinds()


@pytest.mark.parametrize("kind", KINDS)
def test_thumbnail_has_the_colours_libvips_sees(tmp_path, kind):
    extension, data = KINDS[kind]
    header = photo.probe(data)
    pixels = photo.decode(data, header, (header.width, header.height))
    ours = on_white(Image.open(io.BytesIO(photo.encode(pixels, header, "png", srgb=True))))
    assert delta_e(ours, by_vips(data, extension, tmp_path)) < MOST


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_inks_are_the_colours_libvips_sees(tmp_path, format):
    """By the profile of a real press, which libvips brings along."""
    sample().save(tmp_path / "rgb.png")
    command = ["vips", "icc_transform", tmp_path / "rgb.png", tmp_path / "cmyk.jpg", "cmyk", "--input-profile", "srgb"]
    subprocess.run(command, check=True, capture_output=True)
    with Image.open(tmp_path / "cmyk.jpg") as inks:
        assert inks.mode == "CMYK"
        data = file(inks, format, icc_profile=inks.info["icc_profile"], **({"quality": 95} if format == "JPEG" else {}))
    header = photo.probe(data)
    pixels = photo.decode(data, header, (header.width, header.height))
    ours = on_white(Image.open(io.BytesIO(photo.encode(pixels, header, "png"))))
    assert delta_e(ours, by_vips(data, ".jpg" if format == "JPEG" else ".tif", tmp_path)) < MOST


def test_profile_that_goes_along_means_the_same_colours(tmp_path):
    """What a colour-managed viewer makes of the thumbnail with its profile is what --srgb makes of it."""
    _, data = KINDS["PNG, Adobe RGB"]
    header = photo.probe(data)
    pixels = photo.decode(data, header, (header.width, header.height))
    kept = by_vips(photo.encode(pixels, header, "png"), ".png", tmp_path)
    converted = on_white(Image.open(io.BytesIO(photo.encode(pixels, header, "png", srgb=True))))
    assert delta_e(kept, converted) < 0.5
