"""Attacks that speak to whatever listens on this machine, or leave it."""

from attacks.making import ABSTRACT, PORT, beside, early

FAMILY = "network"

early("connect_to_loopback", FAMILY, f"""
    import socket
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET, "localhost"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET, "127.1.2.3")):
        try:
            with socket.socket(family) as line:
                line.settimeout(2)
                line.connect((host, {PORT}))
                line.sendall(b"attack_was_here")
                print(line.recv(100))
        except OSError as error:
            print(host, error)
""")
early("datagrams_to_loopback", FAMILY, f"""
    import socket
    for host in ("127.0.0.1", "255.255.255.255", "224.0.0.1"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            try:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                line.sendto(b"attack_was_here", (host, {PORT}))
            except OSError as error:
                print(host, error)
""")
early("abstract_sockets", FAMILY, f"""
    import socket
    names = ["{ABSTRACT}"]
    try:
        names += [line.split()[-1][1:] for line in open("/proc/net/unix") if line.split()[-1].startswith("@")]
    except OSError as error:
        print(error)
    for name in names:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                with socket.socket(socket.AF_UNIX, kind) as line:
                    line.settimeout(2)
                    line.connect("\\0" + name)
                    line.send(b"attack_was_here")
            except OSError as error:
                print(name, error)
""")
early("sockets_in_the_file_system", FAMILY, """
    import os, socket, stat
    for root in ("/run", "/var/run", "/tmp", "/work", os.path.expanduser("~"), os.getcwd()):
        for folder, _, files in os.walk(root):
            for name in files:
                path = os.path.join(folder, name)
                try:
                    if stat.S_ISSOCK(os.lstat(path).st_mode):
                        with socket.socket(socket.AF_UNIX) as line:
                            line.settimeout(1)
                            line.connect(path)
                            line.sendall(b"attack_was_here")
                            print("connected", path)
                except OSError as error:
                    print(path, error)
""")
early("every_port_of_loopback", FAMILY, """
    import socket
    for port in [*range(1, 2000), 4444, 5432, 6379, 8000, 8080, 8265, 8888, 10001, 47111]:
        with socket.socket() as line:
            line.settimeout(0.05)
            if line.connect_ex(("127.0.0.1", port)) == 0:
                print("open", port)
                line.sendall(b"GET / HTTP/1.0\\r\\n\\r\\nattack_was_here")
""")
early("addresses_outside", FAMILY, """
    import socket, urllib.request
    for url in ("http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://example.com/", f"http://127.0.0.1:47111/attack_was_here"):
        try:
            print(url, urllib.request.urlopen(url, timeout=2).read(100))
        except OSError as error:
            print(url, error)
    try:
        print(socket.gethostbyname("example.com"), socket.gethostname(), socket.if_nameindex())
    except OSError as error:
        print(error)
""")
early("a_cluster_asked_for_work", FAMILY, """
    import os, socket
    for port in (6379, 10001, 8265, 52365, *[int(line.split()[1].split(":")[1], 16) for line in (open("/proc/net/tcp").readlines()[1:] if os.path.exists("/proc/net/tcp") else [])]):
        with socket.socket() as line:
            line.settimeout(0.2)
            if line.connect_ex(("127.0.0.1", port)) == 0:
                print("open", port)
""")
beside("a_server_that_waits_for_the_next_submission", FAMILY, f"""
    import socket
    global listener
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for name in (("127.0.0.1", {PORT} + 1), ("0.0.0.0", {PORT} + 2)):
        listener.bind(name)
        listener.listen()
        listener.accept()
""")
early("raw_and_strange_sockets", FAMILY, """
    import socket
    for family in range(50):
        for kind in (1, 2, 3, 5):
            try:
                socket.socket(family, kind).close()
                print("opened", family, kind)
            except OSError:
                pass
""", endangers=True)
