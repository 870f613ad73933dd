"""What the files about the page in a browser share: the browser, and a batch with its page. Both take seconds to make."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import browser
import pytest

if TYPE_CHECKING:
    from selenium import webdriver


@pytest.fixture(scope="session")
def one_chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One browser for all tests, without a profile and without a network."""
    chrome = browser.started(tmp_path_factory.mktemp("profile"))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``made`` of test_review_page.py has; no test changes it."""
    folder = tmp_path_factory.mktemp("made")
    import_module("test_review_page").make(folder)
    return folder
