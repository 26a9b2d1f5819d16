"""Situations of the lines laboratory, each of which tells its story by numbers."""

from typing import Any

DEFAULTS: dict[str, Any] = {
    "temperature": 1.0,
    "draws": None,
    "sigma": None,
    "delta": 0.3,
    "sources": "own",
    "divergence": "jensen",
    "base": "learned",
}
"""What a preset doesn't say of itself; the arguments of `_lines_model.lines_fit` but its tasks."""


def _preset(name: str, story: str, tasks: list[list[list[float]]], **own: Any) -> dict[str, Any]:
    return {"name": name, "story": story, "setting": {"tasks": tasks, **DEFAULTS, **own}}


PRESETS: list[dict[str, Any]] = [
    _preset(
        "Two friends and a stranger",
        "Two tasks explain each other, the third is nobody's: the friends' lines come together, the stranger leans on p_0.",
        [
            [[-1.42, -0.77], [-0.75, -0.44], [0.05, 0.75], [1.79, 2.42], [1.8, 2.4]],
            [[-0.79, 0.1], [-0.68, 0.0], [0.15, 0.63], [1.01, 1.24], [1.15, 1.55]],
            [[-0.88, -0.38], [-0.06, -0.6], [1.0, -1.75], [1.85, -2.37], [1.92, -2.45]],
        ],
        sigma=0.4,
    ),
    _preset(
        "Four tasks in an echo",
        "Every task repeats to the others what they have told it: under joint sources four posteriors become narrower than all the data allow.",
        [
            [[-1.63, 0.22], [-0.95, 0.3], [-0.81, -0.35], [1.26, 1.44]],
            [[-1.4, -0.22], [-0.9, -0.26], [0.25, 0.83], [0.63, 0.7]],
            [[-1.25, -0.48], [-0.43, -0.15], [0.73, 0.85], [1.87, 1.8]],
            [[-0.73, -0.83], [-0.12, -0.41], [0.78, 1.21], [1.7, 1.31]],
        ],
        sigma=0.5,
        delta=0.05,
        sources="joint",
        base="none",
    ),
    _preset(
        "One task with two points",
        "Two points tell little of a line; what the other tasks are like tells the rest.",
        [
            [
                [-1.66, -0.99],
                [-1.62, 0.5],
                [-1.36, -0.35],
                [-1.05, -0.27],
                [-0.27, 0.46],
                [-0.08, 0.49],
                [0.33, 0.73],
                [1.21, 1.75],
            ],
            [
                [-1.99, -1.36],
                [-0.86, 0.03],
                [-0.83, 0.55],
                [-0.81, -0.2],
                [-0.74, -0.13],
                [0.59, 1.64],
                [0.78, 1.17],
                [1.89, 2.49],
            ],
            [
                [-1.17, 0.06],
                [-1.13, 0.25],
                [-0.81, 0.1],
                [0.52, 0.94],
                [0.89, 1.62],
                [0.97, 1.66],
                [1.32, 2.45],
                [1.73, 2.54],
            ],
            [[0.6, 1.41], [1.1, 2.18]],
        ],
    ),
    _preset(
        "Opposites",
        "Two tasks rise and two fall: their mean is no task's line, and each leans on its like.",
        [
            [[-1.68, -2.59], [0.05, 0.05], [1.77, 1.91], [1.9, 2.34]],
            [[-0.09, 0.01], [0.18, 0.37], [1.49, 1.11], [1.61, 2.56]],
            [[-1.29, 1.32], [0.44, -0.76], [1.72, -1.93], [1.88, -2.29]],
            [[-0.03, 0.3], [-0.01, -0.73], [0.0, -0.12], [1.83, -1.94]],
        ],
    ),
    _preset(
        "All the same",
        "One line drawn four times: nearly all that a task can hear is in p_0, which has become narrow.",
        [
            [[-1.78, -0.71], [-0.86, -0.32], [0.06, 0.23], [1.22, 1.65], [1.23, 2.02]],
            [[-1.06, -0.94], [-0.26, 0.28], [0.61, 0.46], [1.59, 1.36], [1.9, 1.63]],
            [[-1.74, -0.39], [-0.91, -0.8], [0.22, 0.55], [0.72, 0.61], [1.52, 1.49]],
            [[-2.0, -1.06], [-1.19, -0.77], [-0.25, -0.22], [0.01, 0.6], [0.83, 0.64]],
        ],
    ),
]
"""Each with its name, one sentence, and a setting of `linesFit` and `lines_fit`; data to a hundredth."""
