"""Amazon ECR on this machine: moto answers the API, Debian's docker-registry holds the images, under ECR's host name.

Between the engine and the registry stands a small front that does what ECR does and the registry does not: it wants
moto's login token, knows only repositories that moto has, keeps immutable tags, refuses pushes when `may_push` is
off, and tells moto of every manifest that arrives. Everything it changes outside its own directory (one line of
/etc/hosts, one certificate) is undone when it stops.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import requests
from moto.ecr.exceptions import ImageAlreadyExistsException
from moto.ecr.models import ECRBackend, ecr_backends
from moto.s3.models import S3Backend
from moto.server import ThreadedMotoServer
from werkzeug import Request, Response
from werkzeug.serving import make_server

import warm_aws

ACCOUNT = "123456789012"
REGION = "us-east-1"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
TOKEN = f"{ACCOUNT}-auth-token"  # the one that moto hands out
HOSTS_LINE = f"127.0.0.1 {HOST} # tests/aws/ecr.py\n"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
OCI = "application/vnd.oci.image.manifest.v1+json"
DOCKER_TO_OCI = {
    "application/vnd.docker.distribution.manifest.v2+json": OCI,
    "application/vnd.docker.container.image.v1+json": "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
}
DENIED = (
    "User: arn:aws:sts::{account}:assumed-role/reader/someone is not authorized to perform: ecr:InitiateLayerUpload "
    "on resource: arn:aws:ecr:{region}:{account}:repository/{name} because no identity-based policy allows the "
    "ecr:InitiateLayerUpload action"
)

# moto would deny everything to everybody: it does not look at the condition of a bucket's policy.
S3Backend.put_bucket_policy = lambda self, bucket_name, policy: None


def missing() -> str:
    """Why ECR cannot be put up on this machine, or nothing."""
    if os.geteuid() != 0:
        return "root is needed, for port 443 and /etc/hosts"
    for program in ("docker", "docker-registry", "openssl"):
        if not shutil.which(program):
            return f"{program} is not installed"
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        return "no Docker Engine answers"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 443))
        except OSError as error:
            return f"port 443 of 127.0.0.1 is not free: {error}"
    return ""


class Ecr:
    """The double, running. `api` is boto3's client of it; `pushed(name)` what is in a repository."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.may_push = True
        self.token = TOKEN
        self.requests: list[str] = []
        self.manifest_type = ""  # instead of the one that the engine sends
        self.uploading, self.go_on = threading.Event(), threading.Event()
        self.moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.moto.start()
        self.endpoint = "http://{}:{}".format(*self.moto.get_host_and_port())
        self.api = self.client("ecr")

    def client(self, service: str):
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def reset(self) -> None:
        requests.post(f"{self.endpoint}/moto-api/reset-auth", data=b"inf", timeout=10)
        requests.post(f"{self.endpoint}/moto-api/reset", timeout=10)
        self.may_push, self.token, self.manifest_type = True, TOKEN, ""
        self.requests.clear()
        self.uploading.clear()
        self.go_on.set()

    def enforce_iam(self) -> None:
        """From the next call on, moto answers only what the caller's policies allow."""
        requests.post(f"{self.endpoint}/moto-api/reset-auth", data=b"0", timeout=10).raise_for_status()

    def writes(self) -> list[str]:
        """The requests that would change what is in the registry."""
        return [request for request in self.requests if request.split()[0] not in ("GET", "HEAD")]

    @property
    def books(self) -> ECRBackend:
        """What moto knows, without asking as anybody."""
        return ecr_backends[ACCOUNT][REGION]

    def pushed(self, name: str) -> dict[str, str]:
        """tag → digest, as ECR knows it."""
        return {
            tag: image.get_image_digest() for image in self.books.repositories[name].images for tag in image.image_tags
        }

    def manifest(self, name: str, reference: str) -> requests.Response:
        """What the registry itself has, with the type under which it was pushed."""
        accept = (
            "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, "
            "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
        )
        reply = requests.get(f"{self.backend}/v2/{name}/manifests/{reference}", headers={"Accept": accept}, timeout=10)
        reply.raise_for_status()
        return reply

    def blob(self, name: str, digest: str) -> dict:
        return requests.get(f"{self.backend}/v2/{name}/blobs/{digest}", timeout=10).json()

    # ── the front ──
    def answer(self, request: Request) -> Response:
        self.requests.append(f"{request.method} {request.path}")
        credentials = base64.b64encode(f"AWS:{self.token}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {credentials}":
            challenge = {"WWW-Authenticate": f'Basic realm="https://{HOST}/",service="ecr.amazonaws.com"'}
            return Response("Not Authorized\n", 401, challenge)
        name, kind, reference = self.parts(request.path)
        if name and name not in self.books.repositories:
            return refusal(
                404,
                "NAME_UNKNOWN",
                f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'",
            )
        if request.method in ("POST", "PUT", "PATCH") and not self.may_push:
            return refusal(403, "DENIED", DENIED.format(account=ACCOUNT, region=REGION, name=name))
        if kind == "blobs" and request.method == "PATCH":
            self.uploading.set()
            self.go_on.wait(30)
        if kind == "manifests" and request.method == "PUT":
            return self.put_manifest(request, name, reference)
        return self.forward(request, request.stream)

    @staticmethod
    def parts(path: str) -> tuple[str, str, str]:
        for kind in ("manifests", "blobs", "tags"):
            before, found, after = path.removeprefix("/v2/").partition(f"/{kind}/")
            if found:
                return before, kind, after
        return "", "", ""

    def put_manifest(self, request: Request, name: str, reference: str) -> Response:
        body = request.get_data()
        by_digest = reference.startswith("sha256:")
        if not by_digest and self.books.repositories[name].is_tag_immutable() and reference in self.pushed(name):
            return refusal(
                400,
                "TAG_INVALID",
                f"The image tag '{reference}' already exists in the '{name}' repository and cannot be overwritten "
                "because the tag is immutable.",
            )
        reply = self.forward(request, body)
        if reply.status_code == 201 and not by_digest:
            kind, digest = self.manifest_type or request.content_type, reply.headers["Docker-Content-Digest"]
            text = body.decode()
            if self.manifest_type:  # as an engine with containerd's image store writes it
                text, digest = self.as_oci(name, text)
            with contextlib.suppress(ImageAlreadyExistsException):
                self.books.put_image(name, text, reference, kind, digest)
        return reply

    def as_oci(self, name: str, manifest: str) -> tuple[str, str]:
        """The manifest with OCI's types, and its digest; for an index, the index of it and of an attestation."""
        for docker, oci in DOCKER_TO_OCI.items():
            manifest = manifest.replace(docker, oci)
        digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
        if "index" not in self.manifest_type:
            return manifest, digest
        self.books.put_image(name, manifest, None, OCI, digest)
        entry = {"mediaType": OCI, "digest": digest, "size": len(manifest)}
        other = {**entry, "digest": f"sha256:{'0' * 64}", "annotations": {"vnd.docker.reference.digest": digest}}
        platforms = [{"architecture": "unknown", "os": "unknown"}, {"architecture": "amd64", "os": "linux"}]
        entries = [row | {"platform": each} for row, each in zip((other, entry), platforms, strict=True)]
        index = json.dumps({"schemaVersion": 2, "mediaType": self.manifest_type, "manifests": entries}, indent=2)
        return index, f"sha256:{hashlib.sha256(index.encode()).hexdigest()}"

    def forward(self, request: Request, body) -> Response:
        headers = {
            k: v
            for k, v in request.headers
            if k not in ("Host", "Authorization", "Content-Length", "Transfer-Encoding")
        }
        if request.method in ("GET", "HEAD"):
            body = None
        elif not isinstance(body, bytes) and request.content_length is not None:
            headers["Content-Length"] = str(request.content_length)
            body = body.read()
        reply = requests.request(
            request.method,
            self.backend + request.full_path.rstrip("?"),
            headers=headers,
            data=body,
            stream=True,
            timeout=60,
        )
        kept = {k: v for k, v in reply.headers.items() if k not in ("Connection", "Transfer-Encoding")}
        return Response(reply.raw.stream(65536, decode_content=False), reply.status_code, kept, direct_passthrough=True)


def refusal(status: int, code: str, message: str) -> Response:
    return Response(
        json.dumps({"errors": [{"code": code, "message": message}]}), status, content_type="application/json"
    )


@contextlib.contextmanager
def running() -> Iterator[Ecr]:
    """ECR from here to the end of the `with`."""
    with contextlib.ExitStack() as undo:
        directory = Path(tempfile.mkdtemp(prefix="push-ecr-"))
        undo.callback(shutil.rmtree, directory)
        ecr = Ecr(directory)
        undo.callback(ecr.moto.stop)
        start_cli(ecr, undo)
        start_registry(ecr, undo)
        start_front(ecr, undo)
        yield ecr


def start_cli(ecr: Ecr, undo: contextlib.ExitStack) -> None:
    ecr.cli = ecr.directory / "aws.socket"
    process = subprocess.Popen(
        [sys.executable, warm_aws.__file__, ecr.cli], stdout=subprocess.DEVNULL, env={"HOME": str(ecr.directory)}
    )
    undo.callback(end, process)
    deadline = time.monotonic() + 20
    while not ecr.cli.exists():
        assert process.poll() is None, "the AWS CLI did not start: pip install awscli"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start_registry(ecr: Ecr, undo: contextlib.ExitStack) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(ecr.directory / "images")}},
        "http": {"addr": address, "relativeurls": True},
    }
    (ecr.directory / "registry.yml").write_text(json.dumps(config))
    log = undo.enter_context((ecr.directory / "registry.log").open("w"))
    process = subprocess.Popen(["docker-registry", "serve", ecr.directory / "registry.yml"], stdout=log, stderr=log)
    undo.callback(end, process)
    ecr.backend = f"http://{address}"
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(f"{ecr.backend}/v2/", timeout=5).ok:
                return
        assert process.poll() is None, (ecr.directory / "registry.log").read_text()
        assert time.monotonic() < deadline, (ecr.directory / "registry.log").read_text()
        time.sleep(0.05)


def end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(10)


def start_front(ecr: Ecr, undo: contextlib.ExitStack) -> None:
    key, certificate = ecr.directory / "key.pem", ecr.directory / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}",
         "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = make_server("127.0.0.1", 443, Request.application(ecr.answer), threaded=True, ssl_context=context)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    undo.callback(thread.join, 10)
    undo.callback(server.shutdown)
    # The engine trusts this certificate for this host alone.
    trusted = Path("/etc/docker/certs.d", HOST)
    trusted.mkdir(parents=True, exist_ok=True)
    undo.callback(shutil.rmtree, trusted)
    shutil.copy(certificate, trusted / "ca.crt")
    hosts = Path("/etc/hosts")
    undo.callback(lambda: hosts.write_text(hosts.read_text().replace(HOSTS_LINE, "")))
    text = hosts.read_text().replace(HOSTS_LINE, "")
    hosts.write_text(text + ("" if text.endswith("\n") else "\n") + HOSTS_LINE)
