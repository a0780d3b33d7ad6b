"""Whatever call breaks, in whatever way: nothing that costs money is left, or it is named with its price.

A run is made once undisturbed. Then it is made again for each of its calls and each way in which a call can break.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from deploy import Stop, plan
from deploy.deployment import Deployment

from cloud import FAULTS, REGION, ROLE, Cloud, Fault
from running import KIT

COMMON = {"poll_seconds": 0, "role_arn": ROLE, "invocations_per_minute": 1000, "region": REGION}
OTHER_WAYS = ("serverless", "async", "batch", "multi-model", "components")
BROKEN_ONCE = ("ctrl-c before", "ctrl-c after", "throttled", "answer lost")
"""After these AWS answers as ever: nothing has to be left."""


NOTHING, NAMED = "nothing", "named"


def table() -> dict[str, dict[str, str]]:
    """docs/deploy.md: what stays, for each scene and each way in which a call can break."""
    rows = re.findall(r"^\| (.+?) \|$", (KIT / "docs/deploy.md").read_text(), re.MULTILINE)
    cells = [row.split(" | ") for row in rows if row.count(" | ") == len(FAULTS)]
    [head] = [row for row in cells if row[1:] == list(FAULTS)]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in cells if row[0] in SCENES}


class Scene:
    """An account and what was said; `before` prepares the account, `work` is what is disturbed."""

    def __init__(self, work: str, before: dict[str, Any] | None = None, **settings: Any) -> None:
        self.work, self.before, self.settings = work, before, {**COMMON, **settings}
        self.books: dict[str, Any] = {}

    def prepared(self) -> Cloud:
        cloud = Cloud()
        if self.before is not None:
            if not self.books:
                Deployment(plan.of({**COMMON, **self.before}), cloud.session, say=lambda line: None).up()
                self.books = {key: getattr(cloud, key) for key in ("things", "tags", "buckets", "objects")}
            cloud.__dict__.update(copy.deepcopy(self.books))
            cloud.calls.clear()
        return cloud

    def run(self, cloud: Cloud) -> tuple[str, bool]:
        """(what a person reads, whether it went well). Anything but a Stop is a failure of the test."""
        said: list[str] = []
        try:
            deployment = Deployment(plan.of(self.settings), cloud.session, said.append, "python -m deploy down it.toml")
            getattr(deployment, self.work)()
        except Stop as stop:
            return "\n".join([*said, str(stop)]), False
        return "\n".join(said), True


SCENES = {
    "up, real time": Scene("up"),
    "up, an update": Scene("up", before={}, environment={"MODEL_SERVER_WORKERS": "1"}),
    "up, another instance type": Scene("up", before={}, instance_type="ml.m5.xlarge"),
    "up, autoscaling ends": Scene("up", before={}, max_instances=1),
    "up, all options": Scene("up", capture_percent=10, shadow_tag="latest", max_instances=1, delete_when_expired=True,
                             model_package_group="models", fallback_instance_types=[]),
    "up and clean up": Scene("up", clean_up=True),
    "down": Scene("down", before={"delete_when_expired": True}),
    "down, all ways kept": Scene("down", before={"modes": list(plan.MODES), "keep": True}),
    **{f"try {mode}": Scene("up", modes=[mode], train=False) for mode in OTHER_WAYS},
    **{f"keep {mode}": Scene("up", modes=[mode], train=False, keep=True) for mode in OTHER_WAYS if mode != "batch"},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.chdir(KIT)


def disturbed(scene: Scene, kind: str, at: int) -> tuple[Cloud, Fault, str, bool]:
    cloud = scene.prepared()
    cloud.there_before = cloud.costly()
    cloud.fault = Fault(kind, at)
    text, went_well = scene.run(cloud)
    return cloud, cloud.fault, text, went_well


def check(scene: Scene, kind: str, at: int) -> bool:
    """Whether something that costs money by the hour stayed behind, named."""
    cloud, fault, text, went_well = disturbed(scene, kind, at)
    assert fault.happened
    what = f"{kind} at call {at} ({fault.operation})\n{text}"
    ends = scene.work == "down" or scene.settings.get("clean_up") or not (
        "realtime" in scene.settings.get("modes", ["realtime"]) or scene.settings.get("keep")
    )  # fmt: skip
    alive = cloud.costly()
    stays = bool(alive) and (ends or not went_well)
    if ends and kind in BROKEN_ONCE:
        assert not alive, what
    if not went_well or ends:
        for name in alive if ends else alive - cloud.there_before:
            assert f" {name}: " in text, what
            assert "an hour" in text or "price unknown" in text or "by the request" in text, what
            assert "python -m deploy down it.toml" in text, what
    assert not any(job["Status"] == "InProgress" for job in cloud.things["training"].values()) or name_in(
        cloud, text
    ), what
    cloud.fault = None
    if scene.work == "up":  # it is taken up again, and comes to the same end
        text, went_well = scene.run(cloud)
        assert went_well, f"{what}\nthe second run: {text}"
        assert but_files(cloud) == undisturbed(scene), what
    Deployment(plan.of(scene.settings), cloud.session, say=lambda line: None).down()
    assert cloud.everything() == {}, what
    return stays


def but_files(cloud: Cloud) -> dict[str, list[str]]:
    return {kind: names for kind, names in cloud.everything().items() if kind != "objects"}


def name_in(cloud: Cloud, text: str) -> bool:
    return all(name in text for name, job in cloud.things["training"].items() if job["Status"] == "InProgress")


ENDS: dict[int, dict[str, list[str]]] = {}


def undisturbed(scene: Scene) -> dict[str, list[str]]:
    if id(scene) not in ENDS:
        cloud = scene.prepared()
        text, went_well = scene.run(cloud)
        assert went_well, text
        ENDS[id(scene)] = but_files(cloud)
    return ENDS[id(scene)]


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("name", SCENES)
def test_a_call_that_changes_something_breaks(name: str, kind: str) -> None:
    """Each mutating call: what costs money is gone or named with its price; a second run mends it; `down` ends all."""
    scene = SCENES[name]
    cloud = scene.prepared()
    text, went_well = scene.run(cloud)
    assert went_well, text
    stayed = [check(scene, kind, at) for at in cloud.mutations()]
    assert table()[name][kind] == (NAMED if any(stayed) else NOTHING)


@pytest.mark.parametrize("name", SCENES)
def test_ctrl_c_at_any_call(name: str) -> None:
    """The calls that only ask are not a safe place either."""
    scene = SCENES[name]
    cloud = scene.prepared()
    scene.run(cloud)
    for at in range(1, len(cloud.calls)):  # the first asks who you are
        check(scene, "ctrl-c before", at)


@pytest.mark.parametrize("name", SCENES)
def test_ctrl_c_twice_in_a_row_is_obeyed(name: str) -> None:
    """Who insists is obeyed: it ends with a sentence, and what was made and costs money is named."""
    scene = SCENES[name]
    cloud = scene.prepared()
    scene.run(cloud)
    for at in range(1, len(cloud.calls) - 1):
        cloud, fault, text, went_well = disturbed(scene, "ctrl-c twice", at)
        for name in cloud.costly() - cloud.there_before if not went_well else ():
            assert f" {name}: " in text, f"ctrl-c twice at call {at} ({fault.operation})\n{text}"
        cloud.fault = None
        Deployment(plan.of(scene.settings), cloud.session, say=lambda line: None).down()
        assert cloud.everything() == {}
