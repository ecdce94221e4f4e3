"""The built book in a real browser: nothing fails to load, nothing errs, and it reads well on a phone."""

import functools
import gzip
import os
import threading
import urllib.request
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from edgechaos_core.book import build as book
from edgechaos_core.book import chapters
from tests.book import browser as chromium
from tests.book import page_checks

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]
# The theme's own, on a first visit without a stored choice and on pages without a launch button.
KNOWN_ERRORS = ("Got invalid theme mode", "THEBE_JS_URL")
PAGES = ["index.html", *(f"{document}.html" for document in chapters.documents())]
CHAPTERS = [path for path in PAGES if path.startswith("chapters/") and "scorecard" not in path]
SCREENSHOTS = book.BUILD / "screenshots"


@pytest.fixture(scope="module")
def site(quick_book) -> Iterator[str]:
    """Serve the quick book on loopback; yield its address."""
    pages = quick_book.site()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Keep the test output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=pages))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    path = chromium.find()
    if path is None:
        message = "NOT RUN: no Chromium could be found or installed, so no page was opened in a browser"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=FLAGS)


def open_page(chrome: Browser, address: str, *, width: int, scheme: str = "light") -> tuple[Page, list[str]]:
    """Open a page, wait for its formulas, and return it with everything that went wrong."""
    page = chrome.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(f"exception: {error}"))
    page.on("requestfailed", lambda request: trouble.append(f"failed request: {request.url}"))
    page.on("response", lambda answer: answer.status >= 400 and trouble.append(f"{answer.status}: {answer.url}"))
    page.on(
        "console",
        lambda message: (
            message.type == "error" and trouble.append(f"console: {message.text} {message.location['url']}")
        ),
    )
    page.goto(address, wait_until="load")  # the network may be idle before
    page.wait_for_load_state("networkidle")
    page.wait_for_function("!window.MathJax || (MathJax.startup && MathJax.startup.promise.then(() => true))")
    return page, [entry for entry in trouble if not any(known in entry for known in KNOWN_ERRORS)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", PAGES)
def test_page_loads_whole_and_fits(site, chrome, path, width, scheme):
    page, trouble = open_page(chrome, f"{site}/{path}", width=width, scheme=scheme)
    assert trouble == []
    outside = "performance.getEntriesByType('resource').map(entry => entry.name)"
    assert [url for url in page.evaluate(outside) if not url.startswith((site, "data:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    broken = "[...document.images].filter(image => !image.complete || !image.naturalWidth).map(image => image.src)"
    assert page.evaluate(broken) == []
    assert page.locator("mjx-merror").count() == 0
    alts = page.eval_on_selector_all("article figure img", "images => images.map(image => image.alt)")
    assert [alt for alt in alts if len(alt) < 20] == []
    assert "$" not in page.locator("article").inner_text().replace("$ ", "")
    assert page.evaluate(page_checks.CUT_OFF) == []
    assert page.evaluate(page_checks.UNTOLD) == []
    assert page.evaluate(page_checks.CRUSHED) == []
    assert page.evaluate(page_checks.NUMBERED_OVER) == []
    assert page_checks.small_letters(page) == []
    if width == 1280:
        assert page_checks.violations(page) == []
    if (width, scheme) == (1280, "light"):
        assert page.evaluate(page_checks.SCROLLED) == []
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{Path(path).stem}-{width}-{scheme}.png", full_page=True)
    page.context.close()


def test_no_link_is_dead(site, quick_book):
    assert page_checks.dead_links(site, quick_book.site(), PAGES) == []


@pytest.mark.parametrize("path", [path for path in PAGES if path != "chapters/scorecard.html"])  # a row a claim
def test_tables_in_the_text_are_short(quick_book, path):
    assert page_checks.long_tables(page_checks.read_page(quick_book.site() / path)) == []


@pytest.mark.parametrize("path", CHAPTERS)
def test_a_chapter_opens_with_its_box(quick_book, path):
    page = page_checks.read_page(quick_book.site() / path)
    (box,) = page.select("article .admonition.in-short")
    words = [word.get_text().rstrip(":.") for word in box.select("p > strong:first-child")]
    assert words == ["Question", "Answer", "One number", "One caveat"]
    assert not [title for title in box.find_all_previous("h2") if title.find_parent("article")]  # before any section


def test_the_landing_page_is_light(site, chrome):
    page, _ = open_page(chrome, f"{site}/intro.html", width=1280)
    loaded = "[location.href, ...performance.getEntriesByType('resource').map(entry => entry.name)]"
    sizes = {}
    for address in page.evaluate(loaded):
        with urllib.request.urlopen(address) as answer:
            sizes[address] = len(gzip.compress(answer.read()))  # as servers of such pages send it
    assert len(sizes) > 5
    assert sum(size for address, size in sizes.items() if "plotly" not in address) < 1.5e6
    page.context.close()


def test_chapter_shows_its_equations_and_figures(site, chrome):
    page, _ = open_page(chrome, f"{site}/chapters/training_path.html", width=1280)
    assert page.locator("mjx-container").count() > 20
    assert page.locator("article figure img").count() == 2
    heights = page.eval_on_selector_all("article figure img", "images => images.map(image => image.clientHeight)")
    assert min(heights) > 150
    assert page.get_by_text("epochs = 4").count() == 1  # the parameters in force, once
    page.context.close()


def test_the_slider_of_the_landing_page_moves_the_network(site, chrome):
    page, _ = open_page(chrome, f"{site}/intro.html", width=1280)
    told = page.locator(".slider-label").first
    before, rail = told.text_content(), page.locator(".slider-rail-touch-rect").bounding_box()
    page.mouse.click(rail["x"] + 8, rail["y"] + rail["height"] / 2)
    page.wait_for_function("document.querySelector('.slider-label').textContent.startsWith('epoch 0 ')")
    assert before.startswith("epoch ")
    assert before != told.text_content()
    mark = "document.querySelector('.js-plotly-plot').data[3].y[0]"
    page.wait_for_function(f"Math.abs({mark} - 2) < 0.01")  # 1/J where every network starts
    page.context.close()


def test_an_interactive_figure_is_no_wider_than_its_column_once_a_scroll_bar_has_narrowed_it(site, chrome):
    page, _ = open_page(chrome, f"{site}/intro.html", width=390)
    width = "(e => e.scrollWidth - e.parentElement.clientWidth)(document.querySelector('.js-plotly-plot'))"
    page.wait_for_function(f"{width} <= 1", timeout=10_000)
    assert page.evaluate(width) <= 1
    page.context.close()


def test_the_icon_is_where_browsers_look_for_it(site):
    with urllib.request.urlopen(f"{site}/favicon.ico") as answer:  # asked for on a page without its own, the redirect
        assert answer.read(4) == b"\0\0\1\0"


def test_figures_follow_dark_mode(site, chrome):
    page, _ = open_page(chrome, f"{site}/chapters/training_path.html", width=1280, scheme="dark")
    image = page.locator("article figure img").first
    style = image.evaluate("image => [getComputedStyle(image).filter, getComputedStyle(image).backgroundColor]")
    assert "invert" in style[0]
    assert style[1] == "rgba(0, 0, 0, 0)"
    page.context.close()


def test_search_finds_a_word_of_the_chapter(site, chrome):
    page, trouble = open_page(chrome, f"{site}/search.html?q=chaos", width=1280)
    page.wait_for_selector("#search-results li a")
    assert page.locator("#search-results li a").count() > 0
    assert trouble == []
    page.context.close()
