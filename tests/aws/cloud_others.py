"""The services around SageMaker in memory: autoscaling, alarms, IAM, ECR, schedules, quotas, prices."""

from __future__ import annotations

import json
from typing import Any

from cloud_books import ACCOUNT, DIGEST, NOW, REGION, ROLE, Books, error


class Others(Books):
    # -- autoscaling, alarms -----------------------------------------------------------------------

    def application_autoscaling_register_scalable_target(self, ResourceId: str, **asked: Any) -> dict:
        kind, name = ResourceId.split("/")[:2]
        self._get("endpoint" if kind == "endpoint" else "component", name, kind)
        old = self.things["target"].get(ResourceId, {})
        self.things["target"][ResourceId] = {**old, "ResourceId": ResourceId, **asked}
        return {}

    def application_autoscaling_deregister_scalable_target(self, ResourceId: str, **_: Any) -> dict:
        if ResourceId not in self.things["target"]:
            raise error("ObjectNotFoundException", f"No scalable target registered for {ResourceId}")
        del self.things["target"][ResourceId]
        for kind in ("policy", "action"):
            self.things[kind] = {k: v for k, v in self.things[kind].items() if v["ResourceId"] != ResourceId}
        return {}

    def application_autoscaling_put_scaling_policy(self, ResourceId: str, PolicyName: str, **asked: Any) -> dict:
        assert ResourceId in self.things["target"], ResourceId
        arn = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:1:{ResourceId}:policyName/{PolicyName}"
        row = {"ResourceId": ResourceId, "PolicyName": PolicyName, "PolicyARN": arn, "CreationTime": NOW, **asked}
        self.things["policy"][f"{ResourceId} {PolicyName}"] = row
        return {"PolicyARN": arn}

    def application_autoscaling_put_scheduled_action(
        self, ResourceId: str, ScheduledActionName: str, **asked: Any
    ) -> dict:
        arn = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scheduledAction:1"
        row = {"ResourceId": ResourceId, "ScheduledActionName": ScheduledActionName, "ScheduledActionARN": arn,
               "CreationTime": NOW, **asked}  # fmt: skip
        self.things["action"][f"{ResourceId} {ScheduledActionName}"] = row
        return {}

    def application_autoscaling_describe_scalable_targets(self, ResourceIds: list[str], ServiceNamespace: str) -> dict:
        rows = [self.things["target"][each] for each in ResourceIds if each in self.things["target"]]
        return {"ScalableTargets": [{"RoleARN": ROLE, "CreationTime": NOW, **row} for row in rows]}

    def application_autoscaling_describe_scaling_policies(self, ResourceId: str, **_: Any) -> dict:
        return {"ScalingPolicies": [p for p in self.things["policy"].values() if p["ResourceId"] == ResourceId]}

    def application_autoscaling_describe_scheduled_actions(self, ResourceId: str, **_: Any) -> dict:
        return {"ScheduledActions": [p for p in self.things["action"].values() if p["ResourceId"] == ResourceId]}

    def cloudwatch_put_metric_alarm(self, AlarmName: str, **asked: Any) -> None:
        self.things["alarm"][AlarmName] = {"AlarmName": AlarmName, **asked}

    def cloudwatch_describe_alarms(self, AlarmNames: list[str]) -> dict:
        return {"MetricAlarms": [{"AlarmName": name} for name in AlarmNames if name in self.things["alarm"]]}

    def cloudwatch_delete_alarms(self, AlarmNames: list[str]) -> None:
        for name in AlarmNames:
            if name not in self.things["alarm"]:
                raise error("ResourceNotFound", f"There is no alarm {name}")
            del self.things["alarm"][name]

    def cloudwatch_get_metric_data(self, **asked: Any) -> dict:
        return {
            "MetricDataResults": [
                {"Id": q["Id"], "Timestamps": [NOW], "Values": [1000.0]} for q in asked["MetricDataQueries"]
            ]
        }

    def logs_describe_log_streams(self, logGroupName: str, **_: Any) -> dict:
        if not self.streams:
            raise error("ResourceNotFoundException", "The specified log group does not exist.")
        return {"logStreams": [{"logStreamName": n, **times} for n, (times, _) in self.streams.items()]}

    def logs_get_log_events(self, logGroupName: str, logStreamName: str, **_: Any) -> dict:
        return {"events": [{"message": line} for line in self.streams[logStreamName][1]]}

    # -- who, where, how much ----------------------------------------------------------------------

    def sts_get_caller_identity(self) -> dict:
        return {"Account": ACCOUNT, "Arn": self.caller, "UserId": "A"}

    def iam_get_role(self, RoleName: str) -> dict:
        if RoleName not in self.things["role"]:
            raise error("NoSuchEntity", f"The role with name {RoleName} cannot be found.")
        trust = {
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ]
        }
        arn = f"arn:aws:iam::{ACCOUNT}:role/{RoleName}"
        return {
            "Role": {
                "Path": "/",
                "RoleName": RoleName,
                "RoleId": "A" * 20,
                "Arn": arn,
                "CreateDate": NOW,
                "AssumeRolePolicyDocument": json.dumps(trust),
                "Tags": self.things["role"][RoleName].get("Tags", []),
            }
        }

    def iam_create_role(self, RoleName: str, **asked: Any) -> dict:
        if RoleName in self.things["role"]:
            raise error("EntityAlreadyExists", "It is there.")
        self.things["role"][RoleName] = asked
        return self.iam_get_role(RoleName)

    def iam_put_role_policy(self, RoleName: str, **asked: Any) -> None:
        self.things["role"][RoleName] |= asked

    def iam_delete_role_policy(self, RoleName: str, PolicyName: str) -> None:
        self.iam_get_role(RoleName)

    def iam_delete_role(self, RoleName: str) -> None:
        self.iam_get_role(RoleName)
        del self.things["role"][RoleName]

    def iam_simulate_principal_policy(self, ActionNames: list[str], **_: Any) -> dict:
        return {"EvaluationResults": [
            {"EvalActionName": each, "EvalDecision": "implicitDeny" if each in self.denied_by_iam else "allowed"}
            for each in ActionNames
        ]}  # fmt: skip

    def scheduler_create_schedule(self, Name: str, **asked: Any) -> dict:
        if Name in self.things["schedule"]:
            raise error("ConflictException", "It is there.")
        self.things["schedule"][Name] = asked
        return {"ScheduleArn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{Name}"}

    def scheduler_update_schedule(self, Name: str, **asked: Any) -> dict:
        self.things["schedule"][Name] = asked
        return {"ScheduleArn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{Name}"}

    def scheduler_get_schedule(self, Name: str) -> dict:
        if Name not in self.things["schedule"]:
            raise error("ResourceNotFoundException", "There is no such schedule.")
        return {"Name": Name}

    def scheduler_delete_schedule(self, Name: str) -> dict:
        self.scheduler_get_schedule(Name)
        del self.things["schedule"][Name]
        return {}

    def ecr_describe_repositories(self, repositoryNames: list[str]) -> dict:
        uri = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repositoryNames[0]}"
        return {"repositories": [{"repositoryName": repositoryNames[0], "repositoryUri": uri}]}

    def ecr_batch_get_image(self, repositoryName: str, imageIds: list[dict], **_: Any) -> dict:
        wanted = imageIds[0]
        digest = wanted.get("imageDigest") or self.images.get(wanted["imageTag"])
        manifest = {"mediaType": self.media_type, "config": {"digest": DIGEST}, "layers": [{"size": 2**28}]}
        found = {"imageId": {"imageDigest": digest}, "imageManifest": json.dumps(manifest),
                 "imageManifestMediaType": self.media_type}  # fmt: skip
        return {"images": [found] if digest else []}

    def ecr_put_image(self, repositoryName: str, imageTag: str, imageDigest: str, **_: Any) -> dict:
        if self.images.get(imageTag) == imageDigest:
            raise error("ImageAlreadyExistsException", "It has this tag.")
        self.images[imageTag] = imageDigest
        return {"image": {"repositoryName": repositoryName}}

    def ecr_get_download_url_for_layer(self, **_: Any) -> dict:
        raise error("LayersNotFoundException", "It is not there.")

    def service_quotas_list_service_quotas(self, **_: Any) -> dict:
        uses = ("endpoint usage", "training job usage", "transform job usage")
        return {
            "Quotas": [{"QuotaName": f"ml.m5.large for {use}", "Value": self.quota, "QuotaCode": "L-0"} for use in uses]
        }

    def pricing_get_products(self, Filters: list[dict], **_: Any) -> dict:
        wanted = {row["Field"]: row["Value"] for row in Filters}
        products = [
            {"product": {"attributes": {"usagetype": usage}},
             "terms": {"OnDemand": {"A": {"priceDimensions": {"B": {"pricePerUnit": {"USD": dollars}}}}}}}
            for usage, dollars in self.prices.items() if usage.endswith(":" + wanted["instanceName"])
        ]  # fmt: skip
        return {"PriceList": [json.dumps(product) for product in products]}
