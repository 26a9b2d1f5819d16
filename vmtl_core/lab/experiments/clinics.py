"""The clinics of chapter 0: three ways to predict held-out patients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from scipy import stats

from vmtl_core.lab.baselines import fit_mixed
from vmtl_core.lab.datasets import MultiTaskData
from vmtl_core.lab.datasets.clinics import INPUTS
from vmtl_core.table import VMTLRegressor

TARGET = "walk_after"
HELD_OUT = 1 / 3


def split(table: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two thirds of every clinic's patients to learn from, the rest to be predicted."""
    mixed = table.sample(frac=1, random_state=seed)
    place = mixed.groupby("clinic").cumcount()
    size = mixed.groupby("clinic")["clinic"].transform("size")
    test = place >= np.ceil((1 - HELD_OUT) * size)
    return mixed[~test], mixed[test]


def compare(table: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """Held-out scores of every split and method.

    Returns:
        One row for each split and method: `log score` (nats a patient), `error` (root mean square,
        metres), `inside` (share within 90 % intervals).
    """
    rows = []
    for seed in range(seeds):
        train, test = split(table, seed)
        y = test[TARGET].to_numpy(dtype=float)
        models = {
            "one line for all": VMTLRegressor(sources="own").fit(
                train, target=TARGET, inputs=list(INPUTS)
            ),
            "a line a clinic": VMTLRegressor(task="clinic").fit(
                train, target=TARGET, inputs=list(INPUTS)
            ),
        }
        for name, model in models.items():
            answer = model.predict(test)
            scores = model.log_score(test).to_numpy()
            inside = (answer["lower"].to_numpy() <= y) & (y <= answer["upper"].to_numpy())
            rows.append(_row(seed, name, scores, answer["mean"].to_numpy() - y, inside))
        mean, sd = _random_intercepts(models["a line a clinic"], train, test)
        law = stats.norm(mean, sd)
        inside = np.abs(law.cdf(y) - 0.5) < 0.45
        rows.append(_row(seed, "random intercepts", law.logpdf(y), mean - y, inside))
    return pd.DataFrame(rows)


def _row(
    seed: int, name: str, scores: np.ndarray, away: np.ndarray, inside: np.ndarray
) -> dict[str, object]:
    return {
        "seed": seed,
        "method": name,
        "log score": float(scores.mean()),
        "error": float(np.sqrt((away**2).mean())),
        "inside": float(inside.mean()),
    }


def _random_intercepts(
    model: VMTLRegressor, train: pd.DataFrame, test: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd of held-out patients by a mixed model of the same coded inputs."""
    known = torch.tensor([model.tasks_.index(one) for one in train["clinic"]])
    asked = torch.tensor([model.tasks_.index(one) for one in test["clinic"]])
    x = model.inputs_.design(train[list(INPUTS)])[:, :-1]
    new = model.inputs_.design(test[list(INPUTS)])[:, :-1]
    centre, unit = x.mean(0), x.std(0)
    y = torch.tensor(train[TARGET].to_numpy(dtype=float))
    level, scale = y.mean(), y.std()
    names = tuple(str(one) for one in model.tasks_)

    def data(x: torch.Tensor, y: torch.Tensor, task: torch.Tensor) -> MultiTaskData:
        return MultiTaskData(
            (x - centre) / unit, y, task, names, tuple(model.inputs_.names[:-1]), TARGET, ""
        )

    fitted = fit_mixed(data(x, (y - level) / scale, known), random_slopes=False)
    found = fitted.predict(data(new, torch.zeros(len(new)).double(), asked))
    law = found.distribution()
    return (level + scale * law.mean).numpy(), (scale * law.stddev).numpy()
