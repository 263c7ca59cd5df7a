import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from toy_course import PARAMETERS, write_notebook

from breakthrough.course import execution, notebooks


def run(tmp_path, *cells, limit_s=60, **options):
    source = write_notebook(tmp_path / "in.ipynb", *cells)
    target = tmp_path / "build" / "out.ipynb"
    options = {"parameters": {}, "environment": {}} | options
    outcome = execution.execute(source, target, limit_s=limit_s, **options)
    return outcome, notebooks.read(target)


def printed(notebook):
    texts = [output["text"] for cell in notebooks.code_cells(notebook) for output in cell["outputs"] if "text" in output]
    return "".join("".join(text) for text in texts)


def test_the_kernel_is_this_interpreter_whatever_the_user_has(tmp_path, monkeypatch):
    home = tmp_path / "home"
    spec = home / ".local" / "share" / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(json.dumps({"argv": ["/bin/false"], "display_name": "broken", "language": "python"}))
    startup = home / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("print('start-up file of the user')")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    seen = "import os, shutil, sys\nprint(sys.executable)\nprint(os.environ['MARK'])\nprint(PROFILE, SEED)\nprint(os.listdir())"
    calls = []
    outcome, done = run(tmp_path, PARAMETERS, ("code", seen), parameters={"PROFILE": "tiny", "SEED": 7},
                        environment={"MARK": "given"}, on_cell=lambda index, name: calls.append(index))
    assert outcome.status == "passed" and outcome.error is None
    assert printed(done).splitlines() == [sys.executable, "given", "tiny 7", "[]"]
    assert calls == [0, 1, 2]  # the injected parameters are a cell of their own


def test_a_failing_cell_is_an_outcome_and_what_ran_is_kept(tmp_path):
    outcome, done = run(tmp_path, ("code", "print('before')"), ("code", "1 / 0"), ("code", "print('after')"))
    assert outcome.status == "failed"
    assert outcome.error.startswith("In [2]: ZeroDivisionError")
    assert printed(done) == "before\n"


def test_errors_may_be_allowed(tmp_path):
    outcome, done = run(tmp_path, ("code", "1 / 0"), ("code", "print('after')"), allow_errors=True)
    assert "after\n" in printed(done) and (outcome.status, outcome.error) == ("passed", None)


def test_an_error_that_is_meant_is_no_failure_and_one_that_is_not_is(tmp_path):
    meant = ("code", "1 / 0", {"tags": ["raises-exception"]})
    outcome, done = run(tmp_path, meant, ("code", "print('after')"))
    assert (outcome.status, printed(done)) == ("passed", "after\n")
    outcome, _ = run(tmp_path, meant, ("code", "int('x')"))
    assert outcome.status == "failed" and "In [2]: ValueError" in outcome.error


def test_a_notebook_that_hangs_is_ended_and_what_ran_is_kept(tmp_path):
    outcome, done = run(tmp_path, ("code", "print('before', flush=True)"), ("code", "while True: pass"), limit_s=5)
    assert (outcome.status, outcome.error) == ("timeout", "longer than 5 s, in cell cell-01")
    assert printed(done) == "before\n"


def test_a_cell_over_its_limit_is_interrupted_and_the_rest_goes_on(tmp_path):
    endless = ("code", "while True: pass")
    outcome, done = run(tmp_path, endless, endless, ("code", "print('after')"), cell_limit_s=2, allow_errors=True)
    assert (outcome.status, outcome.slow) == ("passed", {"cell-00": 2, "cell-01": 0.5})
    assert printed(done) == "after\n" and notebooks.code_cells(done)[0]["outputs"][0]["ename"] == "KeyboardInterrupt"


def test_a_cell_that_does_not_end_when_interrupted_loses_its_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "GRACE_S", 1)
    stubborn = "import time\nwhile True:\n    try: time.sleep(60)\n    except KeyboardInterrupt: pass"
    outcome, done = run(tmp_path, ("code", "print('before')"), ("code", stubborn), cell_limit_s=2, allow_errors=True)
    assert (outcome.status, outcome.slow) == ("failed", {"cell-01": 2})
    assert outcome.error == "cell cell-01 did not end when it was interrupted" and printed(done) == "before\n"


def test_a_kernel_that_dies_is_an_outcome(tmp_path):
    outcome, _ = run(tmp_path, ("code", "import os\nos._exit(3)"))
    assert outcome.status == "failed" and "died in cell cell-00" in outcome.error


def test_only_the_executed_notebook_is_left(tmp_path):
    run(tmp_path, ("code", "open('file', 'w').write('x')"))
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["out.ipynb"]


def test_old_outputs_do_not_count(tmp_path):
    source = write_notebook(tmp_path / "in.ipynb", ("code", "pass"))
    stale = json.loads(source.read_text())
    stale["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "old"}]
    source.write_text(json.dumps(stale))
    execution.execute(source, tmp_path / "out.ipynb", parameters={}, environment={}, limit_s=60)
    assert printed(notebooks.read(tmp_path / "out.ipynb")) == ""


def test_environ_restores_what_was_there(monkeypatch):
    monkeypatch.setenv("ONE", "1")
    monkeypatch.delenv("TWO", raising=False)
    with execution.environ(ONE="x", TWO="y"):
        import os

        assert (os.environ["ONE"], os.environ["TWO"]) == ("x", "y")
    assert os.environ["ONE"] == "1" and "TWO" not in os.environ
    assert Path.cwd()


def test_the_peak_counts_what_a_child_of_the_kernel_held_for_a_while(tmp_path):
    child = "import subprocess, sys\nhold = 'import time; x = bytearray(300 << 20); time.sleep(1.5)'\n"
    none, _ = run(tmp_path, ("code", "1"))
    held, _ = run(tmp_path, ("code", child + "subprocess.run([sys.executable, '-c', hold])"), ("code", "1"))
    assert 10 << 20 < none.peak_bytes < held.peak_bytes - (280 << 20)


def test_the_work_of_a_kernel_and_of_its_children_is_counted_waited_for_or_not(tmp_path):
    spin = "import time\nwhile time.process_time() < 2: pass\ntime.sleep(1)"
    none, _ = run(tmp_path, ("code", "1"))
    waited, _ = run(tmp_path, ("code", f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {spin!r}])"), ("code", "1"))
    left, _ = run(tmp_path, ("code", f"import signal, subprocess, sys\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nsubprocess.run([sys.executable, '-c', {spin!r}])"))
    assert 0 < none.cpu_s < waited.cpu_s - 1.4 and none.cpu_s < left.cpu_s - 1.4


def test_several_notebooks_run_at_once_each_in_its_own_folder_and_environment(tmp_path):
    def one(number):
        cells = ("code", f"open('mark', 'w').write('{number}')"), ("code", "import os, time\ntime.sleep(1)\nprint(os.environ['MARK'], os.listdir(), open('mark').read())")
        return run(tmp_path / str(number), *cells, environment={"MARK": f"is {number}"})

    before = (Path.cwd(), dict(os.environ))
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(one, range(3)))
    assert [printed(notebook) for _, notebook in done] == [f"is {n} ['mark'] {n}\n" for n in range(3)]
    assert (Path.cwd(), dict(os.environ)) == before


def test_whoever_runs_a_notebook_is_told_its_kernel(tmp_path):
    pids = []
    _, done = run(tmp_path, ("code", "import os\nprint(os.getpid())"), on_kernel=pids.append)
    assert printed(done) == f"{pids[0]}\n"
