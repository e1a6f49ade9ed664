"""The documentation site is built strictly, and works in a real browser."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from browser import NARROW, console_errors, needs_browser, resize, started
from docs_site.docstrings import to_markdown
from docs_site.source_tree import address_of

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site strictly: a warning, such as a link to a missing heading, is a failure."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", "mkdocs.yml", "--site-dir", folder],
        cwd=ROOT / "tools/development/docs_site",
        env={**os.environ, "PYTHONPATH": str(ROOT / "tools/development"), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_request(self, *args: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Serve the site on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_QuietHandler, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def started_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Start a browser for all tests of this module."""
    with started(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def browser(started_browser: webdriver.Chrome, address: str) -> webdriver.Chrome:
    """Return the browser as it is when it visits the site for the first time, on a wide screen."""
    started_browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    started_browser.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": address, "storageTypes": "all"})
    started_browser.get("about:blank")
    for kind in ("browser", "performance"):
        started_browser.get_log(kind)  # type: ignore[no-untyped-call]
    return started_browser


def _requested(browser: webdriver.Chrome) -> set[str]:
    """Return the addresses that the page has requested so far."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]  # type: ignore[no-untyped-call]
    return {
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    }


@pytest.mark.parametrize("pages", ["light", "dark"])
def test_the_tutorial_shows_a_picture(site: Path, pages: str) -> None:
    """The README's picture is part of the site, for light and for dark pages."""
    (found,) = re.findall(rf'src="([^"]+)#only-{pages}"', (site / "tutorial/index.html").read_text())
    assert (site / "tutorial" / found).resolve().is_file()


def _background(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")


def test_the_site_has_every_page(site: Path) -> None:
    """The reference of annotations, the chart's values and the Python API are pages."""
    assert "keeper.security/" in (site / "annotations/index.html").read_text(encoding="utf-8")
    assert "podDisruptionBudget" in (site / "chart/index.html").read_text(encoding="utf-8")
    assert "write_content" in (site / "api/keeper_injector_common.records.formats/index.html").read_text(
        encoding="utf-8"
    )


@needs_browser
def test_the_start_page_renders(browser: webdriver.Chrome, address: str) -> None:
    """The start page has its title and the tabs, has no error, and requests nothing from other servers."""
    browser.get(address)

    assert browser.find_element(By.TAG_NAME, "h1").text.startswith("Keeper Injector")
    tabs = [tab.text for tab in browser.find_elements(By.CSS_SELECTOR, ".md-tabs__link")]
    assert tabs == ["Home", "Tutorial", "How-to guides", "Reference", "Explanation", "Contribute"]
    assert console_errors(browser) == []
    assert {
        url for url in _requested(browser) if not url.startswith((address, "data:", "blob:", "about:", "chrome:"))
    } == set()


@needs_browser
def test_searching_for_an_annotation_finds_its_page(browser: webdriver.Chrome, address: str) -> None:
    """The name of an annotation leads to the reference of annotations."""
    browser.get(address)
    browser.find_element(By.CSS_SELECTOR, ".md-search__input").send_keys("refresh-interval")

    def results(driver: webdriver.Chrome) -> list[str]:
        links = driver.find_elements(By.CSS_SELECTOR, ".md-search-result__link")
        return [str(link.get_attribute("href")) for link in links]

    # The page replaces its results while the text is typed, so links of an earlier list can be gone.
    waiting = WebDriverWait(browser, 20, ignored_exceptions=[StaleElementReferenceException])
    waiting.until(lambda driver: any("/annotations/" in link for link in results(driver)))
    assert console_errors(browser) == []


@needs_browser
@pytest.mark.parametrize("page", ["", "tutorial/", "annotations/", "chart/", "api/keeper_injector_common.errors/"])
def test_a_narrow_screen_needs_no_horizontal_scrolling(browser: webdriver.Chrome, address: str, page: str) -> None:
    """On a telephone, wide tables and code scroll by themselves; the page does not."""
    resize(browser, NARROW)
    browser.get(f"{address}/{page}")

    width = browser.execute_script("return document.documentElement.scrollWidth")

    assert width == NARROW[0]
    assert console_errors(browser) == []


@needs_browser
def test_dark_mode_is_switched_by_its_button(browser: webdriver.Chrome, address: str) -> None:
    """The button changes the colours of the page, and the next page keeps them."""
    browser.get(address)
    light = _background(browser)
    browser.find_element(By.CSS_SELECTOR, "label[title='Switch to dark mode']").click()
    dark = _background(browser)
    browser.get(f"{address}/annotations/")

    assert dark != light
    assert _background(browser) == dark
    assert console_errors(browser) == []


def test_docstrings_become_markdown() -> None:
    """Roles become code, doctests get a fence, and a literal block keeps one colon."""
    text = "See :func:`~a.b`::\n\n    x\n\n>>> b()\n['1']\n\nMore."

    assert to_markdown(text) == "See `a.b`:\n\n    x\n\n```pycon\n>>> b()\n['1']\n```\n\nMore."


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("README.md", "tutorial"),
        ("packages/keeper-injector-common/docs/index.md", ""),
        ("packages/keeper-injector-common/docs/decisions/0005-gotpl-pinned.md", "decisions/0005-gotpl-pinned"),
        ("charts/keeper-injector/README.md", "chart"),
        ("packages/keeper-injector-agent/README.md", "packages/keeper-injector-agent"),
        (".github/SECURITY.md", "contribute/security"),
    ],
)
def test_pages_have_short_addresses(path: str, address: str) -> None:
    """An address does not depend on the folders of the repository."""
    assert address_of(path) == address
