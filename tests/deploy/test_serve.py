"""A real service at a free port, asked over real connections: what it answers, what it refuses, and that it stays well."""

import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from breakthrough.deploy.load import Load, generate
from breakthrough.deploy.served import started_command
from breakthrough.errors import BreakthroughError

# a net without a compiler: brighter is class "bright"; a first number of 1/8 is slow, of 1/16 slower, of 1/4 fails, of 1/2 hangs
MODEL = """
import sys, time
import numpy as np
from breakthrough.deploy import serve
from breakthrough.deploy.capacity import Limits

class Model:
    batches = (1, 2, 4, 8)
    def __call__(self, x):
        first = x[:, 0, 0, 0]
        if (first == 0.25).any(): raise RuntimeError("this picture is too much")
        if (first == 0.125).any(): time.sleep(0.3)
        if (first == 0.0625).any(): time.sleep(2)
        if (first == 0.5).any(): time.sleep(60)
        light = x.mean((1, 2, 3))
        cells = np.zeros((len(x), 3, 2, 2), np.float32)
        cells[:, 1] = 20 * x.mean(1).reshape(len(x), 2, 2, 2, 2).mean((2, 4)) - 10
        return np.stack([0 * light, 20 * light - 10], 1), cells

about = dict(classes=["dark", "bright"], input_shape=[3, 4, 4], batches=[1, 2, 4, 8], source="Model", source_sha256="0", pipeline="none", target="cpu")
limits = eval("Limits(%s)" % sys.argv[1])
sys.exit(serve.run(Model, about, limits, port=0, follow_stdin=True, say=lambda text: print(text, flush=True)))
"""
SIDE = 4


def service(**limits):
    return started_command([sys.executable, "-c", MODEL, ", ".join(f"{name}={x}" for name, x in limits.items())])


@pytest.fixture(scope="module")
def running():
    with service(max_body_bytes=1 << 20, timeout_s=2.0, queue=32) as found:
        yield found
        assert found.process.poll() is None  # whatever the tests sent


@dataclass
class Reply:
    status: int
    headers: dict
    body: bytes

    @property
    def data(self):
        return json.loads(self.body)


def ask(running, path="v1/inspect", body=None, kind=None, method=None, **headers):
    headers = {name.replace("_", "-"): x for name, x in headers.items()} | ({"content-type": kind} if kind else {})
    request = urllib.request.Request(running.url + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as found:
            return Reply(found.status, dict(found.headers), found.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, dict(error.headers), error.read())


def raw(first=0.0, rest=0.0):
    x = np.full((3, SIDE, SIDE), rest, "<f4")
    x[0, 0, 0] = first
    return x.tobytes()


def inspect_raw(running, first=0.0, rest=0.0):
    return ask(running, body=raw(first, rest), kind="application/octet-stream")


def picture(format="PNG", size=(SIDE, SIDE), colour="white", mode="RGB", **options):
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, format, **options)
    return file.getvalue()


def counted(running, name):
    text = ask(running, "metrics").body.decode()
    return sum(float(x) for x in re.findall(rf"^breakthrough_{name} (\S+)$", text, re.MULTILINE))


# --- what it answers


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(SIDE, SIDE), (640, 480), (1, 1)])
def test_a_picture_of_any_size_is_answered(running, format, size):
    reply = ask(running, body=picture(format, size), kind=f"image/{format.lower()}")
    assert reply.status == 200
    found = reply.data
    assert found["class"] == "bright" and found["confidence"] > 0.99
    assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert np.shape(found["map"]) == (2, 2) and np.min(found["map"]) > 0.9


def test_numbers_as_json_and_as_bytes_say_what_the_picture_says(running):
    half = Image.new("RGB", (SIDE, SIDE))
    half.paste((255, 255, 255), (0, 0, SIDE, SIDE // 2))  # the upper half
    file = io.BytesIO()
    half.save(file, "PNG")
    x = np.asarray(half, np.float32).transpose(2, 0, 1) / 255
    bodies = [(file.getvalue(), "image/png"), (x.astype("<f4").tobytes(), "application/octet-stream"), (json.dumps({"picture": x.tolist()}).encode(), "application/json; charset=utf-8")]
    first, *others = [ask(running, body=body, kind=kind).data for body, kind in bodies]
    assert np.round(first["map"]).tolist() == [[1, 1], [0, 0]]
    assert all(other == first for other in others)


def test_a_picture_is_turned_as_its_camera_says(running):
    upper = Image.new("RGB", (40, 40))
    upper.paste((255, 255, 255), (0, 0, 40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90° clockwise when shown
    file = io.BytesIO()
    upper.save(file, "JPEG", exif=exif, quality=95)
    assert np.round(ask(running, body=file.getvalue(), kind="image/jpeg").data["map"]).tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize("mode, colour", [("L", 255), ("RGBA", "white"), ("P", 0), ("1", 1), ("I;16", 65535), ("LA", (255, 255))])
def test_pictures_of_other_modes_are_taken(running, mode, colour):
    made = Image.new(mode, (8, 8), colour)
    if mode == "P":
        made.putpalette([255, 255, 255])
    file = io.BytesIO()
    made.save(file, "PNG")
    assert ask(running, body=file.getvalue(), kind="image/png").data["class"] == "bright"


def test_a_picture_is_known_without_its_content_type(running):
    assert ask(running, body=picture(), kind="application/x-www-form-urlencoded").status == 200


# --- what it refuses

SHAPE = (3, SIDE, SIDE)
PICTURE = {"picture": np.zeros(SHAPE).tolist()}
NAN = np.full(SHAPE, np.nan, "<f4").tobytes()
REFUSED = {
    "empty": (b"", "image/png", 400, "an empty body"),
    "no picture": (b"hello", "image/png", 422, "neither PNG nor JPEG"),
    "cut off": (picture(size=(64, 64))[:60], "image/png", 422, "does not decode"),
    "other format": (picture("GIF"), "image/gif", 415, "image/gif"),
    "form": (b"--x\r\n", "multipart/form-data; boundary=x", 415, "multipart"),
    "too few bytes": (raw()[:-1], "application/octet-stream", 422, "191 bytes"),
    "too many bytes": (raw() + b"0", "application/octet-stream", 422, "193 bytes"),
    "not a number": (NAN, "application/octet-stream", 422, "from 0 to 1"),
    "out of range": (raw(255.0), "application/octet-stream", 422, "255.0"),
    "no JSON": (b"{", "application/json", 422, "JSON"),
    "other JSON": (b'{"image": 1}', "application/json", 422, "image"),
    "text for numbers": (b'{"picture": [[["a"]]]}', "application/json", 422, "picture"),
    "ragged": (b'{"picture": [[[1, 0], [1]]]}', "application/json", 422, "several lengths"),
    "other shape": (b'{"picture": [[[1]]]}', "application/json", 422, "(1, 1, 1)"),
    "endless numbers": (b'{"picture": [[[1e999]]]}', "application/json", 422, "JSON"),
    "deep": (b'{"picture": ' + b"[" * 100_000, "application/json", 422, "JSON"),
    "not UTF-8": (b'{"picture": "\xff"}', "application/json", 422, "JSON"),
    "too many pixels": (picture(size=(6000, 5000), mode="1", colour=0), "image/png", 413, "million pixels"),
    "too long": (b"0" * (1 << 20) + b"0", "image/png", 413, "1048577 bytes"),
    "much too long": (b"0" * (9 << 20), "image/png", 413, "1048576 bytes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_answered_is_refused_in_one_sentence(running, name):
    body, kind, status, why = REFUSED[name]
    reply = ask(running, body=body, kind=kind, method="POST")
    assert reply.status == status
    sentence = reply.data["error"]
    assert why in sentence and sentence.startswith("expected ") and "\n" not in sentence and len(sentence) < 400
    assert reply.data["status"] == status
    assert inspect_raw(running).status == 200


def test_a_compressed_body_is_refused(running):
    assert ask(running, body=raw(), kind="application/octet-stream", content_encoding="gzip").status == 415


@pytest.mark.parametrize("method, path, status", [("GET", "v1/inspect", 405), ("POST", "", 405), ("DELETE", "healthz", 405), ("GET", "nothing", 404), ("GET", "../pyproject.toml", 404), ("GET", "page/index.html", 404)])
def test_other_paths_and_methods_are_refused(running, method, path, status):
    reply = ask(running, path, method=method)
    assert reply.status == status
    assert ("allow" in {name.lower() for name in reply.headers}) == (status == 405)


def test_a_chunked_body_is_read_and_bounded(running):
    def chunked(count, chunk):
        with talk(running) as talking:
            head = "POST /v1/inspect HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            talking.sendall(head.encode())
            for _ in range(count):
                talking.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            talking.sendall(b"0\r\n\r\n")
            return int(talking.recv(4096)[9:12])

    assert chunked(2, raw()[: len(raw()) // 2]) == 200
    assert chunked(40, b"0" * (1 << 15)) == 413


def talk(running):
    host, port = re.match(r"http://(.*):(\d+)/", running.url).groups()
    talking = socket.create_connection((host, int(port)))
    talking.settimeout(20)
    return talking


def test_what_is_no_http_is_refused(running):
    with talk(running) as talking:
        talking.sendall(b"hello\r\n\r\n")
        assert talking.recv(4096).startswith((b"HTTP/1.1 400", b""))
    with talk(running) as talking:
        talking.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nlong: " + b"a" * 1_000_000 + b"\r\n\r\n")
        assert talking.recv(4096)[9:12] in (b"431", b"400")
    assert inspect_raw(running).status == 200


def test_a_body_that_does_not_come_is_given_up(running):
    head = b"POST /v1/inspect HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\ncontent-length: 1000\r\n\r\n"
    with talk(running) as slow, talk(running) as gone:
        gone.sendall(head + b"half")
        gone.close()
        slow.sendall(head + b"half")
        assert inspect_raw(running).status == 200  # nobody waits for it
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")
    assert counted(running, "requests_open") == 0


# --- a net that fails, or does not end


def test_a_picture_that_breaks_the_net_breaks_only_its_own_answer(running):
    replies = together(running, [0.125, 0.25, 0.0, 0.0, 0.25])  # the others gather while the first is computed
    assert [reply.status for reply in replies] == [200, 500, 200, 200, 500]
    assert "too much" in replies[1].data["error"]


def together(running, firsts, pause_s=0.05):
    replies = [None] * len(firsts)

    def one(k):
        replies[k] = inspect_raw(running, firsts[k])

    threads = [threading.Thread(target=one, args=(k,)) for k in range(len(firsts))]
    for k, thread in enumerate(threads):
        thread.start()
        time.sleep(pause_s if not k else 0)
    for thread in threads:
        thread.join()
    return replies


def test_what_takes_too_long_is_told_and_seen():
    with service(timeout_s=0.4, workers=1) as running:
        reply = inspect_raw(running, 0.5)
        assert (reply.status, "0.4 s" in reply.data["error"]) == (504, True)
        assert inspect_raw(running).status == 504  # it waits behind the one that does not end
        until = time.monotonic() + 20
        while ask(running, "healthz").status == 200 and time.monotonic() < until:
            time.sleep(0.05)
        assert "under way" in ask(running, "healthz").data["error"]
        running.process.terminate()
        assert running.process.wait(20) == 0  # the thread that hangs does not keep it


# --- batches


def test_what_waits_together_is_computed_together(running):
    before = counted(running, "batch_size_count"), counted(running, "batch_size_sum")
    replies = together(running, [0.125] + 8 * [0.0])
    assert [reply.status for reply in replies] == 9 * [200]
    assert max(reply.data["batch"] for reply in replies) >= 4
    batches, pictures = counted(running, "batch_size_count") - before[0], counted(running, "batch_size_sum") - before[1]
    assert pictures == 9 and batches < 9


def test_answers_in_a_batch_are_each_ones_own(running):
    levels = [0.0, 1.0] * 8
    replies = [None] * len(levels)
    threads = [threading.Thread(target=lambda k=k: replies.__setitem__(k, inspect_raw(running, levels[k], levels[k]))) for k in range(len(levels))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply.data["class"] for reply in replies] == ["dark", "bright"] * 8


# --- overload


def test_overload_is_refused_and_nothing_is_lost(tmp_path):
    (tmp_path / "slow").write_bytes(raw(0.125))
    with service(queue=2, max_batch=2) as running:
        found = generate(Load(running.inspect, tmp_path / "slow", clients=12, seconds=1.0))
        assert found.answered > 0 and found.refused > 0
        assert found.lost == found.failed == 0 and found.sent == found.answered + found.refused
        assert set(found.statuses) == {"200", "429"}
        replies = together(running, 12 * [0.125], pause_s=0)
        refused = [reply for reply in replies if reply.status == 429]
        assert refused and all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
        assert counted(running, r'refused_total\{reason="queue"\}') == found.refused + len(refused)
        assert inspect_raw(running).status == 200


def test_an_open_loop_counts_all_that_was_due(running, tmp_path):
    (tmp_path / "body").write_bytes(raw())
    found = generate(Load(running.inspect, tmp_path / "body", clients=4, seconds=1.0, rate=100.0))
    assert found.sent == found.answered + found.refused + found.failed + found.lost
    assert 60 <= found.sent <= 140 and found.lost == 0


def test_the_generator_counts_what_a_dead_service_loses(running, tmp_path):
    (tmp_path / "slow").write_bytes(raw(0.125))
    with service() as dying:
        def die_once_it_answered():
            while not counted(dying, r'requests_total\{status="200"\}'):
                time.sleep(0.05)
            dying.process.kill()

        threading.Thread(target=die_once_it_answered, daemon=True).start()
        found = generate(Load(dying.inspect, tmp_path / "slow", clients=3, seconds=4.0, limit_s=2.0))
    assert found.answered > 0 and found.lost >= 3


# --- what watchers see


def test_health_readiness_metrics_schema_and_pages(running):
    assert ask(running, "healthz").data == {"status": "alive"}
    assert ask(running, "readyz").data == {"status": "ready"}
    about = ask(running, "v1/model").data
    assert about["classes"] == ["dark", "bright"] and about["input_shape"] == [3, SIDE, SIDE]
    for path in ("", "docs", "page.js", "docs.js", "page.css"):
        page = ask(running, path)
        assert page.status == 200 and not re.search(rb"(src|href)=.?https?:", page.body)
        assert "default-src 'self'" in page.headers["content-security-policy"]


def test_metrics_are_prometheus_and_count(running):
    from prometheus_client.parser import text_string_to_metric_families

    before = counted(running, r'requests_total\{status="200"\}')
    inspect_raw(running)
    ask(running, body=b"x", kind="image/png")
    families = {family.name: family for family in text_string_to_metric_families(ask(running, "metrics").body.decode())}
    names = ("requests", "refused", "request_seconds", "batch_size", "model_seconds", "queue_depth", "requests_open")
    assert {f"breakthrough_{name}" for name in names} <= set(families)
    assert counted(running, r'requests_total\{status="200"\}') == before + 1
    assert families["breakthrough_request_seconds"].type == families["breakthrough_batch_size"].type == "histogram"


def test_the_schema_describes_the_answer(running):
    api = ask(running, "openapi.json").data
    assert api["openapi"].startswith("3.1")
    post = api["paths"]["/v1/inspect"]["post"]
    assert set(post["requestBody"]["content"]) == {"image/png", "image/jpeg", "application/json", "application/octet-stream"}
    assert {"200", "413", "422", "429", "503", "504"} <= set(post["responses"])
    fields = api["components"]["schemas"]["Inspection"]["properties"]
    assert set(inspect_raw(running).data) == set(fields)
    refs = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(api)))
    assert refs <= set(api["components"]["schemas"])


# --- beginning and end


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_is_in_be_answered_and_refuses_the_rest(end):
    with service() as running, talk(running) as late:
        replies = {}
        slow = threading.Thread(target=lambda: replies.update(slow=inspect_raw(running, 0.0625)))
        slow.start()
        while counted(running, "requests_open") == 0:
            time.sleep(0.005)
        running.process.send_signal(end)
        until = time.monotonic() + 5
        while ask(running, "readyz").status == 200 and time.monotonic() < until:
            time.sleep(0.005)
        body = raw()
        late.sendall(b"POST /v1/inspect HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        assert late.recv(4096).startswith(b"HTTP/1.1 503")
        slow.join()
        assert replies["slow"].status == 200
        assert running.process.wait(20) == 0


def test_the_service_ends_when_its_parent_is_killed():
    code = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {MODEL!r}, ''], stdin=subprocess.PIPE); print(p.pid, flush=True); p.wait()"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert parent.stdout.readline().startswith("ready")
    parent.kill()
    parent.wait()
    until = time.monotonic() + 20
    while alive(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not alive(child)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_it_is_not_ready_before_it_is_warm_and_tells_a_model_that_does_not_load():
    slow = MODEL.replace("class Model:", "class Model:\n    def __init__(self): time.sleep(1.5)")
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", slow.replace("port=0", f"port={port}"), ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        running = type("Running", (), {"url": f"http://127.0.0.1:{port}/"})
        until = time.monotonic() + 20
        while (early := silent(lambda: ask(running, "readyz"))) is None and time.monotonic() < until:
            time.sleep(0.02)
        assert early.status == 503 and "warming up" in early.data["error"]
        assert ask(running, "healthz").status == 200
        refused = inspect_raw(running)
        assert refused.status == 503 and "retry-after" in refused.headers
        process.stdout.readline()
        assert ask(running, "readyz").status == 200 and inspect_raw(running).status == 200
    finally:
        process.kill()
        process.communicate()
    broken = MODEL.replace("class Model:", "class Model:\n    def __init__(self): raise OSError('no such library')")
    with pytest.raises(BreakthroughError, match="no such library"), started_command([sys.executable, "-c", broken, ""]):
        pass


def silent(call):
    try:
        return call()
    except (urllib.error.URLError, ConnectionError):
        return None


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]
