from functools import partial

from .base import ONE_THREAD, Contender, Protocol, Start, csv_body, json_predictions

CSV_WITH_HEADER = Protocol(partial(csv_body, header=True), json_predictions("predictions"), "text/csv")


class MLflow(Contender):
    """MLflow's scoring server, as `mlflow models serve` starts it."""

    name, title, environment, package = "mlflow", "MLflow scoring server", "mlflow", "mlflow"
    protocols = {"own": CSV_WITH_HEADER}
    rounds, start_seconds = 1, 10

    def prepare(self, start: Start) -> list[str]:
        return [start.python, str(start.served / "mlflow_save.py"), start.model, str(start.scratch / "model")]

    def command(self, start: Start) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(start.port), "--workers", str(start.workers)]
        model = ["--model-uri", str(start.scratch / "model"), "--env-manager", "local"]
        return [start.program("mlflow"), "models", "serve", *model, *where]

    def variables(self, start: Start) -> dict[str, str]:
        return {**ONE_THREAD, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
