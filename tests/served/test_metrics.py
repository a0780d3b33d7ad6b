"""/metrics, as a collector reads it, and the same numbers in CloudWatch's Embedded Metric Format."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from running import KIT, Native, Running, make_program, runtime_dir, wait_until
from serving import settings
from serving.errors import SettingError
from serving.monitoring import cloudwatch, counters, exposition

Serve = Callable[..., Native]
ROW = b"5.1,3.4,1.5,0.2\n"
Sample = tuple[str, tuple[tuple[str, str], ...]]


def scrape(running: Running) -> dict[Sample, float]:
    """Every sample, as Prometheus' own parser reads them."""
    answer = httpx.get(f"{running.url}/metrics", timeout=10)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parsed(answer.text)


def parsed(text: str) -> dict[Sample, float]:
    families = list(text_string_to_metric_families(text))
    assert {family.type for family in families} <= {"counter", "gauge", "histogram"}
    assert all(family.documentation for family in families)
    samples = [sample for family in families for sample in family.samples]
    found = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
    assert len(found) == len(samples), "a sample appears twice"
    return found


def value(running: Running, name: str, **labels: str) -> float:
    return scrape(running).get((name, tuple(sorted(labels.items()))), 0)


def settled(running: Running) -> dict[Sample, float]:
    """The samples when nothing is counted any more: the text is up to a second behind the tests that came before."""

    def twice_the_same() -> dict[Sample, float] | None:
        first = scrape(running)
        time.sleep(1.5)
        return first if scrape(running) == first else None

    found = wait_until(twice_the_same)
    assert isinstance(found, dict)
    return found


def test_requests_errors_rows_and_times_are_counted(server: Running) -> None:
    """Each way to serve: what was asked is counted, by status and code, and each histogram has as many as it should."""
    before = settled(server)
    server.post(ROW * 3)
    server.post(b"1,2\n")
    server.post(ROW, Accept="image/png")

    def grown(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return now.get(key, 0) - before.get(key, 0)

    def counted() -> bool:
        nonlocal now
        now = scrape(server)
        return grown("model_server_request_duration_seconds_count") == 3

    now = before
    wait_until(counted)
    assert grown("model_server_requests_total", status="200") == 1
    assert grown("model_server_requests_total", status="400") == 1
    assert grown("model_server_errors_total", code="bad_request") == 1
    assert grown("model_server_errors_total", code="not_acceptable") == 1
    assert grown("model_server_rows_total") == grown("model_server_batch_rows_sum") == 3
    assert grown("model_server_batch_rows_bucket", le="4") - grown("model_server_batch_rows_bucket", le="2") == 1
    for name in ("queue_duration_seconds", "prediction_duration_seconds", "batch_rows"):
        assert grown(f"model_server_{name}_count") == grown(f"model_server_{name}_bucket", le="+Inf") == 1
    took, computed = (grown(f"model_server_{name}_duration_seconds_sum") for name in ("request", "prediction"))
    assert 0 < computed < took
    wait_until(lambda: value(server, "model_server_fast_path") == 1)  # proven while requests are answered
    assert now[("model_server_model_load_seconds", ())] > 0
    assert now[("model_server_queue_requests", ())] == 0
    assert now[("sagemaker_endpoint_health", (("state", "healthy"),))] == 1
    assert now[("sagemaker_endpoint_health", (("state", "unhealthy"),))] == 0


def test_metrics_are_read_only(server: Running) -> None:
    """Only GET and HEAD: all else is a 405 in JSON."""
    answer = httpx.post(f"{server.url}/metrics", content=b"x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


def test_metrics_answer_while_every_worker_holds_the_interpreter(nginx: None, serve: Serve, tmp_path: Path) -> None:
    """A collector is answered at any time: here the only worker blocks its interpreter, and others wait behind it."""
    program = make_program(tmp_path, "three_seconds")
    running = serve(program=program, MODEL_SERVER_WORKERS="1").until_ready()
    with ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(running.post, b"99,3,1,0.2\n") for _ in range(2)]
        answered = 0
        while not all(caller.done() for caller in callers):
            assert httpx.get(f"{running.url}/metrics", timeout=2).status_code == 200
            answered += 1
    assert answered > 2
    wait_until(lambda: value(running, "model_server_requests_total", status="200") == 2)


def test_metrics_answer_while_the_model_is_loaded(nginx: None, serve: Serve, tmp_path: Path) -> None:
    """Before a worker exists /metrics is there, and says that the endpoint is not healthy."""
    loader = "\n\ndef load_model(model_dir):\n    import pathlib, pickle, time\n"
    loader += f"    while not pathlib.Path({str(tmp_path / 'gate')!r}).exists():\n        time.sleep(0.05)\n"
    loader += "    return pickle.loads(pathlib.Path(model_dir, 'model.pkl').read_bytes())\n"
    program = make_program(tmp_path)
    (program / "predictor.py").write_text((program / "predictor.py").read_text() + loader)
    running = serve(program=program, MODEL_SERVER_WORKERS="1")
    wait_until(lambda: (answer := running.ping()) is not None and answer.status_code == 503)
    assert value(running, "sagemaker_endpoint_health", state="healthy") == 0
    assert value(running, "sagemaker_endpoint_health", state="unhealthy") == 1
    (tmp_path / "gate").touch()
    running.until_ready()
    wait_until(lambda: value(running, "sagemaker_endpoint_health", state="healthy") == 1)
    assert value(running, "sagemaker_endpoint_health", state="unhealthy") == 0


def test_no_counter_falls_when_a_worker_is_replaced(nginx: None, serve: Serve) -> None:
    """A worker that is killed is counted on; its gauges are not."""
    running = serve(MODEL_SERVER_WORKERS="1").until_ready()
    for _ in range(5):
        assert running.post(ROW).status_code == 200
    wait_until(lambda: value(running, "model_server_requests_total", status="200") == 5)
    [first] = [int(path.name) for path in (runtime_dir(running) / "workers").iterdir()]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: [p for p in (runtime_dir(running) / "workers").glob("[0-9]*") if int(p.name) != first])
    running.until_ready()
    seen = [value(running, "model_server_requests_total", status="200")]
    running.post(ROW)

    def counted() -> bool:
        seen.append(value(running, "model_server_requests_total", status="200"))
        return seen[-1] == 6

    wait_until(counted)
    assert seen == sorted(seen)
    assert value(running, "model_server_batch_rows_count") == 6
    assert [int(path.name) for path in (runtime_dir(running) / "counts").iterdir()] != [first]


def test_labels_are_escaped_and_bounds_belong_to_their_buckets() -> None:
    """Numbers of one model in one worker: what each call of the two methods adds."""
    counted = counters.ModelMetrics('a"b\\c\nd', load_seconds=1.5)
    counted.answered(503, "overloaded", 0.0001)
    counted.answered(200, "", 100)
    counted.called(2000, 0.3)
    samples = counted.samples()
    text = exposition.exposed(samples, healthy=True)
    found = {name: number for (name, labels), number in parsed(text).items() if ("model", 'a"b\\c\nd') in labels}
    assert found["model_server_rows_total"] == 2000
    assert found["model_server_queue_duration_seconds_count"] == 0
    assert 'duration_seconds_bucket{model="a\\"b\\\\c\\nd",le="0.0001"} 1' in text, "a bound belongs to its bucket"
    assert 'request_duration_seconds_bucket{model="a\\"b\\\\c\\nd",le="60"} 1' in text
    assert 'request_duration_seconds_bucket{model="a\\"b\\\\c\\nd",le="+Inf"} 2' in text
    assert counted.samples() is samples, "unchanged numbers are not formatted again"
    counted.waiting = 1
    assert counted.samples() is not samples


@pytest.mark.parametrize("nginx_in_front", [True, False])
def test_each_model_has_its_numbers_as_long_as_it_is_loaded(nginx: None, serve: Serve, nginx_in_front: bool) -> None:
    """With several models a label tells whose numbers they are; the unloaded are told no more."""
    running = serve(
        nginx=nginx_in_front,
        SAGEMAKER_MULTI_MODEL="true",
        MODEL_SERVER_MODELS_DIR=str(KIT),
        MODEL_SERVER_WORKERS="2",
        MODEL_SERVER_EMF_NAMESPACE="Team/models",
    ).until_ready()
    for name in ("a", "b"):
        wish = {"model_name": name, "url": str(KIT / "model")}
        assert httpx.post(f"{running.url}/models", json=wish, timeout=60).status_code == 200
    sent = {"content": ROW, "headers": {"Content-Type": "text/csv"}, "timeout": 60}
    for _ in range(4):
        assert httpx.post(f"{running.url}/models/a/invoke", **sent).status_code == 200  # type: ignore[arg-type]
    wait_until(lambda: value(running, "model_server_requests_total", model="a", status="200") == 4)
    assert value(running, "model_server_rows_total", model="b") == 0
    assert value(running, "model_server_model_load_seconds", model="b") > 0
    assert httpx.delete(f"{running.url}/models/a", timeout=60).status_code == 200
    wait_until(lambda: {dict(labels).get("model") for _, labels in scrape(running)} == {"b", None})
    documents = embedded_lines(running.log)
    for document in documents:
        check_embedded(document, "Team/models")
    assert {document["Model"] for document in documents} == {"a"}
    assert sum(document["Requests"] for document in documents) == 4


# ---- Embedded Metric Format ------------------------------------------------------------------------------------------

UNITS = {"Seconds", "Count"}


def check_embedded(document: dict, namespace: str) -> None:
    """What the specification says of a document (the page that emf.py names), in its order."""
    described = document["_aws"]
    assert isinstance(described["Timestamp"], int)
    for directive in described["CloudWatchMetrics"]:
        assert directive["Namespace"] == namespace
        assert directive["Dimensions"], "at least one set, which may be empty"
        for dimensions in directive["Dimensions"]:
            assert len(dimensions) <= 9
            assert all(isinstance(document[name], str) for name in dimensions)
        assert 0 < len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert set(metric) == {"Name", "Unit"}
            assert metric["Unit"] in UNITS
            target = document[metric["Name"]]
            numbers = target if isinstance(target, list) else [target]
            assert 0 < len(numbers) <= 100
            assert all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)


def embedded_lines(log: str) -> list[dict]:
    return [json.loads(line) for line in log.splitlines() if line.startswith('{"_aws"')]


def test_embedded_metrics_are_printed_when_a_worker_ends(nginx: None, serve: Serve) -> None:
    """With a namespace, a worker that had traffic prints one valid line at its end, one without prints nothing."""
    running = serve(MODEL_SERVER_WORKERS="2", MODEL_SERVER_EMF_NAMESPACE="Team/my-model").until_ready()
    statuses = Counter(running.post(body).status_code for body in [ROW, ROW * 4, b"1,2\n"])
    running.stop()
    documents = embedded_lines(running.log)
    assert 1 <= len(documents) <= 2
    for document in documents:
        check_embedded(document, "Team/my-model")
        assert document["Requests"] > 0
        assert len(document["RequestDuration"]) == document["Requests"]
    added = {name: sum(document[name] for document in documents) for name in cloudwatch.COUNTS}
    assert added == {"Requests": 3, "ClientErrors": 1, "ServerErrors": 0, "Rows": 5}
    assert statuses == {200: 2, 400: 1}


def test_without_a_namespace_nothing_is_printed(nginx: None, serve: Serve) -> None:
    """Embedded metrics cost money in CloudWatch: they are off until asked for."""
    running = serve(MODEL_SERVER_WORKERS="1").until_ready()
    running.post()
    running.stop()
    assert "_aws" not in running.log


def test_each_embedded_line_tells_what_is_new() -> None:
    """The second line has the difference to the first; without traffic there is no line."""
    counted = counters.ModelMetrics("a", load_seconds=0)
    embedded = cloudwatch.EmbeddedMetrics("n", "a")
    assert embedded.line(counted, 1.5) is None
    for _ in range(1000):
        counted.answered(200, "", 0.07)
    counted.answered(504, "timeout", 70)
    first = json.loads(embedded.line(counted, 1.5) or "")
    check_embedded(first, "n")
    assert (first["_aws"]["Timestamp"], first["Model"], first["Requests"], first["ServerErrors"]) == (
        1500,
        "a",
        1001,
        1,
    )
    assert len(first["RequestDuration"]) == 100
    assert all(0.05 < seconds < 0.1 for seconds in first["RequestDuration"])
    assert "PredictionDuration" not in first, "no call of the model, no duration"
    counted.answered(400, "bad_request", 0.002)
    counted.called(3, 0.0002)
    second = json.loads(embedded.line(counted, 61.5) or "")
    check_embedded(second, "n")
    assert {name: second[name] for name in cloudwatch.COUNTS} == {
        "Requests": 1, "ClientErrors": 1, "ServerErrors": 0, "Rows": 3,
    }  # fmt: skip
    assert (second["RequestDuration"], second["PredictionDuration"]) == ([0.00175], [0.000175])
    assert embedded.line(counted, 121.5) is None


def test_spread_values_keep_the_percentiles() -> None:
    """Two thirds fast, one third slow: so are the hundred values."""
    histogram = counters.Histogram(counters.SECONDS)
    for seconds in [0.02] * 2000 + [3.0] * 1000:
        histogram.observe(seconds)
    values = cloudwatch.spread(histogram, histogram.counts)
    assert len(values) == 100
    assert values == sorted(values)
    assert sum(value > 1 for value in values) == 33
    assert 0.01 <= values[0] < values[66] <= 0.025 < 2.5 < values[67] < values[-1] <= 5


@pytest.mark.parametrize("namespace", ["AWS/SageMaker", "two words", "n" * 256, "ü"])
def test_a_wrong_namespace_stops_the_start(namespace: str) -> None:
    """CloudWatch would refuse the metrics without a word."""
    with pytest.raises(SettingError, match="MODEL_SERVER_EMF_NAMESPACE"):
        settings.load({"MODEL_SERVER_EMF_NAMESPACE": namespace})
