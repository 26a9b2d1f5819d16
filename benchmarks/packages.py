"""Which versions of packages a rival stands on, and whether they are there."""

import importlib.metadata
from collections.abc import Iterable


def versions(packages: Iterable[str]) -> str:
    """The packages with their versions; `PackageNotFoundError` if one is missing."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)


def found(packages: Iterable[str]) -> bool:
    """Whether all of them are installed."""
    try:
        return bool(versions(packages))
    except importlib.metadata.PackageNotFoundError:
        return False
