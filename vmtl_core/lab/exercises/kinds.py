"""Which kind of mistake an answer makes that is on no list.

Three searches, from the plain to the far-fetched: how the answer comes from the right one
(`relations`), for which other arguments it would be right (`changes`), and both at once; then
whether it is a sampled estimate and which argument it leaves unused. A kind is named only if it
explains the answer on every case.
"""

import io
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from itertools import chain, permutations
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vmtl_core.lab.exercises.changes import changes, jittered
from vmtl_core.lab.exercises.compare import as_tensor
from vmtl_core.lab.exercises.relations import (
    POINTWISE,
    Kind,
    Relation,
    agree,
    arranged,
    backwards,
    blamed,
    by_arguments,
    close,
    matrices,
    pointwise,
    proportional,
    reduced,
    reshaped,
    shifted,
    sized,
    turned,
    twice,
)
from vmtl_core.lab.exercises.runs import Cases, inputs, run

REPEATS, SECONDS = 24, 2.0
"""Runs of an answer that draws, and how long they may compute in all, whatever else the machine does."""
NEAR = 0.03
"""Relative: an answer no farther off is near the right one."""
DEVIATIONS = 5.0
"""Standard errors within which a sampled answer counts as right on average."""
STACKED = 4
"""The most results that one tensor is read as a stack of."""
SLOW = 0.5
"""Seconds of one run from which nothing is run again."""


NOT_FINITE = Kind(
    "not finite",
    "it holds a NaN or an infinity: a logarithm or root of a negative number, or a division by 0?",
)


PARTLY = "partly right"
"""The name of a kind that says which entries are right, and nothing of the others."""
FACTORS = [
    ("has the wrong sign", -1.0),
    ("is left out", 0.0),
    ("counts half", 0.5),
    ("counts twice", 2.0),
]
"""What may have happened to one term of a sum."""


class Question(NamedTuple):
    """What a kind is searched for: an answer that is a function, with what it gave.

    Args:
        solution, answer: functions of one case's arguments.
        cases: what makes the cases.
        names: of the arguments.
        found: the answer's values, one a case.
        tolerance: relative and absolute.
        terms: what the solution is the sum of, by name, from one case's arguments; None if unknown.
    """

    solution: Callable[..., Any]
    answer: Callable[..., Any]
    cases: Cases
    names: list[str]
    found: list[Any]
    tolerance: float
    terms: Callable[..., dict[str, Any]] | None = None


def kind_of_value(found: Any, wanted: Any, tolerance: float) -> Kind | None:
    """The kind of mistake of an answer that is a number or a tensor; None if none is known."""
    left, right = as_tensor(found), as_tensor(wanted)
    if left is None or right is None or not bool(torch.isfinite(left).all()):
        return None
    sizes = {"the number of its entries": [right.numel()]}
    searched = chain(
        pointwise([right]), matrices([right]), sized([right], sizes), shifted([right], {}),
        arranged([right]), reduced([right]), turned([right]),
    )  # fmt: skip
    with _quiet():
        kind = reshaped([left], [right], tolerance) or first([left], searched, tolerance)
        kind = kind or blamed([left], [right], tolerance)
    return kind or _multiple(left, right, tolerance) or _near(left, right)


def _near(found: Tensor, wanted: Tensor) -> Kind | None:
    if found.shape != wanted.shape or not bool(
        ((found - wanted).abs() <= NEAR * wanted.abs()).all()
    ):
        return None
    message = f"it is within {100 * NEAR:g} % of the right one: rounded, or from too few draws?"
    return Kind("near", message)


def _multiple(found: Tensor, wanted: Tensor, tolerance: float) -> Kind | None:
    """A whole multiple, or a whole part, of a single number."""
    if found.numel() != 1 or wanted.numel() != 1 or float(wanted) == 0 or float(found) == 0:
        return None
    ratio = float(found.flatten()[0] / wanted.flatten()[0])
    for name, value in (("N times", abs(ratio)), ("1/N", 1 / abs(ratio))):
        if value > 2.5 and abs(value - round(value)) < tolerance * value < 0.1:
            said = "a whole multiple" if name == "N times" else "a whole part: 1/2, 1/3, 1/4 …,"
            return Kind(name, f"it is {said} of the right one: a sum for a mean, or the other way?")
    return None


def kind_of(question: Question) -> Kind | None:
    """The kind of mistake of an answer that is a function; None if none is known."""
    started = time.thread_time()
    with _quiet():
        wanted = run(question.solution, question.cases)
        slow = time.thread_time() - started > SLOW
        kind = _of_results(question, wanted)
        if kind is not None or not _finite(wanted):
            return kind
        if not _finite(question.found):
            return NOT_FINITE
        return (
            _of_arguments(question, wanted)
            or (None if slow else _of_draws(question))
            or (None if slow else _of_use(question))
            or _of_parts(question, wanted)
        )


def first(found: Sequence[Tensor], searched: Iterable[Relation], tolerance: float) -> Kind | None:
    """The first relation whose values are those found."""
    for relation in _tried(searched):
        if agree(found, relation.values, tolerance):
            return relation.kind
    return None


def _tried(searched: Iterable[Relation]) -> Iterator[Relation]:
    """The relations that can be had: one that asks for other shapes ends its own generator."""
    iterator = iter(searched)
    while True:
        try:
            yield next(iterator)
        except StopIteration:
            return
        except (ValueError, RuntimeError, IndexError):
            continue


def leaves(value: Any) -> list[Tensor] | None:
    """The tensors of a value that is one or a tuple of them; None where one is neither."""
    if isinstance(value, tuple | list) and any(isinstance(entry, Tensor) for entry in value):
        tensors = [as_tensor(entry) for entry in value]
    else:
        tensors = [as_tensor(value)]
    return None if any(tensor is None for tensor in tensors) else tensors  # type: ignore[return-value]


def _of_results(question: Question, wanted: list[Any]) -> Kind | None:
    """From the values alone: entry by entry of a tuple, on all cases."""
    left, right = [leaves(v) for v in question.found], [leaves(v) for v in wanted]
    if None in left or None in right or len(left) != len(right):
        return None
    widths = {len(v) for v in right if v is not None}
    if widths != {len(v) for v in left if v is not None} or len(widths) != 1:
        return _one_of_several(left, right, question.tolerance)
    width = widths.pop()
    found = [[v[i] for v in left if v is not None] for i in range(width)]
    right_ones = [[v[i] for v in right if v is not None] for i in range(width)]
    if width > 1:
        for order in permutations(range(width)):
            if all(agree(found[i], right_ones[j], question.tolerance) for i, j in enumerate(order)):
                return Kind("order", "the entries are right, in another order.")
    for i in range(width):
        if not agree(found[i], right_ones[i], question.tolerance):
            kind = _of_one(question, found[i], right_ones[i])
            if kind is None and width == 1:
                return _of_rows(question, found[0], right_ones[0])
            where = f"entry {i}: " if width > 1 else ""
            return None if kind is None else Kind(kind.name, where + kind.message)
    return None


def _of_rows(question: Question, found: list[Tensor], wanted: list[Tensor]) -> Kind | None:
    """Where a result is stacked of a few, such as a mean and a variance: each of them alone."""
    if {f.shape[:1] for f in found} != {w.shape[:1] for w in wanted} or not wanted[0].ndim:
        return None
    if len({w.shape[0] for w in wanted}) != 1 or len(wanted[0]) > STACKED:
        return None
    for i in range(len(wanted[0])):
        rows, right = [f[i] for f in found], [w[i] for w in wanted]
        if not agree(rows, right, question.tolerance):
            kind = _of_one(question, rows, right)
            return None if kind is None else Kind(kind.name, f"at [{i}], {kind.message}")
    return None


def _one_of_several(left: list[Any], right: list[Any], tolerance: float) -> Kind | None:
    if any(len(v) != 1 for v in left):
        return None
    for i in range(min(len(v) for v in right)):
        if agree([v[0] for v in left], [v[i] for v in right], tolerance):
            return Kind("one entry", f"it is entry {i} of what was asked, alone.")
    return None


def _of_one(question: Question, found: list[Tensor], wanted: list[Tensor]) -> Kind | None:
    tolerance, sizes = question.tolerance, _sizes(question, wanted)
    plain = [
        pointwise(wanted), matrices(wanted), sized(wanted, sizes), shifted(wanted, sizes),
        reduced(wanted), arranged(wanted), by_arguments(wanted, _numbers(question), sizes),
        proportional(found, wanted, tolerance),
    ]  # fmt: skip
    kind = reshaped(found, wanted, tolerance) or first(found, chain(*plain), tolerance)
    kind = kind or _of_terms(question, found, wanted, sizes)
    if kind is None:
        for relation in _tried(backwards(found)):
            if agree(relation.values, wanted, tolerance):
                return relation.kind
    kind = kind or blamed(found, wanted, tolerance) or first(found, twice(wanted), tolerance)
    return kind or _by_sign(found, wanted, sizes, tolerance)


def _of_terms(
    question: Question, found: list[Tensor], wanted: list[Tensor], sizes: dict[str, list[int]]
) -> Kind | None:
    """One term of a sum left out, turned round, counted too often or too little.

    Terms called "the KL: trace" and "the KL: mean" are parts of "the KL", which is tried as well.
    """
    if question.terms is None:
        return None
    each = [dict(case) for case in run(question.terms, question.cases)]
    for case in each:
        for name, term in list(case.items()):
            whole, part, _ = name.partition(": ")
            if part:
                case[whole] = case.get(whole, 0.0) + term
    for name in each[0]:
        term = [torch.as_tensor(case[name]).detach() for case in each]
        for said, factor in FACTORS:
            values = [w + (factor - 1) * t for w, t in zip(wanted, term, strict=True)]
            if agree(found, values, question.tolerance):
                return Kind(f"{name}: {said}", f"{name} {said}; the rest is right.")
        for size, ns in sizes.items():
            for said, power in (("N times too large", 1), ("N times too small", -1)):
                many = zip(wanted, term, ns, strict=True)
                values = [w + (float(max(n, 1)) ** power - 1) * t for w, t, n in many]
                if agree(found, values, question.tolerance):
                    told = f"{name} is {said}, with N = {size}; the rest is right."
                    return Kind(f"{name}: {said}", told)
    return None


def _by_sign(
    found: list[Tensor], wanted: list[Tensor], sizes: dict[str, list[int]], tolerance: float
) -> Kind | None:
    """A size and a sign, or a size and a half."""
    for name, factor in (("sign", -1.0), ("half", 0.5), ("double", 2.0)):
        kind = first(found, sized([factor * w for w in wanted], sizes), tolerance)
        if kind is not None:
            told = {
                "sign": "the sign, and ",
                "half": "a factor ½, and ",
                "double": "a factor 2, and ",
            }
            return Kind(f"{name}, {kind.name}", told[name] + kind.message)
    return None


def _sizes(question: Question, wanted: list[Tensor]) -> dict[str, list[int]]:
    """Whole numbers of the problem: sizes of arguments and of the result, whole arguments."""
    names, cases = question.names, inputs(question.cases)
    sizes: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        column = [case[i] for case in cases]
        if all(isinstance(v, Tensor) for v in column):
            for d in range(min(v.ndim for v in column)):
                sizes[f"the size of dimension {d} of `{name}`"] = [v.shape[d] for v in column]
            sizes[f"the number of entries of `{name}`"] = [v.numel() for v in column]
        elif all(isinstance(v, int) and not isinstance(v, bool) for v in column):
            sizes[f"`{name}`"] = column
        elif all(isinstance(v, tuple | list) for v in column):
            sizes[f"the length of `{name}`"] = [len(v) for v in column]
    sizes["the number of its entries"] = [w.numel() for w in wanted]
    return sizes


def _numbers(question: Question) -> dict[str, list[float]]:
    """The arguments that are numbers above 0 in every case; whole ones are among the sizes."""
    columns = zip(question.names, zip(*inputs(question.cases), strict=True), strict=False)
    return {
        name: list(column)
        for name, column in columns
        if all(isinstance(v, float) and v > 0 for v in column)
    }


def of_mistakes(
    question: Question, known: Sequence[tuple[str, str, Callable[..., Any]]]
) -> Kind | None:
    """A known mistake, and one thing more.

    Args:
        question: the answer.
        known: names, messages and answers of the mistakes that are listed.
    """
    found = [leaves(value) for value in question.found]
    if any(v is None or len(v) != 1 for v in found):
        return None
    single = [v[0] for v in found if v]
    for name, message, answer in known:
        with _quiet():
            values = [leaves(value) for value in run(answer, question.cases)]
            if len(values) != len(found) or any(v is None or len(v) != 1 for v in values):
                continue
            other = [v[0] for v in values if v]
            sizes = _sizes(question, other)
            searched = chain(
                pointwise(other), sized(other, sizes), by_arguments(other, _numbers(question), {}),
                proportional(single, other, question.tolerance),
            )  # fmt: skip
            kind = first(single, searched, question.tolerance)
        if kind is not None:
            more = kind.message.replace("the right one", "what that gives")
            told = f"two things at once. First, {message} Then, {more}"
            return Kind(f"{name}, {kind.name}", told)
    return None


def _of_arguments(question: Question, wanted: list[Any]) -> Kind | None:
    """The solution of changed arguments, as it is and then changed once more itself."""
    case = inputs(question.cases)[0]
    names = question.names
    combined: list[tuple[Kind, list[Tensor]]] = []
    found = [leaves(value) for value in question.found]
    if None in found:
        return None
    for kind, of in changes(names, case):
        try:
            values = [leaves(v) for v in run(question.solution, question.cases, of)]
        except Exception:  # a change may not fit: a logarithm of no positive number, a shape
            continue
        if None in values or len(values) != len(found):
            continue
        if _all_agree(found, values, question.tolerance):
            return kind
        if all(len(v) == 1 for v in values if v is not None):
            combined.append((kind, [v[0] for v in values if v is not None]))
    if any(len(v) != 1 for v in found if v is not None):
        return None
    single = [v[0] for v in found if v is not None]
    for kind, tensors in combined:
        for other, change in POINTWISE:
            if agree(single, [change(t) for t in tensors], question.tolerance):
                told = f"two things at once. {other.message} Then {kind.message}"
                return Kind(f"{other.name}, {kind.name}", told)
    return None


def _all_agree(found: list[Any], values: list[Any], tolerance: float) -> bool:
    return all(len(a) == len(b) for a, b in zip(found, values, strict=True)) and all(
        agree(a, b, tolerance) for a, b in zip(found, values, strict=True)
    )


def _repeated(function: Callable[..., Any], cases: Cases) -> list[Tensor] | None:
    """Values of several runs from several seeds, one tensor (runs, numbers) of all cases at once."""
    runs: list[Tensor] = []
    started = time.thread_time()
    for repeat in range(REPEATS):
        parts = [leaves(value) for value in run(function, cases, seed=1000 * (repeat + 1))]
        if any(part is None for part in parts):
            return None
        runs.append(torch.cat([t.flatten() for part in parts for t in part or []]))
        if repeat == 1 and torch.equal(runs[0], runs[1]):
            return runs
        if time.thread_time() - started > SECONDS:
            break
    return runs if len(runs) >= 4 else None


def _of_draws(question: Question) -> Kind | None:
    """Whether the answer draws, and is right on average."""
    answers = _repeated(question.answer, question.cases)
    if answers is None or len(answers) == 2:
        return None
    rights = _repeated(question.solution, question.cases)
    if rights is None or rights[0].shape != answers[0].shape:
        return None
    draws, exact = torch.stack(answers), torch.stack(rights)
    error = (draws.var(0) / len(draws) + exact.var(0) / len(exact)).sqrt()
    miss = (draws.mean(0) - exact.mean(0)).abs()
    size = float(draws.std(0).max())
    if bool((miss <= DEVIATIONS * error + question.tolerance).all()):
        return Kind(
            "sampled",
            f"it is a sampled estimate: right on average, with a standard error up to {size:.1g} a "
            "call. More draws make it smaller; what is asked has none.",
        )
    worst = int((miss / error.clamp(min=1e-300)).argmax())
    return Kind(
        "sampled, biased",
        f"it draws, and is off on average too: {float(miss[worst]):.2g} away, with a standard error of "
        f"{float(error[worst]):.1g}.",
    )


def _of_use(question: Question) -> Kind | None:
    """Arguments that the right answer uses and this one doesn't."""
    unused = []
    names = question.names
    wanted = run(question.solution, question.cases)
    for i in range(len(inputs(question.cases)[0])):

        def moved(case: tuple[Any, ...], i: int = i) -> tuple[Any, ...]:
            other = jittered(case[i])
            return case if other is None else (*case[:i], other, *case[i + 1 :])

        try:
            right, left = (
                run(function, question.cases, moved)
                for function in (question.solution, question.answer)
            )
            used = not _same(right, wanted, question.tolerance)
            if used and _same(left, question.found, question.tolerance):
                unused.append(f"`{names[i]}`")
        except Exception:
            continue
    if not unused:
        return None
    return Kind(
        "unused", f"it doesn't change with {' nor with '.join(unused)}; the right one does."
    )


def _of_parts(question: Question, wanted: list[Any]) -> Kind | None:
    """Which entries of a tuple, or of a stack of a few, are right; None if none is, or it is neither."""
    left, right = ([leaves(value) for value in values] for values in (question.found, wanted))
    if None in left or None in right:
        return None
    pairs = [(a or [], b or []) for a, b in zip(left, right, strict=True)]
    if all(len(a) == len(b) == 1 for a, b in pairs):
        pairs = [(list(a[0]), list(b[0])) for a, b in pairs if a[0].ndim and b[0].ndim]
    widths = {len(some) for pair in pairs for some in pair}
    if len(pairs) < len(wanted) or len(widths) != 1 or not 1 < max(widths) <= STACKED:
        return None
    good = [
        i
        for i in range(max(widths))
        if agree([a[i] for a, _ in pairs], [b[i] for _, b in pairs], question.tolerance)
    ]
    if not good:
        return None
    said = " and ".join(f"entry {i}" for i in good)
    return Kind(PARTLY, f"{said} {'is' if len(good) == 1 else 'are'} right, and no other.")


def _finite(values: list[Any]) -> bool:
    tensors = [leaves(value) for value in values]
    return all(bool(torch.isfinite(t).all()) for some in tensors for t in some or [])


def _same(left: list[Any], right: list[Any], tolerance: float) -> bool:
    a, b = [leaves(v) for v in left], [leaves(v) for v in right]
    return (
        None not in a
        and None not in b
        and all(
            len(x or []) == len(y or [])
            and all(
                s.shape == t.shape and bool(close(s, t, tolerance).all())
                for s, t in zip(x or [], y or [], strict=True)
            )
            for x, y in zip(a, b, strict=True)
        )
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """What answers print or warn of while they are run again is not shown."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
