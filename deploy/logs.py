"""Why did it fail? The container's last lines in CloudWatch, and the first known cause that they show."""

from __future__ import annotations

import re

from botocore.exceptions import BotoCoreError, ClientError

from . import trouble
from .account import Account

ENDPOINTS, TRAINING, TRANSFORM = (
    "/aws/sagemaker/Endpoints/", "/aws/sagemaker/TrainingJobs", "/aws/sagemaker/TransformJobs",
)  # fmt: skip
LINES = 25
CAUSES = (
    # what the container's log or the failure reason says, what it means and what to do
    (r"the model cannot serve: (.+)", r"\1"),
    (r"wrong setting: (.+)", r"A wrong setting in environment: \1"),
    (r"exec format error", "The image is for another CPU. Build it with ./build_and_push.sh (linux/amd64), or choose a "
                           "Graviton instance type for an arm64 image."),
    (r"unknown argument: serve|\"serve\": executable file not found", "The image is not one of this kit: it does not "
                           "know `serve`. Build it with ./build_and_push.sh."),
    (r"SIGKILL|MemoryError|[Oo]ut of memory|killed by SIGKILL|OOM", "The model does not fit into memory. Choose an "
                           "instance type with more, or set MODEL_SERVER_WORKERS=1 in environment."),
    (r"No space left on device", "The disk is full. Choose an instance type with more, or a smaller model."),
    (r"[Cc]apacity|Unable to provision", "AWS has no free instance of this type now. Name others in "
                           "fallback_instance_types, or try later."),
    (r"AccessDenied|not authorized|BatchGetImage|does not have .*permission", "The execution role lacks a permission: "
                           "python -m deploy plan (section 1 of the notebook) names it."),
    (r"MinInstanceCount|inference component.*not supported", "This region does not let inference components scale to "
                           "zero instances yet. Use another region, or serverless or async in modes."),
)  # fmt: skip


def tail(account: Account, group: str, stream_prefix: str = "", count: int = LINES) -> list[str]:
    """The last lines of the stream that was begun last; none when nothing has written there, or nothing can be read.

    Not of the one that was written last: after a roll-back the old instances go on writing, and the new ones say why.
    """
    logs = account.client("logs")
    by = {"logStreamNamePrefix": stream_prefix} if stream_prefix else {"orderBy": "LastEventTime", "descending": True}
    try:
        streams = logs.describe_log_streams(logGroupName=group, limit=20, **by)["logStreams"]
        if not streams:
            return []
        newest = max(streams, key=lambda row: (row.get("creationTime", 0), row.get("lastEventTimestamp", 0)))
        events = logs.get_log_events(logGroupName=group, logStreamName=newest["logStreamName"], limit=count)["events"]
    except (ClientError, BotoCoreError) as exc:
        return ["(you may not read it: logs:DescribeLogStreams, logs:GetLogEvents)"] if trouble.denied(exc) else []
    return [event["message"].rstrip() for event in events]


def likely_cause(lines: list[str], reason: str) -> str:
    """One sentence: the first known cause that the log or SageMaker's reason shows."""
    for text in ("\n".join(lines), reason):
        for pattern, meaning in CAUSES:
            if match := re.search(pattern, text):
                return match.expand(meaning)
    if not lines:
        return "The container wrote nothing: SageMaker could not pull or start the image."
    return "Not one that is known: see the lines below. Try the image on your machine with ./local-test/serve-local.sh."


def told(account: Account, group: str, stream_prefix: str, reason: str) -> str:
    """SageMaker's reason, the likely cause and the last lines, to be read by a person."""
    lines = tail(account, group, stream_prefix)
    shown = "\n".join(f"    {line}" for line in lines) or "    (nothing: the container never started)"
    where = f"{group}{' ' + stream_prefix if stream_prefix else ''}"
    return (
        f"  SageMaker says: {reason}\n  Likely cause: {likely_cause(lines, reason)}\n"
        f"  The container's last lines ({where}):\n{shown}"
    )
