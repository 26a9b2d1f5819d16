"""All tests here run in double precision."""

from tests.double import _double_precision  # noqa: F401
