"""A page's template for a site: filled in, and looked at in a browser at three widths."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import browser
import pytest
from pages import blocks
from running import run_batch

from cropper.ledger.manifest import Manifest
from cropper.settings import Settings, Target

if TYPE_CHECKING:
    from selenium import webdriver

pytest.importorskip("thash", reason="needs the extra `web`")
jinja2 = pytest.importorskip("jinja2", reason="jinja2 is not installed")

ROOT = Path(__file__).parents[2]
PHOTOS = ("dogs.jpg", "wren.jpg", "trips/desert_hikers.jpg")
TARGETS = tuple(Target(size, size) for size in ((480, 270), (960, 540), (480, 480)))
STYLE = "<style>body { margin: 0 } img { width: 100%; height: auto; display: block }</style>"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, thumbnails, the manifest, and the page that that template makes of it."""
    folder = tmp_path_factory.mktemp("site")
    for name in PHOTOS:
        (folder / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "sample_images" / name, folder / "photos" / name)
    list(run_batch(folder / "photos", folder / "thumbs", Settings(TARGETS), 2, manifest=Manifest(folder / "photos.json")))
    (template,) = (block.text for block in blocks("jinja"))
    photos = json.loads((folder / "photos.json").read_bytes())["photos"]
    page = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True).from_string(template).render(photos=photos)
    (folder / "index.html").write_text(f"<!doctype html><meta charset=utf-8>{STYLE}{page}", encoding="utf-8")
    covers = (
        f'<img src="photos/{path}" data-aspect="{name}" style="width: 100%; aspect-ratio: {name.replace(":", "/")}; '
        f'object-fit: cover; object-position: {crop["object_position"]}">'
        for path, photo in photos.items()
        for name, crop in photo["aspects"].items()
    )
    (folder / "cover.html").write_text(f"<!doctype html>{STYLE.replace('height: auto;', '')}{''.join(covers)}")
    return folder


def test_the_template_names_files_that_are_there(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    assert page.count("<picture>") == len(PHOTOS)
    named = re.findall(r"thumbs/[^ \",]+", page)
    assert len(named) == 4 * len(PHOTOS)
    assert all((site / name).is_file() for name in named)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One browser for all widths, which remembers no file: of those that it has it would take a larger one."""
    chrome = browser.started(tmp_path_factory.mktemp("profile"))
    chrome.execute_cdp_cmd("Network.enable", {})
    chrome.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    yield chrome
    chrome.quit()


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_a_browser_loads_the_file_for_its_width(page: webdriver.Chrome, site: Path, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.get((site / "index.html").as_uri())
    script = "for (const i of document.images) i.loading = 'eager'; return Promise.all([...document.images].map(i => i.decode()))"
    page.execute_script(script)
    shown = page.execute_script("return [...document.images].map(i => [i.currentSrc, i.naturalWidth, i.width, i.height])")
    page.save_screenshot(str(site / f"index-{width}.png"))
    page.get((site / "cover.html").as_uri())
    page.execute_script("return Promise.all([...document.images].map(i => i.decode()))")
    page.save_screenshot(str(site / f"cover-{width}.png"))
    wanted, shape = {360: ("480x480", 1.0), 800: ("960x540", 16 / 9), 1400: ("960x540", 16 / 9)}[width]
    for source, natural, across, down in shown:
        assert f"/thumbs/{wanted}/" in source
        assert natural > 0
        assert across == width
        assert abs(across / down - shape) < 0.02
