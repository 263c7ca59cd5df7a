"""`breakthrough compile`: a net as machine code, held against PyTorch and timed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from breakthrough.errors import InputError, expected


def compile(  # the command's name
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="inspector, inspector_int8 or moe_lm (the latest), or an artifact's folder.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new or empty folder, or a compiled net to replace.")],
    target: Annotated[str, typer.Option(help="cpu (this machine's), aarch64 or cuda.")] = "cpu",
    pipeline: Annotated[str, typer.Option(metavar="NAME", help="One of those above.")] = "tuned",
    batch: Annotated[str | None, typer.Option(metavar="SIZES", help="Batch sizes, a function for each; 1,8 unless given.")] = None,
    dynamic: Annotated[bool, typer.Option("--dynamic", help="One function for any batch; slower, for shapes are not known.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads that the code is made for.")] = 1,
    database: Annotated[Path | None, typer.Option(metavar="FILE", help="Your own schedules, which go before the project's.")] = None,
    trials: Annotated[int, typer.Option(min=0, help="Search: measure schedules here until the database has so many.")] = 0,
    bundle: Annotated[bool, typer.Option("--bundle", help="Put a C++ program and TVM's runtime beside it.")] = False,
) -> None:
    """Compile a net to machine code that runs without torch.

    \b
    ARTIFACT is inspector, inspector_int8 or moe_lm (the latest artifact of that kind), or an artifact's
    folder. From PyTorch's graph come loops, from loops machine code, for each batch size.

    \b
    Pipelines   default       operators fused, every loop as it was written
                tuned         channels last, schedules from the project's records of measured ones
                int8          products of 8-bit integers, where the processor multiplies them
                int8_weights  weights in 8 bits, computed in floats
                int4_weights  weights in 4 bits, computed in floats
    Targets     cpu           this machine: its instruction sets are asked for, not guessed
                aarch64       a small board; needs g++-aarch64-linux-gnu. qemu tries it out here
                cuda          this machine's GPU

    \b
    DIR gets model.so (code), weights.safetensors and manifest.json (names, shapes, hashes), once the
    compiled net has answered random inputs as PyTorch does. Then both are timed, in turns.
      breakthrough compile inspector --out build/inspector
      breakthrough compile inspector_int8 --pipeline int8 --batch 1,8,32 --out build/inspector-int8
      breakthrough compile moe_lm --trials 200 --database build/mine.jsonl --out build/moe
      breakthrough compile inspector --target aarch64 --bundle --out build/edge
    """
    from breakthrough.deploy import conversion

    if batch is not None and dynamic:
        raise InputError(expected("--batch or --dynamic", "both"))
    sizes = None if dynamic else conversion.TIMED if batch is None else _sizes(batch)
    done = conversion.convert(
        artifact, out, target=target, pipeline=pipeline, batches=sizes, threads=threads, database=database, trials=trials, bundle=bundle, progress=True
    )
    for line in done.lines():
        print(line)


def _sizes(text: str) -> list[int]:
    """Batch sizes from "1,8"."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(expected("batch sizes as whole numbers with commas", repr(text), "--batch 1,8")) from None
