"""AWS without AWS: moto keeps the books, real containers do what SageMaker would do with the image.

CreateTrainingJob runs `docker run IMAGE train` and packs /opt/ml/model into model.tar.gz in moto's S3, or hands its
/opt/ml/output/failure on as FailureReason. CreateEndpoint and UpdateEndpoint run `docker run IMAGE serve`: in service
only after /ping says 200, failed when the container ends. InvokeEndpoint, its asynchronous sister and batch transform
go to that container; a multi-model endpoint is told by POST /models to load the TargetModel first.
What it cannot prove: IAM, quotas, capacity, the platform's own image pull, prices.

Everything it starts is named nb-… and is gone after stop().
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import subprocess
import tarfile
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs
from urllib.request import Request, urlopen

import boto3
from moto.backends import get_backend
from moto.cloudwatch.models import Statistics
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request as WsgiRequest
from werkzeug.wrappers import Response

logging.getLogger("werkzeug").setLevel(logging.ERROR)  # one line per request otherwise
ACCOUNT, REGION = "123456789012", "us-east-1"
SCHEMA_2 = "application/vnd.docker.distribution.manifest.v2+json"
PASSED_ON = ("X-Amzn-SageMaker-Custom-Attributes", "X-Amzn-SageMaker-Inference-Id", "X-Amzn-SageMaker-Target-Model")


def _statistic(self: Statistics, stat: str, moto: Any = Statistics.get_statistics_for_type) -> Any:
    return max(self.metric_single_values_list) if stat == "p95" else moto(self, stat)


Statistics.get_statistics_for_type = _statistic  # type: ignore[method-assign]  # moto knows no percentiles


class Container:
    """One `docker run IMAGE train|serve`, as the platform would: files are copied in and out, nothing is mounted."""

    def __init__(self, image: str, command: str, environ: dict[str, str], model: bytes | None = None) -> None:
        self.name = f"nb-{uuid.uuid4().hex[:12]}"
        options = [word for key, value in environ.items() for word in ("-e", f"{key}={value}")]
        docker("create", "--name", self.name, "-p", "127.0.0.1::8080", *options, image, command)
        if model is not None:
            docker("cp", "-", f"{self.name}:/", stdin=_under("opt/ml/model", model))
        docker("start", self.name)

    def ended(self) -> int | None:
        """The exit code, or None while it runs."""
        running, code = docker("inspect", "-f", "{{.State.Running}} {{.State.ExitCode}}", self.name).split()
        return None if running == b"true" else int(code)

    def request(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None,
                timeout: float = 60) -> tuple[int, bytes, str]:  # fmt: skip
        """(status, body, content type)."""
        if not hasattr(self, "port"):
            self.port = docker("port", self.name, "8080").split()[0].rpartition(b":")[2].decode()
        request = Request(f"http://127.0.0.1:{self.port}{path}", body, headers or {}, method=method)
        try:
            with urlopen(request, timeout=timeout) as reply:
                return reply.status, reply.read(), reply.headers.get("Content-Type", "")
        except HTTPError as exc:
            return exc.code, exc.read(), exc.headers.get("Content-Type", "")

    def wait_until_ready(self, seconds: float = 60) -> bool:
        """Whether /ping has said 200 in time; False as soon as the container has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.ended() is None:
            try:
                if self.request("GET", "/ping", timeout=2)[0] == 200:
                    return True
            except (URLError, OSError, IndexError):
                pass
            time.sleep(0.2)
        return False

    def tar(self, path: str) -> bytes | None:
        """A directory or file of the container as docker packs it."""
        try:
            return docker("cp", f"{self.name}:{path}", "-")
        except subprocess.CalledProcessError:
            return None

    def log(self) -> list[str]:
        done = subprocess.run(
            ["docker", "logs", self.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
        )
        return done.stdout.decode(errors="replace").splitlines()

    def remove(self) -> None:
        docker("rm", "-f", "-v", self.name)


class AwsDouble:
    """Use it as a context: `with AwsDouble() as aws: aws.push("kit", "my-model")`, and AWS_ENDPOINT_URL=aws.url."""

    def __init__(self) -> None:
        self.images: dict[str, str] = {}  # digest in ECR -> local image
        self.containers: dict[str, Container] = {}  # endpoint -> what answers for it
        self.everything: list[Container] = []
        self.denied: set[str] = set()  # actions that iam:SimulatePrincipalPolicy says the role may not do
        self.quotas: dict[str, float] = {}
        self.architecture = "amd64"
        self.prices: dict[str, str] = {}  # usage type -> US dollars an hour
        self.printed = ""  # what the last notebook printed
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=MotoRequestHandler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.session = boto3.Session("testing", "testing", region_name=REGION)

    def __enter__(self) -> AwsDouble:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        for container in self.everything:
            container.remove()

    def reset(self) -> None:
        """An empty account: moto's books are one per process."""
        urlopen(Request(f"{self.url}/moto-api/reset", method="POST")).close()

    def client(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.url)

    def backend(self, service: str) -> Any:
        """moto's books, to write into what its API has no call for."""
        return get_backend(service)[ACCOUNT][REGION]  # type: ignore[call-overload]

    def push(self, local_image: str, repository: str, tag: str = "latest", media_type: str = SCHEMA_2) -> str:
        """As if build_and_push.sh had pushed the local image; returns the digest."""
        ecr = self.client("ecr")
        if repository not in self.backend("ecr").repositories:
            ecr.create_repository(repositoryName=repository)
        image_id = docker("image", "inspect", "-f", "{{.Id}}", local_image).decode().strip()
        manifest = {"schemaVersion": 2, "mediaType": media_type, "config": {"digest": image_id},
                    "layers": [{"size": 200 * 2**20, "digest": image_id}]}  # fmt: skip
        image = ecr.put_image(repositoryName=repository, imageTag=tag, imageManifest=json.dumps(manifest))["image"]
        digest: str = image["imageId"]["imageDigest"]
        self.images[digest] = local_image
        return digest

    # -- requests: first what moto lacks, then moto, then what must really happen ---------------------------------

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = WsgiRequest(environ)
        body = request.get_data()
        environ["wsgi.input"] = io.BytesIO(body)
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if request.path.startswith("/endpoints/"):
            _, _, endpoint, kind = request.path.split("/")
            answer = self.invoke_async if kind == "async-invocations" else self.invoke
            return answer(endpoint, request, body)(environ, start_response)
        if request.method == "PUT" and request.query_string == b"policy":
            return Response(status=204)(environ, start_response)  # moto would deny all: it looks at no condition
        if request.path.startswith("/layers/"):  # an image's configuration, as ECR hands out its layers
            return _json({"architecture": self.architecture})(environ, start_response)
        if body.startswith(b"Action=SimulatePrincipalPolicy"):
            return self.simulate(parse_qs(body.decode()))(environ, start_response)
        if operation in self.INSTEAD:
            return self.INSTEAD[operation](self, json.loads(body))(environ, start_response)
        response = Response.from_app(self.moto, environ)
        if response.status_code == 200 and operation in self.AFTERWARDS:
            self.AFTERWARDS[operation](self, json.loads(body))
        if response.status_code == 200 and operation == "DescribeEndpoint":  # AWS leaves out what was not configured
            response.set_data(json.dumps({k: v for k, v in json.loads(response.get_data()).items() if v != {}}))
        return response(environ, start_response)

    # -- training -----------------------------------------------------------------------------------------------

    def training_job(self, asked: dict[str, Any]) -> None:
        job = self.backend("sagemaker").training_jobs[asked["TrainingJobName"]]
        job.training_job_status = job.secondary_status = "InProgress"
        _in_background(self.train, job, asked)

    def train(self, job: Any, asked: dict[str, Any]) -> None:
        container = self.run(asked["AlgorithmSpecification"]["TrainingImage"], "train", asked.get("Environment") or {})
        while (code := container.ended()) is None:
            time.sleep(0.2)
        self.write_log("/aws/sagemaker/TrainingJobs", f"{job.training_job_name}/algo-1-1", container)
        if code == 0:
            bucket, key = _split(job.model_artifacts["S3ModelArtifacts"])
            self.client("s3").put_object(Bucket=bucket, Key=key, Body=_artifact(container.tar("/opt/ml/model")))
        else:
            failure = container.tar("/opt/ml/output/failure")
            job.failure_reason = "AlgorithmError: " + (_only_file(failure) if failure else f"exit code: {code}")
        job.training_job_status = job.secondary_status = "Completed" if code == 0 else "Failed"

    def layer(self, asked: dict[str, Any]) -> Response:
        digest = asked["layerDigest"]
        return _json({"downloadUrl": f"{self.url}/layers/{digest}", "layerDigest": digest})

    def no_components(self, asked: dict[str, Any]) -> Response:
        """moto has none."""
        return _json({"InferenceComponents": []})

    def delete_training_job(self, asked: dict[str, Any]) -> Response:
        del self.backend("sagemaker").training_jobs[asked["TrainingJobName"]]
        return _json({})

    # -- endpoints ----------------------------------------------------------------------------------------------

    def create_endpoint(self, asked: dict[str, Any]) -> None:
        endpoint = self.backend("sagemaker").endpoints[asked["EndpointName"]]
        endpoint.endpoint_status = "Creating"
        _in_background(self.bring_up, endpoint, asked["EndpointConfigName"])

    def update_endpoint(self, asked: dict[str, Any]) -> Response:
        endpoint = self.backend("sagemaker").endpoints[asked["EndpointName"]]
        endpoint.endpoint_status = "Updating"
        _in_background(self.bring_up, endpoint, asked["EndpointConfigName"])
        return _json({"EndpointArn": endpoint.arn})

    def bring_up(self, endpoint: Any, config_name: str) -> None:
        """Blue/green: the old container answers until the new one does, and stays if the new one does not."""
        sagemaker, name = self.backend("sagemaker"), endpoint.endpoint_name
        config = sagemaker.endpoint_configs[config_name]
        container = self.serve(config.production_variants[0]["ModelName"])
        ready = container.wait_until_ready()
        variant = config.production_variants[0]["VariantName"]
        self.write_log(f"/aws/sagemaker/Endpoints/{name}", f"{variant}/i-{container.name[3:]}", container)
        if ready:
            endpoint.endpoint_config_name = config_name
            endpoint.production_variants = endpoint._process_production_variants(config.production_variants)
            old, self.containers[name] = self.containers.get(name), container
        else:
            old = container
            endpoint.failure_reason = (
                f"The primary container for production variant {variant} did not pass the ping health check. "
                "Please check CloudWatch logs for this endpoint."
            )
        endpoint.endpoint_status = "InService" if name in self.containers else "Failed"
        if old:
            self.forget(old)

    def delete_endpoint(self, asked: dict[str, Any]) -> None:
        container = self.containers.pop(asked["EndpointName"], None)
        if container:
            self.forget(container)

    def invoke(self, endpoint: str, request: WsgiRequest, body: bytes) -> Response:
        if endpoint not in self.containers:
            return _json({"message": f"Endpoint {endpoint} of account {ACCOUNT} not found."}, 400, "ValidationError")
        headers = {"Content-Type": request.headers.get("Content-Type", "application/octet-stream")}
        accept = request.headers.get("X-Amzn-SageMaker-Accept") or request.headers.get("Accept")
        headers |= {"Accept": accept} if accept else {}
        headers |= {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        began = time.perf_counter()
        container, path = self.containers[endpoint], "/invocations"
        if target := request.headers.get("X-Amzn-SageMaker-Target-Model"):
            path = f"/models/{self.load(endpoint, target)}/invoke"
        status, answer, content_type = container.request("POST", path, body, headers)
        self.count(endpoint, status, (time.perf_counter() - began) * 1e6)
        if 200 <= status < 300:
            return Response(
                answer, content_type=content_type, headers={"x-Amzn-Invoked-Production-Variant": "AllTraffic"}
            )
        message = f'Received client error ({status}) from primary with message "{answer.decode()}"'
        return _json({"Message": message, "OriginalMessage": answer.decode(), "OriginalStatusCode": status,
                      "LogStreamArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/{endpoint}"},
                     424, "ModelError")  # fmt: skip

    def load(self, endpoint: str, target: str) -> str:
        """The opaque name of the target model in the endpoint's container, where it is loaded unless it is already."""
        container, name = self.containers[endpoint], hashlib.sha256(target.encode()).hexdigest()
        if container.request("GET", f"/models/{name}")[0] == 200:
            return name
        bucket, key = _split(self.model_of(endpoint).primary_container["ModelDataUrl"])
        model = self.client("s3").get_object(Bucket=bucket, Key=f"{key}/{target}")["Body"].read()
        place = f"/opt/ml/models/{name}/model"
        docker("cp", "-", f"{container.name}:/", stdin=_under(place[1:], model))
        asked = json.dumps({"model_name": name, "url": place}).encode()
        status, answer, _ = container.request("POST", "/models", asked, {"Content-Type": "application/json"})
        assert status == 200, answer
        return name

    def model_of(self, endpoint: str) -> Any:
        sagemaker = self.backend("sagemaker")
        config = sagemaker.endpoint_configs[sagemaker.endpoints[endpoint].endpoint_config_name]
        return sagemaker._models[config.production_variants[0]["ModelName"]]

    def invoke_async(self, endpoint: str, request: WsgiRequest, _: bytes) -> Response:
        s3, identifier = self.client("s3"), uuid.uuid4().hex
        sagemaker = self.backend("sagemaker")
        config = sagemaker.endpoint_configs[sagemaker.endpoints[endpoint].endpoint_config_name]
        where = config.async_inference_config["OutputConfig"]
        bucket, key = _split(request.headers["X-Amzn-SageMaker-InputLocation"])
        output, failure = (
            f"{where['S3OutputPath']}/{identifier}.out",
            f"{where['S3FailurePath']}/{identifier}-error.out",
        )
        headers = {"Content-Type": request.headers.get("X-Amzn-SageMaker-Content-Type", "application/octet-stream"),
                   "Accept": request.headers.get("X-Amzn-SageMaker-Accept", "*/*")}  # fmt: skip

        def work() -> None:
            body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            status, answer, _ = self.containers[endpoint].request("POST", "/invocations", body, headers)
            to_bucket, to_key = _split(output if status < 300 else failure)
            s3.put_object(Bucket=to_bucket, Key=to_key, Body=answer)

        _in_background(work)
        locations = {"X-Amzn-SageMaker-OutputLocation": output, "X-Amzn-SageMaker-FailureLocation": failure}
        response = _json({"InferenceId": identifier}, 202)
        response.headers.extend(locations)
        return response

    # -- batch transform ----------------------------------------------------------------------------------------

    def transform_job(self, asked: dict[str, Any]) -> None:
        job = self.backend("sagemaker").transform_jobs[asked["TransformJobName"]]
        job.transform_job_status = "InProgress"
        _in_background(self.transform, job, asked)

    def transform(self, job: Any, asked: dict[str, Any]) -> None:
        container = self.serve(asked["ModelName"], {"SAGEMAKER_BATCH": "true", **(asked.get("Environment") or {})})
        problem = None if container.wait_until_ready() else "the container did not answer /ping"
        if problem is None:
            container.request("GET", "/execution-parameters")  # 404 means: no opinion
            bucket, key = _split(asked["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"])
            lines = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().splitlines(keepends=True)
            step = 1 if asked.get("BatchStrategy") == "SingleRecord" else max(1, len(lines) // 2)
            headers = {"Content-Type": asked["TransformInput"]["ContentType"],
                       "Accept": asked["TransformOutput"].get("Accept", "*/*")}  # fmt: skip
            answers: list[bytes] = []
            for start in range(0, len(lines), step):
                status, answer, _ = container.request(
                    "POST", "/invocations", b"".join(lines[start : start + step]), headers
                )
                if status != 200:
                    problem = answer.decode()
                    break
                answers += answer.splitlines()
        if problem is None:
            if asked.get("DataProcessing", {}).get("JoinSource") == "Input":
                answers = [line.strip() + b"," + answer for line, answer in zip(lines, answers, strict=True)]
            to_bucket, prefix = _split(asked["TransformOutput"]["S3OutputPath"])
            self.client("s3").put_object(
                Bucket=to_bucket, Key=f"{prefix}/{key.rpartition('/')[2]}.out", Body=b"\n".join(answers) + b"\n"
            )
        self.write_log("/aws/sagemaker/TransformJobs", f"{job.transform_job_name}/i-0", container)
        job.failure_reason = problem or ""
        job.transform_job_status = "Failed" if problem else "Completed"
        self.forget(container)

    # -- the rest -----------------------------------------------------------------------------------------------

    def serve(self, model_name: str, environ: dict[str, str] | None = None) -> Container:
        container = self.backend("sagemaker")._models[model_name].primary_container
        model = None
        if container.get("Mode") == "MultiModel":
            environ = {"SAGEMAKER_MULTI_MODEL": "true", **(environ or {})}
        elif url := container.get("ModelDataUrl"):
            bucket, key = _split(url)
            model = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return self.run(container["Image"], "serve", {**(container.get("Environment") or {}), **(environ or {})}, model)

    def run(self, image_uri: str, command: str, environ: dict[str, str], model: bytes | None = None) -> Container:
        container = Container(self.images[image_uri.rpartition("@")[2]], command, environ, model)
        self.everything.append(container)
        return container

    def forget(self, container: Container) -> None:
        self.everything.remove(container)
        container.remove()

    def write_log(self, group: str, stream: str, container: Container) -> None:
        logs, now = self.client("logs"), int(time.time() * 1000)
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = [{"timestamp": now, "message": line} for line in container.log() if line]
        if events:
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def count(self, endpoint: str, status: int, microseconds: float) -> None:
        dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "AllTraffic"}]
        values = {"Invocations": 1.0, "ModelLatency": microseconds, "Invocation5XXErrors": float(status >= 500)}
        now = datetime.now(UTC).replace(tzinfo=None)  # as moto keeps it
        rows = [{"MetricName": name, "Value": value, "Dimensions": dimensions, "Timestamp": now}
                for name, value in values.items()]  # fmt: skip
        self.backend("cloudwatch").put_metric_data("AWS/SageMaker", rows)

    def simulate(self, asked: dict[str, list[str]]) -> Response:
        actions = [value[0] for key, value in asked.items() if key.startswith("ActionNames.member")]
        members = "".join(
            f"<member><EvalActionName>{action}</EvalActionName>"
            f"<EvalDecision>{'implicitDeny' if action in self.denied else 'allowed'}</EvalDecision></member>"
            for action in actions
        )
        return Response(
            '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
            f"<SimulatePrincipalPolicyResult><EvaluationResults>{members}</EvaluationResults>"
            "</SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>",
            content_type="text/xml",
        )

    def list_quotas(self, asked: dict[str, Any]) -> Response:
        rows = [{"QuotaName": name, "QuotaCode": "L-0", "Value": value} for name, value in self.quotas.items()]
        return _json({"Quotas": rows})

    def list_prices(self, asked: dict[str, Any]) -> Response:
        """In the shape of the Price List API's AmazonSageMaker offer; the figures are the test's own."""
        wanted = {row["Field"]: row["Value"] for row in asked["Filters"]}
        products = [
            {
                "product": {"productFamily": "ML Instance", "attributes": {**wanted, "usagetype": usage}},
                "serviceCode": "AmazonSageMaker",
                "terms": {
                    "OnDemand": {"A": {"priceDimensions": {"B": {"unit": "Hrs", "pricePerUnit": {"USD": dollars}}}}}
                },
            }
            for usage, dollars in self.prices.items()
            if usage.endswith(":" + wanted["instanceName"])
        ]
        return _json({"FormatVersion": "aws_v1", "PriceList": [json.dumps(product) for product in products]})

    INSTEAD: ClassVar[dict[str, Callable[..., Response]]] = {
        "UpdateEndpoint": update_endpoint,
        "DeleteTrainingJob": delete_training_job,
        "GetDownloadUrlForLayer": layer,
        "ListInferenceComponents": no_components,
        "ListServiceQuotas": list_quotas,
        "GetProducts": list_prices,
    }
    AFTERWARDS: ClassVar[dict[str, Callable[..., None]]] = {
        "CreateTrainingJob": training_job,
        "CreateEndpoint": create_endpoint,
        "DeleteEndpoint": delete_endpoint,
        "CreateTransformJob": transform_job,
    }


def docker(*arguments: str, stdin: bytes | None = None) -> bytes:
    return subprocess.run(["docker", *arguments], input=stdin, capture_output=True, check=True).stdout


def _in_background(work: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()


def _json(body: dict[str, Any], status: int = 200, error: str | None = None) -> Response:
    headers = {"X-Amzn-ErrorType": error} if error else {}
    return Response(json.dumps(body), status, headers, content_type="application/json")


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key.rstrip("/")


def _artifact(directory: bytes | None) -> bytes:
    """docker's tar of /opt/ml/model as SageMaker's model.tar.gz: the files at its root."""
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(directory or b"")) as source,
        tarfile.open(fileobj=packed, mode="w:gz") as target,
    ):
        for member in source:
            if member.isfile():
                content = source.extractfile(member)
                member.name = member.name.partition("/")[2]
                target.addfile(member, content)
    return packed.getvalue()


def _under(directory: str, archive: bytes) -> bytes:
    """The files of a model.tar.gz, moved under `directory`, as a plain tar."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as source, tarfile.open(fileobj=packed, mode="w") as target:
        for member in source:
            content = source.extractfile(member)
            member.name = f"{directory}/{member.name}"
            target.addfile(member, content)
    return packed.getvalue()


def _only_file(archive: bytes) -> str:
    with tarfile.open(fileobj=io.BytesIO(archive)) as source:
        content = source.extractfile(source.getmembers()[0])
        return content.read().decode() if content else ""
