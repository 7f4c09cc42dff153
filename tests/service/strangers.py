"""Somebody else on the port that the runtime file names."""

import os
import threading

import zmq

from ganpaint_engine import paths
from ganpaint_engine.service import protocol, security


def write_runtime(endpoint, token=None, pid=None):
    token = token or security.new_token()
    runtime = security.Runtime(endpoint, token, pid or os.getpid(), "1.0", 0.0)
    security.write_runtime(paths.runtime_file(), runtime)
    return token


class Stranger(threading.Thread):
    """Listens where an engine was, lets everybody in, and answers with what it has heard."""

    def __init__(self, version="1.0", token=None):
        super().__init__()
        self.version, self.token = version, token
        self.heard = []
        self.context = zmq.Context()
        self.zap = self.context.socket(zmq.REP)
        self.zap.bind(security.ZAP_ENDPOINT)
        self.router = self.context.socket(zmq.ROUTER)
        self.router.plain_server = True
        self.port = self.router.bind_to_random_port("tcp://127.0.0.1")
        self.leave = threading.Event()

    def run(self):
        key = self.token or security.new_token()
        while not self.leave.is_set():
            if self.zap.poll(20):
                version, number, *rest = self.zap.recv_multipart()
                self.zap.send_multipart([version, number, b"200", b"OK", b"", b""])
                if not self.token:
                    key = rest[-1].decode()  # the password: all that it can know
            while self.router.poll(20):
                peer, packed, *_ = self.router.recv_multipart()
                header = protocol.unpack(packed)
                self.heard.append(header["type"])
                if header["type"] == "HELLO":
                    self.router.send_multipart([peer, protocol.pack(self.welcome(header, key))])
        self.context.destroy(linger=0)

    def welcome(self, hello, key):
        return {
            "type": "WELCOME",
            "protocol": self.version,
            "engine": "0",
            "proof": security.proof(key, hello["nonce"]),
            "device": "cpu",
            "limits": {"max_pixels": 10**8},
            "capabilities": [],
            "models": [],
        }

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.leave.set()
        self.join()
