"""The web page in a real browser, as a person uses it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from keeper_secrets_manager_core import SecretsManager
from keeper_secrets_manager_core.storage import InMemoryKeyValueStorage
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from browser import NARROW, WIDE, console_errors, needs_browser, resize, started
from local_keeper import Fault, LocalKeeper

pytestmark = needs_browser
PASSWORD = "correct-horse-battery"
CONTRAST = """
const channel = (value) => { value /= 255; return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
const luminance = ([red, green, blue]) => 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const color = numbers(getComputedStyle(element).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  throw new Error("no background");
};
return [...document.body.querySelectorAll("*")]
  .filter((element) => element.checkVisibility() && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .map((element) => {
    const [one, two] = [numbers(getComputedStyle(element).color), behind(element)].map(luminance).sort((a, b) => b - a);
    return [element.textContent.trim().slice(0, 40), (one + 0.05) / (two + 0.05)];
  });
"""
"""Returns the text of each element with its contrast (WCAG 2.2, "contrast ratio")."""


@pytest.fixture(name="chrome", scope="module")
def _chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with started(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(name="keeper")
def _keeper(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalKeeper]:
    with LocalKeeper.start(page_port=0) as keeper:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(keeper.ca_file))
        yield keeper


@pytest.fixture(name="browser")
def _browser(chrome: webdriver.Chrome, keeper: LocalKeeper) -> Iterator[webdriver.Chrome]:
    """A browser that has opened the page, which is live; at the end the console has no errors."""
    resize(chrome, WIDE)
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert keeper.page_url
    chrome.get(keeper.page_url)
    until(chrome, lambda: text(chrome, "#connection") == "live")
    console_errors(chrome)
    yield chrome
    assert console_errors(chrome) == []
    chrome.get("about:blank")


def until(browser: webdriver.Chrome, holds: Callable[[], Any]) -> Any:
    """Wait until a condition holds, and return its value."""
    wait = WebDriverWait(
        browser, 15, 0.05, ignored_exceptions=(NoSuchElementException, StaleElementReferenceException, StopIteration)
    )
    return wait.until(lambda _: holds())


def text(browser: webdriver.Chrome, selector: str) -> str:
    """Return the visible text of an element."""
    return browser.find_element(By.CSS_SELECTOR, selector).text


def card(browser: webdriver.Chrome, title: str) -> WebElement:
    """Return a record's card."""
    cards = browser.find_elements(By.CSS_SELECTOR, "#records-list > li")
    return next(item for item in cards if item.find_element(By.TAG_NAME, "h3").text == title)


def press(browser: webdriver.Chrome, label: str) -> None:
    """Press the button with this accessible name."""
    until(browser, lambda: _pressed(browser, label))


def _pressed(browser: webdriver.Chrome, label: str) -> bool:
    found = [item for item in browser.find_elements(By.TAG_NAME, "button") if item.accessible_name == label]
    found[0].click() if found else None
    return bool(found)


def focused(browser: webdriver.Chrome) -> str:
    """Return the accessible name of the focused element."""
    return browser.switch_to.active_element.accessible_name


def sdk(keeper: LocalKeeper, device: str) -> SecretsManager:
    """Return a client of local Keeper."""
    return SecretsManager(config=InMemoryKeyValueStorage(keeper.config(device)))


def test_values_are_hidden_until_asked_for(browser: webdriver.Chrome) -> None:
    """The page says that it is a test server; records show names and types, and values only on request."""
    assert "Do not enter real secrets" in text(browser, ".notice")
    card(browser, "database-credentials").find_element(By.TAG_NAME, "summary").click()
    assert "password" in card(browser, "database-credentials").text
    assert PASSWORD not in browser.page_source
    press(browser, "Show values of database-credentials")
    until(browser, lambda: PASSWORD in card(browser, "database-credentials").text)
    press(browser, "Hide values of database-credentials")
    assert PASSWORD not in browser.page_source


def test_a_field_is_rotated_with_the_keyboard(browser: webdriver.Chrome, keeper: LocalKeeper) -> None:
    """Enter opens the record and the form; the suggested value reaches clients; the focus stays where the person is."""
    card(browser, "api-keys").find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    button = card(browser, "api-keys").find_element(By.CSS_SELECTOR, '[aria-label="Rotate password of api-keys"]')
    button.send_keys(Keys.ENTER)
    until(browser, lambda: focused(browser).startswith("New value"))
    suggested = browser.switch_to.active_element.get_attribute("value")
    assert suggested is not None
    assert len(suggested) == 20
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    until(browser, lambda: "revision 2" in card(browser, "api-keys").text)
    assert until(browser, lambda: text_of_announcement(browser)) == "password of api-keys is rotated."
    until(browser, lambda: focused(browser) == "Rotate password of api-keys")
    assert sdk(keeper, "shop").get_notation("keeper://api-keys/field/password") == suggested


def text_of_announcement(browser: webdriver.Chrome) -> str:
    """Return what a screen reader announces."""
    return browser.find_element(By.ID, "announcement").get_attribute("textContent") or ""


def test_escape_cancels_a_rotation(browser: webdriver.Chrome, keeper: LocalKeeper) -> None:
    """Nothing is changed, and the focus is back on the button."""
    card(browser, "api-keys").find_element(By.TAG_NAME, "summary").click()
    press(browser, "Rotate password of api-keys")
    until(browser, lambda: focused(browser).startswith("New value"))
    browser.switch_to.active_element.send_keys("typed", Keys.ESCAPE)
    until(browser, lambda: focused(browser) == "Rotate password of api-keys")
    assert keeper.vault.find("api-keys").revision == 1


def test_a_value_that_is_not_text_is_edited_as_json(browser: webdriver.Chrome, keeper: LocalKeeper) -> None:
    """What is not JSON is refused with a sentence; what is reaches the vault."""
    card(browser, "database-credentials").find_element(By.TAG_NAME, "summary").click()
    press(browser, "Rotate host of database-credentials")
    until(browser, lambda: focused(browser).startswith("New values, a JSON list"))
    area = browser.switch_to.active_element
    assert "db.example.com" in (area.get_attribute("value") or "")
    area.clear()
    area.send_keys("db2.example.com")
    press(browser, "Save")
    until(browser, lambda: "not JSON" in text(browser, "#message"))
    area.clear()
    area.send_keys(json.dumps([{"hostName": "db2.example.com"}]))
    press(browser, "Save")
    until(browser, lambda: "revision 2" in card(browser, "database-credentials").text)
    assert text(browser, "#message") == ""
    fields = {field["type"]: field["value"] for field in keeper.vault.find("database-credentials").data["fields"]}
    assert fields["host"] == [{"hostName": "db2.example.com"}]


def test_a_fault_is_switched_on_met_and_switched_off(browser: webdriver.Chrome, keeper: LocalKeeper) -> None:
    """The form offers what the fault takes; a client meets it; the page shows which request did."""
    Select(browser.find_element(By.ID, "fault-kind")).select_by_visible_text("cut")
    assert not browser.find_element(By.ID, "fault-argument").is_displayed()
    Select(browser.find_element(By.ID, "fault-kind")).select_by_visible_text("status")
    argument = browser.find_element(By.ID, "fault-argument")
    assert argument.accessible_name == "HTTP status"
    argument.clear()
    argument.send_keys("502")
    Select(browser.find_element(By.ID, "fault-operation")).select_by_visible_text("get_secret")
    Select(browser.find_element(By.ID, "fault-times")).select_by_visible_text("until switched off")
    press(browser, "Switch on")
    until(browser, lambda: "502: get_secret until switched off" in text(browser, "#faults-list"))
    with pytest.raises(requests.RequestException, match="502"):
        sdk(keeper, "shop").get_secrets()
    until(browser, lambda: "fault: 502" in text(browser, "#requests-list tr:first-child"))
    press(browser, "Switch off 502: get_secret")
    until(browser, lambda: text(browser, "#faults-count") == "none is on")
    assert sdk(keeper, "shop").get_secrets()


def test_requests_arrive_live_and_are_announced(browser: webdriver.Chrome, keeper: LocalKeeper) -> None:
    """Without a reload: the newest is first, with its device, client and answer. One without an answer is shown as waiting."""
    assert "No client has asked yet" in text(browser, "#requests")
    sdk(keeper, "shop").get_folders()
    row = "#requests-list tr:first-child"
    until(browser, lambda: "get_folders" in text(browser, row))
    assert "shop · mp17" in text(browser, row)
    assert "200" in text(browser, row)
    assert text_of_announcement(browser) == "new request: get_folders, answer 200"
    keeper.fault(Fault.hang(), "get_secret")
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{keeper.url}/api/rest/sm/v1/get_secret", timeout=1)
    until(browser, lambda: "waiting" in text(browser, row))
    keeper.add_record({"title": "added now"})
    until(browser, lambda: card(browser, "added now"))


def test_an_open_form_survives_changes_from_elsewhere(browser: webdriver.Chrome, keeper: LocalKeeper) -> None:
    """What a person types is not lost, and the old revision is refused."""
    card(browser, "api-keys").find_element(By.TAG_NAME, "summary").click()
    press(browser, "Rotate password of api-keys")
    until(browser, lambda: focused(browser).startswith("New value"))
    browser.switch_to.active_element.send_keys("typed")
    keeper.set_field("api-keys", "login", "other")
    keeper.add_record({"title": "added later"})
    until(browser, lambda: card(browser, "added later"))
    assert browser.switch_to.active_element.get_attribute("value") == "typed"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    until(browser, lambda: "has changed since it was shown" in text(browser, "#message"))
    assert keeper.vault.find("api-keys").revision == 2
    (error,) = console_errors(browser)
    assert "status of 400" in error


def test_names_from_clients_are_text(browser: webdriver.Chrome, keeper: LocalKeeper) -> None:
    """A title with HTML is shown as it is written."""
    title = "<img src=x onerror=document.title='run'>"
    keeper.add_record({"title": title, "fields": {title: "x"}})
    until(browser, lambda: card(browser, title))
    assert (browser.title, browser.find_elements(By.TAG_NAME, "img")) == ("Local Keeper", [])


def test_the_page_says_when_the_server_is_gone(chrome: webdriver.Chrome) -> None:
    """It does not show old requests as live ones."""
    with LocalKeeper.start(page_port=0) as keeper:
        chrome.get(str(keeper.page_url))
        until(chrome, lambda: text(chrome, "#connection") == "live")
    until(chrome, lambda: text(chrome, "#connection") == "not connected; trying again")
    chrome.get("about:blank")
    console_errors(chrome)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_everything_is_readable(
    browser: webdriver.Chrome, keeper: LocalKeeper, size: tuple[int, int], scheme: str
) -> None:
    """No sideways scrolling, and each text has the contrast 4.5 to 1 that WCAG 2.2 requires (1.4.3)."""
    resize(browser, size)
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    keeper.fault(Fault.http(503), "get_folders")
    with pytest.raises(requests.RequestException):
        sdk(keeper, "a-device-with-a-rather-long-name").get_folders()
    sdk(keeper, "shop").get_secrets()
    keeper.fault(Fault.throttled(), "get_secret", 3)
    card(browser, "database-credentials").find_element(By.TAG_NAME, "summary").click()
    press(browser, "Show values of database-credentials")
    press(browser, "Rotate password of database-credentials")
    until(browser, lambda: "get_secret" in text(browser, "#requests") and "throttled" in text(browser, "#faults-list"))
    width = browser.execute_script("return document.documentElement.scrollWidth")
    assert width <= size[0]
    found = browser.execute_script(CONTRAST)
    assert len(found) > 60
    assert [item for item in found if item[1] < 4.5] == []


def test_every_control_has_a_name(browser: webdriver.Chrome) -> None:
    """A screen reader lists controls and headings without what is around them."""
    for summary in browser.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    controls = browser.find_elements(By.CSS_SELECTOR, "button, input, select, textarea, summary, [tabindex='0']")
    shown = [item for item in controls if item.is_displayed()]
    names = [item.accessible_name for item in shown]
    assert len(names) > 40
    assert "" not in names
    headings = browser.find_elements(By.CSS_SELECTOR, "h1, h2, h3")
    assert [item.tag_name for item in headings][:3] == ["h1", "h2", "h3"]
    assert len(browser.find_elements(By.TAG_NAME, "main")) == 1
