"""A messy table, small enough to fit in a moment."""

import numpy as np
import pandas as pd

INPUTS = ["age", "sex", "smoker", "stage", "ward"]


def messy(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """Patients of six clinics, one called "N/A": text, booleans, an ordered column, gaps, labels.

    The index repeats, and its order says nothing.
    """
    draw = np.random.default_rng(seed)
    clinic = draw.choice(np.array(["N/A", "East", "West", "North", 7, "South"], dtype=object), rows)
    stage = pd.Categorical.from_codes(
        draw.integers(0, 3, rows), ["early", "middle", "late"], ordered=True
    )
    table = pd.DataFrame(
        {
            "clinic": clinic,
            "age": draw.normal(55, 12, rows),
            "sex": draw.choice(["female", "male"], rows),
            "smoker": draw.random(rows) < 0.3,
            "stage": stage,
            "ward": draw.choice(["a", "b", "c"], rows),
            "hours": draw.uniform(0.5, 40, rows),
        }
    )
    level = {name: draw.normal(0, 1) for name in pd.unique(clinic)}
    eta = (table["age"] - 55) / 12 + table["clinic"].map(level) + stage.codes * 0.5
    table["score"] = 40 + 5 * eta + draw.normal(0, 3, rows)
    table["better"] = np.where(eta + draw.logistic(size=rows) > 0, "yes", "no")
    table["outcome"] = np.select([eta < -0.5, eta < 1], ["worse", "same"], "better")
    table["visits"] = draw.poisson(table["hours"] * np.exp(0.3 * eta - 1.5))
    table.loc[draw.random(rows) < 0.05, "age"] = np.nan
    table.loc[draw.random(rows) < 0.05, "ward"] = None
    table.index = pd.Index(draw.integers(0, 50, rows))
    return table
