"""HEICs as phones write them: grids of tiles, with maps beside them, turned, of 10 bits, damaged, and made to be costly."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import heif_boxes as boxes
import numpy as np
import pytest
from extra_files import HEIC
from heif_boxes import Item
from numpy.typing import NDArray

from cropper import PhotoError
from cropper.extras import install_command
from cropper.image_formats import FORMATS, format_of
from cropper.imaging.decode import decode, decode_or_salvage
from cropper.imaging.extra.heif_film import still
from cropper.imaging.header import Header, probe
from cropper.imaging.icc import PRIMARIES, Colours, profile_of
from cropper.settings import Limits

INSTALL = install_command("formats")

IS_HERE = {one.pillow: one.is_here for one in FORMATS}
pytestmark = pytest.mark.skipif(not IS_HERE["HEIF"], reason=f"HEIF needs {INSTALL}")
# The canvas is smaller than the tiles: 128 x 128 pixels.
WIDTH, HEIGHT = 100, 90
GRID = 100
GAIN_MAP, DEPTH = "urn:com:apple:photo:2020:aux:hdrgainmap", "urn:mpeg:hevc:2015:auxid:2"
TURNS = [(), *((name, value) for name, values in (("irot", (1, 2, 3)), ("imir", (0, 1))) for value in values)]


def picture() -> NDArray[np.uint8]:
    """What the tiles show: uint8 [HEIGHT, WIDTH, 3] BGR."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.dstack([2 * x, 2 * y, 255 - (x + y)]).astype(np.uint8)


def tiles(name: str = "tiles") -> list[Item]:
    """Four tiles, of 64 x 64 pixels each, as hidden items."""
    found = boxes.pictures((HEIC / f"{name}.heic").read_bytes())
    return [replace(boxes.only(one, b"hvcC", b"ispe"), is_hidden=True) for one in found]


def grid(
    *properties: bytes,
    of: list[Item] | None = None,
    beside: tuple[Item, ...] = (),
    size: tuple[int, int] = (WIDTH, HEIGHT),
    **file: object,
) -> bytes:
    """A HEIC whose main picture is a grid of 2 x 2 tiles."""
    parts = tiles() if of is None else of
    described = boxes.grid(2, 2, *size)
    whole = Item(GRID, b"grid", described, (boxes.ispe(*size), *properties), ((b"dimg", (1, 2, 3, 4)),), in_idat=True)
    return boxes.heif([*parts, whole, *beside], GRID, **file)  # type: ignore[arg-type]


def opened(data: bytes) -> tuple[Header, NDArray[np.uint8]]:
    header = probe(data)
    return header, decode(data, header, (header.width, header.height))


def check(data: bytes, expected: NDArray[np.uint8]) -> Header:
    header, pixels = opened(data)
    assert (header.height, header.width) == pixels.shape[:2] == expected.shape[:2]
    assert np.abs(pixels[:, :, :3].astype(int) - expected).mean() < 2
    return header


def exif(orientation: int) -> Item:
    return Item(200, b"Exif", boxes.exif(orientation), refers=((b"cdsc", (GRID,)),))


def beside(id: int, kind: bytes, *properties: bytes) -> Item:
    """A small picture that belongs to the grid."""
    small = tiles()[2]
    return replace(small, id=id, properties=(*small.properties, *properties), refers=((kind, (GRID,)),))


@pytest.mark.parametrize("orientation", [None, 6])
@pytest.mark.parametrize("turn", TURNS)
def test_a_grid_lies_as_its_boxes_say(turn: tuple[str, int] | tuple[()], orientation: int | None) -> None:
    expected = picture()
    properties: tuple[bytes, ...] = ()
    if turn:
        name, value = turn
        properties = (getattr(boxes, name)(value),)
        expected = np.rot90(expected, value) if name == "irot" else np.flip(expected, value)
    header = check(grid(*properties, beside=() if orientation is None else (exif(orientation),)), expected)
    assert header.orientation == 1


@pytest.mark.parametrize("name", ["tiles", "tiles-ten-bit-422"])
@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"mif2", b"MiHB"])
def test_a_grid_of_any_depth_is_read_under_any_brand(name: str, brand: bytes) -> None:
    for compatible in ((b"mif1",), (b"mif1", b"MiHB", b"miaf", b"heix"), (*([b"miaf"] * 9), b"heic", b"mif1")):
        check(grid(of=tiles(name), brand=brand, compatible=compatible), picture())


@pytest.mark.parametrize("compatible", [(b"avif",), (b"mif1", b"miaf", b"MA1B", b"avif"), (*([b"miaf"] * 14), b"avif")])
def test_an_avif_of_a_general_brand_stays_one(compatible: tuple[bytes, ...]) -> None:
    found = format_of(boxes.box(b"ftyp", b"mif1", bytes(4), *compatible)[:64])
    assert found is not None
    assert found.pillow == "AVIF"


def test_maps_and_thumbnails_beside_a_grid_stay_out() -> None:
    maps = (beside(201, b"auxl", boxes.aux(GAIN_MAP)), beside(202, b"auxl", boxes.aux(DEPTH)), beside(203, b"thmb"))
    header = check(grid(boxes.irot(3), beside=(*maps, exif(6))), np.rot90(picture(), 3))
    assert not header.has_alpha


def test_the_colours_of_a_grid_go_along() -> None:
    display_p3 = Colours(PRIMARIES[12], 13)
    made = profile_of(display_p3, False)
    assert made is not None
    assert check(grid(boxes.icc(made)), picture()).icc_profile == made
    assert check(grid(boxes.nclx(12, 13)), picture()).icc_profile == made
    assert check(grid(boxes.nclx(1, 13)), picture()).icc_profile is None


def hollow(data: bytes) -> bytes:
    """Bytes with a hole in them, as of a disk or a download."""
    return data[:100] + bytes(64) + data[164:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing of it": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "zeros": lambda data: bytes(len(data)),
    "a hole": hollow,
    "no length": lambda data: b"\xff" * 8 + data[8:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_tile_that_is_damaged_fails_the_photo(damage: str) -> None:
    """libheif leaves its place green, or shows what comes of it, and reports nothing."""
    parts = tiles()
    parts[3] = replace(parts[3], data=DAMAGES[damage](parts[3].data))
    with pytest.raises(PhotoError, match=r"truncated or damaged \(1 of its 4 tiles is missing\)"):
        opened(grid(of=parts))


def unit_of_type(kind: int) -> Callable[[Item], Item]:
    """A change of the type of a tile's first unit."""
    return lambda tile: replace(tile, data=tile.data[:4] + bytes([kind << 1]) + tile.data[5:])


def configured(change: Callable[[bytes], bytes]) -> Callable[[Item], Item]:
    """A change of the content of a tile's configuration."""
    return lambda tile: replace(tile, properties=(boxes.box(b"hvcC", change(tile.properties[0][8:])), *tile.properties[1:]))


UNDECODABLE: dict[str, Callable[[Item], Item]] = {
    "no configuration": lambda tile: boxes.only(tile, b"ispe"),
    "no properties": lambda tile: replace(tile, properties=()),
    "zeros as configuration": configured(lambda content: bytes(len(content))),
    "an empty configuration": configured(lambda content: content[:22] + b"\0"),
    "a configuration that is false": configured(lambda content: content[:70] + b"\xff" * 8 + content[78:]),
    "the type of an AVIF": lambda tile: replace(tile, type=b"av01"),
    "the type of a JPEG": lambda tile: replace(tile, type=b"jpeg"),
    "the type of an AVC": lambda tile: replace(tile, type=b"avc1"),
    "a delimiter alone": lambda tile: replace(tile, data=b"\0\0\0\2\x46\1"),
    **{f"a unit of type {kind}": unit_of_type(kind) for kind in (0, 1, 21, *range(32, 41), 63)},
}


@pytest.mark.parametrize("place", [1, 3])
@pytest.mark.parametrize("change", UNDECODABLE)
def test_a_tile_that_cannot_be_decoded_fails_the_photo(change: str, place: int) -> None:
    """libheif leaves its place green, and reports nothing."""
    parts = tiles()
    parts[place] = UNDECODABLE[change](parts[place])
    for matrix in (1, 6, 9):  # each has another green
        data = grid(boxes.nclx(1, 13, matrix), boxes.irot(1), of=parts)
        with pytest.raises(PhotoError, match="1 of its 4 tiles is missing"):
            opened(data)
    header = probe(data)
    pixels, is_missing = decode_or_salvage(data, header, (header.width, header.height), Limits(salvage=True))
    assert is_missing
    assert (pixels == 128).all(axis=2).any()


def test_a_tile_with_a_property_that_does_not_exist_fails_the_photo() -> None:
    """libheif leaves out the whole item."""
    data, third = grid(), b"\0\3\2\x81\2"  # the number of the item, and of its two properties
    assert data.count(third) == 1
    with pytest.raises(PhotoError, match="1 of its 4 tiles is missing"):
        opened(data.replace(third, b"\0\3\2\x81\xff"))


def test_a_tile_with_its_configuration_among_its_units_is_read() -> None:
    parts, content = tiles(), tiles()[2].properties[0][8:]
    at, units = 23, b""
    for _ in range(content[22]):  # of one unit each, behind its type, how many there are, and its length in two bytes
        end = at + 5 + int.from_bytes(content[at + 3 : at + 5], "big")
        units, at = units + bytes(2) + content[at + 3 : end], end
    empty = configured(lambda content: content[:22] + b"\0")(parts[2])
    parts[2] = replace(empty, data=units + parts[2].data)
    check(grid(of=parts), picture())


def test_a_wall_of_the_green_of_a_missing_tile_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tile is missing, though the pixels look like it."""
    wall = np.full((HEIGHT, WIDTH, 3), (0, 136, 0), np.uint8)
    monkeypatch.setattr("cropper.imaging.extra.heif._pixels", lambda image: wall)
    assert (opened(grid(beside=(beside(201, b"auxl", boxes.aux(GAIN_MAP)), exif(6))))[1] == wall).all()


def test_a_picture_of_one_item_with_a_hole_fails() -> None:
    data = (HEIC / "irot.heic").read_bytes()
    (item,) = boxes.pictures(data)
    at = data.index(item.data) + len(item.data) // 2
    with pytest.raises(PhotoError, match="part of its pixels is missing"):
        opened(data[:at] + bytes(12) + data[at + 12 :])


def test_a_grid_that_breaks_off_is_salvaged_where_asked() -> None:
    data = grid()
    parts = tiles()
    data = data[: -len(parts[3].data) - len(parts[2].data) // 2]
    header = probe(data)
    needed = header.width, header.height
    with pytest.raises(PhotoError, match="2 of its 4 tiles are missing"):
        decode_or_salvage(data, header, needed, Limits())
    pixels, is_missing = decode_or_salvage(data, header, needed, Limits(salvage=True))
    assert is_missing
    assert np.abs(pixels[:60].astype(int) - picture()[:60]).mean() < 2
    assert (pixels[68:] == 128).all()


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_phone_s_photo_that_breaks_off_is_salvaged_where_asked(share: float) -> None:
    """Its gain map and its EXIF stand behind its tiles, and libheif opens no file without them."""
    data = grid(boxes.irot(3), beside=(beside(201, b"auxl", boxes.aux(GAIN_MAP)), exif(6)))
    at = data.index(b"mdat")
    data = data[: at + int((len(data) - at) * share)]
    with pytest.raises(PhotoError, match="truncated or damaged"):
        opened(data)
    limits = Limits(salvage=True)
    header = probe(data, limits)
    pixels, is_missing = decode_or_salvage(data, header, (header.width, header.height), limits)
    assert is_missing
    expected = np.rot90(picture(), 3)
    assert np.abs(pixels[:60, -60:].astype(int) - expected[:60, -60:]).mean() < 2
    assert (pixels[70:, :20] == 128).all() == (share < 0.8)


def test_a_grid_of_items_that_do_not_exist_fails() -> None:
    for left in ([0, 1, 2], [0], []):
        with pytest.raises(PhotoError, match="damaged"):
            opened(grid(of=[tiles()[place] for place in left]))


def test_another_picture_does_not_take_the_place_of_a_main_one_that_is_damaged() -> None:
    whole = Item(GRID, b"grid", boxes.grid(2, 2, WIDTH, HEIGHT), (boxes.ispe(WIDTH, HEIGHT),))
    other = replace(tiles()[0], id=7, is_hidden=False)
    with pytest.raises(PhotoError, match="its main picture is missing"):
        probe(boxes.heif([other, *tiles(), whole], GRID))


def test_a_grid_that_costs_far_more_than_it_shows_is_refused_at_once() -> None:
    """All tiles of a grid are decoded, whatever the canvas shows of them: 900 of 67 megapixels take ten minutes."""
    large = [replace(tiles()[0], id=id, properties=(tiles()[0].properties[0], boxes.ispe(8192, 8192))) for id in range(1, 31)]
    whole = Item(GRID, b"grid", boxes.grid(30, 1, WIDTH, HEIGHT), (boxes.ispe(WIDTH, HEIGHT),), ((b"dimg", tuple(range(1, 31))),))
    begun = time.monotonic()
    with pytest.raises(PhotoError, match="far more pixels"):
        probe(boxes.heif([*large, whole], GRID))
    # Grids of grids: 20 x 20 x 20 x 20 times one tile.
    items, inner, id = [replace(tiles()[0], id=id) for id in range(1, 21)], tuple(range(1, 21)), 21
    for _ in range(3):
        row = Item(0, b"grid", boxes.grid(20, 1, 64, 64), (boxes.ispe(64, 64),), ((b"dimg", inner),), is_hidden=True)
        items += (replace(row, id=id + place) for place in range(20))
        inner, id = tuple(range(id, id + 20)), id + 20
    with pytest.raises(PhotoError, match="far more pixels"):
        probe(boxes.heif([*items, replace(row, id=id, refers=((b"dimg", inner),), is_hidden=False)], id))
    many = tuple(range(1, 65281))
    whole = Item(65500, b"grid", boxes.grid(256, 255, 16384, 16320), (boxes.ispe(16384, 16320),), ((b"dimg", many),))
    with pytest.raises(PhotoError, match="not read"):
        probe(boxes.heif([replace(tiles()[0], id=1), whole], 65500), Limits(max_pixels=300_000_000))
    assert time.monotonic() - begun < 5


def test_forged_boxes_of_items_are_taken_as_they_come() -> None:
    """Bytes of the description changed one by one: a photo or an error, and no crash."""
    data = grid(beside=(exif(1), beside(201, b"auxl", boxes.aux(GAIN_MAP))))
    end = data.index(b"mdat")
    for at in range(24, end, 7):
        for value in (0, 255):
            with suppress(PhotoError):
                opened(data[:at] + bytes([value]) + data[at + 1 :])


@pytest.mark.parametrize("places", [{}, {"is_wide": True}, {"at_once": True}])
def test_of_a_film_without_a_picture_the_first_frame_is_read(places: dict[str, bool]) -> None:
    frames = tiles()[:1] * 2 if places.get("at_once") else tiles()
    described_alone = boxes.box(b"ftyp", b"hevc", bytes(4), b"msf1", b"hevc") + boxes.full(b"meta", 0, 0, boxes.box(b"idat"))
    for head in (b"", described_alone):
        data = boxes.film(frames, (64, 64), head, **places)
        assert check(data, picture()[:64, :64]).format == "HEIF"
    with pytest.raises(PhotoError, match="damaged"):
        opened(data[: data.index(b"mdat") + 40])
    for at in range(data.index(b"moov"), data.index(b"mdat"), 5):
        with suppress(PhotoError):
            opened(data[:at] + b"\xff" + data[at + 1 :])


def test_the_main_picture_of_a_film_is_taken_where_there_is_one() -> None:
    whole = boxes.film(tiles(), (64, 64), boxes.heif([replace(tiles()[0], is_hidden=False)], 1))
    assert still(whole) is whole
    assert still(grid()) == grid()
