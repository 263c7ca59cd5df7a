"""Module 5: the compiled inspector, handed over as an artifact; see `deploy_measure` for how it is judged."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Signature
from pathlib import Path
from typing import Any

from numpy import float32
from torch import Generator, randint

from breakthrough import artifacts
from breakthrough.deploy.handover import FILES, KIND, save_compiled
from breakthrough.deploy.inspecting import compile_inspector
from breakthrough.exercises import deploy_experiment_wrong as wrong
from breakthrough.exercises.compare import Outcome, by_fault
from breakthrough.exercises.deploy_measure import measure
from breakthrough.exercises.exercise import Case, Exercise, Misconception


def hand_over(quantized: artifacts.Artifact, batches: tuple[int, ...] = (1, 2, 4, 8, 16, 32)) -> tuple[Any, artifacts.Artifact]:
    """Compile an inspector in float32 and in int8, hold both against PyTorch, time all three in turns, save both.

    Raises: ArtifactError when the inspector or its parents are not whole
    """
    built = compile_inspector(quantized, batches=batches)  # one function for each size that a server fills
    return built, save_compiled(built)


def _of_a_small_one(function: Callable[..., tuple[Any, artifacts.Artifact]]) -> Callable[[], artifacts.Artifact]:
    """The function's artifact of a small inspector; its source stays the function's, which the last hint shows."""

    def experiment() -> artifacts.Artifact:
        return function(wrong.quantized())[1]

    shown: Any = experiment
    shown.__wrapped__, shown.__signature__ = function, Signature()
    return shown


def _cases(generator: Generator):
    yield Case("the inspector that it names", (int(randint(1 << 31, (), generator=generator)),))


def _as_a_path() -> Path:
    return wrong.saved().folder


CODE, WEIGHTS_FILE, FACTS = FILES[:3]

EXERCISES = (
    Exercise(
        name="deploy.experiment",
        title="The inspector, compiled",
        points=8,
        minutes=50,
        difficulty=3,
        reference=_of_a_small_one(hand_over),
        cases=_cases,
        call=measure,
        compare=by_fault,
        expected=Outcome(),
        training=True,
        artifact=KIND,
        alternatives=(wrong.saved, wrong.compiled("right"), _as_a_path),
        misconceptions=(
            Misconception(
                "float weights",
                wrong.version_from("int8", "fp32"),
                "What stands under int8 has its weights in floats: a name makes nothing smaller, the pipeline int8 does.",
            ),
            Misconception(
                "exchanged",
                wrong.exchanged,
                "One version stands under the other's name: the folder fp32 holds the float net and int8 the integer one.",
                variants=(wrong.version_from("fp32", "int8"),),
            ),
            Misconception(
                "another inspector",
                wrong.of_another,
                "What was compiled is not the inspector that the parents name: compile what `compile_inspector` opens for that artifact, and change neither its weights nor its manifest.",
                variants=(
                    wrong.compiled("another"),
                    wrong.entry("fp32", source_sha256="0" * 64),
                    wrong.entry("int8", source_sha256="0" * 64),
                    wrong.other_weights("fp32", lambda x: x * 1.01 if x.dtype == float32 else x),
                    wrong.other_weights("int8", lambda x: x[..., ::-1] if x.dtype.itemsize == 1 else x),
                ),
            ),
            Misconception(
                "another preparation",
                wrong.compiled("prepared"),
                "Its answers are PyTorch's for another input: the net takes red, green and blue from 0 to 1 and does the rest itself, so nothing is divided, shifted or turned before it.",
                variants=(wrong.compiled("colours"),),
            ),
            Misconception(
                "another layout",
                wrong.compiled("layout"),
                "It takes another input than the inspector: pictures are float32 of shape (B, 3, H, W), channels before rows; what the compiler does inside is its own affair.",
                variants=(wrong.entry("int8", inputs=[{"name": "x", "shape": [None, 3, 32, 32], "dtype": "uint8"}]),),
            ),
            Misconception(
                "shares",
                wrong.compiled("shares"),
                "The scores went through a softmax: hand over scores as the net gives them, for the one who serves it makes shares of them, once.",
            ),
            Misconception(
                "outputs exchanged",
                wrong.compiled("exchanged"),
                "The map comes before the scores: the first output is scores (B, C), the second the map (B, C + S, h, w), as who runs it expects them.",
                variants=(wrong.manifest("fp32", lambda facts: facts["outputs"].reverse()), wrong.manifest("int8", lambda facts: facts["outputs"].reverse())),
            ),
            Misconception(
                "another answer",
                wrong.manifest("fp32", lambda facts: facts["outputs"].pop()),
                "The outputs are not scores and map: export the net with its map, for the web page and the person beside the line want to see where the defect is.",
            ),
            Misconception(
                "batch sizes missing",
                wrong.manifest("fp32", lambda facts: facts["functions"].pop("batch_8")),
                "A batch size has no function: one picture alone and eight together are the least that a server asks for, so compile a function for each, or one for any.",
                variants=(wrong.entry("int8", functions={"batch_1": 1}),),
            ),
            Misconception(
                "nothing about it",
                wrong.entry("fp32", about={}),
                "The manifest does not say what the numbers mean: names of classes and sound parts, side of a picture and of a cell belong in it, for the box has nothing else.",
                variants=(wrong.manifest("int8", lambda facts: facts["about"]["classes"].reverse()),),
            ),
            Misconception(
                "another file's hash",
                wrong.manifest("fp32", wrong.another_hash),
                "A version's manifest has the hash of another file, so the box refuses to run it: save what was compiled as a whole, library, weights and manifest.",
                variants=(wrong.version_from("int8", "fp32", "model.so"), wrong.version_from("int8", "fp32", "weights.safetensors")),
            ),
            Misconception(
                "another processor",
                wrong.target("fp32", needs=["avx1024"]),
                "The code is for another processor than this one: machine code does not travel, so compile again here; `for_this_machine` does.",
                variants=(wrong.target("int8", mtriple="riscv64-linux-gnu"),),
            ),
            Misconception(
                "does not run",
                wrong.junk(CODE),
                "A library cannot be loaded or gives no answer: it is one file that `Compiled.save` links, and it takes the weights in the manifest's order.",
                variants=(wrong.manifest("fp32", lambda facts: facts["weights"].reverse()),),
            ),
            Misconception(
                "unreadable",
                wrong.junk(WEIGHTS_FILE),
                "A file cannot be read as what it should be: save with `save_compiled`, which keeps each as the engine reads it.",
                variants=(wrong.junk(FACTS), wrong.junk(FILES[5], b"{}"), wrong.manifest("int8", lambda facts: facts.pop("functions")), wrong.entry("fp32", weights=["none"])),
            ),
            Misconception(
                "no inspector named",
                lambda: wrong.saved(parents=()),
                "The parents do not name an inspector in int8 whose own parents are there, so nobody can hold it against PyTorch: keep the artifacts of modules 2 to 4 in the store.",
                variants=(lambda: wrong.saved(parents=wrong.saved().parents[1:]),),
            ),
            Misconception(
                "another number",
                wrong.told("fp32", accuracy={"value": 1.0}),
                "A figure in the metrics is not what these libraries have on the test pictures: measure what you save; shares from 0 to 1, bytes of the files, errors as largest differences.",
                variants=(
                    lambda: wrong.saved(metrics={}),
                    wrong.told("int8", agreement=None),
                    wrong.told("int8", error={"pictures": 0.0}),
                    wrong.told("int8", bytes={"model.so": 10, "weights.safetensors": 10}),
                ),
            ),
            Misconception(
                "no latency",
                wrong.told("fp32", latency={}),
                "The metrics lack a latency that can be: p50, p90 and p99 in milliseconds for batches of 1 and 8, each at least the one before, of both versions and of PyTorch in the same run.",
                variants=(
                    wrong.told("float32", latency={}),
                    wrong.told("int8", latency={size: {"runs": 400, "p50_ms": 3.0, "p90_ms": 2.0, "p99_ms": 1.0} for size in "18"}),
                    wrong.told("int8", latency={size: {"runs": 400, "p50_ms": 0.0, "p90_ms": 0.0, "p99_ms": 0.0} for size in "18"}),
                ),
            ),
            Misconception(
                "a file is missing",
                wrong.without(CODE),
                "The artifact lacks a file: `save_compiled` puts library, weights and manifest of both versions into it.",
                variants=tuple(map(wrong.without, FILES[1:])),
            ),
            Misconception(
                "changed after saving",
                wrong.changed,
                "A file is not as it was when it was saved, for its hash differs: never edit an artifact, save a new one.",
            ),
            Misconception(
                "another kind",
                wrong.quantized,
                'The artifact is of another kind: what `save_compiled` returns is of kind "compiled", which the capstone serves; the int8 inspector is its parent.',
                variants=(lambda: wrong.saved(kind="inspector_compiled"),),
            ),
            Misconception(
                "not saved",
                lambda: wrong.built(),
                "This is what was compiled, not the artifact: hand it to `save_compiled`, and pass what that returns.",
                variants=(lambda: wrong.built().engine("fp32"),),
            ),
            Misconception(
                "a part of it",
                lambda: wrong.saved().path(CODE),
                "This is one file or one version of an artifact: pass the whole of it, as `save_compiled` returns it.",
                variants=(lambda: wrong.saved().folder / "int8",),
            ),
            Misconception(
                "nothing there",
                lambda: Path("no/such/folder"),
                "There is no artifact at this path: pass what `save_compiled` returns.",
            ),
            Misconception(
                "no artifact",
                5,
                "This is not an artifact: pass what `save_compiled` returns, or the path of its folder.",
                variants=(lambda built, profile: None,),
            ),
        ),
        hints=(
            "A compiled net has to be the same function: PyTorch's own numbers on any input, up to rounding. The int8 one is another function, and has to name nearly all pictures as before. Whoever runs them has only the folder: what it must say there is in the manifest.",
            "inspector_int8 artifact → compile_inspector(artifact) → Built: fp32 and int8, each library, weights, manifest for batches of 1 to 32; answers beside PyTorch's on the test pictures; errors; latencies in one run → save_compiled(built) → artifact of kind compiled",
            'quantized = the newest artifact of kind "inspector_int8"\nbuilt = compile_inspector(quantized, batches=(1, 2, 4, 8, 16, 32))\nprint(built)  # bytes, answers in pairs, largest errors, latencies beside PyTorch\nartifact = save_compiled(built)\nreturn built, artifact',
        ),
    ),
)
