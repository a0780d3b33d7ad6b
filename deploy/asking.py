"""Asks endpoints for predictions, and holds the answers against those of the model in model/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from . import Stop, local, logs, state, trouble, wanted
from .account import Account
from .cleanup import Thing

if TYPE_CHECKING:
    from .run import Run


def predict(account: Account, name: str, payload: bytes, **target: str) -> list[str]:
    """The lines that the endpoint answers to the CSV `payload`. Raises Stop with the server's message if it refuses."""
    runtime = account.client("sagemaker-runtime")
    try:
        reply = runtime.invoke_endpoint(
            EndpointName=name, ContentType="text/csv", Accept="text/csv", Body=payload, **target
        )
        lines: list[str] = reply["Body"].read().decode().splitlines()
    except ClientError as exc:
        raise Stop(_refused(name, exc)) from None
    except BotoCoreError as exc:
        raise Stop(trouble.explained(exc, f"Asking {name} for predictions")) from None
    return lines


def _refused(name: str, exc: ClientError) -> str:
    if trouble.code(exc) != "ModelError":
        return trouble.explained(exc, f"Asking {name} for predictions")
    message = told(exc)
    if exc.response.get("OriginalStatusCode") != 400:
        return f"The endpoint {name} could not answer: {message}\nIts log: {logs.ENDPOINTS}{name}"
    return (
        f"The endpoint {name} refuses these rows: {message}\nWrite rows of your model to a CSV file and name it in "
        "payload (PAYLOAD in the notebook's parameters)."
    )


def told(exc: ClientError) -> str:
    """What our server said, of what SageMaker hands on."""
    original = str(exc.response.get("OriginalMessage", exc))
    try:
        return str(json.loads(original)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return original


def test(run: Run, payload: bytes) -> bool:
    """Asks every endpoint that the plan keeps, and compares. What cannot be compared is said, and counts as equal."""
    plan, say, same = run.plan, run.say, True
    kept = [mode for mode in plan.modes if mode == "realtime" or (plan.keep and mode in ("serverless", "components"))]
    if not kept:
        say("Nothing to ask: the plan keeps no endpoint that answers at once.")
        return True
    try:
        expected = local.predictions(payload, Path("model"), plan.environment)
        say(f"model:    {expected}")
    except local.CannotPredict as problem:
        expected = None
        say(f"Not compared: {problem}")
    for mode in kept:
        name = wanted.endpoint_of(plan, mode)
        if mode != "realtime" and state.describe(run.account, Thing("endpoint", name)) is None:
            say(f"{mode}: not there yet")
            continue
        target = {"InferenceComponentName": name} if mode == "components" else {}
        answered = predict(run.account, name, payload, **target)
        say(f"{'endpoint' if mode == 'realtime' else mode}: {answered}")
        if expected is not None and not local.same(answered, expected):
            say(
                "It does not answer as the model in model/ does"
                + (": model_data is another." if plan.model_data else ".")
            )
            same = same and bool(plan.model_data)
    return same


def refusal(account: Account, name: str, body: bytes) -> str:
    """What the endpoint answers to `body`, with the status that our server gave it."""
    try:
        reply = account.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name, ContentType="text/csv", Body=body
        )
    except ClientError as exc:
        if trouble.code(exc) != "ModelError":
            raise
        status, text = exc.response.get("OriginalStatusCode"), str(exc.response.get("OriginalMessage", exc))
        try:
            return f"{status} {json.dumps(json.loads(text), indent=2)}"
        except ValueError:
            return f"{status} {text}"
    return f"Your model takes even this: {reply['Body'].read().decode()}"
