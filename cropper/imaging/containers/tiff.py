"""Read TIFFs that Pillow and OpenCV lack: their tags, and their samples as bytes.

libtiff unpacks every compression, but both libraries pass on few layouts of channels. ``samples`` tells Pillow that each row is
one channel of bytes, and takes the channels apart itself.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cropper.errors import COPY_AGAIN, EXPORT_AGAIN, PhotoError

WHITE_IS_ZERO, GREY, RGB, PALETTE, INKS, LAB, ICC_LAB = 0, 1, 2, 3, 5, 8, 9
LAB_KINDS = (LAB, ICC_LAB)
# The bits of a channel that are read.
DEPTHS = (1, 2, 4, 8, 16)
# The compressions that unpack to plain rows.
_PLAIN = {1: "none", 5: "LZW", 8: "Deflate", 32946: "Deflate", 32773: "PackBits", 34925: "LZMA", 50000: "Zstandard"}
# The other compressions that are read, and the names of those that are not.
_READ = (2, 3, 4, 7)
_NAMES = {
    6: "old JPEG", 9: "JBIG", 10: "JBIG", 32766: "NeXT", 32809: "ThunderScan", 33003: "JPEG 2000", 33005: "JPEG 2000",
    34661: "JBIG", 34676: "SGI log", 34677: "SGI log", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy DNG JPEG",
    50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
# The channels of colour for each kind of colours.
_COLOURS = {WHITE_IS_ZERO: 1, GREY: 1, RGB: 3, INKS: 4, LAB: 3, ICC_LAB: 3}
_FORMS = {1: "B", 2: "s", 3: "H", 4: "I", 7: "s", 13: "I", 16: "Q"}
_MOST_VALUES, _MOST_TAGS = 200_000, 4096
_PROFILE = 34675
_PREMULTIPLIED = 1


@dataclass(frozen=True)
class Layout:
    """How the first picture of a TIFF is stored.

    Attributes:
        order: ``<`` or ``>``, the byte order of its numbers.
        is_big: whether its offsets have 64 bits.
        tags: the values of each tag that has whole numbers.
        profile: the embedded colour profile, or None.
    """

    order: str
    is_big: bool
    tags: dict[int, tuple[int, ...]]
    profile: bytes | None

    def one(self, tag: int, otherwise: int = 0) -> int:
        """Return the first value of a tag."""
        values = self.tags.get(tag)
        return values[0] if values else otherwise

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored."""
        return self.one(256), self.one(257)

    @property
    def bits(self) -> int:
        """Bits of a channel, the most if they differ."""
        return max(self.tags.get(258) or (1,))

    @property
    def channels(self) -> int:
        """Channels of a pixel, alpha included."""
        return self.one(277, 1)

    @property
    def has_alpha(self) -> bool:
        """Whether the channel behind the colours is how opaque a pixel is."""
        extra = self.tags.get(338) or ()
        return self.channels > _COLOURS.get(self.one(262), 99) and bool(extra) and extra[0] in (_PREMULTIPLIED, 2)

    @property
    def is_readable(self) -> bool:
        """Whether ``samples`` reads it."""
        colours = _COLOURS.get(self.one(262), 99)
        return (
            self.one(259, 1) in _PLAIN
            and set(self.tags.get(258, ())) in ({8}, {16})
            and set(self.tags.get(339, (1,))) == {1}
            and colours <= self.channels <= colours + 4
            and self.one(317, 1) in (1, 2)
            and self.size[0] * self.size[1] > 0
        )

    @property
    def is_rare(self) -> bool:
        """Whether Pillow or OpenCV get it wrong.

        These are colours of CIELAB, inks with more channels, planes of 16 bits, and big-endian BigTIFF.
        """
        is_odd = self.one(262) in LAB_KINDS or (self.one(262) == INKS and self.channels > 4)
        is_deep_plane = self.one(284, 1) == 2 and self.bits == 16
        return self.is_readable and (is_odd or is_deep_plane or (self.is_big and self.order == ">"))


def layout_of(data: bytes) -> Layout | None:
    """Read the first directory of a TIFF; None if the file is none or the directory breaks off."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return None
    version = struct.unpack_from(order + "H", data, 2)[0]
    is_big = version == 43
    try:
        at = struct.unpack_from(order + ("8xQ" if is_big else "4xI"), data)[0]
        head, entry, room = (
            struct.Struct(order + ("Q" if is_big else "H")),
            order + ("HHQ" if is_big else "HHI"),
            8 if is_big else 4,
        )
        count = min(head.unpack_from(data, at)[0], _MOST_TAGS)
        tags: dict[int, tuple[int, ...]] = {}
        profile = None
        at += head.size
        for _ in range(count):
            tag, form, number = struct.unpack_from(entry, data, at)
            values = at + struct.calcsize(entry)
            at = values + room
            letter = _FORMS.get(form)
            if letter is None or number > (len(data) if letter == "s" or tag == _PROFILE else _MOST_VALUES):
                continue
            packed = struct.Struct(f"{order}{number}{letter}")
            if packed.size > room:
                values = struct.unpack_from(order + ("Q" if is_big else "I"), data, values)[0]
            if tag == _PROFILE:
                profile = data[values : values + number] or None
            elif letter != "s":
                tags[tag] = packed.unpack_from(data, values)
    except struct.error:
        return None
    return Layout(order, is_big, tags, profile)


def unreadable(layout: Layout | None) -> PhotoError | None:
    """Return the error for a TIFF that is packed in a way that cropper does not read, or None."""
    if layout is None or not layout.size[0]:
        return None
    compression = layout.one(259, 1)
    if compression not in (*_PLAIN, *_READ):
        name = _NAMES.get(compression, f"number {compression}")
        return PhotoError(f"its compression ({name}) is not one that cropper reads", remedy="save it with LZW or Deflate")
    forms = layout.tags.get(339, ())
    if layout.bits <= 16 and (2 in forms or 3 in forms):
        kind = "floating-point" if 3 in forms else "signed"
        return PhotoError(f"its channels are {kind} numbers", remedy="save it with 8 or 16 bits without a sign")
    if layout.bits > 16:
        return PhotoError(f"it has {layout.bits} bits per channel", remedy="save it with 8 or 16")
    if layout.one(262) not in (*_COLOURS, PALETTE, 6):
        return PhotoError(
            f"its kind of colours (number {layout.one(262)}) is not one that cropper reads", remedy="save it as RGB"
        )
    if layout.bits not in DEPTHS or len(set(layout.tags.get(258, (1,)))) > 1:
        return PhotoError(f"it has {layout.bits} bits per channel", remedy="save it with 8 or 16")
    return None


def unknown(layout: Layout | None) -> PhotoError | None:
    """Return the error for a TIFF that no library knows although nothing in ``unreadable`` says why, or None for other files."""
    if layout is None or not all(layout.size):
        return None
    return PhotoError("its channels are stored in a way that cropper does not read", remedy="save it as RGB with 8 bits each")


def samples(data: bytes, layout: Layout, opened: Callable[[bytes], Image.Image]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return the samples of a TIFF as they are stored: uint8 or uint16 [h, w, channels], not turned.

    Args:
        data: the whole file.
        layout: its layout, which must be readable.
        opened: opens a file with Pillow.

    Raises:
        PhotoError: if the layout is not consistent.
        Exception: what Pillow raises on damage.
    """
    width, height = layout.size
    each, channels = layout.bits // 8, layout.channels
    planes = channels if layout.one(284, 1) == 2 and channels > 1 else 1
    together = channels // planes
    is_tiled = 324 in layout.tags
    offsets, counts = (layout.tags.get(tag, ()) for tag in ((324, 325) if is_tiled else (273, 279)))
    if not offsets or len(offsets) != len(counts) or len(offsets) % planes:
        raise PhotoError("its header is damaged", remedy=COPY_AGAIN)
    number, kind = len(offsets) // planes, np.dtype(f"{layout.order}u{each}")
    found = []
    for plane in range(planes):
        part = slice(plane * number, (plane + 1) * number)
        tags: dict[int, tuple[int, ...]] = {256: (width * together * each,), 257: (height,), 258: (8,), 262: (GREY,), 277: (1,)}
        tags |= {259: (layout.one(259, 1),), 266: (layout.one(266, 1),)}
        if is_tiled:
            tags |= {322: (layout.one(322) * together * each,), 323: (layout.one(323),), 324: offsets[part], 325: counts[part]}
        else:
            tags |= {278: (min(layout.one(278, height), height),), 273: offsets[part], 279: counts[part]}
        with opened(_with_directory(data, tags)) as image:
            rows = np.asarray(image)
        if rows.shape != (height, width * together * each):
            raise PhotoError("its header is damaged", remedy=COPY_AGAIN)
        samples = np.ascontiguousarray(rows).view(kind).reshape(height, width, together).astype(kind.newbyteorder("="))
        found.append(_summed(samples, layout.one(322) if is_tiled else width) if layout.one(317, 1) == 2 else samples)
    return np.concatenate(found, axis=2) if planes > 1 else found[0]


def _summed(differences: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Undo horizontal differencing, which begins anew in each tile (TIFF 6.0, section 14)."""
    columns = range(0, differences.shape[1], max(width, 1))
    parts = [np.cumsum(differences[:, x : x + width], axis=1, dtype=differences.dtype) for x in columns]
    return np.concatenate(parts, axis=1)


def _with_directory(data: bytes, tags: dict[int, tuple[int, ...]]) -> bytes:
    """Return a little-endian TIFF of the same pieces of data and other tags. Raises PhotoError if an offset is out of bounds."""
    start = len(data) + len(data) % 2
    outside_at, outside, directory = start + 2 + 12 * len(tags) + 4, b"", b""
    try:
        for tag, values in sorted(tags.items()):
            packed = struct.pack(f"<{len(values)}I", *values)
            directory += struct.pack("<HHI", tag, 4, len(values))
            directory += packed if len(packed) == 4 else struct.pack("<I", outside_at + len(outside))
            outside += packed if len(packed) > 4 else b""
        head = struct.pack("<2sHI", b"II", 42, start)
    except struct.error as error:
        raise PhotoError("its header is damaged", remedy=EXPORT_AGAIN) from error
    return b"".join([head, data[8:], bytes(len(data) % 2), struct.pack("<H", len(tags)), directory, bytes(4), outside])


def colours(
    samples: NDArray[np.uint8] | NDArray[np.uint16], layout: Layout
) -> tuple[str, NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Return a TIFF's colours in 8 bits, for Pillow, and its alpha.

    Args:
        samples: as ``samples`` returns them.
        layout: the layout that they come from.

    Returns:
        Pillow's mode, ``L``, ``RGB``, ``CMYK`` or ``LAB``; uint8 [h, w] or [h, w, channels]; and uint8 [h, w], how opaque, or
        None.
    """
    kind = layout.one(262)
    shown: NDArray[Any] = samples[:, :, : _COLOURS[kind]]
    alpha: NDArray[Any] | None = samples[:, :, _COLOURS[kind]] if layout.has_alpha else None
    most = (1 << layout.bits) - 1
    if alpha is not None and layout.tags[338][0] == _PREMULTIPLIED and kind not in LAB_KINDS:
        share = np.maximum(alpha[:, :, None], 1).astype(np.float32) / most
        shown = np.minimum(shown / share, most).astype(samples.dtype)
    if layout.bits == 16:
        eight = (shown >> 8).astype(np.uint8)
        alpha = None if alpha is None else (alpha >> 8).astype(np.uint8)
        if kind == ICC_LAB:  # white is 0xFF00 in 16 bits
            eight = np.minimum((shown.astype(np.uint32) + 128) >> 8, 255).astype(np.uint8)
    else:
        eight = shown.astype(np.uint8)
    if kind in LAB_KINDS:
        if kind == ICC_LAB:  # its a and b have an offset, where the others have signs
            eight = eight ^ np.array([0, 128, 128], np.uint8)
        return "LAB", eight, alpha
    if kind == WHITE_IS_ZERO:
        eight = 255 - eight
    return {1: "L", 3: "RGB", 4: "CMYK"}[_COLOURS[kind]], eight[:, :, 0] if _COLOURS[kind] == 1 else eight, alpha
