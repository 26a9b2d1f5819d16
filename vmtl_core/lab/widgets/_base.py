"""What every widget shares: its JavaScript from the `js` folder, checked traits, a stable repr."""

import math
import re
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (function|const) (\w+)", re.MULTILINE)
_ASIDE = re.compile(r"^[ \t]*/\*\*.*?\*/\n|^[ \t]*//[^\n]*\n|^[ \t]+|^\n", re.MULTILINE | re.DOTALL)


def _source(file: str) -> str:
    return (files("vmtl_core.lab.widgets") / "js" / file).read_text(encoding="utf-8")


def bundle(name: str) -> str:
    """One ECMAScript module, as anywidget wants it, from `js/<name>.js` and what that imports.

    The rule: an import is `import { a, b } from "./module.js";` and starts a line; what a module
    gives is `export function` or `export const` at the start of a line. An imported module
    becomes a function called once, so its private names stay private. Comments that have a line of
    their own, and the space that lines begin with, stay behind: a page carries what is left.
    """
    done: dict[str, str] = {}

    def body(module: str) -> str:
        text = _source(f"{module}.js")
        for _, imported in _IMPORT.findall(text):
            if imported not in done:
                done[imported] = _wrapped(imported, body(imported))
        return _IMPORT.sub(r"const \1 = $\2;\n", text)

    entry = body(name)
    return _lighter("\n".join([*done.values(), entry]))


def _lighter(text: str) -> str:
    """A module without comments and indents; no text of a template goes over the end of a line."""
    return _ASIDE.sub("", text)


def _wrapped(module: str, text: str) -> str:
    names = ", ".join(name for _, name in _EXPORT.findall(text))
    inside = _EXPORT.sub(r"\1 \2", text)
    return f"const ${module} = (() => {{\n{inside}\nreturn {{ {names} }};\n}})();\n"


def stylesheet(*names: str) -> str:
    """The style sheets `js/<name>.css`, one after the other."""
    return "\n".join(_source(f"{name}.css") for name in names)


class WidgetValueError(ValueError, traitlets.TraitError):
    """A bad argument of a widget. A TraitError too, so that traitlets undoes the assignment."""


def require(condition: bool, message: str) -> None:
    """Raise `WidgetValueError(message)` unless `condition` holds."""
    if not condition:
        raise WidgetValueError(message)


def plain(value: Any) -> Any:
    """Tensors, arrays and nested sequences as nested lists; what is infinite or NaN as None."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) if math.isfinite(value) else None
    return value


def is_row(value: Any, length: int) -> bool:
    """Whether `value` is a list or tuple of `length` finite numbers."""
    return (
        isinstance(value, list | tuple)
        and len(value) == length
        and all(isinstance(entry, float) for entry in value)
    )


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of nested lists, read along their first entries."""
    return (len(value), *shape_of(value[0])) if isinstance(value, list | tuple) and value else ()


def frozen(value: Any) -> Any:
    """Nested lists as nested tuples: what was checked can't be changed in place."""
    return tuple(frozen(entry) for entry in value) if isinstance(value, list | tuple) else value


def whole(name: str, value: Any, low: int, high: int) -> int:
    """`value` as an int in [low, high]."""
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and value % 1 == 0
    require(
        fits and low <= value <= high,
        f"`{name}` must be a whole number in {low}...{high}; got {value!r}",
    )
    return int(value)


def between(name: str, given: Any, low: float, high: float) -> float:
    """`given` as a float in [low, high]."""
    value = plain(given)
    require(
        isinstance(value, float) and low <= value <= high,
        f"`{name}` must be a number in {low:g}...{high:g}; got {given!r}",
    )
    return float(value)


class Numbers(traitlets.TraitType[Any, Any]):
    """A row, or rows, of numbers as tuples; takes tensors, arrays and lists; JSON can hold them."""

    info_text = "numbers"

    def validate(self, obj: Any, value: Any) -> Any:
        """The value as nested tuples."""
        return frozen(plain(value))


class Widget(anywidget.AnyWidget):
    """Base of the widgets of the book.

    A subclass sets `_esm = bundle("name")` and `_css = stylesheet("base", "name")`, has traits
    tagged `sync=True`, and a `_summary()` for its repr.
    """

    question = traitlets.Unicode("").tag(sync=True)

    def _summary(self) -> str:
        return ""

    def __repr__(self) -> str:
        """Without a memory address, so that a stored output never changes."""
        return f"{type(self).__name__}({self._summary()})"
