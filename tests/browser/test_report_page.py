"""The HTML report in a real browser: silent, no wider than its window, readable by those who do not see it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from answers.build import LINES, with_lines
from chromium import WIDTHS, opened, running_chromium, serious_findings
from conftest import sampled

from grader.judging.grade import Grader
from grader.report.records import Report
from grader.showing.html import render_html

pytestmark = pytest.mark.browser

MISTAKES = {
    "dprobs": "dprobs = ...",
    "dlogits": LINES["dlogits"].replace("logits.shape[1]", "27"),
    "dh": "dh = -dlogits @ W2.T",
    "dbnmeani": "dbnmeani = -dbndiff.sum(0)",
    "dW1": "dW1 = embcat.t @ dhprebn  # <script>document.title = 'taken over'</script>" + "x" * 300,
    "db2": "db2 = b2.grad",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with running_chromium() as running:
        yield running


@pytest.fixture(scope="module", params=["one", "several"])
def report_file(request: pytest.FixtureRequest, grader: Grader, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with a verdict of most kinds; and one of two such submissions, one with a hostile name."""
    folder = tmp_path_factory.mktemp("page")
    paths = [folder / "ex1.py"]
    if request.param == "several":
        paths.append(folder / ("<img src=x onerror=alert(1)>" + "long" * 30 + ".py"))
    submissions = []
    for path in paths:
        path.write_text(with_lines(MISTAKES))
        submissions += grader.grade_file(path, "ex1")
    page = folder / "report.html"
    page.write_text(render_html(Report(submissions)), encoding="utf-8")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_silent_and_fits_its_window(browser: Any, report_file: Path, scheme: str) -> None:
    page, noise = opened(browser, report_file, WIDTHS[0], scheme)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("window.innerWidth") == width
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.body.scrollWidth") <= width
    page.locator(".verdicts pre").last.scroll_into_view_if_needed()
    assert "Backprop Dojo" in page.title()
    assert noise == []
    page.context.close()


def test_a_click_in_the_graph_leads_to_the_row(browser: Any, report_file: Path) -> None:
    page, noise = opened(browser, report_file, 1200, "light")
    page.locator("#s1 .graph a[href='#s1-h'], main .graph a[href='#s1-h']").first.click()
    assert page.evaluate("location.hash") == "#s1-h"
    assert page.locator("#s1-h").bounding_box()["y"] < 800
    assert noise == []
    page.context.close()


def test_a_narrow_page_keeps_the_table_a_table(browser: Any, report_file: Path) -> None:
    page, _ = opened(browser, report_file, 360, "light")
    first = page.get_by_role("table").first
    assert first.get_by_role("columnheader", name="verdict").count() == 1
    assert first.get_by_role("rowheader", name="dh", exact=True).count() == 1
    page.context.close()


def test_paper_is_white_and_as_wide_as_paper(browser: Any, report_file: Path) -> None:
    page, _ = opened(browser, report_file, 680, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
    page.context.close()


@pytest.mark.parametrize(("width", "scheme"), sampled(3, itertools.product([360, 1200], ["light", "dark"])))
def test_axe_finds_nothing_serious(browser: Any, report_file: Path, width: int, scheme: str) -> None:
    page, _ = opened(browser, report_file, width, scheme)
    assert serious_findings(page) == []
    page.context.close()
