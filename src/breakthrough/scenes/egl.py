"""Whether pictures can be drawn by OpenGL here, tried in a process of its own, because a driver may crash it."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import numpy as np

from breakthrough.errors import ConfigError, expected, unknown
from breakthrough.scenes.ranges import preset
from breakthrough.scenes.render import RENDERERS, Renderer
from breakthrough.scenes.sampling import sample
from breakthrough.scenes.simulator import Simulator
from breakthrough.seeds import numpy_generator

SOFTWARE = ("llvmpipe", "softpipe", "swrast")  # OpenGL without a GPU


def choose(renderer: str = "auto") -> tuple[str, str]:
    """The renderer to use and why: EGL where its plugin works and draws on a GPU, else TinyRenderer.

    Raises: UnknownNameError for an unknown name
    """
    if renderer != "auto":
        if renderer not in RENDERERS:
            raise unknown("renderer", renderer, ("auto", *RENDERERS))
        return renderer, "as asked"
    works, reason = probe_egl()
    return ("egl", reason) if works else ("tiny", reason)


@cache
def probe_egl() -> tuple[bool, str]:
    """Whether the EGL plugin draws here, tried in a process of its own (a driver may crash it)."""
    code = "from breakthrough.scenes.egl import draw_by_egl; print(draw_by_egl())"
    try:
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return False, "EGL did not answer within 60 s"
    if run.returncode or "EGL draws" not in run.stdout:
        last = (run.stderr.strip().splitlines() or [f"exit code {run.returncode}"])[-1]
        return False, f"EGL does not work here: {last}"
    driver = next((line[12:] for line in run.stdout.splitlines() if line.startswith("GL_RENDERER=")), "an unnamed driver")
    if any(name in driver.lower() for name in SOFTWARE):
        return False, f"EGL draws in software here ({driver}), slower than TinyRenderer"
    return True, f"EGL on {driver}"


def draw_by_egl() -> str:
    """Draw one picture through EGL; the driver says on stdout what it is.

    Raises: ConfigError when it cannot
    """
    spec = sample(preset("naive"), numpy_generator(0))
    with Simulator() as simulator, Renderer("egl") as renderer:
        frame = renderer.render(spec, simulator.settle(spec).poses)
    if np.all(frame.instance < 0):
        raise ConfigError(expected("EGL to draw the scene", "an empty picture", "--renderer tiny"))
    return "EGL draws"
