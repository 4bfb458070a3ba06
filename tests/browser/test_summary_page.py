"""The summary of a course and the page of one person in a real browser: silent, no wider than their window, readable by
those who do not see them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import pytest
from chromium import WIDTHS, running_chromium, serious_findings
from conftest import sampled
from course import Course

from grader.batch.results import Results
from grader.classroom.feedback import page_name
from grader.classroom.write import Wishes, write_pages, write_summary

pytestmark = pytest.mark.browser

PEOPLE = 60
"""So many of the course have a place in the pages."""
HOSTILE = {3: "<img src=x onerror=alert(1)>", 4: "long" * 40}
"""What is added to the names of two people, by their number."""
ASSIGNMENT = """title = "Homework 1"
exercises = ["makemore/ex1", "makemore/ex2"]
points = 10
due = 2026-10-14T23:59:00Z
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with running_chromium() as running:
        yield running


@pytest.fixture(scope="module")
def pages(course: Course, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages of a course in which two names are hostile, one is markup and one is long. Both have points by hand."""
    folder = tmp_path_factory.mktemp("summary")
    with Results.start(folder / "results", {"seed": 1}) as results:
        for number, (name, report) in enumerate(itertools.islice(course.reports.items(), PEOPLE)):
            results.add(name + HOSTILE.get(number, ""), report, seconds=0.1)
    by_hand = 'person = "{}"\ngradient = "makemore/ex1.h"\npoints = 0.5\ncomment = "{}"\n'
    hostile = [name + more for (_, more), name in zip(HOSTILE.items(), list(course.reports)[3:], strict=False)]
    text = "".join("[[override]]\n" + by_hand.format(name, "<b>Read</b> it. " + "long" * 40) for name in hostile)
    (folder / "results" / "overrides.toml").write_text(text, encoding="utf-8")
    (folder / "hw.toml").write_text(f"[tool.dojo.assignment]\n{ASSIGNMENT}", encoding="utf-8")
    wishes = Wishes(assignment=folder / "hw.toml")
    write_pages(folder / "results", wishes, lambda _: None)
    write_summary(folder / "results", wishes, lambda _: None)
    feedback = folder / "results" / "feedback"
    return {
        "summary": folder / "results" / "summary.html",
        "markup": feedback / page_name(hostile[0]),
        "long": feedback / page_name(hostile[1]),
    }


@pytest.fixture(scope="module")
def summary_file(pages: dict[str, Path]) -> Path:
    return pages["summary"]


def opened(browser: Any, file: Path, width: int, scheme: str) -> tuple[Any, list[str]]:
    """The page with everything unfolded, and what it complains about or asks for."""
    page, noise = chromium.opened(browser, file, width, scheme)
    for folded in page.locator("details").all():
        folded.evaluate("element => element.open = true")
    return page, noise


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_only_the_matrix_scrolls_sideways(browser: Any, summary_file: Path, scheme: str) -> None:
    page, noise = opened(browser, summary_file, WIDTHS[0], scheme)
    wide = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("window.innerWidth") == width
        assert page.evaluate("document.documentElement.scrollWidth") <= width
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


WINDOWS = sampled(3, itertools.product(["summary", "markup", "long"], [360, 1280], ["light", "dark"]))


@pytest.mark.parametrize(("kind", "width", "scheme"), WINDOWS)
def test_axe_finds_nothing_serious(browser: Any, pages: dict[str, Path], kind: str, width: int, scheme: str) -> None:
    page, noise = opened(browser, pages[kind], width, scheme)
    assert serious_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert noise == []
    page.context.close()


def test_a_page_of_feedback_says_what_was_changed_by_hand(browser: Any, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["markup"], 1280, "light")
    row = page.locator("tbody.by-hand")
    assert row.count() == 1
    assert row.get_by_role("rowheader").inner_text() == "dh"
    assert "0.5 of 1" in row.inner_text()
    assert "<b>Read</b> it." in row.inner_text()
    page.context.close()
