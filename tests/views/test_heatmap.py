"""What a person sees on the picture."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cropper.choosing.view import Maps
from cropper.geometry import Box
from cropper.views import heatmap
from cropper.views.heatmap import colour_of, draw, half_blocks, relative_heat, with_legend, words_of
from cropper.views.outlines import draw_outlines, outlines_of, outlines_svg

FLAT = np.full((8, 12), 1 / 96)


def only(density: NDArray[np.float64]) -> Maps:
    return Maps(density.astype(np.float32))


def peaked(row: int = 2, column: int = 9) -> np.ndarray:
    """A density with one round subject, on even ground."""
    y, x = np.mgrid[0:8, 0:12]
    density = np.exp(-((x - column) ** 2 + (y - row) ** 2) / 2) + 0.01
    return density / density.sum()


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    """Grey in fine stripes, so that what is hidden can be told."""
    pixels = np.full((240, 360, 3), 90, np.uint8)
    pixels[:, ::4] = pixels[:, 1::4] = 170
    return pixels


def test_heat_is_highest_where_people_look_and_none_where_they_do_not() -> None:
    heat = relative_heat(peaked(), 360, 240)
    assert heat.shape == (240, 360)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert abs(row - 75) <= 15
    assert abs(column - 285) <= 15
    assert heat.max() == pytest.approx(1, abs=0.01)
    assert heat[200:, :100].max() == 0


def test_a_second_subject_shows_beside_the_first() -> None:
    density = peaked(2, 2) + 0.2 * peaked(5, 9)
    heat = relative_heat(density / density.sum(), 360, 240)
    assert heat[165, 285] > 0.3


def test_flat_and_nearly_flat_densities_are_not_blown_up() -> None:
    noise = FLAT * (1 + 0.02 * np.random.default_rng(0).random(FLAT.shape))
    assert relative_heat(FLAT, 360, 240).max() < 0.01
    assert relative_heat(noise / noise.sum(), 360, 240).max() < 0.2


def test_without_heat_the_photo_is_only_paler(photo: NDArray[np.uint8]) -> None:
    photo[:, :, 2] += 40
    picture = draw(photo, only(FLAT), [])
    grey = cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)
    assert np.abs(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(int) - grey).max() <= 2
    assert np.ptp(picture.astype(int), axis=2).mean() < np.ptp(photo.astype(int), axis=2).mean()


def test_heat_colours_the_subject_but_does_not_hide_it(photo: NDArray[np.uint8]) -> None:
    picture = draw(photo, only(peaked()), []).astype(int)
    hot = picture[71:79, 281:289]
    assert (hot[:, :, 2] - hot[:, :, 0]).min() > 40  # red well above blue, where the photo is grey
    stripes, before = (np.ptp(cv2.cvtColor(image.astype(np.uint8), cv2.COLOR_BGR2GRAY), axis=1).mean() for image in (hot, photo))
    assert stripes > 0.3 * before


def test_colours_of_heat_are_perceptually_even() -> None:
    ramp = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], heatmap._COLOUR_MAP)
    lightness = cv2.cvtColor(ramp.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)[0, :, 0]
    steps = np.diff(lightness[::16])
    assert steps.min() > 0
    assert steps.max() < 3 * steps.min()


def box(x: int, y: int, width: int, height: int, kept: float = 0.5) -> Box:
    return Box(x, y, width, height, kept, (x + width // 2, y + height // 2))


def seen(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Where on a picture a colour is, as rows and columns."""
    return np.argwhere((picture == colour).all(axis=2))


def test_each_box_and_focus_is_drawn_in_its_own_colour(photo: NDArray[np.uint8]) -> None:
    first, second = box(10, 20, 100, 150), box(150, 40, 200, 60)
    picture = draw(photo, only(FLAT), [("a", first), ("b", second)])
    for number, drawn in enumerate((first, second)):
        places = seen(picture, colour_of(number))
        top, left = places.min(axis=0)
        bottom, right = places.max(axis=0)
        edges = (left - drawn.x, top - drawn.y, drawn.x + drawn.width - 1 - right, drawn.y + drawn.height - 1 - bottom)
        assert all(0 <= inset <= 4 for inset in edges)
        focus = np.abs(places - (drawn.focus[1], drawn.focus[0])).max(axis=1)
        assert focus.min() <= 4, number


def test_boxes_that_share_their_sides_are_all_seen(photo: NDArray[np.uint8]) -> None:
    boxes = [(str(number), box(0, 0, 360, 240)) for number in range(4)]
    picture = draw(photo, only(FLAT), boxes)
    for number in range(4):
        assert len(seen(picture, colour_of(number))) > 2 * (360 + 240) * 0.9


def test_box_colours_differ_from_each_other_and_from_the_heat() -> None:
    colours = [colour_of(number) for number in range(5)]
    heat = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], heatmap._COLOUR_MAP)[0].astype(int)
    for number, colour in enumerate(colours):
        assert np.abs(heat - colour).sum(axis=1).min() > 60
        assert all(np.abs(np.subtract(colour, other)).sum() > 100 for other in colours[:number])
    assert colour_of(5) == colour_of(0)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 59), st.integers(0, 59), st.integers(1, 60), st.integers(1, 60))
def test_boxes_of_any_size_can_be_drawn_on_pictures_of_any_size(
    height: int, width: int, x: int, y: int, box_width: int, box_height: int
) -> None:
    x, y = min(x, width - 1), min(y, height - 1)
    boxes = [("a", box(x, y, min(box_width, width - x), min(box_height, height - y)))] * 7
    assert draw(np.zeros((height, width, 3), np.uint8), only(FLAT), boxes).shape == (height, width, 3)


@pytest.mark.parametrize(("width", "height"), [(900, 900), (1600, 160), (160, 1600), (500, 900)])
def test_the_legend_lies_below_the_photo_whatever_its_shape(width: int, height: int) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    picture = with_legend(drawn, only(peaked()), [("640x360", box(0, 0, 100, 100))])
    margin = (picture.shape[1] - width) // 2
    np.testing.assert_array_equal(picture[:height, margin : margin + width], drawn)
    assert picture.shape[1] >= 480
    assert 50 < picture.shape[0] - height < 200


def test_the_legend_has_the_heats_colours_in_order() -> None:
    picture = with_legend(np.zeros((10, 900, 3), np.uint8), only(peaked()), [])[10:]
    bar = max(picture, key=lambda line: int(np.ptp(line.astype(int), axis=1).sum()))  # the most colourful row
    coloured = bar[np.argmax(bar[:, 2] == 80) :][:600].astype(int)
    redness = coloured[:, 2] - coloured[:, 0]
    assert redness[:10].max() < 10
    assert redness[300] < redness[-40]


@pytest.mark.parametrize("number", [1, 5, 12])
def test_the_legend_names_every_box_within_its_width(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr(heatmap, "_write", lambda strip, words, x, middle, scale: written.append((id(strip), words, x, scale)))
    boxes = [(f"{n}:1", box(0, 0, 10, 10, kept=n / 20)) for n in range(number)]
    picture = with_legend(np.zeros((10, 600, 3), np.uint8), only(peaked()), boxes)
    keys = [entry for entry in written if "keeps" in entry[1]]
    assert [words for _, words, _, _ in keys] == [words_of(*labelled) for labelled in boxes]
    for strip, words, x, scale in keys:
        right = x + heatmap._text_width(words, scale)
        assert right <= 600
        assert not any(s == strip and x < other <= right for s, _, other, _ in keys)  # no words on other words
    for labelled in range(min(number, 5)):
        assert len(seen(picture, colour_of(labelled)))


def test_a_legend_tells_how_dense_the_hottest_colour_is(monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr(heatmap, "_write", lambda strip, words, x, middle, scale: written.append((words, x)))
    density = peaked()
    with_legend(np.zeros((10, 900, 3), np.uint8), only(density), [])
    ticks = [(words, x) for words, x in written if re.fullmatch(r"\d+x", words)]
    assert ticks[0][0] == "1x"
    assert ticks[-1][0] == f"{density.max() * density.size:.0f}x"
    assert [x for _, x in ticks] == sorted(x for _, x in ticks)


def test_words_say_what_a_box_keeps() -> None:
    assert words_of("16:9", box(0, 0, 1, 1, kept=0.634)) == "16:9 keeps 63%"


@pytest.mark.parametrize("height", [6, 7])
def test_half_blocks_carry_every_pixel(height: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (height, 5, 3), np.uint8)
    lines = half_blocks(picture).split("\n")
    assert len(lines) == (height + 1) // 2
    rows = []
    for line in lines:
        assert line.endswith("\x1b[0m")
        cells = np.array(re.findall(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m\u2580", line), int)
        rows += [cells[:, 2::-1], cells[:, :2:-1]]
    np.testing.assert_array_equal(np.array(rows)[:height], picture)


def test_a_caption_says_what_a_box_cuts() -> None:
    whole = Box(0, 0, 10, 10, 0.9, (5, 5), 0.96, 0)
    assert words_of("1:1", whole) == "1:1 keeps 90%"
    assert words_of("1:1", Box(0, 0, 10, 10, 0.9, (5, 5), 0.62, 1)) == "1:1 keeps 90%, cuts 1 head, shows 62% of the subject"
    assert words_of("1:1", Box(0, 0, 10, 10, 0.9, (5, 5), 1.0, 2)) == "1:1 keeps 90%, cuts 2 heads"


def test_outlines_run_along_the_edges_of_the_masks(photo: NDArray[np.uint8]) -> None:
    subject, head = np.zeros((8, 12), np.float32), np.zeros((8, 12), np.float32)
    subject[3:6, 2:8], head[1:3, 4:6] = 1, 1
    maps = Maps(FLAT.astype(np.float32), subject, head)
    picture = photo.copy()
    draw_outlines(picture, maps, 2)
    changed = (picture != photo).any(axis=2)
    assert changed[3 * 30 - 8 : 3 * 30 + 9, 100:110].any(axis=0).all()
    assert not changed[4 * 30 : 5 * 30, 3 * 30 : 7 * 30].any()
    assert not changed[:, 9 * 30 :].any()
    for _, name, colour in outlines_of(maps):
        assert (picture == colour).all(axis=2).sum() > 50, name
    legend = with_legend(picture, maps, [])[len(picture) :]
    for _, name, colour in outlines_of(maps):
        assert (legend == colour).all(axis=2).any(), name


def test_outlines_as_an_svg_stretch_over_the_photo() -> None:
    subject = np.zeros((8, 12), np.float32)
    subject[3:6, 2:8] = 1
    root = ElementTree.fromstring(outlines_svg(Maps(FLAT.astype(np.float32), subject, np.zeros_like(subject))))
    assert root.get("viewBox") == "0 0 12 8"
    assert root.get("preserveAspectRatio") == "none"
    points = re.findall(r"([\d.]+),([\d.]+)", root.findall("{*}path")[1].get("d") or "")
    xs, ys = ([float(point[axis]) for point in points] for axis in (0, 1))
    assert (min(xs), max(xs), min(ys), max(ys)) == pytest.approx((2, 8, 3, 6), abs=0.4)


def test_what_no_box_shows_is_darker(photo: NDArray[np.uint8]) -> None:
    box = Box(120, 60, 90, 90, 0.5, (160, 100))
    without, drawn = draw(photo, only(FLAT), []).astype(int), draw(photo, only(FLAT), [("1:1", box)]).astype(int)
    assert drawn[:40].mean() < 0.5 * without[:40].mean()
    inside = np.s_[120:140, 180:200]  # clear of the lines
    np.testing.assert_array_equal(drawn[inside], without[inside])
