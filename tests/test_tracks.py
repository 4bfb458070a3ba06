"""Other networks than makemore's: several tracks with the same names, and lessons of every kind."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from answers.right import RIGHT
from conftest import sampled
from dojo import REPOSITORY
from lessons import TRACKS, all_lessons, lessons_in
from test_figures import names_after
from test_slips import check

from grader.base.errors import DojoError
from grader.judging.grade import Grader, settings
from grader.reading.submission import HoldsNoneError, find_parts, select_parts
from grader.report.points import read_points
from grader.report.records import SubmissionReport
from grader.syntax.source import Source, read_source
from tests.mutation.grading import SEED, Figures, grade_here
from tests.mutation.mutate import typical

TWIN = "twin/ex1_mlp"


@pytest.fixture(scope="module")
def all_tracks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project's lessons, and those of the folder `tracks` beside them."""
    root = all_lessons(tmp_path_factory.mktemp("lessons") / "solutions")
    with lessons_in(root):
        yield root


@pytest.fixture(scope="module")
def everywhere(all_tracks: Path) -> Iterator[Grader]:
    with Grader(settings(seed=23, device="cpu")) as grader:
        yield grader


def answers_of(lesson: str) -> str:
    """The answers of a lesson alone: no marker, no forward pass."""
    text = (TRACKS / f"{lesson}.py").read_text()
    cells = re.split(r"^(?=# %%)", text, flags=re.MULTILINE)
    return "".join(cell for cell in cells if 'tags=["backward"]' in cell.split("\n")[0])


def parts_of(source: Source, exercise: str | None = None) -> list[tuple[str, dict[str, list[int]]]]:
    parts = find_parts(source, exercise)
    return [(p.exercise.id, {name: attempt.writers for name, attempt in p.attempts.items()}) for p in parts]


def found(path: Path, text: str, exercise: str | None = None) -> list[tuple[str, dict[str, list[int]]]]:
    path.write_text(text)
    return parts_of(read_source(path), exercise)


# ---- Track first, then the exercise in it ----


def test_every_right_answer_is_found_as_it_is_without_other_tracks(tmp_path: Path, all_tracks: Path) -> None:
    sources = []
    for number, answer in enumerate(RIGHT):
        path = tmp_path / f"answer{number}{answer.suffix}"
        path.write_text(answer.text)
        sources.append((read_source(path), answer.exercise))
    together = [parts_of(source, exercise) for source, exercise in sources]
    untold = [parts_of(source) for source, _ in sources]
    with lessons_in(REPOSITORY / "solutions"):
        alone = [parts_of(source, exercise) for source, exercise in sources]
        alone_untold = [parts_of(source) for source, _ in sources]
    assert together == alone
    assert [a.id for a, ours, wanted in zip(RIGHT, untold, alone_untold, strict=True) if ours != wanted] == []


def test_a_file_without_a_marker_goes_to_the_track_that_its_names_fit(tmp_path: Path, all_tracks: Path) -> None:
    assert [name for name, _ in found(tmp_path / "mine.py", answers_of(TWIN))] == [TWIN]
    assert [name for name, _ in found(tmp_path / "ex1.py", answers_of(TWIN))] == [TWIN]
    assert [name for name, _ in found(tmp_path / "mine.py", answers_of(TWIN), "ex1")] == [TWIN]
    one = "dlogits = F.softmax(logits, 1)\ndlogits[range(n), y] -= 1\ndlogits /= n\n"
    assert [name for name, _ in found(tmp_path / "mine.py", one)] == [TWIN]
    other = one.replace("y]", "Yb]")
    assert [name for name, _ in found(tmp_path / "mine.py", other)] == ["makemore/ex2_cross_entropy"]


def test_a_marker_decides_and_the_call_above_it(tmp_path: Path, all_tracks: Path) -> None:
    marked = f"# %% [markdown]\n# <!-- dojo: {TWIN} -->\n\n# %%\ndh = dlogits @ W2.T\n"
    assert found(tmp_path / "a.py", marked) == [(TWIN, {"h": [0]})]
    assert found(tmp_path / "a.py", marked, "makemore/ex1")[0][0] == "makemore/ex1_atoms"
    assert found(tmp_path / "a.py", marked, "ex1")[0][0] == TWIN
    with pytest.raises(DojoError, match="assigns no gradient"):
        found(tmp_path / "a.py", "x = 1\n")


def test_points_of_one_track_leave_the_others_alone(tmp_path: Path, all_tracks: Path) -> None:
    path = tmp_path / "points.toml"
    path.write_text('[tool.dojo.points]\n"makemore/ex1.h" = 5\nW2 = 2\n"ex2.logits" = 3\n')
    table = read_points(path)
    worth = [table.of(e, name) for e in ("makemore/ex1_atoms", TWIN) for name in ("h", "W2", "b2")]
    assert worth == [5, 2, 1, 1, 2, 1]
    assert table.of("makemore/ex2_cross_entropy", "logits") == 3
    path.write_text('[tool.dojo.points]\n"ex1.h" = 5\n')
    with pytest.raises(DojoError, match=r"ambiguous key 'ex1\.h'; write one of makemore/ex1\.h, twin/ex1\.h"):
        read_points(path)


# ---- A lesson's own demonstration ----


@pytest.mark.slow
def test_two_real_processes_have_the_gradient_of_the_whole_batch_where_shards_are_weighed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = names_after(REPOSITORY / "solutions/transformer/ex6_data_parallel.py")
    first, second = names["by_processes"]
    for weighted in (False, True):
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(first[weighted], second[weighted], strict=True))
    true = [names["W"].grad, names["b"].grad]
    assert all(torch.allclose(ours, theirs, atol=1e-6) for ours, theirs in zip(first[True], true, strict=True))
    assert not any(torch.allclose(ours, theirs, rtol=0.1) for ours, theirs in zip(first[False], true, strict=True))
    assert "weighed by size  equal on both ranks: True" in capsys.readouterr().out


# ---- Right answers, and slips ----


def graded(grader: Grader, path: Path, text: str) -> SubmissionReport:
    path.write_text(text)
    (report,) = grader.grade_file(path)
    return report


def test_the_same_names_in_another_network_are_graded_there(tmp_path: Path, everywhere: Grader) -> None:
    report = graded(everywhere, tmp_path / "mine.py", answers_of(TWIN))
    assert report.exercise == TWIN
    assert report.all_passed
    assert {verdict.mistake for verdict in report.verdicts} == {None}


@pytest.mark.parametrize("text", [b"x = 1\ndlogits = (\n", b"x = 1\n"])
def test_a_file_that_tells_nothing_but_its_name_is_of_the_track_that_is_asked_for(text: bytes) -> None:
    source = read_source(Path("ex2.py"), text)
    for wanted in ("makemore/ex2_cross_entropy", "transformer/ex2_layernorm"):
        (part,) = select_parts(source, [wanted])
        assert part.exercise.id == wanted
    about_another = read_source(Path("ex2.py"), (REPOSITORY / "solutions/transformer/ex2_layernorm.py").read_bytes())
    with pytest.raises(HoldsNoneError, match="holds transformer/ex2_layernorm"):
        select_parts(about_another, ["makemore/ex2_cross_entropy"])


# ---- Lessons of every kind ----

KINDS = sorted(path.stem for path in (TRACKS / "kinds").glob("*.py"))


@pytest.mark.parametrize("name", KINDS)
def test_right_answers_of_every_kind_pass(name: str, tmp_path: Path, everywhere: Grader) -> None:
    report = graded(everywhere, tmp_path / "mine.py", (TRACKS / "kinds" / f"{name}.py").read_text())
    assert report.exercise == f"kinds/{name}"
    assert [(v.name, v.status, v.mistake, v.message) for v in report.verdicts if not v.passed or v.mistake] == []


CLOTHES = {
    (TWIN, "one-hot and einsum"): """
p = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
dlogits = (p - torch.eye(classes, dtype=p.dtype)[y]) / n
dW2, db2 = torch.einsum("nh,nc->hc", h, dlogits), dlogits.sum(axis=0)
dh = torch.einsum("nc,hc->nh", dlogits, W2)
dz = torch.where(z > 0, dh, torch.zeros_like(dh))
dW1 = (x[:, :, None] * dz[:, None, :]).sum(0)
db1 = torch.ones(n, dtype=dz.dtype) @ dz
""",
    (TWIN, "functions of its own"): """
def linear_back(x, w, dy):
    return dy @ w.T, x.T @ dy, dy.sum(0)

grads = torch.softmax(logits, 1)
grads[torch.arange(n), y] -= 1.0
dlogits = grads / n
dh, dW2, db2 = linear_back(h, W2, dlogits)
dz = dh.clone()
dz[z <= 0] = 0
_, dW1, db1 = linear_back(x, W1, dz)
""",
    ("kinds/ex1_heads", "einsum, and the softmax row by row"): """
dloss = torch.tensor(1.0)
dy = (y - goal) * (2.0 / (B * T * C)) * dloss
dout = dy
d = dout.reshape(B, T, H, D).permute(0, 2, 1, 3)
dvh = torch.einsum("bhij,bhid->bhjd", weights, d)
dweights = torch.einsum("bhid,bhjd->bhij", d, vh)
jacobian = torch.diag_embed(weights) - weights[..., :, None] * weights[..., None, :]
dmasked = torch.einsum("bhij,bhijk->bhik", dweights, jacobian)
dscores = torch.where(later, torch.zeros(()), dmasked)
dqh, dkh = dscores @ kh / D**0.5, dscores.mT @ qh / D**0.5
dq, dk, dv = (part.permute(0, 2, 1, 3).flatten(2) for part in (dqh, dkh, dvh))
joint = torch.cat((dq, dk, dv), dim=-1)
dW = torch.einsum("btc,bte->ce", x, joint)
dx = joint @ W.t()
dx += dy
""",
    ("kinds/ex2_numbers", "in other words"): """
dloss = 1.0
dpenalty = dloss * torch.ones(())
da = -2 * (label - a)
dz = da * torch.exp(-z) / (1 + torch.exp(-z)) ** 2
dx, db = dz * w, 1 * dz
dw = dz * x
dw = dw + dpenalty * w
""",
    ("kinds/ex3_arrays", "outer products, and no operator"): """
probs = np.exp(Z2) / np.sum(np.exp(Z2), axis=0)
dZ2 = np.divide(np.subtract(probs, Y), m)
dW2 = np.einsum("cm,hm->ch", dZ2, A1)
db2 = np.sum(dZ2, 1).reshape(-1, 1)
dA1 = np.dot(W2.transpose(), dZ2)
dZ1 = np.where(Z1 > 0, dA1, 0.0)
dW1 = sum(np.outer(dZ1[:, i], X[:, i]) for i in range(m))
db1 = dZ1 @ np.ones((m, 1))
""",
    ("kinds/ex4_dropout", "scaled once, and masked by places"): """
dout = out * (2 / len(out))
dkept = torch.outer(dout, u)
du = (dout[:, None] * kept).sum(0)
scaled = mask / (1 - p)
dh = scaled * dkept
dpre = dh.masked_fill(pre <= 0, 0)
dW = (dpre.T @ x).T
""",
}
"""The same answers as other people write them: of each lesson all that it grades."""


@pytest.mark.parametrize(("lesson", "style"), CLOTHES)
def test_right_answers_in_other_clothes_pass_too(lesson: str, style: str, tmp_path: Path, everywhere: Grader) -> None:
    path = tmp_path / "mine.py"
    path.write_text(CLOTHES[lesson, style])
    (report,) = everywhere.grade_file(path, lesson)
    assert [(v.name, v.status, v.mistake, v.message) for v in report.verdicts if not v.passed or v.mistake] == []


@pytest.mark.parametrize("name", sampled(3, [TWIN, *(f"kinds/{name}" for name in KINDS)]))
def test_slips_in_every_kind_are_refused_blamed_and_named(name: str, everywhere: Grader) -> None:
    check(Figures.of(grade_here(typical(name, 40, random.Random(SEED)), everywhere)))
