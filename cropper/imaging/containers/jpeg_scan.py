"""Tell bytes that stray behind a JPEG's pixels from the rest of a damaged scan. libjpeg has the same words for both.

A scan with a wrong bit may seem to end early. Then its codes are read anew: an encoder pads the last byte with ones, and a
damaged scan mostly has codes that no encoder writes, or a rest that goes on with whole blocks up to its very end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from math import ceil

from cropper.imaging.containers.jpeg import END, MARKER
from cropper.imaging.containers.jpeg_codes import (
    Bits,
    Order,
    after_blocks,
    after_first_pass,
    after_refinement,
    ends_of_blocks,
    first_table,
    other_table,
    symbol_table,
)

_TABLES, _RESTARTS, _SCAN, _END = 0xC4, 0xDD, 0xDA, 0xD9
_BASELINE, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
# Without the fill bytes before them, which are 0xFF too.
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_BEHIND_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# The most bytes to read, which take some seconds, the most blocks with each pass counted, and the most scans and restarts.
_MOST_BYTES, _MOST_BLOCKS, _MOST_SCANS, _MOST_RESTARTS = 2 << 20, 8_000_000, 100, 10_000
# The most blocks that the rest of a damaged scan has.
_MOST_IN_REST = 100_000


@dataclass(frozen=True)
class _Component:
    identity: int
    across: int  # how many blocks of it an MCU has
    down: int


@dataclass(frozen=True)
class _Scan:
    """A scan, with what the segments before it say. ``chosen`` are its components, each with the numbers of its tables."""

    width: int
    height: int
    is_progressive: bool
    components: tuple[_Component, ...]
    tables: dict[int, tuple[bytes, bytes]]
    restarts: int  # the MCUs between restarts, or 0
    chosen: tuple[tuple[_Component, int], ...]
    band: tuple[int, int]
    is_refinement: bool
    start: int
    end: int

    @property
    def mcus(self) -> int:
        """How many MCUs the scan has; one of a single component has no more blocks than that needs."""
        widest = max(component.across for component in self.components)
        highest = max(component.down for component in self.components)
        if len(self.chosen) > 1:
            return ceil(self.width / 8 / widest) * ceil(self.height / 8 / highest)
        one = self.chosen[0][0]
        return ceil(ceil(self.width * one.across / widest) / 8) * ceil(ceil(self.height * one.down / highest) / 8)

    def parts(self, jpeg: bytes) -> Iterator[tuple[Bits, int]]:
        """Yield what is between the restarts, with the number of MCUs in each part; nothing if restarts are missing.

        Raises ValueError if there are too many.
        """
        most = self.restarts or self.mcus
        count = ceil(self.mcus / most)
        if count > _MOST_RESTARTS:
            raise ValueError("it has too many restarts")
        # One more than there should be tells that there are more.
        parts = _RESTART.split(jpeg[self.start : self.end], count)
        if len(parts) != count:
            return
        parts[:-1] = (part.rstrip(b"\xff") for part in parts[:-1])
        for number, part in enumerate(parts):
            yield Bits.of(_unstuffed(part)), min(most, self.mcus - most * number)


def without_stray(jpeg: bytes) -> bytes | None:
    """Return a JPEG without bytes that stray between its pixels and its end.

    Args:
        jpeg: the whole file, of which libjpeg says no more than that bytes are extraneous before its end.

    Returns:
        The file with all of its pixels; None if the bytes may be the rest of a damaged scan.

    Raises:
        ValueError: if the file is too large to tell, or not as other JPEGs are.
    """
    try:
        scans = list(_scans(jpeg))
        read = [scan for scan in scans if _is_needed(scan, scans[-1])]
        size = sum(scan.end - scan.start for scan in read)
        if not read or size > _MOST_BYTES or sum(scan.mcus for scan in read) > _MOST_BLOCKS:
            raise ValueError("it is too large to tell")
        found = _read(jpeg, read)
    except (IndexError, KeyError, ZeroDivisionError) as error:  # a header that libjpeg reads otherwise
        raise ValueError("it is not as other JPEGs are") from error
    if found is None:
        return None
    bits, at = found
    last = scans[-1]
    start = max([last.start, *(restart.end() for restart in _RESTART.finditer(jpeg, last.start, last.end))])
    kept = ceil(at / 8)
    unstuffed = _unstuffed(jpeg[start : last.end])[:kept]
    return jpeg[: start + kept + unstuffed.count(b"\xff")] + END if kept * 8 < bits.count else None


def _unstuffed(data: bytes) -> bytes:
    return data.replace(b"\xff\0", b"\xff")


def _is_needed(scan: _Scan, last: _Scan) -> bool:
    """Whether a scan is the last one, or one that says which coefficients the last one refines."""
    if scan is last:
        return not last.is_progressive or last.band[0] > 0
    return last.is_refinement and scan.chosen[0][0] == last.chosen[0][0] and scan.band[0] > 0


def _scans(jpeg: bytes) -> Iterator[_Scan]:
    """Yield the scans of a JPEG up to its end. Raises ValueError if there are too many."""
    at, count, restarts, kind, frame = 2, 0, 0, 0, b""
    tables: dict[int, tuple[bytes, bytes]] = {}
    while (found := MARKER.search(jpeg, at)) is not None:
        marker, at = found[1][0], found.end()
        if marker == _END:
            return
        content = jpeg[at + 2 : at + int.from_bytes(jpeg[at : at + 2], "big")]
        at += len(content) + 2
        if marker in (*_BASELINE, _PROGRESSIVE):
            kind, frame = marker, content
        elif marker == _RESTARTS:
            restarts = int.from_bytes(content[:2], "big")
        elif marker == _TABLES:
            while len(content) > 16:
                behind = 17 + sum(content[1:17])
                tables[content[0]] = content[1:17], content[17:behind]
                content = content[behind:]
        elif marker == _SCAN:
            count += 1
            if count > _MOST_SCANS:
                raise ValueError("it has too many scans")
            behind_scan = _BEHIND_SCAN.search(jpeg, at)
            end = at + len(jpeg[at : behind_scan.start()].rstrip(b"\xff")) if behind_scan else len(jpeg)
            yield _scan(kind, frame, tables, restarts, content, (at, end))
            at = end


def _scan(
    kind: int, frame: bytes, tables: dict[int, tuple[bytes, bytes]], restarts: int, content: bytes, place: tuple[int, int]
) -> _Scan:
    """Return a scan from the contents of its frame's and its own segment."""
    components = tuple(_Component(frame[i], frame[i + 1] >> 4, frame[i + 1] & 15) for i in range(6, 6 + 3 * frame[5], 3))
    named = {component.identity: component for component in components}
    behind = 1 + 2 * content[0]
    return _Scan(
        width=int.from_bytes(frame[3:5], "big"),
        height=int.from_bytes(frame[1:3], "big"),
        is_progressive=kind == _PROGRESSIVE,
        components=components,
        tables=dict(tables),
        restarts=restarts,
        chosen=tuple((named[content[i]], content[i + 1]) for i in range(1, behind, 2)),
        band=(content[behind], content[behind + 1]),
        is_refinement=kind == _PROGRESSIVE and content[behind + 2] >> 4 > 0,
        start=place[0],
        end=place[1],
    )


def _read(jpeg: bytes, scans: list[_Scan]) -> tuple[Bits, int] | None:
    """Read scans; return the last part of the last one and the bit behind its blocks. None if they look damaged."""
    known = [0] * scans[-1].mcus if scans[-1].is_progressive else []
    last = None
    for scan in scans:
        order, last = _order(scan), None
        left = scan.mcus
        for number, (bits, mcus) in enumerate(scan.parts(jpeg)):
            left -= mcus
            at = _behind(scan, bits, order, mcus, known, number * scan.restarts)
            is_last = scan is scans[-1] and not left
            if at is None or not (bits.is_padded(at) if is_last else bits.ends_at(at)):
                return None
            last = bits, at
    return None if last is None or _is_rest_of_scan(scan, *last, order) else last


def _is_rest_of_scan(scan: _Scan, bits: Bits, at: int, order: Order) -> bool:
    """Whether the bits from one on are whole blocks up to their end. A refinement has none: they'd go with blocks before."""
    if scan.is_refinement:
        return False
    if scan.is_progressive:
        return after_first_pass(bits, order[0][0], [0] * min(bits.count - at, _MOST_IN_REST), scan.band, rest=at) is not None
    return any(map(bits.ends_at, islice(ends_of_blocks(bits, at, order), _MOST_IN_REST)))


def _order(scan: _Scan) -> Order:
    """Return the tables of each block of an MCU; those of a progressive scan twice."""
    if scan.is_progressive:
        table = symbol_table(*scan.tables[0x10 | scan.chosen[0][1] & 15])
        return [(table, table)]
    made = {
        number: (first_table if number < 0x10 else other_table)(*scan.tables[number])
        for number in set(chain.from_iterable((numbers >> 4, 0x10 | numbers & 15) for _, numbers in scan.chosen))
    }
    blocks = [one.across * one.down if len(scan.chosen) > 1 else 1 for one, _ in scan.chosen]
    return [
        (made[numbers >> 4], made[0x10 | numbers & 15])
        for (_, numbers), count in zip(scan.chosen, blocks, strict=True)
        for _ in range(count)
    ]


def _behind(scan: _Scan, bits: Bits, order: Order, mcus: int, known: list[int], start: int) -> int | None:
    """Return the bit behind the blocks of a part of a scan; None if no encoder writes its codes. Adds to ``known``."""
    if not scan.is_progressive:
        return after_blocks(bits, 0, order, mcus)
    blocks = known[start : start + mcus]
    behind = (after_refinement if scan.is_refinement else after_first_pass)(bits, order[0][0], blocks, scan.band)
    known[start : start + mcus] = blocks
    return behind
