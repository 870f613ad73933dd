"""What Cropper takes, and what it chooses of that: the same as the command."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import Command, MakePhoto, imread
from numpy.typing import NDArray
from PIL import Image

from cropper import Box, Chosen, Cropper, Photo, PhotoError, UsageError
from cropper.api.asked import Asked


@pytest.fixture(scope="module")
def model() -> Cropper:
    return Cropper()


@pytest.fixture
def rgba(tmp_path: Path) -> Path:
    """A photo with transparency: a disc of noise on nothing."""
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 255, (90, 160, 4), np.uint8)
    ys, xs = np.mgrid[:90, :160]
    pixels[..., 3] = np.where((xs - 120) ** 2 + (ys - 40) ** 2 < 900, 255, 0)
    Image.fromarray(pixels).save(tmp_path / "cut_out.png")
    return tmp_path / "cut_out.png"


@pytest.fixture
def turned(samples: Path, tmp_path: Path) -> Path:
    """A photo stored on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(samples / "cat.jpg") as image:
        image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    return tmp_path / "turned.png"


def of_command(cropper: Command, photo: Path, *options: str) -> list[tuple[str, ...]]:
    code, out, err = cropper("boxes", photo, "--format", "csv", *options)
    assert code == 0, err
    columns = ("size", "x", "y", "width", "height", "focus_x", "focus_y", "kept", "subject_kept", "heads_cut", "message")
    return [tuple(row[name] for name in columns) for row in csv.DictReader(out.splitlines())]


def of_python(chosen: Chosen) -> list[tuple[str, ...]]:
    def row(size: str, box: Box, note: str) -> tuple[str, ...]:
        numbers = map(str, (box.x, box.y, box.width, box.height, *box.focus))
        return size, *numbers, f"{box.kept:.4f}", f"{box.subject_kept:.4f}", str(box.heads_cut), note

    return [row(choice.size, choice.box, choice.note) for choice in chosen.choices]


ASPECTS: list[tuple[int, int]] = [(1, 1), (9, 16)]
CASES: list[tuple[Asked, tuple[str, ...]]] = [
    ({}, ()),
    ({"zoom": "auto"}, ("--zoom", "auto")),
    ({"zoom": 0.5, "margin": 0.2, "zoom_keep": 0.8}, ("--zoom", "0.5", "--margin", "0.2", "--zoom-keep", "0.8")),
    ({"whole": "heads"}, ("--whole", "heads")),
    ({"whole": "subject", "otherwise": "center"}, ("--whole", "subject", "--otherwise", "center")),
    ({"min_kept": 0.99, "otherwise": "keep"}, ("--min-kept", "0.99", "--otherwise", "keep")),
    ({"otherwise": "skip"}, ("--otherwise", "skip")),
]


@pytest.mark.parametrize(("asked", "options"), CASES)
def test_the_boxes_are_those_of_the_command(
    model: Cropper, cropper: Command, samples: Path, asked: Asked, options: tuple[str, ...]
) -> None:
    photo = samples / "trips" / "desert_hikers.jpg"
    chosen = model.choose(photo, ASPECTS, [(320, 180)], **asked)
    printed = of_command(cropper, photo, "--size", "320x180", "--aspect", "1:1", "--aspect", "9:16", *options)
    if "skip" in options:  # a skipped photo has the best crop in its row too
        assert {choice.fit for choice in chosen.choices} <= {"crop", "skip"}
    assert of_python(chosen) == printed
    assert (chosen.width, chosen.height) == (1400, 933)


def test_one_of_several_shapes_and_the_default_size_are_those_of_the_command(
    model: Cropper, cropper: Command, samples: Path
) -> None:
    options = ("--aspect", "1:1", "--aspect", "9:16", "--one")
    assert of_python(model.choose(samples / "dogs.jpg", ASPECTS, one=True)) == of_command(cropper, samples / "dogs.jpg", *options)
    assert of_python(model.choose(samples / "dogs.jpg")) == of_command(cropper, samples / "dogs.jpg")


def test_a_focus_is_that_of_a_table(model: Cropper, cropper: Command, samples: Path, tmp_path: Path) -> None:
    for focus in ((100, 200), (50, 60, 300, 200)):
        names = ("path", "x", "y", "width", "height")[: 1 + len(focus)]
        table = [",".join(names), ",".join(map(str, (samples / "cat.jpg", *focus)))]
        (tmp_path / "focus.csv").write_text("\n".join(table))
        options = ("--aspect", "1:1", "--focus", "focus.csv")
        chosen = model.choose(samples / "cat.jpg", [(1, 1)], focus=focus)
        assert of_python(chosen) == of_command(cropper, samples / "cat.jpg", *options)
        assert chosen.choices[0].note == "focus given"


def test_weights_are_those_of_the_table_that_tune_writes(cropper: Command, samples: Path, tmp_path: Path) -> None:
    weights = {"place": 3, "across": 0.3}
    (tmp_path / "cropper.toml").write_text("[choosing]\nplace = 3\nacross = 0.3\n")
    learned = Cropper(weights=weights)
    for name in ("dogs.jpg", "wren.jpg"):
        rows = of_command(cropper, samples / name, "--aspect", "1:1", "--aspect", "9:16")
        assert of_python(learned.choose(samples / name, ASPECTS)) == rows
        assert of_python(Cropper().choose(samples / name, ASPECTS)) != rows


@pytest.mark.parametrize("weights", [{"plaice": 1}, {"place": -1}, {"place": float("nan")}, {"across": 2}, {"place": True}])
def test_wrong_weights_are_refused(weights: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"'{next(iter(weights))}' (is not one of|cannot be)"):
        Cropper(weights=weights)


FACE = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
xmlns:MP="http://ns.microsoft.com/photo/1.2/" xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#"
xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#"><rdf:Description><MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions>
<rdf:Bag><rdf:li MPReg:Rectangle="0.75, 0.2, 0.2, 0.4"/></rdf:Bag></MPRI:Regions></MP:RegionInfo></rdf:Description></rdf:RDF>
</x:xmpmeta>"""


def test_marked_faces_count_if_they_are_asked_for(model: Cropper, cropper: Command, tmp_path: Path) -> None:
    """Nothing is to be seen in this photo but what its XMP says."""
    photo = tmp_path / "marked.jpg"
    Image.new("RGB", (240, 160)).save(photo, xmp=FACE)
    faces: Asked = {"faces_from_metadata": True}
    shapes = ("--aspect", "1:1", "--aspect", "9:16")
    chosen = model.choose(photo, ASPECTS, **faces)
    assert of_python(chosen) == of_command(cropper, photo, *shapes, "--faces-from-metadata")
    assert of_python(model.choose(photo, ASPECTS)) == of_command(cropper, photo, *shapes)
    assert chosen.boxes[0].x > model.box(photo, (1, 1)).x
    (each,) = model.each([photo.read_bytes()], ASPECTS, **faces)
    assert each.boxes == chosen.boxes
    assert model.crop(photo, aspect=(1, 1), **faces).shape == (160, 160, 3)


def test_turned_and_transparent_files_are_as_in_the_command(model: Cropper, cropper: Command, turned: Path, rgba: Path) -> None:
    for photo in (turned, rgba):
        assert of_python(model.choose(photo, ASPECTS)) == of_command(cropper, photo, "--aspect", "1:1", "--aspect", "9:16")
    upright = model.choose(turned, ASPECTS)
    assert (upright.width, upright.height) == (451, 300)


def forms(path: Path) -> Iterator[tuple[str, Photo]]:
    data = path.read_bytes()
    yield "str", str(path)
    yield "bytes", data
    yield "bytearray", bytearray(data)
    yield "memoryview", memoryview(data)
    yield "stream", io.BytesIO(data)
    yield "image", Image.open(path)


def test_every_form_of_a_photo_gives_the_same_boxes(model: Cropper, turned: Path, rgba: Path, samples: Path) -> None:
    for path in (turned, rgba, samples / "hibiscus.png"):
        expected = model.choose(path, ASPECTS)
        for name, photo in forms(path):
            chosen = model.choose(photo, ASPECTS)
            assert chosen.boxes == expected.boxes, name
            assert (chosen.width, chosen.height) == (expected.width, expected.height)
        with path.open("rb") as file:
            assert model.boxes(file, ASPECTS) == expected.boxes


def test_every_kind_of_array_gives_the_box_of_its_8_bits(model: Cropper, samples: Path, rgba: Path) -> None:
    bgr = imread(str(samples / "cat.jpg"))
    grey = bgr[..., 1]
    expected, of_grey = model.box(bgr, (1, 1)), model.box(np.dstack([grey] * 3), (1, 1))
    deep, floats = bgr.astype(np.uint16) * 257, bgr / 255
    for array in (deep, deep.astype(">u2"), floats, floats.astype(np.float32), bgr[::-1][::-1]):
        assert model.box(array, (1, 1)) == expected, array.dtype
    for array in (grey, grey[..., None], grey.astype(np.uint16) * 257, grey / np.float32(255)):
        assert model.box(array, (1, 1)) == of_grey, array.shape
    assert model.box(grey > 128, (1, 1)) == model.box(np.where(grey > 128, 255, 0).astype(np.uint8), (1, 1))
    cut_out = np.asarray(Image.open(rgba))[..., [2, 1, 0, 3]]
    assert model.box(cut_out, (1, 1)) == model.box(rgba, (1, 1))
    assert model.box(cut_out, (1, 1)) != model.box(cut_out[..., :3], (1, 1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "La", "CMYK", "YCbCr", "HSV", "LAB"])
def test_every_mode_of_pillow_that_has_colours_is_taken(model: Cropper, samples: Path, mode: str) -> None:
    with Image.open(samples / "cat.jpg") as opened:
        rgb = opened.convert("RGB").resize((120, 80))
    if mode == "LAB":
        from PIL import ImageCms

        lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        image = ImageCms.applyTransform(rgb, lab)
        assert image is not None
    else:
        between = {"RGBa": "RGBA", "La": "LA", "PA": "P"}.get(mode)
        image = (rgb.convert(between) if between else rgb).convert(mode)
    pixels = model.crop(image, aspect=(3, 2))
    assert pixels.shape == (80, 120, 4 if mode in ("LA", "PA", "RGBA", "RGBa", "La") else 3)
    expected = np.asarray(rgb.convert("L").convert("RGB") if mode in ("L", "LA", "La") else rgb)[..., ::-1]
    if mode != "1":
        assert np.abs(pixels[..., :3].astype(int) - expected).mean() < 25  # a palette and inks have few colours


def test_16_bits_and_floats_of_pillow_go_over_their_whole_range(model: Cropper, samples: Path) -> None:
    with Image.open(samples / "cat.jpg") as opened:
        grey = np.asarray(opened.convert("L"))
    expected = model.crop(grey, aspect=(1, 1))
    np.testing.assert_array_equal(model.crop(Image.fromarray(grey.astype(np.uint16) * 257), aspect=(1, 1)), expected)
    np.testing.assert_array_equal(model.crop(Image.fromarray(grey / np.float32(255)), aspect=(1, 1)), expected)


def test_an_image_is_turned_as_its_file_unless_it_has_been(model: Cropper, turned: Path) -> None:
    from PIL import ImageOps

    with Image.open(turned) as stored:
        image = stored.copy()
    upright = ImageOps.exif_transpose(image)
    assert model.box(image, (1, 1)) == model.box(upright, (1, 1)) == model.box(turned, (1, 1))
    assert image.size == (300, 451)  # it is left as it is


WRONG: list[tuple[Any, str]] = [
    (None, "an object of type NoneType is not a photo"),
    ([1, 2], "of type list is not a photo"),
    (io.StringIO("x"), "open as text"),
    (b"", "empty"),
    (b"no photo at all, but long enough", "not an image"),
    (np.zeros((3, 40, 50), np.uint8), "moveaxis"),
    (np.zeros((2, 40, 50, 3), np.uint8), "one photo at a time"),
    (np.zeros((40, 50, 3), np.int32), "int32 does not say how bright white is"),
    (np.full((40, 50, 3), 200.0), "divide it by 255"),
    (np.full((40, 50, 3), -1.0), "scale it to 0..1"),
    (np.full((40, 50, 3), 4000.0), "scale it to 0..1"),
    (np.full((40, 50), np.nan), "NaN"),
    (np.full((40, 50), np.inf), "from inf to inf"),
    (Image.new("I", (4, 4)), "mode I has 32 bits"),
    (Image.new("F", (4, 4), 255.0), "divide it by 255"),
    (Image.new("RGB", (0, 4)), "no pixels"),
    ("no/such.jpg", "no/such.jpg: cannot be read"),
]


@pytest.mark.parametrize(("photo", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_is_no_photo_is_one_line_that_says_what_to_do(model: Cropper, photo: Any, words: str) -> None:
    with pytest.raises(PhotoError) as raised:
        model.choose(photo)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    (failed,) = model.each([photo])
    assert (failed.error is not None, failed.choices, failed.density) == (True, (), None)


def test_a_truncated_image_is_refused_and_a_damaged_file_salvaged(model: Cropper, samples: Path, tmp_path: Path) -> None:
    data = (samples / "dogs.jpg").read_bytes()[:40_000]
    (tmp_path / "half.jpg").write_bytes(data)
    for photo in (data, Image.open(tmp_path / "half.jpg")):
        with pytest.raises(PhotoError, match="truncated or damaged"):
            model.choose(photo)
    chosen = Cropper(salvage=True).choose(data)
    assert chosen.salvaged
    with pytest.raises(PhotoError, match=r"more pixels .*max_pixels=\.\.\."):
        Cropper(max_pixels=1000).choose(samples / "dogs.jpg")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"zoom": "much"}, "zoom is 'much'"),
        ({"zoom": 0}, "zoom is 0"),
        ({"zoom": 1.5}, "zoom is 1.5"),
        ({"zoom": float("nan")}, "zoom is nan"),
        ({"margin": 0.1}, "add zoom='auto'"),
        ({"zoom": "auto", "margin": 0.5}, "margin is 0.5"),
        ({"zoom_keep": 0.5}, "add zoom='auto'"),
        ({"min_kept": 0}, "min_kept is 0"),
        ({"whole": "cats"}, "heads, subject"),
        ({"otherwise": "crop"}, "pad, center, keep, skip"),
        ({"aspects": [(16, 9.5)]}, "two whole numbers"),
        ({"aspects": (16, 9)}, "16 is not an aspect"),
        ({"sizes": [(0, 9)]}, "no area"),
        ({"focus": (1,)}, "neither a point nor a box"),
        ({"focus": (1, 2, 0, 4)}, "neither a point nor a box"),
        ({"focus": 5}, "neither a point nor a box"),
    ],
)
def test_what_makes_no_sense_is_said_before_the_photo_is_opened(model: Cropper, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        model.choose("no/such.jpg", **asked)


def test_what_nobody_knows_is_a_type_error_and_a_focus_outside_a_photo_error(model: Cropper, samples: Path) -> None:
    unknown: Any = {"zom": "auto"}
    with pytest.raises(TypeError, match="'zom'"):
        model.box(samples / "cat.jpg", (1, 1), **unknown)
    for photo in (samples / "cat.jpg", imread(str(samples / "cat.jpg"))):
        with pytest.raises(PhotoError, match=r"not inside the photo of 451x300; give one that is inside it$"):
            model.box(photo, (1, 1), focus=(900, 1))
    with pytest.raises(UsageError, match="both"):
        model.box(samples / "cat.jpg", (1, 1), (20, 20))
    with pytest.raises(UsageError, match="at least 1"):
        model.each([], jobs=0)


def test_a_thumbnail_is_that_of_the_command(model: Cropper, cropper: Command, samples: Path, rgba: Path, tmp_path: Path) -> None:
    for photo in (samples / "dogs.jpg", rgba):
        for asked, options in (
            ({}, ()),
            ({"zoom": "auto"}, ("--zoom", "auto")),
            ({"min_kept": 1.0, "pad_with": "red"}, ("--min-kept", "1", "--pad-with", "red")),
        ):
            wanted: Any = asked
            assert cropper("crop", photo, "--size", "120x120", "--enlarge", "-o", "t.png", *options)[0] == 0
            made = np.asarray(Image.open(tmp_path / "t.png"))
            pixels = model.crop(photo, (120, 120), **wanted)
            np.testing.assert_array_equal(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]], made)


def test_a_small_photo_is_enlarged_unless_that_is_not_wanted(model: Cropper, make_photo: MakePhoto, tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "small.png", 96, 64)
    assert model.crop(photo, (640, 360)).shape == (360, 640, 3)
    assert model.crop(photo).shape == (360, 640, 3)
    assert model.crop(photo, (640, 360), enlarge=False).shape == (54, 96, 3)
    assert model.crop(photo, aspect=(1, 1)).shape == (64, 64, 3)
    with pytest.raises(PhotoError, match="skipped"):
        model.crop(photo, (64, 8), min_kept=1.0, otherwise="skip")
    with pytest.raises(UsageError, match="pad_with"):
        model.crop(photo, (640, 360), pad_with="no colour")


def test_fast_decodes_less_and_chooses_nearly_the_same(model: Cropper, samples: Path) -> None:
    with Image.open(samples / "dogs.jpg") as image:
        file = io.BytesIO()
        image.resize((3464, 5200)).save(file, "JPEG")
    slow, fast = (model.choose(file.getvalue(), ASPECTS, fast=fast) for fast in (False, True))
    assert (fast.width, fast.height) == (slow.width, slow.height) == (3464, 5200)
    for one, other in zip(slow.boxes, fast.boxes, strict=True):
        assert (one.width, one.height) == (other.width, other.height)
        assert abs(one.x - other.x) + abs(one.y - other.y) < 100


@pytest.mark.parametrize("jobs", [1, 3])
def test_many_photos_give_what_each_gives_and_one_bad_one_costs_itself(model: Cropper, samples: Path, jobs: int) -> None:
    photos: list[Photo] = [*sorted(samples.glob("*.jpg")), b"no photo", imread(str(samples / "cat.jpg")), "gone.jpg"]
    found = list(model.each(photos, ASPECTS, jobs=jobs, zoom="auto"))
    assert all(one.photo is photo for one, photo in zip(found, photos, strict=True))
    assert [one.error is not None for one in found] == [False] * (len(photos) - 3) + [True, False, True]
    for one in found:
        if one.error is None:
            alone = model.choose(one.photo, ASPECTS, zoom="auto")
            assert one.choices == alone.choices
            assert one.density is not None
            np.testing.assert_array_equal(one.density, alone.density)


@pytest.mark.parametrize(("jobs", "ahead"), [(1, 1), (2, 4)])
def test_many_photos_are_taken_lazily(model: Cropper, jobs: int, ahead: int) -> None:
    taken = 0

    def endless() -> Iterator[NDArray[np.uint8]]:
        nonlocal taken
        while True:
            taken += 1
            yield np.full((40, 60, 3), taken, np.uint8)

    found = model.each(endless(), [(1, 1)], jobs=jobs)
    assert taken == 0
    for count in range(1, 6):
        assert next(found).boxes[0].width == 40
        assert taken <= count - 1 + ahead
    del found


def test_threads_may_share_a_cropper_for_all_it_does(model: Cropper, samples: Path) -> None:
    paths = sorted(samples.glob("*.jpg"))[:4]

    def all_of(path: Path) -> tuple[list[Box], bytes, bytes]:
        return model.boxes(path, ASPECTS), model.crop(path, (60, 60)).tobytes(), model.saliency(path).tobytes()

    alone = [all_of(path) for path in paths]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(all_of, paths * 2)) == alone * 2


def test_a_box_has_its_edges_as_fractions(model: Cropper, samples: Path) -> None:
    box = Box(10, 20, 30, 60, 0.5, (20, 30))
    assert box.fractions(100, 80) == (0.1, 0.25, 0.4, 1.0)
    assert box.fractions(100, 80).right == 0.4
