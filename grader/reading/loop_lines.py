"""Where in a learner's loop something is done: a parameter updated, a rate chosen, a loss kept."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from grader.reading.loop_plan import LoopPlan
from grader.syntax.scopes import assigned_names, changed_place, names_below, nodes_below, root_name
from grader.syntax.source import Statement

_LISTS = (ast.List, ast.Tuple, ast.Dict)
_SUMS = frozenset({"add", "sub"})
_PASSED_THROUGH = frozenset({"enumerate", "zip", "reversed", "list", "tuple", "items", "values", "tqdm"})


@dataclass(frozen=True)
class Spot:
    """A simple statement, or the first line of one that holds others, and the loops and functions around it."""

    node: ast.stmt
    whole: Statement
    around: tuple[ast.stmt, ...]

    @property
    def line(self) -> int:
        """Its line in the file, or in its cell of a notebook."""
        return self.whole.cell.line + self.node.lineno - 1

    @property
    def read(self) -> set[str]:
        """The names that it reads, where it is an update of something also that one."""
        return names_below(self.node)

    @property
    def loaded(self) -> set[str]:
        """The names whose values it takes."""
        names = (leaf for leaf in ast.walk(self.node) if isinstance(leaf, ast.Name))
        return {leaf.id for leaf in names if isinstance(leaf.ctx, ast.Load)}

    @property
    def takes_out(self) -> bool:
        """True where it only gives names to what lies in something, as in `W1, b1 = self.parameters`."""
        places = (ast.Name, ast.Attribute, ast.Subscript)
        if not (isinstance(self.node, ast.Assign) and isinstance(self.node.value, places)):
            return False
        return all(isinstance(target, (ast.Name, ast.Tuple, ast.List)) for target in self.node.targets)

    def subtracts_from(self, names: Collection[str]) -> bool:
        """True where it makes something new of one of `names` as an update would, as `p - lr * gradient` does."""
        for leaf in nodes_below(self.node):
            if isinstance(leaf, ast.BinOp) and isinstance(leaf.op, ast.Sub):
                taken: ast.AST = leaf.left
            elif isinstance(leaf, ast.Call) and isinstance(leaf.func, ast.Attribute) and leaf.func.attr in _SUMS:
                taken = leaf.func.value
            else:
                continue
            if isinstance(taken, (ast.Name, ast.Attribute, ast.Subscript)) and root_name(taken) in names:
                return True
        return False

    def changes(self, names: Collection[str]) -> bool:
        """True where it stores to one of `names`, to a part of it, or changes it in place."""
        changed = (changed_place(leaf, also=("append", "extend")) for leaf in nodes_below(self.node))
        return any(place is not None and root_name(place) in names for place in changed)


class LoopLines:
    """The statements of a loop, with those of the functions that it calls, in the order of the text."""

    def __init__(self, plan: LoopPlan) -> None:
        self.plan = plan
        self.spots = [spot for whole in plan.statements for spot in _spots([whole.node], whole, ())]
        within = [spot for spot in self.spots if not plan.all_loops.isdisjoint(spot.around)]
        functions = [spot for spot in self.spots if any(isinstance(o, ast.FunctionDef) for o in spot.around)]
        self.inside = within + [spot for spot in functions if spot not in within]

    def of_gradient(self, name: str) -> Spot | None:
        """The last statement that writes the gradient of `name`."""
        return self._last(self.all_of_gradient(name))

    def all_of_gradient(self, name: str) -> list[Spot]:
        """The statements that write the gradient of `name`, in order."""
        return [spot for spot in self.inside if name in self.plan.names.written(nodes_below(spot.node))]

    def parts_of_gradients(self, names: Collection[str], number: int) -> list[tuple[Spot, str, tuple[int, ...]]]:
        """The statements such as `dW[i] = ...` and `dgains[i, 1] = ...` that write a part of the gradient of one of
        `names`, in order, each with that name and, where `i` is `number`, with the place of the part; only those that
        stand in one loop."""
        found: list[tuple[Spot, str, tuple[int, ...]]] = []
        for spot in self.inside:
            target = spot.node.targets[0] if isinstance(spot.node, ast.Assign) else None
            if not isinstance(target, ast.Subscript) or (named := self.plan.names.find(target.value)) is None:
                continue
            first, *rest = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
            fixed = [leaf.value for leaf in rest if isinstance(leaf, ast.Constant) and type(leaf.value) is int]
            around = not found or spot.around == found[0][0].around
            if named[0] in names and isinstance(first, ast.Name) and len(fixed) == len(rest) and around:
                found.append((spot, named[0], (number, *fixed)))
        return found

    def of_name(self, name: str) -> Spot | None:
        """The last statement that binds `name`; where an inner loop uses the name again, that outside of it."""
        binds = [spot for spot in self.inside if self._own(name) & assigned_names(spot.node)]
        loops = [sum(isinstance(outer, ast.For) for outer in spot.around) for spot in binds]
        return self._last(spot for spot, deep in zip(binds, loops, strict=True) if deep == min(loops))

    def _own(self, name: str) -> set[str]:
        """The names that the submission has for a tensor of the lesson."""
        return {name, *(own for own, theirs in self.plan.names.given.items() if theirs == name)}

    def of_record(self, name: str) -> Spot | None:
        """The last statement that adds to the list `name`."""
        return self._last(spot for spot in self.inside if spot.changes({name}))

    def of_rate(self, name: str, rate: float, numbers: Mapping[str, float]) -> Spot | None:
        """What chooses a wrong rate: the line of a number that the update reads and that is another one, or itself."""
        update = self.of_update(name)
        for read in sorted(update.read & numbers.keys()) if update is not None else ():
            if not _is_rate(numbers[read], rate) and (chosen := self.of_name(read)) is not None:
                return chosen
        return update

    def has_rate(self, name: str, rate: float, numbers: Mapping[str, float]) -> bool:
        """True where the update reads the right rate under a name: then what goes too far is the gradient."""
        update = self.of_update(name)
        read = update.read & numbers.keys() if update is not None else set()
        return bool(read) and all(_is_rate(numbers[each], rate) for each in read)

    def of_update(self, name: str) -> Spot | None:
        """The last statement that changes the parameter `name`: by its name, or as one of a list."""
        changes = [spot for spot in self.inside if spot.changes(self._called_in(spot, name))]
        changes = changes or [spot for spot in self.inside if spot.subtracts_from(self._called_in(spot, name))]
        return self._last([spot for spot in changes if not spot.takes_out] or changes)

    def unknown_sources(self, name: str) -> dict[str, int]:
        """What the gradient of `name` is made from there under names that say nothing, such as `tmp`: the lines that
        make it."""
        spot = self.of_gradient(name)
        if spot is None:
            return {}
        known = self.plan.exercise.setup_names.union(
            self.plan.names.by_name, self.plan.names.given, self.plan.exercise.forward_names, {"self"}
        )
        beside = [each for each in self.inside if each.around == spot.around and each.line < spot.line]
        made = {read: each.line for each in beside for read in spot.loaded - known if each.changes({read})}
        return dict(sorted(made.items(), key=lambda found: found[1]))

    def of_slip(self, name: str, mistake: str, at: int = 0) -> Spot | None:
        """What makes a slip in an optimiser: of the statements beside the update the first that is about it, or
        with `at` 1 the second."""
        update = self.of_update(name)
        if update is None or mistake == "no-update":
            return self.of_pairing(name, missing=True)
        called = self._called_in(update, name)
        beside = [spot for spot in self.inside if spot.around == update.around]
        if update.around and update.around[-1] in self.plan.all_loops:
            beside = beside[-1:]  # the loop itself, which does much else
        means = [spot for spot in beside if not spot.changes(called) and spot.changes(spot.loaded)]
        if len(means) > 1 and mistake in ("momentum", "bias-correction"):
            own = {held for held in means[at].loaded if means[at].changes({held})}
            corrected = [spot for spot in beside if spot not in means and spot.loaded & own]
            straight = update in corrected  # it takes the mean itself, whatever is made of that above
            return means[at] if mistake == "momentum" else update if straight else next(iter(corrected), update)
        about = {
            "bias-correction": lambda spot: any(map(_is_power, nodes_below(spot.node))),
            "weight-decay": lambda spot: bool(spot.read & called),
            "momentum": lambda spot: not spot.changes(called),
        }
        found = list(filter(about.get(mistake, lambda spot: spot is update), beside)) or [update]
        return found[min(at, len(found) - 1)]

    def of_pairing(self, name: str, *, missing: bool = False) -> Spot | None:
        """Where gradients stand side by side, as the parameters do; with `missing` only where that of `name` is not.

        Failing that, where `name` is updated, or the head of the loop over the parameters.
        """
        update = self.of_update(name)
        for spot in reversed(self.inside):
            together = [leaf for leaf in nodes_below(spot.node) if isinstance(leaf, _LISTS)]
            for listed in together:
                held = {name for leaf in nodes_below(listed) for name in self._gradient(leaf)}
                held &= set(self.plan.exercise.trained)
                if len(held) > 1 and not (missing and name in held):
                    return spot
        if update is None:
            return None
        over = next((outer for outer in reversed(update.around) if isinstance(outer, ast.For)), None)
        if over is None or over in self.plan.all_loops:
            return update
        return Spot(over, update.whole, ())

    def of_end(self) -> Spot | None:
        """The first statement that leaves the loop."""
        leaving = (spot for spot in self.inside if isinstance(spot.node, (ast.Break, ast.Return)))
        return next((spot for spot in leaving if not self.plan.all_loops.isdisjoint(spot.around)), None)

    def of_counter(self) -> tuple[str, Spot] | None:
        """The loop's own variable and the statement of its body that gives it another value, where there is one."""
        for loop in self.plan.all_loops:
            if isinstance(loop, ast.For) and isinstance(loop.target, ast.Name):
                for spot in self.inside:
                    if loop in spot.around and loop.target.id in assigned_names(spot.node):
                        return loop.target.id, spot
        return None

    def _gradient(self, leaf: ast.AST) -> Iterator[str]:
        read = isinstance(leaf, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(leaf.ctx, ast.Load)
        if read and (found := self.plan.names.find(leaf)) is not None:
            yield found[0]

    def _called_in(self, spot: Spot, name: str) -> set[str]:
        """What the parameter `name` is called there: by its names, as the lists that hold it, and as the variable of a
        loop over these."""
        held = {"parameters"} | self._own(name)
        held |= {listed for own in self._own(name) for s in self.spots for listed in _holding(s.node, own)}
        for outer in spot.around:
            if isinstance(outer, ast.For):
                held |= _drawn_from(outer.target, outer.iter, held, name)
            elif isinstance(outer, ast.FunctionDef):
                held |= {*[argument.arg for argument in outer.args.args if argument.arg != "self"][:1]}
        for inner in nodes_below(spot.node):
            if isinstance(inner, ast.comprehension):
                held |= _drawn_from(inner.target, inner.iter, held, name)
        return held

    def _last(self, spots: Iterable[Spot]) -> Spot | None:
        return next(iter([*spots][-1:]), None)


def _is_rate(number: float, rate: float) -> bool:
    return abs(number - rate) <= 1e-9 * abs(rate)


def _is_power(leaf: ast.AST) -> bool:
    """True for `beta ** step`, and not for a square."""
    return isinstance(leaf, ast.BinOp) and isinstance(leaf.op, ast.Pow) and not isinstance(leaf.right, ast.Constant)


def _spots(body: list[ast.stmt], whole: Statement, around: tuple[ast.stmt, ...]) -> Iterator[Spot]:
    for node in body:
        inner = [child for part in ("body", "orelse", "finalbody") for child in getattr(node, part, [])]
        yield Spot(_head(node) if inner else node, whole, around)
        yield from _spots(inner, whole, (*around, node))


def _head(node: ast.stmt) -> ast.stmt:
    """The first line of a statement that holds others, as an assignment of what it binds."""
    if not isinstance(node, ast.For):
        return ast.copy_location(ast.Pass(), node)
    return ast.copy_location(ast.Assign([node.target], node.iter), node)


def _holding(node: ast.stmt, name: str) -> Iterator[str]:
    """The names that get a list, a tuple or a dict in which `name` stands."""
    if not (isinstance(node, ast.Assign) and isinstance(node.value, _LISTS)):
        return
    if name in names_below(node.value):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _drawn_from(target: ast.expr, items: ast.expr, held: set[str], name: str) -> set[str]:
    """The loop variables that come from what holds the parameter: `p` of `for p, dp in zip(parameters, gradients)`."""
    if isinstance(items, ast.Call):
        called = items.func.attr if isinstance(items.func, ast.Attribute) else getattr(items.func, "id", "")
        if called == "zip" and isinstance(target, ast.Tuple):
            pairs = zip(target.elts, items.args, strict=False)
            return {found for one, source in pairs for found in _drawn_from(one, source, held, name)}
        if called == "parameters":
            return names_below(target)
        if called == "enumerate" and isinstance(target, ast.Tuple) and len(target.elts) == 2 and items.args:
            return _drawn_from(target.elts[1], items.args[0], held, name)
        if called in _PASSED_THROUGH:
            target = target.elts[-1] if called == "items" and isinstance(target, ast.Tuple) else target
            inner = [items.func.value] if isinstance(items.func, ast.Attribute) else items.args[:1]
            return {found for source in inner for found in _drawn_from(target, source, held, name)}
    mentioned = names_below(items) | {leaf.attr for leaf in nodes_below(items) if isinstance(leaf, ast.Attribute)}
    if not (mentioned & held or (isinstance(items, _LISTS) and name in mentioned)):
        return set()
    first = target.elts[0] if isinstance(target, ast.Tuple) else target
    return {first.id} if isinstance(first, ast.Name) else set()
