"""An AWS account in memory, without containers: for what a deployment asks, in which order, and what is left of it.

Every request is held to AWS's own service model (names, types, patterns, ranges, enums), and so is every answer. It
does what the documentation says: an endpoint that is Creating or Updating cannot be deleted, a running job neither, a
config that an endpoint uses neither; what is under way takes some looks. `fault` breaks one call in the ways in which
a call can break. What it cannot prove: IAM's verdicts, AWS's own texts, capacity.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.session
from botocore import xform_name
from botocore.credentials import Credentials
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from botocore.validate import ParamValidator

from cloud_books import ACCOUNT, DIGEST, REGION, ROLE, error
from cloud_jobs import Jobs
from cloud_others import Others
from cloud_sagemaker import SageMaker

__all__ = ["ACCOUNT", "DIGEST", "FAULTS", "REGION", "ROLE", "Cloud", "Fault", "check", "operations"]

READS = re.compile(r"(describe|list|get|head|simulate|batch_get|invoke|download)_")
FAULTS = ("ctrl-c before", "ctrl-c after", "denied", "throttled", "answer lost", "token expired")


@dataclass
class Fault:
    """`kind` of FAULTS happens at the call with this number, counted over all calls; a denial and an expired token
    last."""

    kind: str
    at: int
    operation: str = ""
    happened: bool = False


@cache
def model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


@cache
def operations(service: str) -> dict[str, Any]:
    return {xform_name(name): model(service).operation_model(name) for name in model(service).operation_names}


def problems(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """What botocore's validator does not look at: patterns, enums, lengths and ranges, as the model has them."""
    match shape.type_name:
        case "structure":
            for name, member in value.items():
                if name in shape.members:
                    yield from problems(member, shape.members[name], f"{path}.{name}")
        case "list":
            if not shape.metadata.get("min", 0) <= len(value) <= shape.metadata.get("max", 10**9):
                yield f"{path}: {len(value)} members"
            for each in value:
                yield from problems(each, shape.member, f"{path}[]")
        case "map":
            for key, each in value.items():
                yield from problems(key, shape.key, f"{path} key")
                yield from problems(each, shape.value, f"{path}[{key}]")
        case "string":
            if shape.enum and value not in shape.enum:
                yield f"{path}: {value!r} is not one of the enum"
            if not shape.metadata.get("min", 0) <= len(value) <= shape.metadata.get("max", 10**9):
                yield f"{path}: {len(value)} characters"
            pattern = shape.metadata.get("pattern")
            if pattern and not _fits(pattern, value):
                yield f"{path}: {value!r} does not fit {pattern}"
        case "integer" | "long" | "float" | "double":
            if not shape.metadata.get("min", -(10**18)) <= value <= shape.metadata.get("max", 10**18):
                yield f"{path}: {value}"


def _fits(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern.replace(r"\p{L}\p{Z}\p{N}", r"\w\s").replace("\\p{L}", "\\w"), value) is not None
    except re.error:  # a dialect that Python does not know
        return True


CHECKED: set[tuple[str, str]] = set()
"""What has been found right is not looked at again: thousands of runs ask the same."""


def check(params: dict[str, Any], shape: Any, what: str) -> None:
    """Raises AssertionError unless `params` are what the service model takes."""
    if shape is None:
        assert not params, what
        return
    if (what, known := repr(params)) in CHECKED:
        return
    report = ParamValidator().validate(params, shape)
    assert not report.has_errors(), f"{what}: {report.generate_report()}"
    found = list(problems(params, shape))
    assert not found, f"{what}: {found}"
    CHECKED.add((what, known))


class Session(boto3.Session):
    """Of boto3's own class, which the SageMaker SDK insists on."""

    region_name = REGION

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def client(self, service: str, *_: Any, **__: Any) -> Client:
        return Client(self.cloud, service)

    def resource(self, service: str, **_: Any) -> None:
        """The SageMaker SDK wants one for S3, and asks it nothing here."""

    def get_credentials(self) -> Credentials:
        return Credentials("testing", "testing")


class Client:
    def __init__(self, cloud: Cloud, service: str) -> None:
        self._cloud, self._service = cloud, service
        self.meta = SimpleNamespace(endpoint_url=cloud.url, region_name=REGION, service_model=model(service))

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_") or method not in operations(self._service):
            raise AttributeError(f"{self._service} has no {method}")
        return lambda **params: self._cloud.call(self._service, method, params)

    def get_paginator(self, method: str) -> Any:
        def paginate(PaginationConfig: Any = None, **params: Any) -> list[Any]:
            return [getattr(self, method)(**params)]

        return SimpleNamespace(paginate=paginate)


class Cloud(SageMaker, Jobs, Others):
    """`fault` breaks a call; `calls` has them all; `broken` images never become healthy; `unreachable` services do not
    answer."""

    def __init__(self, fault: Fault | None = None) -> None:
        super().__init__()
        self.fault = fault
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.session = Session(self)

    # -- a call, and how it can break --------------------------------------------------------------

    def call(self, service: str, method: str, params: dict[str, Any]) -> Any:
        operation = operations(service)[method]
        check(params, operation.input_shape, f"{service}.{method}")
        number = len(self.calls)
        self.calls.append((service, method, params))
        assert number < 2000, f"it waits for ever: {self.calls[-3:]}"
        if service in self.unreachable:
            raise EndpointConnectionError(endpoint_url=f"https://{service}.{REGION}.amazonaws.com")
        fault = self.fault if self.fault and self._strikes(self.fault, number, method) else None
        if method in self.not_here:
            raise error("UnknownOperationException", "", operation.name)
        if method in self.refused:
            raise error("AccessDeniedException", f"User is not authorized to perform: {service}:{operation.name}")
        if fault:
            if not fault.happened:
                fault.operation = method
            fault.happened = True
            self._before(fault, service, operation.name)
        answer = getattr(self, f"{service.replace('-', '_')}_{method}")(**params) or {}
        if fault and fault.kind == "ctrl-c after":
            raise KeyboardInterrupt
        if fault and fault.kind == "answer lost":
            raise ReadTimeoutError(endpoint_url=f"https://{service}.{REGION}.amazonaws.com")
        if operation.output_shape is not None:
            told = {key: b"" if key == "Body" else value for key, value in answer.items()}
            check(told, operation.output_shape, f"answer of {method}")
        return answer

    def _strikes(self, fault: Fault, number: int, method: str) -> bool:
        if number == fault.at or (fault.kind == "ctrl-c twice" and number == fault.at + 1):
            return True
        lasts = fault.happened and (
            fault.kind == "token expired" or (fault.kind == "denied" and method == fault.operation)
        )
        return lasts

    def _before(self, fault: Fault, service: str, name: str) -> None:
        match fault.kind:
            case "ctrl-c before" | "ctrl-c twice":
                raise KeyboardInterrupt
            case "denied":
                raise error("AccessDeniedException", f"User: ana is not authorized to perform: {service}:{name}", name)
            case "throttled":
                raise error("ThrottlingException", "Rate exceeded", name)
            case "token expired":
                raise error("ExpiredTokenException", "The security token included in the request is expired", name)

    # -- what is left ------------------------------------------------------------------------------

    def costly(self) -> set[str]:
        """The names of what costs money by the hour."""
        alive = {*self.things["endpoint"], *self.things["component"]}
        for kind in ("training", "transform"):
            alive |= {name for name, job in self.things[kind].items() if job["Status"] in ("InProgress", "Stopping")}
        return alive

    def everything(self) -> dict[str, list[str]]:
        """All that a deployment can have made and that is still there; ended transform jobs cannot be deleted."""
        left = {
            kind: sorted(named) for kind, named in self.things.items() if kind not in ("transform", "group", "package")
        }
        left["role"] = [name for name in left["role"] if name != "Execution"]
        left["objects"] = sorted(self.objects)
        left["transform"] = sorted(self.costly() & set(self.things["transform"]))
        return {kind: named for kind, named in left.items() if named}

    def mutations(self) -> list[int]:
        return [n for n, (_, method, _) in enumerate(self.calls) if not READS.match(method)]

    def asked(self, method: str) -> list[dict[str, Any]]:
        return [params for _, name, params in self.calls if name == method]
