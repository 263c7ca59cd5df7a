"""The lock files hold every requirement of pyproject.toml, at a version it allows, with hashes; what is installed may differ, and says how."""

import hashlib
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from breakthrough.errors import InputError
from breakthrough.upkeep import index, lock

ROOT = Path(__file__).parents[2]
CPU, CUDA = ROOT / "locks" / "cpu.txt", ROOT / "locks" / "cuda.txt"
DIGEST = "0" * 64


@pytest.mark.parametrize("path", [CPU, CUDA], ids=lambda path: path.stem)
def test_every_requirement_is_locked_at_a_version_it_allows(path):
    locked = lock.read(path)
    for one in lock.wanted(ROOT):
        assert canonicalize_name(one.name) in locked, f"{one} is not in {path.name}: make lock"
        version, hashes = locked[canonicalize_name(one.name)]
        assert one.specifier.contains(version), f"{path.name} has {one.name} {version}, pyproject.toml wants {one.specifier}: make lock"
        assert hashes


def test_what_packages_require_of_each_other_is_locked_too():
    missing = set(lock.closure(lock.wanted(ROOT))) - set(lock.read(CPU))
    assert not missing, f"installed and required, not locked: {sorted(missing)}: make lock"


def test_both_builds_of_torch_are_the_same_version_and_only_one_brings_cuda():
    cpu, cuda = lock.read(CPU), lock.read(CUDA)
    assert cpu["torch"][0].public == str(cuda["torch"][0]) and cpu["torch"][0].local == "cpu"
    assert not [name for name in cpu if name.startswith(("nvidia", "triton"))]
    assert {name for name in cuda if name.startswith("nvidia")} and set(cpu) < set(cuda)


def test_no_address_but_public_ones_stands_in_the_locks():
    texts = [path.read_text() for path in (ROOT / "locks").iterdir()]
    assert {host for text in texts for host in re.findall(r"https?://([^/\s]+)", text)} == {"pypi.org", "download.pytorch.org"}
    assert not [text for text in texts if re.search(r"file:|^--", text, re.MULTILINE)]


def test_what_is_installed_is_what_is_locked():
    found = lock.differences(ROOT / "locks" / "common.txt")
    if found:
        pytest.skip(f"{len(found)} packages differ from the lock; make setup LOCKED=cpu installs it: {'; '.join(found)}")


def test_a_line_without_a_hash_is_refused(tmp_path):
    (tmp_path / "common.txt").write_text("numpy==2.0\n")
    with pytest.raises(InputError, match="a package with hashes"):
        lock.read(tmp_path / "common.txt")
    (tmp_path / "common.txt").write_text(f"numpy>=2.0 --hash=sha256:{DIGEST}\n")
    with pytest.raises(InputError, match="numpy>=2.0"):
        lock.read(tmp_path / "common.txt")


def test_a_lock_reads_what_it_includes_and_says_how_this_machine_differs(tmp_path):
    (tmp_path / "common.txt").write_text(f"# made\nnumpy==0.1 \\\n    --hash=sha256:{DIGEST}\n")
    (tmp_path / "cpu.txt").write_text(f"-r common.txt\n\nnot-there==1 \\\n    --hash=sha256:{DIGEST}\n")
    assert lock.read(tmp_path / "cpu.txt") == {"numpy": (Version("0.1"), {DIGEST}), "not-there": (Version("1"), {DIGEST})}
    missing, other = lock.differences(tmp_path / "cpu.txt")
    assert missing == "not-there: 1 in cpu.txt, not installed here" and other.startswith("numpy: 0.1 in cpu.txt, 2.")


def test_the_cpu_builds_hash_is_that_of_the_wheel_or_the_one_kept(tmp_path):
    wheel = tmp_path / "torch-2.0+cpu-cp311-cp311-linux_x86_64.whl"
    wheel.write_bytes(b"wheel")
    digest = hashlib.sha256(b"wheel").hexdigest()
    assert lock._cpu_hash(Version("2.0"), wheel, tmp_path / "cpu.txt") == digest
    with pytest.raises(InputError, match="none kept; try --wheel"):
        lock._cpu_hash(Version("2.0"), None, tmp_path / "cpu.txt")
    (tmp_path / "cpu.txt").write_text(f"torch==2.0+cpu \\\n    --hash=sha256:{digest}\n")
    assert lock._cpu_hash(Version("2.0"), None, tmp_path / "cpu.txt") == digest
    with pytest.raises(InputError, match="none kept"):
        lock._cpu_hash(Version("2.1"), None, tmp_path / "cpu.txt")
    with pytest.raises(InputError, match=r"a wheel of torch 2\.1\+cpu"):
        lock._cpu_hash(Version("2.1"), wheel, tmp_path / "cpu.txt")


def test_what_a_build_brings_is_the_newest_that_all_who_want_it_allow(monkeypatch):
    versions = {"a": ["1", "2", "3"], "b": ["1", "2"], "c": ["5"]}
    wants = {("top", "1"): ["a", "b[more]; extra != 'none'", "known"], ("b", "2"): ["a<3", "c; extra == 'more'"], ("a", "3"): [], ("a", "2"): [], ("c", "5"): []}
    monkeypatch.setattr(index, "newest", lambda name, allowed: max(Version(one) for one in versions[name] if allowed.contains(one)))

    def requires(name, version, extras=()):
        found = [Requirement(text) for text in wants[name, str(version)]]
        return [one for one in found if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras))]

    monkeypatch.setattr(index, "requires", requires)
    found = lock.brought("top", Version("1"), {canonicalize_name("known"): Version("1")})
    assert found == {"a": Version("2"), "b": Version("2"), "c": Version("5")}
