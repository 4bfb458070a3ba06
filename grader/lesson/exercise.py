"""An exercise, read from its one file: what is set up, what is graded, and the hints."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import CodeType

from grader.base.bundle import bundled
from grader.base.errors import DojoError
from grader.base.files import read_text
from grader.lesson.cells import body_of
from grader.lesson.grading import Grading, read_grading
from grader.lesson.hint_cells import hint_for
from grader.syntax.scopes import called_name, nodes_below
from grader.syntax.source import Cell, Statement, percent_cells

SETUP_TAGS = frozenset({"setup", "parameters"})
ANSWER_TAGS = frozenset({"backward", "training"})
HINTS_PER_ANSWER = 3
AFTER_A_STEP = "_after_a_step"
DTYPE = "dtype"
"""The parameter that names a dtype; many submissions use the same name for a dtype itself."""

_MARKER = re.compile(r"<!--\s*dojo:\s*([\w/.-]+)\s*-->")
_MARKER_IN_COMMENT = re.compile(rf"^[ \t]*#.*{_MARKER.pattern}", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class Atom:
    """One line of the forward pass: `name = expression`, and the names that the expression reads."""

    name: str
    line: int
    text: str
    reads: tuple[str, ...]
    file: str

    @cached_property
    def code(self) -> CodeType:
        """What runs it, with the line of its file."""
        return compile("\n" * (self.line - 1) + self.text, self.file, "exec")

    @property
    def binds(self) -> tuple[str, ...]:
        """`("Xb", "Yb")` for a line that assigns both; else the one name."""
        return tuple(self.name.split(", "))


@dataclass(frozen=True, eq=False)
class Exercise:
    """One exercise. What is graded goes by the tensor's name, `logits` for `dlogits`; a function or a class that
    the learner writes goes by its own. A lesson may ask for gradients, for definitions and for a loop, for each alone
    or for several.
    """

    id: str
    path: Path

    @cached_property
    def text(self) -> str:
        """The lesson's file, read when something of it is first asked for: most commands need few lessons.

        Raises:
            DojoError: the file cannot be read.
        """
        return read_text(self.path)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """What the file holds, in its order."""
        return tuple(percent_cells(self.text))

    @property
    def track(self) -> str:
        """`makemore` for `makemore/ex1_atoms`."""
        return self.id.split("/")[0]

    @property
    def number(self) -> str:
        """`ex1` for `makemore/ex1_atoms`."""
        return self.short_id.split("/")[-1]

    @property
    def short_id(self) -> str:
        """What people type: `makemore/ex1` for `makemore/ex1_atoms`."""
        return short_id_of(self.id)

    @cached_property
    def title(self) -> str:
        """The lesson's first heading."""
        first = next((cell.text for cell in self.cells if cell.kind == "markdown"), "")
        return first.lstrip("# ").split("\n")[0].strip()

    def code_cells(self, *tags: str) -> list[Cell]:
        """The code cells that carry one of these tags, in the order of the file."""
        return [cell for cell in self.cells if cell.kind == "code" and set(tags) & set(cell.tags)]

    @cached_property
    def can_train(self) -> bool:
        """True where the learner writes a training loop, which `dojo train` runs in full."""
        return bool(self.code_cells("training"))

    @cached_property
    def atoms(self) -> tuple[Atom, ...]:
        """The forward pass, one atom a line, in order."""
        found = []
        for cell in self.code_cells("forward"):
            for node in body_of(cell, self.path):
                if not (isinstance(node, ast.Assign) and len(node.targets) == 1):
                    raise DojoError(
                        f"{self.path}:{cell.line + node.lineno - 1}: a forward cell holds one "
                        "`name = expression` a line"
                    )
                found.append(_atom(node, cell, self.path))
        return tuple(found)

    @cached_property
    def atom_trees(self) -> frozenset[str]:
        """The atoms as `ast.dump` gives them: by these a submission's own copy of one is known."""
        return frozenset(ast.dump(ast.parse(atom.text)) for atom in self.atoms)

    @cached_property
    def forward_names(self) -> tuple[str, ...]:
        """Every tensor that the forward pass makes, in its order."""
        return tuple(name for atom in self.atoms for name in atom.binds)

    def fed_by(self, name: str) -> set[str]:
        """The tensors that are computed from `name`, directly or not."""
        reached = {name}
        for atom in self.atoms:
            if reached & set(atom.reads):
                reached.update(atom.binds)
        return reached - {name}

    @cached_property
    def parameter_values(self) -> dict[str, object]:
        """The literals of the `parameters` cells: sizes, seed, device, dtype.

        Raises:
            DojoError: something else stands there, which a grader could not override.
        """
        values: dict[str, object] = {}
        for cell in self.code_cells("parameters"):
            for node in body_of(cell, self.path):
                try:
                    values |= _literals(node)
                except (ValueError, TypeError):
                    where = f"{self.path}:{cell.line + node.lineno - 1}"
                    raise DojoError(f"{where}: a parameters cell holds one `name = literal` a line") from None
        return values

    @cached_property
    def fixed_parameters(self) -> frozenset[str]:
        """Sizes, seed and device: a submission that sets them anew does not change what it is graded on."""
        return frozenset(self.parameter_values.keys() - {DTYPE})

    @cached_property
    def setup_names(self) -> frozenset[str]:
        """Every name that the setup and parameters cells bind at top level."""
        names: set[str] = set()
        for cell in self.code_cells(*SETUP_TAGS):
            names.update(self._bound_in(cell))
        return frozenset(names)

    @cached_property
    def setup_calls(self) -> dict[str, set[str]]:
        """For each name of the setup the functions that are called to make it."""
        calls: dict[str, set[str]] = {}
        for cell in self.code_cells(*SETUP_TAGS):
            for node in body_of(cell, self.path):
                called = {called_name(leaf) for leaf in nodes_below(node) if isinstance(leaf, ast.Call)}
                calls |= dict.fromkeys(bound_names([node]), called)
        return calls

    @cached_property
    def network_names(self) -> frozenset[str]:
        """What the forward pass reads from the setup: data, parameters and sizes."""
        read = {name for atom in self.atoms for name in atom.reads}
        return frozenset(read & self.setup_names)

    @cached_property
    def grading(self) -> Grading:
        """What the lesson's `grading` cell says, and the defaults where it has none."""
        return read_grading(self.path, self.cells)

    @cached_property
    def graded(self) -> tuple[str, ...]:
        """What is graded, in the order in which the lesson meets it; what a loop gives comes last.

        Raises:
            DojoError: the grading cell names a target that is no tensor, function or class of the lesson; or the
                lesson has a loop and no list of parameters.
        """
        known = {*self.forward_names, *self.network_names, *self._definitions_of_answers, *self._given_by_a_loop}
        for name in self.grading.targets:
            if name not in known:
                raise DojoError(
                    f"{self.path}: the grading cell's target {name!r} is no tensor of the forward pass, and no "
                    "function or class of a backward cell"
                )
        found = dict.fromkeys(name for cell in self.code_cells("backward") for name in self.answers_in(cell))
        return self.grading.targets or (*found, *self._given_by_a_loop)

    @cached_property
    def after_a_step(self) -> Mapping[str, str]:
        """Those of `graded` that a loop gives, each with its tensor: the loss, and each parameter after a step.

        They go by the tensor's name too. Where the tensor's gradient is graded as well, as in a lesson that asks for
        `dw` and then for the loop, the loop's is `w_after_a_step`.
        """
        return {name: tensor for name, tensor in self._given_by_a_loop.items() if name in self.graded}

    @cached_property
    def assigned(self) -> tuple[str, ...]:
        """Those of `graded` that the learner assigns or defines each by its name: gradients, functions, classes."""
        return tuple(name for name in self.graded if name not in self.after_a_step)

    @cached_property
    def _given_by_a_loop(self) -> Mapping[str, str]:
        if not self.can_train:
            return {}
        if not self.trained:
            raise DojoError(f"{self.path}: no setup cell assigns `parameters = [...]`")
        gradients = {name for cell in self.code_cells("backward") for name in self._gradients_in(cell)}
        names = ("loss", *self.trained)
        return {f"{name}{AFTER_A_STEP}" if name in gradients else name: name for name in names}

    @cached_property
    def definitions(self) -> frozenset[str]:
        """Those of `graded` that are functions or classes: they are graded by the lesson's `cases`."""
        return frozenset(set(self.graded) & self._definitions_of_answers)

    @cached_property
    def graded_gradients(self) -> tuple[str, ...]:
        """Those of `graded` that are gradients, in order."""
        return tuple(name for name in self.assigned if name not in self.definitions)

    @cached_property
    def named_gradients(self) -> tuple[str, ...]:
        """The tensors whose gradients are graded, and those whose gradients are given."""
        return tuple(dict.fromkeys((*self.graded_gradients, *self.given)))

    @cached_property
    def _definitions_of_answers(self) -> frozenset[str]:
        bodies = (body_of(cell, self.path) for cell in self.code_cells("backward"))
        return frozenset(n.name for body in bodies for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef)))

    def mentions(self, name: str) -> bool:
        """Whether code of the lesson has the word `name`: where it has not, nothing there is called so."""
        if name.lower() not in self._in_small_letters:
            return False
        word = re.compile(rf"\bd?{re.escape(name)}\b", re.IGNORECASE)
        return any(cell.kind == "code" and word.search(cell.text) for cell in self.cells)

    @cached_property
    def _in_small_letters(self) -> str:
        return self.text.lower()

    def label(self, name: str) -> str:
        """What a learner calls a graded thing: `dlogits` for `logits`; a class or a loop's parameter by its name."""
        return self.after_a_step.get(name) or (name if name in self.definitions else f"d{name}")

    def answer_name(self, name: str) -> str:
        """The name that holds the answer: `dlogits`, or for all that a loop gives the list of its losses."""
        return self.losses_name if name in self.after_a_step else self.label(name)

    @cached_property
    def losses_name(self) -> str:
        """What the lesson calls the list of losses: the first name that the cell with the loop assigns."""
        return next((name for cell in self.code_cells("training") for name in self._bound_in(cell)), "losses")

    @cached_property
    def trained(self) -> tuple[str, ...]:
        """The entries of the setup's `parameters = [...]`, in their order; empty where there is no such list."""
        for cell in self.code_cells("setup"):
            for node in body_of(cell, self.path):
                if isinstance(node, ast.Assign) and bound_names([node]) == ["parameters"]:
                    return tuple(element.id for element in nodes_below(node.value) if isinstance(element, ast.Name))
        return ()

    @cached_property
    def given(self) -> tuple[str, ...]:
        """The tensors whose gradients the learner is given."""
        cells = self.code_cells("given")
        return tuple(dict.fromkeys(name for cell in cells for name in self._gradients_in(cell)))

    @cached_property
    def hints(self) -> Mapping[str, tuple[str, ...]]:
        """For each graded thing its hints, from a nudge to the rule and a number to check it by.

        A solution has them above the answer. In what learners get they stand elsewhere, and name it themselves.
        """
        hints: dict[str, tuple[str, ...]] = {}
        waiting: list[str] = []
        for cell in self.cells:
            if named := hint_for(cell.text):
                for name in self.graded:
                    if self.answer_name(name) in named:
                        hints[name] = (*hints.get(name, ()), hint_text(cell.text))
            elif "hint" in cell.tags:
                waiting.append(hint_text(cell.text))
            elif set(cell.tags) & ANSWER_TAGS and waiting:
                for name in self.answers_in(cell):
                    hints.setdefault(name, tuple(waiting))
                waiting = []
        return hints

    def answers_in(self, cell: Cell) -> list[str]:
        """What a cell gives that may be graded: all that a loop gives; or the gradients that it assigns, and its
        functions and classes where the lesson has cases.
        """
        if "training" in cell.tags:
            return list(self.after_a_step)
        defined = self._definitions_of_answers if "cases" in self.grading.binds else frozenset()
        found = [name if name in defined else self._tensor_of(name) for name in self._bound_in(cell)]
        chosen = self.grading.targets
        return [name for name in found if name is not None and (name in chosen or not chosen)]

    def _bound_in(self, cell: Cell) -> list[str]:
        return bound_names(body_of(cell, self.path))

    def _gradients_in(self, cell: Cell) -> list[str]:
        return [name for name in map(self._tensor_of, self._bound_in(cell)) if name is not None]

    def _tensor_of(self, name: str) -> str | None:
        """`logits` for `dlogits`, where the forward pass has a tensor of that name."""
        known = name[:1] == "d" and (name[1:] in self.forward_names or name[1:] in self.network_names)
        return name[1:] if known else None


FIGURE_MARK = re.compile(r"<!-- (?:slow )?= .*? -->")
"""How a solution says where a figure of its text comes from: `1.65<!-- = y -->`. A test recomputes it."""


def hint_text(text: str) -> str:
    """A hint without the element that folds it away in a notebook, and without what is for authors."""
    inner = re.sub(r"</?details>|<summary>.*?</summary>", "", text, flags=re.DOTALL)
    return FIGURE_MARK.sub("", inner).strip()


def bound_names(body: list[ast.stmt]) -> list[str]:
    """The names that these statements bind at top level, first binding first."""
    names: dict[str, None] = {}
    for node in body:
        targets: list[ast.AST] = []
        if isinstance(node, ast.Assign):
            targets = list(node.targets)
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.For)):
            targets = [node.target]
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names[node.name] = None
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(dict.fromkeys(alias.asname or alias.name.split(".")[0] for alias in node.names))
        for target in targets:
            stores = (leaf for leaf in nodes_below(target) if isinstance(leaf, ast.Name))
            names.update(dict.fromkeys(leaf.id for leaf in stores if isinstance(leaf.ctx, ast.Store)))
    return list(names)


def _literals(node: ast.stmt) -> dict[str, object]:
    """`{"n": 32}` for `n = 32`; for `n, m = 32, 27` both.

    Raises:
        ValueError, TypeError: it is something else.
    """
    if not (isinstance(node, ast.Assign) and len(node.targets) == 1):
        raise ValueError("no assignment")
    target, value = node.targets[0], ast.literal_eval(node.value)
    names = [element.id for element in getattr(target, "elts", [target]) if isinstance(element, ast.Name)]
    return dict(zip(names, value if isinstance(target, ast.Tuple) else [value], strict=True))


def _atom(node: ast.Assign, cell: Cell, path: Path) -> Atom:
    line = cell.line + node.lineno - 1
    reads = dict.fromkeys(leaf.id for leaf in nodes_below(node.value) if isinstance(leaf, ast.Name))
    name = ", ".join(bound_names([node]))
    return Atom(name, line, Statement(node, cell).text, tuple(reads), path.name)


def marked_id(cells: tuple[Cell, ...]) -> str | None:
    """The exercise that a file names itself, in its `<!-- dojo: ... -->` marker."""
    for cell in cells:
        if found := (_MARKER if cell.kind == "markdown" else _MARKER_IN_COMMENT).search(cell.text):
            return found[1]
    return None


def exercise_folder() -> Path:
    """Where untouched exercises lie: a checkout's `exercises/` belong to the learner, so not there."""
    try:
        return bundled("solutions")
    except DojoError:
        return bundled("exercises")


def read_exercise(path: Path, root: Path) -> Exercise:
    """The lesson in a file. Its id is its place below `root`, such as `makemore/ex1_atoms`."""
    return Exercise(path.relative_to(root).with_suffix("").as_posix(), path)


@lru_cache
def all_exercises() -> tuple[Exercise, ...]:
    """Every exercise, by track and number.

    Raises:
        DojoError: there is none (an empty installation must not pass for a perfect one).
    """
    root = exercise_folder()
    found = tuple(read_exercise(path, root) for path in sorted(root.glob("*/*.py")))
    if not found:
        raise DojoError(f"no exercise found in {root.name}/: the installation is incomplete")
    return found


def short_id_of(exercise: str) -> str:
    """`makemore/ex1` for the id `makemore/ex1_atoms`."""
    track, _, name = exercise.rpartition("/")
    return f"{track}/{name.split('_')[0]}"


def track_of(exercise: Exercise) -> tuple[Exercise, ...]:
    """The exercises of the same track, this one included."""
    return tuple(e for e in all_exercises() if e.track == exercise.track)


def exercises_called(name: str) -> list[Exercise]:
    """Every exercise that goes by `name`: `ex1`, `ex1_atoms`, `makemore/ex1` or `makemore/ex1_atoms`.

    A name without a track means the current folder's track, where that folder is named as one.

    Raises:
        DojoError: there is none.
    """
    found = [e for e in all_exercises() if name in (e.id, e.short_id, e.id.split("/")[-1], e.number)]
    if not found:
        known = ", ".join(e.short_id for e in all_exercises())
        raise DojoError(f"exercise {name!r} is unknown; choose one of: {known}")
    return [e for e in found if e.track == Path.cwd().name] or found


def find_exercise(name: str) -> Exercise:
    """The one exercise that goes by `name`.

    Raises:
        DojoError: none, or more than one, does.
    """
    found = exercises_called(name)
    if len(found) > 1:
        raise DojoError(f"exercise {name!r} is ambiguous; choose one of: {', '.join(e.short_id for e in found)}")
    return found[0]
