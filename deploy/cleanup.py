"""Ends what costs money and deletes what was made, whatever state it is in and whatever else fails.

What is under way is waited for, or stopped where it can be. One refusal does not keep the rest alive. What costs by
the hour goes first. Ctrl-C is heard at the second time only. What could not be ended comes back as Left, with its
price and the command that ends it. Only what carries the deployment's tag, or what this very run made, is touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from . import Stop, expiry, scaling, trouble
from .account import Account, Files

PATIENCE = 3600
"""Seconds that something may stay busy before it is left, and named."""
TRIES = 4
LOCK = "lock.json"
"""The file that holds the deployment for a run; it goes with the run."""


@dataclass(frozen=True)
class Thing:
    """Something that is there, or may be there because no answer came."""

    kind: str
    name: str
    ended: bool = field(default=False, compare=False)
    """A job that had ended when it was found: it costs nothing."""


@dataclass(frozen=True)
class Left:
    thing: Thing
    why: str

    @property
    def costs(self) -> bool:
        return self.thing.kind in COSTLY and not self.thing.ended


@dataclass(frozen=True)
class Kind:
    """How SageMaker is asked about one kind of thing."""

    key: str
    describe: str
    status: str
    busy: frozenset[str]
    delete: str = ""
    stop: str = ""


def _busy(*words: str) -> frozenset[str]:
    return frozenset(words)


JOB = _busy("InProgress", "Stopping", "Deleting")
KINDS = {
    # The order is the order of deletion: what costs by the hour comes first.
    "inference component": Kind("InferenceComponentName", "describe_inference_component", "InferenceComponentStatus",
                                _busy("Creating", "Updating", "Deleting"), "delete_inference_component"),
    "endpoint": Kind("EndpointName", "describe_endpoint", "EndpointStatus",
                     _busy("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"), "delete_endpoint"),
    "training job": Kind("TrainingJobName", "describe_training_job", "TrainingJobStatus", JOB,
                         "delete_training_job", "stop_training_job"),
    "transform job": Kind("TransformJobName", "describe_transform_job", "TransformJobStatus", JOB,
                          stop="stop_transform_job"),
    "endpoint config": Kind("EndpointConfigName", "describe_endpoint_config", "", _busy(), "delete_endpoint_config"),
    "model": Kind("ModelName", "describe_model", "", _busy(), "delete_model"),
}  # fmt: skip
COSTLY = ("inference component", "endpoint", "training job", "transform job")
ORDER = [*COSTLY, "scaling", "schedule", "alarm", "endpoint config", "model", "files", "role"]


class Cleaner:
    """`poll` seconds pass between two looks; `rest` is called at each, to keep a lock."""

    def __init__(self, account: Account, files: Files, say: Callable[[str], None], poll: float = 15,
                 rest: Callable[[], None] = lambda: None) -> None:  # fmt: skip
        self.account, self.files, self.say, self.poll, self.rest = account, files, say, poll, rest
        self.interrupts = 0

    def end(self, things: Iterable[Thing]) -> list[Left]:
        """Ends and deletes all of them; returns what is left."""
        todo = sorted(dict.fromkeys(things), key=lambda thing: ORDER.index(thing.kind))
        left: list[Left] = []
        while todo:
            try:
                if todo[0].kind in ("endpoint config", "model") and any(each.costs for each in left):
                    # SageMaker forbids to delete what a living endpoint uses; it costs nothing.
                    left.append(Left(todo.pop(0), "what could not be deleted may use it; it costs nothing"))
                    continue
                if todo[0].kind == "endpoint" and any(each.thing.name == todo[0].name for each in left):
                    left.append(Left(todo.pop(0), "its inference component could not be deleted"))
                    continue
                self._end(todo[0])
                todo.pop(0)
            except KeyboardInterrupt:
                self.interrupts += 1
                if self.interrupts > 1:
                    return left + [Left(thing, "interrupted") for thing in todo]
                self.say("  still deleting, so that nothing goes on costing money (Ctrl-C again: leave it)")
            except (ClientError, BotoCoreError, Stop) as exc:
                if trouble.expired(exc):
                    return left + [Left(thing, trouble.explained(exc)) for thing in todo]
                left.append(Left(todo.pop(0), str(exc) if isinstance(exc, Stop) else trouble.explained(exc)))
        return left

    def _end(self, thing: Thing) -> None:
        for attempt in range(1, TRIES + 1):
            try:
                if self._ended(thing):
                    self.say(f"  deleted {thing.kind} {thing.name}")
                return
            except (ClientError, BotoCoreError) as exc:
                if attempt == TRIES or not (trouble.throttled(exc) or trouble.lost(exc)):
                    raise
                time.sleep(self.poll * attempt)

    def _ended(self, thing: Thing) -> bool:
        """Ends one; false when it was not there (any more)."""
        match thing.kind:
            case "scaling":
                endpoint, _, component = thing.name.partition("/")
                scaling.stop(self.account, component or endpoint, scaling.COPIES if component else scaling.INSTANCES)
            case "alarm":
                self.account.client("cloudwatch").delete_alarms(AlarmNames=[thing.name])
            case "schedule":
                return expiry.delete_schedule(self.account, thing.name)
            case "role":
                return expiry.delete_role(self.account, thing.name)
            case "files":
                return bool(self.files.delete(thing.name, but=thing.name + LOCK))
            case _:
                return self._delete(KINDS[thing.kind], thing.name)
        return True

    def _delete(self, kind: Kind, name: str) -> bool:
        sagemaker, key = self.account.client("sagemaker"), {kind.key: name}
        end, there, stopped = time.monotonic() + PATIENCE, False, False
        while True:
            try:
                told = getattr(sagemaker, kind.describe)(**key)
                status = told[kind.status] if kind.status else ""
                there = True
                if kind.stop and status == "InProgress" and not stopped:
                    getattr(sagemaker, kind.stop)(**key)
                    stopped = True
                    self.say(f"  stopping {name}")
                elif status not in kind.busy:
                    if not kind.delete:
                        return stopped  # a transform job that has ended costs nothing and cannot be deleted
                    getattr(sagemaker, kind.delete)(**key)
                    if not kind.status:
                        return True
                    continue  # until it is really gone: what it uses can be deleted only then
            except ClientError as exc:
                if trouble.missing(exc):
                    return there
                if not trouble.busy(exc):
                    raise
            if time.monotonic() > end:
                raise Stop(f"it is still busy after {PATIENCE // 60} minutes")
            self.rest()
            time.sleep(self.poll)
