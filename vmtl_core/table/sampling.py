"""Draws from a fitted model, as ArviZ takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.distributions import Distribution

from vmtl_core._checks import positive_int
from vmtl_core._random import forked
from vmtl_core.points import posterior_points
from vmtl_core.table.tasks import ids_of
from vmtl_core.weight_draws import gaussians

CHAINS = 4
"""Draws are independent; in so many parts ArviZ's checks of chains can be made."""
TAKEN = ("task", "input", "class", "row", "coefficients", "row_task")
"""Names that a target can't have; it gets a line below."""


class Sampling:
    """A method of a fitted estimator that draws."""

    model_: Any
    history_: Any
    inputs_: Any
    tasks_: list[Any]
    target_name_: Any
    seed: int
    log_unit_: float

    def to_arviz(
        self, X: Any, y: Any = None, task: Any = None, *, exposure: Any = None, draws: int = 250
    ) -> Any:
        """Draws from the posterior, for ArviZ: its plots, its summary, PSIS-LOO.

        Needs ArviZ: `pip install "vmtl-core[arviz]"`. PSIS-LOO is of the rows that were fitted; the
        plots take others too.

        Args:
            X, y, task, exposure: rows of fitted tasks, as in `score`.
            draws: in each of four chains. All are independent.

        Returns:
            ArviZ's `DataTree`, before ArviZ 1 its `InferenceData`, with the groups

            - `posterior`: `coefficients` (task, input, and of three classes or more class) and
              `noise_scale`, in the table's units; and after an average over the hyperparameters
              `population_mean`, `population_sd` and `transfer_width`. Coefficients are drawn at
              that of the average's points whose noise is the nearest in rank, those of classes and
              counts at any;
            - `log_likelihood`, `posterior_predictive` and `observed_data`: the target, of each row;
              labels as their places in `classes_`;
            - `constant_data`: the rows' tasks.

        Raises:
            ValueError: for rows that can't be read or are of unseen tasks.
            ImportError: without ArviZ.
        """
        check_is_fitted(self)
        positive_int("draws", draws)
        given = self._read(X, task, exposure, reset=False)  # type: ignore[attr-defined]
        truth = self._truth(X, y)  # type: ignore[attr-defined]
        ids = ids_of(given.task, self.tasks_, self.model_.tasks, "raise")
        x, y = self.inputs_.design(given.inputs), self._coded(truth)  # type: ignore[attr-defined]
        with torch.no_grad(), forked(self.seed, torch.device("cpu")):
            hyper = self._hyperparameters(CHAINS * draws)
            w, noise = self._weights(CHAINS * draws, hyper.pop("noise_scale", None))
            law = self._law_given(_predictor(w, x, ids), noise, given.exposure)
            found = {"log_likelihood": law.log_prob(y), "posterior_predictive": law.sample()}
        posterior = self._posterior(w, noise, hyper)
        name = str(self.target_name_)
        name += "_" * (name in TAKEN)
        rows = {group: {name: _chains(values)} for group, values in found.items()}
        rows |= {"posterior": posterior, "observed_data": {name: y.numpy()}}
        rows |= {"constant_data": {"row_task": given.task.astype(str).to_numpy(dtype=str)}}
        return _converted(rows, self._names(given.task.index), name)

    def _hyperparameters(self, count: int) -> dict[str, Tensor]:
        """Joint draws of the hyperparameters, (S, ...); none without an average."""
        found = self.history_.draws
        kept = max([1, *map(len, found.values())])
        chosen = torch.randint(kept, (count,))
        return {name: values[chosen] for name, values in found.items()}

    def _weights(self, count: int, noise: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """w (S, T, P, D) and the noise's sd, (S, 1).

        w is of that point of the hyperparameters whose noise has the rank of the draw's.
        """
        points = posterior_points(self.model_)
        assert points is not None
        law = gaussians(self.model_, points, False)
        assert law is not None
        point = law.log_weights.exp().multinomial(count, True)
        if noise is not None and law.noise is not None:
            point = point[law.noise[point, 0].argsort()][noise[:, 0].argsort().argsort()]
        elif law.noise is not None:
            noise = law.noise[point, :1]
        return law.draw(point, torch.arange(len(self.tasks_))), noise

    def _law_given(
        self, eta: Tensor, noise: Tensor | None, exposure: np.ndarray | None
    ) -> Distribution:
        """p(y|w) of every draw and row, for linear predictors (S, N, P)."""
        raise NotImplementedError

    def _posterior(
        self, w: Tensor, noise: Tensor | None, hyper: dict[str, Tensor]
    ) -> dict[str, np.ndarray]:
        """What is drawn, in the table's units."""
        found = {"coefficients": self._in_units(w)}
        if noise is not None:
            found["noise_scale"] = _chains(noise[:, 0])
        for name, values in hyper.items():
            columns = values.reshape(*values.shape[:2], -1).mT
            if name == "population_mean":
                found[name] = self._in_units(columns)
            else:
                unit = self.inputs_.unit if name == "population_sd" else 1.0
                found[name] = _columns(columns.double().numpy() / unit)
        return found

    def _in_units(self, w: Tensor) -> np.ndarray:
        """(S, ..., P, D) as (4, S / 4, ..., D) or (..., D, P)."""
        values = w.double().numpy() / self.inputs_.unit
        values[..., -1] += self.log_unit_
        return _columns(values)

    def _names(self, index: Any) -> dict[str, Any]:
        """Along each dimension."""
        named = index if index.is_unique and not isinstance(index, pd.MultiIndex) else None
        classes = self._class_names()  # type: ignore[attr-defined]
        found = {
            "task": [str(one) for one in self.tasks_],
            "input": self.inputs_.names,
            "row": np.arange(len(index)) if named is None else named.to_numpy(),
        }
        return found | ({"class": [str(one) for one in classes]} if len(classes) > 1 else {})


def _predictor(w: Tensor, x: Tensor, ids: Tensor) -> Tensor:
    """x'w of every draw and row, (S, N, P)."""
    eta = w.new_empty(len(w), len(x), w.shape[2])
    for t in ids.unique().tolist():
        rows = ids == t
        eta[:, rows] = (w[:, t] @ x[rows].to(w).mT).mT
    return eta


def _chains(values: Tensor | np.ndarray) -> np.ndarray:
    """(S, ...) as (4, S / 4, ...)."""
    found = np.asarray(values)
    return found.reshape(CHAINS, -1, *found.shape[1:])


def _columns(values: np.ndarray) -> np.ndarray:
    """(S, ..., P, D) as chains (..., D), or (..., D, P) where there are several columns."""
    found = np.moveaxis(values, -2, -1)
    return _chains(found if found.shape[-1] > 1 else found[..., 0])


def _converted(rows: dict[str, Any], coords: dict[str, Any], target: str) -> Any:
    """The groups as the ArviZ that is installed takes them."""
    try:
        import arviz
    except ImportError as error:
        raise ImportError(
            f'{error}: `to_arviz` needs ArviZ, pip install "vmtl-core[arviz]"'
        ) from error
    last = ["class"] if "class" in coords else []
    dims = {"coefficients": ["task", "input", *last], target: ["row"], "row_task": ["row"]}
    dims |= {name: ["input", *last] for name in ("population_mean", "population_sd")}
    dims |= {"transfer_width": ["input", *last]}
    if arviz.__version__.startswith("0."):
        return arviz.from_dict(**rows, coords=coords, dims=dims)
    return arviz.from_dict(rows, coords=coords, dims=dims)
