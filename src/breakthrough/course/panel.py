"""The progress panel of a notebook: `panel.show("01")` shows where the module stands, and stays in step as checks pass."""

from __future__ import annotations

import sys


def show(module: str) -> None:
    """Show a module's exercises with points, state, attempts and minutes; it follows the event log from then on.

    Called again it shows one more view of the same panel. Nothing is shown outside of notebooks, where
    `breakthrough progress` says how things stand.

    Raises: UnknownNameError for a module that there is not
    """
    ipython = sys.modules.get("IPython")
    if ipython is None or type(ipython.get_ipython()).__name__ != "ZMQInteractiveShell":
        return
    from IPython.display import display

    from breakthrough.course import panel_widget, syllabus

    course = syllabus.load()
    display(panel_widget.of(course, course.find_built(module)))
