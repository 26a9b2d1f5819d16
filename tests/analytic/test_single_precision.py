"""What autocast has rounded to half precision is computed with in single precision."""

import pytest
import torch

from vmtl_core._precision import HALF, single


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_becomes_single(dtype: torch.dtype) -> None:
    found = single(torch.tensor([1.5, -2.0], dtype=dtype))
    assert found.dtype == torch.float32
    assert found.tolist() == [1.5, -2.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_others_stay_as_they_are(dtype: torch.dtype) -> None:
    value = torch.ones(2, dtype=dtype)
    assert single(value) is value
