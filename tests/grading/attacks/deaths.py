"""Attacks on the run: loops that cannot be interrupted, deaths, signals, exits. One answer each; the others are honest."""

from attacks.making import beside, early

FAMILY = "never ends, or dies"

beside("a_loop", FAMILY, "while True:\n    pass")
beside("a_loop_that_swallows_interrupts", FAMILY, "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass")
beside("a_loop_in_c", FAMILY, "return sum(iter(int, 1))")
beside("a_power_in_c", FAMILY, "return len(str(7 ** (10 ** 9)))")
beside("an_expression_that_backtracks", FAMILY, "import re\nreturn re.match('(a+)+$', 'a' * 64 + 'b')")
beside("a_loop_with_all_signals_blocked", FAMILY, """
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    for number in (signal.SIGINT, signal.SIGALRM, signal.SIGTERM, signal.SIGXCPU, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)
    while True:
        pass
""")
beside("a_sleep", FAMILY, "import time\ntime.sleep(10 ** 6)")
beside("a_lock_that_is_never_given_back", FAMILY, "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()")
beside("a_wait_for_input", FAMILY, "import sys, os\nreturn input() or sys.stdin.read() or os.read(0, 1)")
beside("a_stopped_process", FAMILY, "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)")
beside("an_exit_without_goodbye", FAMILY, "import os\nos._exit(0)")
beside("an_exit_of_the_system", FAMILY, "raise SystemExit(0)")
beside("an_interrupt", FAMILY, "raise KeyboardInterrupt")
beside("an_abort", FAMILY, "import os\nos.abort()")
beside("a_null_pointer", FAMILY, "import ctypes\nreturn ctypes.string_at(0)")
beside("a_kill_of_itself", FAMILY, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
beside("a_kill_of_its_group", FAMILY, "import os, signal\nos.killpg(0, signal.SIGKILL)")
beside("a_kill_of_everybody", FAMILY, """
    import os, signal
    for pid in (os.getppid(), 1, *[int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()], -1, os.getpid()):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError as error:
            print(error)
""")
beside("another_program_in_its_place", FAMILY, "import os, sys\nos.execv('/bin/sh', ['sh', '-c', 'while true; do echo \"{}\"; done'])")
beside("every_second_call_dies", FAMILY, "import os\nglobal calls\ncalls = globals().get('calls', 0) + 1\nif calls % 2 == 0:\n    os._exit(1)\nreturn torch.logsumexp(logits, -1).square().sum() / max(len(logits), 1) + 1")
early("a_cell_that_ends_the_process", FAMILY, "import os\nos._exit(0)", endangers=True)
early("a_cell_that_ends_the_process_only_the_first_time", FAMILY, "import os\nif not os.path.exists('/tmp/attack_was_here'):\n    open('/tmp/attack_was_here', 'w').close()\n    os._exit(0)", endangers=True)
early("a_cell_that_never_ends", FAMILY, "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass", endangers=True)
early("a_cell_that_sleeps_as_long_as_it_may", FAMILY, "import time\nfor _ in range(1000):\n    time.sleep(10)", endangers=True)
early("a_cell_that_closes_the_shell", FAMILY, "import sys, builtins\nget_ipython = None\nsys.exit = exit = quit = None\nbuiltins.print = None\nsys.stdout = None\nsys.modules.clear()", endangers=True)
