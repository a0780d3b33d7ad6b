"""build_and_push.sh as it is, against a real engine, a real registry under ECR's own name, and moto for the API."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import codebuild as codebuild_double
import ecr as ecr_double
import warm_aws
from codebuild import CodeBuild
from conftest import lacking
from ecr import ACCOUNT, HOST, REGION, TOKEN, Ecr
from running import KIT

ROOT = KIT
SCRIPTS = [ROOT / "build_and_push.sh", *sorted((ROOT / "push").glob("*.sh"))]
DOCKER_V2 = "application/vnd.docker.distribution.manifest.v2+json"
LABEL = "LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true\n"
ENTRYPOINT = 'ENTRYPOINT ["python3", "-m", "serving"]\n'
DOCKERFILE = "FROM scratch\nCOPY model/ /opt/program\n" + LABEL + ENTRYPOINT
BUILDX_PLACES = (
    "~/.docker/cli-plugins", "/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins", "/opt/docker-buildx",
)  # fmt: skip


@pytest.fixture(scope="session")
def running_ecr() -> Iterator[Ecr]:
    if reason := ecr_double.missing():
        lacking(reason)
    with ecr_double.running() as ecr:
        yield ecr


@pytest.fixture
def ecr(running_ecr: Ecr) -> Ecr:
    running_ecr.reset()
    return running_ecr


class Kit:
    """A copy of the kit in a directory of its own, with a tiny Dockerfile, and the machine it is pushed from."""

    def __init__(self, directory: Path, image: str):
        self.image = image
        self.root = directory / "my kit (é)"
        self.home, self.bin, self.scratch = directory / "home", directory / "bin", directory / "tmp"
        for path in (self.root / "model", self.home, self.bin, self.scratch):
            path.mkdir(parents=True)
        shutil.copy(ROOT / "build_and_push.sh", self.root)
        shutil.copytree(ROOT / "push", self.root / "push")
        self.write("Dockerfile", DOCKERFILE)
        self.write("model/model.pkl", f"the model of {image}")
        self.write("model/predictor.py", "def transformation(model, rows): ...")
        self.env = {
            "PATH": f"{self.bin}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.home),
            "TMPDIR": str(self.scratch),
            "DOCKER_CONFIG": str(self.home / ".docker"),
            "DOCKER_BUILDKIT": "0",
        }

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_text(text)

    def program(self, name: str, text: str) -> None:
        """A program that is found before the real one."""
        (self.bin / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (self.bin / name).chmod(0o755)

    def aws(self, ecr: Ecr, **keys: str) -> None:
        """Moto and the registry are AWS now. The AWS CLI is the real one, but does not start anew for each call."""
        self.env |= {"AWS_ENDPOINT_URL": ecr.endpoint, "AWS_REGION": REGION, **(keys or ecr_double.KEYS)}
        (self.bin / "aws").write_text(warm_aws.client(ecr.cli))
        (self.bin / "aws").chmod(0o755)

    def use_buildx(self) -> None:
        del self.env["DOCKER_BUILDKIT"]
        for place in BUILDX_PLACES:
            plugin = Path(place).expanduser() / "docker-buildx"
            if plugin.exists():
                plugins = self.home / ".docker" / "cli-plugins"
                plugins.mkdir(parents=True)
                (plugins / "docker-buildx").symlink_to(plugin)
                return
        lacking("the docker buildx plugin is not installed")

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [str(self.root / "build_and_push.sh"), self.image, *arguments],
            env=self.env, cwd="/", text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments: str, expect: int = 0) -> tuple[str, str]:
        """stdout and stderr. Whatever happens, the token is not shown and nothing stays in the temporary directory."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=150)
        assert process.returncode == expect, err
        self.check_manners(out, err)
        return out, err

    def check_manners(self, out: str, err: str) -> None:
        assert TOKEN not in out + err
        assert list(self.scratch.iterdir()) == []

    def local_image(self) -> bool:
        return (
            subprocess.run(["docker", "image", "inspect", self.image], capture_output=True, check=False).returncode == 0
        )


@pytest.fixture
def kit(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Kit]:
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_"))[:40].strip("-")
    kit = Kit(tmp_path, f"push-test-{os.getpid()}/{name}")
    yield kit
    for engine in filter(shutil.which, ("docker", "podman")):
        for name in (kit.image, f"{HOST}/{kit.image}"):
            images = subprocess.run([engine, "images", "--quiet", name], capture_output=True, text=True, check=False)
            for image in set(images.stdout.split()):  # no other test has one with this content
                subprocess.run([engine, "image", "rm", "--force", image], capture_output=True, check=False)


@pytest.fixture
def pushing(kit: Kit, ecr: Ecr) -> Kit:
    kit.aws(ecr)
    return kit


# ── what it does ──
@pytest.mark.parametrize("builder", ["legacy", "buildkit", "podman"])
def test_first_push_makes_the_repository_and_the_second_changes_nothing(pushing: Kit, ecr: Ecr, builder: str):
    """One argument is enough, the result is a Docker v2 manifest under two tags, and a second run finds it there."""
    options: tuple[str, ...] = ()
    if builder == "legacy":
        (pushing.bin / "aws").unlink()  # once, the CLI is started as users do
    if builder == "buildkit":
        pushing.use_buildx()
    if builder == "podman":
        if subprocess.run(["podman", "info"], capture_output=True, check=False).returncode:
            pytest.skip("podman does not run here")
        options = ("--engine", "podman")
    out, err = pushing.run(*options)
    tags = ecr.pushed(pushing.image)
    digest = tags.pop("latest")
    assert out == f"{HOST}/{pushing.image}@{digest}\n"
    (tag,) = tags
    assert tags[tag] == digest
    manifest = ecr.manifest(pushing.image, digest)
    assert manifest.headers["Content-Type"] == DOCKER_V2
    assert manifest.json()["mediaType"] == DOCKER_V2
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-" + manifest.json()["config"]["digest"].removeprefix("sha256:")[:12], tag)
    (repository,) = ecr.api.describe_repositories(repositoryNames=[pushing.image])["repositories"]
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["encryptionConfiguration"] == {"encryptionType": "AES256"}
    policy = json.loads(ecr.api.get_lifecycle_policy(repositoryName=pushing.image)["lifecyclePolicyText"])
    assert policy["rules"][0]["selection"] == {
        "tagStatus": "untagged",
        "countType": "imageCountMoreThan",
        "countNumber": 10,
    }

    ecr.requests.clear()
    again, err = pushing.run(*options)
    assert again == out
    assert "Nothing to push" in err
    assert ecr.writes() == []


def test_what_was_pushed_can_be_pulled_by_its_digest(pushing: Kit, ecr: Ecr):
    """The URI that is printed is the one to deploy by. The push leaves no token behind, and a login of yours stays."""
    uri = pushing.run()[0].strip()
    [tag] = ecr.pushed(pushing.image).keys() - {"latest"}
    subprocess.run(
        ["docker", "image", "rm", "--force", pushing.image, f"{HOST}/{pushing.image}:{tag}"],
        check=True,
        capture_output=True,
    )
    assert "auth" not in json.loads((pushing.home / ".docker/config.json").read_text()).get("auths", {}).get(HOST, {})
    log_in = ["docker", "login", "--username", "AWS", "--password-stdin", HOST]
    subprocess.run(log_in, input=ecr.token.encode(), check=True, capture_output=True, env=pushing.env)
    subprocess.run(["docker", "pull", uri], check=True, capture_output=True, env=pushing.env)
    facts = subprocess.run(["docker", "inspect", uri], check=True, capture_output=True, text=True).stdout
    assert json.loads(facts)[0]["Config"]["Entrypoint"] == ["python3", "-m", "serving"]
    subprocess.run(["docker", "image", "rm", "--force", uri], check=True, capture_output=True)
    pushing.run()
    assert "auth" in json.loads((pushing.home / ".docker/config.json").read_text())["auths"][HOST]


def test_another_model_gets_another_tag_and_latest_moves(pushing: Kit, ecr: Ecr):
    """Every image keeps a tag of its own, so that an endpoint can go back to it."""
    pushing.run()
    before = ecr.pushed(pushing.image)
    pushing.write("model/model.pkl", "another model")
    out, _ = pushing.run()
    after = ecr.pushed(pushing.image)
    assert after.pop("latest") == out.strip().partition("@")[2] != before.pop("latest")
    assert before.items() < after.items()


def test_tag_comes_from_git_when_there_is_git(pushing: Kit, ecr: Ecr):
    """git describe, and whether something was not committed, make the first half of the tag."""
    git = ["git", "-C", str(pushing.root), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"], ["tag", "v1/é+2"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    pushing.run()
    assert any(re.fullmatch(r"v1-+2-[0-9a-f]{12}", tag) for tag in ecr.pushed(pushing.image))
    pushing.write("model/model.pkl", "not committed")
    pushing.run()
    assert any("-dirty-" in tag for tag in ecr.pushed(pushing.image))


@pytest.mark.parametrize("builder", ["legacy", "buildkit"])
def test_graviton_gets_a_pure_arm64_image(pushing: Kit, ecr: Ecr, builder: str):
    """--platform linux/arm64 pushes one manifest whose configuration says arm64."""
    if builder == "buildkit":
        pushing.use_buildx()
    pushing.run("--platform", "linux/arm64")
    manifest = ecr.manifest(pushing.image, ecr.pushed(pushing.image)["latest"]).json()
    assert manifest["mediaType"] == DOCKER_V2
    assert ecr.blob(pushing.image, manifest["config"]["digest"])["architecture"] == "arm64"


def test_a_new_repository_as_the_options_say(pushing: Kit, ecr: Ecr):
    """--immutable, --kms-key, --no-scan and --keep-untagged shape the repository that is made."""
    pushing.run(
        "--immutable", "--kms-key", "arn:aws:kms:us-east-1:123456789012:key/1", "--no-scan", "--keep-untagged", "3"
    )
    (repository,) = ecr.api.describe_repositories(repositoryNames=[pushing.image])["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": False}
    assert repository["encryptionConfiguration"] == {
        "encryptionType": "KMS",
        "kmsKey": "arn:aws:kms:us-east-1:123456789012:key/1",
    }
    assert '"countNumber":3' in ecr.api.get_lifecycle_policy(repositoryName=pushing.image)[
        "lifecyclePolicyText"
    ].replace(" ", "")
    assert "latest" not in ecr.pushed(pushing.image)


def test_immutable_tags(pushing: Kit, ecr: Ecr):
    """Where tags cannot be moved each image gets its own, and a tag that is taken is refused with the way out."""
    ecr.api.create_repository(repositoryName=pushing.image, imageTagMutability="IMMUTABLE")
    first, _ = pushing.run("--tag", "v1")
    again, err = pushing.run("--tag", "v1")
    assert (again, "Nothing to push" in err) == (first, True)
    pushing.write("model/model.pkl", "another model")
    _, err = pushing.run("--tag", "v1", expect=7)
    assert "the tag v1 belongs to another image" in err
    assert "leave it out" in err
    pushing.run()
    assert len(ecr.pushed(pushing.image)) == 2
    assert "latest" not in ecr.pushed(pushing.image)


def test_latest_moves_where_the_repository_excludes_it_from_immutability(pushing: Kit, ecr: Ecr):
    """IMMUTABLE_WITH_EXCLUSION latest*: the content tag stays, `latest` goes along."""
    ecr.api.create_repository(
        repositoryName=pushing.image,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "latest*"}],
    )
    pushing.run()
    assert "latest" in ecr.pushed(pushing.image)


def test_dry_run_shows_every_command_and_changes_nothing(pushing: Kit, ecr: Ecr):
    """What a dry run shows is what the real run then does."""
    _, shown = pushing.run("--dry-run", "--tag", "v1")
    assert not pushing.local_image()
    assert ecr.api.describe_repositories()["repositories"] == []
    assert not ecr.requests
    assert not (pushing.home / ".docker" / "config.json").exists()
    commands = [shlex.split(line.removeprefix("+ ")) for line in shown.splitlines() if line.startswith("+ ")]
    assert [" ".join(command[:3]) for command in commands if command[0] == "aws"] == [
        "aws sts get-caller-identity", "aws ecr get-authorization-token", "aws ecr describe-repositories",
        "aws ecr get-login-password", "aws ecr create-repository", "aws ecr put-lifecycle-policy", "aws ecr put-image",
    ]  # fmt: skip
    assert all(REGION in command for command in commands if command[0] == "aws")
    _, done = pushing.run("--tag", "v1")
    changing = [line for line in done.splitlines() if line.startswith("+ ")]
    assert set(changing) <= set(shown.splitlines())
    assert {"docker tag", "docker push"} <= {" ".join(shlex.split(line[2:])[:2]) for line in changing}


def test_other_partitions_name_their_own_registry(kit: Kit, ecr: Ecr):
    """Host and repository are AWS's answers, so China's ending needs no rule of ours."""
    host = f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn"
    kit.program(
        "aws",
        f"""case "$*" in
        *get-caller-identity*) printf '{ACCOUNT}\\tarn:aws-cn:iam::{ACCOUNT}:user/li\\n' ;;
        *get-authorization-token*) echo https://{host} ;;
        *describe-repositories*) printf '{host}/{kit.image}\\tMUTABLE\\t\\n' ;;
        esac""",
    )
    out, err = kit.run("--region", "cn-north-1", "--dry-run")
    assert f"--password-stdin {host}\n" in err
    assert out == f"{host}/{kit.image}@DIGEST\n"


def test_the_documented_policy_is_enough(kit: Kit, ecr: Ecr):
    """A user who has push/push-policy.json and nothing else can make the repository and push."""
    kit.aws(ecr, **new_user(ecr, (ROOT / "push" / "push-policy.json").read_text()))
    ecr.enforce_iam()
    kit.run()
    assert "Nothing to push" in kit.run()[1]


# ── what goes wrong ──
def test_a_failed_build_never_pushes_the_older_image(pushing: Kit, ecr: Ecr):
    """Exit 6, and ECR is as it was."""
    pushing.run()
    before = ecr.pushed(pushing.image)
    ecr.requests.clear()
    pushing.write("Dockerfile", DOCKERFILE + "COPY not-there /\n")
    out, err = pushing.run(expect=6)
    assert out == ""
    assert "Nothing was pushed" in err
    assert ecr.writes() == []
    assert ecr.pushed(pushing.image) == before


@pytest.mark.parametrize("builder", ["legacy", "buildkit"])
def test_interrupted_build_leaves_nothing(pushing: Kit, ecr: Ecr, builder: str):
    """Ctrl-C in the build: exit 130, no image, no repository, no file."""
    if builder == "buildkit":
        pushing.use_buildx()
    pushing.write(
        "Dockerfile",
        "FROM python:3.12-slim\n" + f"RUN echo {pushing.image}; echo now-slee''ping; sleep 120\n" + LABEL + ENTRYPOINT,
    )
    process = pushing.start()
    seen = read_until(process, "now-sleeping")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, seen + err
    assert "interrupted. Nothing was built or pushed." in err
    assert out == ""
    pushing.check_manners(out, seen + err)
    assert not pushing.local_image()
    assert ecr.api.describe_repositories()["repositories"] == []
    assert ecr.writes() == []


def test_interrupted_push_can_be_run_again(pushing: Kit, ecr: Ecr):
    """Ctrl-C in the push: exit 130 and no tag; the next run makes it whole."""
    ecr.go_on.clear()
    process = pushing.start()
    assert ecr.uploading.wait(60)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    ecr.go_on.set()
    assert process.returncode == 130, err
    assert "that tag is as it was" in err
    assert ecr.pushed(pushing.image) == {}
    pushing.run()
    assert "latest" in ecr.pushed(pushing.image)


def test_wrong_token(pushing: Kit, ecr: Ecr):
    """The registry does not take the login: exit 7 before anything is built."""
    ecr.token = "another"
    _, err = pushing.run(expect=7)
    assert f"{HOST} refused the login" in err
    assert not pushing.local_image()


def test_a_credential_helper_logs_in_by_itself(pushing: Kit, ecr: Ecr):
    """docker-credential-ecr-login refuses to store a token; that is not a failure."""
    (pushing.home / ".docker").mkdir()
    (pushing.home / ".docker" / "config.json").write_text(json.dumps({"credHelpers": {HOST: "stand-in"}}))
    pushing.program(
        "docker-credential-stand-in",
        f"""case "$1" in
        get) echo '{{"ServerURL":"https://{HOST}","Username":"AWS","Secret":"{TOKEN}"}}' ;;
        *) echo 'not implemented' && exit 1 ;;
        esac""",
    )
    pushing.run()
    assert "latest" in ecr.pushed(pushing.image)


def test_missing_region(kit: Kit, ecr: Ecr):
    """No flag, no variable, no profile: exit 5 and the ways to set it."""
    kit.aws(ecr)
    del kit.env["AWS_REGION"]
    _, err = kit.run(expect=5)
    assert "no region is set" in err
    assert "--region us-east-1" in err


@pytest.mark.parametrize("source", ["flag", "AWS_REGION", "AWS_DEFAULT_REGION", "profile"])
def test_region_from(kit: Kit, source: str):
    """Flag, AWS_REGION, AWS_DEFAULT_REGION, profile: the first that is set wins and is passed to every call."""
    order = ["flag", "AWS_REGION", "AWS_DEFAULT_REGION", "profile"]
    kit.program(
        "aws",
        """case "$*" in
        "configure get region") echo of-profile-1 ;;
        *) echo "called with: $*" >&2 && exit 1 ;;
        esac""",
    )
    set_ones = order[order.index(source) :]
    kit.env |= {name: f"of-{name.lower().replace('_', '-')}-1" for name in set_ones if name.startswith("AWS")}
    options = ["--region", "of-flag-1"] if source == "flag" else []
    _, err = kit.run(*options, expect=5)
    assert f"--region of-{source.lower().replace('_', '-')}-1" in err


@pytest.mark.parametrize(
    "arguments",
    [("--region", "us-east-1|s/x/y/"), ("--bucket", "s3://bucket"), ("--codebuild-role", "arn:aws:iam::1:user/x")],
)
def test_what_goes_into_policies_is_checked_first(kit: Kit, arguments: tuple[str, str]):
    """A region, a bucket or a role that is none is wrong usage: nothing is filled into a policy, nobody is asked."""
    kit.program("aws", "echo called >&2; exit 1")
    _, err = kit.run(*arguments, expect=2)
    assert "called" not in err


CALLING = "An error occurred ({}) when calling the {} operation: {}"
AWS_ERRORS = {
    'Unable to locate credentials. You can configure credentials by running "aws configure".': "aws configure",
    CALLING.format(
        "ExpiredToken", "GetCallerIdentity", "The security token included in the request is expired"
    ): "session has ended",
    "Error when retrieving token from sso: Token has expired and refresh failed": "aws sso login",
    "The config profile (work) could not be found": "aws configure list-profiles",
    CALLING.format(
        "InvalidClientTokenId", "GetCallerIdentity", "The security token included in the request is invalid."
    ): "keys are wrong",
    CALLING.format(
        "AccessDenied",
        "AssumeRole",
        "User: arn:aws:iam::1:user/a is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::2:role/b",
    ): "role that does not exist",
    'Could not connect to the endpoint URL: "https://sts.us-esat-1.amazonaws.com/"': '"us-east-1" the name of a region',
}


@pytest.mark.parametrize("text", AWS_ERRORS, ids=[remedy.replace(" ", "-") for remedy in AWS_ERRORS.values()])
def test_aws_says_no(kit: Kit, text: str):
    """Each way in which AWS does not know the caller has its own remedy, and exit 5."""
    kit.program("aws", f"echo {shlex.quote(text)} >&2; exit 254")
    _, err = kit.run("--region", REGION, expect=5)
    assert AWS_ERRORS[text] in err


def test_reader_without_a_repository(kit: Kit, ecr: Ecr):
    """A user who may only read is told which permission is missing to make the repository."""
    policy = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Resource": "*", "Action": ["ecr:Get*", "ecr:Describe*", "ecr:Batch*"]},
    }
    kit.aws(ecr, **new_user(ecr, json.dumps(policy)))
    ecr.enforce_iam()
    _, err = kit.run(expect=5)
    assert "Ask your administrator for ecr:CreateRepository" in err


def test_reader_with_a_repository(pushing: Kit, ecr: Ecr):
    """A push that ECR denies is exit 7 and names the permission from ECR's own text."""
    ecr.api.create_repository(repositoryName=pushing.image)
    ecr.may_push = False
    _, err = pushing.run(expect=7)
    assert f"you may not push to {HOST}/{pushing.image}" in err
    assert f"./build_and_push.sh sagemaker-{pushing.image}" in err  # the names that a Studio role may push to
    assert "Ask your administrator for ecr:InitiateLayerUpload" in err
    assert ecr.pushed(pushing.image) == {}


@pytest.mark.parametrize("kind", ["manifest", "index"])
def test_a_manifest_of_containerds_image_store_is_repaired(pushing: Kit, ecr: Ecr, kind: str):
    """Docker 29 pushes OCI's types: the manifest is written anew with Docker's, for `latest` too; no layer is sent."""
    ecr.manifest_type = f"application/vnd.oci.image.{kind}.v1+json"
    out, err = pushing.run()
    assert "its manifest is written anew" in err
    tags = ecr.pushed(pushing.image)
    assert out.strip().endswith(tags["latest"])
    [served] = [image for image in ecr.books.repositories[pushing.image].images if "latest" in image.image_tags]
    assert served.image_manifest_media_type == DOCKER_V2
    assert "vnd.oci" not in served.image_manifest
    assert json.loads(served.image_manifest)["mediaType"] == DOCKER_V2
    assert len(served.image_tags) == 2
    ecr.api.batch_delete_image(repositoryName=pushing.image, imageIds=[{"imageTag": "latest"}])
    again, err = pushing.run()
    assert (again, ecr.pushed(pushing.image)["latest"]) == (out, out.strip().partition("@")[2])
    assert "is there already" in err


def test_an_index_without_an_image_for_the_platform_is_named(pushing: Kit, ecr: Ecr, monkeypatch):
    """What cannot be repaired is refused with the reason, and no manifest is made up."""
    ecr.manifest_type = "application/vnd.oci.image.index.v1+json"
    monkeypatch.setattr(
        ecr, "as_oci", lambda name, text: ('{"schemaVersion": 2, "manifests": []}', "sha256:" + "0" * 64)
    )
    _, err = pushing.run(expect=8)
    assert "It could not be written anew: its index names no image for linux/amd64" in err
    assert "latest" not in ecr.pushed(pushing.image)


def test_a_manifest_that_cannot_be_repaired(pushing: Kit, ecr: Ecr):
    """Tags that cannot be moved: exit 8, the remedy that fits the engine, and `latest` stays where it was."""
    ecr.manifest_type = "application/vnd.oci.image.manifest.v1+json"
    _, err = pushing.run("--immutable", expect=8)
    assert "is of type application/vnd.oci.image.manifest.v1+json, which SageMaker refuses" in err
    assert "containerd" in err
    assert "latest" not in ecr.pushed(pushing.image)


@pytest.mark.parametrize(
    ("dockerfile", "options", "complaint"),
    [
        ("FROM scratch\nCOPY model /\n" + LABEL, (), "no ENTRYPOINT"),
        ("FROM scratch\nCOPY model /\n" + LABEL + "ENTRYPOINT python3 -m serving\n", (), "in shell form"),
        ("FROM scratch\nCOPY model /\n" + LABEL + 'ENTRYPOINT ["/usr/bin/tini", "--"]\n', (), "is tini"),
        ("FROM scratch\nCOPY model /\n" + ENTRYPOINT, (), "no label"),
        (DOCKERFILE, ("--", "--platform", "linux/arm64"), "for linux/arm64, not for linux/amd64"),
    ],
    ids=["no-entrypoint", "shell-form", "tini", "no-label", "architecture"],
)
def test_an_image_that_sagemaker_could_not_run(
    pushing: Kit, ecr: Ecr, dockerfile: str, options: tuple[str, ...], complaint: str
):
    """Exit 6 with the line to put into the Dockerfile, before ECR is touched."""
    pushing.write("Dockerfile", dockerfile)
    _, err = pushing.run(*options, expect=6)
    assert complaint in err
    assert ecr.api.describe_repositories()["repositories"] == []


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda kit: (kit.root / "model/model.pkl").unlink(), "model/model.pkl is missing"),
        (lambda kit: kit.write("model/model.pkl", ""), "model/model.pkl is empty"),
        (
            lambda kit: kit.write("model/model.pkl", "version https://git-lfs.github.com/spec/v1\noid sha256:1"),
            "git lfs pull",
        ),
        (lambda kit: (kit.root / "Dockerfile").unlink(), "no Dockerfile"),
        (lambda kit: two_models(kit), "more than one model: model.joblib and model.pkl"),
    ],
    ids=["missing", "empty", "lfs", "dockerfile", "two"],
)
def test_files_are_checked_before_anything_slow(kit: Kit, damage: Callable[[Kit], None], complaint: str):
    """Exit 3 before AWS or the engine is asked anything."""
    for program in ("aws", "docker"):
        kit.program(program, f"echo {program} was called >&2; exit 99")
    damage(kit)
    _, err = kit.run("--region", REGION, expect=3)
    assert complaint in err
    assert "was called" not in err


def two_models(kit: Kit) -> None:
    """Which is meant the server's own rule decides, if it can be asked."""
    shutil.copytree(ROOT / "model/serving", kit.root / "model/serving", ignore=shutil.ignore_patterns("__pycache__"))
    kit.write("model/model.joblib", "another model")


def test_load_model_needs_no_pickle(kit: Kit):
    """A predictor.py that loads the model itself is trusted to know where it is."""
    (kit.root / "model/model.pkl").unlink()
    kit.write("model/predictor.py", "def load_model(model_dir): ...")
    kit.program("aws", "exit 1")
    kit.run("--region", REGION, expect=5)


def test_engine_that_does_not_answer(pushing: Kit):
    """Exit 4, how to start it, and the way without an engine."""
    pushing.env["DOCKER_HOST"] = "tcp://127.0.0.1:1"
    _, err = pushing.run(expect=4)
    assert "docker does not answer" in err
    assert "--codebuild" in err


def test_engine_that_is_not_there(pushing: Kit):
    """Exit 4 with the way without an engine."""
    _, err = pushing.run("--engine", "finch", expect=4)
    assert "there is no finch here" in err
    assert "--codebuild" in err


def test_full_disk(pushing: Kit):
    """Exit 4 before the build when there is no room for an image."""
    pushing.program(
        "df", "printf 'Filesystem 1024-blocks Used Available Capacity Mounted\\n/dev/vda 9 9 102400 99%% /\\n'"
    )
    _, err = pushing.run(expect=4)
    assert "only 100 MB are free" in err
    assert not pushing.local_image()


@pytest.mark.parametrize("name", ["A", "my_Model", "a", "model:latest", "team//model", "model/", "a model", "é"])
def test_names_that_ecr_refuses(kit: Kit, name: str):
    """Exit 2 with a name that would do."""
    kit.image = name
    _, err = kit.run(expect=2)
    assert "cannot be the name of an ECR repository" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nonsense",),
        ("--region",),
        ("--platform", "windows/amd64"),
        ("second",),
        ("--tag", "a b"),
        ("--keep-untagged", "-1"),
    ],
    ids=" ".join,
)
def test_wrong_usage(kit: Kit, arguments: tuple[str, ...]):
    """Exit 2 without asking anybody."""
    kit.program("aws", "exit 99")
    kit.run(*arguments, expect=2)


# ── without a container engine ──
@pytest.fixture
def codebuild(pushing: Kit, ecr: Ecr) -> Iterator[CodeBuild]:
    """CodeBuild with a machine that has Docker; the kit's own has none."""
    with codebuild_double.running(ecr, dict(pushing.env)) as (codebuild, address):
        for program in ("docker", "podman", "finch"):
            pushing.program(program, f"echo {program} was called >&2; exit 99")
        machine = pushing.home / "machine"
        machine.mkdir()
        shutil.copy(pushing.bin / "aws", machine)
        codebuild.env["TMPDIR"] = str(machine)
        codebuild.env["PATH"] = codebuild.env["PATH"].replace(str(pushing.bin), str(machine))
        pushing.program("sleep", "exec /bin/sleep 0.2")
        pushing.env["AWS_ENDPOINT_URL_CODEBUILD"] = address
        yield codebuild


def test_codebuild_builds_and_pushes(pushing: Kit, ecr: Ecr, codebuild: CodeBuild):
    """The same script runs in CodeBuild, its log is shown, its URI comes back; the second run finds all in place."""
    pushing.write(".dockerignore", "*\n!model\n**/.env*\n**/*.pem \n")
    for name in ("secret.txt", "model/.env", "model/.env.local", "model/deep/own.pem", "push/.env"):
        pushing.write(name, "stays here")
    pushing.write("model/environment.pem.txt", "is sent")
    out, err = pushing.run("--codebuild", "--tag", "v1", "--no-scan")
    assert out == f"{HOST}/{pushing.image}@{ecr.pushed(pushing.image)['latest']}\n"
    assert ecr.pushed(pushing.image).keys() == {"v1", "latest"}
    assert ecr.manifest(pushing.image, "v1").headers["Content-Type"] == DOCKER_V2
    assert "COPY model/ /opt/program" in err, "the log of the build"
    assert "docker was called" not in err
    s3, bucket = ecr.client("s3"), f"sagemaker-{REGION}-{ACCOUNT}"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    (machine,) = ecr.directory.glob("codebuild-*")
    assert {path.name for path in machine.iterdir()} == {
        *("files.tar.gz", "command", "image"),
        *(".dockerignore", "Dockerfile", "build_and_push.sh", "push", "model"),
    }
    sent = {path.name for path in machine.rglob("*")}
    assert "environment.pem.txt" in sent
    assert not sent & {"secret.txt", ".env", ".env.local", "own.pem"}

    again, err = pushing.run("--codebuild", "--tag", "v1", "--no-scan")
    assert again == out
    assert "codebuild update-project" in err
    assert "iam create-role" not in err
    assert "Nothing to push" in err


def test_codebuild_role_may_push_this_image_only(pushing: Kit, ecr: Ecr, codebuild: CodeBuild):
    """The role's policies name this repository, this log and these files; CodeBuild of this account alone may be it."""
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
    pushing.run("--codebuild", "--platform", "linux/arm64", "--permissions-boundary", boundary)
    (project,) = ecr.client("codebuild").list_projects()["projects"]
    (details,) = ecr.client("codebuild").batch_get_projects(names=[project])["projects"]
    assert (details["environment"]["type"], details["environment"]["privilegedMode"]) == ("ARM_CONTAINER", True)
    iam = ecr.client("iam")
    role = iam.get_role(RoleName=project)["Role"]
    assert details["serviceRole"] == role["Arn"]
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:codebuild:*:{ACCOUNT}:project/{project}"},
    }
    policies = [
        iam.get_role_policy(RoleName=project, PolicyName=name)
        for name in iam.list_role_policies(RoleName=project)["PolicyNames"]
    ]
    statements = [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]
    resources = {statement["Sid"]: statement["Resource"] for statement in statements}
    assert resources == {
        "LogIn": "*",
        "MakeAndFillThisRepository": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{pushing.image}",
        "WriteItsLog": [
            f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/codebuild/{project}{end}" for end in ("", ":*")
        ],
        "ReadItsFiles": f"arn:aws:s3:::sagemaker-{REGION}-{ACCOUNT}/build_and_push/{pushing.image}/*",
        "FindItsFiles": f"arn:aws:s3:::sagemaker-{REGION}-{ACCOUNT}",
        "KnowTheBucket": f"arn:aws:s3:::sagemaker-{REGION}-{ACCOUNT}",
    }
    conditions = {statement["Sid"]: statement.get("Condition", {}) for statement in statements}
    assert conditions["FindItsFiles"]["StringLike"] == {"s3:prefix": f"build_and_push/{pushing.image}/*"}
    for sid in ("ReadItsFiles", "FindItsFiles", "KnowTheBucket"):
        assert conditions[sid]["StringEquals"] == {"aws:ResourceAccount": ACCOUNT}


def test_codebuild_failure(pushing: Kit, ecr: Ecr, codebuild: CodeBuild):
    """A build that fails there is exit 6 here, with its reason in the log; nothing is pushed, no file stays in S3."""
    pushing.write("Dockerfile", DOCKERFILE.replace(ENTRYPOINT, ""))
    out, err = pushing.run("--codebuild", expect=6)
    assert "no ENTRYPOINT" in err
    assert "ended as FAILED" in err
    assert out == ""
    assert ecr.api.describe_repositories()["repositories"] == []
    assert "Contents" not in ecr.client("s3").list_objects_v2(Bucket=f"sagemaker-{REGION}-{ACCOUNT}")


def test_codebuild_files_that_were_changed(pushing: Kit, ecr: Ecr, codebuild: CodeBuild):
    """Who may write to the bucket cannot change what is built: its digest came with the call."""
    codebuild.tampered = ["files.tar.gz"]
    pushing.run("--codebuild", expect=6)
    assert "kit" not in ecr.books.repositories


def test_codebuild_that_does_not_answer(pushing: Kit, ecr: Ecr, codebuild: CodeBuild):
    """Some polls that fail do not end the build; when none is answered the build is stopped, and that is said."""
    pushing.program("sleep", "exec /bin/sleep 0.05")
    pushing.env["AWS_MAX_ATTEMPTS"] = "1"
    codebuild.unanswered = 3
    pushing.run("--codebuild")
    codebuild.unanswered = 99
    _, err = pushing.run("--codebuild", expect=5)
    assert "The build was stopped." in err
    assert len(codebuild.stopped) == 1


def test_codebuild_whose_start_is_not_answered(pushing: Kit, ecr: Ecr, codebuild: CodeBuild):
    """The CLI tries again, and it is the same build; where no answer comes at all the way to look is told."""
    codebuild.lost = 1
    pushing.run("--codebuild")
    assert len(codebuild.builds) == 1
    codebuild.lost = 99
    pushing.env["AWS_MAX_ATTEMPTS"] = "1"
    _, err = pushing.run("--codebuild", expect=5)
    assert "aws codebuild list-builds-for-project --project-name build-and-push-" in err


def test_codebuild_interrupted(pushing: Kit, ecr: Ecr, codebuild: CodeBuild):
    """Ctrl-C stops the build in CodeBuild, and no file stays in S3."""
    pushing.write(
        "Dockerfile", "FROM python:3.12-slim\n" + f"RUN echo {pushing.image}; sleep 120\n" + LABEL + ENTRYPOINT
    )
    process = pushing.start("--codebuild")
    seen = read_until(process, "its log:")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, seen + err
    assert "The build in CodeBuild was stopped." in err
    pushing.check_manners(out, seen + err)
    assert len(codebuild.stopped) == 1
    assert "Contents" not in ecr.client("s3").list_objects_v2(Bucket=f"sagemaker-{REGION}-{ACCOUNT}")


PRIVATE = "https://someone:correct-horse-battery@127.0.0.1/simple"
TWO_STAGES = DOCKERFILE.replace(
    "FROM scratch\n",
    "FROM python:3.12-slim AS packages\nARG PIP_EXTRA_INDEX_URL\n"
    'RUN printf %s "$PIP_EXTRA_INDEX_URL" | sha256sum | cut -c 1-64 >/seen\n'
    "FROM python:3.12-slim\nCOPY --from=packages /seen /seen\n",
)


def seen_by_the_build(kit: Kit) -> str:
    show = ["docker", "run", "--rm", "--entrypoint", "cat", kit.image, "/seen"]
    return subprocess.run(show, capture_output=True, text=True, check=True).stdout.strip()


def test_codebuild_takes_a_pip_conf_from_secrets_manager(pushing: Kit, ecr: Ecr, codebuild: CodeBuild):
    """The password reaches the step that installs, and neither the files in S3, the log, the call nor the image."""
    assert TWO_STAGES != DOCKERFILE
    pushing.write("Dockerfile", TWO_STAGES)
    secrets = ecr.client("secretsmanager")
    secrets.create_secret(Name="our-pip-conf", SecretString=f"[global]\nextra-index-url = {PRIVATE}\n")
    out, err = pushing.run("--codebuild", "--pip-secret", "our-pip-conf")
    assert "correct-horse" not in out + err
    assert seen_by_the_build(pushing) == hashlib.sha256(PRIVATE.encode()).hexdigest()
    history = subprocess.run(["docker", "history", "--no-trunc", pushing.image], capture_output=True, text=True)
    assert "correct-horse" not in history.stdout
    files = [path for path in ecr.directory.glob("codebuild-*/**/*") if path.is_file()]
    assert files
    assert not [path for path in files if b"correct-horse" in path.read_bytes()]
    (project,) = ecr.client("codebuild").list_projects()["projects"]
    (name,) = [
        n
        for n in ecr.client("iam").list_role_policies(RoleName=project)["PolicyNames"]
        if n.startswith("secret-policy")
    ]
    policy = ecr.client("iam").get_role_policy(RoleName=project, PolicyName=name)["PolicyDocument"]
    assert policy["Statement"][0]["Resource"] == f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:our-pip-conf-??????"


def test_codebuild_takes_an_index_without_a_password(pushing: Kit, codebuild: CodeBuild):
    """It goes with the call. One with a password is refused, before anything is made, with the way to do it."""
    pushing.write("Dockerfile", TWO_STAGES)
    pushing.env["PIP_EXTRA_INDEX_URL"] = "https://127.0.0.1/simple"
    pushing.run("--codebuild")
    assert seen_by_the_build(pushing) == hashlib.sha256(b"https://127.0.0.1/simple").hexdigest()
    pushing.env["PIP_EXTRA_INDEX_URL"] = PRIVATE
    _, err = pushing.run("--codebuild", expect=2)
    assert "--pip-secret NAME" in err
    assert "correct-horse" not in err
    _, err = pushing.run("--pip-secret", "x", expect=2)
    assert "PIP_CONFIG_FILE" in err


def test_codebuild_dry_run(pushing: Kit, ecr: Ecr, codebuild: CodeBuild):
    """A dry run makes no bucket, role, project or build."""
    _, err = pushing.run("--codebuild", "--dry-run")
    for command in (
        "s3api create-bucket",
        "s3 cp",
        "iam create-role",
        "codebuild create-project",
        "codebuild start-build",
        "s3 rm",
    ):
        assert f"+ aws {command}" in err
    assert ecr.client("s3").list_buckets()["Buckets"] == []
    assert ecr.client("iam").list_roles()["Roles"] == []
    assert not codebuild.builds


def test_bucket_of_somebody_else(pushing: Kit, ecr: Ecr, codebuild: CodeBuild):
    """A bucket of the expected name that belongs to another account gets no file."""
    pushing.env["PATH"] = f"{pushing.bin}:{pushing.env['PATH']}"
    real = (pushing.bin / "aws").rename(pushing.bin / "aws-real")
    pushing.program(
        "aws",
        f"""case "$*" in
        *head-bucket*) echo 'An error occurred (403) when calling the HeadBucket operation: Forbidden' >&2; exit 254 ;;
        *) exec {real} "$@" ;;
        esac""",
    )
    _, err = pushing.run("--codebuild", expect=5)
    assert "is not yours" in err


# ── the script itself ──
def test_help_is_the_head_comment(kit: Kit):
    """--help names every option and every exit code that the code knows."""
    out, _ = kit.run("--help")
    source = "\n".join(path.read_text() for path in SCRIPTS)
    code = source.partition("set -euo pipefail")[2]
    for option in set(re.findall(r"^\s+(--[a-z-]+)\) [a-z_]+=", code, re.M)) | {
        "--dry-run",
        "--immutable",
        "--codebuild",
        "--no-scan",
    }:
        assert option in out
    for status in set(re.findall(r"\bfail (\d+) ", code)) | {"130", "143"}:
        assert re.search(rf"(^|\s|: ?|\(){status}\b", out), status
    assert out.startswith("Usage: ./build_and_push.sh <image_name>")


def test_nothing_newer_than_bash_3_2():
    """macOS has bash 3.2 and BSD tools."""
    newer = (
        r"\b(mapfile|readarray|coproc)\b|declare -[Ag]|local -n|\$\{[^}]*(,,|\^\^)\}|\$\{\w+@|&>>|\|&|;;?&"
        r"|\bwait -n|\$EPOCH|printf '%\(|sed -i|readlink -f|realpath|date -d|grep -P|\{\w+\[-1\]"
    )
    for path in SCRIPTS:
        assert not re.findall(f".*(?:{newer}).*", path.read_text())


# ── helpers ──
def new_user(ecr: Ecr, policy: str) -> dict[str, str]:
    """The keys of a user of moto's IAM who has this policy. Moto compares actions, not resources."""
    iam = ecr.client("iam")
    iam.create_user(UserName="pusher")
    policy = re.sub(r'"Resource": "[^"]*"', '"Resource": "*"', policy)
    iam.put_user_policy(UserName="pusher", PolicyName="push", PolicyDocument=policy)
    key = iam.create_access_key(UserName="pusher")["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def read_until(process: subprocess.Popen, text: str, seconds: float = 60) -> str:
    seen = ""
    deadline = time.monotonic() + seconds
    while text not in seen:
        line = process.stderr.readline()
        assert line, seen
        assert time.monotonic() < deadline, seen
        seen += line
    return seen
