"""Training: a corpus every machine has, a byte-level model, a resumable loop, an experiment."""

from breakthrough.train.comparison import Comparison, Estimate, estimate
from breakthrough.train.corpus import Corpus
from breakthrough.train.experiment import compare, trained
from breakthrough.train.history import History, Point
from breakthrough.train.language import ByteLM, LanguageConfig
from breakthrough.train.loop import TrainConfig, train
from breakthrough.train.profiles import PROFILES, Profile

__all__ = [
    "PROFILES",
    "ByteLM",
    "Comparison",
    "Corpus",
    "Estimate",
    "History",
    "LanguageConfig",
    "Point",
    "Profile",
    "TrainConfig",
    "compare",
    "estimate",
    "train",
    "trained",
]
