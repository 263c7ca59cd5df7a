"""Submissions of lab 01 whose work is right and whose file is not as it was released: what each still deserves."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from solved_labs import LABS, as_bytes, cell_of, code, grade_id, insert_after, points

MODULE = next(module for module in LABS if module.id == "01_moe")
NAME = "01_moe.ipynb"
FULL = points(MODULE)
_MADE = []


@dataclass(frozen=True)
class Slip:
    """An honest submission: its files by path, made from the released and the solved lab, and the points it deserves.

    `same` says that its program has the very answers of the solved lab.
    """

    name: str
    make: Callable[[dict, dict], dict[str, bytes]]
    deserved: dict[str, int] = field(default_factory=lambda: dict(FULL))
    same: bool = True


def every():
    """All honest submissions."""
    return tuple(_MADE)


def slip(lost=(), same=True, file=NAME):
    """Make a submission of a function that edits the solved lab, or gives another notebook, bytes or files for it."""
    def register(edit):
        def make(lab, solved):
            notebook = copy.deepcopy(solved)
            got = edit(notebook, copy.deepcopy(lab))
            got = notebook if got is None else got
            if isinstance(got, dict) and "cells" in got:
                got = as_bytes(got)
            return {file: got} if isinstance(got, bytes) else got

        deserved = {name: of for name, of in FULL.items() if name not in lost}
        _MADE.append(Slip(edit.__name__, make, deserved, same and not lost))
        return edit
    return register


@slip()
def as_it_should_be(notebook, lab):
    pass


@slip()
def a_cell_twice(notebook, lab):
    insert_after(notebook, "moe-route-answer", dict(cell_of(notebook, "moe-route-answer"), id="again"))


@slip()
def the_stub_kept_below_the_answer(notebook, lab):
    insert_after(notebook, "moe-route-answer", dict(cell_of(lab, "moe-route-answer"), id="again"))


@slip()
def the_stub_kept_above_the_answer(notebook, lab):
    at = notebook["cells"].index(cell_of(notebook, "moe-cost-answer"))
    notebook["cells"].insert(at, dict(cell_of(lab, "moe-cost-answer"), id="again"))


@slip(same=False)
def a_first_attempt_kept_above(notebook, lab):
    first = dict(cell_of(notebook, "moe-zloss-answer"), id="first", source="def zloss(logits):\n    return logits.sum()")
    notebook["cells"].insert(notebook["cells"].index(cell_of(notebook, "moe-zloss-answer")), first)


@slip()
def an_answer_copied_to_a_new_cell_below_its_stub(notebook, lab):
    mine, stub = cell_of(notebook, "moe-balance-answer"), cell_of(lab, "moe-balance-answer")["source"]
    insert_after(notebook, "moe-balance-answer", code(mine["source"]))
    mine["source"] = stub


@slip()
def an_answer_in_a_new_cell_above_its_stub(notebook, lab):
    mine, stub = cell_of(notebook, "moe-balance-answer"), cell_of(lab, "moe-balance-answer")["source"]
    insert_after(notebook, "s4-picture", code(mine["source"]))
    mine["source"] = stub


@slip()
def an_answer_in_a_new_cell_at_the_end(notebook, lab):
    mine, stub = cell_of(notebook, "moe-upcycle-answer"), cell_of(lab, "moe-upcycle-answer")["source"]
    notebook["cells"].append(code(mine["source"]))
    mine["source"] = stub


@slip(same=False)
def an_answer_split_over_three_cells(notebook, lab):
    cell_of(notebook, "moe-zloss-answer")["source"] = "def total(logits):\n    return logits.logsumexp(-1)"
    insert_after(notebook, "moe-zloss-answer", code("def squared(logits):\n    return total(logits).square()"),
                 code("def zloss(logits):\n    return squared(logits).mean() if len(logits) else logits.sum() * 0"))


@slip(lost=["moe.combine"])
def an_answer_deleted(notebook, lab):
    notebook["cells"].remove(cell_of(notebook, "moe-combine-answer"))


@slip(lost=["moe.zloss"])
def an_answer_with_a_slip_of_the_pen(notebook, lab):
    cell_of(notebook, "moe-zloss-answer")["source"] = "def zloss(logits):\n    return (logits"


@slip(lost=["moe.bias"])
def one_exercise_left_out(notebook, lab):
    cell_of(notebook, "moe-bias-answer")["source"] = cell_of(lab, "moe-bias-answer")["source"]


@slip()
def all_given_cells_deleted(notebook, lab):
    notebook["cells"] = [cell for cell in notebook["cells"] if grade_id(cell).endswith("-answer")]


@slip()
def all_checks_deleted(notebook, lab):
    notebook["cells"] = [cell for cell in notebook["cells"] if not cell["source"].startswith("check(")]


@slip()
def answers_retyped_as_markdown(notebook, lab):
    for name in ("moe-route-answer", "moe-cost-answer"):
        cell = cell_of(notebook, name)
        cell["cell_type"] = "markdown"
        del cell["outputs"], cell["execution_count"]


@slip()
def an_answer_retyped_as_raw(notebook, lab):
    cell = cell_of(notebook, "moe-mend-answer")
    cell["cell_type"] = "raw"
    del cell["outputs"], cell["execution_count"]


@slip()
def cells_in_reverse_order(notebook, lab):
    notebook["cells"].reverse()


@slip()
def an_answer_moved_to_the_end(notebook, lab):
    cell = cell_of(notebook, "moe-capacity-answer")
    notebook["cells"].remove(cell)
    notebook["cells"].append(cell)


@slip()
def metadata_stripped(notebook, lab):
    for cell in notebook["cells"]:
        cell["metadata"] = {}


@slip()
def metadata_and_ids_stripped(notebook, lab):
    notebook["nbformat_minor"] = 4
    for cell in notebook["cells"]:
        cell["metadata"] = {}
        del cell["id"]


@slip()
def ids_and_metadata_rewritten_by_another_editor(notebook, lab):
    for number, cell in enumerate(notebook["cells"]):
        cell["id"], cell["metadata"] = f"vscode-{number}", {"vscode": {"languageId": "python"}, "editable": True}
        cell["source"] = cell["source"].splitlines(keepends=True)


@slip()
def format_3(notebook, lab):
    cells = [{**cell, "input": cell["source"], "language": "python", "prompt_number": 1} for cell in notebook["cells"]]
    for cell in cells:
        del cell["source"]
    return json.dumps({"metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells, "metadata": {}}]}).encode()


@slip()
def windows_line_ends_and_a_byte_order_mark(notebook, lab):
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].replace("\n", "\r\n")
    return b"\xef\xbb\xbf" + as_bytes(notebook).replace(b"\n", b"\r\n")


@slip()
def saved_as_utf_16(notebook, lab):
    return as_bytes(notebook).decode().encode("utf-16")


@slip(file="lab 1 final (2) Ünal.ipynb")
def a_file_with_another_name(notebook, lab):
    pass


@slip()
def a_copy_beside_the_untouched_lab(notebook, lab):
    return {"Untitled.ipynb": as_bytes(lab), "my solution.ipynb": as_bytes(notebook), "notes.txt": b"done"}


@slip(file="handed in/01_moe.ipynb")
def in_a_folder_of_its_own(notebook, lab):
    pass


@slip()
def saved_in_the_middle_of_a_run(notebook, lab):
    for number, cell in enumerate(cell for cell in notebook["cells"] if cell["cell_type"] == "code"):
        cell["execution_count"] = number if number % 3 else None
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["12%|#", "\r13%"]}] if number % 2 else []


@slip()
def outputs_of_sixty_megabytes(notebook, lab):
    lines = ["step 1234567, loss 2.345\n"] * 500_000
    cell_of(notebook, "s5-picture")["outputs"] = [
        {"output_type": "stream", "name": "stderr", "text": lines},
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBOR" * 8_000_000, "text/html": "<script>alert(1)</script>"}},
    ]


@slip(same=False)
def warnings_prints_and_a_progress_bar(notebook, lab):
    loud = "import sys, warnings\nfrom tqdm import tqdm\n"
    cell_of(notebook, "imports")["source"] += "\n" + loud
    for name, first in (("moe-zloss-answer", "    warnings.warn('a warning')\n    print('in zloss', file=sys.stderr)\n"),
                        ("moe-balance-answer", "    print('in balance')\n    list(tqdm(range(3)))\n")):
        cell = cell_of(notebook, name)
        head, body = cell["source"].rsplit('"""\n', 1)
        cell["source"] = f'{head}"""\n{first}{body}'


@slip(same=False)
def a_slow_import(notebook, lab):
    cell_of(notebook, "moe-cost-answer")["source"] = "import time\ntime.sleep(3)\n" + cell_of(notebook, "moe-cost-answer")["source"]


@slip()
def magics_shell_lines_and_help(notebook, lab):
    insert_after(notebook, "moe-route", code("%time _ = route(torch.randn(4, 3), 2)\n!ls\nroute?\n%load_ext autoreload"), code("%%time\nseconds = 3"))


@slip()
def scratch_cells_that_fail_and_reuse_names(notebook, lab):
    insert_after(notebook, "moe-route", code("cost, keep = 1, 2\n1 / 0"))


@slip()
def scratch_cells_that_reuse_a_name_after_its_check(notebook, lab):
    insert_after(notebook, "moe-upcycle", code("route = combine = 'I do not need you any more'"))


@slip()
def an_edited_picture_and_other_parameters(notebook, lab):
    cell_of(notebook, "s1-picture")["source"] = cell_of(notebook, "s1-picture")["source"].replace("1.5 *", "3.0 *")
    cell_of(notebook, "parameters")["source"] = "PROFILE = 'tiny'\nSEED = 7"


@slip()
def the_imports_broken_by_a_slip(notebook, lab):
    cell_of(notebook, "imports")["source"] += "\nimport (oops"


@slip()
def a_check_edited_into_a_comment(notebook, lab):
    cell_of(notebook, "moe-route")["source"] = "# check('moe.route', route)  # passed yesterday"


@slip(same=False)
def a_helper_of_the_learners_in_a_cell_of_its_own(notebook, lab):
    insert_after(notebook, "s5-picture", code("SQUARE = 2\n\n\ndef powered(values):\n    return values**SQUARE"))
    cell_of(notebook, "moe-zloss-answer")["source"] = (
        "def zloss(logits):\n    return powered(logits.logsumexp(-1)).mean() if len(logits) else logits.sum() * 0")


@slip(same=False)
def a_table_filled_in_a_later_cell(notebook, lab):
    insert_after(notebook, "s8", code("COUNTS = {}"), code("def fill():\n    COUNTS['matrices'] = 3"), code("fill()"))
    source = cell_of(notebook, "moe-cost-answer")["source"]
    cell_of(notebook, "moe-cost-answer")["source"] = source.replace("= 3 *", "= COUNTS['matrices'] *")
