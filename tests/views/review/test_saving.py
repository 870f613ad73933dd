"""From a correction to its thumbnail, in a real browser: ``cropper review --serve`` as a user meets it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from running import run_batch
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from cropper.choosing.decide import is_by_hand
from cropper.ledger import lock
from cropper.ledger.database import files_of
from cropper.settings import Settings

browsing: Any = import_module("test_review_page")  # which keeps the browser and what a user does with the page
chromium = browsing.chromium


class ServedPage(browsing.Page):  # type: ignore[misc]
    """The page at an address."""

    address = ""

    def load(self) -> None:
        self.driver.get("about:blank")
        self.driver.get(self.address)


@pytest.fixture
def process(tmp_path: Path, samples: Path) -> Iterator[subprocess.Popen[bytes]]:
    (tmp_path / "in").mkdir()
    for name in ("cat.jpg", "wren.jpg", "drum.jpg"):
        (tmp_path / "in" / name).write_bytes((samples / name).read_bytes())
    list(run_batch(tmp_path / "in", tmp_path / "out", Settings(browsing.TARGETS), 2))
    command = [sys.executable, "-m", "cropper", "review", "out", "--serve", "--jobs", "1"]
    started = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    yield started
    started.kill()
    started.communicate()


def test_a_correction_is_a_thumbnail_one_step_later(
    chromium: webdriver.Chrome, process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert process.stdout is not None
    ServedPage.address = os.fsdecode(process.stdout.readline()).strip()
    page = ServedPage(chromium, tmp_path, tmp_path)
    assert not page.find("#save").is_enabled()
    page.keys("?")
    assert "Then press Save." in page.find("#help-dialog").text
    assert "--focus" not in page.find("#help-dialog").text
    assert "the same --port" in page.find("#memory").text  # the browser keeps marks by the address
    page.keys(Keys.ESCAPE)
    page.open("cat.jpg")
    page.choose("1:1")
    page.keys("-", "-", Keys.ARROW_LEFT)
    wanted = page.box("1:1")
    assert page.find("#save").text == "Save (1)"
    page.find("#save").click()
    page.wait(lambda: page.find("#saved").is_displayed())
    assert page.find("#saved-title").text == "Saved 1 photo."
    page.wait(lambda: page.run("return [...document.querySelectorAll('#saved img')].every((i) => i.complete)"))
    assert page.run("return [...document.querySelectorAll('#saved img')].map((i) => i.naturalWidth)")[1] == wanted[2]
    row = browsing.rows_of(tmp_path)["cat.jpg", "1:1"]
    assert [int(one) for one in (row.x, row.y, row.width, row.height)] == wanted == page.box("1:1")
    assert not page.find("#save").is_enabled()
    if folder := os.environ.get("CROPPER_SCREENSHOTS"):
        page.driver.save_screenshot(f"{folder}/saved.png")
    page.run("document.activeElement.blur()")
    controls = page.run("return [at('saved').getBoundingClientRect().right, at('panel').getBoundingClientRect().left]")
    assert controls[0] <= controls[1]  # the new thumbnails cover no control
    page.keys(Keys.ESCAPE)
    assert not page.find("#saved").is_displayed()
    assert page.run("return photo !== null")
    page.keys(Keys.ESCAPE)
    page.run("mark('bad', 0)")  # with all its buttons, the bar fits a phone
    page.size(390, 844, touch=True)
    assert page.run("return [innerWidth, document.documentElement.scrollWidth]") == [390, 390]
    page.run("mark('bad', 0)")
    page.size(1280, 900)
    page.open("cat.jpg")
    page.choose("1:1")

    # Another run is at work: the page waits for it, or says so and keeps the change.
    taken = lock.take(files_of(tmp_path / "out").lock)
    page.keys("s")  # nothing to save
    assert "nothing to save" in page.said()
    page.keys("-", "s")
    page.wait(lambda: any((tmp_path / "out" / ".cropper").glob("handed-over-*")))
    assert page.find("#save").text == "Saving 0 of 1"
    lock.release(taken, tidy=True)
    page.wait(lambda: page.run("return !saves && !changedPhotos().length"))
    page.run("window.sent = send; send = async () => ({ kept: 'out: another run is at work there' })")
    page.keys("-", "s")
    page.wait(lambda: page.find("#saved-title").text == "Kept, but not made yet")
    assert "is at work there" in page.find("#saved-problem").text
    assert page.run("return photo.r[chosen].s") == "1:1"
    assert page.find("#save").text == "Save (1)"
    if folder:
        page.driver.save_screenshot(f"{folder}/not-saved.png")
    page.run("send = sent")
    page.keys("s")
    page.wait(lambda: page.find("#saved-title").text == "Saved 1 photo.")

    # A reset lets the model choose again.
    page.keys("r", "s")
    page.wait(lambda: page.run("return !saves && !changedPhotos().length"))
    assert page.find("#saved-title").text == "Saved 1 photo."
    assert browsing.rows_of(tmp_path)["cat.jpg", "1:1"].message == ""
    page.find("#saved-close").click()
    assert not page.find("#saved").is_displayed()
    page.load()
    page.open("cat.jpg")
    row = browsing.rows_of(tmp_path)["cat.jpg", "1:1"]
    assert page.box("1:1") == [int(one) for one in (row.x, row.y, row.width, row.height)]

    # A photo that is called good has its boxes by hand, as they were.
    before = browsing.rows_of(tmp_path)["wren.jpg", "1:1"]
    page.open("wren.jpg")
    page.find("#good").click()
    page.keys("s")
    page.wait(lambda: page.run("return !saves && !changedPhotos().length"))
    row = browsing.rows_of(tmp_path)["wren.jpg", "1:1"]
    assert is_by_hand(row.message)
    assert (row.x, row.y, row.width, row.height) == (before.x, before.y, before.width, before.height)
    page.open("cat.jpg")

    page.keys(Keys.ARROW_LEFT, "-")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    page.keys("s")
    page.wait(lambda: "does not answer" in page.find("#saved-problem").text)
    page.driver.get_log("browser")  # that it does not answer
    assert process.stdout.read() == b""
    assert process.stderr is not None
    assert process.stderr.read() == b"cropper: press Ctrl-C to end; the address is for you alone\n"


def test_it_fits_a_phone(chromium: webdriver.Chrome, process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert process.stdout is not None
    ServedPage.address = os.fsdecode(process.stdout.readline()).strip()
    page = ServedPage(chromium, tmp_path, tmp_path)
    page.size(390, 844, touch=True)
    page.load()
    page.run("open(0); setFocus([90, 90]); close()")
    page.find("#save").click()
    page.wait(lambda: page.find("#saved").is_displayed())
    assert page.run("return document.documentElement.scrollWidth") == 390
    if folder := os.environ.get("CROPPER_SCREENSHOTS"):
        page.driver.save_screenshot(f"{folder}/phone.png")
    page.size(1280, 900)
