"""Exercises of chapter 0: a small task, a decision with costs, the right tool, what a plot can't tell."""

import torch
from torch import Tensor
from torch.distributions import Normal

from vmtl_core.lab.exercises.engine import Exercise, Mistake


def stub_0_2(mean: Tensor, sd: Tensor, limit: float, visit: float, fall: float) -> Tensor:
    """1 where a visit is worth its cost, else 0, (N,): y ~ N(mean, sd^2), a fall costs if y < limit."""
    raise NotImplementedError("your code here")


def solution_0_2(mean: Tensor, sd: Tensor, limit: float, visit: float, fall: float) -> Tensor:
    """1 where a visit is worth its cost, else 0, (N,): y ~ N(mean, sd^2), a fall costs if y < limit."""
    chance = Normal(mean, sd).cdf(torch.as_tensor(limit))
    return (chance * fall > visit).to(mean)


def cases_0_2() -> list[tuple[Tensor, Tensor, float, float, float]]:
    return [
        (300 + 60 * torch.randn(40), 20 + 40 * torch.rand(40), 280.0, 1.0, cost)
        for cost in (4.0, 10.0)
    ]


EXERCISES = [
    Exercise(
        number="0.1",
        title="Three patients",
        solution="c",
        nudge="Two numbers are to be weighed. Which is the surer one, and is the other worth "
        "nothing?",
        hint="How sure is a mean of three? What is known of clinics before these three are seen?",
        mistakes=[
            Mistake(
                "alone",
                "that is the clinic learned alone; a mean of three patients has a standard error of "
                "about 20 m here, and the other clinics say how far a clinic can be from them.",
                "a",
            ),
            Mistake(
                "pooled",
                "that is the pooled answer, as if clinics did not differ; their spread is what the "
                "summary calls sd of tasks.",
                "b",
            ),
            Mistake(
                "away",
                "the prior draws a mean towards the population, never away from it.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="0.2",
        title="A decision with costs",
        stub=stub_0_2,
        solution=solution_0_2,
        cases=cases_0_2,
        stars=2,
        nudge="What would you pay, on average, for each of the two decisions about one patient?",
        hint="What does it cost on average not to visit? Compare that with the price of a visit.",
        mistakes=[
            Mistake(
                "mean only",
                "that visits whose mean is below the limit, which forgets the sd and both costs.",
                lambda mean, sd, limit, visit, fall: (mean < limit).to(mean),
            ),
            Mistake(
                "other tail",
                "that is the probability of being above the limit, the other tail of the predictive.",
                lambda mean, sd, limit, visit, fall: (
                    (1 - Normal(mean, sd).cdf(torch.as_tensor(limit))) * fall > visit
                ).to(mean),
            ),
            Mistake(
                "gain",
                "that is what a visit is worth on average, less its price. A decision is asked for: 1 "
                "where that expected gain is above 0.",
                lambda mean, sd, limit, visit, fall: (
                    Normal(mean, sd).cdf(torch.as_tensor(limit)) * fall - visit
                ),
            ),
            Mistake(
                "even odds",
                "that asks whether a fall is likelier than not, whatever it costs; the average cost "
                "decides.",
                lambda mean, sd, limit, visit, fall: (
                    Normal(mean, sd).cdf(torch.as_tensor(limit)) > 0.9
                ).to(mean),
            ),
        ],
    ),
    Exercise(
        number="0.3",
        title="The right tool",
        solution="b",
        nudge="Draw the tables: does every row belong to one task only, and to one kind of task?",
        hint="Which of them does a single task column describe?",
        mistakes=[
            Mistake(
                "tasks",
                "shops are tasks, and their coefficients may differ: that is what a task column is "
                "for.",
                "a",
            ),
            Mistake(
                "counts",
                "counts with an exposure have a likelihood here: VMTLCounter, one task a ward.",
                "c",
            ),
            Mistake(
                "new task",
                "a new task is predicted from what all tasks have in common, its interval is wider.",
                "d",
            ),
        ],
    ),
    Exercise(
        number="0.4",
        title="What the picture can't tell",
        solution="c",
        stars=2,
        nudge="For each sentence, think of a model that is wrong in that way: would its points leave the "
        "diagonal?",
        hint="A share is an average over patients, and it knows nothing of an interval's width.",
        mistakes=[
            Mistake(
                "every clinic",
                "the share is an average over all patients. Intervals that hold 65 % in small clinics and "
                "85 % in large ones lie on the diagonal too, if three patients of four are from large "
                "ones. Calibration clinic by clinic is another picture.",
                "a",
            ),
            Mistake(
                "as narrow as can be",
                "calibration says nothing of width. The distribution of all patients together, the same "
                "for everyone, is calibrated as well; the log score pays for being narrow too.",
                "b",
            ),
            Mistake(
                "this patient",
                "that is a probability given what is known of one patient. The picture averages over the "
                "patients near 250 m and those far from it, so their intervals may be wrong both ways.",
                "d",
            ),
        ],
    ),
]
