"""Tell whether the first frame of a GIF is all there. Pillow fills what is missing, and says nothing."""

from __future__ import annotations

_EXTENSION, _PICTURE = 0x21, 0x2C
_MOST_BLOCKS = 20_000
_MOST_CODES = 4096


def is_whole(gif: bytes) -> bool:
    """Tell whether the packed codes of a GIF's first frame give all of its pixels."""
    try:
        at = _picture(gif)
        if at is None:
            return False
        width, height = int.from_bytes(gif[at + 5 : at + 7], "little"), int.from_bytes(gif[at + 7 : at + 9], "little")
        start = at + 10 + _palette(gif[at + 9])
        return 1 <= gif[start] <= 8 and _gives(_joined(gif, start + 1), gif[start], width * height)
    except IndexError:  # it breaks off
        return False


def _palette(flags: int) -> int:
    """Return the bytes of the colours that a screen or a frame says it has."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _picture(gif: bytes) -> int | None:
    """Return where the first frame begins. Raises IndexError where the file breaks off."""
    at = 13 + _palette(gif[10])
    for _ in range(_MOST_BLOCKS):
        if gif[at] == _PICTURE:
            return at
        if gif[at] == _EXTENSION:
            at += 2
            while gif[at]:
                at += gif[at] + 1
        at += 1
    return None


def _joined(gif: bytes, at: int) -> bytes:
    """Join blocks up to an empty one, or to where the file breaks off."""
    blocks = []
    while at < len(gif) and gif[at]:
        blocks.append(gif[at + 1 : at + 1 + gif[at]])
        at += gif[at] + 1
    return b"".join(blocks)


def _gives(packed: bytes, depth: int, pixels: int) -> bool:
    """Tell whether LZW codes give at least so many pixels. Only the length of what each code stands for is kept."""
    clear, end = 1 << depth, (1 << depth) + 1
    lengths = [1] * clear + [0, 0]
    size, before, found, bits, held, cleared = depth + 1, 0, 0, 0, 0, 0
    for byte in packed:
        bits |= byte << held
        held += 8
        while held >= size:
            code = bits & (1 << size) - 1
            bits >>= size
            held -= size
            if code == end:
                return False
            if code == clear:
                del lengths[clear + 2 :]
                size, before, cleared = depth + 1, 0, cleared + 1
                if cleared > pixels + 1:  # it says nothing else
                    return False
                continue
            if code > len(lengths) or (code == len(lengths) and not before):
                return False
            if before and len(lengths) < _MOST_CODES:
                lengths.append(before + 1)
                if len(lengths) == 1 << size and size < 12:
                    size += 1
            before = lengths[code] if code < len(lengths) else before + 1
            found += before
            if found >= pixels:
                return True
    return False
