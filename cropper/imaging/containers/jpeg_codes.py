"""Read the Huffman codes of a JPEG's pixels without decoding them: where blocks end, and whether an encoder writes such codes.

A decoder skips much that no encoder writes: coefficients beyond the last one, or ends of blocks that it could have told at once.
A scan with a wrong bit has these, because its codes are read from wrong places on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

# The coefficients of a block but the first, and what an end of block and a code that nothing has add to their count.
_OTHERS, _END, _NO_CODE = 63, 256, 1024
# The bits of the longest code. A table has one entry for each value of so many bits.
_LONGEST = 16
# More bytes than a block can have, to be read behind the end: 64 codes with their values, 4 bytes each.
_MOST_OF_BLOCK = 300
# libjpeg ends a run of blocks at the longest run, and once its blocks hold more than 937 bits of corrections.
_LONG_RUN, _MANY_CORRECTIONS = 0x7FFF, 900

Table = list[int]
# Of each block of an MCU, the tables for its first and its other coefficients.
Order = Sequence[tuple[Table, Table]]


@dataclass(frozen=True)
class Bits:
    """Bytes without stuffing: ``words`` are the 32 bits from each byte on, ``count`` how many bits there are."""

    words: memoryview
    count: int

    @staticmethod
    def of(data: bytes) -> Bits:
        """Return the bits of bytes; ones follow their end."""
        padded = np.frombuffer(data + b"\xff" * _MOST_OF_BLOCK, np.uint8).astype(np.uint32)
        words = padded[:-3] << 24 | padded[1:-2] << 16 | padded[2:-1] << 8 | padded[3:]
        return Bits(memoryview(words.astype(np.uint32).tobytes()).cast("I"), len(data) * 8)

    def ends_at(self, bit: int) -> bool:
        """Whether nothing but the padding of a last byte, which is ones, follows from this bit on."""
        return self.count - bit < 8 and self.is_padded(bit)

    def is_padded(self, bit: int) -> bool:
        """Whether the rest of the byte that the bit is in is ones, or no rest is left."""
        rest = (1 << -bit % 8) - 1
        return not rest or self.words[bit >> 3] >> 24 & rest == rest


def first_table(counts: bytes, symbols: bytes) -> Table:
    """Return the table for blocks' first coefficients from a DHT: ``size << 5 | bits``; 0 where no code is."""
    return _table(counts, [symbol if symbol < _LONGEST else -1 for symbol in symbols], 0)


def other_table(counts: bytes, symbols: bytes) -> Table:
    """Return the table for blocks' other coefficients: ``coefficients << 5 | bits`` of code and value together."""
    table = np.array(_table(counts, list(symbols), -1))
    run, size = table >> 9, table >> 5 & 15
    further = np.where(size > 0, run + 1, np.where(run == 15, 16, np.where(run == 0, _END, _NO_CODE)))
    joined = further << 5 | (table & 31) + size
    return np.where(table < 0, _NO_CODE << 5 | 1, joined).tolist()


def symbol_table(counts: bytes, symbols: bytes) -> Table:
    """Return the table for a progressive scan: ``symbol << 5 | bits``; 0 where no code is."""
    return _table(counts, list(symbols), 0)


def _table(counts: bytes, symbols: list[int], missing: int) -> Table:
    table = np.full(1 << _LONGEST, missing, np.int32)
    code = at = 0
    for length, count in enumerate(counts, 1):
        for symbol in symbols[at : at + count]:
            step = 1 << (_LONGEST - length)
            table[code * step : (code + 1) * step] = missing if symbol < 0 else symbol << 5 | length
            code += 1
        at += count
        code <<= 1
    return table.tolist()


def after_blocks(bits: Bits, at: int, order: Order, mcus: int) -> int | None:
    """Return the bit behind so many MCUs of a baseline scan from bit ``at`` on; None if no encoder writes such codes."""
    words, count = bits.words, bits.count
    for _ in range(mcus):
        for first, others in order:
            entry = first[words[at >> 3] >> (16 - (at & 7)) & 0xFFFF]
            if not entry:
                return None
            at += (entry & 31) + (entry >> 5)
            done = 0
            while done < _OTHERS:
                entry = others[words[at >> 3] >> (16 - (at & 7)) & 0xFFFF]
                at += entry & 31
                done += entry >> 5
            if at > count or (done != _OTHERS and not _END <= done < _NO_CODE):
                return None
    return at


def ends_of_blocks(bits: Bits, at: int, order: Order) -> Iterator[int]:
    """Yield the bits behind each further MCU of a baseline scan, as long as the codes are valid."""
    while (behind := after_blocks(bits, at, order, 1)) is not None:
        yield behind
        at = behind


def after_first_pass(bits: Bits, table: Table, known: list[int], band: tuple[int, int], rest: int = -1) -> int | None:
    """Read a progressive scan that gives coefficients their first bits.

    Args:
        bits: the scan, or the part of it up to a restart.
        table: its table, from ``symbol_table``.
        known: of each block, a number with a bit for each coefficient that is not zero; added to in place.
        band: the first and the last coefficient of the scan.
        rest: the bit to begin at, if this is the rest of a scan; then any block may be the last one, where the bits end.

    Returns:
        The bit behind the blocks; None if no encoder writes such codes.
    """
    words, count = bits.words, bits.count
    at, run = max(0, rest), 0
    was_empty = False  # the block before ended with a run that could have held this one
    low, high = band
    for block in range(len(known)):
        if run:
            run -= 1
            continue
        place, seen, is_owed = low, 0, False
        while place <= high:
            entry = table[words[at >> 3] >> (16 - (at & 7)) & 0xFFFF]
            at += entry & 31
            zeros, size = entry >> 9, entry >> 5 & 15
            if not entry or at > count:
                return None
            if size:
                place += zeros + 1
                at += size
                seen |= 1 << (place - 1)
            elif zeros == 15:
                place += 16
            else:
                if is_owed or was_empty:
                    return None
                run = (1 << zeros) + (words[at >> 3] >> (16 - (at & 7)) & 0xFFFF) // (1 << (16 - zeros)) - 1
                at += zeros
                was_empty = run + 1 < _LONG_RUN
                break
            is_owed, was_empty = not size, False
            if place > high + 1 or (is_owed and place > high):
                return None
        known[block] |= seen
        if rest >= 0 and bits.ends_at(at):
            return at
    return None if run or rest >= 0 or at > count else at


def after_refinement(bits: Bits, table: Table, known: list[int], band: tuple[int, int]) -> int | None:
    """Read a progressive scan that gives coefficients one more bit; arguments and result as of ``after_first_pass``."""
    words, count = bits.words, bits.count
    at = run = corrections = 0
    was_empty = False
    low, high = band
    within = (2 << high) - 1
    for block, before in enumerate(known):
        before &= within
        place, is_owed = low, False
        while not run and place <= high:
            entry = table[words[at >> 3] >> (16 - (at & 7)) & 0xFFFF]
            at += entry & 31
            zeros, size = entry >> 9, entry >> 5 & 15
            if not entry or size > 1 or at > count:
                return None
            if not size and zeros < 15:
                if is_owed or (was_empty and corrections < _MANY_CORRECTIONS):
                    return None
                run = (1 << zeros) + (words[at >> 3] >> (16 - (at & 7)) & 0xFFFF) // (1 << (16 - zeros))
                at += zeros
                was_empty, corrections = run < _LONG_RUN, 0
                break
            at += size
            is_owed, was_empty = not size, False
            while place <= high:  # corrections of coefficients on the way, one bit each
                if before >> place & 1:
                    at += 1
                elif zeros:
                    zeros -= 1
                else:
                    break
                place += 1
            if place > high:
                return None
            if size:
                known[block] |= 1 << place
            place += 1
        if run:
            further = (before >> place).bit_count()
            at += further
            corrections += further
            run -= 1
    return None if run or at > count else at
