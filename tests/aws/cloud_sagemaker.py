"""SageMaker in memory: models, configs, endpoints, components, tags, registry, and answers."""

from __future__ import annotations

import io
from typing import Any

from cloud_books import LOOKS, NOW, Books, error


class SageMaker(Books):
    # -- SageMaker ---------------------------------------------------------------------------------

    def sagemaker_create_model(
        self, ModelName: str, ExecutionRoleArn: str, PrimaryContainer: dict, Tags: list, **more: Any
    ) -> dict:
        return {"ModelArn": self._add("model", ModelName, "model", Tags, Container=PrimaryContainer, More=more)}

    def sagemaker_describe_model(self, ModelName: str) -> dict:
        arn = self._get("model", ModelName, "model")["Arn"]
        return {"ModelName": ModelName, "ModelArn": arn, "CreationTime": NOW}

    def sagemaker_delete_model(self, ModelName: str) -> None:
        self._get("model", ModelName, "model")
        del self.things["model"][ModelName]

    def sagemaker_list_models(self, NameContains: str) -> dict:
        rows = [
            {"ModelName": n, "ModelArn": t["Arn"], "CreationTime": NOW} for n, t in self._named("model", NameContains)
        ]
        return {"Models": rows}

    def sagemaker_create_endpoint_config(self, EndpointConfigName: str, Tags: list, **asked: Any) -> dict:
        for variant in [*asked["ProductionVariants"], *asked.get("ShadowProductionVariants", [])]:
            if "ModelName" in variant:
                self._get("model", variant["ModelName"], "model")
        return {"EndpointConfigArn": self._add("config", EndpointConfigName, "endpoint-config", Tags, Asked=asked)}

    def sagemaker_describe_endpoint_config(self, EndpointConfigName: str) -> dict:
        config = self._get("config", EndpointConfigName, "endpoint configuration")
        return {"EndpointConfigName": EndpointConfigName, "EndpointConfigArn": config["Arn"], "CreationTime": NOW,
                **config["Asked"]}  # fmt: skip

    def sagemaker_delete_endpoint_config(self, EndpointConfigName: str) -> None:
        self._get("config", EndpointConfigName, "endpoint configuration")
        used = [n for n, e in self.things["endpoint"].items() if EndpointConfigName in (e["Config"], e.get("Next"))]
        assert not used, f"{EndpointConfigName} is deleted while {used} uses it"
        del self.things["config"][EndpointConfigName]

    def sagemaker_list_endpoint_configs(self, NameContains: str) -> dict:
        rows = [{"EndpointConfigName": n, "EndpointConfigArn": t["Arn"], "CreationTime": NOW}
                for n, t in self._named("config", NameContains)]  # fmt: skip
        return {"EndpointConfigs": rows}

    def sagemaker_create_endpoint(self, EndpointName: str, EndpointConfigName: str, Tags: list) -> dict:
        self._get("config", EndpointConfigName, "endpoint configuration")
        arn = self._add("endpoint", EndpointName, "endpoint", Tags, Status="Creating", Config=EndpointConfigName)
        return {"EndpointArn": arn}

    def sagemaker_update_endpoint(self, EndpointName: str, EndpointConfigName: str, **more: Any) -> dict:
        endpoint = self._idle(EndpointName)
        self._get("config", EndpointConfigName, "endpoint configuration")
        endpoint |= {"Status": "Updating", "Next": EndpointConfigName, "Looks": 0, "Update": more}
        return {"EndpointArn": endpoint["Arn"]}

    def _idle(self, name: str) -> dict[str, Any]:
        endpoint = self._get("endpoint", name, "endpoint")
        if endpoint["Status"] not in ("InService", "Failed", "UpdateRollbackFailed"):
            raise error("ValidationException", f'Cannot update in-progress endpoint "{endpoint["Arn"]}".')
        return endpoint

    def _serves(self, config: str) -> bool:
        variants = self.things["config"][config]["Asked"]["ProductionVariants"]
        names = [v["ModelName"] for v in variants if "ModelName" in v]
        return not any(self.things["model"][n]["Container"]["Image"].rpartition("@")[2] in self.broken for n in names)

    def _move(self, name: str) -> None:
        """One look further."""
        endpoint = self.things["endpoint"][name]
        endpoint["Looks"] += 1
        if endpoint["Looks"] < LOOKS:
            return
        match endpoint["Status"]:
            case "Creating":
                endpoint["Status"] = "InService" if self._serves(endpoint["Config"]) else "Failed"
            case "Updating":
                if self._serves(endpoint["Next"]):
                    endpoint["Config"] = endpoint["Next"]
                else:
                    endpoint["Reason"] = "The container did not pass the ping health check."
                endpoint |= {"Status": "InService", "Next": None}
            case "RollingBack" | "SystemUpdating":
                endpoint["Status"] = "InService"
            case "Deleting":
                del self.things["endpoint"][name]

    def sagemaker_describe_endpoint(self, EndpointName: str) -> dict:
        if EndpointName in self.things["endpoint"]:
            self._move(EndpointName)
        endpoint = self._get("endpoint", EndpointName, "endpoint")
        variants = self.things["config"][endpoint["Config"]]["Asked"]["ProductionVariants"]
        shown = [
            {"VariantName": v["VariantName"], "CurrentInstanceCount": v.get("InitialInstanceCount", 0)}
            for v in variants
        ]
        there = {"ProductionVariants": shown} if endpoint["Status"] != "Creating" else {}
        reason = {"FailureReason": endpoint["Reason"]} if "Reason" in endpoint else {}
        return {
            "EndpointName": EndpointName,
            "EndpointArn": endpoint["Arn"],
            "EndpointConfigName": endpoint["Config"],
            "EndpointStatus": endpoint["Status"],
            "CreationTime": NOW,
            "LastModifiedTime": NOW,
            **there,
            **reason,
        }

    def sagemaker_delete_endpoint(self, EndpointName: str) -> None:
        endpoint = self._idle(EndpointName)
        if any(c["Endpoint"] == EndpointName for c in self.things["component"].values()):
            raise error("ValidationException", f"Cannot delete {EndpointName} before deleting its inference components")
        endpoint |= {"Status": "Deleting", "Looks": 0}

    def sagemaker_list_endpoints(self, NameContains: str = "") -> dict:
        rows = [{"EndpointName": n, "EndpointArn": t["Arn"], "CreationTime": NOW, "LastModifiedTime": NOW,
                 "EndpointStatus": t["Status"]} for n, t in self._named("endpoint", NameContains)]  # fmt: skip
        return {"Endpoints": rows}

    def sagemaker_update_endpoint_weights_and_capacities(
        self, EndpointName: str, DesiredWeightsAndCapacities: list
    ) -> dict:
        endpoint = self._idle(EndpointName)
        endpoint |= {"Desired": DesiredWeightsAndCapacities[0]["DesiredInstanceCount"]}
        return {"EndpointArn": endpoint["Arn"]}

    def sagemaker_create_inference_component(
        self, InferenceComponentName: str, EndpointName: str, Tags: list, **more: Any
    ) -> dict:
        assert self._get("endpoint", EndpointName, "endpoint")["Status"] == "InService"
        arn = self._add("component", InferenceComponentName, "inference-component", Tags, Status="Creating",
                        Endpoint=EndpointName, Model=more["Specification"]["ModelName"])  # fmt: skip
        return {"InferenceComponentArn": arn}

    def sagemaker_describe_inference_component(self, InferenceComponentName: str) -> dict:
        component = self._get("component", InferenceComponentName, "inference component")
        component["Looks"] += 1
        if component["Looks"] >= LOOKS and component["Status"] == "Deleting":
            del self.things["component"][InferenceComponentName]
        elif component["Looks"] >= LOOKS:
            component["Status"] = "InService"
        return {"InferenceComponentName": InferenceComponentName, "InferenceComponentArn": component["Arn"],
                "EndpointName": component["Endpoint"], "EndpointArn": self._arn("endpoint", component["Endpoint"]),
                "CreationTime": NOW, "LastModifiedTime": NOW, "InferenceComponentStatus": component["Status"],
                "Specification": {"ModelName": component["Model"]}}  # fmt: skip

    def sagemaker_delete_inference_component(self, InferenceComponentName: str) -> None:
        component = self._get("component", InferenceComponentName, "inference component")
        if component["Status"] != "InService":
            raise error("ValidationException", "Cannot delete an inference component that is Creating")
        component |= {"Status": "Deleting", "Looks": 0}

    def sagemaker_list_inference_components(self, NameContains: str) -> dict:
        rows = [{"InferenceComponentName": n, "InferenceComponentArn": t["Arn"], "EndpointName": t["Endpoint"],
                 "EndpointArn": self._arn("endpoint", t["Endpoint"]), "VariantName": "AllTraffic", "CreationTime": NOW,
                 "LastModifiedTime": NOW} for n, t in self._named("component", NameContains)]  # fmt: skip
        return {"InferenceComponents": rows}

    # -- tags, registry ----------------------------------------------------------------------------

    def sagemaker_add_tags(self, ResourceArn: str, Tags: list) -> dict:
        self.tags.setdefault(ResourceArn, {}).update({tag["Key"]: tag["Value"] for tag in Tags})
        return {"Tags": Tags}

    def sagemaker_list_tags(self, ResourceArn: str) -> dict:
        return {"Tags": [{"Key": k, "Value": v} for k, v in self.tags.get(ResourceArn, {}).items()]}

    def sagemaker_create_model_package_group(self, ModelPackageGroupName: str, Tags: list) -> dict:
        return {"ModelPackageGroupArn": self._add("group", ModelPackageGroupName, "model-package-group", Tags)}

    def sagemaker_create_model_package(self, **asked: Any) -> dict:
        number = str(len(self.things["package"]) + 1)
        self.things["package"][number] = asked
        return {"ModelPackageArn": self._arn("model-package", f"{asked['ModelPackageGroupName']}/{number}")}

    def sagemaker_list_model_packages(self, ModelPackageGroupName: str) -> dict:
        self._get("group", ModelPackageGroupName, "model package group")
        rows = [{"ModelPackageArn": self._arn("model-package", f"{ModelPackageGroupName}/{n}"), "CreationTime": NOW,
                 "ModelPackageStatus": "Completed"} for n in self.things["package"]]  # fmt: skip
        return {"ModelPackageSummaryList": rows}

    def sagemaker_describe_model_package(self, ModelPackageName: str) -> dict:
        asked = self.things["package"][ModelPackageName.rpartition("/")[2]]
        return {"ModelPackageName": "p", "ModelPackageArn": ModelPackageName, "CreationTime": NOW,
                "ModelPackageStatus": "Completed", "ModelPackageStatusDetails": {"ValidationStatuses": []},
                "CustomerMetadataProperties": asked["CustomerMetadataProperties"]}  # fmt: skip

    # -- asking ------------------------------------------------------------------------------------

    def sagemaker_runtime_invoke_endpoint(self, **asked: Any) -> dict:
        assert self._get("endpoint", asked["EndpointName"], "endpoint")["Status"] in ("InService", "Updating")
        return {"Body": io.BytesIO(self.answer(asked)), "ContentType": "text/csv"}

    def sagemaker_runtime_invoke_endpoint_async(self, EndpointName: str, InputLocation: str, **_: Any) -> dict:
        config = self.things["config"][self._get("endpoint", EndpointName, "endpoint")["Config"]]["Asked"]
        where = config["AsyncInferenceConfig"]["OutputConfig"]
        output = f"{where['S3OutputPath']}/1.out"
        self._put(output, self.answer({"Body": self.objects[InputLocation.removeprefix("s3://")][0]}))
        return {"InferenceId": "1", "OutputLocation": output, "FailureLocation": f"{where['S3FailurePath']}/1.out"}
