"""What the web is told of a box: a browser that does as told shows the box, and a IIIF server cuts it out."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropper.geometry import Box, largest_size, placed
from cropper.ledger.shares import Shares, fit_of, object_position, shape_of, shares_of
from cropper.ledger.table import Row, decided_row, failed_row
from cropper.settings import DONE, Fit

SIDES, SHAPES = st.integers(1, 9000), st.integers(1, 40)
Place = tuple[int, int, int, int]


def cover(image: tuple[int, int], element: tuple[int, int], position: str) -> list[tuple[Fraction, Fraction]]:
    """What a browser shows of an image with ``object-fit: cover``: where it begins and how long it is, across and down, in the
    image's pixels. A percentage is a share of the element's side less the scaled image's (CSS Backgrounds 3, 3.6).
    """
    shares = [Fraction(word) / 100 for word in re.findall(r"([0-9.]+)%", position)]
    scale = max(Fraction(element[0], image[0]), Fraction(element[1], image[1]))
    begins = [(element[axis] - image[axis] * scale) * shares[axis] for axis in (0, 1)]
    return [(-begins[axis] / scale, element[axis] / scale) for axis in (0, 1)]


@given(st.data(), SIDES, SIDES, SHAPES, SHAPES)
def test_cover_shows_the_largest_box_of_a_shape_to_a_pixel(
    data: st.DataObject, width: int, height: int, across: int, down: int
) -> None:
    image, aspect = (width, height), (across, down)
    size = largest_size(*image, aspect)
    x, y = data.draw(st.integers(0, width - size[0])), data.draw(st.integers(0, height - size[1]))
    position = object_position((x, y, *size), (x, y), image, aspect)
    for (begin, length), corner, side in zip(cover(image, (10 * across, 10 * down), position), (x, y), size, strict=True):
        assert abs(begin - corner) <= 1.5  # the box is rounded to whole pixels, and the percentage to two digits
        assert abs(begin + length - corner - side) <= 1.5


@given(st.data(), SIDES, SIDES, SHAPES, SHAPES)
def test_cover_shows_all_of_a_closer_box(data: st.DataObject, width: int, height: int, across: int, down: int) -> None:
    image, aspect = (width, height), (across, down)
    most = largest_size(*image, aspect)
    size = data.draw(st.integers(1, most[0])), data.draw(st.integers(1, most[1]))
    centre = data.draw(st.floats(0, width)), data.draw(st.floats(0, height))
    x, y, *_ = placed(centre, size, image)
    position = object_position((x, y, *size), (x, y), image, aspect)
    for (begin, length), corner, side in zip(cover(image, aspect, position), (x, y), size, strict=True):
        assert begin - 1.5 <= corner
        assert corner + side <= begin + length + 1.5


@given(st.data(), SIDES, SIDES, SHAPES, SHAPES)
def test_cover_shows_the_focus_of_a_photo_that_is_padded(
    data: st.DataObject, width: int, height: int, across: int, down: int
) -> None:
    image = width, height
    focus = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    position = object_position((0, 0, *image), focus, image, (across, down))
    for (begin, length), point in zip(cover(image, (across, down), position), focus, strict=True):
        assert begin - 1 <= point + 0.5 <= begin + length + 1


def test_an_axis_without_freedom_stays_in_the_middle() -> None:
    assert object_position((0, 100, 400, 225), (9, 9), (400, 300), (16, 9)) == "50% 100%"
    assert object_position((0, 0, 400, 300), (9, 9), (400, 300), (4, 3)) == "50% 50%"
    assert object_position((75, 0, 300, 300), (9, 9), (400, 300), (1, 1)) == "75% 50%"


@given(st.data(), SIDES, SIDES)
def test_shares_give_back_the_pixels(data: st.DataObject, width: int, height: int) -> None:
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    across, down = data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
    focus = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    found = shares_of(decided_row("a.jpg", "a.jpg", "ok", (width, height), "1:1", Box(x, y, across, down, 0.5, focus)))
    assert found is not None
    assert [round(found.left * width), round(found.top * height)] == [x, y]
    assert [round(found.right * width), round(found.bottom * height)] == [x + across, y + down]
    assert [int(found.focus_left * width), int(found.focus_top * height)] == list(focus)
    region = [Fraction(number) / 100 for number in found.iiif_region.removeprefix("pct:").split(",")]
    pixels = [round(share * side) for share, side in zip(region, (width, height) * 2, strict=True)]
    assert pixels == [x, y, across, down]


def test_numbers_are_short_and_a_row_without_a_box_has_none() -> None:
    row = decided_row("a.jpg", "a.jpg", "ok", (400, 300), "16:9", Box(0, 75, 400, 225, 0.5, (199, 99)))
    assert shares_of(row) == Shares(0.0, 0.25, 1.0, 1.0, 0.49875, 0.331667, "50% 100%", "pct:0,25,100,75")
    assert shares_of(failed_row("a.jpg", "16:9", "no image")) is None


@pytest.mark.parametrize(
    ("label", "shape"),
    [("640x360", ((640, 360), (640, 360))), ("16:9", ((16, 9), None)), ("16:9@320", ((16, 9), None))],
)
def test_a_label_says_the_shape(label: str, shape: object) -> None:
    assert shape_of(label) == shape


@pytest.mark.parametrize("fit", DONE)
def test_a_message_says_how_a_photo_fills_its_shape(fit: Fit) -> None:
    row = Row("a.jpg", "a.jpg", "ok")
    assert fit_of(replace(row, message=f"{DONE[fit]}: no crop keeps 0.9, the best keeps 0.5")) is fit
    assert fit_of(replace(row, message="focus given")) is Fit.CROP
