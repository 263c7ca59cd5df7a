"""What takes seconds to check over all files is checked here, with the versions that the dev extra brings."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

from breakthrough import optional
from breakthrough.upkeep import hooks

ROOT = Path(__file__).parents[1]


def test_ruff_has_nothing_to_say():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_codespell_has_nothing_to_say():
    done = subprocess.run([sys.executable, "-m", "codespell_lib"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_hooks_are_run_with_the_dev_extras_tools():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in config] == ["local"]
    entries = {hook["id"]: hook["entry"].split() for hook in config[0]["hooks"]}
    assert all(words[:2] == [".venv/bin/python", "-m"] for words in entries.values())
    modules = {words[2].partition(".")[0] for words in entries.values()} - {"breakthrough"}
    dev = {name for name, extra in optional.EXTRAS.items() if extra == "dev"}
    assert modules <= dev and {"ruff", "nbstripout", "codespell_lib", "mypy"} == modules


def test_a_planted_output_is_stripped_and_all_else_stays(tmp_path):
    master = ROOT / "solutions" / "01_moe" / "01_moe.ipynb"
    planted = json.loads(master.read_text())
    cell = next(cell for cell in planted["cells"] if cell["cell_type"] == "code")
    cell["outputs"], cell["execution_count"] = [{"output_type": "stream", "name": "stdout", "text": ["secret\n"]}], 7
    target = tmp_path / "lab.ipynb"
    target.write_text(json.dumps(planted))
    subprocess.run([sys.executable, "-m", "nbstripout", "--keep-id", target], check=True)
    assert nbformat.read(target, 4) == nbformat.read(master, 4)


def test_a_file_that_is_too_large_or_cannot_be_read_is_refused(tmp_path, capsys):
    good, bad, large = tmp_path / "a.toml", tmp_path / "b.yml", tmp_path / "c.bin"
    good.write_text("a = 1\n")
    bad.write_text("a: [1\n")
    large.write_bytes(b"0" * (hooks.MOST_BYTES + 1))
    assert hooks.main([str(good)]) == 0
    assert hooks.main([str(good), str(bad), str(large)]) == 1
    said = capsys.readouterr().out
    assert "b.yml: expected YML that can be read" in said and "c.bin: expected at most" in said


@pytest.mark.parametrize("category", [DeprecationWarning, PendingDeprecationWarning, FutureWarning, pytest.PytestDeprecationWarning])
@pytest.mark.parametrize("module", [__name__, "breakthrough.moe.layer", "some_package.inside"])
def test_a_deprecated_call_is_an_error_whoever_calls(category, module):
    with pytest.raises(category):
        warnings.warn_explicit("old", category, f"{module}.py", 1, module)


def test_a_deprecated_call_in_a_cell_is_an_error():
    cells = ["import warnings\nwarnings.warn('old', DeprecationWarning)", "warnings.warn_explicit('old', DeprecationWarning, 'a.py', 1, 'a')"]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    NotebookClient(made, allow_errors=True).execute()
    assert [[output.get("ename") for output in cell["outputs"]] for cell in made["cells"]] == [["DeprecationWarning"], []]
