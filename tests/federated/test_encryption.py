"""Encrypted sums: right within the stated error, read by the key holder alone, refused by name when they are not right."""

import json
import math
import random

import numpy as np
import pytest

from breakthrough.errors import ConfigError, DtypeError, InputError, ShapeError
from breakthrough.federated import ckks_wire
from breakthrough.federated.ckks_parameters import MOST_BITS, Parameters, at_degree, check_security, choose, noise_bound
from breakthrough.federated.ckks_wire import PUBLIC, SECRET, Chunk, Key, seal_context, store
from breakthrough.federated.encryption import Sum, add, decrypt, encrypt, make_keys, pack, parameters_of, unpack

seal = pytest.importorskip("tenseal.sealapi")
CLIENTS = 10
ERROR = 1e-4
SLOTS = 2048  # values in a ciphertext, for both choices below


@pytest.fixture(scope="module", params=[True, False], ids=["symmetric", "public"])
def keys(request):
    parameters = choose(100_000, CLIENTS, ERROR, symmetric=request.param)
    return parameters, *make_keys(parameters)


@pytest.fixture(scope="module")
def small():
    return make_keys(choose(40, CLIENTS, 1e-2, symmetric=True))


def client_key(keys):
    parameters, secret, public = keys
    return secret if parameters.symmetric else public


def updates(size, seed=0, clients=CLIENTS):
    return np.random.default_rng(seed).uniform(-1, 1, (clients, size)).astype(np.float32)


@pytest.mark.parametrize("size", [1, 2, 3, SLOTS - 1, SLOTS, SLOTS + 1, 100_000])
def test_the_sum_is_the_plain_sum_within_the_stated_error(keys, size):
    parameters, secret, public = keys
    x = updates(size, size)
    total = decrypt(add((encrypt(row, client_key(keys)) for row in x), public), secret, size)
    assert parameters.packed == SLOTS and parameters.error <= ERROR
    assert total.shape == (size,) and total.dtype == np.float64
    assert np.abs(total - x.sum(0, dtype=np.float64)).max() <= parameters.error


def test_the_stated_error_says_something(keys):
    parameters, secret, public = keys
    x = updates(100_000)
    off = np.abs(decrypt(add([encrypt(row, client_key(keys)) for row in x], public), secret, 100_000) - x.sum(0, dtype=np.float64))
    assert parameters.error / 30 < off.max()
    spread = off.std() * parameters.scale  # what the bound is made of, without the tail
    assert spread < noise_bound(parameters.poly_modulus_degree, CLIENTS, parameters.symmetric, 100_000)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("limit", [0.03, 1.0, 700.0])
def test_sums_at_the_limit_do_not_wrap(sign, limit):
    parameters = choose(3000, CLIENTS, limit * 1e-3, limit=limit, symmetric=True)
    secret, public = make_keys(parameters)
    x = np.full(3000, sign * limit)
    total = decrypt(add([encrypt(x, secret) for _ in range(CLIENTS)], public), secret, 3000)
    assert np.abs(total - CLIENTS * x).max() <= parameters.error


def test_a_sum_of_sums_counts_every_update(small):
    secret, public = small
    x = updates(40)
    halves = [add([encrypt(row, secret) for row in x[part]], public) for part in (slice(0, 4), slice(4, 10))]
    assert np.abs(decrypt(add(halves, public), secret, 40) - x.sum(0)).max() <= parameters_of(secret).error
    with pytest.raises(InputError, match="at most 10 updates in a sum, got 11"):
        add([*halves, encrypt(x[0], secret)], public)


def test_seeded_ciphertexts_are_half_as_long_and_public_ones_need_no_secret():
    parameters = choose(SLOTS, CLIENTS, ERROR)
    secret, public = make_keys(parameters)
    x = updates(SLOTS)[0]
    seeded, full = encrypt(x, secret), encrypt(x, public)
    assert 0.45 < len(seeded[0]) / len(full[0]) < 0.55
    both = decrypt(add([seeded, full], public), secret, SLOTS)
    assert np.abs(both - 2 * x.astype(float)).max() <= parameters.error


def test_encryption_is_randomized(small):
    secret, _ = small
    assert encrypt(np.zeros(5), secret) != encrypt(np.zeros(5), secret)


def test_packing_puts_two_values_in_a_slot():
    for size in (1, 2, 7, 8):
        x = np.arange(1.0, size + 1)
        assert len(pack(x)) == math.ceil(size / 2)
        assert np.array_equal(unpack(np.append(pack(x), 9j), size), x)


# who can read


def test_only_the_key_holder_decrypts(keys):
    parameters, secret, public = keys
    chunks = encrypt(updates(10)[0], client_key(keys))
    with pytest.raises(InputError, match="expected the secret key, got the public side"):
        decrypt(chunks, public, 10)
    other, _ = make_keys(parameters)
    with pytest.raises(InputError, match="expected ciphertexts of key"):
        decrypt(chunks, other, 10)
    forged = Key.from_bytes(other)
    forged = Key(SECRET, Key.from_bytes(secret).key_id, parameters, forged.public, forged.secret).to_bytes()
    with pytest.raises(InputError, match="another key made these ciphertexts"):
        decrypt(chunks, forged, 10)


def test_the_public_side_has_no_byte_of_the_secret(keys):
    _, secret, public = keys
    hidden = Key.from_bytes(secret).secret
    assert len(hidden) > 1000 and hidden not in public and hidden[100:132] not in public
    assert Key.from_bytes(public).secret == b""


def test_the_adder_refuses_a_key_with_a_secret(keys):
    _, secret, _public = keys
    with pytest.raises(InputError, match="expected the public side of a key, got the secret key"):
        Sum(secret)
    own = Key.from_bytes(secret)
    with pytest.raises(InputError, match="with a secret key in it"):
        Sum(Key(PUBLIC, own.key_id, own.parameters, own.public, own.secret).to_bytes())


def test_a_secret_key_in_the_public_keys_place_is_refused(small):
    own = Key.from_bytes(small[0])
    parameters = choose(40, CLIENTS, 1e-2)
    wrong = Key(PUBLIC, own.key_id, parameters, own.secret, b"").to_bytes()
    with pytest.raises(InputError, match="expected a public key of these parameters"):
        encrypt(np.zeros(3), wrong)


def test_symmetric_parameters_need_the_secret_to_encrypt(small):
    with pytest.raises(InputError, match="for encryption with it"):
        encrypt(np.zeros(3), small[1])


def test_an_exact_decryption_beside_its_ciphertext_gives_the_secret_key_away(small):
    """Li and Micciancio 2021: why a decrypted sum is not for the adder. (value − c₀) / c₁ is the key."""
    secret, public = small
    own, size = Key.from_bytes(secret), Key.from_bytes(secret).parameters.packed
    chunks = add([encrypt(row, secret) for row in updates(size)], public)
    handed_out = decrypt(chunks, secret, size)  # all that the adder learns beside what it had
    with store(own.parameters) as files:
        cipher = files.load(seal.Ciphertext(), Chunk.from_bytes(chunks[0]).body, "a ciphertext")
        plain, key = seal.Plaintext(), files.load(seal.SecretKey(), own.secret, "a secret key")
        seal.CKKSEncoder(files.context).encode(pack(handed_out), own.parameters.scale, plain)
        (prime,) = (m.value() for m in files.context.first_context_data().parms().coeff_modulus())  # codespell:ignore parms
        array, true = cipher.dyn_array(), key.data()
        found = [(plain.data(i) - array.at(i)) * pow(array.at(size + i), -1, prime) % prime for i in range(size)]
        assert found == [true.data(i) for i in range(size)]


# what is refused


@pytest.mark.parametrize("bad, error, text", [
    (np.array([0.0, np.nan]), InputError, "expected finite values, got 1 that are not"),
    (np.array([np.inf]), InputError, "expected finite values"),
    (np.array([0.0, -1.5]), InputError, "expected values within ±1, got 1.5"),
    (np.zeros((2, 2)), ShapeError, r"shape \(D,\)"),
    (np.zeros(0), ShapeError, r"shape \(D,\)"),
    (np.array([1j]), DtypeError, "expected real numbers"),
    (np.array(["1"]), DtypeError, "expected real numbers"),
])
def test_updates_that_are_refused(small, bad, error, text):
    with pytest.raises(error, match=text):
        encrypt(bad, small[0])


def damaged(messages, **fields):
    first = Chunk.from_bytes(messages[0])
    return [Chunk(**{**first.__dict__, **fields}).to_bytes(), *messages[1:]]


@pytest.mark.parametrize("spoil, text", [
    (lambda c: [c[0][:-1], c[1]], "truncated, or other data"),
    (lambda c: [c[0][:10], c[1]], "at least 28 bytes, got 10"),
    (lambda c: [b"", c[1]], "at least 28 bytes, got 0"),
    (lambda c: [c[0] + b"x", c[1]], "truncated, or other data"),
    (lambda c: [c[0] + bytes(10**6), c[1]], "of 16 to .* bytes, got"),
    (lambda c: [b"x" * len(c[0]), c[1]], "expected a CKKS ciphertext, got other bytes"),
    (lambda c: ["text", c[1]], "as bytes, got a str"),
    (lambda c: c[:1], "expected 2 ciphertexts in order"),
    (lambda c: c[::-1], "expected 2 ciphertexts in order"),
    (lambda c: [c[0], c[0]], "expected 2 ciphertexts in order"),
    (lambda c: [], "expected a list of ciphertexts, got none"),
    (lambda c: c[0], "expected a list of ciphertexts, got a bytes"),
    (lambda c: damaged(c, size=7), "expected an update of 1500 values, got 7"),
    (lambda c: damaged(c, key_id=bytes(8)), "expected ciphertexts of key"),
    (lambda c: damaged(c, added=3), "of one message"),
    (lambda c: damaged(c[:1], size=0, chunks=0), "expected an update of 1500 values, got 0"),
    (lambda c: [damaged([x], added=99)[0] for x in c], "a sum of 1 to 10 updates, got 99"),
    (lambda c: [damaged([x], added=0)[0] for x in c], "a sum of 1 to 10 updates, got 0"),
])
def test_messages_that_are_refused_leave_the_sum_as_it_was(small, spoil, text):
    secret, public = small
    x = updates(1500)
    total = Sum(public)
    total.add(encrypt(x[0], secret))
    bad = spoil(encrypt(x[1], secret))
    with pytest.raises(InputError, match=text):
        total.add(bad)
    total.add(encrypt(x[2], secret))
    assert total.added == 2
    assert np.abs(decrypt(total.result(), secret, 1500) - x[0] - x[2]).max() <= parameters_of(secret).error
    with pytest.raises(InputError, match=text):
        decrypt(bad, secret, 1500)


def test_the_sum_names_the_update_that_it_refuses(small):
    secret, public = small
    with pytest.raises(InputError, match="update 1: expected an update of 5 values, got 6"):
        add([encrypt(np.zeros(5), secret), encrypt(np.zeros(6), secret)], public)
    with pytest.raises(InputError, match="expected at least one update, got none"):
        add([], public)


def test_the_same_ciphertexts_are_added_once(small):
    secret, public = small
    total, chunks = Sum(public), encrypt(np.full(5, 0.5), secret)
    total.add(chunks)
    with pytest.raises(InputError, match="got the same ciphertexts again"):
        total.add(chunks)
    assert total.added == 1


def test_a_ciphertext_that_cancels_another_is_refused(small):
    secret, public = small
    chunks, parameters = encrypt(np.full(5, 0.5), secret), parameters_of(secret)
    with store(parameters) as files:
        cipher = files.load(seal.Ciphertext(), Chunk.from_bytes(chunks[0]).body, "a ciphertext")
        seal.Evaluator(files.context).negate_inplace(cipher)
        negated = damaged(chunks, body=files.save(cipher))
    total = Sum(public)
    total.add(chunks)
    with pytest.raises(InputError, match="whose sum is encrypted"):
        total.add(negated)
    assert total.added == 1 and abs(decrypt(total.result(), secret, 5) - 0.5).max() <= parameters.error


def test_ciphertexts_of_other_parameters_are_refused(small):
    _secret, public = small
    wide = make_keys(choose(40, CLIENTS, 1e-5, symmetric=True))[0]
    same = make_keys(at_degree(1024, 40, CLIENTS, 5e-3, symmetric=True))[0]
    for other, text in ((wide, "of these parameters|bytes, got"), (same, "of these parameters|at scale")):
        chunks = damaged(encrypt(np.zeros(40), other), key_id=Key.from_bytes(public).key_id)
        with pytest.raises(InputError, match=text):
            add([chunks], public)


def test_a_public_key_sent_as_a_ciphertext_is_refused():
    _secret, public = make_keys(choose(40, CLIENTS, 1e-2))
    chunks = damaged(encrypt(np.zeros(40), public), body=Key.from_bytes(public).public)
    with pytest.raises(InputError, match="at scale"):
        add([chunks], public)


def test_altered_bytes_are_an_error_and_never_a_wrong_sum(small):
    secret, public = small
    x, draw = updates(40)[0], random.Random(0)
    whole = encrypt(x, secret)
    refused = 0
    for _ in range(300):
        body = bytearray(Chunk.from_bytes(whole[0]).body)
        for _ in range(draw.randrange(1, 4)):
            body[draw.randrange(draw.choice([16, 200, len(body)]))] ^= draw.randrange(1, 256)
        try:
            total = decrypt(add([damaged(whole, body=bytes(body))], public), secret, 40)
        except InputError:
            refused += 1
        else:
            assert np.abs(total - x).max() <= parameters_of(secret).error
    assert refused > 200


@pytest.mark.parametrize("raw", [b"", b"BTKY", bytes(100), None, b"BTKY" + bytes(200)])
def test_keys_that_are_refused(raw):
    with pytest.raises(InputError, match="expected a CKKS key"):
        encrypt(np.zeros(1), raw)


def test_a_truncated_key_is_refused(keys):
    for key in keys[1:]:
        with pytest.raises(InputError, match="expected a CKKS key of"):
            parameters_of(key[:-1])


def test_files_pass_where_memory_files_are_missing(monkeypatch, small):
    monkeypatch.delattr(ckks_wire.os, "memfd_create", raising=False)
    secret, public = small
    assert abs(decrypt(add([encrypt(np.array([0.5]), secret)], public), secret, 1)[0] - 0.5) < 0.01


# parameters


def test_the_security_table_is_the_standards_and_seals():
    assert MOST_BITS == {1024: 27, 2048: 54, 4096: 109, 8192: 218, 16384: 438, 32768: 881}
    for degree, bits in MOST_BITS.items():
        assert seal.CoeffModulus.MaxBitCount(degree, seal.SEC_LEVEL_TYPE.TC128) == bits


@pytest.mark.parametrize("degree, bits", [(1024, (28,)), (2048, (30, 25)), (4096, (55, 55)), (8192, (60, 60, 60, 39)), (512, (20,)), (3000, (30,)), (2048, ()), (4096, (61,)), (2048, (54.0,))])
def test_parameters_without_128_bits_are_refused_before_seal_sees_them(degree, bits):
    with pytest.raises(ConfigError):
        check_security(degree, bits)
    with pytest.raises(ConfigError):
        Parameters(degree, bits, 1024.0, 1, 1.0, 1e-2, True)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("size", [1, 1500, 10**6])
@pytest.mark.parametrize("error", [1e-2, 1e-4, 1e-8])
def test_what_is_chosen_keeps_the_error_and_has_the_fewest_bits(symmetric, size, error):
    best = choose(size, CLIENTS, error, symmetric=symmetric)
    assert best.error <= error
    assert best.security_bits == 128 and len(best.coeff_mod_bit_sizes) == 1
    cost = best.chunks(size) * best.packed * best.bits_a_value()
    for degree in MOST_BITS:
        try:
            other = at_degree(degree, size, CLIENTS, error, symmetric=symmetric)
        except ConfigError:
            continue
        assert cost <= other.chunks(size) * other.packed * other.bits_a_value()


def test_the_choice_follows_size_clients_error_and_limit():
    base = choose(10_000, 10, 1e-4)
    assert choose(10_000, 1000, 1e-4).coeff_mod_bit_sizes > base.coeff_mod_bit_sizes
    assert choose(10_000, 10, 1e-6).scale > base.scale
    assert choose(10_000, 10, 1e-4, limit=100.0).coeff_mod_bit_sizes > base.coeff_mod_bit_sizes
    assert choose(10_000, 10, 1e-4, symmetric=True).coeff_mod_bit_sizes < base.coeff_mod_bit_sizes
    assert choose(10_000, 10, 1e-9).poly_modulus_degree > base.poly_modulus_degree


def test_the_reason_is_in_words_and_has_the_figures():
    chosen = choose(100_000, 10, 1e-4)
    for part in ("Depth 0", "public key", "40 bits", "N = 2048 may have 54 bits", "128-bit", "49 ciphertexts of 2048", "N = 1024 too few"):
        assert part in chosen.reason


@pytest.mark.parametrize("fields", [{"size": 0}, {"size": 1.5}, {"additions": 0}, {"additions": True}, {"error": 0.0}, {"error": math.nan}, {"limit": -1.0}, {"limit": math.inf}])
def test_requests_that_are_refused(fields):
    with pytest.raises(InputError, match=next(iter(fields))):
        choose(**{"size": 10, "additions": 2, "error": 1e-3, **fields})


def test_an_error_below_what_can_be_is_refused():
    with pytest.raises(ConfigError, match="larger error or a smaller limit"):
        choose(10, 10, 1e-13)


def test_parameters_travel_as_json_and_are_checked_on_arrival():
    chosen = choose(10, 2, 1e-3)
    assert Parameters.from_json(chosen.to_json()) == chosen
    weak = {**json.loads(chosen.to_json()), "coeff_mod_bit_sizes": [55]}
    for text in ("", "[]", "{}", json.dumps(weak), json.dumps({**json.loads(chosen.to_json()), "additions": 10**9})):
        with pytest.raises(ConfigError):
            Parameters.from_json(text)


def test_primes_that_do_not_exist_are_an_error_of_ours():
    with pytest.raises(InputError, match="primes that SEAL can find"):
        seal_context(1024, (8,))
