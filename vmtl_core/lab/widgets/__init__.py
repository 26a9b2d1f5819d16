"""Widgets of the book: their arithmetic runs in the browser, with a kernel or without one.

Importing this package imports anywidget; `import vmtl_core` does not.
"""

from vmtl_core.lab.widgets._recording import SCHEDULES, record_replay, record_run
from vmtl_core.lab.widgets._retrain import retrain
from vmtl_core.lab.widgets.echo import EchoChamberExplorer
from vmtl_core.lab.widgets.evidence import EvidenceExplorer
from vmtl_core.lab.widgets.groups import GroupsExplorer
from vmtl_core.lab.widgets.kl import KLExplorer
from vmtl_core.lab.widgets.latent import LatentExplorer
from vmtl_core.lab.widgets.lines import LinesLaboratory
from vmtl_core.lab.widgets.mixture import MixtureExplorer
from vmtl_core.lab.widgets.predictive import PredictiveExplorer
from vmtl_core.lab.widgets.replay import TrainingReplay
from vmtl_core.lab.widgets.temperature import TemperatureExplorer

__all__ = [
    "SCHEDULES",
    "EchoChamberExplorer",
    "EvidenceExplorer",
    "GroupsExplorer",
    "KLExplorer",
    "LatentExplorer",
    "LinesLaboratory",
    "MixtureExplorer",
    "PredictiveExplorer",
    "TemperatureExplorer",
    "TrainingReplay",
    "record_replay",
    "record_run",
    "retrain",
]
