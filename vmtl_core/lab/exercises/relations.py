"""Kinds of mistake in a result: how a wrong tensor comes from the right one, case by case.

Nothing here knows an exercise. A relation turns the right values into what the mistake would give;
it is named where it gives the answer on every case.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

import torch
from torch import Tensor

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Kind(NamedTuple):
    """A kind of mistake: a short name for the record, and what is said to it."""

    name: str
    message: str


class Relation(NamedTuple):
    """A kind of mistake and the values it would give, one a case."""

    kind: Kind
    values: list[Tensor]


Map = Callable[[Tensor], Tensor]


def _matrix(change: Map) -> Map:
    """`change` of square matrices; refuses what isn't one."""

    def changed(x: Tensor) -> Tensor:
        if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
            raise ValueError("not a square matrix")
        return change(x)

    return changed


POINTWISE: list[tuple[Kind, Map]] = [
    (Kind("sign", "the sign: it is minus the right one."), lambda w: -w),
    (Kind("half", "it is half the right one: a factor 2 is missing."), lambda w: w / 2),
    (Kind("double", "it is twice the right one: is a factor ½ missing?"), lambda w: 2 * w),
    (Kind("log", "it is the logarithm of the right one."), lambda w: w.log()),
    (
        Kind("exp", "it is exp of the right one: a density or probability where its log belongs?"),
        lambda w: w.exp(),
    ),
    (
        Kind("square", "it is the square of the right one: a variance for a standard deviation?"),
        lambda w: w.square(),
    ),
    (
        Kind(
            "root", "it is the square root of the right one: a standard deviation for a variance?"
        ),
        lambda w: w.sqrt(),
    ),
    (
        Kind("reciprocal", "it is one over the right one: a precision for a variance?"),
        lambda w: 1 / w,
    ),
    (
        Kind("bits", "it is in bits, by log2: divide by log2(e) to have it in nats."),
        lambda w: w / math.log(2),
    ),
    (
        Kind("nats", "it is log(2) times the right one: a logarithm too few or too many."),
        lambda w: w * math.log(2),
    ),
    (
        Kind("decimal logarithm", "it is by log10; natural logarithms are meant."),
        lambda w: w / math.log(10),
    ),
    (Kind("percent", "it is in percent: 100 times the right one."), lambda w: 100 * w),
    (Kind("hundredth", "it is a hundredth of the right one."), lambda w: w / 100),
    (
        Kind("complement", "it is one minus the right one: the other event's probability?"),
        lambda w: 1 - w,
    ),
    (
        Kind("absolute value", "it is the absolute value of the right one: the sign is lost."),
        lambda w: w.abs(),
    ),
    (
        Kind("odds", "it is p / (1 - p) of the right p: odds where a probability belongs."),
        lambda w: w / (1 - w),
    ),
    (
        Kind(
            "log odds", "it is the log odds of the right one, a logit where a probability belongs."
        ),
        lambda w: torch.logit(w),
    ),
    (
        Kind(
            "probability",
            "it is 1 / (1 + exp(-x)) of the right x: a probability where log odds belong.",
        ),
        lambda w: torch.sigmoid(w),
    ),
]
"""What may have happened to every number of a result."""

MATRICES: list[tuple[Kind, Map]] = [
    (
        Kind("transpose", "it is the transpose of the right one: rows and columns are exchanged."),
        lambda w: w.mT,
    ),
    (
        Kind("inverse", "it is the inverse matrix of the right one: a precision for a covariance?"),
        _matrix(torch.linalg.inv),
    ),
    (
        Kind("Cholesky factor", "it is the Cholesky factor of the right one, not the matrix."),
        _matrix(torch.linalg.cholesky),
    ),
    (
        Kind("diagonal", "it is right on the diagonal and 0 elsewhere."),
        _matrix(lambda w: torch.diag_embed(w.diagonal(dim1=-2, dim2=-1))),
    ),
    (
        Kind("diagonal alone", "it is the diagonal of the right matrix, not the matrix."),
        _matrix(lambda w: w.diagonal(dim1=-2, dim2=-1)),
    ),
]
"""What may have happened to a matrix."""

CONSTANTS = {
    "½ log 2π": HALF_LOG_2PI,
    "log 2π": 2 * HALF_LOG_2PI,
    "log 2": math.log(2),
    "½": 0.5,
    "1": 1.0,
}
"""What is left out most often, in nats."""
ARGUMENTS = {
    "`{}` times": 1.0,
    "1/`{}` of": -1.0,
    "`{}` squared times": 2.0,
    "1/`{}` squared of": -2.0,
    "the root of `{}` times": 0.5,
    "1/root of `{}` times": -0.5,
}
"""Powers of an argument that may be missing, or too many."""
ROUNDED = 1e-3
"""Relative and absolute: what is no farther off was rounded."""


def pointwise(wanted: Sequence[Tensor]) -> Iterator[Relation]:
    """Every number changed in the same way."""
    for kind, change in POINTWISE:
        yield Relation(kind, [change(w) for w in wanted])


def twice(wanted: Sequence[Tensor]) -> Iterator[Relation]:
    """Two such changes, one after the other."""
    for first, change in POINTWISE:
        for second, again in POINTWISE:
            if first.name != second.name:
                told = f"two things at once. First, {second.message} Then, {first.message}"
                yield Relation(
                    Kind(f"{first.name}, {second.name}", told), [again(change(w)) for w in wanted]
                )


def turned(wanted: Sequence[Tensor]) -> Iterator[Relation]:
    """A sign before and one other change: for a single number, where `twice` would find too much."""
    for kind, change in POINTWISE:
        if kind.name in ("log", "exp", "half", "double", "reciprocal", "bits"):
            told = f"the sign, and more: {kind.message}"
            for values in ([-change(w) for w in wanted], [change(-w) for w in wanted]):
                yield Relation(Kind(f"sign, {kind.name}", told), values)


def matrices(wanted: Sequence[Tensor]) -> Iterator[Relation]:
    """Transposes, inverses, factors, diagonals."""
    if any(w.ndim < 2 for w in wanted):
        return
    for kind, change in MATRICES:
        try:
            yield Relation(kind, [change(w) for w in wanted])
        except (ValueError, RuntimeError):
            continue


def sized(wanted: Sequence[Tensor], sizes: dict[str, list[int]]) -> Iterator[Relation]:
    """Times or divided by a size of the problem, or by two of them.

    Args:
        wanted: right values, one a case.
        sizes: by what they are called, one number a case.
    """

    def scaled(name: str, said: str, factors: Sequence[float]) -> Relation:
        message = f"it is {said} the right one: a sum for a mean, a mean for a sum, or a batch that isn't scaled up?"
        return Relation(Kind(name, message), [w * f for w, f in zip(wanted, factors, strict=True)])

    big = {name: ns for name, ns in sizes.items() if min(ns) >= 1 and max(ns) > 1}
    for name, ns in big.items():
        yield scaled("N times", f"N = {name} times", ns)
        yield scaled("1/N", f"1/N of, with N = {name},", [1 / n for n in ns])
        yield scaled("root N", f"√N, with N = {name}, times", [n**0.5 for n in ns])
        yield scaled("1/root N", f"1/√N, with N = {name}, times", [n**-0.5 for n in ns])
        if min(ns) > 1:
            less = [(n - 1) / n for n in ns]
            yield scaled("N - 1", f"N/(N - 1), with N = {name}, times", [1 / f for f in less])
            yield scaled("N for N - 1", f"(N - 1)/N, with N = {name}, times", less)
            said = f"√((N - 1)/N), with N = {name}, times"
            yield scaled("N for N - 1", said, [f**0.5 for f in less])
    for (name, ns), (other, ms) in permutations(big.items(), 2):
        if ns != ms:
            said = f"N/B times, with N = {name} and B = {other},"
            yield scaled("unscaled batch", said, [n / m for n, m in zip(ns, ms, strict=True)])
            said = f"√(N/B) times, with N = {name} and B = {other},"
            roots = [(n / m) ** 0.5 for n, m in zip(ns, ms, strict=True)]
            yield scaled("root N/B", said, roots)
            said = f"N·B times, with N = {name} and B = {other},"
            yield scaled("N B times", said, [n * m for n, m in zip(ns, ms, strict=True)])


def by_arguments(
    wanted: Sequence[Tensor], numbers: dict[str, list[float]], sizes: dict[str, list[int]]
) -> Iterator[Relation]:
    """Times a power of an argument that is a number, or its logarithm away.

    Args:
        wanted: right values, one a case.
        numbers: arguments above 0, by name, one a case.
        sizes: as for `sized`.
    """
    for name, xs in numbers.items():
        for said, power in ARGUMENTS.items():
            message = (
                f"it is {said.format(name)} the right one: that factor is missing, or too much."
            )
            values = [w * x**power for w, x in zip(wanted, xs, strict=True)]
            yield Relation(Kind(said.format(name).replace("`", ""), message), values)
        for size, ns in {"1": [1] * len(xs), **sizes}.items():
            many = "" if size == "1" else f"N times, with N = {size}, "
            for sign, word in ((1, "above"), (-1, "below")):
                message = f"it is {many}the logarithm of `{name}` {word} the right one."
                moved = [w + sign * n * math.log(x) for w, n, x in zip(wanted, ns, xs, strict=True)]
                yield Relation(Kind(f"log {name}", message), moved)


def shifted(wanted: Sequence[Tensor], sizes: dict[str, list[int]]) -> Iterator[Relation]:
    """A known constant away, once, for every row of something, or by the log of a size."""
    for label, constant in CONSTANTS.items():
        for sign, word in ((1, "above"), (-1, "below")):
            message = (
                f"it is {label} {word} the right one: a constant was left out or counted twice."
            )
            yield Relation(Kind("constant", message), [w + sign * constant for w in wanted])
            for name, ns in sizes.items():
                if max(ns) > 1:
                    message = f"it is N times {label} {word} the right one, with N = {name}."
                    moved = [w + sign * constant * n for w, n in zip(wanted, ns, strict=True)]
                    yield Relation(Kind("constant for every N", message), moved)
    for name, ns in sizes.items():
        for sign, word in ((1, "above"), (-1, "below")):
            if min(ns) >= 1 and max(ns) > 1:
                message = f"it is log N {word} the right one, with N = {name}: a sum for a mean inside a logarithm, or the other way?"
                moved = [w + sign * math.log(n) for w, n in zip(wanted, ns, strict=True)]
                yield Relation(Kind("log N", message), moved)


def proportional(
    found: Sequence[Tensor], wanted: Sequence[Tensor], tolerance: float
) -> Iterator[Relation]:
    """The same unknown factor or constant everywhere; needs two numbers that differ to say so."""
    if any(f.shape != w.shape for f, w in zip(found, wanted, strict=True)):
        return
    left = torch.cat([f.flatten() for f in found])
    right = torch.cat([w.flatten() for w in wanted])
    far = (left - right).abs().argmax()
    if len(right) < 2 or bool(torch.isclose(right, right[0], rtol=10 * tolerance).all()):
        return
    constant, factor = float(left[far] - right[far]), float(left[far] / right[far])
    yield Relation(
        Kind("constant", f"it is the right one plus {constant:.6g}, everywhere."),
        [w + constant for w in wanted],
    )
    if math.isfinite(factor) and factor != 0:
        yield Relation(
            Kind("factor", f"it is {factor:.6g} times the right one, everywhere."),
            [w * factor for w in wanted],
        )


REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "summed": torch.sum,
    "averaged": torch.mean,
    "added up by logsumexp": torch.logsumexp,
}


def reduced(wanted: Sequence[Tensor]) -> Iterator[Relation]:
    """Summed or averaged over what should have stayed."""
    least = min(w.ndim for w in wanted)
    if least == 0:
        return
    dims: list[tuple[int, ...]] = [(d,) for d in range(-least, 0)]
    for done, reduction in REDUCTIONS.items():
        for dim in [*dims, *([tuple(range(-least, 0))] if least > 1 else [])]:
            for keep in (False, True):
                where = f"dimension {dim[0]}" if len(dim) == 1 else "all dimensions"
                kind = Kind(
                    done, f"it is {done} over {where} of the right one, which keeps that dimension."
                )
                yield Relation(kind, [reduction(w, dim=dim, keepdim=keep) for w in wanted])


def arranged(wanted: Sequence[Tensor]) -> Iterator[Relation]:
    """The right numbers in the wrong places, or put in relation to each other."""
    for dim in range(-min(w.ndim for w in wanted), 0):
        for name, said, change in _arrangements(dim):
            kind = Kind(name, f"it {said} along dimension {dim}.")
            yield Relation(kind, [change(w) for w in wanted])
    few = {w.shape[-1] for w in wanted if w.ndim}
    if all(w.ndim for w in wanted) and len(few) == 1 and max(few) in (3, 4):
        for order in permutations(range(max(few))):
            kind = Kind("order", "it has the right numbers in another order.")
            yield Relation(kind, [w[..., list(order)] for w in wanted])


def _arrangements(dim: int) -> list[tuple[str, str, Map]]:
    numbers = "has the right numbers"
    return [
        ("reversed", f"{numbers} in the reverse order", lambda w: w.flip(dim)),
        ("shifted by one", f"{numbers} one place on", lambda w: w.roll(1, dim)),
        ("shifted by one", f"{numbers} one place back", lambda w: w.roll(-1, dim)),
        ("sorted", f"{numbers} sorted", lambda w: w.sort(dim).values),
        ("cumulative", "is the cumulative sum of the right one", lambda w: w.cumsum(dim)),
        ("normalised", "is the right one divided by its sum", lambda w: w / w.sum(dim, True)),
        ("softmax", "is the softmax of the right one", lambda w: w.softmax(dim)),
        ("log softmax", "is the log softmax of the right one", lambda w: w.log_softmax(dim)),
        ("centred", "is the right one minus its mean", lambda w: w - w.mean(dim, True)),
    ]


def backwards(found: Sequence[Tensor]) -> Iterator[Relation]:
    """What is still to be done to the answer: its values here are to be the right ones."""
    least = min(f.ndim for f in found)
    for dim in range(-least, 0):
        for done, reduction in REDUCTIONS.items():
            kind = Kind(f"not {done}", f"it is to be {done} over dimension {dim}, still.")
            yield Relation(kind, [reduction(f, dim=dim) for f in found])
        kind = Kind("not added up", f"exp of it is to be added up over dimension {dim}, still.")
        yield Relation(kind, [-(-f).logsumexp(dim) for f in found])
        kind = Kind(
            "not normalised", f"it is to be divided by its sum over dimension {dim}, still."
        )
        yield Relation(kind, [f / f.sum(dim, True) for f in found])
        kind = Kind("no softmax", f"its softmax over dimension {dim} is what is asked for.")
        yield Relation(kind, [f.softmax(dim) for f in found])
        kind = Kind("differences", f"it is the differences of the right one along dimension {dim}.")
        yield Relation(kind, [f.cumsum(dim) for f in found])
    for done, reduction in REDUCTIONS.items() if least >= 2 else ():
        kind = Kind(f"not {done}", f"it is to be {done} over all dimensions, still.")
        yield Relation(kind, [reduction(f, dim=tuple(range(f.ndim))) for f in found])
    if least >= 2 and all(f.shape[-1] == f.shape[-2] for f in found):
        message = (
            "shapes (N,) and (N, 1) were broadcast to (N, N): its diagonal is the right answer."
        )
        yield Relation(Kind("broadcast", message), [f.diagonal(dim1=-2, dim2=-1) for f in found])
    if least:
        for said, size in (("first", 0), ("last", -1)):
            kind = Kind("too many", f"only its {said} entry along dimension 0 was asked for.")
            yield Relation(kind, [f[size] for f in found])


def reshaped(found: Sequence[Tensor], wanted: Sequence[Tensor], tolerance: float) -> Kind | None:
    """The right numbers in another shape."""
    if all(f.shape == w.shape for f, w in zip(found, wanted, strict=True)):
        return None
    if not agree([f.flatten() for f in found], [w.flatten() for w in wanted], tolerance):
        return None
    shapes = f"{tuple(found[0].shape)}, should be {tuple(wanted[0].shape)}"
    return Kind("shape", f"the numbers are right; its shape is {shapes}.")


def blamed(found: Sequence[Tensor], wanted: Sequence[Tensor], tolerance: float) -> Kind | None:
    """Where a result is right but for one part of it, or but for rounding."""
    if any(f.shape != w.shape for f, w in zip(found, wanted, strict=True)):
        return None
    right = [close(f, w, tolerance) for f, w in zip(found, wanted, strict=True)]
    if all(w.ndim >= 2 and w.shape[-1] == w.shape[-2] for w in wanted):
        eye = [torch.eye(w.shape[-1], dtype=torch.bool).expand(w.shape) for w in wanted]
        if all(bool((r | e).all()) for r, e in zip(right, eye, strict=True)):
            return Kind("on the diagonal", "it is wrong on the diagonal only.")
        if all(bool((r | ~e).all()) for r, e in zip(right, eye, strict=True)):
            return Kind("off the diagonal", "it is right on the diagonal and wrong elsewhere.")
    if all(w.ndim and w.shape[-1] > 2 for w in wanted):
        for place, said in ((0, "first"), (-1, "last")):
            others = [r.movedim(-1, 0) for r in right]
            rest = [o[1:] if place == 0 else o[:-1] for o in others]
            if all(bool(o.all()) for o in rest):
                return Kind(f"{said} entry", f"it is wrong in the {said} entry only.")
    if agree(found, wanted, ROUNDED):
        size = max(
            float(((f - w).abs() / w.abs().clamp(min=1e-12)).max())
            for f, w in zip(found, wanted, strict=True)
        )
        return Kind(
            "rounding",
            f"it is right to a relative {size:.1g}, and more is asked: rounded, or in float32?",
        )
    return None


def close(left: Tensor, right: Tensor, tolerance: float) -> Tensor:
    """Where two tensors of one shape agree within the tolerance, relative and absolute."""
    return torch.isclose(left, right, rtol=tolerance, atol=tolerance, equal_nan=True)


def agree(left: Sequence[Tensor], right: Sequence[Tensor], tolerance: float) -> bool:
    """Whether tensors agree case by case, in shape and numbers, and hold numbers that are finite."""
    return all(
        a.shape == b.shape and bool(close(a, b, tolerance).all())
        for a, b in zip(left, right, strict=True)
    ) and any(bool(torch.isfinite(b).any()) for b in right)
