from .base import ONE_THREAD, Contender, Protocol, Start, json_body, json_predictions


class RayServe(Contender):
    """Ray Serve with batching, two replicas (served/ray_app.py)."""

    name, title, environment, package = "ray-batching", "Ray Serve, batching", "ray", "ray"
    ping, models = "/-/healthz", ("rf",)
    rounds, start_seconds = 1, 15
    protocols = {"own": Protocol(json_body("rows"), json_predictions("predictions"), path="/predict")}

    def command(self, start: Start) -> list[str]:
        return [start.python, str(start.served / "ray_app.py"), start.model, str(start.port), str(start.workers)]

    def variables(self, start: Start) -> dict[str, str]:
        return {**ONE_THREAD, "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(start.scratch)}
