"""The ways beside real time: each is made, asked, and deleted again at the end, whatever happened, unless it is kept.

Asynchronous requests, batch jobs and several models need files: they are put beside the deployment's others, and go
with the way.
"""

from __future__ import annotations

import gzip
import io
import secrets
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import Stop, asking, jobs, logs, scaling, wanted
from .cleanup import Left, Thing
from .run import Run
from .steps import Step

ANSWER_SECONDS = 900


def carry_out(run: Run, mode: str, steps: list[Step], payload: bytes) -> list[str]:
    """Makes the way, asks it for predictions of `payload` and returns the lines it answers. Raises Stop with what is
    left when it could not be deleted."""
    plan, started = run.plan, list(run.made)
    left: list[Left] = []
    try:
        PREPARE.get(mode, _nothing)(run, payload)
        for step in steps:
            _made(run, mode, step)
        lines = ASK[mode](run, payload)
    finally:
        if not plan.keep:
            new = [thing for thing in run.made if thing not in started and thing.kind != "model"]
            left = run.end([*new, *_files(run, mode)])
            for each in left:
                run.say(f"  {each.thing.kind} {each.thing.name} stays: {each.why}")
    if any(each.costs for each in left):
        raise Stop("\n".join(f"The {each.thing.kind} {each.thing.name} stays: {each.why}" for each in left))
    return lines


def _made(run: Run, mode: str, step: Step) -> None:
    thing = Thing(step.kind, step.name)
    if step.action == "keep" and step.temporary:
        run.made[thing] = None  # a run that died left it: it goes with this one
    if step.kind == "endpoint":
        run.endpoint(step)
    elif step.kind == "inference component":
        run.component(step)
    elif step.kind == "autoscaling":
        if step.changes:
            _from_zero(run, mode)
    elif step.action == "create":
        run.ensure(step)


def _files(run: Run, mode: str) -> list[Thing]:
    folder = {"async": "async/", "batch": "batch/", "multi-model": "models/"}.get(mode)
    return [Thing("files", wanted.prefix(run.plan) + folder)] if folder else []


def _nothing(run: Run, payload: bytes) -> None:
    pass


# -- asynchronous ---------------------------------------------------------------------------------------------------


def _from_zero(run: Run, mode: str) -> None:
    name = wanted.endpoint_of(run.plan, mode)
    dimension = scaling.FROM_ZERO[mode]
    component = f"{name}/{name}" if dimension == scaling.COPIES else name
    run.made[Thing("scaling", component)] = None
    run.made[Thing("alarm", scaling.first_alarm(name))] = None
    with run.optional("scaling from zero"):
        per_minute = run.plan.invocations_per_minute or 60
        scaling.from_zero(run.account, name, run.plan.max_instances, run.facts.tags, dimension, per_minute)


def _put_async(run: Run, payload: bytes) -> None:
    run.files.put(f"{wanted.prefix(run.plan)}async/in/payload.csv", payload)


def _ask_async(run: Run, payload: bytes) -> list[str]:
    asked = run.account.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName=wanted.endpoint_of(run.plan, "async"),
        ContentType="text/csv",
        Accept="text/csv",
        InputLocation=f"s3://{run.facts.bucket}/{wanted.prefix(run.plan)}async/in/payload.csv",
    )
    end = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < end:
        for location, worked in ((asked["OutputLocation"], True), (asked.get("FailureLocation", ""), False)):
            key = run.files.key_of(location)
            if key and (body := run.files.get(key)) is not None:
                if not worked:
                    raise Stop(f"The model did not answer: {body.decode(errors='replace')}")
                return body.decode().splitlines()
        run.wait()
    raise Stop(f"No answer at {asked['OutputLocation']} after {ANSWER_SECONDS} s.")


# -- batch ----------------------------------------------------------------------------------------------------------


def _put_batch(run: Run, payload: bytes) -> None:
    run.files.put(f"{wanted.prefix(run.plan)}batch/in/payload.csv", payload)


def _ask_batch(run: Run, payload: bytes) -> list[str]:
    """Runs the transform job; each line is a row with its prediction at the end."""
    source = f"s3://{run.facts.bucket}/{wanted.prefix(run.plan)}batch/in/payload.csv"
    name = f"{run.plan.name}-{int(time.time())}-{secrets.token_hex(3)}"  # a job's name is never used twice
    served = wanted.model(run.plan, run.facts, "batch").name
    job = wanted.transform_job(run.plan, run.facts, name, served, source)
    run.make(job.kind, name, run.sagemaker.create_transform_job, job.request)
    told = jobs.until_ended(run, Thing(job.kind, name))
    del run.made[Thing(job.kind, name)]
    if told["TransformJobStatus"] != "Completed":
        reason = told.get("FailureReason") or told["TransformJobStatus"]
        raise Stop(f"The transform job {name} failed.\n{logs.told(run.account, logs.TRANSFORM, name, reason)}")
    body = run.files.get(f"{wanted.prefix(run.plan)}batch/out/payload.csv.out")
    if body is None:
        raise Stop(f"The transform job {name} is completed, but wrote no payload.csv.out.")
    return body.decode().splitlines()


# -- several models ---------------------------------------------------------------------------------------------------


def packed(directory: Path) -> bytes:
    """A model.tar.gz for a multi-model endpoint: the files model.*, and the modules beside them (predictor.py and what
    it imports) where `directory` is not the kit's own model/, which the image has already."""
    files = [path for path in sorted(directory.glob("model.*")) if path.is_file()]
    if not files:
        raise Stop(f"There is no model.pkl in {directory}. multi_model names the directories that hold one.")
    if not (directory / "serving").is_dir():
        files += sorted(directory.glob("*.py"))
    archive = io.BytesIO()
    # Without the time of the packing: the same files are the same bytes.
    with gzip.GzipFile("", "wb", fileobj=archive, mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for path in files:
            tar.add(path, path.name)
    return archive.getvalue()


def _put_models(run: Run, payload: bytes) -> None:
    archives = {name: packed(Path(directory)) for name, directory in run.plan.multi_model.items()}
    for name, archive in archives.items():
        run.files.put(f"{wanted.prefix(run.plan)}models/{name}.tar.gz", archive)


def _ask_models(run: Run, payload: bytes) -> list[str]:
    name = wanted.endpoint_of(run.plan, "multi-model")
    return [
        f"{each}: {asking.predict(run.account, name, payload, TargetModel=f'{each}.tar.gz')}"
        for each in run.plan.multi_model
    ]


def _ask(mode: str) -> Callable[[Run, bytes], list[str]]:
    more: dict[str, Any] = {}

    def ask(run: Run, payload: bytes) -> list[str]:
        name = wanted.endpoint_of(run.plan, mode)
        target = {"InferenceComponentName": name} if mode == "components" else more
        return asking.predict(run.account, name, payload, **target)

    return ask


PREPARE = {"async": _put_async, "batch": _put_batch, "multi-model": _put_models}
ASK = {
    "serverless": _ask("serverless"),
    "async": _ask_async,
    "batch": _ask_batch,
    "multi-model": _ask_models,
    "components": _ask("components"),
}
