"""The user's word: how it is read, and what box it makes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from fixtures import write_rows
from hypothesis import given
from hypothesis import strategies as st

from cropper import PhotoError, UsageError
from cropper.choosing.focus import Focus, around
from cropper.choosing.view import Maps, view_of
from cropper.geometry import Box, largest_size
from cropper.ledger.focus_file import Gifts, read_focus_file
from cropper.ledger.given import Given, given_for
from cropper.ledger.table import decided_row, failed_row
from cropper.settings import Target

SIZE, SQUARE = Target((640, 360), (640, 360)), Target((1, 1))
EVEN = view_of(Maps(np.ones((3, 4), np.float32)))
SIDES = st.integers(2, 5000)
ASPECTS = st.tuples(st.integers(1, 20), st.integers(1, 20))


def table(folder: Path, text: str) -> Path:
    path = folder / "focus.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def test_points_and_boxes_are_read_by_path_and_size(tmp_path: Path) -> None:
    text = (
        "\ufeffnote,size,path,x,y,width,height\r\n"
        "mine,,a.jpg,10,20,,\r\n"
        ',1:1,a.jpg,1,2,30,40\r\n,,"b, ""c"".jpg", 7 ,8,9,10\r\n,,caf\udce9.jpg,0,0,,\r\n'
    )
    gifts = Gifts.of_file(table(tmp_path, text))
    assert given_for(gifts.of("a.jpg"), (SIZE,)) == (Given(10, 20),)
    assert given_for(gifts.of("a.jpg"), (SQUARE,)) == (Given(1, 2, 30, 40),)
    assert given_for(gifts.of('b, "c".jpg'), (SQUARE,)) == (Given(7, 8, 9, 10),)
    assert given_for(gifts.of("caf\udce9.jpg"), (SQUARE,)) == (Given(0, 0),)
    assert given_for(gifts.of("d.jpg"), (SQUARE,)) == (None,)


def test_a_row_without_numbers_takes_back_what_was_given(tmp_path: Path) -> None:
    gifts = Gifts.of_file(table(tmp_path, "path,size,x,y\na,1:1,1,2\na,,3,4\nb,1:1,1,2\nb,,3,4\na,1:1,,\nb,,,\n"))
    assert gifts.of("a") == {"": Given(3, 4)}
    assert gifts.of("b") == {}


def test_a_later_file_adds_and_wins() -> None:
    gifts = Gifts.of_rows([("a", "1:1", Given(1, 2)), ("b", "", Given(3, 4))])
    gifts.settle("b", (80, 60))
    gifts.add([("a", "", Given(5, 6)), ("b", "", Given(3, 4)), ("c", "", Given(7, 8))], 2)
    assert gifts.of("a") == {"": Given(5, 6)}
    assert gifts.of("b") == {"": Given(3, 4, image=(80, 60))}  # the same again: still for the photo that was read
    assert gifts.of("c") == {"": Given(7, 8)}
    gifts.add([("b", "", Given(3, 5))], 3)
    assert gifts.of("b") == {"": Given(3, 5)}


def test_a_file_with_a_wrong_line_gives_nothing_at_all(tmp_path: Path) -> None:
    gifts = Gifts.of_rows([("a", "", Given(1, 2))])
    with pytest.raises(UsageError, match="line 3 of the focus file"):
        gifts.add(read_focus_file(table(tmp_path, "path,x,y\na,3,4\nb,x,y\n")), 2)
    assert gifts.of("a") == {"": Given(1, 2)}


def test_a_ledger_fixes_what_was_decided(tmp_path: Path) -> None:
    box = Box(10, 0, 640, 480, 0.8, (300, 200))
    rows = [decided_row("a.jpg", "a.jpg", "ok", (800, 480), "4:3", box), failed_row("b.jpg", "4:3", "no image")]
    write_rows(tmp_path / "boxes.csv", rows)
    assert list(read_focus_file(tmp_path / "boxes.csv")) == [("a.jpg", "4:3", Given(10, 0, 640, 480))]


def test_points_alone_need_three_columns_and_the_last_row_counts(tmp_path: Path) -> None:
    assert Gifts.of_file(table(tmp_path, "path,x,y\na.jpg,1,2\na.jpg,3,4\n")).of("a.jpg") == {"": Given(3, 4)}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no column path, x or y; begin it with the line path,x,y"),
        ("path,x\na.jpg,1\n", "no column y"),
        ("path,x,y\na.jpg,1,1.5\n", "has '1.5' for y, which is more than all of the photo; pixels are whole numbers"),
        ("path,x,y\na.jpg,-5%,1\n", "has '-5%' for x, which is not a whole number, nor a share as in 0.5 or 50%"),
        ("path,x,y,width,height\na.jpg,1,2,0.0,5\n", "line 2 of the focus file has a box without area"),
        ("path;x;y\na.jpg;1;1\n", "has semicolons between its columns; save it with commas"),
        ("path\tx\ty\n", "has tabs between its columns"),
        ("path,x,y\na.jpg,1,two\n", "line 2 of the focus file has 'two' for y, which is not a whole number"),
        ("path,x,y\na.jpg,1,2\n,3,4\n", "line 3 of the focus file names no photo"),
        ("path,x,y\na.jpg,1\n", "line 2 of the focus file has '' for y"),
        ("path,x,y,width,height\na.jpg,1,2,3,\n", "line 2 of the focus file has a width or a height alone"),
        ("path,x,y,width,height\na.jpg,1,2,0,5\n", "line 2 of the focus file has a box without area"),
    ],
)
def test_what_is_no_focus_file_is_wrong_usage_and_the_line_is_named(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        list(read_focus_file(table(tmp_path, text)))
    assert why in str(caught.value)
    assert "focus.csv" in str(caught.value)


def test_shares_and_pixels_stand_beside_each_other_and_last(tmp_path: Path) -> None:
    text = "path,x,y,width,height\na,0.5,25%,,\nb,1,1,,\nc,1.0,100%,,\nd,.25,10,50 %,20\n"
    gifts = Gifts.of_file(table(tmp_path, text))
    assert gifts.of("a") == {"": Given(0.5, 0.25)}
    assert gifts.of("a")[""].in_pixels((200, 100)) == (100, 25, None, None)
    assert gifts.of("b")[""].in_pixels((200, 100)) == (1, 1, None, None)
    assert gifts.of("c")[""].in_pixels((200, 100)) == (199, 99, None, None)
    assert gifts.of("d")[""].in_pixels((200, 100)) == (50, 10, 100, 20)
    assert gifts.copied().of("c") == gifts.of("c")


@given(st.data(), SIDES, SIDES)
def test_a_box_in_shares_is_in_the_photo_and_gives_back_its_pixels(data: st.DataObject, width: int, height: int) -> None:
    left, top = data.draw(st.floats(0, 1)), data.draw(st.floats(0, 1))
    across, down = data.draw(st.floats(1e-6, max(1e-6, 1 - left))), data.draw(st.floats(1e-6, max(1e-6, 1 - top)))
    x, y, wide, high = Given(left, top, across, down).in_pixels((width, height))
    assert wide is not None
    assert high is not None
    if left < 1 - 0.5 / width and left + across <= 1:
        assert 0 <= x < x + wide <= width
    if top < 1 - 0.5 / height and top + down <= 1:
        assert 0 <= y < y + high <= height
    again = Given(x / width, y / height, wide / width, high / height).in_pixels((width, height))
    assert again == (x, y, wide, high) or left + across > 1 or top + down > 1 or x == width or y == height
    point = min(x, width - 1), min(y, height - 1)
    assert Given((point[0] + 0.5) / width, (point[1] + 0.5) / height).in_pixels((width, height))[:2] == point


@given(st.data(), SIDES, SIDES, ASPECTS)
def test_around_a_point_lies_the_largest_box_that_is_nearest_to_it(
    data: st.DataObject, width: int, height: int, aspect: tuple[int, int]
) -> None:
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = around(Focus(x, y), EVEN, width, height, aspect)
    assert (box.width, box.height) == largest_size(width, height, aspect)
    assert box.focus == (x, y)
    assert box.x <= x < box.x + box.width
    assert box.y <= y < box.y + box.height
    if 0 < box.x < width - box.width:
        assert abs(box.x + box.width / 2 - (x + 0.5)) <= 0.5
    if 0 < box.y < height - box.height:
        assert abs(box.y + box.height / 2 - (y + 0.5)) <= 0.5


@given(st.data(), SIDES, SIDES, ASPECTS)
def test_a_box_of_the_aspect_stays_as_it_is_to_the_pixel(
    data: st.DataObject, width: int, height: int, aspect: tuple[int, int]
) -> None:
    largest = largest_size(width, height, aspect)
    across = data.draw(st.integers(1, largest[0]))
    down = min(height, max(1, round(across / Fraction(*aspect))))
    x, y = data.draw(st.integers(0, width - across)), data.draw(st.integers(0, height - down))
    box = around(Focus(x, y, across, down), EVEN, width, height, aspect)
    if abs(across - max(Fraction(1), down * Fraction(*aspect))) <= 1:
        assert (box.x, box.y, box.width, box.height) == (x, y, across, down)


@given(st.data(), SIDES, SIDES, ASPECTS)
def test_a_box_of_another_aspect_is_held_where_the_photo_has_room(
    data: st.DataObject, width: int, height: int, aspect: tuple[int, int]
) -> None:
    across, down = data.draw(st.integers(1, width)), data.draw(st.integers(1, height))
    x, y = data.draw(st.integers(0, width - across)), data.draw(st.integers(0, height - down))
    box = around(Focus(x, y, across, down), EVEN, width, height, aspect)
    assert 0 <= box.x <= width - box.width
    assert 0 <= box.y <= height - box.height
    largest = largest_size(width, height, aspect)
    assert box.width <= max(largest[0], across)
    assert box.height <= max(largest[1], down)
    if across < largest[0] and down < largest[1]:
        assert box.x <= x
        assert x + across <= box.x + box.width
        assert box.y <= y
        assert y + down <= box.y + box.height
    assert 0 <= box.kept <= 1


@pytest.mark.parametrize("given_word", [Focus(100, 5), Focus(-1, 5), Focus(5, 60), Focus(90, 5, 11, 10), Focus(5, 59, 1, 2)])
def test_what_is_not_in_the_photo_is_said_of_it(given_word: Focus) -> None:
    with pytest.raises(PhotoError, match="is not inside the photo of 100x60; give another one"):
        around(given_word, EVEN, 100, 60, (1, 1))
