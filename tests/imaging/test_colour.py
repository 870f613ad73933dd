"""Colours beside libvips' own conversion to sRGB: photos of every kind, as a colour-managed viewer shows them."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from colour import MOST, by_vips, delta_e, kinds, on_white
from PIL import Image

from cropper.image_formats import extensions_here
from cropper.imaging.decode import decode
from cropper.imaging.encode import encode
from cropper.imaging.header import probe

pytestmark = pytest.mark.skipif(not shutil.which("vips"), reason="libvips' command is not installed")


def test_thumbnails_have_the_colours_libvips_sees(tmp_path: Path) -> None:
    """Each kind of photo in sRGB; and with the profile kept, once for each profile and kind of pixels: both alone go into it."""
    differences: dict[str, float] = {}
    most: dict[str, float] = {}
    kept_before = set()
    for kind in kinds():
        if kind.extension not in extensions_here():
            continue
        header = probe(kind.data)
        pixels = decode(kind.data, header, (header.width, header.height))
        try:
            reference = by_vips(kind.data, kind.extension, tmp_path, kind.profile)
        except OSError:  # this libvips does not read the format
            continue
        converted = encode(pixels, header, "png", srgb=True)
        differences[kind.name] = delta_e(on_white(Image.open(io.BytesIO(converted))), reference)
        most[kind.name] = MOST
        goes_into_it = header.icc_profile, pixels.shape[2:], pixels.dtype
        if not header.icc_profile or goes_into_it in kept_before:
            continue
        kept_before.add(goes_into_it)
        for format in ("png", "webp"):  # where it can go along
            kept = encode(pixels, header, format, 100)
            name = f"{kind.name}, kept in {format}"
            differences[name] = delta_e(by_vips(kept, f".{format}", tmp_path), reference)
            most[name] = MOST if format == "png" else MOST + 1
    assert {name: difference for name, difference in differences.items() if difference >= most[name]} == {}
    assert len(differences) > 60
