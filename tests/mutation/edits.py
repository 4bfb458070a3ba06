"""Edits of one statement: each changes one thing, as a learner's slip would, and says what kind of slip it is."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

from tests.mutation.statement import Scope, Statement, called, expression, is_operation

Found = Iterator[tuple[str, ast.AST | None]]
_SMALL = 1e-3
_REDUCTIONS = {"sum", "mean", "softmax", "log_softmax", "max"}


def _text(node: ast.AST) -> str:
    return ast.unparse(node)


def _is_minus(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)


def _leading_minus(node: ast.AST) -> bool:
    while isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        node = node.left
    return _is_minus(node) or (isinstance(node, ast.Call) and _leading_minus(node.func))


def _small(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < node.value < _SMALL


def signs(node: ast.AST, at: Statement) -> Found:
    if isinstance(node, ast.Assign) and not _leading_minus(node.value):
        if "zeros_like" not in _text(node.value):
            yield "sign", ast.Assign(node.targets, ast.UnaryOp(ast.USub(), node.value))
    elif isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub)):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield "sign", ast.AugAssign(node.target, other, node.value)
    elif _is_minus(node) and not at.in_arguments(node):
        yield "exponent" if at.in_exponent(node) else "sign", node.operand
    elif is_operation(node, ast.Add, ast.Sub) and not at.in_arguments(node):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        flipped = ast.BinOp(node.left, other, node.right)
        if _small(node.right):
            yield "epsilon-value", flipped
        elif at.role(node) == "constant":
            yield "count", flipped
            yield "sign", ast.BinOp(node.right, node.op, node.left)
        else:
            kind = "inner-sign" if at.role(node) == "local" else "term-sign"
            yield kind, flipped
            if isinstance(node.op, ast.Sub):
                yield ("sign" if kind == "inner-sign" else kind), ast.BinOp(node.right, node.op, node.left)


def terms(node: ast.AST, at: Statement) -> Found:
    if not is_operation(node, ast.Add, ast.Sub) or at.in_arguments(node):
        return
    if _small(node.right):
        yield "epsilon", node.left
    elif at.role(node) == "constant":
        yield "count", node.left
    else:
        kind = "drop-term" if at.role(node) == "upstream" else "drop-inner-term"
        yield kind, node.left
        yield kind, node.right if isinstance(node.op, ast.Add) else ast.UnaryOp(ast.USub(), node.right)


def factors(node: ast.AST, at: Statement) -> Found:
    if not is_operation(node, ast.Mult, ast.Div) or at.in_exponent(node) or at.in_arguments(node):
        return
    one, left, right = ast.Constant(1), at.role(node.left), at.role(node.right)
    divided = isinstance(node.op, ast.Div)
    yield f"drop-{right}", node.left
    if divided:
        if _text(node.left) not in ("1", "1.0", "-1.0"):
            yield f"drop-{left}", ast.BinOp(one, ast.Div(), node.right)
        yield f"invert-{right}", ast.BinOp(node.left, ast.Mult(), node.right)
        swapped = "count" if left == right == "constant" else "swap-division"
        yield swapped, ast.BinOp(node.right, ast.Div(), node.left)
    else:
        yield f"drop-{left}", node.right
        yield f"invert-{right}", ast.BinOp(node.left, ast.Div(), node.right)
        yield f"invert-{left}", ast.BinOp(node.right, ast.Div(), node.left)
        if "constant" not in (left, right):
            yield "plus-for-times", ast.BinOp(node.left, ast.Add(), node.right)


def numbers(node: ast.AST, at: Statement) -> Found:
    if is_operation(node, ast.Pow):
        power = ast.literal_eval(node.right)
        yield "exponent", node.left
        for other in {-power, power + 1, power - 1, power / 2, 2 * power, power + 0.5} - {power, 1.0}:
            yield "exponent", ast.BinOp(node.left, ast.Pow(), ast.Constant(other))
        yield "swap-power", ast.BinOp(node.right, ast.Pow(), node.left)
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not at.in_arguments(node):
        if at.in_exponent(node) or isinstance(node.value, bool):
            return
        parent = at.up.get(id(node))
        if _small(node):
            for value in (1e-3, 1e-4, 1e-8):
                yield "epsilon-value", ast.Constant(value)
            return
        term = parent is not None and is_operation(parent, ast.Add, ast.Sub)
        kind = "constant-term" if term and at.role(parent) != "constant" else "constant"
        for value in {2 * node.value, node.value / 2, node.value + 1, 3 * node.value} - {node.value, 0}:
            yield kind, ast.Constant(value)


def counts(node: ast.AST, at: Statement) -> Found:
    parent = at.up.get(id(node))
    if parent is not None and is_operation(parent, ast.Sub):
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in at.scope.sizes:
        size = node.id
        if size == "n" or not at.in_arguments(node):
            yield "count", expression(f"{size} - 1")
        if not at.in_arguments(node):
            for text in (f"{size} * {size}", f"{size} + 1", f"{size} / 2", "1"):
                yield "count", expression(text)
            yield from (("other-count", expression(other)) for other in at.scope.sizes if other != size)
    if isinstance(node, ast.Call) and called(node) == "numel" and isinstance(node.func, ast.Attribute):
        whole = _text(node.func.value)
        yield "other-count", expression(f"{whole}.shape[0]")
        yield "other-count", expression(f"{whole}.shape[-1]")
        yield "other-count", expression(f"({whole}.numel() / {whole}.shape[-1])")


def names(node: ast.AST, at: Statement) -> Found:
    if not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)) or node.id not in at.scope.shapes:
        return
    if any(isinstance(p, ast.Subscript) and isinstance(p.ctx, ast.Store) and p.value is c for p, c in at.above(node)):
        return
    shape, gradients = at.scope.shapes[node.id], at.scope.gradients
    target = any(isinstance(p, ast.Attribute) and p.attr == "index_add_" for p, _ in at.above(node))
    for other, theirs in at.scope.shapes.items():
        if theirs != shape or other == node.id:
            continue
        if at.shape_only(node):
            kind = "shape-of-another"
        elif target:
            kind = "other-target"
        else:
            kind = "gradient" if other in at.scope.finished else "unfinished" if other in gradients else "forward"
            kind += "-for-gradient" if node.id in gradients else "-for-forward"
        if any(isinstance(p, ast.Call) and called(p) == "max" for p, _ in at.above(node)):
            kind = "maximum-of-another"
        yield kind, ast.Name(other, ast.Load())
    if not at.shape_only(node):
        yield "misspelt", ast.Name(node.id + "_", ast.Load())


def reductions(node: ast.AST, _: Statement) -> Found:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return
    called_on, name = node.func.value, node.func.attr
    keywords = {keyword.arg for keyword in node.keywords}
    for index, argument in enumerate(node.args if name in _REDUCTIONS else ()):
        for kind, new in _other_dimensions(argument):
            yield kind, _call(node, args=[*node.args[:index], expression(str(new)), *node.args[index + 1 :]])
    for keyword in node.keywords:
        for kind, new in _other_dimensions(keyword.value) if keyword.arg in ("dim", "axis") else ():
            others = [ast.keyword(k.arg, expression(str(new))) if k is keyword else k for k in node.keywords]
            yield kind, _call(node, keywords=others)
    if name == "mean":
        yield "sum", _call(node, func=ast.Attribute(called_on, "sum", ast.Load()))
    if name == "sum":
        if keywords & {"keepdim", "keepdims"}:
            kept = [keyword for keyword in node.keywords if keyword.arg not in ("keepdim", "keepdims")]
            yield "drop-keepdim", _call(node, keywords=kept)
        else:
            yield "add-keepdim", _call(node, keywords=[ast.keyword("keepdim", ast.Constant(True))])
        yield "dimension", _call(node, args=[], keywords=[])
        yield "drop-sum", called_on
        yield "mean", _call(node, func=ast.Attribute(called_on, "mean", ast.Load()))
        yield "other-reduction", _call(node, func=ast.Attribute(called_on, "amax", ast.Load()))
    if name == "max":
        yield "minimum", _call(node, func=ast.Attribute(called_on, "min", ast.Load()))


def _other_dimensions(argument: ast.expr) -> Iterator[tuple[str, object]]:
    try:
        value = ast.literal_eval(argument)
    except ValueError:
        return
    if isinstance(value, tuple):
        yield from (("fewer-dimensions", part) for part in value)
    elif isinstance(value, int) and value in (0, 1):
        yield "dimension", 1 - value
        yield "dimension-alias", value - 2
    elif value == -1:
        yield "dimension", -2
        yield "dimension", 0


def _call(
    node: ast.Call,
    func: ast.expr | None = None,
    args: list[ast.expr] | None = None,
    keywords: list[ast.keyword] | None = None,
) -> ast.Call:
    return ast.Call(
        node.func if func is None else func,
        node.args if args is None else args,
        node.keywords if keywords is None else keywords,
    )


def shapes(node: ast.AST, at: Statement) -> Found:
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transpose", node.value
    exchanges = isinstance(node, ast.Call) and called(node) in ("transpose", "permute", "swapaxes")
    if exchanges and isinstance(inside := node.func.value, ast.Call) and called(inside) == "view":
        sizes = list(inside.args)
        first, second = (ast.literal_eval(argument) for argument in node.args)
        sizes[first], sizes[second] = sizes[second], sizes[first]
        yield "unmoved", _call(inside, args=sizes)
    if isinstance(node, ast.Call) and called(node) in ("view", "reshape") and isinstance(node.func, ast.Attribute):
        moved = node.func.value
        if isinstance(moved, ast.Call) and called(moved) in ("transpose", "permute", "swapaxes"):
            yield "unmoved", _call(node, func=ast.Attribute(moved.func.value, "reshape", ast.Load()))
    if exchanges and isinstance(node.func, ast.Attribute):
        yield "transpose", node.func.value
    named = [leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name)]
    if is_operation(node, ast.MatMult) and all(len(at.scope.shapes.get(name, (0, 0))) > 1 for name in named):
        left, right = (ast.Attribute(side, "T", ast.Load()) for side in (node.left, node.right))
        yield "transpose", ast.BinOp(right, ast.MatMult(), left)
        yield "transpose", ast.BinOp(node.right, ast.MatMult(), node.left)
        yield "transpose", ast.BinOp(left, ast.MatMult(), node.right)
        yield "transpose", ast.BinOp(node.left, ast.MatMult(), right)
    two = isinstance(node, ast.Assign) and len(at.scope.shapes.get(_text(node.targets[0]), ())) == 2
    if two and "zeros_like" not in _text(node.value):
        yield "transpose", ast.Assign(node.targets, ast.Attribute(node.value, "T", ast.Load()))
    if isinstance(node, ast.Call) and called(node) == "view":
        inside = node.func.value
        index = at.scope.shapes.get(_text(inside)) is None
        yield "reshape", inside
        turned = expression(f"{_text(inside)}.transpose(0, 1).reshape({', '.join(map(_text, node.args))})")
        yield "index" if index else "reshape", turned
        turned = expression(f"{_text(inside)}.flip(0).{node.func.attr}({', '.join(map(_text, node.args))})")
        yield "index" if index else "reshape", turned
    if isinstance(node, ast.Subscript) and _text(node.value).endswith(".shape"):
        place = ast.literal_eval(node.slice)
        for other in {-1, 0, 1, 2} - {place}:
            yield "shape-index", ast.Subscript(node.value, ast.Constant(other), node.ctx)


def calls(node: ast.AST, _: Statement) -> Found:
    if not isinstance(node, ast.Call):
        return
    text, name = _text(node), called(node)
    if name == "masked_fill" and isinstance(node.func, ast.Attribute):
        yield "drop-mask", node.func.value
        yield "inverted-mask", expression(f"{_text(node.func.value)}.masked_fill(~{_text(node.args[0])}, 0.0)")
    if name == "clone":
        yield "clone", node.func.value
        yield "twice-the-path", ast.BinOp(ast.Constant(2), ast.Mult(), node)
    elif name == "ones_like":
        yield "zeros", expression(text.replace("ones_like", "zeros_like"))
        yield "ones-call", node.args[0]
    elif name == "zeros_like":
        yield "wrong-start", expression(text.replace("zeros_like", "ones_like"))
    elif name == "one_hot":
        yield "num-classes", _call(node, keywords=[])
    elif name == "softmax":
        yield "other-function", _call(node, func=expression("F.log_softmax"))
        yield "other-function", _call(node, func=expression("torch.exp"), args=node.args[:1])
        yield "foreign-function", _call(node, func=expression("F.normalize"))
        yield "foreign-function", _call(node, func=expression("torch.sigmoid"), args=node.args[:1])
    elif name == "index_add_":
        yield "rows", _call(node, func=expression(text.split(".")[0] + ".index_copy_"))
        yield "sign", _call(node, keywords=[ast.keyword("alpha", ast.Constant(-1))])
        yield "extra-constant", _call(node, keywords=[ast.keyword("alpha", ast.Constant(2))])


def assignments(node: ast.AST, at: Statement) -> Found:
    if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub)):
        yield "rows" if at.tree is not node else "overwrite", ast.Assign([node.target], node.value)
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Div):
        yield "invert-constant", ast.AugAssign(node.target, ast.Mult(), node.value)
    if isinstance(node, ast.Assign):
        yield "add-to-nothing", ast.AugAssign(node.targets[0], ast.Add(), node.value)
    adds = isinstance(getattr(node, "op", ast.Add()), (ast.Add, ast.Sub))
    if adds and isinstance(node, (ast.Assign, ast.AugAssign)) and "zeros_like" not in _text(node.value):
        for kind, new in _grown(node, at):
            made = copy.copy(node)
            made.value = new
            yield kind, made
    if isinstance(node, ast.Expr) and "index_add_" in _text(node):
        call = node.value
        for sign in ("=", "+="):
            target = f"{_text(call.func.value)}[{_text(call.args[1])}]"
            yield "rows", ast.parse(f"{target} {sign} {_text(call.args[2])}").body[0]


def _grown(node: ast.Assign | ast.AugAssign, at: Statement) -> Found:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    for size in at.scope.sizes[:1]:
        yield "extra-constant", ast.BinOp(node.value, ast.Div(), ast.Name(size, ast.Load()))
        yield "extra-constant", ast.BinOp(ast.Name(size, ast.Load()), ast.Mult(), node.value)
    shape = at.scope.shapes.get(_text(target))
    for other, theirs in at.scope.shapes.items():
        if shape is not None and theirs == shape and other not in at.scope.gradients:
            yield "extra-factor", ast.BinOp(node.value, ast.Mult(), ast.Name(other, ast.Load()))
    if shape is not None:
        yield "coarse", expression(f"({_text(node.value)}).bfloat16().to({next(iter(at.scope.shapes))}.dtype)")


def indexes(node: ast.AST, _: Statement) -> Found:
    if not (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple)):
        return
    first, second = map(_text, node.slice.elts)
    others = [f"{second}, {first}"]
    if second == "Yb":
        others += [":, Yb", f"{first}, Xb[:, -1]", f"{first}, Xb[:, 0]", f"{first}, Yb.flip(0)", first, f"{first}, 0"]
    elif isinstance(node.ctx, ast.Load):
        others += [f"{first}, 0", f"0, {second}", f"{first}, -1"]
    for other in others:
        yield "index", ast.Subscript(node.value, ast.parse(f"_[{other}]").body[0].value.slice, node.ctx)


EDITS: tuple[Callable[[ast.AST, Statement], Found], ...] = (
    signs,
    terms,
    factors,
    numbers,
    counts,
    names,
    reductions,
    shapes,
    calls,
    assignments,
    indexes,
)


def edits(text: str, scope: Scope) -> list[tuple[str, str]]:
    """(kind, the statement after the edit) for every edit, each text once."""
    at = Statement(text, scope)
    found: dict[str, str] = {}
    for edit in EDITS:
        for node in ast.walk(at.tree):
            for kind, new in edit(node, at):
                found.setdefault(at.replaced(node, new), kind)
    found.pop(_text(at.tree), None)
    return [(kind, changed) for changed, kind in found.items()]
