"""The summary of a course in a real browser: silent, no wider than its window, readable by those who do not see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import pytest
from chromium import running_chromium, serious_findings
from course import Course

from grader.batch.results import Results
from grader.classroom.page import render_page
from grader.classroom.statistics import summarise

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with running_chromium() as running:
        yield running


@pytest.fixture(scope="module")
def summary_file(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a course in which two names are hostile: one is markup, one is long."""
    folder = tmp_path_factory.mktemp("summary")
    with Results.start(folder / "results", {"seed": 1}) as results:
        for number, (name, report) in enumerate(course.reports.items()):
            more = {3: "<img src=x onerror=alert(1)>", 4: "long" * 40}.get(number, "")
            results.add(name + more, report, seconds=0.1)
        file = folder / "summary.html"
        file.write_text(render_page(summarise(results), results), encoding="utf-8")
    return file


def opened(browser: Any, file: Path, width: int, scheme: str) -> tuple[Any, list[str]]:
    """The page with everything unfolded, and what it complains about or asks for."""
    page, noise = chromium.opened(browser, file, width, scheme)
    for folded in page.locator("details").all():
        folded.evaluate("element => element.open = true")
    return page, noise


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1200])
def test_only_the_matrix_scrolls_sideways(browser: Any, summary_file: Path, width: int, scheme: str) -> None:
    page, noise = opened(browser, summary_file, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
    assert page.evaluate(f"{wide}.filter(e => !e.closest('.matrix')).map(e => e.outerHTML.slice(0, 80))") == []
    lines = page.locator(".list .line:not(:empty)").evaluate_all("all => all.map(e => e.clientWidth)")
    assert min(lines) >= 150, "a column in which every word breaks"
    assert noise == []
    page.context.close()


def test_the_matrix_keeps_its_headings_in_sight(browser: Any, summary_file: Path) -> None:
    page, _ = opened(browser, summary_file, 360, "light")
    box = page.locator(".matrix")
    box.evaluate("element => { element.scrollLeft = 300; element.scrollTop = 400; }")
    outer, corner = box.bounding_box(), page.locator(".matrix thead th").first.bounding_box()
    assert abs(page.locator(".matrix tbody th").first.bounding_box()["x"] - outer["x"]) <= 2
    assert box.evaluate("element => [element.scrollLeft, element.scrollTop]") == [300, 400]
    assert abs(corner["x"] - outer["x"]) <= 2
    assert abs(corner["y"] - outer["y"]) <= 2
    page.context.close()


def test_paper_is_white_and_as_wide_as_paper(browser: Any, summary_file: Path) -> None:
    page, _ = opened(browser, summary_file, 760, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") <= 760
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_axe_finds_nothing_serious(browser: Any, summary_file: Path, width: int, scheme: str) -> None:
    page, _ = opened(browser, summary_file, width, scheme)
    assert serious_findings(page) == []
    page.context.close()
