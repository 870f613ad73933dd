"""The first frame of a HEIC that is a film alone, ``.heics``, as a file of one picture.

libheif opens a file by its main picture, and a film need not have one. Its first frame always stands on its own.
"""

from __future__ import annotations

import struct

from cropper.imaging.colour_tags import boxes_of

# The parts of a sample's description that say how to decode and show it, and where they begin in the description.
_DESCRIBING, _DESCRIBED_AT = (b"hvcC", b"colr", b"pixi"), 78
_MOST_TRACKS = 100


def still(data: bytes) -> bytes:
    """Return a HEIC of the first frame of a film without a main picture; every other file is returned as it is."""
    boxes = {name: (start, end) for name, start, end in boxes_of(data)}
    start, end = boxes.get(b"meta", (0, 0))
    if b"moov" not in boxes or any(name == b"pitm" for name, _, _ in boxes_of(data, start + 4, end)):
        return data
    tracks = [(start, end) for name, start, end in boxes_of(data, *boxes[b"moov"]) if name == b"trak"]
    for track in tracks[:_MOST_TRACKS]:
        try:
            return _first_frame(data, *track)
        except (struct.error, IndexError, KeyError):  # a track of sound or of another codec, or a truncated or forged one
            continue
    return data


def _first_frame(data: bytes, start: int, end: int) -> bytes:
    for name in (b"mdia", b"minf", b"stbl"):
        start, end = {found: (begins, ends) for found, begins, ends in boxes_of(data, start, end)}[name]
    table = {name: begins for name, begins, _ in boxes_of(data, start, end)}
    length = struct.unpack_from(">I", data, table[b"stsz"] + 4)[0] or struct.unpack_from(">I", data, table[b"stsz"] + 12)[0]
    form, places = (">I", table[b"stco"]) if b"stco" in table else (">Q", table[b"co64"])
    at = struct.unpack_from(form, data, places + 8)[0]
    size, kind = struct.unpack_from(">I4s", data, table[b"stsd"] + 8)
    described = table[b"stsd"] + 16
    width, height = struct.unpack_from(">HH", data, described + 24)
    parts = [
        data[begins - 8 : ends]
        for name, begins, ends in boxes_of(data, described + _DESCRIBED_AT, described - 8 + size)
        if name in _DESCRIBING
    ]
    if kind not in (b"hvc1", b"hev1") or not any(part[4:8] == b"hvcC" for part in parts) or at + length > len(data):
        raise KeyError(kind)
    return _file_of(data[at : at + length], parts, width, height)


def _file_of(frame: bytes, parts: list[bytes], width: int, height: int) -> bytes:
    """Return a HEIC of one picture (ISO/IEC 23008-12, 6.2)."""
    properties = [_box(b"ispe", struct.pack(">III", 0, width, height)), *parts]
    links = bytes(0x80 * (part[4:8] == b"hvcC") + number for number, part in enumerate(properties, 1))
    iprp = _box(b"ipco", *properties) + _box(b"ipma", struct.pack(">IIHB", 0, 1, 1, len(links)), links)
    infe = _box(b"infe", struct.pack(">IHH4sx", 2 << 24, 1, 0, b"hvc1"))
    ftyp = _box(b"ftyp", b"heic\0\0\0\0mif1heic")

    def meta(at: int) -> bytes:
        return _box(
            b"meta",
            bytes(4),
            _box(b"hdlr", bytes(8), b"pict", bytes(13)),
            _box(b"pitm", struct.pack(">IH", 0, 1)),
            _box(b"iloc", struct.pack(">IHHHHHII", 0, 0x4400, 1, 1, 0, 1, at, len(frame))),
            _box(b"iinf", struct.pack(">IH", 0, 1), infe),
            _box(b"iprp", iprp),
        )

    return ftyp + meta(len(ftyp) + len(meta(0)) + 8) + _box(b"mdat", frame)


def _box(name: bytes, *content: bytes) -> bytes:
    inside = b"".join(content)
    return struct.pack(">I", 8 + len(inside)) + name + inside
