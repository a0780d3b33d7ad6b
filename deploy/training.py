"""The artifact of an earlier training job of this very image, so that a second run does not pay for a second job."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError


def finished(session: Any, job_prefix: str) -> str | None:
    """S3 URI of the newest completed job's model.tar.gz, if the file is still there."""
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


def _exists(session: Any, uri: str) -> bool:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        session.client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError:
        return False
    return True
