"""A table's fit works with one thread, whatever torch has, and puts that back."""

import pandas as pd
import pytest
import torch

from vmtl_core.table import VMTLRegressor, base
from vmtl_core.table.threads import one_thread


def test_a_fit_has_one_thread(table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    for name in ("fit", "predictive"):
        original = getattr(base, name)

        def counted(*args: object, original: object = original, **options: object) -> object:
            seen.append(torch.get_num_threads())
            return original(*args, **options)  # type: ignore[operator]

        monkeypatch.setattr(base, name, counted)
    torch.set_num_threads(2)
    VMTLRegressor(task="clinic").fit(table, target="score", inputs=["age"]).predict(table)
    assert seen == [1, 1]
    assert torch.get_num_threads() == 2


def test_put_back_after_an_error() -> None:
    def fails() -> None:
        with one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError

    torch.set_num_threads(2)
    with pytest.raises(KeyError):
        fails()
    assert torch.get_num_threads() == 2
