"""`breakthrough docs`: the static site."""

from __future__ import annotations

from typing import Annotated

import typer


def docs(
    check: Annotated[bool, typer.Option("--check", help="Build nothing: check the site that was built.")] = False,
    external: Annotated[bool, typer.Option("--external", help="Also list the addresses outside that pages lead to.")] = False,
) -> None:
    """Build the static site and check it (make docs).

    \b
    Into build/docs/: lessons as they were kept, statements of the labs, guides, the claims with what was measured,
    benchmarks with plots, and the library's reference. Nothing is executed, nothing comes from the
    network: any static host serves the folder, and its pages also open as files.
    Checked offline: every link and anchor leads somewhere, nothing is loaded from elsewhere, every
    picture has words, no solution leaked. Exit code 1 and a line for each fault; the site that was
    there then stays. With nothing changed it takes a second.
      breakthrough docs
      breakthrough docs --check
      python -m http.server --directory build/docs
    """
    from breakthrough.course import syllabus
    from breakthrough.course.site import build as builds, checks
    from breakthrough.course.site.layout import Site

    site = Site(syllabus.load())
    built = builds.Built(site.folder, True, tuple(checks.faults(site.folder, site.course))) if check else builds.build(site)
    for fault in built.faults:
        print(fault)
    if external:
        for address, count in sorted(checks.external(checks.read(built.folder)).items()):
            print(f"{count:4} {address}")
    if built.faults:
        raise typer.Exit(1)
    state = "checked" if check else "unchanged" if built.unchanged else "built and checked"
    print(f"{built.folder / 'index.html'}: {state}")
