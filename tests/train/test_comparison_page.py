"""The page's numbers, and the page itself in headless Chromium."""

import base64
import io
import shutil

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.train.evaluation_results import comparison, model_results, two_models
from train.comparison_page import MetricCell, metric_cells, render_page
from train.comparison_photos import ComparedPhoto, ModelCaption

SCRIPT = "<script>document.title='owned'</script>"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def preview():
    file = io.BytesIO()
    Image.new("RGB", (36, 24), "green").save(file, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def photos():
    captions = (ModelCaption("small", SCRIPT, 1.5, True), ModelCaption("saved", "", 0.25, False))
    references = ("a dog", SCRIPT)
    return [
        ComparedPhoto("1.jpg", preview(), 36, 24, references, captions, 1.25),
        ComparedPhoto("a/" * 200 + SCRIPT, "", 0, 0, ("x" * 300,), captions, 1.25),
    ]


def test_cells_share_an_axis_that_holds_all_intervals():
    [first, second] = metric_cells(two_models()["models"], "CIDEr")
    # The axis goes from 0.3 to 0.8, with 6 % free at both ends.
    at = 0.06 + 0.88 * (0.6 - 0.3) / 0.5
    assert (first.left, first.at) == (pytest.approx(0.06 + 0.88 * 0.4), pytest.approx(at))
    assert first.width == second.width == pytest.approx(0.88 * 0.6)
    assert (first.value, first.interval, first.difference, first.tone) == (
        "0.6000",
        "0.5000 – 0.8000",  # noqa: RUF001
        "",
        "",
    )
    assert (second.difference, second.tone) == ("-0.2000 [-0.3000, -0.1000]", "worse")


def test_an_interval_without_width_stands_in_the_middle():
    model = {"metrics": {"CIDEr": 1.0}, "intervals": {"CIDEr": [1.0, 1.0]}}
    [cell] = metric_cells([model], "CIDEr")
    assert cell == MetricCell("1.0000", "1.0000 – 1.0000", 0.5, 0.0, 0.5, "", "")  # noqa: RUF001


def test_one_model_has_a_page_without_differences():
    results = {**comparison(), **model_results("run", 0.6)}
    del results["models"]
    page = render_page({**results, "counts": {**comparison()["counts"], **results["counts"]}}, [])
    assert "<h1>run</h1>" in page
    assert "lowest CIDEr first" in page
    assert "Photos/s counts" not in page


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.fail("chromium and chromedriver are missing; see `make system-tools`")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(render_page(two_models(), photos()), encoding="utf-8")
    chrome.get(path.as_uri())
    yield chrome
    chrome.quit()


def texts(page, selector):
    return [element.text for element in page.find_elements(By.CSS_SELECTOR, selector)]


@pytest.mark.browser
def test_the_page_shows_everything_and_runs_nothing(browser):
    assert browser.title == "2 models compared on flickr8k/ dev: 1000 photos"
    assert texts(browser, ".metric h3") == ["BLEU-1", "CIDEr"]
    assert texts(browser, ".metric .worse") == ["-0.2000 [-0.3000, -0.1000] worse"]
    assert texts(browser, "tbody tr")[:2] == ["fingerprint 0123456789ab –", "size 20.5 MB –"]  # noqa: RUF001
    assert texts(browser, "#photos h2") == ["Photos 2 of 1,000, where CIDEr differs most first"]
    card = browser.find_elements(By.CSS_SELECTOR, ".card")[0]
    assert card.text.splitlines() == [
        *("small", "1.50", SCRIPT, "saved", "0.25", "empty caption", "a dog", SCRIPT, "1.jpg"),
    ]
    assert texts(browser, ".said .best .cider") == ["1.50", "1.50"]
    loaded = browser.execute_script("return [...document.images].map(i => i.naturalWidth)")
    assert loaded == [36]
    assert texts(browser, ".no-photo") == ["not on this machine"]
    assert browser.get_log("browser") == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_sticks_out(browser, width):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False},
    )
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
    bars = browser.execute_script(
        "return [...document.querySelectorAll('.axis')].map(axis => {"
        "  const [box, bar] = [axis, axis.firstChild].map(e => e.getBoundingClientRect());"
        "  return [(bar.left - box.left) / box.width, bar.width / box.width]; })"
    )
    cells = [
        cell for name in ("BLEU-1", "CIDEr") for cell in metric_cells(two_models()["models"], name)
    ]
    assert bars == [pytest.approx([cell.left, cell.width], abs=0.01) for cell in cells]
