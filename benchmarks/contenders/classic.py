from .base import CSV, Contender, Start
from .ours import Ours


class Classic(Ours):
    """The classic design: AWS's sample container, told again in benchmarks/classic/."""

    name, title, environment = "classic", "classic design", "classic"
    protocols = {"csv": CSV}

    def command(self, start: Start) -> list[str]:
        return [start.python, str(start.kit / "benchmarks/classic/serve")]
