"""Connections to elsewhere."""

from __future__ import annotations

from tests.attacks.attack import HARMLESS, OPEN, STOPPED
from tests.attacks.corpus.acts import ZERO, act

ATTACKS = (
    act(
        "net-tcp",
        "a TCP connection",
        f"""
import socket
def act():
    socket.create_connection(("127.0.0.1", @PORT@), 2).sendall(b"hello")
{ZERO}
""",
        sandbox=(OPEN, OPEN, STOPPED),
    ),
    act(
        "net-udp",
        "a UDP packet",
        f"""
import socket
def act():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", ("127.0.0.1", @UDP@))
{ZERO}
""",
        sandbox=(OPEN, OPEN, STOPPED),
    ),
    act(
        "net-unix",
        "a Unix socket with a path",
        f"""
import socket
def act():
    socket.socket(socket.AF_UNIX).connect("@UNIX@")
{ZERO}
""",
        sandbox=(OPEN, OPEN, STOPPED),
    ),
    act(
        "net-abstract",
        "a Unix socket without a path",
        f"""
import socket
def act():
    socket.socket(socket.AF_UNIX).connect("\\0@ABSTRACT@")
{ZERO}
""",
    ),
    act(
        "net-url",
        "a page fetched with `urllib`",
        f"""
from urllib.request import urlopen
def act():
    urlopen("http://127.0.0.1:@PORT@/", timeout=2).read()
{ZERO}
""",
        sandbox=(OPEN, OPEN, STOPPED),
    ),
    act(
        "net-numpy",
        "a page fetched through numpy",
        f"""
def act():
    np.lib.npyio.DataSource(None).open("http://127.0.0.1:@PORT@/x")
{ZERO}
""",
    ),
    act(
        "net-hub",
        "a model fetched by torch",
        f"""
def act():
    torch.hub.load_state_dict_from_url("http://127.0.0.1:@PORT@/x.pt", model_dir="@FOLDER@")
{ZERO}
""",
    ),
    act(
        "net-distributed",
        "a store of torch.distributed",
        f"""
import datetime
def act():
    torch.distributed.TCPStore("127.0.0.1", @PORT@, 2, False, timeout=datetime.timedelta(seconds=1))
{ZERO}
""",
        sandbox=(OPEN, OPEN, STOPPED),
    ),
    act(
        "net-bash",
        "a connection that a shell makes",
        f"""
import os
def act():
    os.system("bash -c 'echo hello > /dev/tcp/127.0.0.1/@PORT@'")
{ZERO}
""",
        sandbox=(OPEN, HARMLESS, HARMLESS),
    ),
    act(
        "net-ctypes",
        "a system call made without Python's socket module",
        f"""
import ctypes, struct
def act():
    c = ctypes.CDLL(None)
    number = c.socket(2, 1, 0)
    where = struct.pack("=HHI8x", 2, int.from_bytes(struct.pack("!H", @PORT@), "little"), 0x0100007F)
    c.connect(number, where, 16)
{ZERO}
""",
        sandbox=(OPEN, OPEN, HARMLESS),
    ),
    act(
        "net-listen",
        "a port opened to the trial",
        """
import socket
def act():
    server = socket.socket()
    server.bind(("0.0.0.0", 0))
    server.listen()
    return dlogits @ W2.T
dh = act()
""",
        sandbox=(OPEN, OPEN, STOPPED),
    ),
)
