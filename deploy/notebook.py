"""What the notebook's cells call. Its parameters are the settings of a plan; everything else is deployment.Deployment,
and the session of the SageMaker SDK, with which its user goes on.

A cell that fails shows a sentence, not a traceback. With CLEAN_UP everything is deleted when a cell fails, whichever
it is. Plots are for people: without data, permission or matplotlib they are left out, and the notebook goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from html import escape
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from . import Stop, metrics, plan, sdk, trouble
from .__main__ import costs_text
from .deployment import Deployment

COMMAND = "section 7 of this notebook (deployment.down())"


def opened(parameters: Mapping[str, Any], session: Any = None) -> tuple[Deployment, Any]:
    """The deployment that the notebook's parameters want, after a look at what is there; and the session of the SDK.
    `PLAN` names a file that is read first: of the parameters, those that differ from the defaults then go before it."""
    given = {name: parameters[name.upper()] for name in plan.SETTINGS if name.upper() in parameters}
    file = parameters.get("PLAN")
    if file:
        changed = {name: value for name, value in given.items() if value != plan.default(name)}
        wanted = plan.read(file, **changed)
    else:
        wanted = plan.of(given)
    deployment = Deployment(wanted, session, command=COMMAND)
    with deployment.guarded("Opening a session of the SageMaker SDK"):
        of_sdk = sdk.session(deployment.account, deployment.bucket)
    deployment.account.find_role = partial(sdk.role, of_sdk)
    _clean_up_after_failures(deployment)
    deployment.look()
    return deployment, of_sdk


def _clean_up_after_failures(deployment: Deployment) -> None:
    """Run All and papermill stop at the first failure and never come to section 7."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is None:
        return

    def after(result: Any) -> None:
        failed = result.error_in_exec or result.error_before_exec
        if failed and deployment.plan.clean_up and deployment.dirty:
            print("Cleaning up, because a cell failed (CLEAN_UP)")
            try:
                deployment.down()
            except Stop as stop:
                print(stop)

    shell.events.register("post_run_cell", after)


def test(deployment: Deployment) -> None:
    """Raises Stop when the endpoint does not answer as the model here does."""
    if not deployment.test():
        raise Stop("The endpoint does not answer as the model in model/ does: is the image the one of this model?")


def refusal(deployment: Deployment) -> None:
    if "realtime" in deployment.plan.modes:
        print(deployment.refusal())


def costs(deployment: Deployment) -> None:
    print(costs_text(deployment.costs()))


def show_load(deployment: Deployment) -> None:
    """The report of the measurement that this run made."""
    if deployment.report is None:
        print("Not measured in this run.")
        return
    try:
        from IPython.display import HTML, display
    except ImportError:
        return  # its text has been printed
    page = escape(deployment.report.html())  # in a frame, so that its style stays there
    frame = f'<iframe title="load" srcdoc="{page}" style="width: 100%; height: 40rem; border: 0"></iframe>'
    display(HTML(frame))


def plot_metrics(deployment: Deployment) -> None:
    """The last hour of the real-time endpoint, as CloudWatch saw it."""
    if "realtime" not in deployment.plan.modes:
        return
    try:
        seen = metrics.read(deployment.account, deployment.plan.name)
    except (ClientError, BotoCoreError) as exc:
        print(f"Not shown: {trouble.explained(exc)}")
        return
    print(f"{sum(seen['invocations'][1]):.0f} invocations in the last hour.")
    plt = _matplotlib()
    if plt is None or not seen["invocations"][0]:
        return
    _, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(7, 4))
    above.bar(*seen["invocations"], width=1 / 24 / 60)
    above.set(ylabel="invocations a minute")
    below.plot(*seen["latency"], "o-", label="average")
    below.plot(*seen["latency_p95"], "s--", label="p95")
    below.set(ylabel="model latency in ms", ylim=0)
    below.legend()
    plt.show()


def _matplotlib() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("Not plotted: matplotlib is not installed.")
        return None
    return plt
