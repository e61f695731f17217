"""Reports in a real browser: on a phone, in the dark, on paper, and with names that try to run."""

from __future__ import annotations

import os
import re
import shutil
import socket
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluations import binary, compared, empty, hostile, multiclass, regression

from palate.evaluation._report import write_report
from palate.evaluation.gate import check_gate, make_gate
from palate.evaluation.results import Comparison, Evaluation, Pictures

RESULTS: dict[str, Evaluation | Comparison] = {
    "binary": binary(),
    "multiclass": multiclass(),
    "many classes": multiclass(40),
    "regression": regression(),
    "nothing": empty(),
    "comparison": compared(),
    "hostile": hostile(),
    "without pictures": replace(binary(), pictures=Pictures()),
}
FLAGS = (
    "--no-sandbox --headless --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
RULES = ("accuracy >= 0.8", "p99 latency <= 1 ms", "accuracy >= 0.8 for each site of at least 30 rows")
# As a PDF says them: the colour of a picture's first line (#0b62a8), and the background of the dark scheme (#14171a).
FIRST_LINE, DARK_PAPER = b".0431 .3843 .6588 RG", b".0784 .0902 .102 rg"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return Chromium."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        reason = "no chromium: install it, as 'apt-get install chromium' does"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a report of each kind."""
    folder = tmp_path_factory.mktemp("reports")
    paths = {name: folder / f"{name}.html" for name in RESULTS}
    for name, path in paths.items():
        result = RESULTS[name]
        write_report(result, path, gate=check_gate(make_gate(RULES), result))
    return paths


@pytest.fixture
def open_page(browser: Any, files: dict[str, Path]) -> Iterator[Any]:
    """Open a report on such a screen; what the browser complains of, or asks anybody for, fails the test."""
    contexts, wrong = [], []

    def opener(name: str, *, width: int = 1200, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        address = files[name].as_uri()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("request", lambda request: wrong.append(request.url) if request.url != address else None)
        page.goto(address)
        return page

    yield opener
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("width", [320, 360, 768, 1200])
def test_no_page_is_wider_than_the_screen(open_page: Any, name: str, width: int) -> None:
    """Whatever the screen and the names, only a table's own box is scrolled sideways; nothing is asked of a network."""
    page = open_page(name, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_judge_of_accessibility_finds_nothing(open_page: Any, name: str, scheme: str) -> None:
    """axe-core has no complaint: names, headings, tables, contrast in either scheme, keyboard."""
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(name, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_dark_is_dark(open_page: Any) -> None:
    """Background, text and lines follow the reader's scheme."""
    colours = {}
    for scheme in ("light", "dark"):
        page = open_page("binary", color_scheme=scheme)
        colours[scheme] = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,"
            " getComputedStyle(document.querySelector('figure .line-1')).stroke]"
        )
    assert colours["light"] == ["rgb(255, 255, 255)", "rgb(26, 29, 33)", "rgb(11, 98, 168)"]
    assert not set(colours["light"]) & set(colours["dark"])


def test_pictures_are_large_enough_to_read(open_page: Any) -> None:
    """On a phone a picture has the width of the page, and its text at least ten pixels."""
    page = open_page("binary", width=360)
    sizes = page.evaluate(
        "[...document.querySelectorAll('figure > svg')].map(one => [one.getBoundingClientRect().width,"
        " Math.min(...[...one.querySelectorAll('text')].map(text => parseFloat(getComputedStyle(text).fontSize)"
        " * one.getBoundingClientRect().width / one.viewBox.baseVal.width))])"
    )
    assert len(sizes) == 3
    for width, text in sizes:
        assert width >= 320
        assert text >= 10


@pytest.mark.parametrize("name", ["binary", "regression", "comparison"])
def test_what_is_drawn_stays_inside(open_page: Any, name: str) -> None:
    """No text or line of a picture is cut off at its edge, and no two numbers of an axis overlap."""
    page = open_page(name)
    cut, overlapping = page.evaluate(
        """() => {
          const cut = [], overlapping = [];
          for (const picture of document.querySelectorAll('figure > svg')) {
            const box = picture.getBoundingClientRect();
            const texts = [...picture.querySelectorAll('text')].map(one => one.getBoundingClientRect());
            for (const one of picture.querySelectorAll('text, path, circle')) {
              const b = one.getBoundingClientRect();
              if (b.left < box.left - 1 || b.right > box.right + 1 || b.top < box.top - 1 || b.bottom > box.bottom + 1)
                cut.push(one.outerHTML.slice(0, 200));
            }
            texts.forEach((a, i) => texts.slice(i + 1).forEach(b => {
              if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
                overlapping.push([a.x, a.y, b.x, b.y]);
            }));
          }
          return [cut, overlapping];
        }"""
    )
    assert cut == []
    assert overlapping == []


def test_names_do_not_run(open_page: Any) -> None:
    """A script in a name is text: nothing ran, and nothing but text became of it."""
    page = open_page("hostile")
    assert page.evaluate("document.scripts.length + document.images.length + document.links.length") == 0
    assert "<script>alert(1)</script>" in page.inner_text("main")
    assert page.title().startswith("Evaluation of </title></style><script>")


def test_a_page_may_run_nothing(files: dict[str, Path], browser: Any, tmp_path: Path) -> None:
    """Even if a name got through as markup, the page's own policy would keep it from running, and from fetching."""
    path = tmp_path / "broken.html"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        bad = f"<script>document.title = 'ran'</script><img src='{address}' onerror='document.title = 1'>"
        for markup, policy in ((bad, True), (bad, False)):
            text = files["binary"].read_text().replace("<main>", f"<main>{markup}")
            path.write_text(text if policy else text.replace("Content-Security-Policy", "X-Nothing"))
            page = browser.new_page()
            page.goto(path.as_uri(), wait_until="commit" if not policy else "load")
            if policy:
                assert page.title() == "Evaluation of screening, version 3"
                with pytest.raises(BlockingIOError):
                    server.accept()
            else:  # which shows that the test would notice
                page.wait_for_function("document.title !== 'Evaluation of screening, version 3'")
                server.setblocking(True)
                server.accept()[0].close()
            page.close()


def test_keys_reach_what_scrolls_and_opens(open_page: Any) -> None:
    """Each box that may be scrolled, and what can be opened, is reached with the tabulator key."""
    page = open_page("binary", width=360)
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        tag = page.evaluate("document.activeElement.tagName")
        reached.append(tag)
        if tag == "SUMMARY":
            page.keyboard.press("Enter")
            break
    assert {"DIV", "SUMMARY"} <= set(reached)
    assert page.evaluate("document.querySelector('details').open")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paper_has_the_pictures(open_page: Any, scheme: str) -> None:
    """Printed on A4, in light colours even for a reader in the dark, the pictures' lines are there in their colour."""
    drawn = {}
    for name in ("binary", "without pictures"):
        content = open_page(name, color_scheme=scheme).pdf(prefer_css_page_size=True)
        sizes = {round(float(n)) for box in re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content) for n in box}
        assert sizes == {595, 842}
        drawn[name] = b"".join(
            _inflated(part) for part in re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL)
        )
        assert DARK_PAPER not in drawn[name]
    lines = {name: content.count(FIRST_LINE) for name, content in drawn.items()}
    assert lines["binary"] >= lines["without pictures"] + 3  # ROC, precision and recall, calibration


def _inflated(part: bytes) -> bytes:
    try:
        return zlib.decompress(part)
    except zlib.error:
        return b""  # a font, or a table


@pytest.mark.parametrize("name", RESULTS)
def test_no_picture_is_cut_by_the_end_of_a_page(open_page: Any, name: str) -> None:
    """On paper a picture, and a row, stays whole; what was folded away is shown."""
    page = open_page(name, width=700)
    page.emulate_media(media="print")
    kept = page.evaluate(
        "[...document.querySelectorAll('figure, tr')].every(one => getComputedStyle(one).breakInside === 'avoid')"
    )
    assert kept
    heights = page.evaluate(
        "[...document.querySelectorAll('details .scroll')].map(one => one.getBoundingClientRect().height)"
    )
    assert all(height > 20 for height in heights)


@pytest.mark.parametrize("name", ["comparison", "binary", "regression"])
@pytest.mark.parametrize("width", [320, 390])
def test_figures_and_differences_need_no_scrolling_on_a_phone(open_page: Any, name: str, width: int) -> None:
    """Rows of these tables stand below each other where the screen is narrow: every cell is inside it."""
    page = open_page(name, width=width)
    cells = "document.querySelectorAll('.cards th, .cards td, .cards svg')"
    ends = page.evaluate(f"[...{cells}].map(one => one.getBoundingClientRect().right)")
    assert len(ends) > 6
    assert max(ends) <= width
    boxes = page.evaluate(
        "[...document.querySelectorAll('.cards')].map(one => one.parentElement)"
        ".map(box => [box.scrollWidth, box.clientWidth])"
    )
    assert all(inside <= outside for inside, outside in boxes)
    if name == "comparison":
        assert "A is screening, version 2, " in page.inner_text(".byline")
        assert "B is screening, version 3, " in page.inner_text(".byline")
