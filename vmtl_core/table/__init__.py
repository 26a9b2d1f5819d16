"""The front door: a data frame in, a data frame out. Needs pandas and scikit-learn."""

try:
    import pandas  # noqa: F401
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"vmtl_core.table needs pandas and scikit-learn, and there is no {error.name}: "
        "pip install 'vmtl-core[table]'"
    ) from error

from vmtl_core.table.classifier import VMTLClassifier
from vmtl_core.table.counter import VMTLCounter
from vmtl_core.table.reading import read_csv
from vmtl_core.table.regressor import VMTLRegressor
from vmtl_core.table.told import UnseenWarning

__all__ = ["UnseenWarning", "VMTLClassifier", "VMTLCounter", "VMTLRegressor", "read_csv"]
