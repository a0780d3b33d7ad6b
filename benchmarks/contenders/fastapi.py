from .base import INSTANCES, ONE_THREAD, Contender, Start


class FastAPI(Contender):
    """FastAPI under uvicorn, tuned by hand: uvloop, httptools, orjson, no validation (served/fastapi_app.py)."""

    name, title, environment, package = "fastapi", "FastAPI, tuned by hand", "fastapi", "fastapi"
    models = ("rf", "lr", "hgb", "mixed")
    protocols = {"own": INSTANCES}
    rounds, start_seconds = 3, 5

    def command(self, start: Start) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(start.port), "--workers", str(start.workers)]
        how = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
        return [start.program("uvicorn"), "fastapi_app:app", "--app-dir", str(start.served), *where, *how]

    def variables(self, start: Start) -> dict[str, str]:
        return {**ONE_THREAD, "MODEL": start.model}
