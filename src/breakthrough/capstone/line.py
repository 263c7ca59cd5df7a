"""A line that was built: every stage's artifact, and what every version of the net said of the held-out pictures.

Shape legend: N pictures of a domain, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from breakthrough.artifacts import Artifact
from breakthrough.capstone.spec import Spec
from breakthrough.train.pictures import Pictures

SYNTHETIC, LINE, VALID = "synthetic", "line", "valid"
DOMAINS = (SYNTHETIC, LINE)
VERSIONS = ("central", "federated", "quantized", "compiled")  # as the pipeline makes them; the last is what is served


@dataclass(frozen=True, eq=False)
class Line:
    """What the pipeline made.

    `artifacts` by stage. `sets` are the held-out pictures by domain, those of all factories, with what every pixel
    shows; `factory` says whose each is, as a number into `spec.factories`. `scores` by domain and version; VALID is there
    too: pictures kept from training, with which a threshold may be chosen. `served` is the class that the service answered
    over HTTP for each synthetic picture.

    Shapes: factory[domain] (N,), scores[domain][version] (N, C), labels of VALID (V,), served (N,)
    """

    spec: Spec
    artifacts: Mapping[str, Artifact]
    sets: Mapping[str, Pictures]
    factory: Mapping[str, np.ndarray]
    scores: Mapping[str, Mapping[str, np.ndarray]]
    valid_labels: np.ndarray
    served: np.ndarray

    @property
    def load(self) -> list[dict]:
        """What the service did under load: an outcome for each number of clients, plain data."""
        return list(self.artifacts["served"].metrics["load"])

    @property
    def seconds(self) -> dict[str, float]:
        """How long every stage took when it was made, in s."""
        return {name: float(one.metrics["seconds"]) for name, one in self.artifacts.items() if "seconds" in one.metrics}
