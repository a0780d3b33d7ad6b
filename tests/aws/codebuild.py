"""AWS CodeBuild on this machine: moto keeps the books, and a started build really runs its buildspec, here.

It stands before moto, as the endpoint of CodeBuild alone. The machine of a build has the engine of this one, and as
files only what it finds in S3.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import requests
import yaml
from werkzeug import Request, Response
from werkzeug.serving import make_server

from ecr import Ecr


class CodeBuild:
    """`env` is the environment of the builds; `builds` has the process of each, by its id."""

    def __init__(self, ecr: Ecr, env: dict[str, str]):
        self.ecr, self.env = ecr, env
        self.builds: dict[str, subprocess.Popen] = {}
        self.images: dict[str, str] = {}
        self.stopped: list[str] = []
        self.tampered: list[str] = []  # files that somebody changes in S3 before the build reads them
        self.unanswered = 0  # polls that fail from now on
        self.lost = 0  # starts whose answer does not arrive from now on
        self.started: dict[str, dict] = {}  # what was answered to the start with this token

    def answer(self, request: Request) -> Response:
        action = request.headers["X-Amz-Target"].partition(".")[2]
        asked = request.get_json(force=True)
        if action == "UpdateProject":  # moto has none
            return Response(json.dumps({"project": asked}), content_type="application/x-amz-json-1.1")
        if action == "BatchGetBuilds" and self.unanswered:
            self.unanswered -= 1
            return Response("{}", 503)
        token = asked.get("idempotencyToken", "")
        if action == "StartBuild" and token in self.started:
            return self.told_of_start(token)
        headers = {name: value for name, value in request.headers if name not in ("Host", "Content-Length")}
        reply = requests.post(self.ecr.endpoint, data=request.get_data(), headers=headers, timeout=30)
        told = reply.json()
        if reply.ok and action == "StartBuild":
            self.start(told["build"]["id"], asked)
            self.started[token] = told
            return self.told_of_start(token)
        if reply.ok and action == "BatchGetBuilds":
            told["builds"] = [self.as_it_is(build) for build in told["builds"]]
        if action == "StopBuild":
            self.stopped.append(asked["id"])
            os.killpg(self.builds[asked["id"]].pid, signal.SIGTERM)
        return Response(json.dumps(told), reply.status_code, content_type="application/x-amz-json-1.1")

    def told_of_start(self, token: str) -> Response:
        if self.lost:
            self.lost -= 1
            return Response("{}", 503)
        return Response(json.dumps(self.started[token]), content_type="application/x-amz-json-1.1")

    def value(self, row: dict) -> str:
        """What the build sees in a variable: the text, or what the secret of that name holds."""
        if row.get("type", "PLAINTEXT") == "PLAINTEXT":
            return row["value"]
        return self.ecr.client("secretsmanager").get_secret_value(SecretId=row["value"])["SecretString"]

    def start(self, build_id: str, asked: dict) -> None:
        bucket, _, folder = asked["sourceLocationOverride"].partition("/")
        machine = Path(tempfile.mkdtemp(prefix="codebuild-", dir=self.ecr.directory))
        s3 = self.ecr.client("s3")
        for found in s3.list_objects_v2(Bucket=bucket, Prefix=folder)["Contents"]:
            s3.download_file(bucket, found["Key"], str(machine / found["Key"].removeprefix(folder)))
        for name in self.tampered:
            (machine / name).write_bytes(b"something else")
        spec = yaml.safe_load(asked["buildspecOverride"])
        variables = {row["name"]: self.value(row) for row in asked["environmentVariablesOverride"]}
        assert spec["env"] == {"shell": "bash", "exported-variables": ["IMAGE_URI"]}
        commands = "\n".join(["set -e", *spec["phases"]["build"]["commands"], "printenv IMAGE_URI > image"])
        process = subprocess.Popen(
            ["bash", "-c", commands], cwd=machine, env=self.env | variables, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.builds[build_id] = process
        logs = self.ecr.client("logs")
        names = {"logGroupName": "/aws/codebuild/push", "logStreamName": build_id.partition(":")[2]}
        with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=names["logGroupName"])
        logs.create_log_stream(**names)

        def follow() -> None:
            for line in process.stdout:
                with contextlib.suppress(logs.exceptions.ResourceNotFoundException):  # a new test, with empty books
                    logs.put_log_events(**names, logEvents=[{"timestamp": int(time.time() * 1000), "message": line}])
            if (machine / "image").exists():
                self.images[build_id] = (machine / "image").read_text().strip()

        process.log = threading.Thread(target=follow, daemon=True)
        process.log.start()

    def as_it_is(self, build: dict) -> dict:
        process = self.builds[build["id"]]
        status = {None: "IN_PROGRESS", 0: "SUCCEEDED"}.get(process.poll(), "FAILED")
        if status != "IN_PROGRESS":
            process.log.join(20)
        image = self.images.get(build["id"])
        return build | {
            "buildStatus": status,
            "logs": {"groupName": "/aws/codebuild/push", "streamName": build["id"].partition(":")[2]},
            "exportedEnvironmentVariables": [{"name": "IMAGE_URI", "value": image}] if image else [],
        }


@contextlib.contextmanager
def running(ecr: Ecr, env: dict[str, str]) -> Iterator[tuple[CodeBuild, str]]:
    """The double and its address."""
    codebuild = CodeBuild(ecr, env)
    server = make_server("127.0.0.1", 0, Request.application(codebuild.answer), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield codebuild, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        for process in codebuild.builds.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
