"""Every environment variable, read once, each with its default and its reason. Nothing else reads the environment.

A wrong value stops the start with its name, its value and the form expected. docs/settings.md has this table.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import pwd
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from . import limits
from .errors import SettingError

PROGRAM_DIR = Path(__file__).resolve().parent.parent
"""Where predictor.py lives: /opt/program in the image, model/ in a checkout."""

IN_THE_IMAGE = Path("/opt/program") == PROGRAM_DIR

UNPRIVILEGED_USER = "model-server"
"""The image has this user. A laptop does not, and there nothing runs as root anyway."""


ANY_SIZE_MB = 2**20
"""A terabyte: a transform job with MaxPayloadInMB=0 sends bodies of any size, and memory is the limit."""

PLATFORM_MB = 100
"""MaxPayloadInMB, and its product with MaxConcurrentTransforms, may not be more (CreateTransformJob)."""


THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that say how many threads BLAS and OpenMP start."""

SMALLEST_SHARE = 64 * 2**20
"""Bytes for the rows of one request, in however small a container."""


def _integer(low: int, high: int) -> Callable[[str], int]:
    def cast(text: str) -> int:
        if not text.strip().isascii() or not text.strip().isdigit() or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return cast


def _choice(*choices: str) -> Callable[[str], str]:
    def cast(text: str) -> str:
        if text.strip().lower() not in choices:
            raise ValueError("one of " + ", ".join(choices))
        return text.strip().lower()

    return cast


def _truth(text: str) -> bool:
    """SageMaker writes true, its SDK's local mode True."""
    return _choice("true", "false")(text) == "true"


def _strategy(text: str) -> str:
    """The environment has MULTI_RECORD, the API MultiRecord: both are taken, the first is what is answered."""
    known = {"multirecord": "MULTI_RECORD", "singlerecord": "SINGLE_RECORD"}
    strategy = known.get(text.strip().lower().replace("_", ""))
    if strategy is None:
        raise ValueError("MULTI_RECORD or SINGLE_RECORD")
    return strategy


def _port_range(text: str) -> tuple[int, int]:
    low, _, high = text.strip().partition("-")
    try:
        ports = _integer(1, 65535)(low), _integer(1, 65535)(high)
    except ValueError:
        ports = (1, 0)
    if ports[0] > ports[1]:
        raise ValueError("two ports as in 23000-23999")
    return ports


def _namespace(text: str) -> str:
    if not re.fullmatch(r"[\w.\-/#:]{1,255}", text, re.ASCII) or text.startswith("AWS/"):
        raise ValueError("a CloudWatch namespace: up to 255 of A-Z a-z 0-9 . - _ / # :, not beginning with AWS/")
    return text


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text.strip(), re.ASCII):
        raise ValueError("64 hexadecimal digits, as sha256sum prints them")
    return text.strip().lower()


def _modules(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not all(re.fullmatch(r"[\w.]+", name) for name in names):
        raise ValueError("names of modules with commas between, such as subprocess,posix")
    return names


def _method(text: str) -> str:
    if not text.strip().isidentifier() or text.strip().startswith("_"):
        raise ValueError("the name of a public method, such as predict_proba")
    return text.strip()


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError("an IP address, such as 127.0.0.1 (this machine alone) or 0.0.0.0 (all)") from None


def _directory(text: str) -> Path:
    if not Path(text).is_absolute():
        raise ValueError("an absolute path")
    return Path(text)


def _user(text: str) -> str:
    if text:
        try:
            pwd.getpwnam(text)
        except KeyError:
            raise ValueError(
                "the name of a user of this system, or empty to keep the one that started the server"
            ) from None
    return text


def _unprivileged_user() -> str:
    """As root, the image's own user; an arbitrary uid (serverless inference) cannot switch and stays what it is."""
    try:
        return UNPRIVILEGED_USER if os.geteuid() == 0 and pwd.getpwnam(UNPRIVILEGED_USER) else ""
    except KeyError:
        return ""


def _setting(name: str, default: Any, cast: Callable[[str], Any], help: str, shown: str | None = None) -> Any:
    """One row of the table. `default` may be a function; `shown` is then its text for people."""
    factory = default if callable(default) else lambda: default
    return field(
        default_factory=factory,
        metadata={"name": name, "cast": cast, "help": help, "default": shown if shown is not None else str(default)},
    )


@dataclass(frozen=True)
class Settings:
    """All settings, checked. Times in seconds, sizes in megabytes (2**20 bytes)."""

    workers: int = _setting(
        "MODEL_SERVER_WORKERS", lambda: limits.cpus()[0], _integer(1, 512),
        "number of gunicorn workers; more than one per CPU only helps a model that waits for something", "one per CPU",
    )  # fmt: skip
    timeout: int = _setting(
        "MODEL_SERVER_TIMEOUT", 60, _integer(1, 3600),
        "seconds that a request may take; SageMaker itself gives up after 60 (real time) or up to 3600 (async, batch)",
        "60; 3600 in a transform job",
    )  # fmt: skip
    patience: int = _setting(
        "MODEL_SERVER_PATIENCE", 120, _integer(1, 86_400),
        "seconds after a failure in which no worker can predict, until the container ends with a code other than 0",
    )  # fmt: skip
    port: int = _setting(
        "SAGEMAKER_BIND_TO_PORT", 8080, _integer(1, 65535),
        "port to listen on; SageMaker sets it in inference pipelines",
    )  # fmt: skip
    host: str = _setting(
        "MODEL_SERVER_HOST", lambda: "0.0.0.0" if IN_THE_IMAGE else "127.0.0.1", _address,
        "address to listen on; on 127.0.0.1 requests whose Host is another machine's name are refused",
        "0.0.0.0 in the image, else 127.0.0.1",
    )  # fmt: skip
    base_dir: Path = _setting(
        "SAGEMAKER_BASE_DIR", Path("/opt/ml"), _directory,
        "root of the tree that SageMaker mounts: model/, input/, output/",
    )  # fmt: skip
    multi_model: bool = _setting(
        "SAGEMAKER_MULTI_MODEL", False, _truth,
        "serve several models, which are loaded and unloaded by /models; SageMaker sets it", "false",
    )  # fmt: skip
    models_dir: Path = _setting(
        "MODEL_SERVER_MODELS_DIR", Path("/opt/ml/models"), _directory,
        "directory that a multi-model server loads models from; what lies outside, wherever links lead, is refused",
    )  # fmt: skip
    max_body_mb: int = _setting(
        "MODEL_SERVER_MAX_BODY_MB", 100, _integer(1, 2048),
        "largest request body in MB; SageMaker sends up to 25 (real time) or 100 (batch); raise it to 1024 for async",
    )  # fmt: skip
    rows_mb: int | None = _setting(
        "MODEL_SERVER_ROWS_MB", None, _integer(1, ANY_SIZE_MB),
        "most memory in MB that the rows of a request, or of a block of a large one, may take; it is known beforehand",
        "a quarter of the memory, shared by the workers",
    )  # fmt: skip
    bad_records: str = _setting(
        "MODEL_SERVER_BAD_RECORDS", "refuse", _choice("refuse", "mark"),
        "what a bad record in a CSV or JSON Lines request gets: a 400 for the whole request, or a mark in its place",
        "refuse; mark in a transform job",
    )  # fmt: skip
    log_level: str = _setting(
        "MODEL_SERVER_LOG_LEVEL", "info", _choice("debug", "info", "warning", "error"),
        "least severe message that is logged; `warning` and `error` also switch off the request log",
    )  # fmt: skip
    echo_values: str = _setting(
        "MODEL_SERVER_ECHO_VALUES", "on", _choice("on", "off"),
        "tell the caller which value of the request was refused; off: for data that may not appear in an answer",
    )  # fmt: skip
    predict_method: str = _setting(
        "MODEL_SERVER_PREDICT_METHOD", "", _method,
        "method of the model that is called instead of `transformation`, such as predict_proba", "`transformation`",
    )  # fmt: skip
    default_accept: str = _setting(
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "",
        _choice("text/csv", "application/json", "application/jsonlines", "application/x-ndjson", "application/jsonl",
                "application/x-npy"),
        "type of the answer if the request has no `Accept`, or `*/*`", "chosen by the request's type",
    )  # fmt: skip
    batch_rows: int = _setting(
        "MODEL_SERVER_BATCH_ROWS", 1024, _integer(1, 100_000),
        "most rows of waiting requests that share a call; set 1 for a model whose rows are not independent",
    )  # fmt: skip
    model_sha256: str = _setting(
        "MODEL_SERVER_MODEL_SHA256", "", _sha256,
        "sha256 of the model's file; another one is not loaded. It is in the log at the build and at the start", "any",
    )  # fmt: skip
    pickle_may_import: tuple[str, ...] = _setting(
        "MODEL_SERVER_PICKLE_MAY_IMPORT", (), _modules,
        "modules, with commas between, that a pickle may import although they run commands; any: whatever it imports, "
        "also if it cannot be looked through; for the build and `train`",
        "none",
    )  # fmt: skip
    fast_paths: str = _setting(
        "MODEL_SERVER_FAST_PATHS", "on", _choice("on", "off"),
        "answer by the model's program where one is proven equal to the last bit; off: only the estimator's own "
        "methods",
    )  # fmt: skip
    worker_class: str = _setting(
        "MODEL_SERVER_WORKER_CLASS", "loop", _choice("loop", "gevent"),
        "how gunicorn's workers speak HTTP: the kit's own way on gevent's loop, or gunicorn's gevent worker and Flask",
    )  # fmt: skip
    preload: str = _setting(
        "MODEL_SERVER_PRELOAD", "auto", _choice("auto", "on", "off"),
        "load the model once, before the workers fork; auto: unless it needs a library that does not survive a fork",
    )  # fmt: skip
    emf_namespace: str = _setting(
        "MODEL_SERVER_EMF_NAMESPACE", "", _namespace,
        "CloudWatch namespace; if set, each worker logs its metrics once a minute in Embedded Metric Format", "none",
    )  # fmt: skip
    user: str = _setting(
        "MODEL_SERVER_USER", _unprivileged_user, _user,
        "user that all of the server becomes if it is started as root; empty: root",
        UNPRIVILEGED_USER + " in the image",
    )  # fmt: skip

    try_page: str = _setting(
        "MODEL_SERVER_TRY_PAGE", "off", _choice("on", "off"),
        "offer the page to try the model and /openapi.json, to this machine alone; `serve-local.sh` switches it on",
    )  # fmt: skip
    aws_credentials: str = _setting(
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "", str,
        "AWS sets it in the containers that it runs; there the page to try the model is never offered", "none",
    )  # fmt: skip
    batch: bool = _setting(
        "SAGEMAKER_BATCH", False, _truth,
        "whether this is a transform job; SageMaker sets it", "false",
    )  # fmt: skip
    batch_strategy: str = _setting(
        "SAGEMAKER_BATCH_STRATEGY", "", _strategy,
        "BatchStrategy of the transform job", "MULTI_RECORD",
    )  # fmt: skip
    max_payload_mb: int | None = _setting(
        "SAGEMAKER_MAX_PAYLOAD_IN_MB", None, _integer(0, PLATFORM_MB),
        "MaxPayloadInMB of the transform job; the body limit is raised to it; 0: bodies of any size",
        "100 ÷ transforms at a time",
    )  # fmt: skip
    max_transforms: int = _setting(
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", 0, _integer(0, 512),
        "MaxConcurrentTransforms of the transform job; 0: not given", "one per worker",
    )  # fmt: skip
    safe_ports: tuple[int, int] | None = _setting(
        "SAGEMAKER_SAFE_PORT_RANGE", None, _port_range,
        "range of ports that SageMaker lets this container use in a pipeline; it does not need any", "none",
    )  # fmt: skip

    @property
    def execution_parameters(self) -> str:
        """The JSON that GET /execution-parameters answers: what the job said, else what suits this server.

        A job that names no strategy gets none: the platform's default is MULTI_RECORD, and the SDK's local mode
        hands on the container's word, of which it does not know the spelling (it takes MultiRecord alone).
        """
        payload, transforms = self.max_payload_mb, self.max_transforms
        if not transforms:
            transforms = min(self.workers, PLATFORM_MB // (payload or 1))
        if payload is None:
            payload = max(1, min(self.max_body_mb, PLATFORM_MB // transforms))
        strategy = {"BatchStrategy": self.batch_strategy or "MULTI_RECORD"}
        if self.batch and not self.batch_strategy:
            strategy = {}
        return json.dumps({"MaxConcurrentTransforms": transforms, **strategy, "MaxPayloadInMB": payload})

    @property
    def row_bytes(self) -> int:
        """What the rows of one request may take: MODEL_SERVER_ROWS_MB, else a share of the container's memory."""
        if self.rows_mb is not None:
            return self.rows_mb * 2**20
        return max(SMALLEST_SHARE, limits.memory() // (4 * self.workers))

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def no_page(self) -> str:
        """Why there is no page to try the model; empty: there is one. In the image whoever publishes its port decides
        who can connect, and says by the setting that it is this machine alone."""
        if self.try_page == "off":
            return (
                "There is no page to try the model: it is for your own machine, where local-test/serve-local.sh "
                "switches it on (MODEL_SERVER_TRY_PAGE=on)."
            )
        if IN_THE_IMAGE and (self.aws_credentials or self.safe_ports or self.batch):
            return "There is no page to try the model where AWS runs the container: it is for your own machine."
        if not IN_THE_IMAGE and not self.on_loopback:
            return f"There is no page to try the model on {self.host}: it needs MODEL_SERVER_HOST=127.0.0.1."
        return ""

    @property
    def local_only(self) -> bool:
        """Whether only requests to this machine's own names are answered."""
        return self.on_loopback or not self.no_page

    @property
    def address(self) -> str:
        """As callers write it; in a container only who has started it knows the host and the port."""
        return f"http://{self.listening}" if self.on_loopback else ""

    @property
    def listening(self) -> str:
        """host:port, as nginx and gunicorn take it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def model_dir(self) -> Path:
        """Where SageMaker puts the extracted model.tar.gz."""
        return self.base_dir / "model"

    @property
    def threads(self) -> int:
        """Threads for each worker's BLAS and OpenMP pools, so that workers x threads = CPUs."""
        return max(1, limits.cpus()[0] // self.workers)


NAMES = tuple(row.metadata["name"] for row in fields(Settings))


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, NAMES, 1)
    return f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else f"; there are {', '.join(NAMES)}")


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Reads the environment. Raises SettingError that lists every wrong value. An empty value means the default."""
    values: dict[str, Any] = {}
    complaints = [_unknown(name) for name in environ if name.startswith("MODEL_SERVER_") and name not in NAMES]
    for row in fields(Settings):
        name, text = row.metadata["name"], environ.get(row.metadata["name"])
        if text is None or (text == "" and row.name != "user"):
            continue
        try:
            values[row.name] = row.metadata["cast"](text)
        except ValueError as exc:
            complaints.append(f"{name}={text!r}: expected {exc}")
    if complaints:
        raise SettingError("; ".join(complaints))
    return Settings(**_in_a_job(values))


def base_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where files go, also if another variable is wrong: the reason must be written there."""
    return Path(environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")


def _in_a_job(values: dict[str, Any]) -> dict[str, Any]:
    """A transform job moves defaults: its own timeout ends a request, a bad record is marked, its payload fits in."""
    if values.get("batch"):
        values = {"timeout": 3600, "bad_records": "mark"} | values
    payload = values.get("max_payload_mb")
    if payload is not None:
        limit = values.get("max_body_mb", 0)
        values["max_body_mb"] = ANY_SIZE_MB if payload == 0 else max(limit or PLATFORM_MB, payload)
    return values
