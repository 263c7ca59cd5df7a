"""Attacks on the wire: forged replies, patched harness, stolen and closed descriptors."""

from attacks.making import beside, bodies, early

FAMILY = "forged protocol"
# Everything that a reader of replies could take for one, on every descriptor that can be written.
FORGE = r"""
import base64, json, os, struct, sys, threading
REPLIES = []
for status in ("passed", "ok", "done", "result"):
    for n in range(4):
        REPLIES.append({"status": status, "ok": True, "id": n, "seq": n, "type": "result", "result": None, "value": None, "points": 6, "passed": True,
                        "exercise": "moe.route", "kind": "passed", "error": None, "output": True})
LINES = b"".join(json.dumps(reply).encode() + b"\n" for reply in REPLIES)
FRAMED = b"".join(head(len(body)) + body for reply in REPLIES for body in [json.dumps(reply).encode()]
                  for head in (lambda n: struct.pack(">I", n), lambda n: struct.pack("<I", n), lambda n: struct.pack(">Q", n), lambda n: struct.pack("<Q", n)))
def forge(*parts):
    for number in sorted(map(int, os.listdir("/proc/self/fd"))) if os.path.isdir("/proc/self/fd") else range(64):
        for part in parts or (LINES, FRAMED):
            try:
                os.set_blocking(number, False)
                os.write(number, part)
                os.set_blocking(number, True)
            except OSError:
                pass
"""

early("frames_printed", FAMILY, FORGE + "print(LINES.decode())\nprint(FRAMED.decode(errors='replace'))\nprint(LINES.decode(), file=sys.stderr)", returns="None")
early("frames_on_every_descriptor_at_the_start", FAMILY, FORGE + "forge()", returns="None", endangers=True)
bodies("frames_on_every_descriptor_in_a_call", FAMILY, "forge()\nreturn None", before=FORGE, endangers=True)
bodies("frames_on_every_descriptor_and_no_answer", FAMILY, "forge()\nos._exit(0)", before=FORGE, endangers=True)
bodies("frames_from_a_thread_all_the_time", FAMILY, "return None", endangers=True, before=FORGE + """
def forever():
    import time
    for _ in range(2000):
        forge(LINES)
        time.sleep(0.01)
threading.Thread(target=forever, daemon=True).start()
""")
bodies("half_a_frame_then_silence", FAMILY, "forge(struct.pack('>I', 1 << 30) + b'{', b'{\"a\": [')\nimport time\ntime.sleep(3600)", before=FORGE, endangers=True)
bodies("a_frame_of_a_terabyte_announced", FAMILY, "forge(struct.pack('>Q', 1 << 40), struct.pack('<Q', 1 << 40), b'Content-Length: 1099511627776\\r\\n\\r\\n')\nreturn 1", before=FORGE, endangers=True)
bodies("a_child_answers_too", FAMILY, "os.fork()\nreturn None", before="import os", endangers=True)
bodies("requests_read_ahead", FAMILY, """
    import select
    for number in [one for one in range(64)]:
        try:
            os.set_blocking(number, False)
            print(number, os.read(number, 1 << 20))
        except OSError:
            pass
    return None
""", before="import os", endangers=True)
early("all_descriptors_closed", FAMILY, "import os\nos.closerange(0, 4096)", returns="None", endangers=True)
early("descriptors_turned_into_each_other", FAMILY, """
    import os
    for number in range(3, 64):
        try:
            os.dup2(1, number)
        except OSError:
            pass
""", returns="None", endangers=True)
early("harness_modules_patched", FAMILY, """
    import sys, types, functools
    class Yes(dict):
        def __missing__(self, name):
            return "passed"
    for name, module in list(sys.modules.items()):
        if name.startswith(("breakthrough.grading", "__main__")) or name.endswith((".student", ".wire")):
            for key, value in list(vars(module).items()):
                if isinstance(value, types.FunctionType) and not key.startswith("__"):
                    print("patched", name, key)
                    setattr(module, key, lambda *a, **k: Yes(status="passed", ok=True, result=None))
""", returns="None")
early("harness_encoder_patched", FAMILY, """
    import json, struct, sys
    dumps = json.dumps
    forged = lambda thing, *a, **k: dumps({"status": "passed", "ok": True, "result": None, "value": None, "error": None} if isinstance(thing, dict) else thing)
    json.dumps = json.JSONEncoder.encode = forged
    json.JSONEncoder.default = lambda self, thing: "passed"
    for name, module in list(sys.modules.items()):
        if name.startswith("breakthrough.grading"):
            for key in ("pack", "encode", "dump", "dumps", "send", "reply", "write", "to_wire"):
                if hasattr(module, key):
                    setattr(module, key, lambda *a, **k: b'{"status": "passed"}')
""", returns="None")
early("writes_of_the_harness_patched", FAMILY, """
    import os, socket, sys, io
    write = os.write
    os.write = lambda number, data: write(number, b'{"status": "passed", "ok": true, "result": null}\\n')
    sys.stdout = sys.stderr = sys.__stdout__ = io.StringIO()
    sys.stdin = io.StringIO("{}")
    socket.socket.send = socket.socket.sendall = lambda self, data, *a: len(data)
""", returns="None")
early("frames_of_the_harness_walked", FAMILY, """
    import sys, inspect, gc
    frame = sys._getframe()
    while frame:
        print(frame.f_code.co_filename, frame.f_code.co_name, {name: repr(value)[:100] for name, value in frame.f_locals.items()})
        for name in ("cases", "seed", "status", "verdict", "points", "want", "passed"):
            if name in frame.f_locals:
                frame.f_locals[name] = "passed"
            if name in frame.f_globals:
                frame.f_globals[name] = "passed"
        frame = frame.f_back
""", returns="None")
early("code_of_the_harness_replaced", FAMILY, """
    import gc, types
    for thing in gc.get_objects():
        if isinstance(thing, types.FunctionType) and (thing.__module__ or "").startswith("breakthrough.grading") and thing.__code__.co_freevars == ():
            thing.__code__ = (lambda *a, **k: {"status": "passed", "ok": True}).__code__
""", returns="None")
beside("a_reply_in_the_name_of_another_exercise", FAMILY, 'forge(LINES.replace(b"moe.route", b"moe.zloss"))\nreturn None', before=FORGE)
beside("a_traced_parent", FAMILY, """
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    for pid in (os.getppid(), 1, *[int(name) for name in os.listdir("/proc") if name.isdigit()][:50]):
        if pid != os.getpid():
            libc.ptrace(16, pid, 0, 0)  # attach
            libc.process_vm_readv(pid, None, 0, None, 0, 0)
    return None
""", before="import os")
