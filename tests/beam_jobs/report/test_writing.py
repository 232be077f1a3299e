"""The report of a real output folder, looked at in headless Chromium."""

import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from beam_jobs.report.thumbnails import ThumbnailConfig
from beam_jobs.report.writing import ReportConfig, write_report
from model_lib.bundle import load_bundle
from tests.beam_jobs.run_folder import caption_row, failure_row, photo, write_tables

NUM_PHOTOS = 60
MIN_SCORE = -0.4
SCRIPT = "<script>document.title='owned'</script>"
HOSTILE_CAPTION = f"""{SCRIPT} "a" 'dog' & <img src=x onerror="document.title='owned'"> \u202egnp"""
HOSTILE_NAME = """'><svg onload=document.title='owned'>&amp;"{{ 7 * 7 }}.jpg"""
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

pytestmark = pytest.mark.browser


def make_run(folder: Path) -> tuple[str, dict[str, Any]]:
    """Writes photos and the tables of a run over them; returns its output and manifest."""
    photos = folder / "photos"
    photos.mkdir()
    captions = []
    for number in range(NUM_PHOTOS):
        name = HOSTILE_NAME.replace("/", "_") if number == 1 else f"photo_{number:02}.jpg"
        data = photo(number, (300, 400) if number % 3 else (400, 300))
        (photos / name).write_bytes(data)
        text = HOSTILE_CAPTION if number == 1 else f"a dog number {number} runs"
        alternatives = [
            {"caption": caption, "log_prob": -1.0, "score": -0.5} for caption in (text, SCRIPT)
        ]
        score = -0.01 * (number + 1)
        uri = str(photos / name)
        judged = {
            "low_confidence": score < MIN_SCORE,
            "sentence": f"A dog number {number} runs." if number == 3 else None,
        }
        captions.append(
            caption_row(uri, data, caption=text, score=score, candidates=alternatives, **judged)
        )
    (photos / "photo_59.jpg").unlink()
    failures = [failure_row(f"{SCRIPT}{at}.jpg", error_message=SCRIPT) for at in range(7)]
    flaky = {"stage": "read", "attempts": 4, "transient": True}
    failures.append(failure_row("http://h/x.jpg", "HttpStatusError<b>", **flaky))
    times = {"count": 68, "mean": 12.34, "min": 1.0, "max": 1500.0, "p50": 9.8, "p95": 40.0}
    manifest = {
        "run_id": f"run-1{SCRIPT}",
        "elapsed_secs": 12.0,
        "images_per_sec": 5.0,
        "command_line": ["caption-images", "--input", SCRIPT, "x" * 500],
        "bundle": {"name": SCRIPT, "fingerprint": "f" * 64},
        "decode": {"method": "beam", "beam_width": 3},
        "settings": {"input": [SCRIPT, "y" * 500], SCRIPT: SCRIPT, "min_score": MIN_SCORE},
        "metrics": {
            "latency_ms": {"read": times, "decode": times, "caption": times, SCRIPT: times},
            "images_per_sec": {"whole_run": 5.0, "captioning": 7.5},
            "batch_images": {"p50": 32, "max": 32},
            "peak_memory_bytes": {"launcher": 9e8, "worker": 8e8},
        },
        "runs": [
            {
                "run_id": SCRIPT,
                "started_at": "2026-01-02T03:04:05+00:00",
                "finished_at": None,
                "command_line": ["--input", SCRIPT, "z" * 500],
                "captions": 60,
                "failures": 8,
            }
        ],
    }
    return write_tables(folder / "out", captions, failures), manifest


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output, manifest = make_run(tmp_path_factory.mktemp("report"))
    return Path(write_report(output, manifest))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.fail(
            "chromium and chromedriver are missing; install them with "
            "`apt-get update && apt-get install -y chromium chromium-driver`"
        )
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, report: Path) -> webdriver.Chrome:
    """The report, freshly opened at desktop width; the logs hold this visit only."""
    browser.get("about:blank")
    set_width(browser, 1280)
    for log in ("performance", "browser"):
        browser.get_log(log)
    browser.get(report.as_uri())
    return browser


def set_width(browser: webdriver.Chrome, width: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False},
    )


def texts(page: webdriver.Chrome, selector: str) -> list[str]:
    return [element.text for element in page.find_elements(By.CSS_SELECTOR, selector)]


def test_shows_the_sample_and_the_two_ends(page):
    ends = 12
    assert len(texts(page, "#photos .card")) == 48
    expected = [f"a dog number {n} runs" for n in range(2, ends)]
    expected[1] = "A dog number 3 runs."
    assert texts(page, "#most .caption")[2:] == expected
    assert texts(page, "#least .caption") == [f"a dog number {59 - n} runs" for n in range(ends)]
    assert texts(page, "#photos h2") == ["Photos 48 drawn at random from 60"]
    assert texts(page, "#least .meta")[0] == "55% confident score -0.600"


def test_every_photo_really_shows(page):
    loaded = page.execute_script(
        "return [...document.images].map(i => [i.complete, i.naturalWidth, i.naturalHeight, i.alt])"
    )
    in_sample = "photo_59.jpg" in texts(page, "#photos summary")
    assert len(loaded) == 48 + 12 + 12 - 1 - in_sample
    assert all(complete for complete, *_ in loaded)
    assert {(width, height) for _, width, height, _ in loaded} == {(320, 240), (240, 320)}
    assert {alt for *_, alt in loaded} <= {
        HOSTILE_CAPTION,
        "A dog number 3 runs.",
        *(f"a dog number {number} runs" for number in range(NUM_PHOTOS)),
    }


def test_a_sentence_has_its_caption_as_a_tooltip(page):
    caption = page.find_element(By.CSS_SELECTOR, "#most .caption[title]")
    assert caption.text == "A dog number 3 runs."
    assert caption.get_attribute("title") == "a dog number 3 runs"


def test_captions_of_low_confidence_have_a_badge_and_can_be_shown_alone(page):
    assert texts(page, "#least .badge") == ["low confidence"] * 12
    assert texts(page, "#most .badge") == []
    before = [card for card in page.find_elements(By.CSS_SELECTOR, ".card") if card.is_displayed()]
    assert len(before) == 48 + 12 + 12
    box = page.find_element(By.ID, "only-low")
    assert page.find_element(By.CSS_SELECTOR, ".filter label").text == (
        "Show only captions of low confidence"
    )
    box.click()
    shown = [card for card in page.find_elements(By.CSS_SELECTOR, ".card") if card.is_displayed()]
    assert {card.get_attribute("class") for card in shown} == {"card low"}
    assert len(shown) == len(page.find_elements(By.CSS_SELECTOR, ".card.low")) >= 12
    said = page.execute_script(
        "return getComputedStyle(document.querySelector('#most .cards'), '::after').content"
    )
    assert said == '"None of these has low confidence."'
    box.click()


def test_a_photo_that_is_gone_has_a_placeholder_with_its_caption(page):
    gone = page.find_element(By.CSS_SELECTOR, "#least .no-photo")
    assert gone.text == "cannot be read again (FileNotFoundError)"
    assert gone.get_attribute("aria-label") == "a dog number 59 runs (no preview)"


def test_failures_are_grouped_with_counts_and_examples(page):
    assert texts(page, ".failure h3") == [
        "decode\nTruncatedImageError\n7",
        "read\nHttpStatusError<b>\n1",
    ]
    examples = texts(page, ".failure li")
    assert examples[:5] == [f"{SCRIPT}{at}.jpg\n{SCRIPT}" for at in range(5)]
    assert examples[5] == "http://h/x.jpg 4 attempts\nends early"
    assert "and 2 more in failures/*.parquet" in texts(page, ".failure .hint")
    assert texts(page, ".tile") == [
        "Inputs\n68",
        "Captions\n60",
        "Failures\n8 12%",
        "Mean confidence\n75%",
        "Low confidence\n20 33%, score below \u22120.4",
        "Time\n12 s",
        "Images a second\n5.0",
    ]


def test_the_charts_tell_scores_and_kinds_of_failures(page):
    assert texts(page, "#distribution h3") == ["Score", "Confidence", "Words in a caption"]
    assert texts(page, ".kinds figcaption") == ["Failures by type\n1 of 8 may pass on another try"]
    assert texts(page, ".kind") == ["TruncatedImageError decode", "HttpStatusError<b> read"]
    widths = page.execute_script(
        "return [...document.querySelectorAll('.track')].map(track => [...track.children].map("
        "  part => Math.round(100 * part.clientWidth / track.clientWidth)))"
    )
    assert widths == [[100, 0], [0, 14]]


def test_runs_and_speed_are_shown(page):
    rows = [row.split() for row in texts(page, "#runs tr")]
    assert rows[0] == ["Stage", "Times", "Median", "95%", "Mean", "Longest"]
    assert " ".join(rows[1]) == "Read an image 68 9.80 ms 40.0 ms 12.3 ms 1.5 s"
    assert texts(page, "#runs .speed dd") == [
        "7.5",
        "5.0",
        "32",
        "800 MB",
        "900 MB",
    ]
    assert texts(page, "#runs .run h3") == [f"{SCRIPT}\n60 captions, 8 failures"]


def test_hostile_text_is_shown_and_nothing_of_it_runs(page, report):
    assert texts(page, "#most .caption")[1] == HOSTILE_CAPTION.strip()
    assert HOSTILE_NAME.replace("/", "_") in texts(page, "#most summary")
    assert page.title == f"60 photos captioned, 8 failed (run run-1{SCRIPT})"
    assert page.find_elements(By.CSS_SELECTOR, "script, iframe, object, [onerror], [onload]") == []
    assert b"<script" not in report.read_bytes()
    handlers = page.execute_script(
        "return [...document.querySelectorAll('*')].flatMap(e => [...e.attributes])"
        ".filter(a => a.name.startsWith('on') || a.value.startsWith('javascript:')).length"
    )
    assert handlers == 0


def test_the_escaping_holds_without_the_content_security_policy(browser, report, tmp_path):
    bare = tmp_path / "bare.html"
    lines = report.read_text("utf-8").splitlines()
    bare.write_text("\n".join(x for x in lines if "Content-Security-Policy" not in x), "utf-8")
    browser.get(bare.as_uri())
    assert browser.title == f"60 photos captioned, 8 failed (run run-1{SCRIPT})"


def test_nothing_is_loaded_and_the_console_is_silent(page, report):
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    assert report.as_uri() in urls
    assert {url for url in urls if not url.startswith("data:")} == {report.as_uri()}
    assert page.get_log("browser") == []
    links = page.find_elements(By.CSS_SELECTOR, "[href]")
    assert {link.get_dom_attribute("href")[:1] for link in links} == {"#", "d"}


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_nothing_overflows_sideways(page, width):
    set_width(page, width)
    page.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.execute_script("return document.documentElement.scrollWidth") == width
    too_wide = page.execute_script(
        "return [...document.querySelectorAll('.card, .panel, pre, .tile, .no-photo')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.className)"
    )
    assert too_wide == []


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_text_is_readable_in_both_colour_schemes(page, scheme, dark):
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    colours = page.execute_script(
        "const ratios = [], rgb = c => c.match(/[\\d.]+/g).map(Number);"
        "const light = c => { const [r, g, b] = rgb(c).map(v => (v /= 255) <= .03928"
        "  ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126*r + .7152*g + .0722*b; };"
        "const ground = e => { const c = getComputedStyle(e).backgroundColor;"
        "  return c == 'rgba(0, 0, 0, 0)' ? ground(e.parentElement) : c; };"
        "const texts = 'h1, p, dt, dd, a, summary, span, small, th, td, code';"
        "for (const e of document.querySelectorAll(texts)) {"
        "  const pair = [light(getComputedStyle(e).color), light(ground(e))].sort((a, b) => b - a);"
        "  ratios.push((pair[0] + .05) / (pair[1] + .05)); }"
        "return [light(ground(document.body)), Math.min(...ratios)]"
    )
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert (colours[0] < 0.5) == dark
    assert colours[1] >= 4.5  # WCAG AA


def test_is_complete_to_a_screen_reader(page):
    assert page.execute_script("return document.documentElement.lang") == "en"
    assert page.execute_script(
        "return [...document.querySelectorAll('svg')].every("
        "  s => s.getAttribute('aria-label') || s.getAttribute('aria-hidden'))"
    )
    targets = [a.get_dom_attribute("href") for a in page.find_elements(By.CSS_SELECTOR, "nav a")]
    assert targets == [f"#{element.get_attribute('id')}" for element in sections(page)]


def sections(page: webdriver.Chrome) -> list[Any]:
    return page.find_elements(By.CSS_SELECTOR, "main section")


def test_the_same_run_gives_the_same_page(report, tmp_path):
    output, manifest = str(report.parent), json.loads(json.dumps({"run_id": "r"}))
    first = Path(write_report(output, manifest)).read_bytes()
    assert Path(write_report(output, manifest)).read_bytes() == first


def test_what_is_shown_can_be_chosen(tmp_path):
    rows = [caption_row(f"{at}.jpg") for at in range(20)]
    config = ReportConfig(sample_size=3, ranked_size=1, thumbnails=ThumbnailConfig(side=40), seed=5)
    asked = []

    def read_bytes(uri: str) -> bytes:
        asked.append(uri)
        return photo(1)

    path = write_report(write_tables(tmp_path, rows), {}, read_bytes=read_bytes, config=config)
    page = Path(path).read_text("utf-8")
    assert path == str(tmp_path / "report.html")
    assert page.count('class="card"') == 3 + 1 + 1
    assert page.count('width="40" height="30"') == 5
    assert len(asked) == len(set(asked))


def test_photos_on_a_web_server_are_read_again(tmp_path, web):
    rows = [caption_row(web.url("photo.jpg")), caption_row(web.url("missing.jpg"))]
    fetch = ReportConfig().fetch.replace(allow_private_addresses=True)
    config = ReportConfig(fetch=fetch)
    page = Path(write_report(write_tables(tmp_path, rows), {}, config=config)).read_text("utf-8")
    assert page.count("data:image/jpeg;base64,") == 1
    assert page.count("cannot be read again (HttpStatusError)") == 1
    assert web.requests == {"/photo.jpg": 1, "/missing.jpg": 1}


def test_bytes_in_the_command_line_that_are_no_utf8_do_not_stop_the_report(tmp_path):
    output = write_tables(tmp_path, [])
    path = write_report(output, {"command_line": ["x", "caf\udce9.jpg"]})
    assert "caf\\udce9.jpg" in Path(path).read_text("utf-8")


def test_what_the_model_looked_at_is_shown_word_by_word(browser, tmp_path, toy_bundle):
    captioner = load_bundle(toy_bundle)
    rows = []
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(photo(number))
        [[best]] = captioner.caption_bytes([photo(number)])
        uri = str(tmp_path / f"{number}.jpg")
        rows.append(caption_row(uri, photo(number), caption=best.text, sentence=f"{best.text}."))
    info = captioner.info
    manifest = {
        "bundle": {"path": toy_bundle, "fingerprint": info.fingerprint},
        "decode": info.decode.to_dict(),
    }
    config = ReportConfig(attention=2)
    path = Path(write_report(write_tables(tmp_path / "out", rows), manifest, config=config))
    set_width(browser, 390)
    browser.get(path.as_uri())
    assert texts(browser, "#attention h2") == ["Word by word 2 photos of the sample"]
    summaries = texts(browser, "#attention summary")
    assert summaries == [f"{row['caption']}. {at}.jpg" for at, row in enumerate(rows[:2])]
    panels = browser.find_elements(By.CSS_SELECTOR, "#attention details")
    assert [panel.get_attribute("open") is not None for panel in panels] == [True, False]
    images = browser.execute_script(
        "return [...document.querySelectorAll('#attention img')]"
        ".map(i => [i.complete, i.naturalWidth > 600, i.alt])"
    )
    assert images == [[True, True, f"One panel for each word of: {r['caption']}"] for r in rows[:2]]
    links = browser.find_elements(By.CSS_SELECTOR, "#photos .words")
    assert [link.get_dom_attribute("href") for link in links] == ["#attention-1", "#attention-2"]
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    for width in (320, 390, 1280):
        set_width(browser, width)
        assert browser.execute_script("return document.documentElement.scrollWidth") == width
    assert browser.find_element(By.CSS_SELECTOR, "nav a[href='#attention']").text == "Word by word"


def test_photos_inside_an_archive_are_read_again(tmp_path):
    shard = tmp_path / "00.tar"
    with tarfile.open(shard, "w") as archive:
        for name in ("a.jpg", "b.jpg"):
            data = photo(ord(name[0]))
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    rows = [caption_row(f"{shard}#b", photo(ord("b"))), caption_row(f"{shard}#c")]
    page = Path(write_report(write_tables(tmp_path / "out", rows), {})).read_text("utf-8")
    assert page.count("data:image/jpeg;base64,") == 1
    assert page.count("cannot be read again (FileNotFoundError)") == 1
