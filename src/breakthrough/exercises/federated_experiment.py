"""Module 3: the federated inspector, handed over as an artifact; see `federated_measure` for how it is judged."""

from __future__ import annotations

from pathlib import Path

from torch import Generator

from breakthrough.artifacts import Artifact
from breakthrough.exercises import federated_experiment_wrong as wrong
from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.federated_measure import measure
from breakthrough.federated.handover import CONTROL, HISTORY, SPLIT, save_federated
from breakthrough.federated.training import train_inspector
from breakthrough.train.inspector import CONFIG, KIND, WEIGHTS


def experiment(profile: str = "tiny", seed: int = 0) -> Artifact:
    """Federate the inspector over four factories that share module 2's pictures, train its controls, save all."""
    scenes = wrong.scenes()  # a small dataset; in the lab artifacts.latest("scenes")
    federation = train_inspector(scenes, profile, seed=seed, folder=wrong.folder(), progress=False)
    return save_federated(federation)


def _cases(generator: Generator):
    yield Case("the pictures of its dataset")


def _as_a_path() -> Path:
    return wrong.saved().folder


EXERCISES = (
    Exercise(
        name="federated.experiment",
        title="The federated inspector",
        points=8,
        minutes=55,
        difficulty=3,
        reference=experiment,
        cases=_cases,
        call=measure,
        compare=by_fault,
        expected=Outcome(),
        training=True,
        artifact=KIND,
        alternatives=(wrong.saved, wrong.by_camera, _as_a_path),
        misconceptions=(
            Misconception(
                "too little learned",
                wrong.untrained,
                "The weights know too little of the pictures: train all rounds of the profile, and save the weights after the last round, not those it began with.",
                variants=(wrong.stopped,),
            ),
            Misconception(
                "the control",
                lambda: wrong.saved(model=wrong.federated().control),
                "The federated model is its own control, trained on all pictures in one place: save the weights that the rounds ended with as the model.",
            ),
            Misconception(
                "one factory",
                wrong.alone(0),
                "This model learned from one factory: the others' pictures are hardly known to it; save the average after the last round, which all factories took part in.",
                variants=(wrong.alone(2), wrong.only_one_took_part),
            ),
            Misconception(
                "no sparse layer",
                wrong.dense,
                "Module 1's layer is not in this net: ask for experts in the plan's task options, config: experts=4, before you train.",
            ),
            Misconception(
                "in two factories",
                wrong.split(wrong.shared),
                "Some pictures are in two factories: every training picture belongs to exactly one, or data was moved after all.",
            ),
            Misconception(
                "test in training",
                wrong.split(wrong.everything),
                "Factories hold pictures that are for validation or test: share out the training part only, or the test asks for what was learned by heart.",
            ),
            Misconception(
                "pictures left out",
                wrong.split(wrong.some_lost),
                "Some training pictures are in no factory, while the control learned from all: number them as the dataset does, and give each to one factory.",
            ),
            Misconception(
                "no dataset named",
                lambda: wrong.resaved(dict, parents=()),
                "The parents do not name the dataset, so nobody can measure the model again: keep module 2's artifact in the store, and save its id among the parents.",
                variants=(lambda: wrong.resaved(dict, parents=("20200101-000000-000000-00000000",)),),
            ),
            Misconception(
                "weak control",
                wrong.without_control,
                "The control has learned too little to compare with: train it on all pictures, with the same model, optimizer, schedule and number of passes.",
            ),
            Misconception(
                "another number",
                lambda: wrong.saved(metrics={"accuracy": 0.99}),
                "The accuracy in the metrics is not what these weights have on the test pictures: measure the weights that you save, from 0 to 1.",
                variants=(lambda: wrong.saved(metrics={"accuracy": None}), lambda: wrong.saved(metrics={"accuracy": "0.6"})),
            ),
            Misconception(
                "another run",
                wrong.of_an_earlier_round,
                "The history ends with another accuracy than these weights have: save history and weights of the same run, after its last round.",
            ),
            Misconception(
                "does not load",
                lambda: wrong.resaved(wrong.other_shape),
                "Weights and config.json are not of one model: save both from the same model, as `to_files()` gives them.",
            ),
            Misconception(
                "a file is missing",
                wrong.without(SPLIT),
                "The artifact lacks a file: `save_federated` puts the model, its configuration, the split, the history and the control into it.",
                variants=(wrong.without(CONTROL), wrong.without(CONFIG)),
            ),
            Misconception(
                "unreadable",
                wrong.junk(WEIGHTS),
                "A file cannot be read as what it should be: save with `save_federated`, which writes each as it is read again.",
                variants=(wrong.junk(SPLIT), wrong.junk(HISTORY), wrong.junk(CONTROL), wrong.history_as_list),
            ),
            Misconception(
                "changed after saving",
                wrong.changed,
                "A file is not as it was when it was saved, for its hash differs: never edit an artifact, save a new one.",
            ),
            Misconception(
                "another kind",
                lambda: wrong.resaved(dict, kind="federated"),
                'The artifact is of another kind: the modules after this one look for kind "inspector".',
            ),
            Misconception(
                "the model",
                wrong.federated,
                "This is what was trained, not the artifact: hand it to `save_federated`, and pass what that returns.",
                variants=(lambda: wrong.federated().model,),
            ),
            Misconception(
                "nothing there",
                lambda: Path("no/such/folder"),
                "There is no artifact at this path: pass what `save_federated` returns.",
            ),
            Misconception(
                "no artifact",
                5,
                "This is not an artifact: pass what `save_federated` returns, or the path of its folder.",
                variants=(lambda federation, profile: None,),
            ),
        ),
        hints=(
            "Four factories hold pictures in a light of their own. The rounds end in one model; all pictures in one place give the control it has to come near. What you hand over must let anyone measure both again: weights, who held what, and which dataset it was.",
            "scenes artifact → train_inspector(scenes, profile) → Federation: model, control, history, held {factory: (n,) numbers of pictures}, scores → save_federated(federation) → artifact of kind inspector, the dataset's id among its parents",
            'scenes = the newest artifact of kind "scenes"\nfederation = train_inspector(scenes, the profile)\nprint(federation)  # federated, central, each factory alone, points lost\nartifact = save_federated(federation)',
        ),
    ),
)
