"""One-token edits of a learner's line: where one makes a wrong answer right, the mistake is that token.

Used where no detector recognises the numbers. The learner is told which token to look at, never what to put.
"""

from __future__ import annotations

import ast
import builtins
import copy
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor

from grader.diagnosing.brackets import edits_of_several_tokens, short
from grader.diagnosing.core import Diagnosis, combined
from grader.lesson.exercise import Exercise
from grader.syntax.inert_calls import drop_inert_calls
from grader.syntax.scopes import assigned_names, names_below, root_name
from grader.truth.autograd import Forward

_AT_ONCE = 60
"""How many edits are tried together. Where one of them is right, few of the others still matter: of 61 wrong answers
in the tests one of the first 50 mends 41, and for 16 none does."""

_CONSTANTS = (0.5, -0.5, 1, -1, 1.5, -1.5, 2, -2, 1e-5, 0)
_COARSE_CASTS = frozenset({"half", "bfloat16", "float"})
_EXCHANGES = frozenset({"transpose", "swapaxes", "permute"})
_BY_DIMENSION = frozenset(
    "sum mean max amax softmax log_softmax transpose swapaxes permute unsqueeze squeeze flatten flip view reshape "
    "expand cat stack split chunk index_add_".split()
)
_REDUCTIONS = frozenset({"sum", "mean", "max", "softmax", "log_softmax", "one_hot", "amax"})


@dataclass(frozen=True)
class Variant:
    """The statements of an answer with one edit, and what the edit says about the mistake."""

    statements: tuple[str, ...]
    diagnosis: Diagnosis
    rank: int = 0

    @property
    def likely(self) -> bool:
        """False for what mends many an answer that is wrong elsewhere: it counts where nothing else mends."""
        return self.rank < _LAST // 2


@dataclass(frozen=True)
class Vocabulary:
    """Names that may stand for each other: tensors by shape, and which of them are gradients.

    `sizes` are the names of sizes that lines of the lesson read, the batch first, and `numbers` the numbers there;
    `indices` are the tensors of whole numbers, such as labels.
    """

    shapes: Mapping[str, tuple[int, ...]]
    gradients: frozenset[str]
    own: frozenset[str] = frozenset()
    sizes: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    indices: frozenset[str] = frozenset()

    def is_gradient(self, name: str) -> bool:
        """True for the gradient of a tensor of the lesson, graded or not."""
        return name in self.gradients or (name[:1] == "d" and name[1:] in self.shapes)

    @property
    def dimensions(self) -> range:
        """Every dimension that a tensor of the lesson has."""
        return range(max((len(shape) for shape in self.shapes.values()), default=0))

    def also(self, own: Mapping[str, tuple[int, ...]]) -> Vocabulary:
        """The same words and the learner's own names, each with the shape of what it holds."""
        return replace(self, shapes={**own, **self.shapes}, own=frozenset(own.keys() - self.shapes.keys()))

    def alternatives(self, name: str) -> list[str]:
        """The other names whose tensors have the shape of this one's."""
        shape = self.shapes.get(name)
        if shape is None:
            return []
        others = self.own if name in self.own else self.shapes.keys()
        return [other for other in self.shapes if other in others and self.shapes[other] == shape and other != name]

    def nearest_first(self, read: Collection[str]) -> Vocabulary:
        """The same words, those that a line reads before all others."""
        near = {name: self.shapes[name] for name in sorted(read) if name in self.shapes}
        sizes = tuple(sorted(self.sizes, key=lambda size: size not in read))
        return replace(self, shapes=near | dict(self.shapes), sizes=sizes)


def vocabulary_of(exercise: Exercise, forward: Forward, graded: Collection[str]) -> Vocabulary:
    """The tensors that a line of an answer may name: those of the forward pass, and the gradients of `graded`."""
    named = {*exercise.forward_names, *exercise.network_names, *exercise.setup_names}
    shapes = {
        name: tuple(value.shape)
        for name, value in forward.values.items()
        if name in named and isinstance(value, Tensor) and value.is_floating_point()
    }
    gradients = {f"d{name}": shapes[name] for name in graded if name in shapes}
    read = (forward.batch, *(name for atom in exercise.atoms for name in atom.reads))
    sizes = [name for name in dict.fromkeys(read) if type(forward.values.get(name)) is int]
    written = (leaf for atom in exercise.atoms for leaf in ast.walk(ast.parse(atom.text)))
    found = (leaf.value for leaf in written if isinstance(leaf, ast.Constant))
    numbers = dict.fromkeys(value for value in found if isinstance(value, (int, float)) and value is not True)
    indices = frozenset(name for name in named - shapes.keys() if isinstance(forward.values.get(name), Tensor))
    return Vocabulary(
        shapes | gradients, frozenset(gradients), sizes=tuple(sizes), numbers=tuple(numbers), indices=indices
    )


def variants(statements: Sequence[str], words: Vocabulary, most: int) -> list[Variant]:
    """Edits of one token in one of `statements`, most telling first, at most `most` of them."""
    return sorted(itertools.islice(_variants(statements, words), most), key=lambda variant: variant.rank)


def _variants(statements: Sequence[str], words: Vocabulary) -> Iterator[Variant]:
    trees = [_tree_of(text) for text in statements]
    stores = {position for position, tree in enumerate(trees) if position and tree is not None and _stores_over(tree)}
    for position, text in enumerate(statements[1:], start=1):
        if position not in stores:
            fewer = (*statements[:position], *statements[position + 1 :])
            yield Variant(fewer, Diagnosis("path-twice", f"`{short(text)}` adds what is there already."))
    carriers = _carriers(trees, words)
    edits = [() if tree is None else _edits(tree, words, carriers) for tree in trees]
    for round_of_edits in itertools.zip_longest(*edits):
        for position, found in enumerate(round_of_edits):
            if found is not None:
                changed = (*statements[:position], found[0], *statements[position + 1 :])
                kept = position in stores and found[1].mistake == "missing-path"
                yield Variant(changed, found[1], _KEPT if kept else found[2])


def _tree_of(text: str) -> ast.Module | None:
    """A statement that may be edited, as Python reads it; None where there is no editing it."""
    try:
        tree = ast.parse(text)
        drop_inert_calls(tree, ())  # what a worker leaves out is not admitted, and an edit may make it run
        same = ast.dump(ast.parse(ast.unparse(tree))) == ast.dump(tree)
    except SyntaxError:
        return None
    return tree if same else None  # else Python writes it back as something else, which nobody has admitted


def _stores_over(tree: ast.Module) -> bool:
    """True for a statement that stores into parts of the answer that stands above it, and adds nothing to them.

    Many an edit of it mends an answer in which these parts were right, because then it stores elsewhere.
    """
    nodes = list(ast.walk(tree))
    targets = [target for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
    stored = {root_name(target) for target in targets if isinstance(target, ast.Subscript)}
    return bool(stored) and not stored & {root_name(node.target) for node in nodes if isinstance(node, ast.AugAssign)}


def mending_edit(
    statements: Sequence[str],
    words: Vocabulary,
    most: int,
    right: Callable[[list[tuple[str, ...]]], Iterable[int]],
    said: str,
) -> tuple[Diagnosis | None, tuple[int, int] | None]:
    """What an edit that makes an answer of these statements right says of its mistake, and the `edited_line`.

    At most `most` edits are tried; `right` gives the positions of those that are right, and `said` is what was told of
    the mistake so far. Where edits of several statements would do, there is no telling which is to blame.
    """
    mended: list[Variant] = []
    unchanged = Variant(tuple(statements), Diagnosis("", ""))
    edited = [variant for variant in variants(statements, words, most) if variant.statements != unchanged.statements]
    waiting = [unchanged, *edited]
    while waiting:
        batch, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
        mended += [batch[number] for number in right([variant.statements for variant in batch])]
        if unchanged in mended:
            return None, None  # what is wrong lies elsewhere, and an edit that mends nothing is right too
        if any(variant.likely for variant in mended):
            mended, waiting = ([variant for variant in some if variant.likely] for some in (mended, waiting))
        waiting = _news_beside(mended, waiting, statements)
    found = combined([variant.diagnosis for variant in mended], said)
    places = {edited_line(statements, variant) for variant in mended}
    positions = {position for position, _ in places}
    return found, (positions.pop(), places.pop()[1] if len(places) == 1 else 0) if len(positions) == 1 else None


def _news_beside(mended: Sequence[Variant], waiting: list[Variant], statements: Sequence[str]) -> list[Variant]:
    """Those `waiting` that would say more than `mended`, were they right: another sentence, or another place."""
    if not mended:
        return waiting
    first = mended[0].diagnosis.mistake
    told = {variant.diagnosis.message for variant in mended if variant.diagnosis.mistake == first}
    places = {edited_line(statements, variant) for variant in mended}
    one_place = len({position for position, _ in places}) == 1
    return [
        variant
        for variant in waiting
        if (len(told) < 2 and variant.diagnosis.mistake == first and variant.diagnosis.message not in told)
        or (one_place and edited_line(statements, variant) not in places)
    ]


def edited_line(statements: Sequence[str], variant: Variant) -> tuple[int, int]:
    """The position of the statement that a variant edits or leaves out, and how many lines below its first one the
    edit is, where that is a line of a loop's or a function's body."""
    pairs = enumerate(itertools.zip_longest(statements, variant.statements))
    position, (old, new) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
    if len(statements) != len(variant.statements) or "\n" not in old:
        return position, 0
    below, changed = 0, [(ast.parse(old).body[0], ast.parse(new).body[0])]
    while len(changed) == 1:
        below, bodies = changed[0][0].lineno - 1, [getattr(node, "body", ()) for node in changed[0]]
        changed = [pair for pair in zip(*bodies, strict=False) if ast.dump(pair[0]) != ast.dump(pair[1])]
    return position, below


_Edited = tuple[str, Diagnosis, int]
_Edit = Callable[[ast.AST, Vocabulary], Iterator[tuple[ast.AST, Diagnosis]]]


def _edits(tree: ast.Module, words: Vocabulary, carriers: Collection[str]) -> Iterator[_Edited]:
    places, dimensions = list(_places(tree)), _dimensions_in(tree)
    unlikely, ends = _conditions_in(tree) | _forward_lines_in(tree, carriers), _ends_in(tree)
    helpers = _helpers_in(tree)
    words = words.nearest_first({leaf.id for leaf in ast.walk(tree) if isinstance(leaf, ast.Name)})

    def at(edit: _Edit, node: ast.AST, put: Callable[[ast.AST], None]) -> Iterator[_Edited]:
        for replacement, diagnosis in edit(node, words):
            put(replacement)
            text = ast.unparse(tree)  # asks for no place but an assignment's line
            put(node)
            if id(node) in helpers:
                either = f"{diagnosis.message} Or it is {helpers[id(node)]} that is wrong: see what it returns."
                diagnosis = replace(diagnosis, message=either)
            yield text, diagnosis, _FIRST.get(edit, _EDITS.index(edit)) + _LAST * (id(node) in unlikely)

    def by(edit: _Edit) -> Iterator[_Edited]:
        passed_over = dimensions if edit in (_sign, _constant) else set()
        return _in_turns([at(edit, *place) for place in places if id(place[0]) not in passed_over | ends])

    several = ((text, diagnosis, -1) for text, diagnosis in edits_of_several_tokens(tree))
    yield from _in_turns([several, *map(by, _EDITS)])


def _in_turns(several: Sequence[Iterator[_Edited]]) -> Iterator[_Edited]:
    """One of each, then the next of each: so that what has many leaves room for the others."""
    return (found for turn in itertools.zip_longest(*several) for found in turn if found is not None)


def _dimensions_in(tree: ast.AST) -> set[int]:
    """The arguments that say over which dimensions a call works: whole numbers, but no numbers of a formula."""
    return {
        id(leaf)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _BY_DIMENSION
        for argument in (*call.args, *(keyword.value for keyword in call.keywords))
        for leaf in ast.walk(argument)
        if _whole_number(leaf) is not None
    }


def _helpers_in(tree: ast.AST) -> dict[int, str]:
    """What is handed to functions of the file, and the function's name: an edit of it may make up for a wrong line of
    the function."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {
        id(leaf): call.func.id
        for call in calls
        if isinstance(call.func, ast.Name) and not hasattr(builtins, call.func.id)
        for argument in (*call.args, *(keyword.value for keyword in call.keywords))
        for leaf in ast.walk(argument)
    }


def _conditions_in(tree: ast.AST) -> set[int]:
    """What decides whether lines run: an edit there may mend an answer because they do not run any more."""
    tests = (node.test for node in ast.walk(tree) if isinstance(node, ast.If))
    return {id(leaf) for test in tests for leaf in ast.walk(test)}


def _forward_lines_in(tree: ast.AST, carriers: Collection[str]) -> set[int]:
    """The assignments that no gradient enters, such as `p = logp.exp()`: a sign or a constant that is missing where p
    is read could stand here as well."""
    stored = (node for node in ast.walk(tree) if isinstance(node, (ast.Assign, ast.AugAssign)))
    return {id(node) for node in stored if names_below(node).isdisjoint(carriers)}


def _carriers(trees: Iterable[ast.AST | None], words: Vocabulary) -> set[str]:
    """The names of gradients, and of all that the learner's lines make from them."""
    flows: list[tuple[ast.expr, ast.expr]] = []
    for node in (node for tree in trees if tree is not None for node in ast.walk(tree)):
        match node:
            case ast.Assign():
                flows += [(target, node.value) for target in node.targets]
            case ast.AugAssign():
                flows.append((node.target, node.value))
            case ast.For():
                flows.append((node.target, node.iter))
    found = set(words.gradients)
    while reached := [(target, value) for target, value in flows if not found.isdisjoint(names_below(value))]:
        flows = [flow for flow in flows if flow not in reached]
        found |= {name for target, _ in reached for name in (*assigned_names(target), root_name(target)) if name}
    return found


def _ends_in(tree: ast.AST) -> set[int]:
    """What a `while` loop ends by, its condition and the lines that change what that reads: with another one it may
    never end, and all edits that are tried with it are lost."""
    tests = [node.test for node in ast.walk(tree) if isinstance(node, ast.While)]
    read = {leaf.id for test in tests for leaf in ast.walk(test) if isinstance(leaf, ast.Name)}
    stored = (node for node in ast.walk(tree) if isinstance(node, (ast.Assign, ast.AugAssign)))
    counted = [node for node in stored if read & assigned_names(node)]
    return {id(leaf) for node in (*tests, *counted) for leaf in ast.walk(node)}


def _places(tree: ast.AST) -> Iterator[tuple[ast.AST, Callable[[ast.AST], None]]]:
    """Each expression and statement of a tree, with what puts another in its place."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, (ast.expr, ast.stmt, ast.keyword)):
                        yield item, partial(value.__setitem__, index)
            elif isinstance(value, (ast.expr, ast.stmt)):
                yield value, partial(setattr, parent, field)


def _loaded(node: ast.AST) -> ast.Name | None:
    return node if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) else None


def _other_name(node: ast.AST, words: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    name = _loaded(node)
    if name is None:
        return
    for other in words.alternatives(name.id):
        kind, meant = "wrong-forward-value", "another tensor of the forward pass"
        if other in words.own:
            meant = "a tensor of your own lines"
        elif other in words.gradients:
            kind, meant = "wrong-upstream", "another gradient"
        elif name.id in words.gradients:
            meant = "a tensor of the forward pass"
        said = f"{name.id} is read where {meant} of the same shape belongs."
        yield ast.Name(other, ast.Load()), Diagnosis(kind, said)


def _index(node: ast.AST, _: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    if not (isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load)):
        return
    at, said = node.slice, f"`{short(ast.unparse(node))}` is read where a neighbour of it belongs."
    shifted: list[ast.expr] = [ast.BinOp(at, op, ast.Constant(1)) for op in (ast.Add(), ast.Sub())]
    if isinstance(at, ast.BinOp) and isinstance(at.op, (ast.Add, ast.Sub)) and _whole_number(at.right) == 1:
        shifted = [at.left, ast.BinOp(at.left, ast.Sub() if isinstance(at.op, ast.Add) else ast.Add(), at.right)]
    elif not isinstance(at, ast.Name):
        return
    for other in shifted:
        yield ast.Subscript(node.value, other, ast.Load()), Diagnosis("wrong-forward-value", said)


def _exponent(node: ast.AST, _: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)):
        return
    said = f"`{short(ast.unparse(node))}` is not the whole local derivative."
    yield ast.BinOp(ast.Constant(1.0), ast.Sub(), node), Diagnosis("wrong-power", said)
    for power in (*_CONSTANTS, 3, -3):
        changed = ast.BinOp(node.left, ast.Pow(), ast.Constant(power))
        said = f"The exponent {ast.unparse(node.right)} is wrong. Derive the forward line by the power rule again."
        yield changed, Diagnosis("wrong-power", said)
    for term in (ast.Constant(1e-5), ast.UnaryOp(ast.USub(), ast.Constant(1e-5))):
        inner = ast.BinOp(node.left, ast.Add(), term)
        said = "Right but for the small constant that the forward line adds before it takes the power."
        yield ast.BinOp(inner, ast.Pow(), node.right), Diagnosis("missing-epsilon", said)


def _whole_number(node: ast.AST) -> int | None:
    """1 for `1`, -1 for `-1`; None for anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and (found := _whole_number(node.operand)):
        return -found
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None


def _dimension(node: ast.AST, words: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _REDUCTIONS:
        for position, argument in enumerate(node.args):
            if (asked := _whole_number(argument)) is not None:
                for other in sorted({*words.dimensions, -1} - {asked}):
                    args = [*node.args[:position], ast.Constant(other), *node.args[position + 1 :]]
                    said = f"{node.func.attr} runs over dimension {asked}. Which dimension is meant?"
                    changed = ast.Call(node.func, args, node.keywords)
                    yield changed, Diagnosis("wrong-dimension", said)
        if node.func.attr == "sum" and not node.args and not node.keywords:
            for other in words.dimensions:
                said = f"`{short(ast.unparse(node))}` sums over everything. Over which dimension is the sum meant?"
                for keywords in ([ast.keyword("keepdim", ast.Constant(True))], []):
                    changed = ast.Call(node.func, [ast.Constant(other)], keywords)
                    yield changed, Diagnosis("wrong-dimension", said)
        if node.func.attr == "mean":
            summed = ast.Attribute(node.func.value, "sum", ast.Load())
            said = "A mean stands where the broadcast calls for a sum."
            yield ast.Call(summed, node.args, node.keywords), Diagnosis("scale", said)
        if node.func.attr == "sum" and node.args:
            divided = ast.Attribute(node.func.value, "mean", ast.Load())
            said = f"`{short(ast.unparse(node))}`: a sum stands where a mean belongs, so a division is missing."
            yield ast.Call(divided, node.args, node.keywords), Diagnosis("scale", said)
    if isinstance(node, ast.keyword) and node.arg in ("dim", "axis") and _whole_number(node.value) is not None:
        for other in sorted({*words.dimensions, -1} - {_whole_number(node.value)}):
            said = f"{ast.unparse(node)}: which dimension is meant?"
            yield ast.keyword(node.arg, ast.Constant(other)), Diagnosis("wrong-dimension", said)


def _constant(node: ast.AST, words: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    if (name := _loaded(node)) is not None and name.id in words.sizes:
        less_one = ast.BinOp(ast.Name(name.id, ast.Load()), ast.Sub(), ast.Constant(1))
        yield less_one, _off_by_one(name.id)
        for other in words.sizes:
            if other != name.id:
                said = f"It is a count of another thing: {name.id} stands where another size belongs."
                yield ast.Name(other, ast.Load()), Diagnosis("wrong-count", said)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and _whole_number(node.right) == 1:
        counted = _loaded(node.left)
        if counted is not None and counted.id in words.sizes:
            yield node.left, _off_by_one(counted.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        said = f"The constant {ast.unparse(node)} is wrong."
        for value in dict.fromkeys((*_CONSTANTS, *words.numbers)):
            if value != node.value:
                yield ast.Constant(value), Diagnosis("wrong-constant", said)
        for size in words.sizes:
            yield ast.Name(size, ast.Load()), Diagnosis("wrong-constant", said)


def _off_by_one(size: str) -> Diagnosis:
    said = f"{size} and {size}-1 are mixed up: a mean divides by {size}, and so do some variances; others by {size}-1."
    return Diagnosis("wrong-constant", said)


def _sign(node: ast.AST, _: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand, Diagnosis("sign", f"The minus before {ast.unparse(node.operand)} is wrong.")
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        said = f"The sign before {ast.unparse(node.right)} is wrong."
        yield ast.BinOp(node.left, other, node.right), Diagnosis("sign", said)
        said = f"The sign before {ast.unparse(node.left)} is wrong."
        yield ast.BinOp(ast.UnaryOp(ast.USub(), node.left), node.op, node.right), Diagnosis("sign", said)
    elif isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub)):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        said = f"`{short(ast.unparse(node))}` has the wrong sign."
        yield ast.AugAssign(node.target, other, node.value), Diagnosis("sign", said)
    elif isinstance(node, ast.Assign):
        said = "This line has the wrong sign."
        changed = ast.Assign(node.targets, ast.UnaryOp(ast.USub(), node.value), lineno=node.lineno)
        yield changed, Diagnosis("sign", said)


def _assignment(node: ast.AST, _: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        said = f"`{short(ast.unparse(node))}` throws away what was there: a later path is added with +=."
        for operation in (ast.Add(), ast.Sub()):
            target = copy.deepcopy(node.targets[0])
            if isinstance(target, (ast.Name, ast.Attribute, ast.Subscript)):
                yield ast.AugAssign(target, operation, node.value), Diagnosis("missing-path", said)
    if isinstance(node, ast.AugAssign):
        said = f"`{short(ast.unparse(node))}` adds to what should be replaced."
        changed = ast.Assign([copy.deepcopy(node.target)], node.value, lineno=node.lineno)
        yield changed, Diagnosis("path-twice", said)


def _turned(node: ast.expr, words: Vocabulary) -> ast.expr:
    """An operand transposed: of a batch of matrices, each matrix."""
    deep = max((len(words.shapes.get(leaf.id, ())) for leaf in ast.walk(node) if isinstance(leaf, ast.Name)), default=0)
    return ast.Attribute(node, "mT" if deep > 2 else "T", ast.Load())


def _transpose(node: ast.AST, words: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    turned = node.func if isinstance(node, ast.Call) else node
    if isinstance(turned, ast.Attribute) and turned.attr in (_EXCHANGES if turned is not node else ("T", "mT")):
        said = f"{ast.unparse(turned.value)} is not to be transposed"
        if isinstance(turned.value, ast.Name) and turned.value.id in words.indices:
            said += ": it says which rows the forward pass picked, and the gradient goes back to exactly those."
            yield turned.value, Diagnosis("wrong-row-or-column", said)
        else:
            yield turned.value, Diagnosis("transposed", f"{said}.")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("view", "reshape"):
        said = f"{ast.unparse(node.func.value)}: view keeps the order of the numbers, a transpose does not."
        yield ast.Attribute(node.func.value, "T", ast.Load()), Diagnosis("wrong-reshape", said)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        said = "The operands of the matrix product are exchanged."
        yield ast.BinOp(node.right, ast.MatMult(), node.left), Diagnosis("transposed", said)
        for turn_left, turn_right in ((True, False), (False, True), (True, True)):
            left = _turned(node.left, words) if turn_left else node.left
            right = _turned(node.right, words) if turn_right else node.right
            said = "The product has the wrong operand transposed. Which index of each of them is summed over?"
            yield ast.BinOp(left, ast.MatMult(), right), Diagnosis("transposed", said)


def _factor(node: ast.AST, _: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        if isinstance(node.op, ast.Mult):
            yield node.right, Diagnosis("extra-factor", f"The factor {ast.unparse(node.left)} is too much.")
        yield node.left, Diagnosis("extra-factor", f"{ast.unparse(node.right)} is a factor too many.")
        if isinstance(node.op, ast.Div):
            said = f"The fraction `{short(ast.unparse(node))}` is upside down."
            yield ast.BinOp(node.right, ast.Div(), node.left), Diagnosis("wrong-power", said)
        other = ast.Div() if isinstance(node.op, ast.Mult) else ast.Mult()
        said = f"Multiplied where it should be divided, or the other way round: {ast.unparse(node.right)}."
        yield ast.BinOp(node.left, other, node.right), Diagnosis("wrong-power", said)


def _extra_term(node: ast.AST, _: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        said = "`{}` is a term too many."
        yield node.left, Diagnosis("extra-term", said.format(short(ast.unparse(node.right))))
        rest = node.right if isinstance(node.op, ast.Add) else ast.UnaryOp(ast.USub(), node.right)
        yield rest, Diagnosis("extra-term", said.format(short(ast.unparse(node.left))))


def _cast(node: ast.AST, _: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _COARSE_CASTS:
        said = f".{node.func.attr}() rounds the numbers to a coarser dtype."
        yield node.func.value, Diagnosis("precision", said)


def _reduction(node: ast.AST, words: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    product = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)
    if not isinstance(node, ast.expr) or not (product or _loaded(node)):
        return
    for dimension in words.dimensions:
        kept = ast.keyword("keepdim", ast.Constant(True))
        summed = ast.Call(ast.Attribute(node, "sum", ast.Load()), [ast.Constant(dimension)], [kept])
        said = f"`{ast.unparse(node)}` is not summed over the dimension that was broadcast."
        yield summed, Diagnosis("missing-sum", said)


def _missing_term(node: ast.AST, words: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    name = _loaded(node)
    if name is None or name.id not in words.shapes:
        return
    for other in words.alternatives(name.id):
        for operation in (ast.Sub(), ast.Add()):
            changed = ast.BinOp(name, operation, ast.Name(other, ast.Load()))
            yield changed, Diagnosis("missing-term", f"A term is missing beside {name.id}.")


def _missing_factor(node: ast.AST, words: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    name = _loaded(node)
    if name is None:
        return
    known = name.id in words.shapes or name.id in words.sizes
    if not known and not words.is_gradient(name.id):
        return
    for other in (*words.sizes, *(words.shapes if known else ())):
        for operation in (ast.Mult(), ast.Div()):
            product = ast.BinOp(name, operation, ast.Name(other, ast.Load()))
            yield product, Diagnosis("missing-factor", f"A factor is missing at {name.id}.")


def _scaled(node: ast.AST, words: Vocabulary) -> Iterator[tuple[ast.AST, Diagnosis]]:
    """A constant that a line lacks, or that it has too much."""
    if not isinstance(node, (ast.Assign, ast.AugAssign)):
        return
    for operation in (ast.Mult(), ast.Div()):
        for constant in (ast.Constant(2), *(ast.Name(size, ast.Load()) for size in words.sizes)):
            changed = copy.copy(node)
            changed.value = ast.BinOp(node.value, operation, constant)
            said = f"`{short(ast.unparse(node))}` is {ast.unparse(constant)} times too "
            yield changed, Diagnosis("scale", said + ("small." if isinstance(operation, ast.Mult) else "large."))


_EDITS: tuple[_Edit, ...] = (
    _dimension,
    _index,
    _sign,
    _exponent,
    _constant,
    _transpose,
    _scaled,
    _assignment,
    _cast,
    _factor,
    _extra_term,
    _other_name,
    _reduction,
    _missing_factor,
    _missing_term,
)
_FIRST: Mapping[_Edit, int] = {_index: -3, _extra_term: -2}
"""What says more than a change of several tokens, whose rank is -1."""

_KEPT, _LAST = -4, 100
"""The rank of an edit that keeps what an answer stores over, and what is added to that of an edit in a condition or of
a whole line that no gradient enters."""
