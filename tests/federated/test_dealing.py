"""What a run needs on the nodes: who is given which key."""

import stat
from dataclasses import replace

import numpy as np
import pytest
from federated_toys import PLAN

pytest.importorskip("tenseal")

from breakthrough.errors import ConfigError, InputError
from breakthrough.federated import dealing, encryption
from breakthrough.federated.federation import Federation, Node


def some_nodes(folder):
    return Federation(folder, "t", 1, nodes=(Node(0, 1, 1, "a"), Node(1, 1, 1, "b"), Node(2, 1, 1, "c", registered=False)))


def test_one_node_gets_the_secret_key_and_no_stranger_any(tmp_path):
    fed = some_nodes(tmp_path)
    replace(PLAN, protection="encrypted").save(tmp_path / "plan.json")
    told = dealing.settings(fed, tmp_path / "plan.json")
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.ckks"))
    assert found == ["nodes/0/keys/public.ckks", "nodes/0/keys/secret.ckks", "nodes/1/keys/public.ckks", "superlink/public.ckks"]
    assert told == {"public": str(tmp_path / "superlink" / "public.ckks")}
    keys = fed.home(0) / "keys"
    assert stat.S_IMODE((keys / "secret.ckks").stat().st_mode) == 0o600
    x = np.linspace(-1, 1, 100)
    sent = encryption.encrypt(x, (fed.home(1) / "keys" / "public.ckks").read_bytes())
    np.testing.assert_allclose(encryption.decrypt(sent, (keys / "secret.ckks").read_bytes(), 100), x, atol=1e-4)


def test_a_plain_plan_needs_no_keys(tmp_path):
    PLAN.save(tmp_path / "plan.json")
    (tmp_path / "test.npz").touch()
    assert dealing.settings(some_nodes(tmp_path), tmp_path / "plan.json", tmp_path / "test.npz") == {"test": str(tmp_path / "test.npz")}
    assert not list(tmp_path.rglob("*.ckks"))


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="expected a plan as JSON"):
        dealing.settings(some_nodes(tmp_path), tmp_path / "plan.json")
    PLAN.save(tmp_path / "plan.json")
    with pytest.raises(InputError, match="expected a file to score on"):
        dealing.settings(some_nodes(tmp_path), tmp_path / "plan.json", tmp_path / "none.npz")
