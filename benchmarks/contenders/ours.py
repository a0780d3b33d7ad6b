from .base import CSV, INSTANCES, Contender, Start


class Ours(Contender):
    """This kit, as `./local-test/serve-local.sh` starts it natively: nginx, gunicorn (gevent), Flask."""

    name, title, environment = "ours", "this kit", "ours"
    models = ("rf", "lr", "hgb", "mixed")
    protocols = {"own": CSV, "json": INSTANCES}

    def command(self, start: Start) -> list[str]:
        return [start.python, str(start.kit / "model/serve")]

    def variables(self, start: Start) -> dict[str, str]:
        return {
            "SAGEMAKER_BASE_DIR": str(start.base),
            "SAGEMAKER_BIND_TO_PORT": str(start.port),
            "MODEL_SERVER_WORKERS": str(start.workers),
        }
