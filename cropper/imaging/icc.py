"""Build ICC profiles: from a file's colour tags, and for CMYK photos without a profile."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Chromaticity = tuple[float, float]

# The colour primaries of ITU-T H.273 by the numbers that AVIF and PNG use: x and y of red, green, blue and white. 1 is sRGB.
D65 = (0.3127, 0.3290)
PRIMARIES: dict[int, tuple[Chromaticity, Chromaticity, Chromaticity, Chromaticity]] = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),
}
SRGB_PRIMARIES = PRIMARIES[1]
# Transfer characteristics of H.273: plain powers, and HDR. All others count as sRGB, even those of video (1, 6, 14, 15), as in
# browsers.
_POWERS = {4: 2.2, 5: 2.8, 8: 1.0}
_PQ, _HLG = 16, 18
# The white of a page in HDR, and the brightest light that a screen without HDR still tells apart, in cd/m2.
_PAPER, _BRIGHTEST = 203.0, 1000.0
_D50 = (0.9642, 1.0, 0.8249)  # the white that profiles are relative to (ICC.1:2022, 7.2.16)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_STEPS = 1024  # the entries of a curve stored as a table

# Inks on coated paper, for photos without a profile: a polynomial of the shares of cyan, magenta, yellow and black. Coefficients
# are tenths of Lab, relative to the paper. They are fitted to the profile that libvips uses for such photos, which Graeme Gill
# released into the public domain. Over the inks of photos, the mean deltaE to libvips is 1.3; that profile in Little CMS has 1.1,
# and inverted RGB has 10. Paper is exactly white.
_INKS = {
    "c": (-619, -532, -759), "m": (-610, 1005, -267), "y": (1, -157, 1079), "k": (-1137, -1, -3), "cc": (149, 411, 254),
    "cm": (616, -654, 819), "cy": (-136, -112, -146), "ck": (1266, 883, 1101), "mm": (26, -331, 540), "my": (-15, 40, -1077),
    "mk": (1152, -1578, 510), "yy": (-250, 140, -50), "yk": (269, 125, -1677), "kk": (892, 10, -38), "ccc": (118, -333, 2),
    "ccm": (-313, 56, -448), "ccy": (84, -193, -29), "cck": (-699, -772, -621), "cmm": (-339, 485, -776), "cmy": (4, 212, 240),
    "cmk": (-705, 752, -631), "cyy": (177, -52, -197), "cyk": (49, 227, 331), "ckk": (-1083, -740, -712),
    "mmm": (101, 191, -483), "mmy": (163, 159, 305), "mmk": (-497, 881, -610), "myy": (-1, -135, 526), "myk": (-252, -38, 973),
    "mkk": (-836, 1049, -507), "yyy": (331, -15, 62), "yyk": (-12, -180, 588), "ykk": (-400, -11, 1045), "kkk": (-681, 20, 144),
    "cccc": (-82, 81, -19), "cccm": (13, 63, 43), "cccy": (-27, -40, -11), "ccck": (85, 212, 12), "ccmm": (150, -105, 259),
    "ccmy": (47, 31, -10), "ccmk": (170, -36, 210), "ccyy": (-62, 85, 43), "ccyk": (-23, 161, 49), "cckk": (437, 461, 398),
    "cmmm": (-2, 15, 164), "cmmy": (-54, -69, -47), "cmmk": (279, -490, 377), "cmyy": (-16, -19, -106), "cmyk": (51, -197, -51),
    "cmkk": (170, -112, 33), "cyyy": (-48, 14, 147), "cyyk": (-130, -59, -62), "cykk": (114, -3, -152), "ckkk": (391, 275, 300),
    "mmmm": (1, -88, 186), "mmmy": (-69, -117, 54), "mmmk": (-48, -11, 13), "mmyy": (-43, 7, -214), "mmyk": (85, -13, -167),
    "mmkk": (350, -689, 452), "myyy": (14, 35, -82), "myyk": (43, 85, -277), "mykk": (93, -18, -107), "mkkk": (323, -361, 132),
    "yyyy": (-138, -5, -84), "yyyk": (-59, 7, 14), "yykk": (115, 107, -573), "ykkk": (141, -30, -360), "kkkk": (70, 10, -142),
}  # fmt: skip
_GRID = 9  # shades of each ink in the profile's table; shades between them are interpolated


@dataclass(frozen=True)
class Colours:
    """The colours that a file's tags describe.

    Attributes:
        primaries: x and y of red, green, blue and white.
        transfer: the transfer characteristics, a number of H.273, if there is no power.
        power: the exponent that turns codes into light, or None.
    """

    primaries: tuple[Chromaticity, Chromaticity, Chromaticity, Chromaticity]
    transfer: int = 13
    power: float | None = None


def is_srgb(colours: Colours) -> bool:
    """Tell whether colours look like sRGB, which viewers assume for photos without a profile."""
    is_coded_alike = colours.transfer not in (_PQ, _HLG, *_POWERS)
    if colours.power is not None:
        is_coded_alike = abs(colours.power - 2.2) < 0.05
    return is_coded_alike and bool(np.allclose(colours.primaries, SRGB_PRIMARIES, atol=0.003))


@lru_cache(maxsize=8)
def profile_of(colours: Colours, grey: bool = False) -> bytes | None:
    """Build the ICC profile of a file's colour tags; None if they are invalid.

    HDR light is compressed into the range of a screen without HDR, as browsers do.

    Args:
        colours: the colours of the tags.
        grey: whether the photo has only one channel of colour; the profile is then for one channel.
    """
    curve = _curve(colours)
    if grey:
        return _icc(b"mntr", b"GRAY", b"XYZ ", [(b"kTRC", curve)])
    matrix = _matrix(colours)
    if matrix is None:
        return None
    parts = [(name, _xyz(matrix[:, i])) for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))]
    return _icc(b"mntr", b"RGB ", b"XYZ ", [*parts, (b"rTRC", curve), (b"gTRC", curve), (b"bTRC", curve)])


@lru_cache(maxsize=1)
def ink_profile() -> bytes:
    """Build the profile of cyan, magenta, yellow and black for CMYK photos without one."""
    shares = np.linspace(0, 1, _GRID)
    inks = dict(zip("cmyk", np.meshgrid(shares, shares, shares, shares, indexing="ij"), strict=True))
    lab = np.zeros((*[_GRID] * 4, 3))
    for names, tenths in _INKS.items():
        lab += np.prod([inks[name] for name in names], axis=0)[..., None] * np.array(tenths) / 10
    lab[..., 0] += 100
    # The 16-bit encoding of Lab in an mft2 table (ICC.1:2022, 10.10).
    codes = ((lab + np.array((0, 128, 128))) * np.array((652.8, 256, 256))).round().clip(0, 65535)
    straight = struct.pack(">2H", 0, 65535)
    unity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    table = b"mft2" + bytes(4) + bytes([4, 3, _GRID, 0]) + unity + struct.pack(">2H", 2, 2)
    table += straight * 4 + codes.astype(">u2").tobytes() + straight * 3
    return _icc(b"prtr", b"CMYK", b"Lab ", [(b"A2B0", table)])


def _matrix(colours: Colours) -> NDArray[np.float64] | None:
    """Return the matrix from linear RGB to XYZ relative to D50, one column per primary; None if the primaries are invalid."""
    if any(y <= 0 for _, y in colours.primaries):
        return None
    columns = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in colours.primaries]).T
    primaries, white = columns[:, :3], columns[:, 3]
    try:
        matrix = primaries * np.linalg.solve(primaries, white)
    except np.linalg.LinAlgError:
        return None
    cones, cones_d50 = _BRADFORD @ white, _BRADFORD @ np.array(_D50)
    if not np.all(cones > 0):
        return None
    matrix = np.linalg.inv(_BRADFORD) @ np.diag(cones_d50 / cones) @ _BRADFORD @ matrix
    return matrix if np.all(np.abs(matrix) < 2) and np.all(matrix[1] > 0) else None


def _curve(colours: Colours) -> bytes:
    """Return the curve from codes to light, 0..1, as a profile stores it: a power, sRGB's formula or a table."""
    if colours.transfer in (_PQ, _HLG):
        light = _displayed(_of_pq() if colours.transfer == _PQ else _of_hlg())
        return b"curv" + struct.pack(">II", 0, _STEPS) + (light * 65535).round().astype(">u2").tobytes()
    power = colours.power if colours.power is not None else _POWERS.get(colours.transfer)
    if power is not None:
        return b"para" + struct.pack(">IHHi", 0, 0, 0, round(power * 65536))
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return b"para" + struct.pack(">IHH5i", 0, 3, 0, *(round(number * 65536) for number in numbers))


def _of_pq() -> NDArray[np.float64]:
    """Return the light of each PQ code in cd/m2 (ITU-R BT.2100, table 4)."""
    root = np.linspace(0, 1, _STEPS) ** (32 / 2523)
    return 10000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (16384 / 2610)


def _of_hlg() -> NDArray[np.float64]:
    """Return the light of each HLG code in cd/m2, on a screen of 1000 cd/m2 (ITU-R BT.2100, table 5)."""
    codes = np.linspace(0, 1, _STEPS)
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return 1000 * scene.clip(0, 1) ** 1.2


def _displayed(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compress light in cd/m2 into 0..1, bright light more, so that all levels up to ``_BRIGHTEST`` stay distinct."""
    relative, most = np.minimum(light, _BRIGHTEST) / _PAPER, _BRIGHTEST / _PAPER
    return relative * (1 + relative / most**2) / (1 + relative)


def _xyz(xyz: NDArray[np.float64] | tuple[float, ...]) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(float(number) * 65536) for number in xyz))


def _text(text: str) -> bytes:
    return b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", 2 * len(text), 28) + text.encode("utf-16-be")


def _icc(kind: bytes, space: bytes, connection: bytes, parts: list[tuple[bytes, bytes]]) -> bytes:
    """Assemble a profile from its parts (ICC.1:2022, 7). Equal parts are stored once."""
    parts = [(b"desc", _text("cropper")), (b"cprt", _text("CC0")), (b"wtpt", _xyz(_D50)), *parts]
    table, body, places = struct.pack(">I", len(parts)), b"", {}
    for name, data in parts:
        if data not in places:
            places[data] = 132 + 12 * len(parts) + len(body)
            body += data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, places[data], len(data))
    head = struct.pack(">I4xI4s4s4s12x4s", 128 + len(table) + len(body), 0x04300000, kind, space, connection, b"acsp").ljust(
        68, b"\0"
    )
    head += b"".join(struct.pack(">i", round(number * 65536)) for number in _D50)
    return head.ljust(128, b"\0") + table + body
