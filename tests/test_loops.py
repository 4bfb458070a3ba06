"""Every lesson with a loop, those of the tests included: right loops in other clothes, and the usual slips, pass or
are named at the line that makes them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent

import pytest
from conftest import sampled
from dojo import REPOSITORY
from lessons import TRACKS, all_lessons, lessons_in

from grader.judging.grade import Grader, settings
from grader.lesson.exercise import find_exercise, read_exercise
from grader.reading.attempts import analyse
from grader.reading.loop_plan import plan_loop
from grader.report.records import SubmissionReport
from grader.running import loop_run
from grader.syntax.source import read_source

ROOTS = (REPOSITORY / "solutions", TRACKS)
LESSONS = {
    lesson.id: lesson
    for root in ROOTS
    for lesson in (read_exercise(path, root) for path in sorted(root.glob("*/ex*.py")))
    if lesson.code_cells("training")
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], SubmissionReport]]:
    """Grade a loop for a lesson, with the tests' own lessons beside the project's."""
    root = all_lessons(tmp_path_factory.mktemp("lessons") / "solutions")
    path = tmp_path_factory.mktemp("submissions") / "submission.py"
    with lessons_in(root), Grader(settings(seed=31, device="cpu")) as grader:

        def judge(lesson: str, text: str) -> SubmissionReport:
            path.write_text(text)
            (report,) = grader.grade_file(path, lesson)
            return report

        yield judge


# ---- A lesson's loop as a tree to edit ----


@dataclass
class Loop:
    """The training cell of a lesson: the loop, and in it the loop over the parameters that updates them."""

    lesson: str
    tree: ast.Module
    main: ast.For = field(init=False)
    update: ast.For = field(init=False)

    def __post_init__(self) -> None:
        loops = [node for node in ast.walk(self.tree) if isinstance(node, ast.For)]
        self.main = loops[0]
        self.update = next(loop for loop in loops[1:] if "parameters" in ast.unparse(loop.iter))

    @property
    def text(self) -> str:
        return ast.unparse(self.tree) + "\n"

    @property
    def parameters(self) -> tuple[str, ...]:
        return LESSONS[self.lesson].trained

    @property
    def last_update(self) -> ast.stmt:
        """The last statement of the update that changes the parameter itself."""
        assert isinstance(self.update.target, ast.Tuple)
        name = ast.unparse(self.update.target.elts[0])
        return next(s for s in reversed(self.update.body) if ast.unparse(s).startswith((f"{name}.", f"{name} ")))

    def gradient(self) -> tuple[str, ast.Assign]:
        """A weight whose gradient the loop's body assigns in one statement, and nothing else reads; and that."""
        for statement in reversed(self.main.body):
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                name = ast.unparse(statement.targets[0])
                reads = ast.unparse(self.main).count(name)
                if name[1:] in self.parameters and name.startswith("dW") and reads == 2:
                    return name[1:], statement
        raise AssertionError(f"{self.lesson} assigns no gradient of a parameter in one statement")


def loop_of(lesson: str) -> Loop:
    (cell,) = LESSONS[lesson].code_cells("training")
    return Loop(lesson, ast.parse(cell.text))


def replace(node: ast.AST, old: str, new: str) -> int:
    """Put `new` in the place of each part of `node` that reads `old`; how many there were."""
    found = 0
    for parent in list(ast.walk(node)):
        for name, value in ast.iter_fields(parent):
            for at, child in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(child, ast.expr) and ast.unparse(child) == old:
                    if isinstance(value, list):
                        value[at] = ast.parse(new, mode="eval").body
                    elif not isinstance(getattr(child, "ctx", None), ast.Store):
                        setattr(parent, name, ast.parse(new, mode="eval").body)
                    found += 1
    return found


# ---- Right loops in other clothes ----


def as_written(_: Loop) -> None:
    pass


def without_tqdm(loop: Loop) -> None:
    assert replace(loop.main, "tqdm(range(max_steps))", "range(max_steps)")


def counted_by_enumerate(loop: Loop) -> None:
    loop.main.target = ast.parse("step, _", mode="eval").body
    loop.main.iter = ast.parse("enumerate(range(max_steps))", mode="eval").body


def in_a_function(loop: Loop) -> None:
    body = indent(loop.text, "    ")
    loop.tree = ast.parse(f"def train():\n{body}\n    return losses\n\n\nlosses = train()\n")


def as_while(loop: Loop) -> None:
    for parent in ast.walk(loop.tree):
        body = getattr(parent, "body", None)
        if isinstance(body, list) and loop.main in body:
            at = body.index(loop.main)
            counted = [*loop.main.body, *ast.parse("step += 1").body]
            test = ast.parse("step < max_steps", mode="eval").body
            body[at : at + 1] = [*ast.parse("step = 0").body, ast.While(test, counted, [])]
            return


def losses_under_another_name(loop: Loop) -> None:
    assert replace(loop.tree, "losses.append", "lossi.append")
    loop.tree = ast.parse(loop.text.replace("losses = []", "lossi = []"))


def kept_before_the_update(loop: Loop) -> None:
    kept = loop.main.body.pop()
    loop.main.body.insert(loop.main.body.index(loop.update), kept)


def gradients_rounded_otherwise(loop: Loop) -> None:
    for statement in loop.main.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0])[:1] == "d":
            statement.value = ast.parse(f"({ast.unparse(statement.value)}) * 3.0 / 3.0", mode="eval").body


def parameters_backwards(loop: Loop) -> None:
    assert isinstance(loop.update.iter, ast.Call)
    for at, listed in enumerate(loop.update.iter.args):
        loop.update.iter.args[at] = ast.parse(f"list({ast.unparse(listed)})[::-1]", mode="eval").body


def counted_by_itself(loop: Loop) -> None:
    """An optimiser that counts the steps which it makes."""
    if replace(loop.update, "step + 1", "made"):
        loop.tree.body.insert(0, ast.parse("made = 0").body[0])
        loop.main.body.insert(0, ast.parse("made += 1").body[0])


CLOTHES = (
    as_written,
    without_tqdm,
    counted_by_enumerate,
    in_a_function,
    as_while,
    losses_under_another_name,
    kept_before_the_update,
    gradients_rounded_otherwise,
    parameters_backwards,
    counted_by_itself,
)


@pytest.mark.parametrize("clothe", sampled(4, CLOTHES))
@pytest.mark.parametrize("lesson", LESSONS)
def test_right_loops_pass(
    judged: Callable[[str, str], SubmissionReport], lesson: str, clothe: Callable[[Loop], None]
) -> None:
    loop = loop_of(lesson)
    clothe(loop)
    report = judged(lesson, loop.text)
    assert report.exercise == lesson
    assert report.all_passed, [(v.name, v.status, v.mistake, v.message) for v in report.verdicts if not v.passed]
    assert not report.notes
    assert {verdict.mistake for verdict in report.verdicts} == {None}


# ---- The usual slips: each gives the mistake, the line that makes it, and which verdicts it costs ----

Slip = tuple[str, ast.stmt, str]


def update_sign(loop: Loop) -> Slip:
    statement = loop.last_update
    if isinstance(statement, ast.AugAssign):
        statement.op = ast.Add()
    else:
        assert isinstance(statement, ast.Expr)
        called = statement.value
        assert isinstance(called, ast.Call)
        assert isinstance(called.func, ast.Attribute)
        assert called.func.attr == "sub_"
        called.func.attr = "add_"
    return "update-sign", statement, "parameters"


def rate_twice(loop: Loop) -> Slip:
    for statement in loop.main.body:
        if ast.unparse(statement).startswith("lr = "):
            assert isinstance(statement, ast.Assign)
            statement.value = ast.parse(f"2 * ({ast.unparse(statement.value)})", mode="eval").body
            return "learning-rate", statement, "parameters"
    assert replace(loop.update, "learning_rate", "(2 * learning_rate)")
    return "learning-rate", loop.last_update, "parameters"


def schedule_of_another_step(loop: Loop) -> Slip | None:
    for statement in loop.main.body:
        if ast.unparse(statement).startswith("lr = ") and replace(statement, "step", "(step + max_steps // 4)"):
            return "learning-rate", statement, "parameters"
    return None


def stale_gradient(loop: Loop) -> Slip:
    name, statement = loop.gradient()
    text = f"{ast.unparse(statement.value)} if step == 0 else d{name}"
    statement.value = ast.parse(text, mode="eval").body
    return "stale-gradient", statement, name


def not_zeroed(loop: Loop) -> Slip:
    name, statement = loop.gradient()
    added = ast.parse(f"d{name} += {ast.unparse(statement.value)}").body[0]
    loop.main.body[loop.main.body.index(statement)] = added
    loop.tree.body.insert(0, ast.parse(f"d{name} = torch.zeros_like({name})").body[0])
    return "not-zeroed", added, name


def half_of_the_parameters(loop: Loop) -> Slip:
    half = len(loop.parameters) // 2
    assert isinstance(loop.update.iter, ast.Call)
    for at, listed in enumerate(loop.update.iter.args):
        loop.update.iter.args[at] = ast.parse(f"({ast.unparse(listed)})[:{half}]", mode="eval").body
    return "no-update", loop.update, " ".join(loop.parameters[half:])


def gradient_left_out(loop: Loop) -> Slip:
    name, _ = loop.gradient()
    for statement in loop.main.body:
        if f"d{name}," in ast.unparse(statement) or f"d{name}]" in ast.unparse(statement):
            where = statement
    holder = where.iter if isinstance(where, ast.For) else where
    assert replace(holder, f"d{name}", f"torch.zeros_like({name})")
    return "no-update", where, name


def steps_corrected_for(loop: Loop) -> Slip | None:
    for statement in loop.update.body:
        if replace(statement, "step + 1", "step + 2"):
            for other in loop.update.body:
                replace(other, "step + 1", "step + 2")
            return "bias-correction", statement, "parameters"
    return None


def steps_counted_from_zero(loop: Loop) -> Slip | None:
    for statement in loop.update.body:
        if replace(statement, "step + 1", "step"):
            for other in loop.update.body:
                replace(other, "step + 1", "step")
            return "any", statement, "parameters"
    return None


def no_bias_correction(loop: Loop) -> Slip | None:
    edited = [s for s in loop.update.body if replace(s, "1 - beta1 ** (step + 1)", "1.0")]
    edited += [s for s in loop.update.body if replace(s, "1 - beta2 ** (step + 1)", "1.0")]
    return ("bias-correction", edited[0], "parameters") if edited else None


def no_weight_decay(loop: Loop) -> Slip | None:
    for statement in loop.update.body:
        if replace(statement, "decay", "0.0") or replace(statement, "weight_decay", "0.0"):
            return "weight-decay", statement, "some"
    return None


def decay_inside_the_moments(loop: Loop) -> Slip | None:
    """Adam with L2 in the place of AdamW."""
    decays = [s for s in loop.update.body if ast.unparse(s) == "p.mul_(1 - learning_rate * decay)"]
    if not decays:
        return None
    loop.update.body.remove(decays[0])
    loop.update.body.insert(0, ast.parse("gradient = gradient + decay * p").body[0])
    return "weight-decay", loop.update.body[0], "some"


def decay_on_biases(loop: Loop) -> Slip | None:
    for statement in loop.update.body:
        if replace(statement, "learning_rate * decay", "learning_rate * weight_decay"):
            return "weight-decay", statement, "some"
    return None


def no_momentum(loop: Loop) -> Slip | None:
    for statement in list(loop.update.body):
        if ast.unparse(statement) == "v *= momentum":
            statement.value = ast.Constant(0.0)  # type: ignore[attr-defined]
            return "momentum", statement, "parameters"
    return None


def loss_doubled(loop: Loop) -> Slip:
    for statement in loop.main.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "loss":
            statement.value = ast.parse(f"2 * ({ast.unparse(statement.value)})", mode="eval").body
            return "wrong-forward", statement, "loss"
    raise AssertionError(f"{loop.lesson} assigns no loss in one statement")


def zeros_kept(loop: Loop) -> Slip:
    kept = loop.main.body[-1]
    assert replace(kept, "loss.item()", "0.0")
    return "wrong-losses", kept, "loss"


def a_word_kept(loop: Loop) -> Slip:
    kept = ast.parse("losses.append('none')").body[0]
    loop.main.body.append(kept)
    return "wrong-losses", kept, "loss"


def left_at_once(loop: Loop) -> Slip:
    loop.main.body.append(ast.Break())
    return "loop-length", ast.Break(), "all"


def a_step_too_few(loop: Loop) -> Slip:
    assert replace(loop.main, "range(max_steps)", "range(max_steps - 1)")
    return "loop-length", loop.main, "all"


def left_early(loop: Loop) -> Slip:
    ends = ast.parse("if step == 1:\n    break").body[0]
    loop.main.body.append(ends)
    assert isinstance(ends, ast.If)
    return "loop-length", ends.body[0], "all"


def second_draw(loop: Loop) -> Slip:
    loop.main.body.insert(0, loop.main.body[0])
    return "wrong-batch", loop.main.body[0], "loss"


SLIPS = (
    update_sign,
    rate_twice,
    schedule_of_another_step,
    stale_gradient,
    not_zeroed,
    half_of_the_parameters,
    gradient_left_out,
    steps_corrected_for,
    steps_counted_from_zero,
    no_bias_correction,
    no_weight_decay,
    decay_inside_the_moments,
    decay_on_biases,
    no_momentum,
    loss_doubled,
    zeros_kept,
    a_word_kept,
    left_at_once,
    a_step_too_few,
    left_early,
    second_draw,
)


VANISHING = {"makemore/ex4_training": {"b1"}, "loops/ex2_adamw": {"b1"}}
"""The parameters whose true gradient is zero: a slip that only later steps show does not show in these."""


def made(lesson: str, slip: Callable[[Loop], Slip | None]) -> tuple[Loop, Slip] | None:
    loop = loop_of(lesson)
    found = slip(loop)
    return None if found is None else (loop, found)


CASES = [(lesson, slip) for lesson in LESSONS for slip in SLIPS if made(lesson, slip) is not None]


@pytest.mark.parametrize(("lesson", "slip"), sampled(4, CASES))
def test_the_usual_slips_are_named_at_their_line(
    judged: Callable[[str, str], SubmissionReport], lesson: str, slip: Callable[[Loop], Slip | None]
) -> None:
    case = made(lesson, slip)
    assert case is not None
    loop, (mistake, statement, costs) = case
    report = judged(lesson, loop.text)
    wrong = {verdict.name: verdict for verdict in report.verdicts if not verdict.passed}
    everything = {"all": {"loss", *loop.parameters}, "parameters": set(loop.parameters)}
    if costs == "some":
        assert set() < set(wrong) < {"loss", *loop.parameters}
    else:
        unseen = VANISHING.get(lesson, set())
        assert set(wrong) | unseen == everything.get(costs, set(costs.split())) | unseen
    if mistake != "any":
        assert {verdict.mistake for verdict in wrong.values()} == {mistake}
    line = ast.unparse(statement).split("\n")[0]
    assert {verdict.code for verdict in wrong.values()} == {line}
    told = [verdict for verdict in wrong.values() if not verdict.message.startswith("The same as for")]
    assert len(told) == len({(verdict.mistake, verdict.message) for verdict in told})
    assert all(verdict.message for verdict in wrong.values())


ADAM = [
    ("m / (1 - beta1 ** (step + 1))", "m * (1 - beta1 ** (step + 1))", "bias-correction", "is multiplied by its bias"),
    ("v / (1 - beta2 ** (step + 1))", "v * (1 - beta2 ** (step + 1))", "bias-correction", "v, is multiplied"),
    ("m / (1 - beta1 ** (step + 1))", "m", "bias-correction", "m, is not corrected for its start at zero"),
    ("v / (1 - beta2 ** (step + 1))", "v / (1 - beta1 ** (step + 1))", "bias-correction", "v, is corrected with the o"),
    ("m / (1 - beta1 ** (step + 1))", "m / (1 - beta1)", "bias-correction", "m, is divided by 1 - beta1 in each step"),
    ("gradient, alpha=1 - beta1)", "gradient)", "momentum", "m, gets the gradient in full"),
    ("alpha=1 - beta2)", "alpha=1 - beta1)", "momentum", "v, gets the gradient's square with the share of the"),
    ("gradient**2, alpha", "gradient, alpha", "momentum", "v, gets the gradient and not its square"),
    ("(v_hat.sqrt() + eps)", "(v_hat + eps).sqrt()", "update-divisor", "eps stands under the square root"),
    ("(v_hat.sqrt() + eps)", "(v_hat + eps)", "update-divisor", "the square root of the second running mean is"),
    ("1 - learning_rate * decay", "1 - decay", "weight-decay", "is not multiplied by the learning rate"),
    ("1 - learning_rate * decay", "1 + learning_rate * decay", "weight-decay", "the wrong sign"),
]


@pytest.mark.parametrize(("old", "new", "mistake", "said"), sampled(3, ADAM))
def test_each_part_of_an_adam_step_is_told_by_its_line(
    grade_text: Callable[..., list[SubmissionReport]], old: str, new: str, mistake: str, said: str
) -> None:
    text = find_exercise("transformer/ex5").path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    (report,) = grade_text(text.replace(old, new))
    wrong = [verdict for verdict in report.verdicts if not verdict.passed]
    assert {verdict.mistake for verdict in wrong} == {mistake}
    assert sum(said in verdict.message for verdict in wrong) == 1
    assert all(new in (verdict.code or "") for verdict in wrong)


@pytest.mark.parametrize(
    ("old", "new", "said", "shown"),
    sampled(
        3,
        [
            ("in (dq, dk, dv)]", "in (dk, dq, dv)]", "dWo[1] is right, dWqkv[1] is not", "in (dk, dq, dv)]"),
            ("dln2 * gains[i, 1]", "dln2 * gains[i, 0]", "dshifts[1, 1] is right, dWo[1] is not", "gains[i, 0]"),
            ("((1, saved2), (0, saved1)):\n", "((0, saved1), (1, saved2)):\n", "dW2[1] is the first part", "dW2[i] = "),
        ],
    ),
)
def test_a_slip_within_a_block_of_layers_is_placed_between_two_parts(
    grade_text: Callable[..., list[SubmissionReport]], old: str, new: str, said: str, shown: str
) -> None:
    text = find_exercise("transformer/ex5").path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    (report,) = grade_text(text.replace(old, new))
    (told,) = (verdict for verdict in report.verdicts if said in verdict.message)
    assert told.message.startswith("First wrong at step 0: ")
    assert shown in (told.code or "")
    others = [verdict.message for verdict in report.verdicts if not verdict.passed and verdict is not told]
    assert set(others) == {f"The same as for {told.name}: mend that first."}


@pytest.mark.parametrize(
    ("old", "new"), [("learning_rate * m_hat", "learning_rate * m"), ("(v_hat.sqrt() + eps)", "(v.sqrt() + eps)")]
)
def test_a_mean_taken_past_its_correction_is_blamed_on_the_line_that_takes_it(
    grade_text: Callable[..., list[SubmissionReport]], old: str, new: str
) -> None:
    text = find_exercise("transformer/ex5").path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    (report,) = grade_text(text.replace(old, new))
    wrong = [verdict for verdict in report.verdicts if not verdict.passed]
    assert {verdict.mistake for verdict in wrong} == {"bias-correction"}
    assert {new in (verdict.code or "") for verdict in wrong} == {True}


@pytest.mark.parametrize(("line", "named"), [("pass", False), ("E if step == 4 else B", True), ("step % 4", True)])
def test_a_loop_runs_at_the_steps_that_its_text_names_and_a_multiple_of_a_size_is_none(
    tmp_path: Path, line: str, named: bool
) -> None:
    exercise, path = find_exercise("transformer/ex5"), tmp_path / "loop.py"
    text, draw = exercise.path.read_text(encoding="utf-8"), "        starts = torch.randint"
    assert text.count("4 * E") > 2
    assert text.count(draw) == 1
    path.write_text(text.replace(draw, f"        {line}\n{draw}"), encoding="utf-8")
    plan = plan_loop(analyse(read_source(path), [exercise]), exercise)
    assert plan is not None
    assert (4 in plan.whole_numbers()) is named


def test_a_forward_tensor_whose_name_begins_with_d_is_not_taken_for_a_gradient(tmp_path: Path) -> None:
    root = all_lessons(tmp_path / "solutions")
    lesson, path = root / "loops" / "ex2_adamw.py", tmp_path / "submission.py"
    lesson.write_text(lesson.read_text().replace("centred", "deviation"))
    right, wrong = "        deviation = z - z.mean(0)", "        deviation = z - z.mean(1, keepdim=True)"
    assert lesson.read_text().count(right) == 1
    path.write_text(lesson.read_text().replace(right, wrong))
    with lessons_in(root), Grader(settings(seed=31, device="cpu")) as grader:
        (report,) = grader.grade_file(path, "loops/ex2_adamw")
    wrong_ones = [verdict for verdict in report.verdicts if not verdict.passed]
    assert {verdict.mistake for verdict in wrong_ones} == {"wrong-forward"}
    assert {verdict.code for verdict in wrong_ones} == {wrong.strip()}


def test_where_the_lessons_list_holds_no_numbers_no_other_is_taken_for_it(
    grade_text: Callable[..., list[SubmissionReport]],
) -> None:
    text, kept = find_exercise("makemore/ex4").path.read_text(encoding="utf-8"), "        losses.append(loss.item())\n"
    assert text.count(kept) == 1
    (report,) = grade_text(text.replace(kept, f"{kept}        losses.append(None)\n"))
    (wrong,) = (verdict for verdict in report.verdicts if not verdict.passed)
    assert wrong.message == "No list holds the losses: append the loss of each step to losses, as a number."


def test_a_gradient_that_is_not_finished_is_not_why_a_loop_stops(
    grade_text: Callable[..., list[SubmissionReport]],
) -> None:
    text, line = find_exercise("makemore/ex4").path.read_text(encoding="utf-8"), "demb.view(-1, demb.shape[-1]))\n"
    assert text.count(line) == 1
    (report,) = grade_text(text.replace(line, "demb)\n"))
    assert {(verdict.status, verdict.mistake) for verdict in report.verdicts} == {("error", "exception")}
    assert "dC.index_add_(0, Xb.view(-1), demb)" in (report.verdicts[0].code or "")


@pytest.mark.parametrize(("seconds", "found"), [(60.0, "c"), (0.0, "a")])
def test_items_without_positions_are_passed_over_as_far_as_that_is_quick(
    seconds: float, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_run, "_PASSING_SECONDS", seconds)
    run = object.__new__(loop_run.LoopRun)
    run.namespace = {}
    assert run._finder(loop_run.numbered(iter("abc"), 1))(2) == (3, found)
    assert run._finder(loop_run.Together(iter("abc"), range(9)))(2) == (found, 2)
