"""Jobs and files in memory: training, transform, S3."""

from __future__ import annotations

import io
from typing import Any

from cloud_books import ACCOUNT, LOOKS, NOW, Books, error


class Jobs(Books):
    # -- jobs --------------------------------------------------------------------------------------

    def sagemaker_create_training_job(self, TrainingJobName: str, Tags: list, **asked: Any) -> dict:
        uri = f"{asked['OutputDataConfig']['S3OutputPath']}/{TrainingJobName}/output/model.tar.gz"
        image = asked["AlgorithmSpecification"]["TrainingImage"].rpartition("@")[2]
        arn = self._add("training", TrainingJobName, "training-job", Tags, Status="InProgress", Uri=uri,
                        Fails=image in self.broken)  # fmt: skip
        return {"TrainingJobArn": arn}

    def _job(self, kind: str, name: str, word: str) -> dict[str, Any]:
        job = self._get(kind, name, word)
        job["Looks"] += 1
        if job["Looks"] >= LOOKS and job["Status"] == "Stopping":
            job["Status"] = "Stopped"
        elif job["Looks"] >= LOOKS and job["Status"] == "InProgress":
            job["Status"] = "Failed" if job["Fails"] else "Completed"
            if not job["Fails"]:
                self._put(job["Uri"], b"what the job made")
        return job

    def sagemaker_describe_training_job(self, TrainingJobName: str) -> dict:
        job = self._job("training", TrainingJobName, "training job")
        why = {"FailureReason": "AlgorithmError: the model cannot serve: model.pkl is empty."} if job["Fails"] else {}
        return {
            "TrainingJobName": TrainingJobName,
            "TrainingJobArn": job["Arn"],
            "TrainingJobStatus": job["Status"],
            "SecondaryStatus": {"InProgress": "Training"}.get(job["Status"], job["Status"]),
            "ModelArtifacts": {"S3ModelArtifacts": job["Uri"]},
            "CreationTime": NOW,
            "StoppingCondition": {},
            "AlgorithmSpecification": {"TrainingInputMode": "File"},
            "ResourceConfig": job.get("Machine", {"VolumeSizeInGB": 10}),
            **why,
        }

    def _stop(self, kind: str, name: str) -> None:
        job = self._get(kind, name, "job")
        if job["Status"] != "InProgress":
            raise error("ValidationException", "The job is in a terminal state and cannot be stopped")
        job |= {"Status": "Stopping", "Looks": 0}

    def sagemaker_stop_training_job(self, TrainingJobName: str) -> None:
        self._stop("training", TrainingJobName)

    def sagemaker_delete_training_job(self, TrainingJobName: str) -> None:
        if self._get("training", TrainingJobName, "training job")["Status"] in ("InProgress", "Stopping"):
            raise error("ResourceInUse", "The job is InProgress")
        del self.things["training"][TrainingJobName]

    def sagemaker_list_training_jobs(self, NameContains: str = "", StatusEquals: str = "") -> dict:
        rows = [
            {"TrainingJobName": n, "TrainingJobArn": t["Arn"], "CreationTime": NOW, "TrainingJobStatus": t["Status"]}
            for n, t in self._named("training", NameContains)
            if StatusEquals in ("", t["Status"])
        ]
        return {"TrainingJobSummaries": rows}

    def sagemaker_create_transform_job(self, TransformJobName: str, ModelName: str, Tags: list, **asked: Any) -> dict:
        self._get("model", ModelName, "model")
        source = asked["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"].rpartition("/")[2]
        uri = f"{asked['TransformOutput']['S3OutputPath']}/{source}.out"
        arn = self._add("transform", TransformJobName, "transform-job", Tags, Status="InProgress", Uri=uri, Fails=False)
        return {"TransformJobArn": arn}

    def sagemaker_describe_transform_job(self, TransformJobName: str) -> dict:
        job = self._job("transform", TransformJobName, "transform job")
        return {"TransformJobName": TransformJobName, "TransformJobArn": job["Arn"],
                "TransformJobStatus": job["Status"], "ModelName": "m", "CreationTime": NOW,
                "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/k"}}},
                "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1}}  # fmt: skip

    def sagemaker_stop_transform_job(self, TransformJobName: str) -> None:
        self._stop("transform", TransformJobName)

    def sagemaker_list_transform_jobs(self, NameContains: str = "", StatusEquals: str = "") -> dict:
        rows = [
            {"TransformJobName": n, "TransformJobArn": t["Arn"], "CreationTime": NOW, "TransformJobStatus": t["Status"]}
            for n, t in self._named("transform", NameContains)
            if StatusEquals in ("", t["Status"])
        ]
        return {"TransformJobSummaries": rows}

    # -- S3 ----------------------------------------------------------------------------------------

    def _put(self, uri: str, body: bytes) -> str:
        self.writes = getattr(self, "writes", 0) + 1
        self.objects[uri.removeprefix("s3://")] = (body, f'"{self.writes}"')
        return f'"{self.writes}"'

    def _bucket(self, Bucket: str, ExpectedBucketOwner: str) -> None:
        if Bucket not in self.buckets:
            raise error("404", "Not Found", "HeadBucket", 404)
        if self.buckets[Bucket] != ExpectedBucketOwner:
            raise error("403", "Forbidden", "HeadBucket", 403)

    def s3_head_bucket(self, **owner: str) -> None:
        self._bucket(**owner)

    def s3_create_bucket(self, Bucket: str, **_: Any) -> None:
        if Bucket in self.buckets:
            raise error("BucketAlreadyOwnedByYou", "It is yours.")
        self.buckets[Bucket] = ACCOUNT

    def _of_bucket(self, Bucket: str, ExpectedBucketOwner: str, **_: Any) -> None:
        self._bucket(Bucket, ExpectedBucketOwner)

    s3_put_public_access_block = s3_put_bucket_encryption = s3_put_bucket_policy = _of_bucket

    def s3_put_object(self, Bucket: str, ExpectedBucketOwner: str, Key: str, Body: bytes, IfNoneMatch: str = "",
                      IfMatch: str = "", **_: Any) -> dict:  # fmt: skip
        self._bucket(Bucket, ExpectedBucketOwner)
        there = self.objects.get(f"{Bucket}/{Key}")
        if (IfNoneMatch and there) or (IfMatch and (not there or there[1].strip('"') != IfMatch.strip('"'))):
            raise error("PreconditionFailed", "At least one of the pre-conditions did not hold", "PutObject", 412)
        return {"ETag": self._put(f"{Bucket}/{Key}", Body)}

    def _object(self, Bucket: str, ExpectedBucketOwner: str, Key: str) -> tuple[bytes, str]:
        self._bucket(Bucket, ExpectedBucketOwner)
        if f"{Bucket}/{Key}" not in self.objects:
            raise error("NoSuchKey", "The specified key does not exist.", "GetObject", 404)
        return self.objects[f"{Bucket}/{Key}"]

    def s3_get_object(self, **asked: str) -> dict:
        body, etag = self._object(**asked)
        return {"Body": io.BytesIO(body), "ETag": etag}

    def s3_head_object(self, **asked: str) -> dict:
        return {"ETag": self._object(**asked)[1]}

    def s3_list_objects_v2(self, Bucket: str, ExpectedBucketOwner: str, Prefix: str, MaxKeys: int = 1000) -> dict:
        self._bucket(Bucket, ExpectedBucketOwner)
        keys = [k.removeprefix(f"{Bucket}/") for k in self.objects if k.startswith(f"{Bucket}/{Prefix}")]
        return {"Contents": [{"Key": key} for key in keys[:MaxKeys]], "KeyCount": len(keys[:MaxKeys])}

    def s3_delete_objects(self, Bucket: str, ExpectedBucketOwner: str, Delete: dict) -> None:
        self._bucket(Bucket, ExpectedBucketOwner)
        for row in Delete["Objects"]:
            self.objects.pop(f"{Bucket}/{row['Key']}", None)

    def s3_delete_object(self, Bucket: str, ExpectedBucketOwner: str, Key: str) -> None:
        self._bucket(Bucket, ExpectedBucketOwner)
        self.objects.pop(f"{Bucket}/{Key}", None)
