"""What a run of the project's own apps needs on the nodes and at the server beyond the plan.

An encrypted plan needs CKKS keys. They are made where the run is started: the secret one goes to one node,
the public one to all and to the server. Whoever starts the run is trusted to forget the secret.
"""

from __future__ import annotations

from pathlib import Path

from breakthrough.errors import InputError, expected
from breakthrough.federated.federation import Federation
from breakthrough.federated.plan import Plan


def settings(federation: Federation, plan: str | Path, test: str | Path | None = None) -> dict[str, str]:
    """What the ServerApp is told beside the plan: what it scores on, and the public key of an encrypted plan.

    Raises: ConfigError for a plan that is none; InputError when the test file is not there
    """
    read, told = Plan.load(plan), {}
    if test is not None:
        if not Path(test).is_file():
            raise InputError(expected("a file to score on", f"{test}, which is not there"))
        told["test"] = str(Path(test).resolve())
    if read.protection == "encrypted":
        told["public"] = str(deal_keys(federation, read))
    return told


def deal_keys(federation: Federation, plan: Plan) -> Path:
    """Make CKKS keys for a plan and hand them out; returns where the server finds the public one.

    The first node holds the secret key and decrypts sums; no other file of it is written.
    """
    from breakthrough.federated import encryption
    from breakthrough.federated.simulation import ckks_parameters, write_key

    secret, public = encryption.make_keys(ckks_parameters([plan], len(federation.members)))
    write_key(federation.home(federation.members[0].number) / "keys" / "secret.ckks", secret)
    for node in federation.members:
        write_key(federation.home(node.number) / "keys" / "public.ckks", public)
    target = federation.superlink / "public.ckks"
    write_key(target, public)
    return target
