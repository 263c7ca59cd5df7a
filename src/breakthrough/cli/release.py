"""`breakthrough release`: labs from masters, and notebooks in other languages from catalogues."""

from __future__ import annotations

from typing import Annotated

import typer

from breakthrough import language as languages


def release(
    modules: Annotated[list[str] | None, typer.Argument(metavar="[MODULE]...", help="01, moe or 01_moe; all when none.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit 1 when labs/ differ, or a catalogue is out of step or broken.")] = False,
    lang: Annotated[str, typer.Option(metavar="LANGUAGE", help="en: labs/ from solutions/. zh: notebooks and labs in Chinese, in zh/.")] = languages.ENGLISH,
) -> None:
    """Make labs/ from solutions/; --lang zh: all in Chinese.

    \b
    The same master gives the same bytes each time. A scan refuses a lab in which solution text or
    outputs are left. A lab that you worked in is kept aside before it is replaced.
      breakthrough release
      breakthrough release 01 --check
    \b
    With --lang zh, lessons, labs and the README are made in Chinese from the English ones and the
    catalogues in translations/zh: zh/notebooks/01_moe.ipynb, zh/labs/01_moe/01_moe.ipynb. A notebook that
    you worked in there is never replaced. --check writes nothing: it says which texts have changed since
    they were translated, which are missing, and which lost code, links, numbers or formulas.
      breakthrough release --lang zh
      breakthrough release --lang zh 01 --check
    """
    from breakthrough.course import release as releases, syllabus

    course = syllabus.load()
    chosen = [course.find_built(name) for name in modules] if modules else None
    language = languages.cleaned(lang)
    if language != languages.ENGLISH:
        _in(language, chosen, check)
        return
    done = releases.release(course, chosen, check=check)
    for one in done:
        print(one.line(check))
    if check and any(one.differ for one in done):
        raise typer.Exit(1)


def _in(language: str, chosen: list | None, check: bool) -> None:
    from breakthrough.course import syllabus
    from breakthrough.course.translation import making, review

    course = syllabus.load()
    if not check:
        for made in making.make(course, language, chosen):
            print(made.line(), flush=True)
        return
    found = review.check(course, language, chosen)
    for one in found:
        print(*one.lines(), sep="\n")
    if any(one.faults for one in found):
        raise typer.Exit(1)
