"""The page in a real browser: a photograph dropped, seen, changed and saved, by mouse, by keyboard, by touch."""

import base64
import json
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from test_conceal import FindsMagenta, magenta_left, saved, street

from lib.conceal import Concealer
from lib.hosting import running
from lib.redact import FILL
from lib.serving import Limits

CHROMIUM, DRIVER = (
    next(filter(None, map(shutil.which, names)), None)
    for names in (("chromium", "chromium-browser", "google-chrome"), ("chromedriver",))
)
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no Chromium with its driver here; apt-get install chromium chromium-driver"
)
from selenium import webdriver  # noqa: E402
from selenium.webdriver import ActionChains, Keys  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.actions import interaction  # noqa: E402
from selenium.webdriver.common.actions.action_builder import ActionBuilder  # noqa: E402
from selenium.webdriver.common.actions.pointer_input import PointerInput  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.remote.webelement import WebElement  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

TIMES = 5  # the scene is 480 x 240, its plate 150 x 50 at (100, 80)
GREY = round(FILL * 255)
DROPPED = """
const bytes = Uint8Array.from(atob(arguments[0]), (each) => each.charCodeAt(0));
const dataTransfer = new DataTransfer();
dataTransfer.items.add(new File([bytes], arguments[1], {type: arguments[2]}));
for (const kind of ["dragenter", "dragover", "drop"])
  document.body.dispatchEvent(new DragEvent(kind, {dataTransfer, bubbles: true, cancelable: true}));
"""
DRAWN = """
const [image, canvas, done] = [document.getElementById("concealed"), document.createElement("canvas"), arguments[0]];
image.decode().then(() => {
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0);
  done(canvas.toDataURL("image/png"));
});
"""
POINTS = "return [...document.querySelectorAll('#outlines polygon:not(.edge)')].map((at) => at.getAttribute('points'))"
BOX = "const box = document.getElementById('outlines').getBoundingClientRect(); return [box.left, box.top, box.width]"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running({"segment": Concealer(FindsMagenta())}, Limits(bytes=2**20)) as address:
        yield address


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for each in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--force-device-scale-factor=1"):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SE_OFFLINE", "true")
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


class Page:
    """What a person does with the page, and sees."""

    def __init__(self, driver: webdriver.Chrome, url: str, folder: Path, width: int) -> None:
        self.driver, self.url, self.folder = driver, url, folder
        self.photograph = folder / "street.png"
        pixels = cv2.resize(street(), None, fx=TIMES, fy=TIMES, interpolation=cv2.INTER_NEAREST)
        self.photograph.write_bytes(saved(pixels, "PNG"))
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": width < 500})
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
        driver.get(url)
        self.until(lambda: self.run("return document.body.dataset.ready"))

    def __getitem__(self, name: str) -> WebElement:
        return self.driver.find_element(By.ID, name)

    def run(self, script: str, *given: Any) -> Any:
        return self.driver.execute_script(script, *given)

    def until(self, true: Any) -> Any:
        return WebDriverWait(self.driver, 60, poll_frequency=0.05).until(lambda _: true())

    def drop(self, data: bytes, name: str = "street.png", kind: str = "image/png") -> None:
        """Let go of a file over the page."""
        self.run(DROPPED, base64.b64encode(data).decode(), name, kind)

    def plates(self) -> list[list[list[float]]]:
        """The outlines' corners, in picture pixels."""
        told = self.run(POINTS)
        return [[[float(at) for at in corner.split(",")] for corner in points.split()] for points in told]

    def ready(self) -> bool:
        return self["download"].get_attribute("aria-disabled") == "false"

    def concealed(self) -> np.ndarray:
        """The pixels of the picture that is shown as the result, once it is that of the outlines."""
        self.until(self.ready)
        told = self.driver.execute_async_script(DRAWN)
        return np.asarray(Image.open(BytesIO(base64.b64decode(told.partition(",")[2]))).convert("RGB"))

    def saved(self) -> bytes:
        """What the download left, after its button was used."""
        path = self.folder / "street-concealed.png"
        self.until(lambda: path.exists() and path.stat().st_size)
        return path.read_bytes()

    def at(self, x: float, y: float) -> tuple[int, int]:
        """Where a pixel of the photograph lies in the window; scrolls there."""
        self.run("document.getElementById('stage').scrollIntoView({block: 'center', behavior: 'instant'})")
        left, top, width = self.run(BOX)
        return round(left + x * width / 480), round(top + y * width / 480)

    def drag(self, start: tuple[float, float], end: tuple[float, float], kind: str = interaction.POINTER_MOUSE) -> None:
        """Drag from one pixel of the photograph to another."""
        actions = ActionBuilder(self.driver, mouse=PointerInput(kind, kind), duration=30)
        pointer = actions.pointer_action
        pointer.move_to_location(*self.at(*start)).pointer_down()
        halfway = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        pointer.move_to_location(*self.at(*halfway)).move_to_location(*self.at(*end)).pointer_up()
        actions.perform()

    def press(self, *keys: str) -> None:
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def held(self, held: str, *keys: str) -> None:
        ActionChains(self.driver, duration=0).key_down(held).send_keys(*keys).key_up(held).perform()

    def focused(self) -> str:
        """The id of what has the focus, or the plate's number, or the words on it."""
        return self.run("const at = document.activeElement; return at.id || at.dataset.plate || at.textContent")

    def tab_to(self, name: str, most: int = 25) -> list[str]:
        """Press Tab until ``name`` has the focus; what had it on the way."""
        way = []
        for _ in range(most):
            self.press(Keys.TAB)
            way.append(self.focused())
            if way[-1] == name:
                return way
        raise AssertionError(f"Tab does not lead to {name}: {way}")

    def asked_elsewhere(self) -> list[str]:
        """Requests to anything but the service, since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [each["params"] for each in events if each["method"] == "Network.requestWillBeSent"]
        addresses = [each["request"]["url"] for each in sent]
        return [each for each in addresses if not each.startswith((self.url, f"blob:{self.url}", "data:"))]

    def complaints(self) -> list[str]:
        """What the browser complained of, such as a broken policy or a script's error; refused uploads are none."""
        told = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        return [each for each in told if "/conceal - Failed to load resource" not in each]


@pytest.fixture(params=[1280, 390])
def page(chromium: webdriver.Chrome, url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    chromium.get_log("performance"), chromium.get_log("browser")
    made = Page(chromium, url, tmp_path, request.param)
    yield made
    assert made.run("return document.documentElement.scrollWidth") <= request.param, "nothing sticks out"
    assert made.asked_elsewhere() == [] and made.complaints() == []


def pixel(rgb: np.ndarray, x: int, y: int) -> bool:
    """Whether a pixel is concealed."""
    return bool((rgb[y, x] == GREY).all())


def test_by_mouse(page: Page) -> None:
    page.drop(page.photograph.read_bytes())
    np.testing.assert_allclose(page.until(page.plates), [[[100, 80], [250, 80], [250, 130], [100, 130]]])
    assert magenta_left(saved(page.concealed(), "PNG")) == 0
    assert "1 plate found" in page["status"].text and page["concealed"].is_displayed()

    page.drag((300, 150), (400, 200))  # on nothing: a plate is drawn
    np.testing.assert_allclose(page.plates()[1], [[300, 150], [400, 150], [400, 200], [300, 200]], atol=2)
    rgb = page.concealed()
    assert pixel(rgb, 350, 175) and pixel(rgb, 175, 105) and not pixel(rgb, 290, 140)

    page.drag((350, 175), (350, 105))  # on it: it is moved
    page.drag((400, 130), (440, 140))  # on its corner: it is fitted
    np.testing.assert_allclose(page.plates()[1], [[300, 80], [400, 80], [440, 140], [300, 130]], atol=3)
    rgb = page.concealed()
    assert pixel(rgb, 425, 130) and not pixel(rgb, 350, 175)

    webdriver.support.select.Select(page["mode"]).select_by_value("pixelate")
    page.until(lambda: not pixel(page.concealed(), 350, 105))
    assert "For looks" in page["mode-hint"].text

    page.driver.find_element(By.CSS_SELECTOR, "[aria-label='Remove plate 1']").click()
    assert len(page.plates()) == 1 and "1 left" not in page["error"].text
    assert magenta_left(saved(page.concealed(), "PNG")) > 0, "the person decides"
    page["download"].click()
    assert np.array_equal(np.asarray(Image.open(BytesIO(page.saved()))), page.concealed())


def test_by_keyboard_alone(page: Page) -> None:
    way = page.tab_to("threshold")
    assert way == ["file", "mode", "method", "threshold"], "nothing else comes before"
    page["file"].send_keys(str(page.photograph))  # the system's own dialog is the system's matter
    page.until(page.ready)
    page.tab_to("0")
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    np.testing.assert_allclose(page.plates(), [[[105, 85], [255, 85], [255, 135], [105, 135]]])
    page.held(Keys.SHIFT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_UP)
    page.held(Keys.ALT, Keys.ARROW_LEFT)
    np.testing.assert_allclose(page.plates(), [[[99, 87.5], [259, 87.5], [259, 132.5], [99, 132.5]]])
    assert page.focused() == "0", "the outline keeps the focus"

    page.tab_to("add")
    page.press(Keys.ENTER)
    assert len(page.plates()) == 2 and page.focused() == "1", "the new plate has the focus"
    page.press(*[Keys.ARROW_DOWN] * 4)
    rgb = page.concealed()
    assert pixel(rgb, 240, 140) and pixel(rgb, 175, 105)
    page.press(Keys.DELETE)
    assert len(page.plates()) == 1 and page.focused() == "0", "the next one has the focus"
    rgb = page.concealed()
    assert not pixel(rgb, 270, 140)
    page.tab_to("download")
    page.press(Keys.ENTER)
    assert np.array_equal(np.asarray(Image.open(BytesIO(page.saved()))), rgb)

    page["mode"].send_keys("b")  # as a keyboard chooses in a list: Blur
    page.until(lambda: not pixel(page.concealed(), 175, 105))
    page.held(Keys.SHIFT, *[Keys.TAB] * 2)
    before = page["threshold"].get_attribute("value")
    page["threshold"].send_keys(Keys.ARROW_LEFT)
    assert float(page["threshold"].get_attribute("value")) == pytest.approx(float(before) - 0.01)
    page.until(page.ready)
    assert page.plates() == [[[100, 80], [250, 80], [250, 130], [100, 130]]], "what the network finds, again"


@pytest.mark.parametrize("page", [390], indirect=True)
def test_by_touch(page: Page) -> None:
    page["file"].send_keys(str(page.photograph))
    page.until(page.ready)
    page["add"].click()
    (left, top), _, (right, bottom), _ = page.plates()[1]
    middle = (left + right) / 2, (top + bottom) / 2
    page.drag(middle, (middle[0] + 80, middle[1] + 60), interaction.POINTER_TOUCH)
    np.testing.assert_allclose(page.plates()[1][0], [left + 80, top + 60], atol=4)
    page.drag((right + 80, bottom + 60), (right + 100, bottom + 70), interaction.POINTER_TOUCH)
    corners = np.add([[left, top], [right, top], [right + 20, bottom + 10], [left, bottom]], (80, 60))
    np.testing.assert_allclose(page.plates()[1], corners, atol=4)
    assert pixel(page.concealed(), round(middle[0] + 80), round(middle[1] + 60))
    page.drag((20, 200), (120, 230), interaction.POINTER_TOUCH)  # a finger on the photograph itself only scrolls
    assert len(page.plates()) == 2
    size = page.run("return [...document.querySelectorAll('button, select, .button')].map((at) => at.clientHeight)")
    assert min(each for each in size if each) >= 40, "large enough for a finger"


def test_nothing_concealed_is_nothing_to_download(page: Page) -> None:
    page.drop(saved(cv2.resize(street((0, 120, 0)), None, fx=5, fy=5), "PNG"))
    page.until(lambda: page["nothing"].is_displayed())
    assert "No plate was found" in page["status"].text and not page.ready() and not page["concealed"].is_displayed()
    assert page["download"].get_attribute("href") is None
    page["add"].click()
    page.until(page.ready)
    page.press(Keys.DELETE)
    page.until(lambda: page["nothing"].is_displayed())
    assert page["download"].get_attribute("href") is None and page.focused() == "add"


def test_errors_are_sentences_and_end(page: Page) -> None:
    page.drop(b"no picture", "letter.png")
    page.until(lambda: page["error"].is_displayed())
    assert page["words"].text.startswith("The photograph is no JPEG, PNG or WebP picture")
    assert not page["pictures"].is_displayed() and not page.ready()
    page.drop(b"\0" * 2**21, "large.jpg", "image/jpeg")
    page.until(lambda: "the limit is 1" in page["words"].text)
    page.drop(saved(street(), "PNG")[:-900], "half.png")
    page.until(lambda: "cut short" in page["words"].text)
    page.drop(page.photograph.read_bytes())
    page.until(page.ready)
    assert not page["error"].is_displayed()


def test_what_is_saved_is_never_older_than_what_is_shown(page: Page) -> None:
    page.drop(page.photograph.read_bytes())
    page.until(page.ready)
    href = page.run(
        "document.getElementById('add').click(); return document.getElementById('download').getAttribute('href')"
    )
    assert href is None, "while the picture is being made again there is nothing to save"
    page.until(page.ready)


def test_everything_has_a_name(page: Page) -> None:
    """As a screen reader has it: the browser's own accessibility tree."""
    page.drop(page.photograph.read_bytes())
    page.until(page.ready)
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    told = {(node["role"]["value"], node["name"]["value"]) for node in nodes if not node["ignored"] and "name" in node}
    names = {name for _, name in told}
    assert {"Plates become", "Found by", "Add a plate", "Remove plate 1", "Download"} <= names
    assert any(name.startswith("Choose a photograph") for name in names)
    assert any(name.startswith("Plate 1 of 1, found. Arrow keys move it") for name in names)
    assert any(role == "slider" and name.startswith("Threshold") for role, name in told)
    interactive = ("button", "link", "combobox", "slider", "textbox")
    assert all(name.strip() for role, name in told if role in interactive)
    headings = [node["name"]["value"] for node in nodes if node.get("role", {}).get("value") == "heading"]
    assert headings == ["Conceal licence plates", "What was found", "What you get"]


@pytest.mark.parametrize("page", [1280], indirect=True)
def test_the_policy_allows_nothing_elsewhere(page: Page) -> None:
    """Also that the checks behind every other test would notice."""
    page.run("document.body.append(Object.assign(new Image(), {src: 'http://elsewhere.invalid/x.png'}))")
    told: list[str] = []
    page.until(lambda: told.extend(page.complaints()) or told)
    assert "Content Security Policy" in told[0] and "elsewhere.invalid" in told[0]
    page.asked_elsewhere(), page.complaints()


def test_a_token_is_asked_for_where_there_is_one(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    token = "a-token-of-no-use"
    with running({"segment": Concealer(FindsMagenta())}, Limits(), token) as address:
        page = Page(chromium, address, tmp_path, 1280)
        page.drop(page.photograph.read_bytes())
        page.until(lambda: "token is missing" in page["words"].text)
        page["token"].send_keys(token, Keys.TAB)
        page.until(page.ready)
        assert page["token"].get_attribute("type") == "password"


def test_documentation_works_without_the_world(chromium: webdriver.Chrome, url: str, tmp_path: Path) -> None:
    chromium.get_log("performance"), chromium.get_log("browser")
    page = Page(chromium, url, tmp_path, 1280)
    chromium.get(f"{url}/docs")
    page.until(lambda: len(chromium.find_elements(By.CSS_SELECTOR, ".opblock")) == 3)
    assert "/conceal" in chromium.find_element(By.ID, "docs").text
    assert page.asked_elsewhere() == [] and page.complaints() == []
