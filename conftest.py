"""The chapters are compared with what the build executed (tests/as_built.py)."""

from tests.as_built import pytest_collect_file

__all__ = ["pytest_collect_file"]
