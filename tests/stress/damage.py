"""How many JPEGs that were damaged within are found: bits flipped, bytes replaced, a block of a disk that came back empty.

    python tests/stress/damage.py sample_images/*.jpg

Damage counts as visible where it changes more than one pixel in two hundred by more than a tenth of what a pixel can be. Photos
are damaged in the part that holds their pixels, at places the seed decides.
"""

from __future__ import annotations

import io
import random
from collections import Counter
from pathlib import Path

import click
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from cropper import PhotoError
from cropper.imaging.decode import decode
from cropper.imaging.header import probe

CODINGS: dict[str, dict[str, bool | int]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "with restarts": {"restart_marker_rows": 1},
}
DAMAGES = ("a bit", "16 bytes", "512 zeros")
SIDE = 900
SCANS_BEGIN = b"\xff\xda"
BLOCK = 512
VISIBLE_CHANGE, VISIBLE_SHARE = 24, 0.005


def encoded(path: Path, options: dict[str, bool | int]) -> bytes:
    """The photo, not larger than SIDE, written anew with a coding's options."""
    picture = Image.open(path).convert("RGB")
    picture.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=85, **options)
    return stream.getvalue()


def damaged(jpeg: bytes, damage: str, rng: random.Random) -> bytes:
    """The file with one damage somewhere behind its header."""
    bytes_ = bytearray(jpeg)
    place = rng.randrange(jpeg.index(SCANS_BEGIN) + 20, len(jpeg) - BLOCK - 2)
    if damage == "a bit":
        bytes_[place] ^= 1 << rng.randrange(8)
    elif damage == "16 bytes":
        bytes_[place : place + 16] = rng.randbytes(16)
    else:
        bytes_[place : place + BLOCK] = bytes(BLOCK)
    return bytes(bytes_)


def is_found(jpeg: bytes) -> bool:
    """Whether cropper refuses it, decoded as for a thumbnail."""
    try:
        header = probe(jpeg)
        decode(jpeg, header, (header.width // 4, header.height // 4))
    except PhotoError:
        return True
    return False


def is_visible(jpeg: bytes, original: NDArray[np.uint8]) -> bool:
    """Whether what a lenient decoder makes of it differs to the eye, or it makes nothing of it."""
    try:
        pixels = simplejpeg.decode_jpeg(jpeg, "BGR", strict=False)
    except ValueError:
        return True
    change = np.abs(pixels.astype(int) - original).mean(axis=2)
    return bool((change > VISIBLE_CHANGE).mean() > VISIBLE_SHARE)


@click.command()
@click.argument("photos", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--times", default=12, show_default=True, help="Of each damage, a photo.")
@click.option("--seed", default=0, show_default=True)
def main(photos: tuple[Path, ...], times: int, seed: int) -> None:
    """Damage PHOTOS and count what is found."""
    rng = random.Random(seed)
    counts: Counter[tuple[str, str, bool, bool]] = Counter()
    for coding, options in CODINGS.items():
        for path in photos:
            jpeg = encoded(path, options)
            original = simplejpeg.decode_jpeg(jpeg, "BGR")
            for damage in DAMAGES:
                for _ in range(times):
                    file = damaged(jpeg, damage, rng)
                    counts[coding, damage, is_visible(file, original), is_found(file)] += 1
    click.echo(f"{'coding':14} {'damage':10} {'visible: found':>16} {'not visible: found':>20}")
    for coding in CODINGS:
        for damage in DAMAGES:
            found = [(counts[coding, damage, seen, True], counts[coding, damage, seen, False]) for seen in (True, False)]
            visible, invisible = (f"{yes} of {yes + no}" for yes, no in found)
            click.echo(f"{coding:14} {damage:10} {visible:>16} {invisible:>20}")


if __name__ == "__main__":
    main()
