"""What will be done: the plan and what is there, as a list of steps that are plain data. Pure: nothing asks AWS.

`plan` shows this list, `up` carries it out, `--json` hands it to other tools. A second run of the same plan has only
steps that keep what is there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from . import registry, rollback, scaling, wanted
from .plan import Plan
from .state import State
from .wanted import Facts, Request, Resource

NOTHING = ("keep", "reuse")
MARKS = {"create": "+", "update": "~", "delete": "-", "end": "-", "keep": " ", "reuse": " "}


@dataclass(frozen=True)
class Step:
    """`section` is the part of the notebook that it belongs to; `temporary` things are deleted at the section's end."""

    section: str
    action: str
    kind: str
    name: str
    request: Request = field(default_factory=dict)
    why: str = ""
    temporary: bool = False

    def line(self) -> str:
        mark = MARKS.get(self.action, ">")
        said = [each for each in (self.why, "deleted again at the end" if self.temporary else "") if each]
        why = f" ({'; '.join(said)})" if said else ""
        return f"  {mark} {self.action:7}{self.kind} {self.name}{why}"

    def data(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def changes(self) -> bool:
        return self.action not in NOTHING


def of(plan: Plan, facts: Facts, state: State) -> list[Step]:
    """All steps, in the order in which they are carried out."""
    steps = [Step("files", "keep" if state.bucket else "create", "bucket", facts.bucket,
                  why="" if state.bucket else "encrypted, not public")]  # fmt: skip
    if plan.needs_job:
        steps.append(_training(plan, facts, state))
    if "realtime" in plan.modes:
        steps += _realtime(plan, facts, state)
    for mode in plan.modes:
        if mode != "realtime":
            steps += _other(plan, facts, state, mode)
    for name in state.others:
        steps.append(Step("others", "keep", "other endpoint", name, why="not of these modes; costs money until `down`"))
    if plan.model_package_group:
        package = registry.model_package(plan, facts)
        action = "keep" if state.registered else "create"
        steps.append(Step("registry", action, "model package", plan.model_package_group, package.request, package.name))
    if plan.delete_when_expired:
        action = "update" if state.scheduled else "create"
        why = f"deletes the endpoint in {plan.expires_after_days} days"
        steps.append(Step("expiry", action, "schedule", f"{plan.name}-expires", why=why))
    return steps


def _training(plan: Plan, facts: Facts, state: State) -> Step:
    job = wanted.training_job(plan, facts)
    action, why = {
        "Completed": ("reuse", "this image was trained before"),
        "InProgress": ("wait", "it runs already"),
    }.get(state.job, ("run", "minutes"))
    return Step("training", action, job.kind, job.name, job.request, why)


def _make(section: str, resource: Resource, there: bool, temporary: bool = False) -> Step:
    action = "keep" if there else "create"
    return Step(section, action, resource.kind, resource.name, resource.request, temporary=temporary)


def _realtime(plan: Plan, facts: Facts, state: State) -> list[Step]:
    resources = wanted.way(plan, facts, "realtime")
    steps = [
        _make("realtime", each, (each.kind, each.name) in state.made) for each in resources if each.kind != "endpoint"
    ]
    config, endpoint = resources[-2], resources[-1]
    told = state.endpoints.get(plan.name)
    alarm = rollback.alarm(plan.name, config.name, facts.tags)
    scaled = bool(state.scaling["targets"])
    changed = rollback.update(plan.name, config.name, plan.min_instances, scaled)
    status = told["EndpointStatus"] if told else ""
    if told is None:
        step = Step("realtime", "create", "endpoint", plan.name, endpoint.request)
    elif status in ("Failed", "OutOfService"):
        step = Step("realtime", "replace", "endpoint", plan.name, endpoint.request, f"it is {status}")
    elif status == "InService" and told.get("EndpointConfigName") == config.name:
        step = Step("realtime", "keep", "endpoint", plan.name, endpoint.request)
    else:
        step = Step("realtime", "update", "endpoint", plan.name, changed, "in place; back to the old if it fails")
    watched = "keep" if state.alarm and not step.changes else "create"
    steps += [Step("realtime", watched, "alarm", alarm.name, alarm.request), step]
    why = "of an earlier version"
    steps += [Step("realtime", "delete", each.kind, each.name, why=why) for each in state.superseded]
    return steps + _scaling(plan, state)


def _scaling(plan: Plan, state: State) -> list[Step]:
    """Measured once and kept with the endpoint: a second run puts no load on what people use."""
    name, kept = plan.name, state.scaling
    if plan.max_instances == plan.min_instances:
        if not kept["targets"]:
            return []
        return [Step("scaling", "end", "autoscaling", name, scaling.where(name), f"{plan.min_instances} instances")]
    per_minute = plan.invocations_per_minute or state.capacity
    steps = []
    if plan.measure_again or not per_minute:
        steps.append(Step("scaling", "measure", "capacity", name, why="load on the endpoint, some minutes"))
    bounds = f"{plan.min_instances} to {plan.max_instances} instances"
    as_wanted = not scaling.differs(kept, name, plan.min_instances, plan.max_instances, per_minute)
    action = "keep" if as_wanted and not steps else "update" if kept["targets"] else "create"
    request = {
        "register_scalable_target": scaling.target(name, plan.min_instances, plan.max_instances),
        "put_scaling_policy": scaling.policy(name, per_minute),
    }
    why = f"{bounds}, {per_minute or 'so many as is measured'} invocations a minute each"
    return [*steps, Step("scaling", action, "autoscaling", name, request, why)]


def _other(plan: Plan, facts: Facts, state: State, mode: str) -> list[Step]:
    steps = []
    for each in wanted.way(plan, facts, mode):
        there = (each.kind, each.name) in state.made or (each.name in state.endpoints and each.kind == "endpoint")
        # The model serves several ways and costs nothing: it stays until `down`.
        steps.append(_make(mode, each, there, not plan.keep and each.kind != "model"))
    if mode in scaling.FROM_ZERO:
        why = f"0 to {plan.max_instances}, none while nobody asks"
        action, name = "keep" if mode in state.from_zero else "create", wanted.endpoint_of(plan, mode)
        steps.append(Step(mode, action, "autoscaling", name, why=why, temporary=not plan.keep))
    if mode == "batch":
        steps.append(Step(mode, "run", "transform job", f"{plan.name}-…", why="minutes", temporary=True))
    return steps
