"""Bytes that are no notebook are refused in one sentence, in bounded memory; outputs are never looked into."""

import json
import os
import tracemalloc

import pytest

from breakthrough.errors import NotebookError
from breakthrough.grading import reading
from breakthrough.grading.reading import notebooks_in, read_cells

CELL = {"cell_type": "code", "id": "a", "metadata": {}, "source": "x = 1", "outputs": [], "execution_count": None}


def document(*cells, **changes):
    return json.dumps({"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **changes})


def cells_in(tmp_path, data):
    path = tmp_path / "lab.ipynb"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_cells(path)


def refusal(tmp_path, data):
    with pytest.raises(NotebookError) as caught:
        cells_in(tmp_path, data)
    text = str(caught.value)
    assert text.startswith("expected a notebook") and "\n" not in text and len(text) < 300
    return text


def test_cells_have_their_type_source_id_and_label(tmp_path):
    graded = CELL | {"metadata": {"nbgrader": {"grade_id": "moe-route"}, "tags": ["x"]}, "source": ["a\r\n", "b\r", "c"]}
    one, two, three = cells_in(tmp_path, document(graded, CELL | {"cell_type": "markdown", "id": "b"}, {"cell_type": "raw", "source": "r"}))
    assert (one.type, one.source, one.id, one.label) == ("code", "a\nb\nc", "a", "moe-route")
    assert (two.type, two.label) == ("markdown", "") and (three.type, three.source, three.id) == ("raw", "r", "")


@pytest.mark.parametrize("text", [
    "x = '\\ud800'", "é ü → ∀", "\U0001f600", "a\tb\x00c", 'quotes " and \\ back\\\\slashes \\"', "}{][", '"}],',
])
def test_every_text_comes_back_as_the_json_module_reads_it(tmp_path, text):
    for ascii_only in (True, False):
        data = json.dumps({"cells": [CELL | {"source": text, "outputs": [{"text": text}]}, CELL], "nbformat": 4}, ensure_ascii=ascii_only)
        got = cells_in(tmp_path, data.encode("utf-8", "surrogatepass"))
        assert len(got) == 2 and got[0].source == text


def test_half_a_character_becomes_a_question_mark(tmp_path):
    [cell] = cells_in(tmp_path, document(CELL | {"source": "a\ud800b"}))
    assert cell.source == "a?b"


def test_layout_and_order_of_keys_do_not_matter(tmp_path):
    text = json.dumps({"nbformat": 4, "x": {"cells": [1]}, "cells": [CELL], "metadata": {"cells": []}}, indent=7).replace("\n", "\r\n")
    assert [cell.source for cell in cells_in(tmp_path, f"\n\t{text}\n ")] == ["x = 1"]
    assert cells_in(tmp_path, '{"cells":[],"nbformat":4}') == ()


@pytest.mark.parametrize(("data", "says"), [
    (b"", "ends in the middle"), (b"[]", "invalid JSON"), (b"not json", "invalid JSON"), (b"\xff\xfe\x00", "invalid JSON|middle"), (b"null", "invalid JSON"),
    (b"{}", "names no format"), (document(CELL)[:-1], "middle"), (document(CELL)[:-30], "middle"), (document(CELL)[: len(document(CELL)) // 2], "middle"),
    (document(CELL) + "x", "after the notebook's end"), (document(CELL) + document(CELL), "after"), (document(CELL, nbformat=2), "format 2"),
    (document(CELL, nbformat="4"), "format 4"), (document(CELL, nbformat=True), "format True"), (document(CELL).replace("4", "NaN", 1), "invalid JSON"),
    (document(CELL, nbformat=[[4]]), "format"), ('{"nbformat": 4, "nbformat": 4, "cells": []}', "twice"), ('{"cells": [], "nbformat": 4, "cells": []}', "twice"),
    ('{"cells": {}, "nbformat": 4}', "invalid JSON"), ('{"cells": [1], "nbformat": 4}', "invalid JSON"), ('{"cells": [[]], "nbformat": 4}', "invalid JSON"),
    ('{"cells": [{"source": 1}], "nbformat": 4}', "type int"), ('{"cells": [{"source": ["a", 1]}], "nbformat": 4}', "type list"),
    ('{"cells": [{"source": {"a": 1}}], "nbformat": 4}', "type dict"), ('{"cells": [{"source": "a", "source": "b"}], "nbformat": 4}', "twice"),
    ('{"cells": [{"source": NaN}], "nbformat": 4}', "invalid JSON"), ('{"cells": [{"source": "a\nb"}], "nbformat": 4}', "invalid JSON"),
    ('{"cells": [{"source": "a"},], "nbformat": 4}', "invalid JSON"), ('{"cells": [{"source": "a",}], "nbformat": 4}', "invalid JSON"),
    ('{"cells": [{"cell_type": ' + "9" * 5000 + '}], "nbformat": 4}', "MiB|invalid"), ('{"' + "k" * 2000 + '": 1}', "MiB"),
    ("<<<<<<< HEAD\n" + document(CELL), "invalid JSON"), (b"\x00" * 100, "invalid JSON"), (b"PK\x03\x04zip", "invalid JSON"),
])
def test_what_is_no_notebook_is_refused(tmp_path, data, says):
    text = refusal(tmp_path, data)
    assert any(part in text for part in says.split("|")), text


def test_nesting_beyond_measure_is_refused_wherever_it_is(tmp_path):
    deep = "[" * 100_000 + "]" * 100_000
    for data in (deep, f'{{"nbformat": {deep}}}', f'{{"nbformat": 4, "cells": [{{"source": {deep}}}]}}', f'{{"nbformat": 4, "cells": [{{"outputs": {deep}}}]}}',
                 f'{{"nbformat": 4, "cells": [{{"metadata": {deep}}}]}}', f'{{"metadata": {deep}, "nbformat": 4, "cells": []}}'):
        refusal(tmp_path, data)


def test_too_many_cells_brackets_and_keys_are_refused(tmp_path, monkeypatch):
    assert "5,000 cells" in refusal(tmp_path, '{"nbformat": 4, "cells": [' + ",".join(['{"source": ""}'] * 6000) + "]}")
    monkeypatch.setattr(reading, "BRACKETS", 10_000)
    assert "objects, arrays" in refusal(tmp_path, '{"nbformat": 4, "cells": [{"outputs": [' + ",".join(["[]"] * 6000) + "]}]}")
    assert "objects, arrays" in refusal(tmp_path, "{" + ",".join(f'"{n}": 1' for n in range(11_000)) + "}")


def test_a_source_beyond_measure_is_refused(tmp_path):
    assert "MiB" in refusal(tmp_path, document(CELL | {"source": "x" * (reading.SOURCE_BYTES + 1)}))
    assert "sources of more" in refusal(tmp_path, document(*[CELL | {"source": "x" * (reading.SOURCE_BYTES - 10)}] * 5))
    [one] = cells_in(tmp_path, document(CELL | {"source": "x" * (reading.SOURCE_BYTES - 10)}))
    assert len(one.source) == reading.SOURCE_BYTES - 10


def test_a_file_beyond_measure_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "lab.ipynb"
    with path.open("wb") as file:
        file.truncate(reading.FILE_BYTES + 1)
    with pytest.raises(NotebookError, match="clear its outputs"):
        read_cells(path)


def test_outputs_are_stepped_over_in_little_memory(tmp_path):
    outputs = [{"output_type": "display_data", "data": {"image/png": "A" * 20_000_000, "text/plain": ["a\\n\"]}"] * 100_000, "x": [[[{}] * 1000] * 10]}}]
    path = tmp_path / "lab.ipynb"
    path.write_text(document(CELL | {"outputs": outputs}, CELL | {"attachments": {"a": {"b": "c" * 1000}}}))
    size = path.stat().st_size
    tracemalloc.start()
    cells = read_cells(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [cell.source for cell in cells] == ["x = 1", "x = 1"] and peak < 1.2 * size + 2**20


def test_metadata_that_is_odd_is_no_label_and_no_fault(tmp_path):
    odd = [{"nbgrader": 3}, {"nbgrader": {"grade_id": ["a"]}}, [], "x", 7, {"big": "x" * 100_000, "nbgrader": {"grade_id": "a"}}]
    cells = cells_in(tmp_path, document(*[CELL | {"metadata": one} for one in odd]))
    assert [cell.label for cell in cells] == [""] * len(odd)


def test_an_id_that_is_none_is_dropped(tmp_path):
    cells = cells_in(tmp_path, document(*[CELL | {"id": name} for name in ("", "a b", "x" * 65, "../../x", 5, None, "ok-1_A")]))
    assert [cell.id for cell in cells] == ["", "", "", "", "", "", "ok-1_A"]


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    good = tmp_path / "elsewhere.ipynb"
    good.write_text(document(CELL))
    (tmp_path / "link.ipynb").symlink_to(good)
    os.mkfifo(tmp_path / "pipe.ipynb")
    for path, says in ((tmp_path / "link.ipynb", "a link"), (tmp_path / "pipe.ipynb", "a pipe"), (tmp_path / "none.ipynb", "No such file"),
                       ("/dev/zero", "a device"), (tmp_path, "a folder")):
        with pytest.raises(NotebookError, match=says):
            read_cells(type(tmp_path)(path))


def test_a_folder_gives_its_regular_notebooks_only(tmp_path):
    inside = tmp_path / "work"
    inside.mkdir()
    (tmp_path / "x.ipynb").mkdir()
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "link.ipynb").symlink_to("/etc/passwd")
    with pytest.raises(NotebookError, match="'link.ipynb', which is a link"):
        notebooks_in(tmp_path)
    (inside / "B.IPYNB").write_text(document(CELL))
    assert notebooks_in(tmp_path) == [inside / "B.IPYNB"]
    (tmp_path / "a.ipynb").write_text(document(CELL))
    (tmp_path / ".ipynb_checkpoints").mkdir()
    assert notebooks_in(tmp_path) == [tmp_path / "a.ipynb"] and notebooks_in(tmp_path / "a.ipynb") == [tmp_path / "a.ipynb"]


def test_a_folder_of_very_many_files_is_refused(tmp_path):
    for number in range(reading.ENTRIES + 1):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(NotebookError, match="at most 1000 files"):
        notebooks_in(tmp_path)
