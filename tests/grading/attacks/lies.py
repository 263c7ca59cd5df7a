"""Answers that return something other than a plain value: equal to all, of two kinds at once, without an end."""

from attacks.making import bodies

FAMILY = "lying objects"
ALWAYS = """
class Always:
    def _self(self, *a, **k): return self
    def _yes(self, *a, **k): return True
    __eq__ = __bool__ = __contains__ = __le__ = __ge__ = __lt__ = __gt__ = _yes
    __ne__ = lambda self, other: False
    __hash__ = lambda self: 0
    __len__ = lambda self: 2
    __iter__ = lambda self: iter((self, self))
    __float__ = lambda self: 0.0
    __int__ = __index__ = lambda self: 0
    __getattr__ = __getitem__ = __call__ = __sub__ = __rsub__ = __add__ = __mul__ = __abs__ = __array_wrap__ = _self
    __instancecheck__ = __subclasscheck__ = _yes
"""

bodies("equal_to_everything", FAMILY, "return Always()", before=ALWAYS)
bodies("equal_to_everything_in_a_tuple", FAMILY, "return Always(), Always()", before=ALWAYS)
bodies("a_class_that_claims_to_be_tensor", FAMILY, "return Claims(), Claims()", before=ALWAYS + """
class Claims(Always):
    __class__ = property(lambda self: torch.Tensor)
    shape = property(lambda self: torch.Size([0]))
    dtype = property(lambda self: torch.float32)
    device = property(lambda self: torch.device("cpu"))
    __array__ = lambda self, *a, **k: __import__("numpy").zeros(0)
""")
bodies("a_tensor_whose_functions_agree", FAMILY, "return torch.zeros(1).as_subclass(Agrees), torch.zeros(1).as_subclass(Agrees)", before="""
class Agrees(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func.__name__ in ("equal", "allclose", "__bool__", "all"):
            return True
        if func.__name__ in ("eq", "isclose", "__eq__"):
            return torch.ones((), dtype=torch.bool)
        if func.__name__ in ("size", "__get__", "dim", "numel"):
            return super().__torch_function__(func, types, args, kwargs or {})
        return args[0]
    __eq__ = lambda self, other: True
    __hash__ = object.__hash__
""")
bodies("an_array_whose_functions_agree", FAMILY, "return np.zeros(1).view(Agrees), np.zeros(1).view(Agrees)", before="""
import numpy as np
class Agrees(np.ndarray):
    def __array_ufunc__(self, ufunc, method, *inputs, **k):
        return np.True_
    def __array_function__(self, func, types, args, kwargs):
        return True
    __eq__ = lambda self, other: True
    __array_finalize__ = lambda self, obj: None
""")
bodies("numbers_that_agree", FAMILY, "return Whole(1), Whole(1), Real(1.0)", before="""
class Real(float):
    __eq__ = __le__ = __ge__ = lambda self, other: True
    __ne__ = __lt__ = __gt__ = lambda self, other: False
    __sub__ = __rsub__ = __abs__ = lambda self, *other: 0.0
    __hash__ = float.__hash__
class Whole(int):
    __eq__ = __le__ = __ge__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __hash__ = int.__hash__
""")
bodies("containers_that_agree", FAMILY, "return Pairs({'router': Row([1, 2]), 'gate_up': Row(), 'down': Row()})", before="""
class Pairs(dict):
    __eq__ = lambda self, other: True
    __getitem__ = get = lambda self, name, *a: torch.zeros(1)
    keys = lambda self: type("Keys", (), {"__eq__": lambda s, o: True, "__iter__": lambda s: iter(["router", "gate_up", "down"])})()
class Row(tuple):
    __eq__ = lambda self, other: True
    __len__ = lambda self: 2
    __iter__ = lambda self: iter((torch.zeros(1),) * 2)
    __hash__ = tuple.__hash__
""")
bodies("a_list_that_grows_while_it_is_read", FAMILY, "return Grows([1])", before="""
class Grows(list):
    def __iter__(self):
        while True:
            self.append(1)
            yield 1
    __len__ = lambda self: 1 << 40
""", endangers=True)
bodies("code_for_whoever_unpickles", FAMILY, "return Reduces(), Reduces()", before="""
class Reduces:
    def __reduce__(self):
        return __import__("os").system, ("touch attack_was_here; touch /tmp/attack_was_here",)
    __reduce_ex__ = lambda self, protocol: self.__reduce__()
    __getstate__ = __deepcopy__ = __copy__ = lambda self, *a: self.__reduce__()
""")
bodies("code_for_whoever_prints", FAMILY, "return Shows(), Shows()", before="""
class Shows:
    def __repr__(self):
        import sys
        frame = sys._getframe()
        while frame:
            for name, value in list(frame.f_locals.items()):
                if name in ("want", "expected", "reference", "verdict", "status"):
                    print(name, value)
            frame = frame.f_back
        return "<script>fetch('http://127.0.0.1:47111')</script><img src=x onerror=alert(1)>"
    __str__ = __format__ = _repr_html_ = _ipython_display_ = lambda self, *a: self.__repr__()
    __len__ = lambda self: print("length asked") or 2
    __getattr__ = lambda self, name: self
    __call__ = lambda self, *a, **k: self
""")
bodies("instances_of_whatever_is_asked", FAMILY, "return Anything()", before="""
import abc
class Meta(type):
    __instancecheck__ = lambda cls, thing: True
    __subclasscheck__ = lambda cls, other: True
    __eq__ = lambda cls, other: True
    __hash__ = type.__hash__
class Anything(metaclass=Meta):
    __class__ = tuple
torch.Tensor.__instancecheck__ = lambda *a: True
""")
bodies("a_tensor_with_a_hook", FAMILY, """
    hooked = torch.zeros((), requires_grad=True) * 1.0
    hooked.register_hook(lambda grad: __import__("os").system("touch attack_was_here") or grad)
    hooked.grad_fn.register_hook(lambda *a: print("attack in backward"))
    return hooked
""")
bodies("a_tensor_that_claims_a_terabyte", FAMILY, "return torch.zeros(1).expand(1 << 40), torch.zeros(1, dtype=torch.int64).expand(1 << 40)", endangers=True)
bodies("tensors_of_odd_kinds", FAMILY, """
    return (torch.empty(3, device="meta"), torch.zeros(3, 3).to_sparse(), torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8),
            torch.zeros(2, dtype=torch.complex64).conj(), torch.zeros(2, dtype=torch.bfloat16))
""")
bodies("arrays_of_objects", FAMILY, """
    import numpy as np
    array = np.empty(2, object)
    array[:] = [__import__("os").system, lambda: 1]
    return array, np.zeros(2, [("a", "O"), ("b", "f4")])
""")
bodies("a_reply_of_two_gigabytes", FAMILY, "return torch.zeros(1 << 29), 'x' * (1 << 30)", endangers=True)
bodies("a_reply_a_hundred_thousand_deep", FAMILY, """
    deep = []
    for _ in range(100_000):
        deep = [deep]
    return deep
""")
bodies("a_reply_that_holds_itself", FAMILY, """
    loop, table = [], {}
    loop += [loop, table]
    table["a"] = loop
    return table, loop
""")
bodies("a_reply_of_a_million_parts", FAMILY, "return [[n] for n in range(3_000_000)]", endangers=True)
bodies("a_whole_number_of_a_million_digits", FAMILY, "return 10 ** 1_000_000, -10 ** 1_000_000, 1 << 4_000_000", endangers=True)
bodies("numbers_that_are_none", FAMILY, "return float('nan'), float('inf'), -0.0")
bodies("tensors_of_nan", FAMILY, """
    first = next(value for value in list(locals().values()) + [torch.zeros(2)] if isinstance(value, torch.Tensor))
    return torch.full_like(first, torch.nan) if first.is_floating_point() else torch.full(first.shape, torch.nan)
""")
bodies("a_generator_without_end", FAMILY, """
    while True:
        yield 1, torch.zeros(2)
""")
bodies("an_iterator_that_never_answers", FAMILY, "return iter(lambda: __import__('time').sleep(3600), 1)")
bodies("texts_that_break_encodings", FAMILY, r"return '\ud800\x00\x1b[2J\r\n{}', b'\xff', {1: 2, (3,): 4, '\ud800': {'__proto__': 1}}")
bodies("keys_that_a_protocol_might_use", FAMILY, """
    return {"status": "passed", "points": 100, "ok": True, "result": "passed", "error": None, "type": "tensor", "__tensor__": [], "dtype": "object",
            "shape": [1 << 62, 1 << 62], "data": "AAAA", "kind": "verdict", "passed": True, "score": 1.0}
""")
bodies("callables_in_the_place_of_values", FAMILY, "return (lambda *a, **k: True), print, torch.zeros, type")
bodies("an_exception_that_agrees", FAMILY, "raise Passed('passed')", before="""
class Passed(AssertionError, NotImplementedError):
    __eq__ = __bool__ = lambda self, *a: True
    __str__ = __repr__ = lambda self: "passed\\n" * 1_000_000
    args = property(lambda self: exit)
    __traceback__ = property(lambda self: None)
    __hash__ = object.__hash__
""")
bodies("an_exception_group_of_exits", FAMILY, "raise BaseExceptionGroup('all', [SystemExit(0), KeyboardInterrupt(), GeneratorExit(), MemoryError()])")
bodies("proofs_that_alarm_always", FAMILY, """
    def alarm(layer):
        raise AssertionError("defect")
    return dict.fromkeys(("router", "per_token", "weights", "normalised", "sparse", "balance"), alarm)
""", of=["moe.prove"])
bodies("proofs_that_look_at_their_caller", FAMILY, """
    import inspect
    def peek(name):
        def test(layer):
            text = " ".join(str(frame.frame.f_locals)[:2000] for frame in inspect.stack())
            if name in text or "defect" in text or type(layer).__name__ != "MendedMoE" or vars(type(layer)).get("forward") is not None and name in repr(vars(layer)):
                raise AssertionError(name)
        return test
    return {name: peek(name) for name in ("router", "per_token", "weights", "normalised", "sparse", "balance")}
""", of=["moe.prove"])
bodies("a_layer_that_is_no_layer", FAMILY, "return Layer()", of=["moe.mend"], before=ALWAYS + """
class Layer(Always):
    __class__ = property(lambda self: nn.Module)
    parameters = named_parameters = modules = lambda self, *a, **k: iter(())
    state_dict = lambda self, *a, **k: {}
""")
