"""The wire itself: what crosses arrives alike, and nothing else arrives at all."""

import math
import os
import random
import socket
import struct
import threading
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from over_the_wire import examining, other_process
from torch import nn
from torch.utils.data import TensorDataset

from breakthrough.elsewhere import Elsewhere, Stand
from breakthrough.errors import BreakthroughError
from breakthrough.exercises.deploy_memory import Slow
from breakthrough.grading.frames import HEAD, Limits, WireError, head
from breakthrough.grading.proxies import make_proxy
from breakthrough.grading.remote import GoneError, Peer, SilentError
from breakthrough.grading.wire import Reader, Record, Writer
from breakthrough.seeds import numpy_generator, torch_generator

LIMITS = Limits(bytes=1 << 24, json_bytes=1 << 22, parts=100_000)
Pair = namedtuple("Pair", "one other")


@dataclass
class Facts:
    count: int
    weights: torch.Tensor


def read(frame, *, trusting=False, found=None, limits=LIMITS):
    total, text = head(frame[: HEAD.size], limits)
    body = frame[HEAD.size :]
    assert total == len(body)
    return Reader(body[:text], memoryview(body)[text:], limits, found, trusting=trusting).value()


def crossed(value, **how):
    return read(Writer().frame(value), **how)


def frame(text, body=b""):
    return HEAD.pack(len(text) + len(body), len(text)) + text + body


PLAIN = [
    None, True, 0, -1, 2**62, -(2**62), 2**200, -(10**4000), 0.5, -0.0, math.inf, -math.inf, 1e-320, "", "é ∑ 🙂", "null", b"", b"\x00\xff", bytearray(b"ab"), 3 + 4j,
    [], [1, [2.0, "three"]], (), (1, (2,)), {}, {"a": 1, 2: "b", (1, 2): None}, set(), {1, "a"}, frozenset({(1, 2)}), slice(1, None, 2), Ellipsis, torch.float16, np.dtype("<i2"),
]  # fmt: skip


# a set's text, and so its name here, would change with the hash seed, and workers must agree on the names
@pytest.mark.parametrize("value", PLAIN, ids=[f"{at} {type(value).__name__}" for at, value in enumerate(PLAIN)])
def test_plain_data_crosses_as_it_is(value):
    got = crossed(value)
    assert type(got) is type(value) and got == value
    if isinstance(value, float):
        assert math.copysign(1, got) == math.copysign(1, value)


def test_not_a_number_and_halves_of_characters():
    assert math.isnan(crossed(math.nan))
    assert crossed("a\ud800b") == "a?b"


def test_what_is_made_of_plain_data_crosses_as_that():
    assert crossed(Pair(1, [2])) == (1, [2])
    assert crossed(torch.Size((2, 3))) == (2, 3)
    got = crossed(Facts(3, torch.ones(2)))
    assert type(got) is Record and got.count == 3 and got.weights.tolist() == [1, 1] and "Facts(count=3" in repr(got)
    assert type(crossed(object())).__name__ == "object" and type(crossed(Elsewhere())).__name__ == "Elsewhere"


def tensors():
    generator = torch_generator(5)
    whole = torch.randn(4, 6, generator=generator)
    yield from (whole.to(getattr(torch, name)) for name in ("float16", "float32", "float64", "bfloat16", "complex64", "complex128"))
    yield from ((9 * whole).to(getattr(torch, name)) for name in ("int8", "int16", "int32", "int64", "bool"))
    yield from (whole.abs().to(getattr(torch, name)) for name in ("uint8", "uint16", "uint32", "uint64"))
    yield from (torch.tensor(-0.0), torch.tensor([math.nan, math.inf, -math.inf, -0.0]), torch.empty(0), torch.empty(3, 0, 2), torch.tensor(True))
    yield from (whole.t(), whole[:, ::2], whole[1:3], torch.randn(2, 3, 4, generator=generator).permute(2, 0, 1), whole[:1].expand(5, 6), torch.ones(()).expand(2, 3))
    yield from (torch.view_as_complex(whole.reshape(4, 3, 2)).conj(), whole.bfloat16().t(), whole.clone().requires_grad_())


@pytest.mark.parametrize("value", list(tensors()), ids=lambda t: f"{t.dtype} {tuple(t.shape)} {t.stride()}")
def test_a_tensor_crosses_with_its_bits_and_its_order_in_memory(value):
    got = crossed(value)
    assert got.dtype == value.dtype and got.shape == value.shape and got.requires_grad == value.requires_grad
    assert got.is_contiguous() == value.is_contiguous()
    one, other = (torch.view_as_real(t.detach().resolve_conj()) if t.is_complex() else t.detach() for t in (got, value))
    assert one.contiguous().view(torch.uint8).tolist() == other.contiguous().view(torch.uint8).tolist() if one.ndim else torch.equal(one, other)
    if not any(step == 0 for step in value.stride()) and value.numel() == value.untyped_storage().nbytes() // value.element_size():
        assert got.stride() == value.stride()
    if value.numel() > 1 and 0 in value.stride():
        assert got.untyped_storage().nbytes() < value.numel() * value.element_size()


def arrays():
    whole = numpy_generator(5).normal(size=(4, 6))
    yield from (whole.astype(name) for name in ("<f2", "<f4", ">f8", "i1", "<u2", ">i4", "<i8", "?", "<c8", "<c16"))
    yield from (np.array(-0.0), np.array([np.nan, -np.inf]), np.empty((0, 3)), whole.T, whole[:, ::2], whole[::-1], np.asfortranarray(whole), np.broadcast_to(whole[0], (3, 6)))


@pytest.mark.parametrize("value", list(arrays()), ids=lambda a: f"{a.dtype.str} {a.shape} {a.strides}")
def test_an_array_crosses_with_its_bits_and_its_order_in_memory(value):
    got = crossed(value)
    assert got.dtype == value.dtype and got.shape == value.shape and got.tobytes() == value.tobytes()
    for flag in ("c_contiguous", "f_contiguous", "writeable"):
        assert getattr(got.flags, flag) == getattr(value.flags, flag), flag


@pytest.mark.parametrize("value", [np.float32(-0.0), np.float64(np.nan), np.int8(-3), np.bool_(True), np.complex64(1j), np.uint64(2**64 - 1)])
def test_a_number_of_numpys_crosses_with_its_type(value):
    got = crossed(value)
    assert type(got) is type(value) and got.tobytes() == value.tobytes()


def test_generators_go_on_where_they_were():
    one, two, three = torch_generator(3), numpy_generator(3), random.Random(3)
    torch.randn(5, generator=one), two.normal(size=3), three.gauss(0, 1)
    mine, theirs = (one, two, three), crossed((one, two, three))
    for pair in zip(mine, theirs):
        assert type(pair[0]) is type(pair[1])
    assert torch.equal(*(torch.randn(9, generator=g[0]) for g in (mine, theirs)))
    assert [mine[1].normal(size=4).tolist(), mine[1].integers(9)] == [theirs[1].normal(size=4).tolist(), theirs[1].integers(9)]
    assert [mine[2].gauss(0, 1), mine[2].random()] == [theirs[2].gauss(0, 1), theirs[2].random()]


def test_modules_cross_with_weights_modes_and_gradients():
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.ModuleList([nn.Linear(12, 4), nn.Embedding(5, 2), nn.LayerNorm(4)])[0])
    net[0].bias.requires_grad_(False)
    net[1].eval()
    net(torch.randn(3, 2, 2, 2, generator=torch_generator(1))).sum().backward()
    before = torch.get_rng_state()
    got = crossed(net)
    assert torch.equal(before, torch.get_rng_state())
    assert [type(m) for m in got.modules()] == [type(m) for m in net.modules()] and [m.training for m in got.modules()] == [m.training for m in net.modules()]
    for (name, mine), (other, theirs) in zip(net.named_parameters(), got.named_parameters()):
        assert name == other and torch.equal(mine, theirs) and mine.requires_grad == theirs.requires_grad
        assert (mine.grad is None) == (theirs.grad is None) and (mine.grad is None or torch.equal(mine.grad, theirs.grad))
    data = crossed(TensorDataset(torch.ones(3, 2), torch.arange(3)))
    assert type(data) is TensorDataset and len(data) == 3 and data[2][1] == 2


def test_messages_of_flowers_cross_with_their_arrays():
    from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, Metadata, RecordDict

    content = RecordDict({"arrays": ArrayRecord({"w": torch.arange(3.0)}), "config": ConfigRecord({"lr": 0.1, "names": ["a"]})})
    metadata = Metadata(run_id=1, message_id="m", src_node_id=1, dst_node_id=7, reply_to_message_id="", group_id="3", created_at=1.0, ttl=9.0, message_type="train")
    message = Message(content=content, metadata=metadata)
    got = crossed(message)
    assert type(got) is Message and got.metadata.dst_node_id == 7 and dict(got.content["config"]) == {"lr": 0.1, "names": ["a"]}
    assert got.content["arrays"]["w"].numpy().tolist() == [0, 1, 2]
    context = crossed(Context(run_id=1, node_id=2, node_config={"partition-id": 3}, state=content, run_config={"x": True}))
    assert (context.node_config, context.run_config, set(context.state)) == ({"partition-id": 3}, {"x": True}, {"arrays", "config"})
    npy = content["arrays"]["w"].data
    huge = npy.replace(b"(3,), }" + 10 * b" ", b"(9999999999,), }" + b" ")
    assert len(huge) == len(npy) and huge != npy
    for data in (npy[:-4], npy + b"1234", huge, b"PK\x03\x04" + npy, npy.replace(b"<f4", b"|O8"), b"\x80\x04pickle"):
        content["arrays"]["w"] = Array("float32", (3,), "numpy.ndarray", data)
        with pytest.raises(WireError):
            crossed(message)
    with pytest.raises(WireError, match="expected a message of up to 64 MiB"):
        read(frame(b'["FM",100000000]'))


def test_a_context_of_tenseals_is_read_in_a_students_process_only():
    import tenseal as ts

    context = ts.context(ts.SCHEME_TYPE.CKKS, poly_modulus_degree=4096, coeff_mod_bit_sizes=[54, 54])
    sent = Writer().frame(context)
    vector = ts.ckks_vector(context, [1.0, 2.0], 2.0**40).serialize()
    assert np.allclose(ts.ckks_vector_from(read(sent, trusting=True), vector).decrypt(), [1, 2])
    with pytest.raises(WireError, match="no context of TenSEAL's"):
        read(sent)
    assert type(read(Writer(trusting=True).frame(context))).__name__ == "Context"  # its name is all that goes back
    assert len(Writer(trusting=True).frame(context)) < 100 < len(sent)


def deep(depth):
    made = []
    for _ in range(depth):
        made = [made]
    return made


def _itself():
    made = []
    made.append(made)
    return made


@pytest.mark.parametrize("value", [deep(100), deep(100_000), _itself(), {"a": _itself()}, 1 << 20_000, [1 << 4_000_000]], ids=range(6))
def test_what_is_too_deep_or_too_long_is_not_sent(value):
    with pytest.raises(WireError):
        Writer().frame(value)


T = '["T","float32",[2],8,false,[0],"cpu",[]]'
LIES = {
    "no JSON": b"{", "not UTF-8": b"\xff\xfe", "an object": b'{"a":1}', "an empty node": b"[]", "an unknown tag": b'["?"]', "no tag": b"[1,2]", "a long int": b"1" * 5000,
    "a million digits": b'["i","0x' + b"f" * 1_000_000 + b'"]', "deeper than may be": b'["l",[' * 100 + b"]]" * 100, "far deeper": b"[" * 1_000_000, "an int that is none": b'["i","zz"]',
    "a list as a key": b'["d",[[["l",[]],1]]]', "a list in a set": b'["s",[["l",[]]]]', "bytes that are not there": b'["b",false,5]', "less than none": b'["b",false,-5]',
    "a length in words": b'["b",false,"5"]', "a tensor without its bytes": T.replace("[2],8", "[3],12").encode(), "another shape": T.replace("[2]", "[3]").encode(), "a size below 0": T.replace("[2]", "[-2,-1]").encode(),
    "sizes without end": T.replace("[2]", str([9] * 1000)).encode(), "a huge size": T.replace("[2]", "[1e999]").encode(), "0 times a huge size": T.replace("[2],8", "[0,99999999999999999999999],0").encode(),
    "an object for a dtype": T.replace("float32", "object").encode(), "torch's own": T.replace("float32", "load").encode(), "quantized": T.replace("float32", "qint8").encode(),
    "an array of objects": b'["N","|O",[1],8,[0],true]', "of records": b'["N","i4,f4",[1],8,[0],true]', "of text": b'["N","<U1",[2],8,[0],true]', "an odd order": b'["N","<f4",[2],8,[7],true]',
    "a generator's state": b'["G",8]', "numpy's": b'["R",["d",[["bit_generator","PCG64"],["state",1]]]]', "another of numpy's": b'["R",["d",[["bit_generator","MT19937"]]]]', "Python's": b'["r",["t",[3,["t",[1,2]],null]]]',
    "a module of another kind": b'["M",["l",["LazyLinear",["d",[["out_features",3]]]]],["d",[]],["d",[]],["l",[]],["d",[]]]', "a module's method": b'["M",["l",["Module.apply",["d",[]]]],["d",[]],["d",[]],["l",[]],["d",[]]]',
    "a huge layer": b'["M",["l",["Linear",["d",[["in_features",1099511627776],["out_features",1099511627776],["bias",false]]]]],["d",[]],["d",[]],["l",[]],["d",[]]]',
    "no groups": b'["M",["l",["Conv1d",["d",[["in_channels",1],["out_channels",1],["kernel_size",1],["stride",1],["padding",0],["dilation",1],["groups",0],["bias",false],["padding_mode","zeros"]]]]],["d",[]],["d",[]],["l",[]],["d",[]]]',
    "a handle": b'["H",false,1,"f",true,null,""]', "a short handle": b'["H",false]', "no node in a dataclass": b'["D","X",[[1]]]', "a message of Flower's": b'["FM",8]', "a context": b'["FC",8]', "TenSEAL's": b'["TC",8]',
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_frame_that_lies_is_refused(name):
    for body in (b"", b"12345678", b"123456789"):
        with pytest.raises(WireError):
            read(frame(LIES[name], body))


def test_a_tensor_that_claims_more_than_may_be_is_refused():
    spread = T.replace("[2]", "[1,2]").replace("[0]", "[0,1]").replace("[]]", "[[0,99999999999]]]")
    with pytest.raises(WireError, match="up to 268,435,456 values"):
        read(frame(spread.encode(), b"12345678"))
    assert crossed(torch.ones(1, 2).expand(5, 2)).shape == (5, 2)


def test_a_frame_has_limits():
    small = Limits(bytes=1000, json_bytes=100, parts=50)
    for value in (b"a" * 1000, "a" * 100, [1] * 60):
        with pytest.raises(WireError):
            crossed(value, limits=small)
    assert crossed([1] * 20 + [b"a" * 800], limits=small)[-1] == b"a" * 800
    with pytest.raises(WireError):
        head(HEAD.pack(10, 11), LIMITS)


def test_bytes_at_random_are_a_value_or_a_wire_error():
    draw = random.Random(7)
    generator = numpy_generator(7)
    whole = [Writer().frame(value) for value in ([T, {"a": 1.5}], torch.ones(2, 3).t(), np.arange(4.0), torch_generator(1), numpy_generator(1), nn.Linear(2, 3), (Facts(1, torch.ones(1)), 2**100, {1, 2}))]
    pieces = [b'"', b"[", b"]", b",", b"null", b"-1", b"0", b"1e400", b"99999999999999999999", *(f'"{tag}"'.encode() for tag in ["l", "t", "s", "z", "d", "i", "b", "c", "o", "D", "T", "N", "n", "G", "R", "r", "y", "Y", "v", "sl", "el", "M", "DS", "H", "FM", "FC", "FR", "TC"])]
    values, refused = 0, 0
    for turn in range(6000):
        if turn % 3 == 0:  # a right frame with some bytes changed
            made = bytearray(draw.choice(whole))
            for _ in range(draw.randrange(1, 6)):
                made[draw.randrange(HEAD.size, len(made))] = draw.randrange(256)
        elif turn % 3 == 1:  # right words in any order
            made = frame(b"[" + b",".join(draw.choice(pieces) for _ in range(draw.randrange(1, 12))) + b"]", generator.bytes(draw.randrange(0, 40)))
        else:
            made = frame(generator.bytes(draw.randrange(0, 60)), generator.bytes(draw.randrange(0, 40)))
        try:
            read(bytes(made), trusting=draw.random() < 0.2)
            values += 1
        except WireError:
            refused += 1
    assert values > 50 and refused > 3000


def talk(serve, *, deadline_s=20.0):
    return examining(serve, deadline_s, LIMITS)


def _liar(*messages):
    """A process that reads one request and then writes frames, whatever they are."""

    def serve(sock):
        peer = Peer(sock, Limits(), trusted=True)
        peer._receive()
        for message in messages:
            sock.sendall(message if isinstance(message, bytes) else Writer(trusting=True).frame(message))
            if isinstance(message, list) and message[0] not in ("ok", "err"):
                told.append(peer._receive())
        sock.recv(1)

    told = []
    return serve


def _asking(*requests):
    """A process that asks the examiner for things, and at last answers with what it was told."""

    def serve(sock):
        peer = Peer(sock, Limits(), trusted=True)
        peer.make_proxy = make_proxy
        peer._receive()
        told = []
        for what, *data in requests:
            try:
                told.append(["got", str(peer.request(what, *data))])
            except BaseException as error:  # noqa: BLE001
                told.append([type(error).__name__, str(error)])
        sock.sendall(Writer(trusting=True).frame(["ok", told]))
        sock.recv(1)

    return serve


def test_what_an_examiner_gives_away_is_all_that_can_be_asked_of_it():
    def double(x):
        return 2 * x

    memory = Slow(np.zeros((2, 2), np.float32), 4, "x")
    requests = [
        ("call", 1, (4,), {}, {}), ("get", 1, "__globals__"), ("get", 1, "__code__"), ("method", 1, "__getattribute__", ("__globals__",), {}, {}),
        ("get", 2, "shape"), ("get", 2, "_array"), ("get", 2, "peek"), ("method", 2, "peek", (), {}, {}), ("has", 2, "peek"), ("has", 2, "__class__"), ("get", 2, "__class__"), ("parts", 2, 5), ("method", 2, "__len__", (), {}, {}),
        ("call", 2, (), {}, {}), ("get", 3, "anything"), ("get", -1, "x"), ("get", "1", "x"), ("get", None, "x"), ("there", "os:system"), ("answer", "x"), ("run", "x", 1), ("eval", "1"), ("backward", 99, []), ("__class__",), ("call",), ("get", 2, ["shape"]), ("method", 2, "whole", (), {}, {}),
    ]  # fmt: skip
    with talk(_asking(*requests)) as peer:
        told = peer.request("answer", double, memory)
    got = [one for one in told if one[0] == "got"]
    assert [text for _, text in got] == ["{'value': 8, 'changed': None, 'graph': 0}", "(2, 2)", "False", "False"]
    assert len(told) == len(requests)
    assert all(name in ("WireError", "KeyError", "TypeError", "Refused", "InputError") for name, _ in told if name != "got"), told
    assert sum(name == "WireError" for name, _ in told) >= 20


def test_an_object_of_the_examiners_without_remote_names_crosses_as_a_name():
    class Secret:
        def __init__(self):
            self.seed = 7

        def __call__(self):
            return self.seed

    peer = Peer(socket.socketpair()[0], LIMITS, trusted=False)
    assert peer.handle(Secret()) is None and b"Secret" in peer.frame(Secret()) and b"seed" not in peer.frame(Secret())
    assert peer.owned == {}


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([b""], SilentError),
        ([b"\x00" * 5], SilentError),
        ([struct.pack("<QI", 1 << 40, 10)], WireError),
        ([struct.pack("<QI", 10, 1 << 30) + b"x" * 10], WireError),
        ([frame(b"[1,2,3]")], WireError),
        ([["ok"]], WireError),
        ([["ok", 1, 2]], WireError),
        ([["err", "no dict"]], WireError),
        ([[7, 7]], WireError),
        ([frame(b'["l",["ok",["H",false,5,"f",true,null,""]]]')], WireError),  # a handle of the examiner's that it never gave
    ],
)
def test_a_reply_that_is_none_ends_in_an_error_of_the_wire(messages, error):
    with talk(_liar(*messages), deadline_s=0.5 if error is SilentError else 20) as peer, pytest.raises(error):
        peer.request("answer", 1)


@pytest.mark.parametrize("told", [{}, {"names": 5}, {"names": [["a"], None, "ValueError"], "args": {"a": 1}, "home": [1], "within": 7}, {"names": ["SystemExit", "BaseException"]}, {"names": ["UnicodeDecodeError"], "args": ["x"]}, {"names": ["__import__"], "args": ["os"]}])
def test_an_error_that_is_told_oddly_is_an_exception_that_ends_nothing(told):
    with talk(_liar(["err", told])) as peer, pytest.raises(Exception) as caught:
        peer.request("answer", 1)
    assert isinstance(caught.value, Exception) and isinstance(str(caught.value), str)


def test_a_process_that_asks_for_ever_is_not_answered_for_ever(monkeypatch):
    monkeypatch.setattr("breakthrough.grading.remote.STEPS", 50)

    def serve(sock):
        peer = Peer(sock, Limits(), trusted=True)
        peer._receive()
        while True:
            sock.sendall(Writer().frame(["has", [1, "x"]]))
            peer._receive()

    with talk(serve) as peer, pytest.raises(SilentError, match="after up to 50 questions"):
        peer.request("answer", print)


def test_calls_in_calls_without_end_end_in_an_error_of_python():
    def make(name, which):
        def bounce(ask):
            return ask(bounce)

        return bounce

    with other_process(make=make) as peer:
        def ask(bounce):
            return bounce(ask)

        with pytest.raises((RecursionError, BreakthroughError)):
            peer.request("answer", "", "")(ask)


def test_errors_that_pass_through_the_other_process_come_home_as_they_were():
    class OwnError(Exception):
        pass

    raised = OwnError("here")

    def here():
        raise raised

    def make(name, which):
        def call(f):
            f()

        return call

    with other_process(make=make) as peer:
        call = peer.request("answer", "", "")
        with pytest.raises(OwnError) as caught:
            call(here)
        assert caught.value is raised
        with pytest.raises(TypeError, match="not callable") as caught:
            call(5)
        assert "call" in caught.value.within


def test_a_stand_is_the_thing_itself_where_that_is():
    memory = Slow(np.arange(6, dtype=np.float32).reshape(2, 3), 6, "x")
    seen = []

    def make(name, which):
        def use(x, tell):
            tell(type(x).__name__, isinstance(x, Stand), x.shape, len(x))
            block = x[:1, 1:]
            x[1:, 1:] = 10 * block
            return x, float(x[0, 2])

        return use

    with other_process(make=make) as peer:
        back, number = peer.request("answer", "", "")(memory, lambda *told: seen.append(told))
    assert seen == [("SlowThere", True, (2, 3), 2)]
    assert back is memory and number == 2.0
    assert memory.peek().tolist() == [[0, 1, 2], [3, 10, 20]] and (memory.loaded, memory.stored, memory.alive) == (3, 2, 1)


def test_gradients_flow_through_two_processes():
    def make(name, which):
        return lambda f, x, w: f(x * w) + x.sum()

    x, w = torch.randn(3, generator=torch_generator(1), requires_grad=True), torch.full((3,), 2.0, requires_grad=True)
    with other_process(make=make) as peer:
        peer.request("answer", "", "")(lambda y: (y**2).sum(), x, w).backward()
    assert torch.allclose(x.grad, 2 * x * w**2 + 1) and torch.allclose(w.grad, 2 * w * x**2)


def test_a_process_that_dies_in_a_call_is_gone():
    def make(name, which):
        return lambda: os._exit(3)

    with other_process(make=make) as peer, pytest.raises(GoneError):
        peer.request("answer", "", "")()
    assert threading.active_count() < 50
