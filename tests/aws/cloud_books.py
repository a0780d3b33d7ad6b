"""What the account in memory keeps, and how its things are found: the ground of cloud.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

ACCOUNT, REGION = "123456789012", "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Execution"
DIGEST = "sha256:" + "ab" * 32
LOOKS = 2
"""How often something is looked at before it is ready."""
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def error(code: str, message: str, operation: str = "Operation", status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, operation)  # type: ignore[arg-type]


class Books:
    """`broken` images never become healthy; `refused` calls are denied, `denied_by_iam` only in IAM's simulation."""

    def __init__(self) -> None:
        self.things: dict[str, dict[str, dict[str, Any]]] = {
            kind: {} for kind in ("model", "config", "endpoint", "component", "training", "transform", "group",
                                  "package", "alarm", "target", "policy", "action", "schedule", "role")
        }  # fmt: skip
        self.tags: dict[str, dict[str, str]] = {}
        self.buckets: dict[str, str] = {}
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.broken: set[str] = set()
        self.streams: dict[str, tuple[dict[str, int], list[str]]] = {}
        self.there_before: set[str] = set()
        self.unreachable: set[str] = set()
        self.not_here: set[str] = set()
        self.refused: set[str] = set()
        self.denied_by_iam: set[str] = set()
        self.images = {"latest": DIGEST}
        self.media_type = "application/vnd.docker.distribution.manifest.v2+json"
        self.prices = {"EU-Host:ml.m5.large": "0.12", "EU-AsyncInf:ml.m5.large": "0.13", "EU-Train:ml.m5.large": "0.14",
                       "EU-Tsform:ml.m5.large": "0.15"}  # fmt: skip
        self.quota = 10.0
        self.caller = f"arn:aws:sts::{ACCOUNT}:assumed-role/Data/ana"
        self.url = "http://127.0.0.1:9"
        self.answer: Callable[[dict[str, Any]], bytes] = lambda asked: b"setosa\n" * len(asked["Body"].split())
        self.things["role"]["Execution"] = {}

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"

    def _add(self, kind: str, name: str, word: str, tags: list[dict[str, str]], **more: Any) -> str:
        if name in self.things[kind]:
            code = "ResourceInUse" if kind in ("training", "transform") else "ValidationException"
            raise error(code, f"Cannot create already existing {word} {name}")
        arn = self._arn(word, name)
        self.things[kind][name] = {"Arn": arn, "Looks": 0, **more}
        self.tags[arn] = {tag["Key"]: tag["Value"] for tag in tags}
        return arn

    def _get(self, kind: str, name: str, word: str) -> dict[str, Any]:
        if name not in self.things[kind]:
            raise error("ValidationException", f'Could not find {word} "{name}".')
        return self.things[kind][name]

    def _named(self, kind: str, part: str) -> list[tuple[str, dict[str, Any]]]:
        return [(name, thing) for name, thing in self.things[kind].items() if part in name]
