"""Draw book/images/readme.png from fits to the linked tasks of chapter 7.

    python tools/make_readme_picture.py

Boundaries of three tasks with 10 points each, learned alone and together, and the mixing weights
and responsibilities of a fit with 480 points each. Some seconds on one core.
"""

from pathlib import Path

import torch

from vmtl_core.lab.datasets import linked_tasks
from vmtl_core.lab.experiments.linked import fit_model, predict_with
from vmtl_core.lab.plots import use_style
from vmtl_core.lab.plots.chapter_07 import overview

PICTURE = Path(__file__).parents[1] / "book" / "images" / "readme.png"


def main(picture: Path = PICTURE) -> None:
    torch.set_num_threads(1)
    use_style()
    few, _ = linked_tasks(seed=2).split(10, seed=2)
    many, _ = linked_tasks(seed=0).split(480, seed=0)
    together, _ = fit_model(few)
    alone, _ = fit_model(few, base_prior="standard")
    informed, _ = fit_model(many)
    figure = overview(
        {
            "alone": lambda x, task: predict_with(alone.source_weights(), x, task),
            "together": lambda x, task: predict_with(together.q_weights(), x, task),
        },
        few,
        {
            "mixing weights α, 480 points": informed.alpha(),
            "who explains whom, φ": informed.responsibilities(),
        },
    )
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110, metadata={"Software": None})
    print(f"wrote {picture.name}")


if __name__ == "__main__":
    main()
