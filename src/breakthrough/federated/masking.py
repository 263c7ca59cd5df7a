"""Secure aggregation: the server gets the sum of the members' vectors and, of each one, only noise.

Every pair of members agrees on a mask that one adds and the other subtracts, and every member adds one
more mask of its own. In the sum the pairs' masks cancel; the rest is taken off with secrets that the
members hold in shares: the seed of the own mask of whoever answered, the mask key of whoever dropped out.
Nobody gives away both of one member, for together they would bare its vector.

    node    member = Member(name, parties, threshold, context)      one for every round
            member.advertise() → keys                 to the server, which sends all keys to all
            member.share(keys) → sealed shares        for each peer, passed on by the server
            member.mask(codes, inbox) → noise         members whose shares arrived are the roster
            member.reveal(survivors, dropped)         told who answered
    server  unmask(masked, keys, roster, reveals, threshold, context) → the sum of the survivors' codes

Who is trusted with what:
- The server is semi-honest: it does as written and reads all it gets. It learns who took part, who
  dropped out, the length of the vectors, and the sum. The sum itself is not hidden: of two members each
  knows the other's vector from it, and what a sum says about one member is for noise to limit (`privacy`).
- Members may drop out at any step while `threshold` of them are left to answer the last one.
- 2 · threshold > parties is required. A server could tell half of the members that a peer dropped out,
  and the other half that it answered; each member answers once and with one kind of share, so both of the
  peer's secrets would take 2 · threshold members, more than there are. With c members who work with the
  server it takes 2 · threshold > parties + c.
- What is sealed for a peer is bound to the round and to everybody's keys: other keys told to other
  members, replays and changed bytes are refused. But keys are not signed. A server that lies about the
  roster from the start, putting its own keys in place of the members', reads all; against that keys must
  be signed by identities the members know, and the members must compare what they were told before they
  reveal. A member that sends nonsense spoils the sum: masks hide it from checks too.
- A node keeps a member's state between messages and must never go back to an older one: a second vector
  under the same masks bares the difference.

Shape legend: D entries of an update, as codes of `fixed_point`; arithmetic is modulo 2^32.
Source: Bonawitz et al. 2017, Practical Secure Aggregation for Privacy-Preserving Machine Learning, fig. 4
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field

import numpy as np

from breakthrough.errors import ConfigError, InputError, ShapeError, expected
from breakthrough.federated import member_state, shamir
from breakthrough.federated.key_agreement import KEY_BYTES, add_mask, agree, new_private_key, public_key, seal, unseal
from breakthrough.federated.mask_keys import check_threshold, check_vector, own_mask_key, pair_mask_key, point_of, purpose
from breakthrough.federated.mask_messages import (
    MASK_KEY,
    SEED,
    PublicKeys,
    check_name,
    commitment,
    read_all_keys,
    read_reveal,
    read_shares,
    tag,
    transcript,
    write_reveal,
    write_shares,
)  # fmt: skip
from breakthrough.federated.shamir import SHARE_BYTES, Share

GONE = bytes(KEY_BYTES)


@dataclass(repr=False)
class Member:
    """One member in one round: its secrets, and what it knows of the others so far.

    Raises: ConfigError for fewer than 2 parties, a threshold not above half of them, or no context
    """

    name: int
    parties: int
    threshold: int
    context: bytes
    step: str = "share"  # what it does next: share, mask, reveal, done
    mask_key: bytes = field(default_factory=new_private_key)
    seal_key: bytes = field(default_factory=new_private_key)
    seed: bytes = field(default_factory=new_private_key)
    keys: dict[int, bytes] = field(default_factory=dict)
    shares: dict[int, tuple[Share, Share]] = field(default_factory=dict)  # by owner: of its seed, of its mask key

    def __post_init__(self) -> None:
        check_name(self.name)
        check_threshold(self.parties, self.threshold)
        if not isinstance(self.context, bytes) or not self.context:
            raise ConfigError(expected("a context, bytes that no other round has", repr(self.context), "the run's id and the round's number"))

    def __repr__(self) -> str:
        return f"Member({self.name}, parties={self.parties}, threshold={self.threshold}, next={self.step!r})"  # no secrets

    def advertise(self) -> bytes:
        """The member's public keys for this round, for everybody.

        Raises: InputError after the vector is masked: the secrets are gone by then
        """
        if self.seed == GONE:
            raise InputError(expected(f"member {self.name} before its vector is masked", f"one whose next step is {self.step}", "a new Member for a new round"))
        mine = PublicKeys(public_key(self.mask_key), public_key(self.seal_key), commitment(self.seed, self.name, self.context))
        return mine.to_bytes(self.context)

    def share(self, keys: Mapping[int, bytes]) -> dict[int, bytes]:
        """Shares of both secrets for every peer, sealed for it; once, for the keys of all who take part.

        Raises: InputError for too few or too many members, other keys than mine under my name, keys of another round
        """
        self._expect("share")
        read = read_all_keys(keys, self.context)
        if not self.threshold <= len(read) <= self.parties:
            raise InputError(expected(f"the keys of {self.threshold} to {self.parties} members", len(read)))
        if keys.get(self.name) != self.advertise():
            raise InputError(expected(f"my own keys as those of member {self.name}", "others" if self.name in keys else "none"))
        points = dict(enumerate(read, start=1))
        seeds = shamir.split(self.seed, len(read), self.threshold)
        mask_keys = shamir.split(self.mask_key, len(read), self.threshold)
        pairs = {name: (seeds[x], mask_keys[x]) for x, name in points.items()}
        agreed = transcript(self.context, self.threshold, keys)
        sealed = {peer: self._seal(pairs[peer], peer, read[peer], agreed) for peer in read if peer != self.name}
        self.keys, self.shares, self.step = dict(keys), {self.name: pairs[self.name]}, "mask"
        return sealed

    def mask(self, codes: np.ndarray, inbox: Mapping[int, bytes]) -> np.ndarray:
        """The codes under all masks; once, with the sealed shares of every peer of the roster.

        Shapes: codes (D,) uint32 → (D,) uint32
        Raises: InputError for too few peers, a peer without keys, shares that do not open; the member can then try again
        """
        self._expect("mask")
        check_vector(codes, "codes")
        if len(inbox) + 1 < self.threshold:
            raise InputError(expected(f"the shares of at least {self.threshold - 1} peers", len(inbox)))
        read = read_all_keys(self.keys, self.context)
        if strangers := set(inbox) - set(read) | set(inbox) & {self.name}:
            raise InputError(expected("shares of peers whose keys came before", f"shares of {sorted(strangers)}"))
        agreed = transcript(self.context, self.threshold, self.keys)
        received = {peer: self._unseal(inbox[peer], peer, read[peer], agreed) for peer in sorted(inbox)}
        masked = codes.copy()  # (D,)
        add_mask(masked, own_mask_key(self.seed, self.name, agreed), +1)
        for peer in received:
            add_mask(masked, pair_mask_key(self.mask_key, self.name, peer, read[peer], agreed), +1 if self.name < peer else -1)
        self.shares, self.step = self.shares | received, "reveal"
        self.mask_key = self.seal_key = self.seed = GONE  # needed no more: whoever takes the node later finds none
        return masked

    def reveal(self, survivors: Set[int], dropped: Set[int]) -> bytes:
        """A share of the seed of every survivor and of the mask key of everybody who dropped out; once.

        Raises: InputError when a member is named as both, or someone of the roster as neither, or too few survived
        """
        self._expect("reveal")
        survivors, dropped = set(survivors), set(dropped)
        if both := survivors & dropped:
            raise InputError(expected("each member as survivor or as dropped", f"{sorted(both)} as both: both secrets of a member bare its vector"))
        if survivors | dropped != set(self.shares):
            raise InputError(expected(f"all of the roster {sorted(self.shares)}", sorted(survivors | dropped)))
        if self.name not in survivors or len(survivors) < self.threshold:
            raise InputError(expected(f"member {self.name} and at least {self.threshold - 1} more survivors", sorted(survivors)))
        kinds = {name: SEED if name in survivors else MASK_KEY for name in self.shares}
        told = write_reveal(tag(transcript(self.context, self.threshold, self.keys)), {n: (kind, self.shares[n][kind]) for n, kind in kinds.items()})
        self.shares, self.step = {}, "done"
        return told

    def to_bytes(self) -> bytes:
        """All of the member, secrets in the clear, for the node itself to keep until the round's next message."""
        return member_state.write(vars(self))

    @staticmethod
    def from_bytes(state: bytes) -> Member:
        """A member as it was kept.

        Raises: InputError when that was cut or changed
        """
        return Member(**member_state.read(state))

    def _expect(self, step: str) -> None:
        if self.step != step:
            raise InputError(expected(f"member {self.name}'s next step to be {step}", self.step, "a new Member for a new round"))

    def _seal(self, pair: tuple[Share, Share], peer: int, theirs: PublicKeys, agreed: bytes) -> bytes:
        key = agree(self.seal_key, theirs.seal, purpose(b"seal", agreed, self.name, peer))
        return write_shares(seal(key, pair[SEED].to_bytes() + pair[MASK_KEY].to_bytes(), _way(self.name, peer)))

    def _unseal(self, blob: bytes, peer: int, theirs: PublicKeys, agreed: bytes) -> tuple[Share, Share]:
        key = agree(self.seal_key, theirs.seal, purpose(b"seal", agreed, self.name, peer))
        try:
            text = unseal(key, read_shares(blob, peer), _way(peer, self.name))
        except InputError as error:
            raise InputError(f"shares of member {peer} for member {self.name}: {error}") from error
        pair = Share.from_bytes(text[:SHARE_BYTES]), Share.from_bytes(text[SHARE_BYTES:])
        if any(share.x != point_of(self.name, self.keys) for share in pair):
            raise InputError(expected(f"shares of member {peer} at the point of member {self.name}", f"points {[share.x for share in pair]}"))
        return pair


def unmask(
    masked: Mapping[int, np.ndarray], keys: Mapping[int, bytes], roster: Collection[int], reveals: Mapping[int, bytes], threshold: int, context: bytes,
) -> np.ndarray:
    """The sum of the codes of `masked`'s members, modulo 2^32: the server's last step.

    Shapes: each masked vector (D,) uint32 → (D,) uint32
    Units:  roster are the members whose shares were passed on; reveals come from at least `threshold` of the survivors
    Raises: InputError below the threshold, for another round's message, or when a recovered secret is not the one
            its member advertised; ShapeError, DtypeError
    """
    check_threshold(len(keys), threshold)
    read, agreed = read_all_keys(keys, context), transcript(context, threshold, keys)
    survivors = _check_roster(masked, read, set(roster), reveals, threshold)
    told = {name: check_reveal(reveals[name], name, keys, roster, survivors, threshold, context) for name in sorted(reveals)}
    secrets = {name: _recover([shares[name] for shares in told.values()], name, threshold) for name in sorted(roster)}
    total = np.zeros_like(masked[survivors[0]])  # (D,)
    for name in survivors:
        if commitment(secrets[name], name, context) != read[name].commitment:
            raise InputError(_not_the_secret(name, told))
        total += masked[name]
        add_mask(total, own_mask_key(secrets[name], name, agreed), -1)
    for gone in sorted(set(roster) - set(survivors)):
        if len(secrets[gone]) != KEY_BYTES or public_key(secrets[gone]) != read[gone].mask:
            raise InputError(_not_the_secret(gone, told))
        for name in survivors:
            add_mask(total, pair_mask_key(secrets[gone], gone, name, read[name], agreed), -1 if name < gone else +1)
    return total


def _check_roster(masked: Mapping[int, np.ndarray], read: Collection[int], roster: set[int], reveals: Collection[int], threshold: int) -> list[int]:
    """The survivors in order, if they are enough and all that was sent belongs together."""
    if not set(reveals) <= set(masked) <= roster <= set(read):
        got = f"reveals of {sorted(reveals)}, vectors of {sorted(masked)}, roster {sorted(roster)}, keys of {sorted(read)}"
        raise InputError(expected("reveals of members with vectors, vectors of the roster, a roster with keys", got))
    for what, names in (("masked vectors", masked), ("reveals", reveals)):
        if len(names) < threshold:
            raise InputError(expected(f"{what} of at least {threshold} members", len(names), "a new round: with fewer the sum stays hidden"))
    survivors = sorted(masked)
    for name in survivors:
        check_vector(masked[name], f"the masked vector of member {name}")
        if masked[name].shape != masked[survivors[0]].shape:
            raise ShapeError(expected(f"the masked vector of member {name} as {masked[survivors[0]].shape}", masked[name].shape))
    return survivors


def check_reveal(
    blob: bytes, name: int, keys: Mapping[int, bytes], roster: Collection[int], survivors: Collection[int], threshold: int, context: bytes,
) -> dict[int, Share]:
    """The shares in a member's reveal, if they are this round's, of its own point, and those that it was asked for.

    Raises: InputError, DtypeError, each naming the member
    """
    told = read_reveal(blob, name, len(roster), tag(transcript(context, threshold, keys)))
    asked = {peer: SEED if peer in survivors else MASK_KEY for peer in roster}
    if {peer: kind for peer, (kind, _) in told.items()} != asked or any(share.x != point_of(name, keys) for _, share in told.values()):
        raise InputError(expected(f"member {name}'s shares of seeds of survivors and of mask keys of dropped members", "others"))
    return {peer: share for peer, (_, share) in told.items()}


def _recover(shares: list[Share], name: int, threshold: int) -> bytes:
    try:
        return shamir.recover(shares, threshold)
    except InputError as error:
        raise InputError(f"the secret of member {name}: {error}") from error


def _not_the_secret(name: int, told: Collection[int]) -> str:
    return expected(f"the secret that member {name} advertised", f"another from the shares of members {sorted(told)}", "the reveals of other members")


def _way(sender: int, receiver: int) -> bytes:
    return struct.pack(">QQ", sender, receiver)
