"""What one change of a line makes of a source file: the mutants that `tools/mutate.py` tries.

A mutant is a span of the source and what stands there instead, found in the syntax tree and put in
as text, so that everything else stays as it was. Docstrings, annotations, messages and f-strings are
left alone.
"""

import ast
from collections.abc import Iterator
from typing import NamedTuple

OPERATORS = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.Pow: "*",
    ast.Lt: "<= >", ast.LtE: "< >=", ast.Gt: ">= <", ast.GtE: "> <=", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is_not", ast.IsNot: "is", ast.In: "not_in", ast.NotIn: "in",
    ast.And: "or", ast.Or: "and",
}  # fmt: skip
NAMES = {
    "mean": "sum", "sum": "mean", "amin": "amax", "amax": "amin", "min": "max", "max": "min",
    "all": "any", "any": "all", "zeros": "ones", "ones": "zeros", "new_zeros": "new_ones",
    "zeros_like": "ones_like", "ones_like": "zeros_like", "no_grad": "enable_grad",
    "rsample": "sample", "unsqueeze": "squeeze", "hypot": "add", "minimum": "maximum",
}  # fmt: skip
DROPPED = {
    "detach", "exp", "log", "square", "sqrt", "rsqrt", "abs", "clamp_min", "clamp", "to", "clone",
    "reciprocal", "masked_fill", "flip", "long", "double", "tril", "unique", "cpu", "floor", "cumsum",
}  # fmt: skip


ALIKE = ("device",)
"""Keywords whose loss changes nothing on the CPU, where the tests run: a run on another device must
see it."""

ARBITRARY = 2**32
"""Constants from here on mix seeds: any other would do."""


class Mutant(NamedTuple):
    """A change of one file."""

    line: int
    """Counted from 1, where it begins."""
    start: int
    """Position in the text; `end` likewise."""
    end: int
    new: str
    kind: str

    def apply(self, source: str) -> str:
        """The whole text with the change."""
        return source[: self.start] + self.new + source[self.end :]

    def describe(self, source: str) -> str:
        """`old -> new`, on one line."""
        old, new = (" ".join(text.split()) or "(nothing)" for text in (self.old(source), self.new))
        return f"{self.kind}: {old} -> {new}"

    def old(self, source: str) -> str:
        """What stands there now."""
        return source[self.start : self.end]


def mutants(source: str, optional: dict[str, int] | None = None) -> list[Mutant]:
    """Every mutant of a file, in the order of its text.

    Args:
        source: the file's text.
        optional: function name -> how many of its parameters, at least, must be given; calls with
            more lose their last argument.
    """
    finder = Finder(source, optional or {})
    found = {
        m for node in walk(ast.parse(source)) for m in finder.of(node) if m.new != m.old(source)
    }
    return sorted(m for m in found if parses(m.apply(source)))


def parses(text: str) -> bool:
    """Whether the text is Python."""
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def required_arguments(sources: list[str]) -> dict[str, int]:
    """How many positional arguments each function of these files needs, `self` not counted."""
    needed: dict[str, int] = {}
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and node.args.defaults:
                names = [a.arg for a in node.args.args if a.arg not in ("self", "cls")]
                needed[node.name] = len(names) - len(node.args.defaults)
    return needed


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Like `ast.walk`, without docstrings, annotations, f-strings and raised errors."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.JoinedStr | ast.Raise) or not isinstance(child, ast.AST):
                continue
            yield from walk(child)


class Finder:
    """The mutants of each node of one file."""

    def __init__(self, source: str, optional: dict[str, int]):
        self.source, self.optional = source, optional
        self.lines = source.splitlines(keepends=True)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node stands in the text; the tree counts bytes of UTF-8."""
        ends = []
        for row, column in (
            (node.lineno, node.col_offset),  # type: ignore[attr-defined]
            (node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        ):
            before = self.lines[row - 1].encode()[:column].decode()
            ends.append(self.starts[row - 1] + len(before))
        return ends[0], ends[1]

    def text(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.source[start:end]

    def mutant(self, start: int, end: int, new: str, kind: str) -> Mutant:
        line = self.source.count("\n", 0, start) + 1
        return Mutant(line, start, end, new, kind)

    def instead(self, node: ast.AST, new: str, kind: str) -> Mutant:
        return self.mutant(*self.span(node), new, kind)

    def of(self, node: ast.AST) -> Iterator[Mutant]:
        """All mutants that begin at this node."""
        method = getattr(self, f"of_{type(node).__name__}", None)
        if method is not None:
            yield from method(node)
        if isinstance(node, ast.stmt):
            yield from self.deleted(node)

    def between(self, left: ast.AST, right: ast.AST, operator: ast.AST) -> Iterator[Mutant]:
        """Another operator between two expressions; brackets between them stay."""
        start, end = self.span(left)[1], self.span(right)[0]
        gap = self.source[start:end]
        sign = gap.strip(" ()\n\\").split("#")[0].strip(" ()\n")
        for new in OPERATORS.get(type(operator), "").split():
            yield self.mutant(start, end, gap.replace(sign, new.replace("_", " "), 1), "operator")

    def of_BinOp(self, node: ast.BinOp) -> Iterator[Mutant]:
        yield from self.between(node.left, node.right, node.op)

    def of_BoolOp(self, node: ast.BoolOp) -> Iterator[Mutant]:
        for left, right in zip(node.values, node.values[1:]):
            yield from self.between(left, right, node.op)

    def of_Compare(self, node: ast.Compare) -> Iterator[Mutant]:
        operands = [node.left, *node.comparators]
        for left, right, operator in zip(operands, operands[1:], node.ops):
            yield from self.between(left, right, operator)

    def of_AugAssign(self, node: ast.AugAssign) -> Iterator[Mutant]:
        if isinstance(node.op, ast.Add):
            yield self.mutant(
                self.span(node.target)[1], self.span(node.value)[0], " -= ", "operator"
            )

    def of_UnaryOp(self, node: ast.UnaryOp) -> Iterator[Mutant]:
        number = isinstance(node.operand, ast.Constant)
        if isinstance(node.op, ast.USub | ast.Not | ast.Invert) and not number:
            yield self.instead(node, f"({self.text(node.operand)})", "sign or `not` dropped")

    def of_Constant(self, node: ast.Constant) -> Iterator[Mutant]:
        value = node.value
        if isinstance(value, bool):
            yield self.instead(node, str(not value), "truth value")
        elif isinstance(value, int | float) and value < ARBITRARY:
            yield self.instead(node, f"{value + 1!r}", "constant")
            yield self.instead(node, f"({value - 1!r})", "constant")

    def of_Attribute(self, node: ast.Attribute) -> Iterator[Mutant]:
        end = self.span(node)[1]
        if node.attr in NAMES:
            yield self.mutant(end - len(node.attr), end, NAMES[node.attr], "another function")
        if node.attr in ("mT", "T"):
            yield self.mutant(self.span(node.value)[1], end, "", "transposition dropped")

    def of_Name(self, node: ast.Name) -> Iterator[Mutant]:
        if node.id in ("min", "max", "any", "all"):
            yield self.instead(node, NAMES[node.id], "another function")

    def of_IfExp(self, node: ast.IfExp) -> Iterator[Mutant]:
        yield self.instead(node, f"({self.text(node.body)})", "condition dropped")
        yield self.instead(node, f"({self.text(node.orelse)})", "condition dropped")

    def of_If(self, node: ast.If) -> Iterator[Mutant]:
        yield self.instead(node.test, f"not ({self.text(node.test)})", "condition turned")

    def of_Call(self, node: ast.Call) -> Iterator[Mutant]:
        end = self.span(node)[1]
        if isinstance(node.func, ast.Attribute) and node.func.attr in DROPPED:
            yield self.mutant(self.span(node.func.value)[1], end, "", "call dropped")
        name = node.func.attr if isinstance(node.func, ast.Attribute) else self.text(node.func)
        arguments: list[ast.expr | ast.keyword] = sorted(
            [*node.args, *node.keywords], key=self.span
        )
        required = self.optional.get(name, len(node.args))
        for i, one in enumerate(arguments):
            if isinstance(one, ast.keyword):
                droppable = one.arg not in (None, "strict", *ALIKE)
            else:
                droppable = i == len(arguments) - 1 == len(node.args) - 1 >= required
            if droppable:
                yield self.without(arguments, i)
        if name in ("require", "min", "max"):  # the last two are symmetric
            return
        for one, two in zip(node.args, node.args[1:]):
            (a, b), (c, d) = self.span(one), self.span(two)
            if not isinstance(one, ast.Starred) and not isinstance(two, ast.Starred):
                swapped = self.source[c:d] + self.source[b:c] + self.source[a:b]
                yield self.mutant(a, d, swapped, "arguments swapped")

    def without(self, arguments: list[ast.expr | ast.keyword], i: int) -> Mutant:
        """One argument, with the comma that goes with it, left out of a call."""
        start, end = self.span(arguments[i])
        if i + 1 < len(arguments):
            end = self.span(arguments[i + 1])[0]
        elif i:
            start = self.span(arguments[i - 1])[1]
        return self.mutant(start, end, "", "argument dropped")

    def deleted(self, node: ast.stmt) -> Iterator[Mutant]:
        """Statements that may go: calls, updates and assignments that only change a name."""
        gone = isinstance(node, ast.AugAssign | ast.Delete)
        if isinstance(node, ast.Expr):
            gone = isinstance(node.value, ast.Call)
        if isinstance(node, ast.Assign):
            inside = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
            targets = {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
            gone = bool(inside & targets - {"self"})
        if gone:
            yield self.instead(node, "pass", "statement deleted")
