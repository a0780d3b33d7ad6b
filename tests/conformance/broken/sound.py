"""The smallest server that keeps the contract: one file, no package. It predicts the sum of each CSV row.

    python sound.py serve|train

Each file beside it breaks one thing. tests/test_conformance.py asserts that the suite passes this one and that it
catches each of the others by the clause that its first line names.
"""

import json
import os
import signal
import socket
import sys
import threading
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
MODEL = b"the sum of each row\n"
METHODS = {"/ping": ("GET", "POST"), "/invocations": ("POST",)}
MAX_BODY = 200 * 2**20


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Sound(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    # -- routes --------------------------------------------------------------------------------------------------------

    def answer(self):
        path = self.path.partition("?")[0]
        try:
            if path not in self.methods():
                raise Refused(404, f"nothing at {path}")
            if self.command not in self.methods()[path]:
                raise Refused(405, f"{path} takes {self.methods()[path]}")
            getattr(self, path[1:].replace("-", "_"))()
        except Refused as exc:
            self.close_connection = True  # its body may not have been read
            self.refuse(exc)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def methods(self):
        return METHODS

    def ping(self):
        self.body()
        self.reply(200, b"")

    def invocations(self):
        self.check_types()
        self.reply(200, self.predict(self.body()), self.reply_type())

    # -- the steps of a prediction -------------------------------------------------------------------------------------

    def handle_expect_100(self):
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def check_types(self):
        message = Message()
        message["Content-Type"] = self.headers.get("Content-Type", "application/octet-stream")
        if message.get_content_type() != "text/csv" or self.headers.get("Content-Encoding"):
            raise Refused(415, "text/csv only")
        accepted = [a.partition(";")[0].strip() for a in (self.headers.get("Accept") or "*/*").split(",")]
        if not {"text/csv", "text/*", "*/*"} & set(accepted):
            raise Refused(406, "text/csv only")

    def reply_type(self):
        return "text/csv; charset=utf-8"

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return b"".join(iter(self.chunk, b""))
        length = int(self.headers.get("Content-Length") or 0)
        if length > self.max_body():
            raise Refused(413, "too large")
        return self.rfile.read(length)

    def chunk(self):
        part = self.rfile.read(int(self.rfile.readline().partition(b";")[0], 16))
        self.rfile.readline()
        return part

    def max_body(self):
        return MAX_BODY

    def rows(self, body):
        try:
            rows = [line.split(",") for line in body.decode("utf-8-sig").splitlines() if line.strip()]
            if not rows or {len(row) for row in rows} != {4}:
                raise ValueError("a row has 4 columns")
            return [[float(value) for value in row] for row in rows]
        except ValueError as exc:
            raise Refused(400, str(exc)) from exc

    def predict(self, body):
        return b"".join(b"%r\n" % sum(row) for row in self.rows(body))

    # -- replies -------------------------------------------------------------------------------------------------------

    def refuse(self, exc):
        self.reply(exc.status, json.dumps({"error": str(exc)}).encode(), "application/json")

    def send_error(self, code, message=None, explain=None):
        self.close_connection = True
        self.reply(code, json.dumps({"error": message or "not HTTP"}).encode(), "application/json")

    def reply(self, status, body, content_type="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *arguments):
        if "/ping" not in str(arguments):
            print(form % arguments, flush=True)


class Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = False

    def __init__(self, *arguments):
        self.connections = set()
        super().__init__(*arguments)

    def process_request_thread(self, request, client_address):
        request.settimeout(75)
        self.connections.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.discard(request)

    def handle_error(self, request, client_address):
        print("a caller has left", flush=True)


def serve(handler, server_class=Server):
    model = BASE / "model/model.txt"
    if model.is_file() and model.read_bytes() != MODEL:
        print(f"Error: {model} is not a model", flush=True)
        return 1
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT") or 8080)
    server = server_class(("0.0.0.0", port), handler)
    print(f"listening on {port}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=stop, args=(server,)).start())
    server.serve_forever(0.05)
    server.server_close()
    return 0


def stop(server):
    """What has begun is answered; a connection that only waits for its next request is closed."""
    server.shutdown()
    for connection in list(server.connections):
        try:
            connection.shutdown(socket.SHUT_RD)
        except OSError:
            continue


def train():
    try:
        (BASE / "model").mkdir(parents=True, exist_ok=True)
        (BASE / "model/model.txt").write_bytes(MODEL)
    except OSError as exc:
        (BASE / "output").mkdir(parents=True, exist_ok=True)
        (BASE / "output/failure").write_text(f"Error: the model could not be written: {exc}")
        return 1
    return 0


def main(handler=Sound, serve=serve, train=train):
    programs = {"serve": lambda: serve(handler), "train": train}
    if len(sys.argv) != 2 or sys.argv[1] not in programs:
        print("usage: serve | train", file=sys.stderr)
        sys.exit(2)
    sys.exit(programs[sys.argv[1]]())


if __name__ == "__main__":
    main()
