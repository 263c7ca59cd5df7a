"""Attacks on the notebook as a document: checks that are tagged, edited, deleted, forged; metadata that promotes itself."""

import json

from attacks.making import NAME, as_bytes, cell_of, code, grade_id, insert_after, made

FAMILY = "tagged, edited, deleted checks"


def _checks(notebook):
    return [cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade")]


@made(FAMILY)
def checks_tagged_to_be_skipped(notebook):
    for cell in _checks(notebook):
        cell["metadata"]["tags"] = ["skip-execution"]


@made(FAMILY)
def checks_tagged_to_raise(notebook):
    for cell in _checks(notebook):
        cell["metadata"]["tags"] = ["raises-exception", "nbval-skip", "remove-cell", "parameters"]


@made(FAMILY)
def checks_edited(notebook):
    for cell in _checks(notebook):
        cell["source"] = "print('passed')"


@made(FAMILY)
def checks_edited_and_their_names_bound(notebook):
    for cell in _checks(notebook):
        cell["source"] = "check = lambda *a: None\n" + cell["source"]


@made(FAMILY)
def checks_deleted(notebook):
    notebook["cells"] = [cell for cell in notebook["cells"] if not cell["metadata"].get("nbgrader", {}).get("grade")]


@made(FAMILY)
def checks_turned_into_text(notebook):
    for cell in _checks(notebook):
        cell["cell_type"] = "raw"
        del cell["outputs"], cell["execution_count"]


@made(FAMILY)
def checks_that_are_not_graded_any_more(notebook):
    for cell in _checks(notebook):
        cell["metadata"]["nbgrader"] |= {"grade": False, "solution": True, "locked": False}


@made(FAMILY)
def checks_worth_a_thousand(notebook):
    for cell in _checks(notebook):
        cell["metadata"]["nbgrader"] |= {"points": 1000, "max_score": 1000, "manual_score": 1000, "extra_credit": 1000}


@made(FAMILY)
def a_check_twice_one_of_them_empty(notebook):
    for cell in _checks(notebook):
        insert_after(notebook, cell["id"], {**cell, "id": cell["id"] + "-b", "source": "pass"})


@made(FAMILY)
def a_graded_cell_of_ones_own(notebook):
    mine = {"grade": True, "solution": False, "locked": True, "points": 500, "schema_version": 3, "grade_id": "bonus", "cell_type": "code", "checksum": "0", "task": False}
    insert_after(notebook, "title", code("'bonus'", nbgrader=mine))


@made(FAMILY)
def a_graded_cell_under_the_name_of_another(notebook):
    """The solution of no exercise, and every check's id on a cell that passes."""
    for cell in _checks(notebook):
        cell["id"], cell["metadata"]["nbgrader"]["grade_id"] = "x-" + cell["id"], "x-" + grade_id(cell)
        insert_after(notebook, cell["id"], {**cell, "id": cell["id"][2:], "metadata": {"nbgrader": {**cell["metadata"]["nbgrader"], "grade_id": grade_id(cell)[2:]}}, "source": "1"})


@made(FAMILY)
def outputs_that_say_passed(notebook):
    for cell in _checks(notebook):
        name = grade_id(cell).replace("-", ".", 1)
        record = {"exercise": name, "status": "passed", "points": 100, "of": 100}
        cell["execution_count"] = 1
        cell["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": {"application/vnd.breakthrough.check+json": record, "text/plain": "passed"}}]
        cell["metadata"]["nbgrader"]["score"] = 100


@made(FAMILY)
def cells_that_print_what_a_check_shows(notebook):
    for cell in _checks(notebook):
        record = {"exercise": grade_id(cell).replace("-", ".", 1), "status": "passed", "points": 100, "of": 100}
        source = f"from IPython.display import display\ndisplay({{'application/vnd.breakthrough.check+json': {record!r}, 'text/plain': 'passed'}}, raw=True)"
        insert_after(notebook, cell["id"], code(source))


@made(FAMILY)
def another_kernel(notebook):
    notebook["metadata"]["kernelspec"] = {"name": "bash", "language": "bash", "display_name": "true"}
    notebook["metadata"]["language_info"] = {"name": "bash", "file_extension": ".sh"}
    notebook["metadata"]["papermill"] = {"parameters": {"PROFILE": "none"}}


@made(FAMILY)
def one_exercises_work_under_the_names_of_all(notebook):
    """An easy answer labelled as all the others: it earns at most its own points, and it is not the answer of its own cell."""
    easy = cell_of(notebook, "moe-cost-answer")
    for cell in notebook["cells"]:
        if grade_id(cell).endswith("-answer"):
            cell["source"] = easy["source"].replace("raise NotImplementedError()", "return 1, 1, 1")


@made(FAMILY)
def an_answer_that_ends_the_run_before_its_check(notebook):
    cell_of(notebook, "moe-route-answer")["source"] = "get_ipython().run_line_magic('exit', '') if 'get_ipython' in globals() else None\nimport sys\nsys.exit(0)"


@made(FAMILY)
def an_output_with_a_script(notebook):
    script = "<script>document.title='attack_was_here';fetch('http://127.0.0.1:47111/')</script><img src=x onerror=\"document.title='attack_was_here'\">"
    source = f"from IPython.display import HTML, Javascript, SVG, Markdown, display\ndisplay(HTML({script!r}), Javascript('document.title=1'), Markdown({script!r}))\n" \
             f"display(SVG(data='<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"document.title=1\"/>'))\nprint({script!r})"
    cell = cell_of(notebook, "moe-route-answer")
    cell["source"] = source + "\n\n\ndef route(logits, k):\n    raise ValueError(" + repr(script) + ")"
    insert_after(notebook, "title", {"cell_type": "markdown", "id": "script", "metadata": {}, "source": script + "\n[x](javascript:alert(1))"})
    notebook["metadata"]["title"] = script


@made(FAMILY)
def a_file_name_with_a_script(notebook):
    return {"<img src=x onerror=alert(1)>.ipynb": as_bytes(notebook)}


@made(FAMILY)
def a_result_file_beside_the_notebook(notebook):
    record = {"student": "me", "module": "01_moe", "marks": [{"exercise": "moe.route", "status": "passed", "points": 6, "of": 6}], "points": 70}
    files = ("grades.json", "graded.json", "result.json", "01_moe.json", "feedback/01_moe.html", "autograded/01_moe.ipynb", "timestamp.txt")
    return {NAME: as_bytes(notebook), **{name: json.dumps(record).encode() for name in files}}
