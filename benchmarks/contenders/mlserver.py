import json

from .base import ONE_THREAD, Contender, Protocol, Start, free_port


def body(columns: list[str], rows: list) -> bytes:
    data = [value for row in rows for value in row]
    tensor = {"name": "rows", "shape": [len(rows), len(columns)], "datatype": "FP64", "data": data}
    return json.dumps({"inputs": [tensor]}).encode()


def parse(answer: bytes) -> list:
    return json.loads(answer)["outputs"][0]["data"]


class MLServer(Contender):
    """MLServer with its scikit-learn runtime; V2 inference protocol. In one process."""

    name, title, environment, package = "mlserver", "MLServer", "mlserver", "mlserver"
    ping = "/v2/health/live"
    protocols = {"own": Protocol(body, parse, path="/v2/models/model/infer")}
    processes, batching = 0, {}

    def command(self, start: Start) -> list[str]:
        settings = {"host": "127.0.0.1", "http_port": start.port, "grpc_port": free_port(), "debug": False}
        settings |= {"metrics_port": free_port(), "parallel_workers": self.processes}
        model = {"name": "model", "implementation": "mlserver_sklearn.SKLearnModel"}
        model |= {"parameters": {"uri": start.model}, **self.batching}
        (start.scratch / "settings.json").write_text(json.dumps(settings))
        (start.scratch / "model-settings.json").write_text(json.dumps(model))
        return [start.program("mlserver"), "start", str(start.scratch)]

    def variables(self, start: Start) -> dict[str, str]:
        return ONE_THREAD


class MLServerBatching(MLServer):
    """The same with adaptive batching."""

    name, title = "mlserver-batching", "MLServer, adaptive batching"
    models = ("rf", "lr", "hgb")
    batching = {"max_batch_size": 64, "max_batch_time": 0.005}
    rounds = 3


class MLServerParallel(MLServerBatching):
    """The same with two processes that predict, beside the one that speaks HTTP."""

    name, title = "mlserver-parallel", "MLServer, adaptive batching, 2 processes"
    models = ("rf", "lr")
    processes, rounds = 2, 2
