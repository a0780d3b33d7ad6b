"""Jobs while they run: started or found running, waited for, and told of when they fail."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from . import Stop, logs, names, state, trouble
from .cleanup import KINDS, Thing
from .steps import Step

if TYPE_CHECKING:
    from .run import Run


def train(run: Run, step: Step) -> None:
    """Runs the training job, or waits for the one that runs already."""
    thing = Thing(step.kind, step.name)
    if step.action == "wait":
        run.made[thing] = None
    else:
        run.make(step.kind, step.name, run.sagemaker.create_training_job, step.request)
    told = until_ended(run, thing)
    del run.made[thing]
    if told["TrainingJobStatus"] != "Completed":
        reason = told.get("FailureReason") or told["TrainingJobStatus"]
        told_by = logs.told(run.account, logs.TRAINING, step.name, reason)
        raise Stop(f"The training job {step.name} failed: {reason}\n{told_by}")
    _record_artifact(run, told)


def _record_artifact(run: Run, job: dict[str, Any]) -> None:
    """The digest of what the job made: a file that another has put in its place is not served."""
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    run.say(f"  trained: {uri}")
    try:
        if (key := run.files.key_of(uri)) and (etag := run.files.etag(key)):
            tag = {"Key": names.ARTIFACT, "Value": etag}
            run.sagemaker.add_tags(ResourceArn=job["TrainingJobArn"], Tags=[tag])
    except (ClientError, BotoCoreError) as exc:
        run.say(f"  the artifact's digest was not recorded: {trouble.explained(exc)}")


def until_ended(run: Run, thing: Thing) -> dict[str, Any]:
    kind, shown, began = KINDS[thing.kind], "", time.monotonic()
    while True:
        told = state.describe(run.account, thing)
        if told is None:
            raise Stop(f"The {thing.kind} {thing.name} was deleted while it was waited for.")
        status = told.get("SecondaryStatus", told[kind.status])
        if status != shown:
            run.say(f"  {time.monotonic() - began:4.0f} s  {thing.name}: {status}")
            shown = status
        if told[kind.status] not in kind.busy:
            return told
        run.wait()
