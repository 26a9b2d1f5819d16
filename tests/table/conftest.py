"""What the tests of the front door share: its messy table."""

import pandas as pd
import pytest

from tests.table.tables import messy


@pytest.fixture
def table() -> pd.DataFrame:
    return messy()
