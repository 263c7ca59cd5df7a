"""Module 4: the inspector in int8 and in NF4, handed over as an artifact; see `quant_measure` for how it is judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Generator

from breakthrough.artifacts import Artifact
from breakthrough.exercises import quant_experiment_wrong as wrong
from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.exercise import Case, Exercise, Misconception
from breakthrough.exercises.quant_measure import measure
from breakthrough.quant.affine import Affine
from breakthrough.quant.handover import FILES, KIND, save_quantized
from breakthrough.quant.inspecting import shrink_inspector
from breakthrough.quant.nf4 import FourBit
from breakthrough.quant.schemes import SCHEMES


def experiment() -> Artifact:
    """Quantize an inspector to int8 and to NF4, measure both beside it on its dataset's test pictures, save all."""
    inspector = wrong.inspector()  # a small one; in the lab artifacts.latest("inspector")
    shrunk = shrink_inspector(inspector)
    return save_quantized(shrunk)


def _cases(generator: Generator):
    yield Case("the inspector that it names")


def _as_a_path() -> Path:
    return wrong.saved().folder


EXERCISES = (
    Exercise(
        name="quant.experiment",
        title="The inspector in int8 and NF4",
        points=7,
        minutes=40,
        difficulty=3,
        reference=experiment,
        cases=_cases,
        call=measure,
        compare=by_fault,
        expected=Outcome(),
        training=True,
        artifact=KIND,
        alternatives=(wrong.saved, wrong.by_hand, _as_a_path),
        misconceptions=(
            Misconception(
                "float weights",
                wrong.stored("int8", "fp32"),
                "Weights that should be codes and scales are still in floating point: a name makes nothing smaller, `quantize(model, scheme)` does.",
                variants=(wrong.stored("int8", "bf16"), wrong.stored("nf4", "fp16"), wrong.half_in_floats),
            ),
            Misconception(
                "scales of inputs",
                wrong.in_format("int8", Affine(axis=1)),
                "int8 has a scale for each input here: in an integer product the sum runs over the inputs, so only a scale for each output can be taken out of it.",
                variants=(wrong.in_format("int8", Affine(axis=-1)),),
            ),
            Misconception(
                "another grid",
                wrong.stored("int8", "int8_tensor"),
                "A version is in another format than it should be: int8 is symmetric with a scale for each output, which module 5 compiles, and NF4 has the sixteen quantiles.",
                variants=(
                    wrong.in_format("int8", Affine(symmetric=False, axis=0)),
                    wrong.stored("int8", "int8_block"),
                    wrong.stored("int8", "int4"),
                    wrong.stored("nf4", "fp4"),
                    wrong.stored("nf4", "int4"),
                ),
            ),
            Misconception(
                "exchanged",
                wrong.exchanged,
                "One version stands under the other's name: the folder int8 holds the int8 model and nf4 the NF4 model.",
                variants=(wrong.stored("nf4", "int8"), wrong.stored("int8", "nf4")),
            ),
            Misconception(
                "random rounding",
                wrong.stored("int8", "int8_random"),
                "Numbers went up or down by a coin: that is the control, which loses four times as much at the same bits; hand over what is rounded to the nearest, or calibrated.",
                variants=(wrong.stored("nf4", "nf4_random"),),
            ),
            Misconception(
                "left alone",
                wrong.quantized_too("int8", "head"),
                "Something changed that the scheme leaves alone: first convolution, norms, router and head stay the parent's own numbers, for they are few and much depends on them.",
                variants=(
                    wrong.rounded_first("nf4", "mixture.moe.router"),
                    wrong.rounded_first("int8", "features.0.1.weight"),
                    wrong.quantized_too("int8", "first conv"),
                    wrong.stored("nf4", replace(SCHEMES["nf4"], rest="bfloat16")),
                ),
            ),
            Misconception(
                "another inspector",
                wrong.of_another,
                "Weights or answers are not those of the inspector that the parents name: quantize the model that `load_inspector` gives for it, and name that one.",
                variants=(wrong.of_another_shape, lambda: wrong.resaved(parents=(wrong.inspector(1),))),
            ),
            Misconception(
                "not smaller",
                wrong.in_format("nf4", FourBit(block=8, double=False)),
                "Codes and scales together take more than they need: count the scales too, for a block of 8 with a scale of 32 bits costs 8 bits a weight, not 4.",
            ),
            Misconception(
                "no inspector named",
                lambda: wrong.resaved(parents=()),
                "The parents do not name an inspector whose dataset is there, so nobody can measure before and after: keep module 3's and module 2's artifacts in the store.",
                variants=(lambda: wrong.resaved(parents=("20200101-000000-000000-00000000",)), lambda: wrong.resaved(parents=wrong.inspector().parents), wrong.without_dataset),
            ),
            Misconception(
                "another number",
                wrong.told("int8", accuracy={"value": 0.99}),
                "A figure in the metrics is not what these weights have on the test pictures: measure the models that you save, shares from 0 to 1, bytes with all scales.",
                variants=(
                    lambda: wrong.resaved(metrics={}),
                    wrong.told("nf4", accuracy=None),
                    wrong.told("float32", accuracy={"value": "0.2"}),
                    wrong.told("nf4", recall={}),
                    wrong.told("int8", bytes=165_000),
                ),
            ),
            Misconception(
                "a file is missing",
                wrong.without(FILES[0]),
                "The artifact lacks a file: `save_quantized` puts the codes of both versions, and what they are, into it.",
                variants=tuple(map(wrong.without, FILES[1:])),
            ),
            Misconception(
                "unreadable",
                wrong.junk(FILES[0]),
                "A file cannot be read as what it should be: save with `save_quantized`, which writes each as it is read again.",
                variants=(*map(wrong.junk, FILES[1:]), wrong.plain_state),
            ),
            Misconception(
                "changed after saving",
                wrong.changed,
                "A file is not as it was when it was saved, for its hash differs: never edit an artifact, save a new one.",
            ),
            Misconception(
                "another kind",
                wrong.inspector,
                'The artifact is of another kind: what `save_quantized` returns is of kind "inspector_int8", which module 5 looks for; its parent is the inspector.',
                variants=(lambda: wrong.resaved(kind="quantized"),),
            ),
            Misconception(
                "the model",
                wrong.shrunk,
                "These are the models, not the artifact: hand them to `save_quantized`, and pass what that returns.",
                variants=(lambda: wrong.made("int8"), lambda: dict(wrong.shrunk().models)),
            ),
            Misconception(
                "a part of it",
                lambda: wrong.saved().path(FILES[0]),
                "This is one file or one version of an artifact: pass the whole of it, as `save_quantized` returns it.",
                variants=(lambda: wrong.saved().folder / "nf4",),
            ),
            Misconception(
                "nothing there",
                lambda: Path("no/such/folder"),
                "There is no artifact at this path: pass what `save_quantized` returns.",
            ),
            Misconception(
                "no artifact",
                5,
                "This is not an artifact: pass what `save_quantized` returns, or the path of its folder.",
                variants=(lambda shrunk, profile: None,),
            ),
        ),
        hints=(
            "Two versions of one inspector: int8 with a scale for each output, which integer kernels multiply, and NF4, whose codes are chosen with the inputs they will see. What you hand over must let anyone hold both against the inspector they were made from.",
            "inspector artifact → shrink_inspector(inspector) → Shrunk: models {float32, int8, nf4}, answers (accuracy, recall, gained in pairs, agreement), sizes → save_quantized(shrunk) → artifact of kind inspector_int8, the inspector's id among its parents",
            'inspector = the newest artifact of kind "inspector"\nshrunk = shrink_inspector(inspector)\nprint(shrunk)  # bytes, accuracy, what was gained in pairs, how many answers stayed, how far scores moved\nartifact = save_quantized(shrunk)',
        ),
    ),
)
