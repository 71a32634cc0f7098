"""Page in Chromium, on a desk and on a phone (`make test-browser`)."""

import base64
import os
from pathlib import Path

import numpy as np
import pytest


sync_api = pytest.importorskip("playwright.sync_api")
axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")

from chromium import find_chromium  # noqa: E402
from visitor import wait_until  # noqa: E402


pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("one_thread")]

SCREENS = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="module")
def browser():
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium; make test-browser installs one")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=SCREENS)
def tab(browser, page, request, tmp_path):
    """Open the page. A request to another host fails the test, and so does anything wider than the screen.

    A screenshot of how the test left it goes to LSSED_HF_SCREENSHOTS.
    """
    address, _ = page
    context = browser.new_context(
        viewport=SCREENS[request.param], permissions=["microphone"], device_scale_factor=1 + (request.param == "phone")
    )
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(address)
    tab.locator("input[type=file]").wait_for(state="attached")
    yield tab
    folder = Path(os.environ.get("LSSED_HF_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=folder / f"{request.node.name.replace('[', '_').strip(']')}.png", full_page=True)
    widest = tab.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert widest <= SCREENS[request.param]["width"]
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def assert_accessible(tab) -> None:
    """Check that axe-core finds no serious or critical violation."""
    tab.wait_for_timeout(500)  # until all has faded in: axe measures the contrast of what is half transparent
    found = axe_playwright.Axe().run(tab).response["violations"]
    grave = [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
    assert not grave, "\n".join(grave)


def give(tab, path: Path) -> None:
    tab.set_input_files("input[type=file]", path)


def percentages(tab):
    """Return the percentages of the labels, once there are three."""
    shown = tab.locator("#scores .percent")
    shown.nth(2).wait_for()
    return shown


def test_before_a_recording(tab):
    tab.get_by_text("The result appears here.").wait_for()
    tab.get_by_text("Tested: UA 0.50 on nobody, split test.").wait_for()
    assert_accessible(tab)


def test_an_example_takes_one_click(tab):
    tab.get_by_role("button", name="Agitated voice").click()
    bars = tab.get_by_role("list", name="Emotions, the most likely first").get_by_role("listitem")
    bars.nth(2).wait_for()
    shares = [int(text.rstrip("%")) for text in percentages(tab).all_inner_texts()]
    assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(100, abs=2)
    widths = [bar.bounding_box()["width"] for bar in tab.locator("#scores .fill").all()]
    assert widths == sorted(widths, reverse=True)
    assert_accessible(tab)


def test_a_clip_and_another_model(tab, make_speech, tmp_path):
    give(tab, make_speech(tmp_path / "clip.wav"))
    percentages(tab)
    scores = tab.locator("#scores")
    assert {"angry", "neutral", "happy"} <= set(scores.inner_text().split())
    assert "sad" not in scores.inner_text()
    tab.get_by_text("2 s, classified as a whole.").wait_for()
    assert tab.locator("#picture img").evaluate("image => image.naturalWidth") > 600
    assert not tab.locator("#timeline").is_visible()
    tab.get_by_label("Model").click()
    tab.get_by_role("option", name="four").click()
    scores.get_by_text("sad").first.wait_for()
    tab.locator("#facts").get_by_text("Model: four.").wait_for()
    assert_accessible(tab)


def test_a_long_recording(tab, make_speech, tmp_path):
    give(tab, make_speech(tmp_path / "long.wav", seconds=15))
    tab.locator("#timeline img").wait_for()
    tab.get_by_text("15 s: mean of 13 windows of 3 s.").wait_for()
    timeline, picture = tab.locator("#timeline img").bounding_box(), tab.locator("#picture img").bounding_box()
    assert timeline["width"] == pytest.approx(picture["width"], abs=1)
    assert_accessible(tab)
    assert timeline["x"] >= 0 and timeline["x"] + timeline["width"] <= tab.viewport_size["width"]


@pytest.mark.parametrize("kind, reason", [("text", "not an audio file"), ("long", "takes up to 20 s"), ("nan", "NaN")])
def test_a_bad_file_and_then_a_good_one(tab, bad_files, kind, reason, make_speech, tmp_path):
    give(tab, bad_files[kind])
    alert = tab.get_by_role("alert").get_by_text(reason)
    alert.wait_for()
    assert not tab.locator("#scores").is_visible()
    assert_accessible(tab)
    if kind == "nan":
        tab.get_by_label("Clear").click()
        give(tab, make_speech(tmp_path / "clip.wav"))
        percentages(tab)
        assert not alert.is_visible()


@pytest.mark.parametrize("suffix, codec", [("webm", "libopus"), ("mp4", "aac"), ("3gp", "aac"), ("caf", "pcm_s16le")])
def test_recordings_that_browsers_take_for_videos(tab, suffix, codec, tmp_path):
    av = pytest.importorskip("av")
    noise = np.random.default_rng(0).normal(0, 3000, (1, 32000)).astype(np.int16)
    with av.open(tmp_path / f"memo.{suffix}", "w") as container:
        stream = container.add_stream(codec, rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    give(tab, tmp_path / f"memo.{suffix}")
    percentages(tab)
    assert tab.locator("#result").get_attribute("aria-live") == "polite"


def test_a_dropped_file(tab, make_speech, tmp_path):
    data = base64.b64encode(make_speech(tmp_path / "clip.wav").read_bytes()).decode()
    tab.get_by_label("Clear").wait_for(state="detached")
    tab.evaluate(
        """async (data) => {
            const bytes = await (await fetch("data:;base64," + data)).arrayBuffer();
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], "memo.mkv", { type: "video/x-matroska" }));
            const area = document.querySelector("#recording [data-testid=file-upload]").parentElement;
            area.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        data,
    )
    percentages(tab)


def test_too_large_a_file(tab, tmp_path):
    (tmp_path / "large.wav").write_bytes(bytes(3 * 2**20))
    give(tab, tmp_path / "large.wav")
    tab.get_by_text("maximum allowed size").first.wait_for()
    tab.wait_for_timeout(500)  # until it has slid in, for the screenshot


def test_the_microphone(tab):
    tab.get_by_label("Record audio").click()
    tab.get_by_role("button", name="Record", exact=True).click()
    tab.wait_for_timeout(1500)
    tab.get_by_role("button", name="Stop", exact=True).click()
    percentages(tab)
    tab.locator("#note").get_by_text("classified as a whole").wait_for()


def test_closing_the_tab_deletes_the_upload(tab, kept, make_speech, tmp_path):
    give(tab, make_speech(tmp_path / "closed.wav", seed=5))
    percentages(tab)
    assert kept() == ["closed.wav"]
    tab.goto("about:blank")
    assert wait_until(lambda: kept() == [])
