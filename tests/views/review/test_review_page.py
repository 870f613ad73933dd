"""The page as a user meets it: in a real browser, opened from disk."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fixtures import Command, imread
from running import run_batch

from cropper.errors import printable
from cropper.geometry import aspect_ratio, largest_size
from cropper.ledger.table import TABLE_NAME, Row, read_rows
from cropper.settings import WHOLE_SHARE, Settings, Target
from cropper.views.review.page import PAGE, _entry, _page, write_page
from cropper.views.review.pictures import name_of

selenium = pytest.importorskip("selenium", reason="selenium is not installed")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.remote.webelement import WebElement  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

TARGETS = (Target((320, 180), (320, 180)), Target((1, 1)), Target((9, 16)))
SIZES = [target.label for target in TARGETS]
OPTIONS = ["--size", "320x180", "--aspect", "1:1", "--aspect", "9:16"]
PHOTOS = ["cat.jpg", "wren.jpg", "trips/skyline_panorama.jpg", "trips/desert_hikers.jpg", "trips/tourist.webp"]
QUOTED = 'a, "b".jpg'
NO_TEXT = "caf\udce9.jpg"  # a byte that is no UTF-8


@pytest.fixture(scope="module")
def chromium(one_chromium: webdriver.Chrome) -> webdriver.Chrome:
    """The browser of all files: see conftest.py."""
    one_chromium.get_log("browser")  # type: ignore[no-untyped-call]  # what another file's pages said is no matter here
    return one_chromium


@pytest.fixture(scope="module")
def made(made_once: Path) -> Path:
    """A folder with photos in ``in``, their thumbnails and the page in ``out``, that of all files."""
    return made_once


def make(folder: Path) -> None:
    """Make what ``made`` has."""
    samples = Path(__file__).parents[3] / "sample_images"
    copies = {**{name: name for name in PHOTOS}, QUOTED: "dogs.jpg"} | ({NO_TEXT: "fig.jpg"} if os.name != "nt" else {})
    for name, source in copies.items():
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(samples / source, folder / "in" / name)
    (folder / "in" / "broken.jpg").write_text("no photo")
    list(run_batch(folder / "in", folder / "out", Settings(TARGETS), 2))
    list(write_page(folder / "out", None, 2))


# Has a page forget what was done on it, and says how much there was.
FORGET = (
    "const known = [memory.edits, memory.marks].flatMap(Object.keys).length;"
    "localStorage.clear(); memory.edits = {}; memory.marks = {}; return known;"
)


class Page:
    """The page in the browser, and what a user does with it."""

    def __init__(self, driver: webdriver.Chrome, made: Path, downloads: Path) -> None:
        self.driver, self.made, self.downloads = driver, made, downloads
        self.size(1280, 900)
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
        self.load()
        while driver.execute_script(FORGET):  # the page of the test before is another process, and may still have been saving
            self.load()

    def size(self, width: int, height: int, touch: bool = False) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": touch})

    def load(self) -> None:
        self.driver.get("about:blank")
        self.driver.get((self.made / "out" / PAGE).as_uri())

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def keys(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def wait(self, condition: Callable[[], Any]) -> Any:
        return WebDriverWait(self.driver, 10, 0.02).until(lambda driver: condition())

    def paths(self) -> list[str]:
        """What the filters let through, in order; printable, for the driver passes on text only."""
        self.run("return new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done))))")
        return self.run("return shown.map((photo) => printable(photo.p))")

    def names(self) -> list[str]:
        return self.run("return [...document.querySelectorAll('.card .name')].map((name) => name.textContent)")

    def open(self, path: str) -> None:
        self.run("openPath = (path) => open(shown.findIndex((photo) => photo.p === path)); openPath(arguments[0])", path)
        self.wait(lambda: self.run("return at('preview').complete && at('preview').naturalWidth > 0"))

    def box(self, size: str) -> list[int]:
        return self.run("return now(photo, photo.r.find((row) => row.s === arguments[0])).box", size)

    def choose(self, size: str) -> None:
        self.keys(str(SIZES.index(size) + 1))

    def thumbnail(self, size: str) -> list[float]:
        """The part of the photo that a size's thumbnail shows, as it is on the screen, in the photo's pixels."""
        return self.run(
            """
            const thumb = document.querySelectorAll('.tile .thumb')[arguments[0]];
            const hole = thumb.getBoundingClientRect(), picture = thumb.firstChild.getBoundingClientRect();
            const across = photo.n[0] / picture.width, down = photo.n[1] / picture.height;
            return [(hole.x - picture.x) * across, (hole.y - picture.y) * down, hole.width * across, hole.height * down];
            """,
            SIZES.index(size),
        )

    def said(self) -> str:
        return self.run("return at('said').textContent")

    def download(self, name: str, button: str) -> bytes:
        (self.downloads / name).unlink(missing_ok=True)
        self.find(button).click()
        self.wait((self.downloads / name).exists)
        return (self.downloads / name).read_bytes()

    def focus_rows(self) -> list[dict[str, str]]:
        data = self.download("focus.csv", "#export")
        self.keys(Keys.ESCAPE)
        return list(csv.DictReader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")))


@pytest.fixture
def page(chromium: webdriver.Chrome, made: Path, tmp_path: Path) -> Iterator[Page]:
    opened = Page(chromium, made, tmp_path)
    yield opened
    # "SEVERE" would be an exception, or something that the page's own policy forbids.
    severe = [entry["message"] for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]  # type: ignore[no-untyped-call]
    assert severe == []


def rows_of(made: Path) -> dict[tuple[str, str], Row]:
    return {(row.path, row.size): row for row in read_rows(made / "out" / TABLE_NAME)}


def certainty_of(row: Row) -> float:
    """How good a box looks: the least share that it keeps, less one for each head it cuts."""
    return min(float(row.kept), float(row.subject_kept)) - int(row.heads_cut)


def test_it_opens_from_disk_with_the_least_certain_first(page: Page, made: Path) -> None:
    rows = [row for row in rows_of(made).values() if row.status == "ok"]
    certainty = {row: certainty_of(row) for row in rows}
    least = {row.path: min(certainty[other] for other in rows if other.path == row.path) for row in rows}
    expected = [printable(path) for path in sorted(least, key=lambda path: least[path])]
    assert page.paths() == expected
    assert len(page.names()) == len(expected)
    assert page.names()[0] == Path(expected[0]).name
    assert page.find("#title").text == "Review: in"
    page.wait(lambda: page.run("return [...document.images].every((image) => image.complete)"))
    assert (
        page.run("return [...document.querySelectorAll('.card img')].map((i) => i.naturalWidth > 0)") == [True] * 7
    )  # no heat yet
    assert len(page.driver.find_elements(By.CSS_SELECTOR, ".card svg .line")) == 7 * 3
    loaded = page.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert all(name.startswith(("file:", "data:")) for name in loaded)


def test_the_page_may_not_ask_the_network(page: Page) -> None:
    asked = page.driver.execute_async_script(
        "const done = arguments[0]; document.addEventListener('securitypolicyviolation', (e) => done(e.violatedDirective));"
        "const i = new Image(); i.src = 'http://127.0.0.1:9/a.png';"
    )
    assert asked == "img-src"
    page.driver.get_log("browser")  # type: ignore[no-untyped-call]  # the one violation that is meant


def test_filters(page: Page, made: Path) -> None:
    def shown() -> list[str]:
        return sorted(page.paths())

    def kept_at_most(share: float, *sizes: str) -> list[str]:
        rows = [row for row in rows_of(made).values() if row.size in sizes and row.kept]
        return sorted({printable(row.path) for row in rows if float(row.kept) <= share})

    everything = shown()
    for selector, value, expected in (("#by-folder", "trips", sorted(name for name in PHOTOS if name.startswith("trips/"))),):
        page.run("at(arguments[0]).value = ''; filter()", selector[1:])
        page.find(f"{selector} option[value='{value}']").click()
        assert shown() == expected
        page.find("#clear").click()
        assert shown() == everything
    page.find("#by-name").send_keys("SKY")
    assert shown() == ["trips/skyline_panorama.jpg"]
    page.wait(lambda: page.find("#count").text == "1 photo")
    page.find("#clear").click()
    assert shown() == everything

    page.run("at('by-kept').value = 50; at('by-kept').dispatchEvent(new Event('input', { bubbles: true }))")
    assert shown() == kept_at_most(0.5, *SIZES)
    page.find("#by-size option[value='320x180']").click()
    assert shown() == kept_at_most(0.5, "320x180")
    page.find("#clear").click()
    assert shown() == everything
    decided = [row for row in rows_of(made).values() if row.kept]
    for value, cut in (
        ("heads", [row for row in decided if int(row.heads_cut)]),
        ("subject", [row for row in decided if float(row.subject_kept) < WHOLE_SHARE]),
    ):
        page.find(f"#by-cut option[value='{value}']").click()
        assert shown() == sorted({printable(row.path) for row in cut})
        page.find("#clear").click()
    page.find("#by-size option[value='1:1']").click()
    rows = {printable(row.path): row for row in rows_of(made).values() if row.size == "1:1"}
    certainty = [certainty_of(rows[path]) for path in page.paths()]
    assert certainty == sorted(certainty)
    assert len(page.driver.find_elements(By.CSS_SELECTOR, ".card svg .line")) == 7
    page.find("#clear").click()
    assert shown() == everything
    page.find("#by-name").send_keys("no such")
    assert shown() == []
    assert "No photo" in page.find("#count").text


def test_everything_goes_by_keyboard_alone(page: Page) -> None:
    page.keys("j")
    assert page.run("return document.activeElement.dataset.number") == "0"
    page.keys("j", Keys.ARROW_RIGHT, Keys.ARROW_LEFT, "g")
    assert page.said() == "Marked good"
    assert page.find(".card[data-number='1'] .badge.good").text == "✓ Good"
    page.keys(Keys.ENTER)
    assert page.find("#editor").is_displayed()
    path = page.run("return photo.p")
    page.choose("1:1")
    before = page.box("1:1")
    image_width = page.run("return photo.n[0]")
    page.keys(Keys.ARROW_LEFT)
    assert page.box("1:1") == [max(0, before[0] - round(image_width / 100)), *before[1:]]
    assert page.said() == f"1:1: {before[2]} \u00d7 {before[3]} at {page.box('1:1')[0]}, {before[1]}"
    ActionChains(page.driver).key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT).key_up(Keys.SHIFT).perform()
    assert page.box("1:1")[0] == max(0, before[0] - round(image_width / 100)) + 1
    page.keys(Keys.ARROW_UP)
    assert "spans the photo" in page.said()
    page.keys("-", "-")
    smaller = page.box("1:1")
    assert smaller[2] == smaller[3] < before[3]
    page.keys("f")
    centre = smaller[0] + smaller[2] / 2
    assert page.box("9:16")[0] + page.box("9:16")[2] / 2 == pytest.approx(centre, abs=1)
    page.keys("r")
    assert page.box("1:1") == before
    assert page.find("#preview-heat").value_of_css_property("visibility") == "hidden"
    page.keys("h")
    assert page.find("#preview-heat").value_of_css_property("visibility") == "visible"
    page.keys("h", "b")
    assert page.run("return photo.p") != path  # on to the next one
    page.keys("k")
    assert page.find("#bad").get_attribute("aria-pressed") == "true"
    page.keys("?")
    assert page.find("#help-dialog").is_displayed()
    page.keys(Keys.ESCAPE, "j")
    assert page.run("return photo.p") != path
    page.keys("k", Keys.ESCAPE)
    assert not page.find("#editor").is_displayed()
    assert page.run("return document.activeElement.dataset.number") == "1"
    page.keys("/")
    assert page.run("return document.activeElement.id") == "by-name"


def test_a_drag_moves_the_box_and_the_thumbnail_at_once(page: Page) -> None:
    page.open("trips/skyline_panorama.jpg")
    page.choose("1:1")
    before = page.box("1:1")
    assert page.thumbnail("1:1") == pytest.approx(before, abs=2)
    area = page.find("#photo")
    scale = page.run("return scale")
    start = (before[0] + before[2] / 2) * scale - area.size["width"] / 2
    hand = ActionChains(page.driver, duration=20)
    hand.move_to_element_with_offset(area, round(start), 0).click_and_hold().move_by_offset(60, 25).perform()
    moved = page.box("1:1")
    assert moved == [pytest.approx(before[0] + 60 / scale, abs=2), 0, *before[2:]]
    assert page.thumbnail("1:1") == pytest.approx(moved, abs=2)  # while the button is still down
    right = area.rect["width"] / 2 + 300  # far beyond the photo
    ActionChains(page.driver, duration=20).move_to_element_with_offset(area, round(right), 0).release().perform()
    assert page.box("1:1")[0] == page.run("return photo.n[0]") - before[2]  # not beyond the border
    assert page.find("#export").text == "Export focus.csv (1)"


def test_a_corner_makes_the_box_smaller_in_its_aspect(page: Page) -> None:
    page.open("wren.jpg")
    for size, target in zip(SIZES, TARGETS, strict=True):
        page.choose(size)
        page.run("at('photo').scrollIntoView()")
        handles = page.driver.find_elements(By.CSS_SELECTOR, "#boxes .handle")
        before = page.box(size)
        ActionChains(page.driver, duration=20).drag_and_drop_by_offset(handles[3], -70, -40).perform()
        x, y, width, height = page.box(size)
        assert [x, y] == before[:2]
        assert width < before[2]
        ratio = aspect_ratio(target.aspect)
        assert (width, height) in ((round(height * ratio), height), (width, round(width / ratio)))
        assert page.thumbnail(size) == pytest.approx([x, y, width, height], abs=2)


def test_a_click_is_the_focus_of_all_sizes(page: Page, made: Path) -> None:
    page.open("cat.jpg")
    area = page.find("#photo")
    ActionChains(page.driver).move_to_element_with_offset(area, 37, -61).click().perform()
    width, height = page.run("return photo.n")
    x, y = page.run("return memory.edits[photo.i].f")
    scale = page.run("return scale")
    assert (x, y) == (pytest.approx(width / 2 + 37 / scale, abs=2), pytest.approx(height / 2 - 61 / scale, abs=2))
    for target in TARGETS:
        across, down = largest_size(width, height, target.aspect)
        expected = [
            min(max(round(middle + 0.5 - side / 2), 0), whole - side)
            for middle, side, whole in ((x, across, width), (y, down, height))
        ]
        assert page.box(target.label) == [*expected, across, down]
        assert page.thumbnail(target.label) == pytest.approx([*expected, across, down], abs=2)
    assert page.focus_rows() == [{"path": "cat.jpg", "size": "", "x": str(x), "y": str(y), "width": "", "height": ""}]


@pytest.mark.parametrize("image", [(1, 1), (7, 5), (1000, 667), (1601, 1000), (33, 4000), (1600, 400)])
def test_boxes_are_those_that_a_batch_would_choose(page: Page, image: tuple[int, int]) -> None:
    """The page's own arithmetic against ours, halves and all."""
    for aspect in ((16, 9), (1, 1), (9, 16), (640, 333), (3, 1)):
        across, down = largest_size(*image, aspect)
        assert page.run("return largest({n: arguments[0]}, arguments[1])", image, aspect) == [across, down]
        points = [(0, 0), (image[0] - 1, image[1] - 1), (image[0] // 2, image[1] // 3), (image[0] // 3, image[1] // 2)]
        for x, y in points:
            expected = [
                min(max(round(middle + 0.5 - side / 2), 0), whole - side)
                for middle, side, whole in ((x, across, image[0]), (y, down, image[1]))
            ]
            centre, size = (x + 0.5, y + 0.5), (across, down)
            placed = page.run("return placed({n: arguments[0]}, arguments[1], arguments[2])", image, centre, size)
            assert placed == [*expected, *size]


def test_marks_and_boxes_outlive_a_reload(page: Page) -> None:
    page.open("wren.jpg")
    page.choose("1:1")
    page.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    moved = page.box("1:1")
    page.keys("b")
    page.load()
    assert page.find("#export").text == "Export focus.csv (1)"
    page.find("#by-mark option[value='bad']").click()
    page.wait(lambda: page.names() == ["wren.jpg"])
    assert page.download("bad.txt", "#export-bad") == b"wren.jpg\n"
    page.open("wren.jpg")
    assert page.box("1:1") == moved


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be there")
def test_only_changed_photos_are_exported_whatever_their_names(page: Page) -> None:
    boxes = {}
    for path in (NO_TEXT, QUOTED):
        page.run("open(shown.findIndex((photo) => photo.i === arguments[0]))", name_of(path))
        page.choose("9:16")
        page.keys("-")
        boxes[path] = [str(number) for number in page.box("9:16")]
    page.open("cat.jpg")
    page.keys(Keys.ARROW_LEFT, Keys.ARROW_UP, "r")
    rows = page.focus_rows()
    assert sorted(row["path"] for row in rows) == sorted([NO_TEXT, QUOTED])
    for row in rows:
        assert row["size"] == "9:16"
        assert [row[name] for name in ("x", "y", "width", "height")] == boxes[row["path"]]
    lines = (page.downloads / "focus.csv").read_bytes().split(b"\r\n")
    assert lines[0] == b"path,size,x,y,width,height"
    assert any(line.startswith(b"caf\xe9.jpg,9:16,") for line in lines)
    assert any(line.startswith(b'"a, ""b"".jpg",9:16,') for line in lines)
    for name in ("caf\u00e9 \U0001f408.jpg", "a\nb\x7f.jpg", "\u202egpj.a\u00a0\u2028\U000e0001"):
        assert page.run("return printable(arguments[0])", name) == printable(name)


def test_a_broken_photo_is_shown_with_why_and_cannot_be_changed(page: Page) -> None:
    page.find("#tab-failed").click()
    assert page.paths() == ["broken.jpg"]
    assert "not an image" in page.find(".failure .reason").text
    page.keys("j", Keys.ENTER)
    assert "not an image that cropper can read" in page.find("#stage-message").text
    assert not page.find("#pad").is_displayed()
    page.keys(Keys.ARROW_LEFT, "+", "f", "1")
    assert page.run("return Object.keys(memory.edits)") == []
    page.keys(Keys.ESCAPE)
    page.find("#tab-failed").send_keys(Keys.ARROW_LEFT)
    assert len(page.paths()) == 7


def test_the_browsers_back_button_leads_to_the_list(page: Page) -> None:
    page.run("open(2)")
    page.driver.back()
    page.wait(lambda: page.find("#overview").is_displayed())
    page.driver.forward()
    page.wait(lambda: page.find("#editor").is_displayed())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_goes_by_touch(page: Page, scheme: str) -> None:
    page.size(390, 844, touch=True)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.load()
    page.run("open(3); mark('bad'); setFocus([9, 9]); close()")
    assert page.run("return document.documentElement.scrollWidth") == 390
    assert page.run("return at('export').getBoundingClientRect().right") <= 390
    # The whole reason is on a card, though it takes two lines, and above the next card.
    reason = "cuts 1 head, shows 35% of the subject"
    page.run("document.querySelectorAll('.caption .cut').forEach((cut) => { cut.textContent = arguments[0]; })", reason)
    assert page.run("return [...document.querySelectorAll('.caption .cut')].every((cut) => cut.scrollWidth <= cut.clientWidth)")
    fits = "card.querySelector('.caption').getBoundingClientRect().bottom - card.getBoundingClientRect().top < list.rowHeight"
    assert page.run(f"return [...document.querySelectorAll('.card')].every((card) => {fits})")
    page.find("#filters summary").click()
    page.wait(lambda: page.find("#by-name").is_displayed())
    assert page.run("return document.documentElement.scrollWidth") == 390
    page.open("trips/skyline_panorama.jpg")
    page.choose("1:1")
    assert page.run("return document.documentElement.scrollWidth") == 390
    small = "return [...document.querySelectorAll('#editor button')].filter((b) => b.offsetHeight && b.offsetHeight < 36).length"
    assert page.run(small) == 0
    before = page.box("1:1")
    area, scale = page.find("#photo").rect, page.run("return scale")
    x, y = area["x"] + (before[0] + before[2] / 2) * scale, area["y"] + area["height"] / 2
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x + 20, "y": y}]),
        ("touchMove", [{"x": x + 40, "y": y}]),
        ("touchEnd", []),
    ):
        page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert page.box("1:1")[0] == pytest.approx(before[0] + 40 / scale, abs=3)
    # Readable: at least 4.5 to 1, whatever the scheme.
    pairs = page.run("""
        const style = getComputedStyle(document.documentElement), value = (name) => style.getPropertyValue(name).trim();
        const pairs = [];
        for (const ground of ['--paper', '--raised', '--sunken'])
          for (const ink of ['--ink', '--quiet', '--accent', '--good', '--bad']) pairs.push([value(ink), value(ground)]);
        return [...pairs, [value('--on-accent'), value('--accent')]];
    """)
    assert [pair for pair in pairs if contrast(*pair) < 4.5] == []
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def contrast(one: str, other: str) -> float:
    """WCAG's contrast of two colours ``#rrggbb``."""

    def luminance(colour: str) -> float:
        shares = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_everything_has_a_name_for_a_screen_reader(page: Page) -> None:
    def nameless(inside: str = "body") -> list[str]:
        kinds = ("button", "input", "select", "[role=group]", "ol", "aside", "dialog")
        found = page.driver.find_elements(By.CSS_SELECTOR, ", ".join(f"{inside} {kind}" for kind in kinds))
        return [str(one.get_attribute("outerHTML"))[:80] for one in found if one.is_displayed() and not one.accessible_name]

    assert nameless() == []
    card = page.find(".card[data-number='0']").accessible_name
    assert "cat.jpg" in card
    assert "9:16 keeps" in card
    page.open("cat.jpg")
    assert nameless() == []
    assert page.find("#said").get_attribute("aria-live") == "polite"
    assert page.find(".tile[data-row='0']").accessible_name.startswith("320x180 keeps")
    page.keys("?")
    assert nameless("#help-dialog") == []  # what is behind it is out of reach
    assert page.find("#help-dialog").accessible_name == "Review the boxes"
    page.keys(Keys.ESCAPE)


def test_five_thousand_photos_are_no_more_than_fifty_in_the_page(chromium: webdriver.Chrome, made: Path, tmp_path: Path) -> None:
    """Cards are made as they come into sight, so the page is as quick with many photos as with few."""
    rows = tuple(row for row in rows_of(made).values() if row.path == "cat.jpg")
    known = json.loads(_entry("cat.jpg", rows, None)[1])
    entries = [json.dumps({**known, "p": f"folder{number % 20}/{number}.jpg"}) for number in range(5000)]
    out = tmp_path / "out"
    out.mkdir()
    (out / "review_files").symlink_to(made / "out" / "review_files")
    (out / PAGE).write_bytes(_page(out, "cropper batch", tuple(SIZES), entries, made / "in"))
    page = Page(chromium, tmp_path, tmp_path)
    assert page.find("#count").text == "5,000 photos. Open one to move its box."
    tops = "return [...document.querySelectorAll('.card')].map((card) => card.getBoundingClientRect().top)"
    for place in (0, 0.3, 0.99, 1):
        page.run("scrollTo(0, arguments[0] * document.body.scrollHeight)", place)
        page.wait(lambda: any(0 < top < 400 for top in page.run(tops)))
        assert 1 < page.run("return document.querySelectorAll('.card').length") < 50
    assert "4999.jpg" in page.names()
    begun = time.perf_counter()
    page.find("#by-folder option[value='folder7']").click()
    page.wait(lambda: page.find("#count").text.startswith("250 photos"))
    assert time.perf_counter() - begun < 2
    page.keys(Keys.TAB)
    page.run("list.goTo(249)")
    assert page.run("return document.activeElement.dataset.number") == "249"


def test_a_batch_applies_what_the_page_exported(chromium: webdriver.Chrome, made: Path, tmp_path: Path, cropper: Command) -> None:
    shutil.copytree(made / "in", tmp_path / "in")
    for arguments in (["batch", "in", "out", *OPTIONS], ["review", "out"]):
        assert cropper(*arguments)[0] in (0, 1)  # one photo is broken
    page = Page(chromium, tmp_path, tmp_path)
    page.open("trips/skyline_panorama.jpg")
    page.choose("1:1")
    page.keys("-", *[Keys.ARROW_LEFT] * 5, Keys.ARROW_DOWN)
    page.open("cat.jpg")
    ActionChains(page.driver).move_to_element_with_offset(page.find("#photo"), -40, 90).click().perform()
    wanted = {("cat.jpg", size): page.box(size) for size in SIZES}
    page.open("trips/skyline_panorama.jpg")
    wanted["trips/skyline_panorama.jpg", "1:1"] = page.box("1:1")
    page.focus_rows()

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.jpg") if "review" not in path.parts}
    inodes = {path: path.stat().st_ino for path in before}
    assert "2 done" in cropper("batch", "in", "out", *OPTIONS, "--focus", "focus.csv")[2]
    changed = {path.relative_to(tmp_path / "out").as_posix() for path in inodes if path.stat().st_ino != inodes[path]}
    assert {path.partition("/")[2] for path in changed} == {"cat.jpg", "trips/skyline_panorama.jpg"}

    rows = rows_of(tmp_path)
    for (path, size), box in wanted.items():
        row = rows[path, size]
        assert [int(number) for number in (row.x, row.y, row.width, row.height)] == box
        original, thumbnail = imread(str(tmp_path / "in" / path)), imread(str(tmp_path / "out" / row.output))
        x, y, width, height = box
        cut = cv2.resize(original[y : y + height, x : x + width], thumbnail.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(cut.astype(int) - thumbnail).mean() < 6

    assert cropper("review", "out")[0] == 0
    page.load()
    page.run("localStorage.clear(); memory.edits = {}")  # as in another browser: the ledger alone says it
    page.load()
    for (path, size), box in wanted.items():
        page.open(path)
        assert page.box(size) == box
    assert page.find("#export").text == "Export focus.csv (2)"  # a next round keeps what this one decided
    page.focus_rows()
    assert "0 done" in cropper("batch", "in", "out", *OPTIONS, "--focus", "focus.csv")[2]
