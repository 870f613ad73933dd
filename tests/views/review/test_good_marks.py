"""Photos that a person calls good on the page: their boxes are exported and saved as theirs, and teach ``cropper tune``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fixtures import Command

pytest.importorskip("selenium", reason="selenium is not installed")
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from test_review_page import OPTIONS, SIZES, Page, chromium, made, page, rows_of  # type: ignore[import-not-found]  # noqa: F401

from cropper.choosing.decide import is_by_hand
from cropper.engine.corrections import corrected

FIELDS = ("x", "y", "width", "height")
COMMAND = """
    const sent = [];
    data.saves = true;
    send = async (rows) => { sent.push(...rows); return { photos: [] }; };
    saveChanges();
    return sent;
"""


def test_the_boxes_of_a_good_photo_are_exported_until_the_mark_is_undone(page: Page, made: Path) -> None:  # noqa: F811
    page.keys("e")
    assert page.said() == "There is nothing to export yet. Move a box or mark a photo good first."
    page.open("cat.jpg")
    page.keys("g")
    assert page.find("#export").text == "Export focus.csv (1)"
    rows = rows_of(made)
    wanted = [("cat.jpg", size, *(getattr(rows["cat.jpg", size], name) for name in FIELDS)) for size in SIZES]
    assert [tuple(row.values()) for row in page.focus_rows()] == wanted
    assert page.run("return [now(photos[0], photos[0].r[0]).edited, Object.keys(memory.edits)]") == [False, []]
    page.find("#undo").click()
    assert page.find("#export").text == "Export focus.csv"
    page.find("#redo").click()
    assert page.find("#export").text == "Export focus.csv (1)"
    page.find("#good").click()  # the button of a mark removes it
    assert page.said() == "Mark removed"
    assert page.find("#export").text == "Export focus.csv"


def test_a_box_that_is_moved_wins_over_a_good_one(page: Page, made: Path) -> None:  # noqa: F811
    page.open("trips/skyline_panorama.jpg")
    page.run("mark('good', current)")
    page.choose("1:1")
    page.keys("-")
    boxes = {row["size"]: [int(row[name]) for name in FIELDS] for row in page.focus_rows()}
    assert boxes == {size: page.box(size) for size in SIZES}
    page.keys("f")  # one point for all sizes
    assert [row["size"] for row in page.focus_rows()] == [""]


@pytest.mark.parametrize(
    "why",
    [
        "row.t = 'skipped'",
        "row.b = [0, 0, ...photo.n]; row.m = 'no good crop: padded'",
        "row.m = data.byHand",
        "delete row.b",
    ],
)
def test_a_row_without_a_crop_of_the_models_has_none_to_call_good(page: Page, why: str) -> None:  # noqa: F811
    page.open("cat.jpg")
    page.run(f"mark('good', current); for (const row of photo.r) {{ {why} }}")
    assert page.run("return photo.r.filter((row) => isGood(photo, row)).length") == 0


def test_good_boxes_are_saved(page: Page, made: Path) -> None:  # noqa: F811
    page.open("wren.jpg")
    page.run("mark('good', current)")
    rows = rows_of(made)
    wanted = [
        [page.run("return photo.i"), size, *(int(getattr(rows["wren.jpg", size], name)) for name in FIELDS)] for size in SIZES
    ]
    assert page.run(COMMAND) == wanted


def test_a_batch_keeps_them_to_a_pixel_and_tune_learns_from_them(
    chromium: webdriver.Chrome,  # noqa: F811
    made: Path,  # noqa: F811
    tmp_path: Path,
    cropper: Command,
) -> None:
    shutil.copytree(made / "in", tmp_path / "in")
    for arguments in (["batch", "in", "out", *OPTIONS], ["review", "out"]):
        assert cropper(*arguments)[0] in (0, 1)  # one photo is broken
    assert corrected(tmp_path / "out", frozenset()) == ([], [])
    opened = Page(chromium, tmp_path, tmp_path)
    opened.run("shown.forEach((photo, number) => mark('good', number))")
    opened.focus_rows()
    before = rows_of(tmp_path)
    paths = {path for path, _ in before if path != "broken.jpg"}
    cropper("batch", "in", "out", *OPTIONS, "--focus", "focus.csv")
    after = rows_of(tmp_path)
    assert [[getattr(row, name) for name in FIELDS] for row in after.values()] == [
        [getattr(row, name) for name in FIELDS] for row in before.values()
    ]
    assert {path for (path, _), row in after.items() if is_by_hand(row.message)} == paths
    assert {photo.path for photo in corrected(tmp_path / "out", frozenset())[0]} == paths
    # Other weights leave them alone.
    (tmp_path / "cropper.toml").write_text("[choosing]\nplace = 5\nacross = 0.0\n")
    cropper("batch", "in", "out", *OPTIONS)
    assert rows_of(tmp_path) == after
    assert cropper("review", "out")[0] in (0, 1)
    opened.load()
    opened.open("cat.jpg")
    opened.keys("g", "k")
    opened.find("#good").click()
    assert opened.said() == "Mark removed. Boxes by hand stay until you reset them."


@pytest.mark.parametrize(("height", "letters"), [(900, 28), (720, 40), (460, 14), (400, 28)])
def test_reset_is_in_view_whatever_the_size_of_letters(page: Page, height: int, letters: int) -> None:  # noqa: F811
    page.size(1280, height)
    page.load()
    page.open("trips/desert_hikers.jpg")
    page.run(f"for (const one of document.querySelectorAll('.panel *')) one.style.fontSize = '{letters}px'")
    page.keys("-")
    page.find("#reset").click()  # the driver scrolls to what it clicks
    assert page.run("return memory.edits") == {}
    page.run("at('panel').scrollTop = 0")
    for name in ("undo", "reset", "zoom"):
        box = page.run(f"return at('{name}').getBoundingClientRect().toJSON()")
        assert 0 < box["top"] < box["bottom"] <= height, name
    page.driver.execute_script("at('panel').scrollTop = 10000")
    assert page.run(
        """
        const last = [...at('pad').querySelectorAll('button')].filter((one) => one.offsetParent).at(-1).getBoundingClientRect();
        return last.bottom <= at('undo').getBoundingClientRect().top;
        """
    )
    page.size(1280, 900)


def test_each_mark_has_a_key_and_a_button(page: Page) -> None:  # noqa: F811
    page.open("cat.jpg")
    titles = [page.find(f"#{name}").get_attribute("title") for name in ("good", "bad")]
    assert titles == ["Keep these boxes as they are and go on (g)", "Put it on the bad list and go on (b)"]
    page.keys("?")
    words = page.driver.find_element(By.ID, "help-dialog").text
    assert "cropper tune" in words
    page.keys(Keys.ESCAPE)
