"""`breakthrough scenes`: make a dataset of labelled pictures, look at it, hand it on."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakthrough.cli.groups import group
from breakthrough.errors import InputError, expected
from breakthrough.language import counted

if TYPE_CHECKING:
    from breakthrough.scenes.manifest import Manifest

app = group(help="Make labelled pictures, look at them, export them.")
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `breakthrough scenes make` has written.")]
Ranges = Annotated[str, typer.Option("--ranges", help="What may vary: naive, light, material, camera, distractors, all, line, …")]


@app.command()
def make(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to: a new or empty folder, or one to go on with.")],
    n: Annotated[int, typer.Option("--n", help="Pictures.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes, on any number of workers.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes of one thread each.")] = 1,
    renderer: Annotated[str, typer.Option(help="tiny (CPU), egl (OpenGL), auto (egl where it works) or pathtrace.")] = "tiny",
    ranges: Ranges = "all",
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 64,
    shots: Annotated[int, typer.Option(help="Pictures of every settled scene, each with its own look.")] = 4,
    spp: Annotated[int, typer.Option(help="Paths a pixel, for pathtrace.")] = 64,
    supersample: Annotated[int, typer.Option(help="Samples a pixel, squared, for tiny and egl: 2 smooths edges.")] = 1,
    physics: Annotated[bool, typer.Option("--physics/--no-physics", help="Without: things hover and sink, and nobody minds.")] = True,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a stopped run ended; make damaged shards again.")] = False,
) -> None:
    """Make a dataset of labelled pictures.

    \b
    Each picture has the part's class, a mask, box, visible fraction and pose for every thing, metric
    depth, and the camera. Shards of 256 pictures are written aside and renamed: whatever stops a run,
    what is finished stays valid, and --resume makes the rest. A folder made with other settings is
    refused. DIR gets manifest.json, shards/*.tar (WebDataset) and annotations.json (COCO).
      breakthrough scenes make --n 2000 --workers 2 --out data/all
      breakthrough scenes make --n 2000 --workers 2 --out data/all --resume
      breakthrough scenes make --n 400 --ranges line --renderer pathtrace --workers 2 --out data/line
      breakthrough scenes make --n 500 --ranges naive --no-physics --out data/floating
    """
    from breakthrough.scenes import dataset, egl

    begin = time.monotonic()
    if renderer == "auto":
        renderer, reason = egl.choose("auto")
        print(f"renderer: {renderer} ({reason})", file=sys.stderr)
    settings = dataset.Settings(
        n=n, seed=seed, ranges=ranges, size=size, shots=shots, renderer=renderer, physics=physics, spp=spp, supersample=supersample
    )
    before = dataset.finished(out, settings)
    made = dataset.make(out, settings, workers=workers, resume=resume, progress=sys.stderr.isatty())
    if made.manifest == before:
        print(f"{out}: complete with these settings already, every shard as it was written: nothing to do")
    else:
        print(f"{out}: {counted(len(made), 'picture')} in {time.monotonic() - begin:.1f} s")
    _summary(made.manifest)


@app.command()
def look(
    folder: Folder,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="DIR/look.png unless given; .png, .pdf or .svg.")] = None,
    columns: Annotated[int, typer.Option(help="Pictures of every class.")] = 6,
    show: Annotated[str, typer.Option(help="labels (masks and boxes), bare or depth.")] = "labels",
) -> None:
    """Write a contact sheet: a row of pictures for every class.

    \b
    It also shows a dataset that is not finished yet.
      breakthrough scenes look data/all
      breakthrough scenes look data/all --show depth --out depth.png
    """
    from breakthrough.scenes import disk, look as looks
    from breakthrough.scenes.reader import open_dataset

    target = out or folder / "look.png"
    if target.suffix not in (".png", ".pdf", ".svg"):
        raise InputError(expected("a picture that ends in .png, .pdf or .svg", target.name, f"{target.stem}.png"))
    figure = looks.contact_sheet(open_dataset(folder, unfinished=True), columns, show)
    with disk.told(target):
        figure.savefig(target)
    print(target)


@app.command()
def export(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="An empty folder; for --usd a file: .usda, .usdc or .usdz.")],
    coco: Annotated[bool, typer.Option("--coco", help="annotations.json beside images/.")] = False,
    yolo: Annotated[bool, typer.Option("--yolo", help="data.yaml, images/ and labels/, split by scene.")] = False,
    usd: Annotated[bool, typer.Option("--usd", help="One scene for Omniverse or Blender.")] = False,
    labels: Annotated[str, typer.Option(help="polygons or boxes, for --yolo.")] = "polygons",
    val: Annotated[float, typer.Option(help="Share of scenes held out, for --yolo.")] = 0.2,
    scene: Annotated[int, typer.Option(help="The scene, for --usd.")] = 0,
    shot: Annotated[int, typer.Option(help="The shot of the scene, for --usd.")] = 0,
) -> None:
    """Write a dataset in another format, or one of its scenes.

    \b
      breakthrough scenes export data/all --coco --out coco
      breakthrough scenes export data/all --yolo --labels boxes --out yolo
      breakthrough scenes export data/all --usd --scene 12 --out scene12.usda
    """
    if coco + yolo + usd != 1:
        given = ", ".join(name for name, on in (("--coco", coco), ("--yolo", yolo), ("--usd", usd)) if on)
        raise InputError(expected("one of --coco, --yolo and --usd", given or "none of them"))
    if usd:
        from breakthrough.scenes import pipeline, usd as stages
        from breakthrough.scenes.reader import open_dataset

        spec, poses = pipeline.replay(open_dataset(folder, unfinished=True).settings, scene, shot)
        print(stages.export(spec, poses, out))
    elif yolo:
        from breakthrough.scenes import yolo as yolos

        print(yolos.export(folder, out, labels=labels, val=val))
    else:
        from breakthrough.scenes import coco as cocos

        print(cocos.export(folder, out))


def _summary(state: Manifest) -> None:
    counts = state.counts()
    print("classes: " + ", ".join(f"{name} {count}" for name, count in counts["classes"].items()))
    reasons = ", ".join(f"{name} {count}" for name, count in counts["invalid"].items()) or "none"
    print(f"scenes: {counts['drawn']} drawn, {counts['dropped']} invalid and drawn again; reasons: {reasons}")
