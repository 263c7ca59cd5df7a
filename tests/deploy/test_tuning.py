import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from breakthrough.deploy import functions, measuring, nests, profiling, search, tuning
from breakthrough.deploy.database import Database, shipped
from breakthrough.deploy.nets import net
from breakthrough.errors import BreakthroughError, InputError
from breakthrough.seeds import torch_generator
from breakthrough.train.inspector import Inspector, InspectorConfig

tvm = pytest.importorskip("tvm")
structural_hash = pytest.importorskip("tvm_ffi").structural_hash
export = pytest.importorskip("breakthrough.deploy.export")

CONFIG = InspectorConfig(widths=(16,), blocks=(1,))
STUB = str(Path(__file__).parent / "stub_tuner.py")


def model_of(seed):
    return Inspector(CONFIG, torch_generator(seed)).eval()


def exported(seed=0, size=1, batch="fixed"):
    return export.to_relax(model_of(seed), torch.rand(size, 3, 16, 16, generator=torch_generator(9)), batch=batch)


@pytest.fixture(scope="module")
def target():
    return tvm.target.Target({"kind": "llvm", "mcpu": "x86-64-v3", "mtriple": "x86_64-linux-gnu", "num-cores": 1})


@pytest.fixture(scope="module")
def module():
    return exported().module


def run(module, x):
    name, *_ = functions.entries(module)
    machine = tvm.relax.VirtualMachine(tvm.compile(module, target="llvm"), tvm.cpu())
    return machine[name](tvm.runtime.tensor(x.numpy()))[0].numpy()


@pytest.fixture
def stub(monkeypatch, tmp_path):
    def use(kind):
        command = (sys.executable, STUB, kind, str(tmp_path / "marker"))
        monkeypatch.setattr(measuring.Measuring, "command", command)
        return tmp_path / "marker"

    return use


def test_weights_do_not_matter_to_records(module, target):
    keys = [[task.key for task in tuning.tasks_of(m, target)] for m in (module, exported(seed=1).module)]
    assert keys[0] == keys[1] and len(set(keys[0])) == len(keys[0])


def test_keys_are_the_same_in_another_process(module, target, tmp_path):
    path = tmp_path / "net.json"
    path.write_text(tvm.ir.save_json(module))
    program = (
        "import sys, tvm; from breakthrough.deploy import tuning\n"
        "module = tvm.ir.load_json(open(sys.argv[1]).read())\n"
        "target = tvm.target.Target({'kind': 'llvm', 'mcpu': 'x86-64-v3', 'mtriple': 'x86_64-linux-gnu', 'num-cores': 1})\n"
        "print(*(task.key for task in tuning.tasks_of(module, target)))"
    )
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", program, path], capture_output=True, text=True, check=True)
    assert found.stdout.split() == [task.key for task in tuning.tasks_of(module, target)]


def test_preparing_twice_changes_nothing(module, target):
    prepared = tuning.prepare(module, target)
    assert tuning.prepare(prepared, target).same_as(prepared)
    other = tuning.prepare(module, target)
    assert structural_hash(prepared) == structural_hash(other)
    assert [t.key for t in tuning.tasks_of(prepared, target)] == [t.key for t in tuning.tasks_of(other, target)]


@pytest.mark.parametrize(("size", "batch"), [(1, "fixed"), (3, "fixed"), (2, "dynamic")])
def test_untuned_schedules_give_the_nets_answer(target, size, batch):
    made = exported(size=size, batch=batch)
    x = torch.rand(size, 3, 16, 16, generator=torch_generator(3))
    found = tuning.plan(made.module, target)
    assert found.guessed and set(found.untuned) <= {v.name_hint for v, _ in nests.loop_nests(found.module)}
    with torch.no_grad():
        want = model_of(0)(x).numpy()
    assert np.abs(run(found.module, x) - want).max() < 1e-5


def test_tuning_records_resumes_and_is_used(module, target, tmp_path):
    path = tmp_path / "records.jsonl"
    tasks = [task for task in tuning.tasks_of(module, target) if task.weight]
    first = tuning.tune(module, target, path, len(tasks), bar=False)
    assert (first.trials, first.measured, first.failed, first.crashes) == (len(tasks), len(tasks), 0, 0)
    again = tuning.tune(module, target, path, len(tasks), bar=False)
    assert (again.trials, again.measured) == (len(tasks), 0)
    tuning.tune(module, target, path, len(tasks) + 2, bar=False)
    found = Database(path).records
    assert len(found) == len(tasks) + 2 == len({(r.task, r.candidate) for r in found})
    plan = tuning.plan(module, target, path)
    assert plan.tuned and not set(plan.tuned) & set(plan.untuned)
    x = torch.rand(1, 3, 16, 16, generator=torch_generator(3))
    with torch.no_grad():
        want = model_of(0)(x).numpy()
    assert np.abs(run(plan.module, x) - want).max() < 1e-5


@pytest.mark.parametrize(("kind", "says"), [("kill", "signal 9"), ("crash", "signal 11"), ("exit", "status 7"), ("hang", "stopped after")])
def test_a_dead_worker_costs_its_candidate_alone(module, target, tmp_path, stub, kind, says):
    marker, path = stub(kind), tmp_path / "records.jsonl"
    result = tuning.tune(module, target, path, 8, bar=False, candidate_s=3.0 if kind == "hang" else 60.0)
    found = Database(path).records
    assert (result.trials, result.measured, result.failed, result.crashes) == (8, 7, 1, 1)
    (guilty,) = (record for record in found if not record.ok)
    assert says in guilty.error and guilty.task == json.loads(marker.read_text())["task"]
    tuning.tune(module, target, path, 12, bar=False)
    assert sum(r.candidate == guilty.candidate and r.task == guilty.task for r in Database(path).records) == 1


def test_a_worker_that_never_starts_is_an_error(module, target, tmp_path, monkeypatch):
    monkeypatch.setattr(measuring.Measuring, "command", (sys.executable, "-c", "import sys; sys.exit('no such thing')"))
    with pytest.raises(BreakthroughError, match="no such thing"):
        tuning.tune(module, target, tmp_path / "r.jsonl", 1, bar=False)


def test_records_of_another_instruction_set_are_borrowed(module, target, tmp_path, stub):
    stub("never")
    path = tmp_path / "records.jsonl"
    tuning.tune(module, target, path, 40, bar=False)
    other = tvm.target.Target({"kind": "llvm", "mcpu": "x86-64", "mtriple": "x86_64-linux-gnu"})
    plan = tuning.plan(module, other, path)
    assert plan.borrowed and not plan.tuned
    x = torch.rand(1, 3, 16, 16, generator=torch_generator(3))
    with torch.no_grad():
        assert np.abs(run(plan.module, x) - model_of(0)(x).numpy()).max() < 1e-5


def test_a_record_that_does_not_fit_is_passed_over(module, target, tmp_path):
    path = tmp_path / "records.jsonl"
    task = tuning.tasks_of(module, target)[0]
    line = {"task": task.key, "name": "x", "isa": "x86-64-v3", "candidate": "c", "rule": "winograd", "params": {"bad": 1}, "run_s": 1e-9}
    path.write_text(json.dumps(line) + "\n")
    assert task.name in tuning.plan(module, target, path).untuned


def row_sums():
    """Sums of rows: a loop nest that no rule fits."""
    builder, x = tvm.relax.BlockBuilder(), tvm.relax.Var("x", tvm.relax.TensorType((32, 4096), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            out = builder.emit_output(tvm.relax.op.sum(x, axis=1))
        builder.emit_func_output(out)
    return builder.get()


def test_metaschedule_searches_where_no_rule_fits(target, tmp_path):
    module, path = row_sums(), tmp_path / "records.jsonl"
    first = tuning.tune(module, target, path, 2, bar=False)
    assert (first.measured, first.crashes) == (2, 0)
    second = tuning.tune(module, target, path, 4, bar=False)
    found = Database(path).records
    assert second.measured == 2 and len({r.candidate for r in found}) == 4 and all(r.trace for r in found)
    plan = tuning.plan(module, target, path)
    assert len(plan.tuned) == 1
    values = torch.rand(32, 4096, generator=torch_generator(0))
    machine = tvm.relax.VirtualMachine(tvm.compile(plan.module, target="llvm"), tvm.cpu())
    got = machine["main"](tvm.runtime.tensor(values.numpy())).numpy()
    assert np.allclose(got, values.numpy().sum(1), rtol=1e-5)


def test_a_search_proposes_no_more_than_it_is_asked_for(target):
    [task] = tuning.tasks_of(row_sums(), target)
    made = search.Search(task.function, target, 0, [], 48)
    keys = []
    for count in (4, 1, 3):
        proposed = list(made.propose(count))
        assert 0 < len(proposed) <= count
        keys += [proposal.key for proposal in proposed]
        made.learn()
    assert len(set(keys)) == len(keys)


def test_no_trials_is_an_error(module, target, tmp_path):
    with pytest.raises(InputError, match="at least one trial"):
        tuning.tune(module, target, tmp_path / "r.jsonl", 0)


def test_a_profile_adds_up(module, target):
    found = profiling.profile(module, target)
    assert {o.name for o in found.operators} >= {task.name for task in tuning.tasks_of(module, target)}
    assert found.whole_s == pytest.approx(found.between_s + sum(o.total_s for o in found.operators))
    assert all(o.each_s > 0 and o.calls > 0 and o.bytes > 0 for o in found.operators)
    assert any(o.flops > 0 for o in found.operators)
    assert [o.total_s for o in found.operators] == sorted((o.total_s for o in found.operators), reverse=True)
    lines = found.lines(2)
    assert len(lines) == 6 and "between operators" in lines[-2]


@pytest.mark.parametrize("name", ["inspector", "inspector_experts", "mobilenet", "language"])
def test_shipped_records_cover_the_courses_nets(name):
    target = tvm.target.Target({"kind": "llvm", "mcpu": "x86-64-v4", "mtriple": "x86_64-linux-gnu"})
    chosen, known = net(name), Database(shipped())
    x = torch.from_numpy(chosen.draw(1, np.random.default_rng(0)))
    tasks = tuning.tasks_of(export.to_relax(chosen.model(), x).module, target)
    found = [known.best(task.key, "x86-64-v4") for task in tasks]
    assert [task.name for task, record in zip(tasks, found) if record is None or record.isa != "x86-64-v4"] == []
