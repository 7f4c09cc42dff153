"""Two machines and a cable between them: network namespaces, and somebody who listens in."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading

import pytest

ENGINE_ADDRESS, CLIENT_ADDRESS = "10.83.0.1", "10.83.0.2"


def _run(*command):
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


class Machine:
    """A network namespace of its own, kept open by a process that waits."""

    def __init__(self, inside=()):
        new_user = [] if os.geteuid() == 0 or inside else ["--user", "--map-root-user"]
        command = [*inside, "unshare", *new_user, "--net", "sh", "-c", "echo; exec cat"]
        self.holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        if not self.holder.stdout.readline():
            raise OSError(self.holder.communicate()[1].decode().strip())
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        self.enter = ["nsenter", "--target", str(self.holder.pid), *user, "--net"]

    def close(self):
        self.holder.communicate()  # closes its input: it ends


@contextlib.contextmanager
def two_machines():
    """The commands that lead into the engine's and into the client's namespace.

    Skips where the system lets nobody make namespaces.
    """
    for program in ("unshare", "nsenter", "ip"):
        if shutil.which(program) is None:
            pytest.skip(f"network namespaces need the program {program}")
    with contextlib.ExitStack() as stack:
        try:
            engine = Machine()
            stack.callback(engine.close)
            client = Machine(engine.enter if os.geteuid() else ())
            stack.callback(client.close)
            pair = ["type", "veth", "peer", "name", "cable", "netns", str(client.holder.pid)]
            _run(*engine.enter, "ip", "link", "add", "cable", *pair)
            for machine, address in ((engine, ENGINE_ADDRESS), (client, CLIENT_ADDRESS)):
                _run(*machine.enter, "ip", "address", "add", f"{address}/24", "dev", "cable")
                for link in ("lo", "cable"):
                    _run(*machine.enter, "ip", "link", "set", link, "up")
        except OSError as error:
            pytest.skip(f"this system permits no network namespaces: {error}")
        yield engine.enter, client.enter


class Eavesdropper:
    """A TCP proxy to ``port`` that keeps everything it passes on."""

    def __init__(self, port):
        self.to = port
        self.heard = bytearray()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
                self.sockets += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self.heard += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in (self.listener, *self.sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
