"""The course in Chinese: catalogues in step and unbroken, notebooks that are made from them, and controls that must fail."""

import ast
import json
import re

import polib
import pytest
from toy_course import lesson_cells, write_notebook

from breakthrough import cli
from breakthrough.course import notebooks, syllabus
from breakthrough.course.exchange import rubric, written
from breakthrough.course.translation import catalogue, faults, making, review, sources, units
from breakthrough.course.translation.units import DOCSTRING, FENCE, MESSAGE, PROSE, TEMPLATE, Unit

COURSE = syllabus.load()
SOURCES = sources.sources(COURSE, "zh")
BEGUN = [source for source in SOURCES if source.catalogue.is_file()]
WHOLE = {"README", "messages/cards", "messages/start", "messages/moe", "lessons/00_start", "lessons/01_moe", "labs/01_moe"}
each_begun = pytest.mark.parametrize("source", BEGUN, ids=lambda source: source.name)
HAN = re.compile("[\u4e00-\u9fff]")


def test_what_readers_meet_first_is_translated():
    assert WHOLE <= {source.name for source in BEGUN}


@pytest.fixture(scope="module")
def checked():
    """What `breakthrough release --lang zh --check` finds, by catalogue."""
    return {one.name: one for one in review.check(COURSE, "zh")}


@each_begun
def test_a_catalogue_is_in_step_and_breaks_nothing(source, checked):
    assert checked[source.name].faults == ()


def test_a_message_is_said_in_one_way_whatever_room_says_it():
    said = {}
    for source in BEGUN:
        if source.name.startswith("messages/"):
            for entry in polib.pofile(str(source.catalogue)):
                if entry.msgstr and not entry.obsolete:
                    said.setdefault(entry.msgid, set()).add(entry.msgstr)
    assert {text: ways for text, ways in said.items() if len(ways) > 1} == {}


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_little_of_what_was_translated_has_drifted(name, checked):
    found = checked[name].coverage
    assert found.translated >= 0.9 * found.units, "too much English has changed: a translator is needed"


@pytest.mark.parametrize("module", COURSE.labs, ids=lambda module: module.id)
def test_a_masters_units_are_those_of_its_lab(module):
    # so that nothing of a solution is in a catalogue, and nothing of the lab is left out
    master = next(one for one in SOURCES if one.module == module.id and one.kind == sources.LAB)
    lab = sources.Source("", sources.LAB, COURSE.lab(module), master.catalogue)
    assert [(one.context, one.text) for one in master.units] == [(one.context, one.text) for one in lab.units]


@pytest.mark.parametrize("source", [one for one in BEGUN if one.kind in (sources.LESSON, sources.LAB)], ids=lambda source: source.name)
def test_code_stays_what_it_is(source):
    said = catalogue.translations(catalogue.read(source.catalogue, "zh"))
    for cell in notebooks.code_cells(notebooks.read(source.path)):
        before = units.skeleton(cell["source"])
        making.translated(cell, said)
        assert units.skeleton(cell["source"]) == before


def test_the_chinese_account_is_found_by_its_sections():
    master = next(one for one in SOURCES if one.name == "labs/01_moe")
    said = catalogue.translations(catalogue.read(master.catalogue, "zh"))
    notebook = notebooks.read(master.path)
    for cell in notebook["cells"]:
        making.translated(cell, said)
    texts = [cell["source"].replace("*\n", "*\n\n我写的。\n") for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    sections = rubric.load("01_moe").account.sections
    assert set(written.account(texts, sections).values()) == {"我写的。"}


# a text and a translation of it, right, and then with one thing wrong
SOURCE = "The **router** sends 2 of 8 rows to `expert[0]`, see [section 3](a.ipynb#x): w = e² / (e² + e¹) ≈ 0.73."
RIGHT = "**路由器**把 8 行中的 2 行送到 `expert[0]`，见[第 3 节](a.ipynb#x)：w = e² / (e² + e¹) ≈ 0.73。"


def said(text, translation, kind=PROSE):
    return [one.partition(":")[0] for one in faults.faults(Unit("cell", text, kind), translation)]


def test_a_good_translation_has_no_faults():
    assert said(SOURCE, RIGHT) == []


@pytest.mark.parametrize(("before", "after", "fault"), [
    ("`expert[0]`", "`expert[1]`", "code spans"),
    ("`expert[0]`", "expert[0]", "code spans"),
    ("a.ipynb#x", "b.ipynb#x", "links"),
    ("0.73", "0.37", "numbers"),
    ("8 行中的", "", "numbers"),
    ("+", "−", "formulas"),
    ("e² + e¹", "e² + e²", "formulas"),
    ("**路由器**", "**路由器（router）**", "emphasis marks that are not rendered"),
    ("**路由器**", "# 路由器\n\n", "shape"),
    ("。", ".", "half-width punctuation after Chinese"),
    ("8 行", "8行", "no space between Chinese and Latin or digits"),
    ("，", "， ", "a space beside full-width punctuation"),
])
def test_a_broken_translation_is_seen(before, after, fault):
    broken = RIGHT.replace(before, after) if before != "。" else RIGHT.replace("≈ 0.73。", "≈ 0.73，约为七成三.")
    assert broken != RIGHT
    assert fault in said(SOURCE, broken)


@pytest.mark.parametrize(("kind", "text", "translation", "fault"), [
    (PROSE, "| a | b |\n|---|---|\n| one | two |", "| 甲 | 乙 |\n|---|---|\n| 一 |\n| 二 |", "shape"),
    (PROSE, "- one thing\n- another", "- 一件", "shape"),
    (PROSE, "A <b>bold</b> word here", "一个<i>粗体</i>的词", "tags"),
    (PROSE, "Four words stand here", "Four words stand here", "no Chinese in it"),
    (FENCE, "```sh\nmake run   # set up and run\n```", "```sh\nmake test   # 安装并运行\n```", "code"),
    (TEMPLATE, "{n} of {total} values", "{n} 个值", "places"),
    (DOCSTRING, "Call moe_route with rows (T, k)", "用行 (T, k) 调用 moe_rout", "identifiers"),
    (MESSAGE, "divide by k × 2", "除以 k", "numbers"),
])
def test_every_kind_of_unit_is_looked_at(kind, text, translation, fault):
    assert fault in said(text, translation, kind)


CODE = '''def f(x):
    """Give x back.

    Units: none at all
    """
    ### BEGIN SOLUTION
    # a comment of the solution
    return x
    ### END SOLUTION


y = f(1)  # what comes back
print("a # in a string is no comment at all")  # (T, k)'''


def test_units_of_code_are_comments_and_docstrings_outside_of_solutions():
    assert units.in_code(CODE) == [(DOCSTRING, "Give x back.\n\nUnits: none at all"), ("comment", "what comes back")]


def test_code_is_translated_in_its_place():
    chinese = {"Give x back.\n\nUnits: none at all": "把 x 还回来。\n\n约定：没有", "what comes back": "还回来的"}
    made = units.code(CODE, lambda kind, text: chinese[text])
    assert made == CODE.replace("Give x back.", "把 x 还回来。").replace("Units: none at all", "约定：没有").replace("what comes back", "还回来的")
    assert ast.parse(made) and units.skeleton(made) == units.skeleton(CODE)
    assert units.skeleton(made.replace("return x", "return 2 * x")) != units.skeleton(CODE)  # the control


def test_markdown_is_put_back_as_it_was():
    text = "# A title\n\n\nTwo lines\nof text\n\n```py\n# no heading\n\nx = 1\n```\n\n- a list\n- of two\n"
    assert units.markdown(text, lambda kind, unit: unit) == text
    assert [unit for _, unit in units.in_markdown(text)] == ["# A title", "Two lines\nof text", "```py\n# no heading\n\nx = 1\n```", "- a list\n- of two"]


def test_a_changed_text_keeps_its_translation_as_a_proposal():
    old = catalogue.merged(polib.POFile(), [Unit("a", "The router picks two experts.", PROSE), Unit("b", "Stays as it is.", PROSE), Unit("c", "Goes away.", PROSE)])
    for entry, text in zip(old, ("路由器挑两个专家。", "照旧。", "走了。"), strict=True):
        entry.msgstr = text
    new = catalogue.merged(old, [Unit("a", "The router picks three experts.", PROSE), Unit("d", "Stays as it is.", PROSE), Unit("e", "Quite another thing.", PROSE)])
    changed, moved, added, gone = new
    assert (changed.fuzzy, changed.msgstr, changed.previous_msgid) == (True, "路由器挑两个专家。", "The router picks two experts.")
    assert (moved.fuzzy, moved.msgstr) == (False, "照旧。")
    assert (added.fuzzy, added.msgstr) == (False, "")
    assert gone.obsolete and gone.msgstr == "走了。"
    found = catalogue.coverage(new, [Unit("a", changed.msgid, PROSE), Unit("d", moved.msgid, PROSE), Unit("e", added.msgid, PROSE)])
    assert (found.translated, found.drifted, found.missing) == (1, 1, 1)
    again = catalogue.merged(catalogue.merged(new, [Unit("c", "Goes away.", PROSE)]), [Unit("c", "Goes away.", PROSE)])
    assert (again[0].msgstr, again[0].fuzzy) == ("走了。", False)  # what comes back finds its translation


@pytest.fixture
def toy(course_folder, monkeypatch):
    """A small course with a catalogue for its lesson, all translated."""
    monkeypatch.setattr("breakthrough.language.FOLDER", course_folder / "languages")
    (course_folder / "languages" / "zh").mkdir(parents=True)
    write_notebook(course_folder / "notebooks" / "01_toy.ipynb", *lesson_cells(("markdown", "## Words\n\nA lesson of a few words\n\nAnd of a few more")))
    (course_folder / "README.md").write_text("# Small\n\nA course for tests, see [the start](notebooks/00_start.ipynb).\n")
    assert cli.main(["translate", "--new"]) == 0
    path = course_folder / "translations" / "zh" / "lessons" / "01_toy.po"
    made = polib.pofile(str(path))
    for entry in made:
        entry.msgstr = f"中文：{entry.msgid}" if entry.comment != PROSE or not entry.msgid.startswith(("#", "|", "-", ">")) else entry.msgid
    catalogue.write(made, path)
    return course_folder


def change(folder, before, after):
    path = folder / "notebooks" / "01_toy.ipynb"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def first_prose(folder):
    made = polib.pofile(str(folder / "translations" / "zh" / "lessons" / "01_toy.po"))
    return next(entry.msgid for entry in made if entry.msgstr.startswith("中文"))


def test_a_drifted_source_fails_the_check_until_the_catalogue_is_updated_and_then_shows(toy, capsys):
    text = first_prose(toy)
    change(toy, text, text + " Truly")
    capsys.readouterr()
    assert cli.main(["release", "--lang", "zh", "01", "--check"]) == 1
    assert "not in the catalogue; try breakthrough translate" in capsys.readouterr().out
    assert cli.main(["translate"]) == 0
    cli.main(["release", "--lang", "zh", "01", "--check"])
    assert f"drifted: {text.split()[0]}" in re.sub(r"drifted: [\w-]+: ", "drifted: ", capsys.readouterr().out)
    source = next(one for one in sources.sources(syllabus.load(toy), "zh") if one.name == "lessons/01_toy")
    shown = json.dumps(making.notebook(syllabus.load(toy), source, "zh"), ensure_ascii=False)
    assert text + " Truly" in shown and making.WAITS["zh"] in shown  # English, with a mark


def test_made_notebooks_speak_chinese_and_keep_ids_and_outputs(toy):
    course = syllabus.load(toy)
    making.make(course, "zh", [course.find("01")])
    made, source = (notebooks.read(path) for path in (toy / "zh" / "notebooks" / "01_toy.ipynb", course.lesson(course.find("01"))))
    added = [cell for cell in made["cells"] if cell["id"] not in {one["id"] for one in source["cells"]}]
    assert [cell["id"] for cell in added] == ["language-zh"] and 'language.use("zh")' in added[0]["source"]
    assert [one["id"] for one in made["cells"] if one not in added] == [one["id"] for one in source["cells"]]
    assert any("中文" in cell["source"] for cell in made["cells"])


def test_a_learners_notebook_is_never_replaced(toy):
    course = syllabus.load(toy)
    target = toy / "zh" / "notebooks" / "01_toy.ipynb"
    making.make(course, "zh", [course.find("01")])
    untouched = target.read_text()
    assert {one.state for one in making.make(course, "zh", [course.find("01")])} == {"in step"}
    change(toy, first_prose(toy), "Quite another text")
    assert "written" in {one.state for one in making.make(course, "zh", [course.find("01")])}  # nobody had touched it
    target.write_text(mine := untouched.replace("中文", "我的", 1))
    assert any("left alone" in one.state for one in making.make(course, "zh", [course.find("01")]))
    assert target.read_text() == mine


def test_links_still_lead_somewhere():
    source = next(one for one in SOURCES if one.name == "lessons/00_start")
    made = making.notebook(COURSE, source, "zh")
    links = re.findall(r"\]\(([^)\s]+)\)", "\n".join("".join(cell["source"]) for cell in made["cells"] if cell["cell_type"] == "markdown"))
    assert "01_moe.ipynb" in links and "../../README.zh-CN.md" in links
    assert (COURSE.root / "zh" / "notebooks" / "../../README.zh-CN.md").resolve().is_file()


def test_the_chinese_readme_is_what_the_catalogue_makes_and_both_point_at_each_other():
    english, chinese = (COURSE.root / name for name in ("README.md", "README.zh-CN.md"))
    assert "(README.zh-CN.md)" in english.read_text(encoding="utf-8") and "(README.md)" in chinese.read_text(encoding="utf-8")
    fences = [re.findall(r"^ *```.*?^ *```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE) for path in (english, chinese)]
    assert [units.without_comments(one) for one in fences[0]] == [units.without_comments(one) for one in fences[1]]


def test_an_unknown_language_is_refused(capsys):
    assert cli.main(["release", "--lang", "tlh"]) == cli.BAD_INPUT
    assert "en, zh" in capsys.readouterr().err


def test_help_teaches(capsys):
    assert cli.main(["translate", "--help"]) == 0
    assert "breakthrough translate 02 --new" in capsys.readouterr().out
