"""`breakthrough links`: where the project is published."""

from __future__ import annotations

from typing import Annotated

import typer


def links(
    address: Annotated[str | None, typer.Option("--set", metavar="URL", help="The public repository; '' takes the links away.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit 1 when README.md differs.")] = False,
) -> None:
    """Write README.md's links to Binder and Colab.

    \b
    They follow from one setting, Repository in pyproject.toml.
      breakthrough links --set https://HOST/OWNER/NAME
      breakthrough links --check
    """
    from breakthrough.course import links as linking, syllabus

    course = syllabus.load()
    if check:
        same = linking.in_step(course)
        print("README.md: in step" if same else "README.md: out of step; try breakthrough links")
        raise typer.Exit(0 if same else 1)
    if address is not None:
        linking.publish(course, address)
    else:
        linking.write(course)
    print(linking.repository(course.root) or "no public address yet; try breakthrough links --set https://HOST/OWNER/NAME")
