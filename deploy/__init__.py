"""From a plan (deployment.toml, or the notebook's parameters) to an endpoint, and back to nothing.

plan: what is wanted · state: what is there · steps: what will be done, as data · run: doing it · cleanup: ending it ·
money: what it costs · capacity: what an instance carries, by loadtest/. `python -m deploy` and deploy_model.ipynb both
go through deployment.Deployment. boto3 only, save for sdk, with which the notebook's user goes on; nothing here is
copied into the image. What a person must fix is a Stop, which names cause and remedy.
"""


class Stop(Exception):
    """Something must be fixed first: the message says what was seen and what to do."""

    def _render_traceback_(self) -> list[str]:
        """Jupyter shows this instead of a traceback: the message is all that helps."""
        return [f"Stop: {self}"]
