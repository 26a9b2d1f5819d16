"""The wrong versions that `tools/mutate.py` tries: each differs in one place, and is Python."""

import ast

from tools.mutations import mutants, required_arguments

SOURCE = '''"""Docstring with 1 + 2."""
import torch

LIMIT = 0.3


@torch.no_grad()
def f(x: int, scale: float = 2.0, generator=None) -> int:
    """Another, x < 3."""
    if x < 3 and not scale:
        raise ValueError(f"{x + 1}")
    x = x.detach().mean(0)
    return g(x, -scale, generator=generator) if x else h(x, 1, generator)
'''
EXPECTED = [
    "constant: 0.3 -> 1.3",
    "another function: no_grad -> enable_grad",
    "constant: 2.0 -> 3.0",
    "operator: < -> <=",
    "operator: < -> >",
    "operator: and -> or",
    "sign or `not` dropped: not scale -> (scale)",
    "condition turned: x < 3 and not scale -> not (x < 3 and not scale)",
    "statement deleted: x = x.detach().mean(0) -> pass",
    "call dropped: .detach() -> (nothing)",
    "another function: mean -> sum",
    "arguments swapped: x, -scale -> -scale, x",
    "sign or `not` dropped: -scale -> (scale)",
    "argument dropped: , generator=generator -> (nothing)",
    "argument dropped: , generator -> (nothing)",
    "constant: 1 -> (0)",
]


def test_every_kind_is_found() -> None:
    """Formulas, defaults, arguments that aren't handed on; nothing in texts and annotations."""
    found = mutants(SOURCE, {"h": 2})
    described = [one.describe(SOURCE) for one in found]
    missing = [wanted for wanted in EXPECTED if not any(wanted in one for one in described)]
    assert missing == []
    assert not any("1 + 2" in one or "x + 1" in one or "Docstring" in one for one in described)
    lines = SOURCE.splitlines()
    for one in found:
        changed = one.apply(SOURCE)
        assert changed != SOURCE
        ast.parse(changed)
        assert changed.startswith("\n".join(lines[: one.line - 1]))


def test_arguments_that_may_be_left_out() -> None:
    """Only those with defaults: a call without the others would fail at once."""
    assert required_arguments([SOURCE]) == {"f": 1}
    calls = "f(a, b)\nf(a)\n"
    dropped = [m.describe(calls) for m in mutants(calls, {"f": 1}) if m.kind == "argument dropped"]
    assert dropped == ["argument dropped: , b -> (nothing)"]


def test_a_device_is_not_dropped() -> None:
    """No test on the CPU could see it."""
    found = [m.describe("") for m in mutants("zeros(2, dtype=a, device=b)\n")]
    assert len([one for one in found if "argument dropped" in one]) == 1


def test_letters_of_several_bytes() -> None:
    """The syntax tree counts bytes, the text letters."""
    source = "ε = 'δ' if σ else τ + 1\n"
    (plus,) = [m for m in mutants(source) if m.kind == "operator"]
    assert plus.apply(source) == "ε = 'δ' if σ else τ - 1\n"
