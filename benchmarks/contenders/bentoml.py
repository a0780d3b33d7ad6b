from .base import ONE_THREAD, Contender, Protocol, Start, json_body
import json


class BentoML(Contender):
    """BentoML, a service of two workers (served/bentoml_service.py)."""

    name, title, environment, package = "bentoml", "BentoML", "bentoml", "bentoml"
    ping = "/livez"
    protocols = {"json": Protocol(json_body("rows"), json.loads, path="/predict")}

    def command(self, start: Start) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(start.port)]
        return [start.program("bentoml"), "serve", "bentoml_service:Model", *where]

    def variables(self, start: Start) -> dict[str, str]:
        own = {"MODEL": str(start.base / "model/model.pkl"), "WORKERS": str(start.workers), "BATCHING": self.batching}
        return {**ONE_THREAD, **own, "BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": str(start.scratch)}

    batching = ""


class BentoMLBatching(BentoML):
    """The same with adaptive batching."""

    name, title = "bentoml-batching", "BentoML, adaptive batching"
    batching = "on"
