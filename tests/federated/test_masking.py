"""Masking: the server gets the exact sum of who answered, or nothing; what does not belong to the round is refused."""

import hmac
import itertools

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from breakthrough.errors import BreakthroughError, ConfigError, DtypeError, InputError, ShapeError
from breakthrough.federated import shamir
from breakthrough.federated.fixed_point import Codec
from breakthrough.federated.key_agreement import CHUNK_BYTES, add_mask, agree, new_private_key, public_key, seal, stretch, unseal
from breakthrough.federated.mask_messages import KEYS_BYTES, SHARES_BYTES, read_reveal, tag, transcript
from breakthrough.federated.masking import Member, check_reveal, unmask
from breakthrough.seeds import numpy_generator

CONTEXT = b"run 7, round 3"


class Round:
    """A round of members in this process; every message can be looked at and changed on its way."""

    def __init__(self, names=5, threshold=3, context=CONTEXT, parties=None, size=40):
        names = list(range(names)) if isinstance(names, int) else list(names)
        generator = numpy_generator(0, "codes", *names)
        self.codes = {name: generator.integers(0, 2**27, size, dtype=np.uint32) for name in names}
        self.members = {name: Member(name, parties or len(names), threshold, context) for name in names}
        self.threshold, self.context = threshold, context
        self.keys = {name: member.advertise() for name, member in self.members.items()}
        self.boxes, self.masked, self.reveals = {}, {}, {}

    def keep(self):
        """Every member goes through bytes, as on a node between two messages."""
        self.members = {name: Member.from_bytes(member.to_bytes()) for name, member in self.members.items()}

    def share(self, without=()):
        self.boxes = {name: member.share(self.keys) for name, member in self.members.items() if name in self.keys and name not in without}
        return self

    def inbox(self, name):
        return {sender: boxes[name] for sender, boxes in self.boxes.items() if sender != name}

    def mask(self, without=()):
        self.masked = {name: self.members[name].mask(self.codes[name], self.inbox(name)) for name in self.boxes if name not in without}
        return self

    def reveal(self, without=()):
        survivors = set(self.masked)
        self.reveals = {name: self.members[name].reveal(survivors, set(self.boxes) - survivors) for name in survivors if name not in without}
        return self

    def unmask(self):
        return unmask(self.masked, self.keys, set(self.boxes), self.reveals, self.threshold, self.context)

    def true(self):
        return sum((self.codes[name] for name in self.masked), np.zeros_like(next(iter(self.codes.values()))))


def subsets(names):
    return itertools.chain.from_iterable(itertools.combinations(names, n) for n in range(len(names) + 1))


@pytest.mark.parametrize(("names", "threshold"), [(2, 2), (3, 2), (5, 3), (10, 6), (10, 10), ([7, 3, 2**32 - 1, 100], 3)])
def test_the_total_is_the_sum_of_the_codes(names, threshold):
    one = Round(names, threshold).share().mask().reveal()
    total = one.unmask()
    assert total.dtype == np.uint32
    assert np.array_equal(total, one.true())
    assert not any(np.array_equal(one.masked[name], one.codes[name]) for name in one.masked)


@pytest.mark.parametrize("size", [1, CHUNK_BYTES // 4, CHUNK_BYTES // 4 + 3])
def test_vectors_of_every_length(size):
    one = Round(3, 2, size=size).share().mask(without={1}).reveal()
    assert np.array_equal(one.unmask(), one.true())


def losses(parties):
    """Every set of members lost before their shares arrived, with every set lost before their vector did."""
    return [(early, late) for early, late in itertools.product(subsets(range(parties)), repeat=2) if not set(early) & set(late)]


def test_every_dropout_is_recovered_down_to_the_threshold():
    recovered = 0
    for early, late in losses(5):
        if len(early) + len(late) <= 2:
            one = Round(5, 3, size=3).share(early).mask(late).reveal()
            assert np.array_equal(one.unmask(), one.true()), (early, late)
            recovered += 1
    assert recovered == 1 + 5 * 2 + 10 * 4


def test_one_dropout_more_and_the_members_answer_no_more():
    for early, late in losses(5):
        if len(early) + len(late) in (3, 4):
            one = Round(5, 3, size=3).share(early)
            with pytest.raises(InputError, match="the shares of at least 2 peers" if len(early) > 2 else "at least 2 more survivors"):
                one.mask(late).reveal()


def test_members_lost_before_they_advertised_and_before_the_last_answer():
    one = Round(9, 5)
    for name in (0, 4):
        del one.keys[name]
    one.share({7}).mask({2}).reveal(without={8})
    assert sorted(one.masked) == [1, 3, 5, 6, 8] and sorted(one.reveals) == [1, 3, 5, 6]
    with pytest.raises(InputError, match="reveals of at least 5 members, got 4"):
        one.unmask()
    one = Round(9, 5)
    del one.keys[0]
    one.share({7}).mask({2}).reveal(without={8})
    assert np.array_equal(one.unmask(), one.true())


def test_below_the_threshold_the_server_gets_nothing():
    one = Round(5, 3).share().mask({0, 1}).reveal(without={4})
    with pytest.raises(InputError, match="reveals of at least 3 members, got 2"):
        one.unmask()
    one.masked.pop(4)
    with pytest.raises(InputError, match="masked vectors of at least 3 members, got 2"):
        one.unmask()


def test_too_few_reveals_leave_every_seed_possible():
    """What two of three needed members say about a seed is right for any seed: the sum stays hidden."""
    one = Round(5, 3).share().mask().reveal(without={2, 3, 4})
    agreed = tag(transcript(CONTEXT, 3, one.keys))
    told = [read_reveal(one.reveals[name], name, 5, agreed)[0][1] for name in (0, 1)]
    for candidate in (bytes(32), b"\x55" * 32):
        points = {0: int.from_bytes(b"\x01" + candidate, "big"), **{share.x: share.y for share in told}}
        third = shamir.Share(3, shamir.interpolate(points, 3))
        assert shamir.recover([*told, third], 3) == candidate


def bins(vector):
    """Chi-square of the bytes of a vector against uniform ones, in standard deviations."""
    counts = np.bincount(vector.view(np.uint8), minlength=256)
    mean = counts.sum() / 256
    return (((counts - mean) ** 2 / mean).sum() - 255) / np.sqrt(2 * 255)


def test_a_masked_vector_looks_uniform():
    one = Round(3, 2, size=2**16)
    one.codes = {name: Codec(1.0, 3).encode(np.zeros(2**16)) for name in one.codes}  # the most regular update there is
    one.share().mask()
    assert bins(one.codes[0]) > 1000  # the measure sees what is not uniform
    assert all(abs(bins(vector)) < 6 for vector in one.masked.values())
    a, b = one.masked[0], one.masked[1]
    assert abs(bins(a - b)) < 6 and abs(bins(a + b)) < 6  # nor do two of three tell anything together
    again = Round(3, 2, size=2**16)
    again.codes = one.codes
    assert abs(bins(again.share().mask().masked[0] - a)) < 6  # nor does the same vector of another round


def test_masks_of_pairs_cancel_and_own_masks_remain():
    one = Round(4, 3)
    own, seeds = np.zeros(40, np.uint32), {name: member.seed for name, member in one.members.items()}
    one.share().mask()
    agreed = transcript(CONTEXT, 3, one.keys)
    for name in one.members:
        purpose = b"breakthrough/masking/self" + agreed + name.to_bytes(8, "big") * 2
        add_mask(own, stretch(seeds[name], purpose), +1)
    assert np.array_equal(sum(one.masked.values(), np.zeros(40, np.uint32)), one.true() + own)


def test_real_numbers_come_through_within_the_codecs_error():
    generator, codec = numpy_generator(1, "updates"), Codec(0.5, 6)
    updates = {name: generator.normal(0, 0.1, 500).astype(np.float32) for name in range(6)}
    one = Round(6, 4)
    one.codes = {name: codec.encode(update) for name, update in updates.items()}
    one.share({5}).mask({1}).reveal()
    true = sum(updates[name].astype(np.float64) for name in (0, 2, 3, 4))
    assert abs(codec.decode(one.unmask(), 4) - true).max() <= codec.error(4)


def test_a_member_goes_through_bytes_between_all_its_steps():
    one = Round(4, 3)
    one.keep()
    assert one.keys == {name: member.advertise() for name, member in one.members.items()}
    one.share()
    one.keep()
    one.mask({2})
    one.keep()
    one.reveal()
    one.keep()
    assert np.array_equal(one.unmask(), one.true())
    assert one.members[0].step == "done" and not one.members[0].shares
    with pytest.raises(InputError, match="member 0's next step to be reveal, got done"):
        one.members[0].reveal({0, 1, 3}, {2})


def test_a_state_cut_or_changed_is_refused():
    one = Round(3, 2).share()
    state = one.members[0].to_bytes()
    for wrong in (b"", state[:-1], state + b" ", state[:70] + b"?" + state[71:], b"{}", state[64:]):
        with pytest.raises(InputError, match="state"):
            Member.from_bytes(wrong)


def test_secrets_are_gone_once_the_vector_is_masked():
    one = Round(3, 2)
    member = one.members[0]
    secrets = [member.mask_key, member.seal_key, member.seed]
    assert len(set(secrets)) == 3 and bytes(32) not in secrets
    one.share().mask()
    assert {member.mask_key, member.seal_key, member.seed} == {bytes(32)}
    with pytest.raises(InputError, match="a new Member"):
        member.advertise()


def test_a_log_shows_no_secret():
    member = Member(0, 3, 2, CONTEXT)
    assert repr(member) == "Member(0, parties=3, threshold=2, next='share')"


@pytest.mark.parametrize("step", ["share", "mask", "reveal"])
def test_each_step_is_done_once(step):
    one = Round(3, 2).share().mask().reveal()
    again = {"share": lambda m: m.share(one.keys), "mask": lambda m: m.mask(one.codes[0], one.inbox(0)), "reveal": lambda m: m.reveal({0, 1, 2}, set())}
    with pytest.raises(InputError, match="a new Member"):
        again[step](one.members[0])


def test_steps_out_of_order_are_refused():
    one = Round(3, 2)
    for act in (lambda m: m.mask(one.codes[0], {}), lambda m: m.reveal({0, 1, 2}, set())):
        with pytest.raises(InputError, match="got share"):
            act(one.members[0])


def test_both_secrets_of_a_peer_are_never_revealed():
    one = Round(5, 3).share().mask({4})
    with pytest.raises(InputError, match=r"\[4\] as both"):
        one.members[0].reveal({0, 1, 2, 3, 4}, {4})
    one.members[0].reveal({0, 1, 2, 3}, {4})
    with pytest.raises(InputError):
        one.members[0].reveal({0, 1, 2, 3, 4}, set())


@pytest.mark.parametrize(("survivors", "dropped"), [
    ({0, 1, 2}, {3}), ({0, 1, 2, 3, 4, 9}, set()), ({1, 2, 3, 4}, {0}), ({0, 1}, {2, 3, 4}), (set(), {0, 1, 2, 3, 4}),
])
def test_questions_that_do_not_fit_the_roster_are_refused(survivors, dropped):
    """Someone left out, a stranger, myself as dropped, too few, nobody; and the member can still answer the right one."""
    one = Round(5, 3).share().mask()
    with pytest.raises(InputError):
        one.members[0].reveal(survivors, dropped)
    assert one.members[0].reveal({0, 1, 2, 3, 4}, set())


@pytest.mark.parametrize("parties", [4, 5])
def test_a_server_that_tells_two_stories_does_not_get_both_secrets(parties):
    """However it splits the members on whether member 0 dropped out, one secret stays below the threshold."""
    threshold = parties // 2 + 1
    for told_dropped in subsets(range(1, parties)):
        one = Round(parties, threshold).share().mask()
        agreed, kinds = tag(transcript(CONTEXT, threshold, one.keys)), {0: [], 1: []}
        for name, member in one.members.items():
            dropped = {0} if name in told_dropped else set()
            told = read_reveal(member.reveal(set(range(parties)) - dropped, dropped), name, parties, agreed)
            kinds[told[0][0]].append(told[0][1])
        recovered = 0
        for shares in kinds.values():
            try:
                shamir.recover(shares, threshold)
                recovered += 1
            except InputError:
                pass
        assert recovered <= 1


@pytest.mark.parametrize(("parties", "threshold"), [(4, 2), (5, 2), (10, 5), (3, 4), (2, 1), (5, 0)])
def test_a_threshold_of_half_or_less_is_refused_with_the_reason(parties, threshold):
    with pytest.raises(ConfigError, match="more than half of the parties: two groups of that size share a member"):
        Member(0, parties, threshold, CONTEXT)


def test_one_party_is_refused():
    with pytest.raises(ConfigError, match="at least 2 parties: the sum over one is its vector"):
        Member(0, 1, 1, CONTEXT)


@pytest.mark.parametrize(("name", "context"), [(-1, CONTEXT), (2**32, CONTEXT), ("0", CONTEXT), (True, CONTEXT), (0, b""), (0, "text")])
def test_a_member_without_a_name_or_a_round_is_refused(name, context):
    with pytest.raises(InputError):
        Member(name, 3, 2, context)


def test_keys_of_another_round_are_refused():
    old, new = Round(3, 2, b"round 2"), Round(3, 2, b"round 3")
    new.keys[1] = old.keys[1]
    with pytest.raises(InputError, match="keys of member 1 for this round, got keys of another round"):
        new.members[0].share(new.keys)


def test_shares_of_another_round_are_refused():
    old, new = Round(3, 2, b"round 2").share(), Round(3, 2, b"round 3").share()
    with pytest.raises(InputError, match="shares of member 1 for member 0"):
        new.members[0].mask(new.codes[0], new.inbox(0) | {1: old.boxes[1][0]})
    assert new.members[0].mask(new.codes[0], new.inbox(0)) is not None  # a refusal costs the member nothing


@pytest.mark.parametrize("context", [b"round 2", CONTEXT])
def test_reveals_of_another_round_are_refused(context):
    """Even with the same context: the tag is of everybody's keys."""
    old, new = (Round(3, 2, one).share().mask().reveal() for one in (context, CONTEXT))
    new.reveals[2] = old.reveals[2]
    with pytest.raises(InputError, match="a reveal of member 2 for this round, got a reveal of another round"):
        new.unmask()


def test_shares_for_someone_else_are_refused():
    one = Round(3, 2).share()
    for wrong in (one.boxes[1][2], one.boxes[2][0], one.boxes[0][1]):  # to another, from another, my own
        with pytest.raises(InputError, match="shares of member 1 for member 0"):
            one.members[0].mask(one.codes[0], one.inbox(0) | {1: wrong})


def test_shares_of_another_point_are_refused():
    """A member that deals two peers each other's shares: they open, and would spoil the recovery later."""
    one = Round(3, 2)
    crooked = one.members[1]
    seeds, mask_keys = (shamir.split(secret, 3, 2) for secret in (crooked.seed, crooked.mask_key))
    points = {0: 3, 2: 1}  # of members 0 and 2, the wrong way round
    crooked._seal = lambda pair, peer, *rest: Member._seal(crooked, (seeds[points[peer]], mask_keys[points[peer]]), peer, *rest)
    one.share()
    with pytest.raises(InputError, match="shares of member 1 at the point of member 0"):
        one.members[0].mask(one.codes[0], one.inbox(0))


def test_a_roster_told_differently_is_noticed():
    """Member 0 is told another key for member 2 than the rest is: nothing it exchanges with them opens."""
    one = Round(3, 2)
    other = Member(2, 3, 2, CONTEXT).advertise()
    one.boxes = {0: one.members[0].share(one.keys | {2: other}), 1: one.members[1].share(one.keys), 2: one.members[2].share(one.keys)}
    for receiver, sender in ((0, 1), (1, 0), (2, 0)):
        with pytest.raises(InputError, match=f"shares of member {sender} for member {receiver}"):
            one.members[receiver].mask(one.codes[receiver], {sender: one.boxes[sender][receiver]})


CUT = [lambda b: b[:-1], lambda b: b + b"\x00", lambda b: b"", lambda b: b * 1000, lambda b: b"XXXX" + b[4:]]
each_cut = pytest.mark.parametrize("cut", CUT, ids=["truncated", "longer", "empty", "oversized", "of another kind"])


@each_cut
def test_key_messages_cut_or_oversized_are_refused(cut):
    one = Round(3, 2)
    assert len(one.keys[1]) == KEYS_BYTES
    with pytest.raises(InputError, match="the keys of member 1"):
        one.members[0].share(one.keys | {1: cut(one.keys[1])})


@each_cut
def test_share_messages_cut_or_oversized_are_refused(cut):
    one = Round(3, 2).share()
    assert len(one.boxes[1][0]) == SHARES_BYTES
    with pytest.raises(InputError, match="the shares of member 1"):
        one.members[0].mask(one.codes[0], one.inbox(0) | {1: cut(one.boxes[1][0])})


@each_cut
def test_reveals_cut_or_oversized_are_refused(cut):
    one = Round(3, 2).share().mask().reveal()
    one.reveals[1] = cut(one.reveals[1])
    with pytest.raises(InputError, match="the reveal of member 1"):
        one.unmask()


@pytest.mark.parametrize("blob", [None, "text", 3, [1]])
def test_messages_that_are_no_bytes_are_refused(blob):
    one = Round(3, 2)
    with pytest.raises(DtypeError, match="the keys of member 1 as bytes"):
        one.members[0].share(one.keys | {1: blob})


def flipped(blob, at):
    return blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]


def test_a_changed_bit_of_sealed_shares_is_refused():
    one = Round(3, 2).share()
    for at in range(0, SHARES_BYTES, 7):
        with pytest.raises(InputError, match="member 1"):
            one.members[0].mask(one.codes[0], one.inbox(0) | {1: flipped(one.boxes[1][0], at)})


@pytest.mark.parametrize("spare", [False, True])
def test_a_changed_bit_of_a_reveal_is_refused(spare):
    one = Round(4, 3).share().mask({3}).reveal()
    if spare:
        one = Round(5, 3).share().mask({4}).reveal()
    right = one.reveals[1]
    for at in range(0, len(right), 13):
        one.reveals[1] = flipped(right, at)
        with pytest.raises(InputError):
            one.unmask()
    one.reveals[1] = right
    assert np.array_equal(one.unmask(), one.true())


def test_a_changed_key_is_noticed_by_its_owner():
    one = Round(3, 2)
    for at in range(20, KEYS_BYTES, 11):
        with pytest.raises(InputError, match="my own keys"):
            one.members[1].share(one.keys | {1: flipped(one.keys[1], at)})
    with pytest.raises(InputError, match="my own keys as those of member 1, got none"):
        one.members[1].share({name: one.keys[name] for name in (0, 2)})


def test_keys_of_small_order_are_refused():
    one = Round(3, 2)
    zeros = one.keys[1][:52] + bytes(32) + one.keys[1][84:]
    with pytest.raises(InputError, match="a public key of X25519"):
        one.members[0].share(one.keys | {1: zeros})


def test_one_key_under_two_names_is_refused():
    one = Round(3, 2)
    with pytest.raises(InputError, match="one key from members 1 and 2"):
        one.members[0].share(one.keys | {2: one.keys[1]})


def test_too_few_and_too_many_keys_are_refused():
    one = Round(4, 3)
    with pytest.raises(InputError, match="the keys of 3 to 4 members, got 2"):
        one.members[0].share({name: one.keys[name] for name in (0, 1)})
    more = {4: Member(4, 4, 3, CONTEXT).advertise()}
    with pytest.raises(InputError, match="the keys of 3 to 4 members, got 5"):
        one.members[0].share(one.keys | more)


def test_shares_of_strangers_are_refused():
    one = Round(3, 2).share()
    for stranger in (0, 9):
        with pytest.raises(InputError, match=rf"got shares of \[{stranger}\]"):
            one.members[0].mask(one.codes[0], one.inbox(0) | {stranger: one.boxes[1][0]})


@pytest.mark.parametrize(("codes", "error"), [
    (np.zeros(4), DtypeError), (np.zeros(4, np.int64), DtypeError), ([1], DtypeError),
    (np.zeros((2, 2), np.uint32), ShapeError), (np.zeros(0, np.uint32), ShapeError),
])
def test_what_is_no_vector_of_codes_is_refused(codes, error):
    one = Round(3, 2).share()
    with pytest.raises(error):
        one.members[0].mask(codes, one.inbox(0))
    one.mask().reveal()
    one.masked[1] = codes
    with pytest.raises(error, match="member 1"):
        one.unmask()


def test_vectors_of_two_lengths_are_refused():
    one = Round(3, 2).share().mask().reveal()
    one.masked[1] = one.masked[1][:-1]
    with pytest.raises(ShapeError, match="member 1"):
        one.unmask()


def test_what_does_not_belong_together_is_refused_by_the_server():
    one = Round(4, 3).share({3}).mask().reveal()
    with pytest.raises(InputError, match="roster"):
        unmask(one.masked, one.keys, {0, 1}, one.reveals, 3, CONTEXT)
    with pytest.raises(InputError):  # the members were asked about a roster without member 3
        unmask(one.masked, one.keys, {0, 1, 2, 3}, one.reveals, 3, CONTEXT)
    with pytest.raises(InputError, match="another round"):
        unmask(one.masked, one.keys, {0, 1, 2}, one.reveals, 3, b"another")
    with pytest.raises(InputError, match="another round"):
        unmask(one.masked, {**one.keys, 3: Member(3, 4, 3, CONTEXT).advertise()}, {0, 1, 2}, one.reveals, 3, CONTEXT)


def test_another_threshold_than_the_members_is_refused():
    one = Round(5, 3).share().mask().reveal()
    with pytest.raises(InputError, match="another round"):
        unmask(one.masked, one.keys, set(one.boxes), one.reveals, 4, CONTEXT)


def test_the_transcript_is_of_all_that_members_must_agree_on():
    keys = {0: b"k", 1: b"l"}
    others = [(b"b", 3, keys), (b"a", 2, keys), (b"a", 3, {0: b"l", 1: b"k"}), (b"a", 3, {0: b"k", 2: b"l"}), (b"a", 3, {0: b"k"})]
    assert transcript(b"a", 3, keys) == transcript(b"a", 3, dict(reversed(keys.items())))
    assert len({transcript(b"a", 3, keys), *(transcript(*other) for other in others)}) == 6


def test_a_vector_that_came_late_is_not_bared_by_its_reveal():
    """Member 3 was declared dropped and its mask key given away; its vector, arriving late, keeps its own mask."""
    one = Round(4, 3).share().mask()
    late = one.masked.pop(3)
    one.reveal()
    assert np.array_equal(one.unmask(), one.true())
    one.masked[3] = late
    with pytest.raises(InputError):
        one.unmask()


def test_a_reveal_is_checked_alone_so_that_a_bad_one_can_be_left_out():
    one = Round(5, 3).share().mask().reveal()
    asked = (one.keys, set(one.boxes), set(one.masked), 3, CONTEXT)
    assert sorted(check_reveal(one.reveals[0], 0, *asked)) == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="member 1's shares"):
        check_reveal(one.reveals[0], 1, *asked)  # another member's, said again
    with pytest.raises(InputError, match="member 0's shares of seeds of survivors"):
        check_reveal(one.reveals[0], 0, one.keys, set(one.boxes), {0, 1, 2, 3}, 3, CONTEXT)


def test_a_mask_is_the_key_stream_of_aes_in_counter_mode():
    key = bytes(range(32))
    stream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(4 * 100_000))
    total = np.full(100_000, 2**32 - 5, np.uint32)
    add_mask(total, key, +1)
    assert np.array_equal(total, np.frombuffer(stream, "<u4") + np.uint32(2**32 - 5))
    add_mask(total, key, -1)
    assert (total == 2**32 - 5).all()


def test_keys_are_agreed_for_one_purpose():
    a, b = new_private_key(), new_private_key()
    assert agree(a, public_key(b), b"mask") == agree(b, public_key(a), b"mask") != agree(b, public_key(a), b"seal")


def test_a_key_is_of_the_secret():
    a, b, c = (new_private_key() for _ in range(3))
    assert len({agree(a, public_key(b), b"mask"), agree(a, public_key(c), b"mask"), agree(c, public_key(b), b"mask")}) == 3
    assert stretch(a, b"mask") != stretch(b, b"mask")


def test_agreement_is_x25519_then_hkdf():
    """The first vector of RFC 7748, 5.2; HKDF written out after RFC 5869, for one block and no salt."""
    scalar = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    point = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    shared = bytes.fromhex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    extracted = hmac.digest(bytes(32), shared, "sha256")
    assert agree(scalar, point, b"purpose") == hmac.digest(extracted, b"purpose\x01", "sha256")


def test_what_was_sealed_opens_with_its_key_and_label_only():
    key = new_private_key()
    sealed = seal(key, b"text", b"label")
    assert unseal(key, sealed, b"label") == b"text"
    assert seal(key, b"text", b"label") != sealed
    for wrong in ((new_private_key(), sealed, b"label"), (key, sealed, b"other"), (key, sealed[:20], b"label")):
        with pytest.raises(BreakthroughError):
            unseal(*wrong)
