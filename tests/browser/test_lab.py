"""A learner in JupyterLab: cells are run and filled in, verdicts appear, and notebook and script stay one pair."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.answers.build import LINES
from tests.browser.chromium import running_chromium, serious_findings
from tests.browser.lab import Lab, Notebook, expect, open_notebook, running_lab
from tests.dojo import dojo

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EX1, EX2 = "makemore/ex1_atoms", "makemore/ex2_cross_entropy"
DLOGITS = "dlogits = (F.softmax(logits, 1) - F.one_hot(Yb, logits.shape[1])) / n"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with running_chromium() as running:
        yield running


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    for module in ("jupyterlab", "jupyterlab_jupytext"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"the Python package {module} is not installed (pip install -e '.[dev]')")
    with running_lab(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="module", params=["light", "dark"])
def notebook(browser: Any, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Notebook]:
    """Exercise 1 with all cells run. Tests share it, so each writes the answers that it looks at."""
    opened = open_notebook(browser, lab, EX1, scheme=request.param)
    theme = "true" if request.param == "light" else "false"
    expect(opened.page.locator("body")).to_have_attribute("data-jp-theme-light", theme)
    opened.run_all()
    yield opened
    opened.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_welcome_page_opens_a_lesson_by_one_click(browser: Any, lab: Lab, scheme: str) -> None:
    assert dojo(lab.folder, "welcome").returncode == 0
    page = browser.new_context(viewport={"width": 1366, "height": 768}, color_scheme=scheme).new_page()
    page.goto(lab.url("welcome").replace("/notebooks/", "/"))
    shown = page.locator(".jp-RenderedMarkdown")
    expect(shown.get_by_role("heading", name="Backprop Dojo")).to_be_visible()
    assert serious_findings(page, ".jp-RenderedMarkdown") == []
    begin = shown.get_by_role("link").first
    expect(begin).to_be_in_viewport()
    begin.click()
    expect(page.get_by_role("heading", name="Why do by hand what PyTorch does?")).to_be_visible()
    page.context.close()


def test_an_untouched_notebook_runs_and_says_what_is_open(notebook: Notebook) -> None:
    errors = notebook.page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']")
    expect(errors).to_have_count(0)
    said = notebook.comparison("counts").locator(".jp-OutputArea-output")
    expect(said).to_have_text(re.compile(r"^counts +\| not attempted\s*$"))  # and no False below it


def test_verdicts_appear_and_progress_follows(notebook: Notebook) -> None:
    picture = notebook.page.locator(".dojo-progress")
    expect(picture).to_have_count(1)
    headline, probs = picture.locator("div b"), picture.locator("[data-tensor='probs']")

    right = notebook.answer("logprobs", LINES["dlogprobs"])
    expect(right.locator(".dojo-cmp")).to_contain_text("✓ dlogprobs right")
    expect(right.locator(".jp-OutputArea-output")).to_have_count(1)  # one line, and no True below it
    assert right.locator(".dojo-cmp").bounding_box()["height"] < 40

    wrong = notebook.answer("probs", "dprobs = dlogprobs")
    card = wrong.locator(".dojo-cmp")
    expect(card).to_contain_text("✗ dprobs: wrong [missing-local-derivative]")
    expect(card).to_contain_text("logprobs = probs.log()")
    expect(wrong.locator(".jp-OutputArea-output").first).to_contain_text("approximate: False")
    expect(card.locator("svg.error-picture")).to_have_count(1)
    expect(card.locator("svg.error-picture")).to_be_visible()
    expect(card.locator("details p").first).not_to_be_visible()
    card.get_by_text(re.compile(r"^Next hint of dprobs \(\d of 3\)$")).first.click()
    expect(card.locator("details p").first).to_be_visible()
    expect(headline).to_have_text("ex1: 1 of 26 right")
    expect(probs).to_have_attribute("data-state", "wrong")

    notebook.answer("probs", LINES["dprobs"])
    expect(headline).to_have_text("ex1: 2 of 26 right")
    expect(probs).to_have_attribute("data-state", "pass")
    expect(picture).to_have_count(1)
    assert notebook.noise == []


def test_a_click_in_the_graph_leads_to_the_section(notebook: Notebook) -> None:
    section = notebook.page.get_by_role("heading", name="dprobs", exact=True)
    links = notebook.page.locator(".jp-OutputArea-output a[href='#dprobs']")
    expect(links).to_have_count(3)  # of show_graph(), of progress(), and of the graph of part 1
    assert notebook.page.locator(".dojo-progress").bounding_box()["height"] < 250  # docked, it leaves room to work
    for link in links.all():
        link.scroll_into_view_if_needed()
        expect(section).not_to_be_in_viewport()
        link.click()
        expect(section).to_be_in_viewport()
    assert notebook.noise == []


def test_hints_come_one_by_one(notebook: Notebook) -> None:
    notebook.comparison("probs").locator(".jp-InputPrompt").first.click()
    notebook.page.keyboard.press("b")  # a new cell below, and then its editor
    notebook.page.keyboard.press("Enter")
    notebook.page.keyboard.type('hint("probs")')
    notebook.page.keyboard.press("Shift+Enter")
    shown = notebook.cell('hint("probs")').locator(".jp-RenderedMarkdown")
    expect(shown).to_contain_text(re.compile(r"dprobs in makemore/ex1, hint \d of 3"))
    expect(shown.locator("strong")).to_have_count(1)
    notebook.page.keyboard.press("Escape")
    notebook.cell('hint("probs")').locator(".jp-InputPrompt").first.click()
    notebook.page.keyboard.press("d")
    notebook.page.keyboard.press("d")
    assert notebook.noise == []


def test_axe_finds_nothing_serious_in_what_cmp_and_progress_show(notebook: Notebook) -> None:
    notebook.answer("logprobs", LINES["dlogprobs"])
    notebook.answer("probs", "dprobs = dlogprobs")
    for part in (".dojo-cmp", ".dojo-progress"):
        assert serious_findings(notebook.page, part) == []


def below_header(script: str) -> str:
    """Without the lines on top, where jupytext notes its version."""
    return re.sub(r"\A# ---\n.*?\n# ---\n", "", script, flags=re.DOTALL)


def test_an_edit_in_the_browser_arrives_in_the_script(browser: Any, lab: Lab) -> None:
    script = lab.folder / f"exercises/{EX2}.py"
    before = script.read_text(encoding="utf-8")
    opened = open_notebook(browser, lab, EX2)
    opened.type_into(opened.cell("dlogits = ..."), DLOGITS)
    opened.save()
    after = script.read_text(encoding="utf-8")
    assert below_header(after) == below_header(before).replace("dlogits = ...", DLOGITS)
    synced = dojo(lab.folder, "sync", XDG_CACHE_HOME=str(lab.folder.parent / "cache"))
    assert f"in step: exercises/{EX2}.py and notebooks/{EX2}.ipynb\n" in synced.stdout
    assert opened.noise == []
    opened.page.context.close()


def test_an_edit_of_the_script_arrives_in_the_browser(browser: Any, lab: Lab) -> None:
    script = lab.folder / "exercises/makemore/ex3_batchnorm.py"
    text = script.read_text(encoding="utf-8")
    script.write_text(text.replace("dhprebn = ...", "dhprebn = 3 * dhpreact"), encoding="utf-8")
    opened = open_notebook(browser, lab, "makemore/ex3_batchnorm")
    opened.cell("dhprebn = 3 * dhpreact")
    assert opened.noise == []
    opened.page.context.close()
