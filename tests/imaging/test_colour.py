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

KINDS = {kind.name: kind for kind in kinds()} if shutil.which("vips") else {}  # they take a second to make


@pytest.mark.parametrize("name", KINDS)
def test_thumbnail_has_the_colours_libvips_sees(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    if kind.extension not in extensions_here():
        pytest.skip("needs the extra formats")
    header = probe(kind.data)
    pixels = decode(kind.data, header, (header.width, header.height))
    try:
        reference = by_vips(kind.data, kind.extension, tmp_path, kind.profile)
    except OSError:
        pytest.skip("this libvips does not read the format")
    converted = encode(pixels, header, "png", srgb=True)
    assert delta_e(on_white(Image.open(io.BytesIO(converted))), reference) < MOST
    for format in ("png", "webp") if header.icc_profile else ():  # with the profile, where it can go along
        kept = encode(pixels, header, format, 100)
        assert delta_e(by_vips(kept, f".{format}", tmp_path), reference) < (MOST if format == "png" else MOST + 1)
