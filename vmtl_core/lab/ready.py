"""Importing this module asks whether all that the chapters need is here; their first cells do.

A plain install of the package brings this module too, but not the libraries that the book needs.
"""

from importlib.util import find_spec

# What the extra `lab` of pyproject.toml installs, as Python imports it.
LIBRARIES = (
    "numpy",
    "scipy",
    "matplotlib",
    "seaborn",
    "pandas",
    "sklearn",
    "statsmodels",
    "mlxtend",
    "anywidget",
    "ipywidgets",
)


def missing() -> list[str]:
    """The libraries that the chapters need and that are not installed."""
    return [name for name in LIBRARIES if find_spec(name) is None]


if names := missing():
    raise ImportError(f"the chapters need {', '.join(names)}, which `vmtl-core[lab]` installs")
