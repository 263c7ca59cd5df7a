"""A tuning worker that measures nothing, to be killed: answers of its protocol, with accidents at chosen candidates."""

import json
import os
import pathlib
import signal
import sys
import time

kind, marker = sys.argv[1:]
count = 0
for line in sys.stdin:
    job = json.loads(line)
    if job["kind"] == "open":
        answer = {"ready": True}
    else:
        count += 1
        first = not os.path.exists(marker)
        if first and count == 3:
            pathlib.Path(marker).write_text(json.dumps(job))
            if kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if kind == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            if kind == "hang":
                time.sleep(600)
            if kind == "exit":
                sys.exit(7)
        answer = {"run_s": 1e-6 * (1 + sum(job["params"].values()))}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
