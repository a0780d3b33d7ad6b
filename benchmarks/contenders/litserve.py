from .base import ONE_THREAD, Contender, Protocol, Start, json_body, json_predictions


class LitServe(Contender):
    """LitServe with batching, two workers (served/litserve_app.py)."""

    name, title, environment, package = "litserve-batching", "LitServe, batching", "litserve", "litserve"
    ping = "/health"
    start_seconds = 5
    protocols = {"own": Protocol(json_body("rows"), json_predictions("predictions"), path="/predict")}

    def command(self, start: Start) -> list[str]:
        return [start.python, str(start.served / "litserve_app.py"), start.model, str(start.port), str(start.workers)]

    def variables(self, start: Start) -> dict[str, str]:
        return ONE_THREAD
