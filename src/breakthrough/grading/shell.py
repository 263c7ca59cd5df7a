"""IPython without a kernel: cells with their magics, outputs collected as a notebook keeps them, bounded."""

from __future__ import annotations

import io
import sys
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

STREAM, OUTPUTS, DATA = 20_000, 100, 400_000  # characters of a stream, outputs of a cell, characters of one output


class _Stream(io.TextIOBase):
    def __init__(self, outputs: list, name: str) -> None:
        self.outputs, self.name, self.left = outputs, name, STREAM

    def write(self, text: str) -> int:
        text = str(text)
        shown, self.left = text[: max(self.left, 0)], self.left - len(text)
        if not shown:
            return len(text)
        last = self.outputs[-1] if self.outputs else {}
        if last.get("output_type") == "stream" and last["name"] == self.name:
            last["text"] += shown
        elif len(self.outputs) < OUTPUTS:
            self.outputs.append({"output_type": "stream", "name": self.name, "text": shown})
        return len(text)

    def writable(self) -> bool:
        return True


def _small(data: Any) -> dict[str, Any]:
    """The parts of a MIME bundle that are text of a size to keep."""
    return {str(kind): text for kind, text in dict(data).items() if isinstance(text, str) and len(text) <= DATA}


class _Publisher(DisplayPublisher):
    shell: Shell

    def publish(self, data: Any, metadata: Any = None, *_: Any, **__: Any) -> None:
        outputs = self.shell.collected
        if len(outputs) < OUTPUTS:
            outputs.append({"output_type": "display_data", "data": _small(data), "metadata": {}})

    def clear_output(self, wait: bool = False) -> None:
        self.shell.collected.clear()


class _Hook(DisplayHook):
    shell: Shell

    def __call__(self, result: Any = None) -> None:
        if result is None or self.quiet():
            return
        data, _ = self.compute_format_data(result)
        self.update_user_ns(result)
        if len(self.shell.collected) < OUTPUTS:
            self.shell.collected.append({"output_type": "execute_result", "data": _small(data), "metadata": {}, "execution_count": None})


class Shell(InteractiveShell):
    """An InteractiveShell that keeps outputs in a list."""

    displayhook_class = _Hook
    display_pub_class = _Publisher
    collected: list[dict[str, Any]]

    def run(self, source: str) -> list[dict[str, Any]]:
        """Run a cell; its outputs, an error among them."""
        self.collected = []
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = _Stream(self.collected, "stdout"), _Stream(self.collected, "stderr")
        try:
            self.run_cell(source, store_history=False)
        finally:
            sys.stdout, sys.stderr = before
        return self.collected[: OUTPUTS + 1]

    def find(self, name: str) -> Any:
        """What a name stands for after the cells that were run.

        Raises: NameError when there is none
        """
        if name not in self.user_ns:
            raise NameError(f"name {name!r} is not defined")
        return self.user_ns[name]

    def enable_gui(self, gui: str | None = None) -> None:
        """Nothing: figures are pictures here."""

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        lines = [str(line)[:2000] for line in stb][-60:]
        self.collected.append({"output_type": "error", "ename": str(getattr(etype, "__name__", etype))[:80], "evalue": str(evalue)[:2000], "traceback": lines})


def make_shell() -> Shell:
    """A shell without history, colours or files of its own."""
    config = Config()
    config.HistoryManager.enabled = False
    config.Shell.colors = "nocolor"
    config.InteractiveShell.autoawait = True
    shell = Shell.instance(config=config, ipython_dir="/tmp/ipython")
    shell.collected = []
    return shell
