"""What makes a page readable, asked of the page itself in a browser, and of the files of the site."""

import re
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Page

LEAST_LETTER = 9  # px, of figures
MOST_ROWS = 10  # of a table that is not folded
# Of axe's rules those that a page's author answers for; the theme's frame around the article is its own.
RULES = ["color-contrast", "image-alt", "svg-img-alt", "link-name", "empty-heading"]

# Code, tables, formulas and pictures that reach beyond the article and cannot be scrolled to.
CUT_OFF = """() => {
    const edge = document.querySelector('article').getBoundingClientRect().right + 1;
    const scrolls = node => node && node.tagName !== 'ARTICLE'
        && (['auto', 'scroll'].includes(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
    return [...document.querySelectorAll('article :is(pre, table, mjx-container, img, dt)')]
        .filter(node => node.getClientRects().length && node.getBoundingClientRect().right > edge && !scrolls(node))
        .map(node => node.tagName + ': ' + node.textContent.trim().slice(0, 60));
}"""

# What has to be scrolled sideways.
SCROLLED = """() => [...document.querySelectorAll('article :is(pre, table, .cell_output, div.math, figure)')]
    .filter(node => node.getClientRects().length && node.scrollWidth > node.clientWidth + 1)
    .filter(node => ['auto', 'scroll'].includes(getComputedStyle(node).overflowX))
    .map(node => node.tagName + ' by ' + (node.scrollWidth - node.clientWidth) + ' px: '
        + node.textContent.trim().slice(0, 60))"""

# What scrolls, and does not say so.
UNTOLD = SCROLLED.replace(
    ".map(", ".filter(node => node.tagName !== 'FIGCAPTION' && !node.matches('.scrolls'))\n    .map(", 1
)

# Sentences in a cell so narrow that they stand as a column of words.
CRUSHED = """() => [...document.querySelectorAll('article :is(td, th)')]
    .filter(cell => cell.getClientRects().length && cell.clientWidth < 90 && cell.textContent.trim().length > 45)
    .map(cell => cell.clientWidth + ' px: ' + cell.textContent.trim().slice(0, 60))"""

# Formulas under their own number.
NUMBERED_OVER = """() => [...document.querySelectorAll('article div.math .eqno')].filter(number => {
    const own = number.getBoundingClientRect(), set = number.parentElement.querySelector('mjx-container > mjx-math');
    if (!set || !number.getClientRects().length) return false;
    const formula = set.getBoundingClientRect();
    return own.left < formula.right && own.top < formula.bottom - 2 && formula.top < own.bottom - 2;
}).map(number => number.textContent)"""

# Matplotlib draws letters as outlines, each text scaled by a hundredth of its size in points.
LETTERS = """async () => {
    const found = [];
    const images = [...document.querySelectorAll('article :is(figure, .tag_narrow-screen) img[src$=".svg"]')];
    for (const image of images.filter(image => image.clientWidth)) {  // of two for two screens one is not shown
        const text = await (await fetch(image.src)).text();
        const width = Number(text.match(/viewBox="0 0 ([0-9.]+)/)[1]);
        const sizes = [...text.matchAll(/scale\\(([0-9.]+) -[0-9.]+\\)/g)].map(match => 100 * Number(match[1]));
        found.push([image.alt.slice(0, 40), Math.min(...sizes) * image.clientWidth / width]);
    }
    return found;
}"""


def small_letters(page: Page) -> list[str]:
    """Figures with letters smaller than the least, as they are shown."""
    return [f"{alt} ({size:.1f} px)" for alt, size in page.evaluate(LETTERS) if size < LEAST_LETTER - 0.05]


def violations(page: Page) -> list[str]:
    """What axe-core finds in the article: a rule, an element and why, each."""
    options = {"runOnly": {"type": "rule", "values": RULES}, "resultTypes": ["violations"]}
    context = {"include": [["article"]], "exclude": [["mjx-container"]]}  # formulas are MathJax's, and thousands
    found = Axe().run(page, context=context, options=options).response["violations"]
    return [
        f"{entry['id']}: {node['html'][:90]}: {node['failureSummary'].splitlines()[-1].strip()[:150]}"
        for entry in found
        for node in entry["nodes"]
    ]


def read_page(path: Path) -> BeautifulSoup:
    """Read a page of the site without a browser."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def long_tables(page: BeautifulSoup) -> list[str]:
    """Tables with more rows than a reader takes in, unless they are folded."""
    folded = ["details", ".toggle", ".tag_hide-output", ".tag_hide-cell"]
    tables = [table for table in page.select("article table") if not table.find_parent(_is_one_of(folded))]
    rows = [(table, len(table.select("tbody tr"))) for table in tables]
    return [f"{count} rows: {table.get_text(' ', strip=True)[:60]}" for table, count in rows if count > MOST_ROWS]


def _is_one_of(selectors: list[str]):
    names = {name for name in selectors if name[0] != "."}
    classes = {name[1:] for name in selectors if name[0] == "."}
    return lambda tag: isinstance(tag, Tag) and (tag.name in names or bool(classes & set(tag.get("class", []))))


def dead_links(site: str, folder: Path, paths: list[str]) -> list[str]:
    """Links of the pages that lead nowhere: inside the site by asking for them, others by their form."""
    pages = {path: read_page(folder / path) for path in paths}
    names = {path: {tag["id"] for tag in page.select("[id]")} for path, page in pages.items()}
    links = {
        (path, urljoin(f"{site}/{path}", tag["href"])) for path, page in pages.items() for tag in page.select("a[href]")
    }
    wrong = []
    answers: dict[str, bool] = {}
    for path, link in sorted(links):
        address, name = urldefrag(link)
        if not address.startswith(site):
            if not re.fullmatch(r"https://[\w-]+(\.[\w-]+)+(/[^\s<>\"{}]*)?", address):
                wrong.append(f"{path}: {link}")
            continue
        if address not in answers:
            answers[address] = _answers(address)
        other = unquote(address.removeprefix(f"{site}/"))
        if not answers[address] or (name and other in names and unquote(name) not in names[other]):
            wrong.append(f"{path}: {link.removeprefix(site)}")
    return wrong


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD")) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False
