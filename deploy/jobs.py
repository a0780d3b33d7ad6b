"""Jobs and their files in S3: what an earlier job left, what a later one will."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from . import Stop
from .endpoint import log_tail


def trained_before(session: Any, job_prefix: str) -> str | None:
    """S3 URI of the newest completed job's model.tar.gz, if the file is still there: no second job has to be paid."""
    sagemaker = session.client("sagemaker")
    jobs = sagemaker.list_training_jobs(
        NameContains=job_prefix, StatusEquals="Completed", SortBy="CreationTime", SortOrder="Descending"
    )["TrainingJobSummaries"]
    for job in jobs:
        description = sagemaker.describe_training_job(TrainingJobName=job["TrainingJobName"])
        uri: str = description["ModelArtifacts"]["S3ModelArtifacts"]
        if _exists(session, uri):
            return uri
    return None


def ensure_bucket(session: Any, bucket: str) -> None:
    """The bucket for the jobs' files. By default the one that the SageMaker SDK makes and its managed policy allows."""
    s3 = session.client("s3")
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as exc:
        if exc.response["Error"]["Code"] == "403":
            raise Stop(f"You may not use the bucket {bucket}. Set BUCKET to one of yours.") from exc
        where = {"CreateBucketConfiguration": {"LocationConstraint": session.region_name}}
        s3.create_bucket(Bucket=bucket, **({} if session.region_name == "us-east-1" else where))


def packed(directory: Path) -> bytes:
    """A model.tar.gz for a multi-model endpoint: the files model.*, and the modules beside them (predictor.py and what
    it imports) where `directory` is not the kit's own model/, which the image has already."""
    files = [path for path in sorted(directory.glob("model.*")) if path.is_file()]
    if not files:
        raise Stop(f"There is no model.pkl in {directory}. MULTI_MODEL names the directories that hold one.")
    if not (directory / "serving").is_dir():
        files += sorted(directory.glob("*.py"))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for path in files:
            tar.add(path, path.name)
    return archive.getvalue()


def wait_for_transform(session: Any, job: str, poll: float = 15) -> None:
    """Returns when the job is completed. Raises Stop with its reason and the container's last lines."""
    sagemaker = session.client("sagemaker")
    while (description := sagemaker.describe_transform_job(TransformJobName=job))["TransformJobStatus"] in (
        "InProgress",
        "Stopping",
    ):
        time.sleep(poll)
    if description["TransformJobStatus"] != "Completed":
        lines = log_tail(session, "/aws/sagemaker/TransformJobs", job)
        reason = description.get("FailureReason") or description["TransformJobStatus"]
        raise Stop(f"The transform job {job} failed: {reason}\n  Its last lines:\n    " + "\n    ".join(lines))


def wait_for_answer(session: Any, output: str, failure: str, seconds: float = 900, poll: float = 5) -> str:
    """The object at `output`, as soon as it is there. Raises Stop with the one at `failure`, if that comes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if _exists(session, output):
            return read(session, output)
        if _exists(session, failure):
            raise Stop(f"The model did not answer: {read(session, failure)}")
        time.sleep(poll)
    raise Stop(f"No answer at {output} after {seconds:g} s.")


def read(session: Any, uri: str) -> str:
    bucket, key = _split(uri)
    text: str = session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    return text


def _exists(session: Any, uri: str) -> bool:
    bucket, key = _split(uri)
    try:
        session.client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError:
        return False
    return True


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
