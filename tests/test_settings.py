"""The environment, read once; the CPUs, counted where the limits are."""

from __future__ import annotations

import json
import os
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from serving import limits, settings
from serving.errors import SettingError


def test_defaults_need_no_environment() -> None:
    """An empty environment gives the documented defaults."""
    config = settings.load({})
    assert (config.timeout, config.port, config.max_body_mb) == (60, 8080, 100)
    assert config.workers == limits.cpus()[0]
    assert config.model_dir == Path("/opt/ml/model")


def test_an_empty_value_means_the_default() -> None:
    """`MODEL_SERVER_TIMEOUT=` is the same as not set."""
    assert settings.load({"MODEL_SERVER_TIMEOUT": ""}).timeout == 60


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MODEL_SERVER_WORKERS", "0", "a whole number from 1 to 512"),
        ("MODEL_SERVER_WORKERS", "2.5", "a whole number"),
        ("MODEL_SERVER_TIMEOUT", "3601", "a whole number from 1 to 3600"),
        ("SAGEMAKER_BIND_TO_PORT", "http", "a whole number from 1 to 65535"),
        ("MODEL_SERVER_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("SAGEMAKER_BASE_DIR", "opt/ml", "an absolute path"),
        ("MODEL_SERVER_USER", "no-such-user", "the name of a user"),
        ("MODEL_SERVER_BAD_RECORDS", "skip", "one of refuse, mark"),
        ("SAGEMAKER_BATCH", "yes", "one of true, false"),
        ("SAGEMAKER_BATCH_STRATEGY", "ALL", "MULTI_RECORD or SINGLE_RECORD"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "101", "a whole number from 0 to 100"),
        ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "-1", "a whole number from 0 to"),
        ("SAGEMAKER_SAFE_PORT_RANGE", "23000", "two ports as in 23000-23999"),
        ("SAGEMAKER_SAFE_PORT_RANGE", "23999-23000", "two ports as in 23000-23999"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, expected: str) -> None:
    """A wrong value is refused with name, value and the form expected."""
    with pytest.raises(SettingError) as caught:
        settings.load({name: value})
    assert f"{name}={value!r}: expected {expected}" in str(caught.value)


def test_all_wrong_values_are_told_at_once() -> None:
    """Two wrong values are two complaints in one error."""
    with pytest.raises(SettingError) as caught:
        settings.load({"MODEL_SERVER_WORKERS": "x", "MODEL_SERVER_TIMEOUT": "y"})
    assert "MODEL_SERVER_WORKERS" in str(caught.value)
    assert "MODEL_SERVER_TIMEOUT" in str(caught.value)


def test_a_misspelt_name_is_told() -> None:
    """A name with our prefix that is not a setting is refused, with the nearest that is."""
    with pytest.raises(SettingError, match=r"MODEL_SERVER_WORKER is not a setting; did you mean MODEL_SERVER_WORKERS?"):
        settings.load({"MODEL_SERVER_WORKER": "3"})


@pytest.mark.parametrize("word", ["true", "True", "TRUE"])
def test_a_transform_job_moves_the_defaults(word: str) -> None:
    """In a transform job a request has the job's time, a bad record is marked; what is set holds."""
    config = settings.load({"SAGEMAKER_BATCH": word})
    assert (config.batch, config.timeout, config.bad_records) == (True, 3600, "mark")
    told = {"SAGEMAKER_BATCH": word, "MODEL_SERVER_TIMEOUT": "9", "MODEL_SERVER_BAD_RECORDS": "refuse"}
    assert (settings.load(told).timeout, settings.load(told).bad_records) == (9, "refuse")
    assert settings.load({"SAGEMAKER_BATCH": "false"}) == settings.load({})


@pytest.mark.parametrize(
    ("payload", "body", "limit"),
    [("6", "", 100), ("50", "10", 50), ("100", "200", 200), ("0", "10", settings.ANY_SIZE_MB)],
)
def test_the_jobs_payload_is_within_the_body_limit(payload: str, body: str, limit: int) -> None:
    """SAGEMAKER_MAX_PAYLOAD_IN_MB raises the limit where it must, and never lowers it."""
    told = {"SAGEMAKER_MAX_PAYLOAD_IN_MB": payload, "MODEL_SERVER_MAX_BODY_MB": body}
    assert settings.load(told).max_body_mb == limit


JOB = {"SAGEMAKER_BATCH": "True", "MODEL_SERVER_WORKERS": "2"}


@pytest.mark.parametrize(
    ("environ", "transforms", "strategy", "payload"),
    [
        ({"MODEL_SERVER_WORKERS": "1"}, 1, "MULTI_RECORD", 100),
        ({"MODEL_SERVER_WORKERS": "8"}, 8, "MULTI_RECORD", 12),
        ({"MODEL_SERVER_WORKERS": "300"}, 100, "MULTI_RECORD", 1),
        ({"MODEL_SERVER_WORKERS": "4", "MODEL_SERVER_MAX_BODY_MB": "5"}, 4, "MULTI_RECORD", 5),
        ({"MODEL_SERVER_WORKERS": "4", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "40"}, 2, "MULTI_RECORD", 40),
        ({"MODEL_SERVER_WORKERS": "4", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}, 4, "MULTI_RECORD", 0),
        ({"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "3"}, 3, "MULTI_RECORD", 33),
        ({"MODEL_SERVER_WORKERS": "1", "SAGEMAKER_BATCH_STRATEGY": "SingleRecord"}, 1, "SINGLE_RECORD", 100),
        ({"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "0", "MODEL_SERVER_WORKERS": "2"}, 2, "MULTI_RECORD", 50),
        ({**JOB, "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD"}, 2, "MULTI_RECORD", 50),
        (JOB, 2, None, 50),
    ],
)  # fmt: skip
def test_the_execution_parameters(environ: dict[str, str], transforms: int, strategy: str | None, payload: int) -> None:
    """The job's own values, else the workers and what the platform's 100 MB leave to each; no word of a strategy to a
    job that names none."""
    expected = {"MaxConcurrentTransforms": transforms, "BatchStrategy": strategy, "MaxPayloadInMB": payload}
    parameters = json.loads(settings.load(environ).execution_parameters)
    assert parameters == {name: value for name, value in expected.items() if value is not None}


def test_settings_are_frozen() -> None:
    """Nobody changes a setting after the start."""
    with pytest.raises(FrozenInstanceError):
        settings.load({}).workers = 3  # type: ignore[misc]


def test_every_setting_has_a_help_text() -> None:
    """The table is complete: name, default and reason for each."""
    for row in fields(settings.Settings):
        assert row.metadata["name"].isupper()
        assert row.metadata["help"]
        assert row.metadata["default"]


def cgroup(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MASK = 8


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, MASK),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, MASK),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "100000 100000\n"}, 1),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/x\n1:memory:/docker/x\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            1,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            MASK,
        ),
    ],
)
def test_the_cpus_are_those_of_the_cgroup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    """The quota of the cgroup (v2, nested, v1) limits the CPUs; without one the affinity mask does."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(MASK)), raising=False)
    assert limits.cpus(cgroup(tmp_path, files))[0] == expected


SYSTEM = {"proc/meminfo": "MemTotal:       8388608 kB\nMemFree:   1024 kB\nMemAvailable:   4194304 kB\n"}
V1 = "sys/fs/cgroup/memory/memory."


@pytest.mark.parametrize(
    ("files", "megabytes"),
    [
        ({}, None),
        (SYSTEM, 4096 - 8192 * 0.05),
        (
            {
                **SYSTEM, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": f"{1000 * 2**20}\n",
                "sys/fs/cgroup/a/memory.current": f"{600 * 2**20}\n",
                "sys/fs/cgroup/a/memory.stat": "inactive_file 94371840\nactive_file 31457280\nfile_mapped 20971520\n",
            },
            400 + 100 - 50,
        ),
        ({**SYSTEM, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 4096 - 8192 * 0.05),
        (
            {
                **SYSTEM, "proc/self/cgroup": "3:memory:/docker/x\n", f"{V1}limit_in_bytes": f"{400 * 2**20}\n",
                f"{V1}usage_in_bytes": f"{380 * 2**20}\n",
                f"{V1}stat": f"total_inactive_file {40 * 2**20}\ntotal_active_file 0\ntotal_mapped_file {10 * 2**20}\n",
            },
            20 + 30 - 48,
        ),
        (
            {
                **SYSTEM, "proc/self/cgroup": "3:memory:/\n", f"{V1}limit_in_bytes": f"{400 * 2**20}\n",
                f"{V1}usage_in_bytes": f"{390 * 2**20}\n",
            },
            0,
        ),
    ],
)  # fmt: skip
def test_the_memory_is_that_of_the_cgroup(tmp_path: Path, files: dict[str, str], megabytes: float | None) -> None:
    """What the limit (v2, v1) or the system leaves, with files that nobody maps, without the reserve; else unknown."""
    available = limits.free_memory(cgroup(tmp_path, files))
    assert available == (None if megabytes is None else pytest.approx(megabytes * 2**20, abs=2))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone can limit it")
def test_what_does_not_fit_is_a_memory_error() -> None:
    """Within `limited` a process gets so much and no more; afterwards it is free again."""
    with limits.memory_limited(50 * 2**20):
        held = bytearray(20 * 2**20)
        with pytest.raises(MemoryError):
            bytearray(100 * 2**20)
    assert len(held) + len(bytearray(100 * 2**20)) == 120 * 2**20


@pytest.mark.parametrize(
    ("told", "limit", "expected"), [(None, 2**30, 2**27), ("7", 2**30, 7 * 2**20), (None, 1, 2**26)]
)
def test_rows_may_take_a_share_of_the_memory(
    monkeypatch: pytest.MonkeyPatch, told: str | None, limit: int, expected: int
) -> None:
    """The rows of a request: a quarter of the memory over the workers, never less than 64 MB, or as told."""
    monkeypatch.setattr(limits, "memory", lambda: limit)
    config = settings.load({"MODEL_SERVER_WORKERS": "2", "MODEL_SERVER_ROWS_MB": told or ""})
    assert config.row_bytes == expected


def test_the_memory_is_the_strictest_limit(tmp_path: Path) -> None:
    """What a container may use is the machine's memory, or the limit of a cgroup around it."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 4096 kB\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/a/b\n")
    (tmp_path / "sys/fs/cgroup/a/b").mkdir(parents=True)
    assert limits.memory(tmp_path) == 4096 * 1024
    (tmp_path / "sys/fs/cgroup/a/b/memory.max").write_text("max\n")
    (tmp_path / "sys/fs/cgroup/a/memory.max").write_text("1000000\n")
    assert limits.memory(tmp_path) == 1000000


AWS = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"


@pytest.mark.parametrize(
    ("in_the_image", "environ", "why_not"),
    [
        (False, {}, "serve-local.sh"),
        (True, {}, "serve-local.sh"),
        (False, {"MODEL_SERVER_TRY_PAGE": "on"}, ""),
        (True, {"MODEL_SERVER_TRY_PAGE": "on"}, ""),
        (False, {"MODEL_SERVER_TRY_PAGE": "on", "MODEL_SERVER_HOST": "0.0.0.0"}, "on 0.0.0.0"),
        (False, {"MODEL_SERVER_TRY_PAGE": "on", "MODEL_SERVER_HOST": "::1"}, ""),
        (False, {"MODEL_SERVER_TRY_PAGE": "on", AWS: "/v2/credentials/x"}, ""),
        (True, {"MODEL_SERVER_TRY_PAGE": "on", AWS: "/v2/credentials/x"}, "where AWS runs"),
        (True, {"MODEL_SERVER_TRY_PAGE": "on", "SAGEMAKER_SAFE_PORT_RANGE": "23000-23999"}, "where AWS runs"),
        (True, {"MODEL_SERVER_TRY_PAGE": "on", "SAGEMAKER_BATCH": "true"}, "where AWS runs"),
    ],
)
def test_the_page_to_try_is_for_ones_own_machine(
    monkeypatch: pytest.MonkeyPatch, in_the_image: bool, environ: dict[str, str], why_not: str
) -> None:
    """Only where it is switched on, not where AWS runs the container, not on another interface of the machine; then
    other machines' names are refused, too."""
    monkeypatch.setattr(settings, "IN_THE_IMAGE", in_the_image)
    config = settings.load({"MODEL_SERVER_HOST": "0.0.0.0" if in_the_image else "127.0.0.1", **environ})
    assert why_not in config.no_page
    assert bool(config.no_page) == bool(why_not)
    assert config.local_only == (not why_not or config.on_loopback)
