"""The items of a HEIF: which pictures the primary one is made of, how many pixels these have, and whether their bytes are there.

A phone's photo is a grid of tiles, each an item. libheif leaves the place of a tile that it cannot decode empty and reports no
error, and decodes every tile of a grid, even those outside the canvas.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cropper.imaging.colour_tags import boxes_of

# The most entries of a box to look at, and the depth of pictures that are made of pictures. libheif refuses files with more.
_MOST = 10_000
_DEEPEST = 16
# The kinds of items whose bytes are coded pixels, in units that each have a length before them: HEVC and AVC. Each has a property
# that configures its decoder, with the number of bytes of a unit's length, less 1, in two bits of one byte.
_CONFIGURED_BY = {b"hvc1": (b"hvcC", 21), b"avc1": (b"avcC", 4)}
# The types of units of HEVC (ITU-T H.265, 7.4.2.2) that hold pixels, and the one that no picture is decoded without.
_PIXELS, _SEQUENCE = range(32), 33
# A unit holds none of these (ITU-T H.265, 7.4.2; H.264, 7.4.1). The zeros of a hole in a file are not data of a codec.
_NEVER_INSIDE = (b"\0\0\0", b"\0\0\1", b"\0\0\2")
# Zeros that careless encoders leave behind a unit.
_MOST_TRAILING = 16
# The pixels that all pictures may have together: so many times those of the whole, and so many more. Tiles overhang the canvas.
_OVERHANG, _SPARE = 4, 16_000_000
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")


@dataclass(frozen=True)
class Items:
    """The items of a file, by their numbers.

    Attributes:
        data: the whole file.
        primary: the number of the main picture.
        types: the type of each item: ``hvc1``, ``grid``, ``Exif``, ...
        entries: where the description of each item begins.
        extents: where the bytes of each item lie: the start and the length of each part. An item elsewhere than in this file, or
            in another item, has no entry.
        properties: the properties of each item: their names, and the start and end of their content.
        parts: the items that an item is made of: the tiles of a grid.
        alphas: the items that hold the transparency of an item.
    """

    data: bytes
    primary: int
    types: dict[int, bytes]
    entries: dict[int, int]
    extents: dict[int, list[tuple[int, int]]]
    properties: dict[int, list[tuple[bytes, int, int]]]
    parts: dict[int, tuple[int, ...]]
    alphas: dict[int, list[int]]


def items_of(data: bytes) -> Items | None:
    """Read the items of a file; None if it has none, or they are damaged."""
    try:
        return _items_of(data)
    except (struct.error, IndexError, KeyError):  # a truncated or forged file
        return None


def is_bomb(items: Items) -> bool:
    """Tell whether the main picture is made of far more pixels than it has."""
    counted: dict[int, int] = {}

    def pixels(item: int, depth: int) -> int:
        if item not in counted:
            parts = items.parts.get(item)
            if parts and depth < _DEEPEST:
                counted[item] = 0  # a circle, which libheif refuses
                counted[item] = sum(pixels(part, depth + 1) for part in parts)
            else:
                counted[item] = _size(items, item)
        return counted[item]

    return pixels(items.primary, 0) > _OVERHANG * _size(items, items.primary) + _SPARE


def end_of(items: Items) -> int:
    """Return how long the file must be to hold the bytes of all its items."""
    return max((start + length for extents in items.extents.values() for start, length in extents), default=0)


def lost(items: Items) -> tuple[int, int]:
    """Count the coded pictures of the main one whose bytes are missing or damaged, and all of them."""
    coded = _coded_in_units(items)
    return sum(not _is_whole(items, item) for item in coded), len(coded)


def without_lost(items: Items) -> bytes:
    """Return a file with zeros in the place of pictures that are damaged, which decode to false colours, if others are left."""
    coded, data = _coded_in_units(items), bytearray(items.data)
    for item in coded if len(coded) > 1 else ():
        for start, length in items.extents.get(item, ()) if not _is_whole(items, item) else ():
            end = min(start + length, len(data))
            data[start:end] = bytes(max(0, end - start))
    return bytes(data)


def each_alone(items: Items) -> tuple[bytes, int]:
    """Return a file that shows, beside the main picture, those that it is made of, each on its own, and how many these are."""
    alphas = {alpha for some in items.alphas.values() for alpha in some}  # never shown on their own
    shown, data = {*_coded(items)} - alphas - {items.primary}, bytearray(items.data)
    for item, at in items.entries.items():
        data[at + 3] = data[at + 3] & ~1 | (item not in shown and item != items.primary)  # a flag hides it
    return bytes(data), len(shown)


def _coded_in_units(items: Items) -> list[int]:
    """Return the pictures of the main one whose bytes can be looked at. One that is no item is damaged.

    The tiles of a grid are of one kind (ISO/IEC 23000-22, 7.3.11.4.1), so that one of another kind is damaged, too.
    """
    beside = {
        part
        for item, parts in items.parts.items()
        if items.types.get(item) == b"grid" and any(items.types.get(one) in _CONFIGURED_BY for one in parts)
        for part in parts
    }
    return [item for item in _coded(items) if item in beside or items.types.get(item, b"hvc1") in _CONFIGURED_BY]


def _coded(items: Items) -> Iterator[int]:
    """Yield the pictures that the main one and its transparency are made of, each once."""
    open_, seen = [items.primary], set()
    while open_:
        item = open_.pop()
        if item in seen:
            continue
        seen.add(item)
        parts = items.parts.get(item, ())
        if not parts:
            yield item
        open_ += *parts, *items.alphas.get(item, ())


def _size(items: Items, item: int) -> int:
    """Return the pixels of an item before it is turned or cut; 0 if it does not say."""
    for name, start, _ in items.properties.get(item, ()):
        if name == b"ispe":
            width, height = struct.unpack_from(">II", items.data, start + 4)
            return int(width) * int(height)
    return 0


def _is_whole(items: Items, item: int) -> bool:
    """Tell whether the bytes of a coded picture are all in the file, and can be those of its codec."""
    codec = items.types.get(item, b"")
    named, place = _CONFIGURED_BY.get(codec, (b"", 0))
    properties = items.properties.get(item, ())
    at = next((start + place for name, start, end in properties if name == named and start + place + 1 < end), None)
    if at is None:
        return False  # libheif decodes no picture without a configuration
    extents = items.extents.get(item)
    if extents is None:
        return True
    if any(start + length > len(items.data) for start, length in extents):
        return False
    prefix = (items.data[at] & 3) + 1
    if len(extents) == 1:
        units = _units(items.data, extents[0][0], sum(extents[0]), prefix)
    else:
        joined = b"".join(items.data[start : start + length] for start, length in extents)
        units = _units(joined, 0, len(joined), prefix)
    if codec == b"avc1" or not units:
        return bool(units)
    types = {first >> 1 & 63 for first in units}
    # The byte behind that of the length counts the units in the configuration, which some files have among those of the pixels.
    return any(one in _PIXELS for one in types) and (items.data[at + 1] > 0 or _SEQUENCE in types)


def _units(data: bytes, start: int, end: int, prefix: int) -> set[int]:
    """Return the first bytes of the units of a codec in a range; nothing if it holds anything else."""
    at, found = start, set()
    while at < end:
        length = int.from_bytes(data[at : at + prefix], "big")
        at += prefix
        if at + length > end:
            return set()
        if length:
            found.add(data[at])
            last = at + length
            while last > max(at, at + length - _MOST_TRAILING) and not data[last - 1]:
                last -= 1
            if any(data.find(one, at, last) >= 0 for one in _NEVER_INSIDE):
                return set()
        at += length
    return found


def _items_of(data: bytes) -> Items | None:
    meta = next(((start + 4, end) for name, start, end in boxes_of(data) if name == b"meta"), None)
    if meta is None:
        return None
    boxes = {name: (start, end) for name, start, end in boxes_of(data, *meta)}
    at = boxes[b"pitm"][0]
    primary = struct.unpack_from(">I" if data[at] else ">H", data, at + 4)[0]
    idat = boxes.get(b"idat", (len(data), 0))[0]
    described = list(_described(data, *boxes[b"iinf"]))
    properties = _properties(data, boxes[b"iprp"])
    refers = list(_references(data, *boxes[b"iref"])) if b"iref" in boxes else []
    alphas: dict[int, list[int]] = {}
    for kind, item, to in refers:
        if kind == b"auxl" and any(n == b"auxC" and data.startswith(_ALPHA, s + 4) for n, s, _ in properties.get(item, ())):
            for one in to:
                alphas.setdefault(one, []).append(item)
    return Items(
        data=data,
        primary=primary,
        types={item: type for item, type, _ in described},
        entries={item: at for item, _, at in described},
        extents=_extents(data, boxes[b"iloc"][0], idat),
        properties=properties,
        parts={item: to for kind, item, to in refers if kind == b"dimg"},
        alphas=alphas,
    )


def _described(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield the number of each item, its type, and where its description begins."""
    for name, at, _ in boxes_of(data, start + (8 if data[start] else 6), end):
        if name == b"infe" and data[at] >= 2:
            item, _, type = struct.unpack_from(">HH4s" if data[at] == 2 else ">IH4s", data, at + 4)
            yield item, type, at


def _properties(data: bytes, iprp: tuple[int, int]) -> dict[int, list[tuple[bytes, int, int]]]:
    inside = list(boxes_of(data, *iprp))
    own = [box for name, start, end in inside if name == b"ipco" for box in boxes_of(data, start, end)]
    of: dict[int, list[tuple[bytes, int, int]]] = {}
    for name, start, _ in inside:
        if name != b"ipma":
            continue
        entry = struct.Struct(">IB" if data[start] else ">HB")
        is_wide, at = data[start + 3] & 1, start + 8
        for _ in range(min(struct.unpack_from(">I", data, start + 4)[0], _MOST)):
            item, count = entry.unpack_from(data, at)
            numbers = struct.unpack_from(f">{count}{'H' if is_wide else 'B'}", data, at + entry.size)
            at += entry.size + count * (2 if is_wide else 1)
            mask = 0x7FFF if is_wide else 0x7F
            of.setdefault(item, []).extend(own[(number & mask) - 1] for number in numbers if 0 < number & mask <= len(own))
    return of


def _references(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
    """Yield the kind of each reference, the item it is from, and the items it is to."""
    letter = "I" if data[start] else "H"
    size = struct.calcsize(letter)
    for kind, at, _ in boxes_of(data, start + 4, end):
        item, count = struct.unpack_from(f">{letter}H", data, at)
        yield kind, item, struct.unpack_from(f">{count}{letter}", data, at + size + 2)


def _extents(data: bytes, start: int, idat: int) -> dict[int, list[tuple[int, int]]]:
    version, sizes = data[start], struct.unpack_from(">H", data, start + 4)[0]
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    at = start + 6

    def number(size: int) -> int:
        nonlocal at
        at += size
        if at > len(data):
            raise IndexError
        return int.from_bytes(data[at - size : at], "big")

    places: dict[int, list[tuple[int, int]]] = {}
    wide = 4 if version == 2 else 2
    for _ in range(min(number(wide), _MOST)):
        item = number(wide)
        method = number(2) & 15 if version else 0
        is_elsewhere = number(2) != 0 or method > 1
        base = number(base_size) + (idat if method else 0)
        extents = []
        for _ in range(min(number(2), _MOST)):
            if version:
                number(index_size)
            offset, length = base + number(offset_size), number(length_size)
            extents.append((offset, length or max(0, len(data) - offset)))
        if not is_elsewhere:
            places[item] = extents
    return places
