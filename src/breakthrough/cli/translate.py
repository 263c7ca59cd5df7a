"""`breakthrough translate`: catalogues in step with what they translate."""

from __future__ import annotations

from typing import Annotated

import typer


def translate(
    modules: Annotated[list[str] | None, typer.Argument(metavar="[MODULE]...", help="01, moe or 01_moe; all when none.")] = None,
    lang: Annotated[str, typer.Option(metavar="LANGUAGE", help="The language of the catalogues.")] = "zh",
    new: Annotated[bool, typer.Option("--new", help="Also begin catalogues that are not there yet.")] = False,
) -> None:
    """Bring catalogues in step with lessons, labs and messages.

    \b
    Run it after you changed a text in English; you need no Chinese for it. A catalogue (gettext's .po, one
    for each notebook) has a unit for each paragraph, heading, list or table, for each comment and docstring
    in code, and for each message of the exercises. Where a text changed, the old translation stays as a
    proposal ("fuzzy"), and readers get the English with a small mark until somebody has looked at it.
    A translator opens the file in Poedit or any editor, writes msgstr, and removes the word fuzzy.
    translations/zh/GLOSSARY.md has the terms; breakthrough release --lang zh --check says what got broken.
    \b
      breakthrough translate               all catalogues there are, README.zh-CN.md, and how far they are
      breakthrough translate 02 --new      begin module 02
      translations/zh/lessons/01_moe.po    a lesson's; labs/ has the labs'
      src/breakthrough/languages/zh/moe.po what the exercises of module 01 say; cards.po for all cards
    """
    from breakthrough import language as languages
    from breakthrough.course import syllabus
    from breakthrough.course.translation import review
    from breakthrough.errors import InputError, expected

    course, language = syllabus.load(), languages.cleaned(lang)
    if language == languages.ENGLISH:
        raise InputError(expected("a language to translate to", repr(lang), "--lang zh"))
    chosen = [course.find_built(name) for name in modules] if modules else None
    for one in review.update(course, language, chosen, new=new):
        state = one.coverage.line() if one.exists else "no catalogue yet"
        print(f"{one.name:24} {state}{', written' if one.changed else ''}")
