import subprocess

import pytest

from breakthrough.course import doctor


def found(monkeypatch=None, **versions):
    if monkeypatch:
        real = doctor.installed
        monkeypatch.setattr(doctor, "installed", lambda name: versions.get(name.replace("-", "_"), real(name)))
    return {finding.name: finding for finding in doctor.examine()}


def test_every_declared_package_is_a_line():
    names = set(found())
    assert {"Python", "torch", "nbgrader [cohort]", "pybullet [scenes]", "CUDA", "cores", "memory", "disk", "sandbox"} <= names


def test_a_missing_package_is_needed_or_names_its_extra(monkeypatch):
    lines = found(monkeypatch, torch=None, tenseal=None)
    assert (lines["torch"].status, lines["torch"].needed) == ("missing", True)
    assert (lines["tenseal [federated]"].status, lines["tenseal [federated]"].needed) == ("missing", False)
    assert lines["tenseal [federated]"].mend == "pip install -e '.[federated]'"


def test_another_version_is_missing_too(monkeypatch):
    line = found(monkeypatch, torch="1.0")["torch"]
    assert line.status == "missing" and "1.0, wanted ==2.13.0" in line.detail


def test_a_local_build_of_the_version_is_the_version(monkeypatch):
    assert found(monkeypatch, torch="2.13.0+cu130")["torch"].status == "OK"


@pytest.mark.parametrize(("card", "torch", "status", "said"), [
    (None, "2.13.0", "note", "everything runs on the CPU"), ("NVIDIA H200", "2.13.0", "OK", "NVIDIA H200"),
    ("NVIDIA H200", "2.13.0+cpu", "missing", "built for the CPU"),
])
def test_cuda_is_found_without_torch(monkeypatch, card, torch, status, said):
    monkeypatch.setattr(doctor, "gpu", lambda: card)
    monkeypatch.setattr(doctor, "installed", lambda name: torch)
    finding = doctor.gpu_finding()
    assert finding.status == status and said in finding.detail
    assert bool(finding.mend) == (status == "missing")


@pytest.mark.parametrize(("code", "status"), [(0, "OK"), (1, "note")])
def test_the_sandbox_is_tried_not_only_looked_for(monkeypatch, code, status):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/bwrap")
    done = subprocess.CompletedProcess(doctor.PROBE, code, "", "bwrap: setting up uid map: Permission denied\n")
    monkeypatch.setattr(doctor.subprocess, "run", lambda *a, **k: done)
    finding = doctor.sandbox()
    assert finding.status == status
    assert code == 0 or ("Permission denied" in finding.detail and finding.mend)


def test_without_bubblewrap_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    finding = doctor.sandbox()
    assert (finding.status, finding.mend) == ("note", "apt-get install bubblewrap")


def test_everything_missing_has_what_mends_it():
    assert all(finding.mend for finding in doctor.examine() if finding.status == doctor.MISSING)


def test_the_facts_of_a_report_are_texts():
    facts = doctor.facts("cpu")
    assert facts["device"] == "cpu" and facts["torch"].startswith("2.13") and all(isinstance(v, str) for v in facts.values())
