from .base import CSV, Contender, Start


class Classic(Contender):
    """The classic design: AWS's sample container, told again in benchmarks/classic/."""

    name, title, environment = "classic", "classic design", "classic"
    models = ("rf", "lr", "hgb", "mixed", "gaps")
    protocols = {"own": CSV}
    rounds = 3

    def command(self, start: Start) -> list[str]:
        return [start.python, str(start.kit / "benchmarks/classic/serve")]

    def variables(self, start: Start) -> dict[str, str]:
        places = {"MODEL_PATH": str(start.base / "model"), "CLASSIC_RUN": str(start.scratch / "run")}
        return {**places, "CLASSIC_PORT": str(start.port), "MODEL_SERVER_WORKERS": str(start.workers)}
