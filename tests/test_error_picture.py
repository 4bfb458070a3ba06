"""The error picture: the levels that a report carries, and what is drawn and said from them."""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from answers.build import with_lines

from grader.diagnosing.core import size_words
from grader.judging.details import MAX_SIDE, picture_of
from grader.lesson.exercise import find_exercise
from grader.report.records import INFINITE, LEVELS, NOT_A_NUMBER, Picture, Report
from grader.showing.error_picture import as_svg, as_text, in_words, panels
from grader.showing.explain import draw_explanation
from grader.showing.html import render_html
from grader.showing.terminal import console_for, draw_report


def made(yours: list[list[float]], true: list[list[float]]) -> Picture:
    picture = picture_of(torch.tensor(yours, dtype=torch.float64), torch.tensor(true, dtype=torch.float64))
    assert picture is not None
    return picture


def levels(picture: Picture) -> dict[str, list[list[int]]]:
    return {caption.split(" (")[0]: found.tolist() for caption, found in panels(picture)}


def pixels(svg: str) -> list[np.ndarray]:
    """The images of a picture, decoded by the words of the PNG specification."""
    images = []
    for encoded in re.findall(r"data:image/png;base64,([^\"]+)", svg):
        data = base64.b64decode(encoded)
        width, height = struct.unpack(">II", data[16:24])
        at = data.index(b"IDAT")
        (length,) = struct.unpack(">I", data[at - 4 : at])
        body = zlib.decompress(data[at + 4 : at + 4 + length])
        images.append(np.frombuffer(body, dtype=np.uint8).reshape(height, width + 1)[:, 1:])
    return images


def test_all_panels_share_one_scale() -> None:
    picture = made([[2.0, -4.0, 0.0]], [[1.0, -4.0, 0.0]])
    assert picture.scale == 4.0
    assert levels(picture) == {
        "yours": [[LEVELS // 2, -LEVELS, 0]],
        "true": [[LEVELS // 4, -LEVELS, 0]],
        "yours minus true": [[LEVELS // 4, 0, 0]],
    }


def test_a_faint_difference_is_enlarged_and_says_so() -> None:
    picture = made([[1.001, 2.0]], [[1.0, 2.0]])
    assert picture.enlarged == 1000
    assert "yours minus true (times 1,000)" in as_svg(picture, "dh")
    assert levels(picture)["yours minus true"] == [[LEVELS // 2, 0]]


def test_nan_and_infinity_are_themselves_and_leave_the_scale_alone() -> None:
    picture = made([[float("nan"), float("inf"), -float("inf"), 1.0]], [[1.0, 1.0, 1.0, 2.0]])
    assert picture.scale == 2.0
    assert levels(picture)["yours"] == [[NOT_A_NUMBER, INFINITE, -INFINITE, LEVELS // 2]]
    assert "3 of them are nan or infinite" in in_words(picture, "dh")
    assert "|n!!4|" in "\n".join(as_text(picture, 80))


def test_a_large_tensor_is_pooled_to_what_is_farthest_from_zero() -> None:
    true = torch.zeros(500, 300, dtype=torch.float64)
    yours = true.clone()
    yours[499, 299], yours[0, 1] = -1.0, float("nan")
    picture = picture_of(yours, true)
    assert picture is not None
    assert (picture.rows, picture.columns) == (MAX_SIDE, MAX_SIDE)
    found = levels(picture)["yours"]
    assert (found[-1][-1], found[0][0]) == (-LEVELS, NOT_A_NUMBER)
    assert ">499</text>" in as_svg(picture, "dW")
    assert ">299</text>" in as_svg(picture, "dW")


def test_any_number_of_dimensions_is_drawn_and_a_number_is_not() -> None:
    assert picture_of(torch.tensor(1.0), torch.tensor(2.0)) is None
    vector, cube = torch.ones(5, dtype=torch.float64), torch.ones(2, 3, 4, dtype=torch.float64)
    assert [(p.shape_rows, p.shape_columns) for v in (vector, cube) if (p := picture_of(2 * v, v))] == [(1, 5), (6, 4)]


def test_sign_and_nan_are_seen_without_colour() -> None:
    picture = made([[1.0, -1.0, float("nan"), 0.0]], [[0.0, 0.0, 0.0, 0.0]])
    drawn = as_svg(picture, "dh")
    ElementTree.fromstring(drawn)
    yours, true, _ = pixels(drawn)
    cells = [(yours[:, 3 * at : 3 * at + 3] > 0).astype(int).tolist() for at in range(4)]
    assert cells == [
        [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
        [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
        [[1, 0, 1], [0, 1, 0], [1, 0, 1]],
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
    ]
    assert not true.any()


def test_the_only_row_is_told_by_its_index() -> None:
    true = torch.zeros(7, 5, dtype=torch.float64)
    yours = true.clone()
    yours[3] = 1.0
    picture = picture_of(yours, true)
    assert picture is not None
    assert in_words(picture, "dh") == "dh, 7 rows and 5 columns: 5 of 35 cells differ; only row 3"


def test_a_picture_stays_small() -> None:
    numbers = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    picture = picture_of(*numbers)
    assert picture is not None
    assert len(as_svg(picture, "dW")) < 40_000


def test_characters_keep_to_the_width_and_stand_side_by_side_where_they_fit() -> None:
    numbers = torch.randn(2, 20, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wide = picture_of(*numbers)
    small = made([[1.0, -1.0], [0.0, float("nan")]], [[1.0, 1.0], [0.0, 1.0]])
    assert wide is not None
    for width in (40, 60, 80, 120):
        assert max(map(len, as_text(wide, width)[1:])) <= width
    assert sum(line.count("|") == 6 for line in as_text(wide, 240)) == 20
    assert as_text(small, 60)[2:] == [
        "   yours      true      yours minus true",
        "0 |8h|     0 |88|    0 | h|",
        "1 | n|     1 | 8|    1 | n|",
        "   01         01        01",
    ]


def test_a_narrowed_picture_keeps_what_is_farthest_from_zero() -> None:
    true = torch.zeros(1, 60, dtype=torch.float64)
    yours = true.clone()
    yours[0, 7], yours[0, 8], yours[0, 59] = 1.0, 0.5, -1.0
    picture = picture_of(yours, true)
    assert picture is not None
    (row,) = [line for line in as_text(picture, 24) if "|" in line][:1]
    assert row == "0 |  8                h|"


def test_an_error_is_told_in_words() -> None:
    said = [size_words(share) for share in (2.0, 3.14, 31400.0, 1e300, 0.184, 0.0123, 1.0, 3e-9, float("nan"))]
    assert said == [
        "twice",
        "3.1 times",
        "31,400 times",
        "over a million times",
        "18% of",
        "1.23% of",
        "100% of",
        "less than 0.01% of",
        "nan or infinite, beside",
    ]


# ---- Which numbers are shown ----


def explained(text: str, name: str, grade_text: Any) -> tuple[Any, str]:
    (report,) = grade_text(text)
    drawn = io.StringIO()
    draw_explanation(Report([report]), name, console_for(drawn))
    return next(v for v in report.verdicts if v.name == name), drawn.getvalue()


def test_the_lessons_own_data_is_shown_and_is_the_same_each_time(grade_text: Any) -> None:
    text = with_lines({"dprobs": "dprobs = dlogprobs"})
    verdict, said = explained(text, "probs", grade_text)
    again, _ = explained(text, "probs", grade_text)
    assert verdict.details.data == "own"
    assert verdict.details == again.details
    assert len({(e.yours, e.true) for e in verdict.details.largest_errors}) == 3
    assert "come from" not in said
    assert re.search(r"seed +\d+ \(--seed \d+ repeats this grading\)", said)


@pytest.mark.parametrize(("name", "line"), [("b1", "db1 = torch.zeros_like(b1)"), ("logit_maxes", None)])
def test_where_the_true_gradient_is_zero_a_random_upstream_is_shown(
    name: str, line: str | None, grade_text: Any
) -> None:
    line = line or "dlogit_maxes = dnorm_logits.sum(1, keepdim=True)"
    verdict, said = explained(with_lines({f"d{name}": line}), name, grade_text)
    assert verdict.details.data == "random upstream"
    assert max(abs(error.true) for error in verdict.details.largest_errors) > 0.01
    assert "random upstream gradient, because the true gradient is zero here" in " ".join(said.split())


def test_a_single_number_gets_no_table_of_one_row(grade_text: Any) -> None:
    text = find_exercise("foundations/ex2").path.read_text().replace("dz = da * a * (1 - a)", "dz = da * a * (1 + a)")
    (report,) = grade_text(text)
    verdict = next(v for v in report.verdicts if v.name == "z")
    assert [error.index for error in verdict.details.largest_errors] == [[]]
    drawn = io.StringIO()
    draw_report(Report([report]), console_for(drawn))
    for said in (drawn.getvalue(), render_html(Report([report]))):
        assert "the true one is -0.0" in said
        assert "[]" not in said
