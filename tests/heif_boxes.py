"""Writes HEIFs of items: pictures of a codec, grids of them, EXIF and maps, in boxes of ISO/IEC 14496-12 and 23008-12.

The codec's bytes are taken from files that hold each picture alone, so no encoder is needed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

# What a reader must understand: how to decode a picture, and how to turn and cut it.
ESSENTIAL = (b"hvcC", b"av1C", b"irot", b"imir", b"clap")


@dataclass(frozen=True)
class Item:
    """An item of a file. Its properties are whole boxes, and what it refers to are pairs of a kind and items."""

    id: int
    type: bytes
    data: bytes
    properties: tuple[bytes, ...] = ()
    refers: tuple[tuple[bytes, tuple[int, ...]], ...] = ()
    is_hidden: bool = False
    in_idat: bool = False


def box(name: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + name + content


def full(name: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(name, struct.pack(">I", version << 24 | flags), *parts)


def ispe(width: int, height: int) -> bytes:
    return full(b"ispe", 0, 0, struct.pack(">II", width, height))


def pixi(*bits: int) -> bytes:
    return full(b"pixi", 0, 0, bytes([len(bits), *bits]))


def irot(quarters: int) -> bytes:
    """Turned so many quarters against the clock."""
    return box(b"irot", bytes([quarters]))


def imir(axis: int) -> bytes:
    """Mirrored: 0 exchanges top and bottom, 1 left and right."""
    return box(b"imir", bytes([axis]))


def nclx(primaries: int, transfer: int, matrix: int = 6) -> bytes:
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, matrix, 0x80))


def icc(profile: bytes) -> bytes:
    return box(b"colr", b"prof", profile)


def aux(kind: str) -> bytes:
    return full(b"auxC", 0, 0, kind.encode() + b"\0")


def grid(columns: int, rows: int, width: int, height: int, is_wide: bool = False) -> bytes:
    """The bytes of a grid: how many tiles, and the size of the canvas in pixels."""
    return struct.pack(">BBBBII" if is_wide else ">BBBBHH", 0, int(is_wide), rows - 1, columns - 1, width, height)


def exif(orientation: int) -> bytes:
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 274, 3, 1, orientation, 0, 0)
    return struct.pack(">I", 6) + b"Exif\0\0" + tiff


def heif(items: Sequence[Item], primary: int, brand: bytes = b"heic", compatible: Sequence[bytes] = (b"mif1", b"heic")) -> bytes:
    """A file of such items. Boxes of properties that are the same are stored once, as phones do."""
    shared = list(dict.fromkeys(one for item in items for one in item.properties))
    is_wide = any(item.id > 0xFFFF for item in items) or len(items) > 0xFFFF
    id = struct.Struct(">I" if is_wide else ">H")
    infe = b"".join(
        full(b"infe", 3 if is_wide else 2, int(item.is_hidden), id.pack(item.id), b"\0\0", item.type, b"\0") for item in items
    )
    iinf = full(b"iinf", int(is_wide), 0, id.pack(len(items)), infe)
    links = [(item, kind, to) for item in items for kind, to in item.refers]
    iref = full(
        b"iref",
        int(is_wide),
        0,
        *(box(kind, id.pack(item.id), struct.pack(">H", len(to)), *map(id.pack, to)) for item, kind, to in links),
    )
    has_properties = [item for item in items if item.properties]
    wide_numbers = len(shared) > 127
    of = [
        id.pack(item.id)
        + bytes([len(item.properties)])
        + b"".join(_link(shared.index(one) + 1, one[4:8] in ESSENTIAL, wide_numbers) for one in item.properties)
        for item in has_properties
    ]
    ipma = full(b"ipma", int(is_wide), int(wide_numbers), struct.pack(">I", len(of)), *of)
    iprp = box(b"iprp", box(b"ipco", *shared), ipma)
    idat = b"".join(item.data for item in items if item.in_idat)

    def meta(at: int) -> bytes:
        entries, in_idat = b"", 0
        for item in items:
            offset = in_idat if item.in_idat else at
            entries += id.pack(item.id) + struct.pack(">HHHII", int(item.in_idat), 0, 1, offset, len(item.data))
            in_idat, at = (in_idat + len(item.data), at) if item.in_idat else (in_idat, at + len(item.data))
        iloc = full(b"iloc", 2 if is_wide else 1, 0, b"\x44\0", id.pack(len(items)), entries)
        hdlr = full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13))
        pitm = full(b"pitm", int(is_wide), 0, id.pack(primary))
        return full(b"meta", 0, 0, hdlr, pitm, iinf, iref, iprp, box(b"idat", idat) if idat else b"", iloc)

    ftyp = box(b"ftyp", brand, bytes(4), *compatible)
    at = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(at) + box(b"mdat", *(item.data for item in items if not item.in_idat))


def _link(number: int, is_essential: bool, is_wide: bool) -> bytes:
    return struct.pack(">H" if is_wide else ">B", number | (is_essential << (15 if is_wide else 7)))


def film(frames: Sequence[Item], size: tuple[int, int], head: bytes = b"", at_once: bool = False, is_wide: bool = False) -> bytes:
    """A film of such pictures: alone, or behind a file that is given. Its frames have one length or one each."""
    config = next(one for one in frames[0].properties if one[4:8] == b"hvcC")
    head = head or box(b"ftyp", b"hevc", bytes(4), b"msf1", b"hevc")
    visual = bytes(6) + struct.pack(">H16xHHII4xH32xHh", 1, *size, 72 << 16, 72 << 16, 1, 24, -1)
    described = full(b"stsd", 0, 0, struct.pack(">I", 1), box(b"hvc1", visual, config))
    sizes = b"" if at_once else b"".join(struct.pack(">I", len(one.data)) for one in frames)
    stsz = full(b"stsz", 0, 0, struct.pack(">II", len(frames[0].data) if at_once else 0, len(frames)), sizes)

    def moov(at: int) -> bytes:
        places = b""
        for one in frames:
            places += struct.pack(">Q" if is_wide else ">I", at)
            at += len(one.data)
        table = box(
            b"stbl",
            described,
            full(b"stts", 0, 0, struct.pack(">III", 1, len(frames), 100)),
            full(b"stsc", 0, 0, struct.pack(">IIII", 1, 1, 1, 1)),
            stsz,
            full(b"co64" if is_wide else b"stco", 0, 0, struct.pack(">I", len(frames)), places),
        )
        hdlr = full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13))
        sound = box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", full(b"stsd", 0, 0, bytes(4))))))
        return box(b"moov", sound, box(b"trak", box(b"mdia", hdlr, box(b"minf", table))))

    return head + moov(len(head) + len(moov(0)) + 8) + box(b"mdat", *(one.data for one in frames))


def pictures(data: bytes, codec: bytes = b"hvc1") -> list[Item]:
    """The pictures of a codec in a file, with their bytes and their properties, in the order of the file."""
    meta = next(content for name, content in _inside(data) if name == b"meta")
    boxes = dict(_inside(meta[4:]))
    properties = [box(name, content) for name, content in _inside(dict(_inside(boxes[b"iprp"]))[b"ipco"])]
    links = _linked(dict(_inside(boxes[b"iprp"]))[b"ipma"])
    places = _places(boxes[b"iloc"])
    infe = [content for _, content in _inside(boxes[b"iinf"][6:])]
    ids = [struct.unpack(">H", one[4:6])[0] for one in infe if one[8:12] == codec]
    return [
        Item(
            id,
            codec,
            data[places[id][0] : sum(places[id])],
            tuple(properties[number - 1] for number in links[id]),
        )
        for id in ids
    ]


def only(item: Item, *names: bytes) -> Item:
    """An item with the properties of such names alone."""
    return replace(item, properties=tuple(one for one in item.properties if one[4:8] in names))


def _inside(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, data[at + 8 : at + length]
        at += length


def _linked(ipma: bytes) -> dict[int, list[int]]:
    links, at = {}, 8
    for _ in range(struct.unpack_from(">I", ipma, 4)[0]):
        id, count = struct.unpack_from(">HB", ipma, at)
        links[id] = [number & 0x7F for number in ipma[at + 3 : at + 3 + count]]
        at += 3 + count
    return links


def _places(iloc: bytes) -> dict[int, tuple[int, int]]:
    """The offset and length of each item of one extent, from an iloc of 4 bytes each, as libheif writes."""
    version, sizes = iloc[0], iloc[4:6]
    assert sizes[0] == 0x44
    assert not sizes[1] & 0x0F
    base = sizes[1] >> 4
    places, at = {}, 8
    for _ in range(struct.unpack_from(">H", iloc, 6)[0]):
        id = struct.unpack_from(">H", iloc, at)[0]
        at += 2 + (2 if version else 0) + 2
        start = int.from_bytes(iloc[at : at + base], "big")
        at += base
        (count,) = struct.unpack_from(">H", iloc, at)
        assert count == 1
        offset, length = struct.unpack_from(">II", iloc, at + 2)
        places[id] = start + offset, length
        at += 10
    return places
