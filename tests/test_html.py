"""The HTML report: one file that loads nothing, says what the terminal says, and shows hostile text as text."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from answers.build import LINES, with_lines
from dojo import REPOSITORY, dojo_here, environment
from rich.console import Console

from grader.base.visible import visible
from grader.judging.details import picture_of
from grader.judging.grade import Grader
from grader.report.records import Details, ElementError, Report, SubmissionReport, Verdict
from grader.showing.html import render_html
from grader.showing.terminal import draw_report

VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>{{ 7 * 7 }}{% raw %}]]>--></style></svg>"
UNSEEN = "\x00\x07\x1b[31m\x7f\x85\u200b\u202e\u2066\u2028\ufeff\udce9"


class Page(HTMLParser):
    """A page's elements, its visible text, and its rows by anchor. Fails where an element is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.tags if found == tag]

    def kinds(self) -> list[tuple[str, tuple[str, ...]]]:
        """Elements and the names of their attributes: the skeleton, which no text may change."""
        return [(tag, tuple(attributes)) for tag, attributes in self.tags]


def rows(html: str) -> dict[str, str]:
    """The text of each gradient's row, by anchor."""
    bodies = re.findall(r'<tbody role="rowgroup" id="([\w-]+)".*?>(.*?)(?=<tbody role|</section>)', html, re.DOTALL)
    return {anchor: " ".join(re.sub(r"<[^>]+>", " ", body).split()) for anchor, body in bodies}


@pytest.fixture(scope="module")
def graded(grader: Grader, tmp_path_factory: pytest.TempPathFactory) -> SubmissionReport:
    """Five gradients that are not right, each in its own way, and two that are right with a word beside it."""
    path = tmp_path_factory.mktemp("html") / "ex1.py"
    mistakes = {
        "dprobs": "dprobs = ...",
        "dh": "dh = -dlogits @ W2.T",
        "dbnmeani": "dbnmeani = -dbndiff.sum(0)",
        "dW1": "dW1 = embcat.t @ dhprebn",
        "db2": "db2 = b2.grad",
        "dlogits": LINES["dlogits"].replace("logits.shape[1]", "27"),
    }
    path.write_text(with_lines(mistakes))
    (report,) = grader.grade_file(path, "ex1")
    return report


@pytest.fixture(scope="module")
def html(graded: SubmissionReport) -> str:
    return render_html(Report([graded]))


def all_wrong(graded: SubmissionReport, text: str = "x") -> SubmissionReport:
    """A submission of which everything is wrong, with the largest pictures that there are, full of detail."""
    numbers = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    picture = picture_of(*numbers)
    details = Details([64, 64], [64, 64], {"a": 1.0, "b": 2.0}, 0.5, [ElementError([31, 63], -1.5, 2.5)] * 3, picture)
    verdicts = [
        replace(v, status="wrong", exact=False, approximate=False, maxdiff=0.1, mistake="m", details=details,
                line=1, code=text, message=text)
        for v in graded.verdicts
    ]  # fmt: skip
    return replace(graded, verdicts=verdicts, notes=[text])


# ---- What the page says ----


def test_the_page_holds_what_the_report_holds(graded: SubmissionReport, html: str) -> None:
    page = Page(html)
    for fact in ("21 of 26", graded.exercise, graded.path, str(graded.seed), graded.torch, "cpu", graded.isolation):
        assert fact in page.text
    assert graded.score == 21
    found = rows(html)
    assert list(found) == [f"s1-{verdict.name}" for verdict in graded.verdicts]
    for verdict in graded.verdicts:
        row = found[f"s1-{verdict.name}"]
        assert row.startswith(f"d{verdict.name} ")
        if verdict.line is not None:
            assert f" {verdict.line} " in row
        if verdict.maxdiff is not None:
            assert f"{verdict.exact} {verdict.approximate} {verdict.maxdiff:.2g}" in row


def test_verdicts_have_the_words_of_the_terminal(graded: SubmissionReport, html: str) -> None:
    drawn = io.StringIO()
    draw_report(Report([graded]), Console(file=drawn, width=200, color_system=None, highlight=False))
    table = dict(re.findall(r"^(d\w+) .*?  (\D+?)\s*$", drawn.getvalue(), re.MULTILINE))
    assert len(table) == 26
    for anchor, row in rows(html).items():
        words = table["d" + anchor.removeprefix("s1-")].strip().split("  ")[-1]
        assert re.match(rf"d\w+ \S {re.escape(words.strip())}( |$)", row), (words, row)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("probs", "not attempted"),
        ("h", "wrong sign"),
        ("h", "Largest errors of dh index yours true"),
        ("h", "dh = -dlogits @ W2.T"),
        ("bnmeani", "wrong shape missing-keepdim"),
        ("bnmeani", "yours (64,), bnmeani (1, 64)"),
        ("W1", "error"),
        ("b2", "taken from autograd"),
        ("logits", "right (at these sizes) hardcoded-size"),
    ],
)
def test_a_row_says_what_is_wrong(html: str, name: str, said: str) -> None:
    assert said in rows(html)[f"s1-{name}"]


def test_the_graph_has_each_verdict_and_leads_to_its_row(graded: SubmissionReport, html: str) -> None:
    page = Page(html)
    states = {tag["data-tensor"]: tag["data-state"] for tag in page.all("g") if "data-state" in tag}
    assert states == {verdict.name: verdict.status for verdict in graded.verdicts}
    anchors = {attributes.get("id") for _, attributes in page.tags}
    links = {link["href"] or "" for link in page.all("a")}
    assert {link.removeprefix("#") for link in links} <= anchors
    assert {f"#s1-{verdict.name}" for verdict in graded.verdicts} <= links


def test_the_first_thing_to_look_at_stands_on_top(html: str) -> None:
    assert "First thing to look at: dlogits" not in Page(html).text
    assert "First thing to look at: dh , wrong" in Page(html).text


def test_several_submissions_have_a_table_of_contents(graded: SubmissionReport) -> None:
    waiting = [Verdict(verdict.name, message="not attempted") for verdict in graded.verdicts]
    second = replace(graded, path="other.py", verdicts=waiting, attempted=False)
    page = Page(render_html(Report([graded, second])))
    assert len(page.all("nav")) == 1
    assert {"#s1", "#s2"} <= {link["href"] for link in page.all("a")}
    assert "0 of 26 , not started other.py" in page.text
    assert "Next: dlogprobs , not attempted" in page.text
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_training_loop_has_its_own_names(graded: SubmissionReport) -> None:
    loop = replace(
        graded,
        exercise="makemore/ex4_training",
        verdicts=[Verdict("loss", "pass", label="loss"), Verdict("C", "wrong", label="C")],
    )
    found = rows(render_html(Report([loop])))
    assert found["s1-loss"].startswith("loss ")
    assert found["s1-C"].startswith("C ")


def test_a_report_without_submissions_is_a_page() -> None:
    assert "Report on 0 exercises" in Page(render_html(Report())).text


# ---- How it is built ----


def test_nothing_is_loaded_and_nothing_runs(html: str) -> None:
    page = Page(html)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "iframe", "object", "embed", "base", "form", "audio", "video", "use"}
    assert [link["href"] for link in page.all("link")] == ["data:,"]
    assert "@import" not in html
    assert "url(" not in html
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "xlink:href")]
        assert (attributes.get("href") or "#").startswith(("#", "data:,", "data:image/png;base64,"))
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_the_page_has_language_title_landmarks_and_scopes(html: str) -> None:
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>\n")
    assert page.all("html") == [{"lang": "en"}]
    assert "<title>21 of 26 · Exercise 1: backpropagation, one atom at a time · Backprop Dojo</title>" in html
    for landmark in ("header", "main", "footer", "h1"):
        assert len(page.all(landmark)) == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels == [1, 2, 2]
    assert all(th.get("scope") in ("col", "row") for th in page.all("th"))
    assert all(svg.get("aria-label") for svg in page.all("svg"))
    for asked in ("prefers-color-scheme: dark", "@media print", "max-width"):
        assert asked in html


def test_all_wrong_stays_under_two_megabytes(graded: SubmissionReport) -> None:
    page = render_html(Report([all_wrong(graded, HOSTILE * 1000)]))
    assert page.count('class="error-picture"') == 26
    assert len(page.encode()) < 2_000_000


# ---- Hostile text ----


def hostile_report(graded: SubmissionReport, text: str) -> Report:
    report = all_wrong(graded, text)
    return Report([replace(report, path=text, title=text, torch=text, device=text, isolation=text)] * 2)


@pytest.fixture(scope="module")
def plain(graded: SubmissionReport) -> Page:
    return Page(render_html(hostile_report(graded, "x")))


@pytest.mark.parametrize("text", [HOSTILE, UNSEEN, "`<b>` ``` `\n`<i>", "\r\n\t\n", "a" * 10_000, "\N{BELL}é漢🙂"])
def test_no_text_changes_the_page(graded: SubmissionReport, plain: Page, text: str) -> None:
    html = render_html(hostile_report(graded, text))
    without_code = [kind for kind in Page(html).kinds() if kind != ("code", ())]
    assert without_code == [kind for kind in plain.kinds() if kind != ("code", ())]
    html.encode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\u2028\u2029]", html)


def test_hostile_text_is_shown_as_it_is(graded: SubmissionReport) -> None:
    html = render_html(hostile_report(graded, HOSTILE))
    page = Page(html)
    # title, header and contents; the path in contents and facts; notes, and each gradient's line and message
    assert page.text.count(HOSTILE) > 26 * 2 * 2
    assert "49" not in re.findall(r"\{\{.*?\}\}|\b49\b", page.text)


def test_what_is_not_seen_is_made_visible() -> None:
    shown = r"\x00\x07\x1b[31m\x7f\x85\u200b\u202e\u2066\u2028\ufeff\udce9"
    assert visible(UNSEEN) == shown
    assert visible("a\n\tb") == "a\n\tb"
    assert visible("a\n\tb", keep="") == r"a\n\tb"
    assert visible("é漢🙂 ∂L/∂x") == "é漢🙂 ∂L/∂x"


def test_a_file_name_with_a_line_break_stays_on_its_line(graded: SubmissionReport) -> None:
    page = Page(render_html(Report([replace(graded, path="a\nb\x1b.py")])))
    assert r"a\nb\x1b.py" in page.text


def test_only_what_is_wrong_has_a_picture(html: str) -> None:
    assert html.count('class="error-picture"') == 1


# ---- From the command line ----


def test_the_command_writes_the_page_and_the_terminal_does_not_load_jinja(tmp_path: Path) -> None:
    (tmp_path / "ex2.py").write_text("dlogits = F.softmax(logits, 1)\n")
    ran = dojo_here(tmp_path, "grade", "ex2.py", "--exercise", "ex2", "--format", "html", "--output", "report.html")
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", "")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "0 of 1" in Page(page).text
    rooms = "grader.cli.main, grader.judging.grade, grader.integrations.outputs, grader.showing.terminal"
    code = f"import sys, {rooms}; print('jinja2' in sys.modules)"
    asked = [sys.executable, "-c", code]
    assert subprocess.run(asked, env=environment(), capture_output=True, text=True).stdout == "False\n"


def test_the_wheel_carries_the_templates_and_the_tables(tmp_path: Path) -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="hatchling is not installed")
    (built,) = wheel.WheelBuilder(str(REPOSITORY)).build(directory=str(tmp_path), versions=["standard"])
    files = [path for path in (REPOSITORY / "grader").rglob("*") if path.is_file()]
    needed = {path.relative_to(REPOSITORY).as_posix() for path in files if path.suffix not in (".py", ".pyc")}
    assert needed >= {"grader/showing/templates/report.html", "grader/admission/admitted_names.toml"}
    assert needed <= set(ZipFile(built).namelist())


def test_the_page_has_a_date_and_a_graph_only_of_what_was_attempted(graded: SubmissionReport) -> None:
    waiting = replace(graded, attempted=False, verdicts=[Verdict(v.name) for v in graded.verdicts])
    page = render_html(Report([graded, waiting], graded_at="2026-11-21 12:00"))
    assert "graded on 2026-11-21 12:00" in Page(page).text
    assert page.count('class="graph"') == 1
    assert "graded on" not in Page(render_html(Report([graded]))).text
