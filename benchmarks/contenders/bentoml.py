import json

from .base import ONE_THREAD, Contender, Protocol, Start, json_body


class BentoML(Contender):
    """BentoML, a service of two workers (served/bentoml_service.py)."""

    name, title, environment, package = "bentoml", "BentoML", "bentoml", "bentoml"
    ping = "/livez"
    start_seconds = 6
    protocols = {"own": Protocol(json_body("rows"), json.loads, path="/predict")}
    batching = ""

    def command(self, start: Start) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(start.port)]
        return [start.program("bentoml"), "serve", "bentoml_service:Model", "--working-dir", str(start.served), *where]

    def variables(self, start: Start) -> dict[str, str]:
        own = {"MODEL": start.model, "WORKERS": str(start.workers), "BATCHING": self.batching}
        return {**ONE_THREAD, **own, "BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": str(start.scratch)}


class BentoMLBatching(BentoML):
    """The same with adaptive batching."""

    name, title = "bentoml-batching", "BentoML, adaptive batching"
    models = ("rf", "lr", "hgb")
    batching = "on"
