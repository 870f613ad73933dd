"""Mutated files of every format, decoded twice over fresh memory that holds other bytes: no pixel is of memory nobody wrote.

`tests/stress/hostile.py --decode COUNT` runs it. A child process decodes all files under one `MALLOC_PERTURB_` and prints a
digest of all that cropper makes of each: header, pixels at full size and at the smallest scale, what is salvaged, metadata,
colours. A second child does it under another one. Both mutate the same whole files, which the parent sends, from fixed seeds.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import resource
import signal
import struct
import subprocess
import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import hostile
import numpy as np
from packings import HEIGHT, PNG_SIGNATURE, WIDTH, Chunk, png_chunks, png_of, webp_of, webp_parts, whole
from PIL import Image

from cropper.imaging.colour import in_srgb
from cropper.imaging.decode import decode, decode_or_salvage
from cropper.imaging.header import probe
from cropper.imaging.metadata import kept_metadata
from cropper.settings import KEEP_ALL, MEGAPIXEL, Limits

# Within these, so that a header that lies costs neither time nor memory; the sample has .02 megapixels.
STRICT, LENIENT = Limits(2 * MEGAPIXEL), Limits(2 * MEGAPIXEL, salvage=True)
FAILED, DIED = "failed", "died"
# Seconds that the decoders may take for a file, and bytes that a child may need, before it ends itself.
PATIENCE, MEMORY = 60, 1 << 30
# Values that a size, a count or an offset of a forged header may have.
_ODD = (0, 1, 2, 3, 7, 8, 15, 16, 40, 80, 119, 121, 161, 255, 256, 320, 1000, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


@dataclass(frozen=True)
class Compared:
    """What two children made of the files: how many of each outcome, and what differs or died."""

    outcomes: Counter[str]
    complaints: tuple[str, ...]


# Mutations --------------------------------------------------------------------------------------------------------------------


def _truncated(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _flipped(data: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(data)
    among = min(hostile.HEAD, len(data)) if rng.random() < 0.5 else len(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        damaged[rng.randrange(among)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _overwritten(data: bytes, rng: random.Random) -> bytes:
    at, length = rng.randrange(len(data)), rng.choice((1, 4, 16, 200))
    return hostile.with_bytes(data, at, rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length))))[: len(data)]


def _lying(data: bytes, rng: random.Random) -> bytes:
    """A number of the header that may be a size, a count or an offset has another value; its check sum is right."""
    at = rng.randrange(4, min(hostile.HEAD, len(data) - 4))
    known = [struct.pack(form, side) for side in (*hostile.SIZE, WIDTH - 1, HEIGHT - 1) for form in ("<H", ">H")]
    places = [i for i in range(min(hostile.HEAD, len(data)) - 2) if data[i : i + 2] in known]
    if places and rng.random() < 0.7:
        at = rng.choice(places)
    form = rng.choice("<>") + rng.choice("HHI")
    value = rng.choice(_ODD) & (0xFFFF if form[1] == "H" else 0xFFFFFFFF)
    lied = hostile.with_bytes(data, at, struct.pack(form, value))
    return png_of(png_chunks(lied)) if data.startswith(PNG_SIGNATURE) else lied


def _with_pieces_moved(data: bytes, rng: random.Random) -> bytes:
    """A piece of the file is gone, doubled, or exchanged for another one: whole chunks where there are chunks."""
    if data.startswith(PNG_SIGNATURE):
        return png_of(_rearranged(png_chunks(data), rng))
    if data[8:12] == b"WEBP":
        return webp_of(_rearranged(webp_parts(data), rng))
    cuts = sorted(rng.randrange(len(data)) for _ in range(3))
    pieces = [data[: cuts[0]], data[cuts[0] : cuts[1]], data[cuts[1] : cuts[2]], data[cuts[2] :]]
    return pieces[0] + b"".join(rng.choice(((pieces[2],), (pieces[1], pieces[1], pieces[2]), (pieces[2], pieces[1])))) + pieces[3]


def _rearranged(chunks: list[Chunk], rng: random.Random) -> list[Chunk]:
    one, other = rng.randrange(len(chunks)), rng.randrange(len(chunks))
    how = rng.randrange(3)
    if how == 0:
        return chunks[:one] + chunks[one + 1 :]
    if how == 1:
        return [*chunks[:other], chunks[one], *chunks[other:]]
    chunks = list(chunks)
    chunks[one], chunks[other] = chunks[other], chunks[one]
    return chunks


def _damaged_within(data: bytes, rng: random.Random) -> bytes:
    """Damage behind all check sums: inside a chunk, or inside packed pixels that are packed again."""
    mutate = rng.choice((_truncated, _truncated, _flipped, _overwritten))
    is_png = data.startswith(PNG_SIGNATURE)
    if not is_png and data[8:12] != b"WEBP":
        return mutate(data, rng)
    chunks = png_chunks(data) if is_png else webp_parts(data)
    at = rng.choice([i for i, c in enumerate(chunks) if c.data] or [0])
    name, content = chunks[at]
    if name in (b"IDAT", b"fdAT") and rng.random() < 0.7:
        number, packed = (content[:4], content[4:]) if name == b"fdAT" else (b"", content)
        with suppress(zlib.error):
            content = number + zlib.compress(mutate(zlib.decompress(packed), rng), 1)
    elif content:
        content = mutate(content, rng)
    chunks[at] = Chunk(name, content)
    return png_of(chunks) if is_png else webp_of(chunks)


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _truncated,
    _flipped,
    _overwritten,
    _lying,
    _with_pieces_moved,
    _damaged_within,
)


def mutated(number: int, files: dict[str, bytes]) -> tuple[str, bytes]:
    """One of the mutated files: what it is, and its bytes, which the number and the whole files decide."""
    kind = list(files)[number % len(files)]
    rng = random.Random(f"{kind} {number}")
    data = files[kind]
    names = []
    for _ in range(rng.choice((1, 1, 1, 2))):
        mutate = MUTATIONS[rng.randrange(len(MUTATIONS))]
        names.append(mutate.__name__.strip("_"))
        with suppress(ValueError, IndexError, struct.error):  # the first mutation left too little for the second
            data = mutate(data, rng)
    return f"{kind}, {' and '.join(names)}", data


# A child ----------------------------------------------------------------------------------------------------------------------


def outcome(data: bytes) -> str:
    """A digest of all that cropper makes of a file; ``failed`` for each step that fails."""
    try:
        header = probe(data, STRICT)
    except Exception:  # which error it is may depend on what was never written
        return FAILED
    full, least = (header.width, header.height), (1, 1)
    steps: tuple[Callable[[], object], ...] = (
        lambda: decode(data, header, full),
        lambda: decode(data, header, least),
        lambda: decode_or_salvage(data, header, least, LENIENT)[0],
        lambda: kept_metadata(data, header.format, KEEP_ALL),
        lambda: in_srgb(np.full((2, 2, 3), 90, np.uint8), header.icc_profile or b""),
    )
    return " ".join([_digest(repr(header).encode()), *map(_taken, steps)])


def _taken(step: Callable[[], object]) -> str:
    try:
        made = step()
    except Exception:
        return FAILED
    return _digest(repr((made.shape, made.tobytes())).encode() if isinstance(made, np.ndarray) else repr(made).encode())


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def run_child(first: int, end: int, files: dict[str, bytes]) -> None:
    """Decode the mutated files of these numbers, and print the number and the outcome of each."""
    Image.MAX_IMAGE_PIXELS = None
    warnings.simplefilter("ignore")
    told = os.fdopen(os.dup(1), "w", buffering=1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    for number in range(first, end):
        _, data = mutated(number, files)
        print(number, end=" ", file=told, flush=True)
        signal.alarm(PATIENCE)
        made = outcome(data)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10 > MEMORY:
            os.kill(os.getpid(), signal.SIGKILL)  # as the system would where there is less of it
        print(made, file=told)
    signal.alarm(0)


# The comparison ---------------------------------------------------------------------------------------------------------------


def _outcomes(files: dict[str, bytes], count: int, fresh_memory: int) -> Iterator[str]:
    """What a child under one `MALLOC_PERTURB_` makes of each file; a child that dies is followed by another one."""
    environment = {**os.environ, "MALLOC_PERTURB_": str(fresh_memory)}
    first = 0
    while first < count:
        command = [sys.executable, __file__, str(first), str(count)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            with child.stdin as sent:
                # A profile that Little CMS makes holds the time and memory that nobody wrote, so that the children make none.
                pickle.dump(files, sent)
            for line in child.stdout:
                if line.endswith(b"\n"):
                    yield line.decode().split(maxsplit=1)[1]
                    first += 1
        if child.returncode > 0:
            raise RuntimeError(f"the child ended with {child.returncode} at file {first}")
        if child.returncode:
            yield f"{DIED} ({signal.Signals(-child.returncode).name})"
            first += 1


def compare(count: int, only: str = "", say: Callable[[str], None] = lambda complaint: None) -> Compared:
    """Decode so many mutated files twice, and compare.

    Args:
        count: of files, taken from all kinds in turn.
        only: of the kinds that have it in their name.
        say: gets each complaint at once.
    """
    files = {kind: data for kind, data in whole().items() if only in kind}
    found = Counter[str]()
    complaints = []
    first = list(_outcomes(files, count, hostile.FRESH_MEMORY[0]))
    for number, (before, after) in enumerate(zip(first, _outcomes(files, count, hostile.FRESH_MEMORY[1]), strict=True)):
        has_failed = FAILED in before.split()[:2]  # its header, or its decoding at full size
        found[DIED if before.startswith(DIED) else FAILED if has_failed else "ok"] += 1
        if before != after:
            complaint = f"memory that nobody wrote: {before.strip()}, then {after.strip()}"
        elif before.startswith(DIED):
            complaint = f"the decoder {before}"
        else:
            continue
        complaints.append(f"{number}, {mutated(number, files)[0]}: {complaint}")
        say(complaints[-1])
    return Compared(found, tuple(complaints))


if __name__ == "__main__":
    run_child(int(sys.argv[1]), int(sys.argv[2]), pickle.load(sys.stdin.buffer))
