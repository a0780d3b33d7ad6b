"""`train`, as a training job runs it."""

import json
import stat
from contextlib import suppress

import pytest

from .conftest import not_offered, training_tree
from .targets import Image

remedy = pytest.mark.remedy
FAILURE = "Catch everything in train, write the reason to /opt/ml/output/failure, exit non-zero."


def failure_of(base):
    path = base / "output/failure"
    return path.read_text() if path.is_file() else ""


@pytest.fixture
def succeeded(trained):
    if trained.code != 0:
        not_offered(f"train ends with {trained.code} on the input given (--input): {failure_of(trained.base)[:120]}")
    return trained


@remedy("Read only what is there: all values of hyperparameters are strings, and every file is optional.")
def test_with_input(trained):
    """With hyperparameters and a channel `train` exits with 0, or says in /opt/ml/output/failure why not. [your-algorithms-training-algo-running-container]"""
    assert trained.code == 0 or failure_of(trained.base), f"exit code {trained.code}: {trained.output[-200:]}"


@remedy("Write the artifact to /opt/ml/model.")
def test_model_is_written(succeeded):
    """What is to be deployed lies in /opt/ml/model at the end. [your-algorithms-training-algo-output]"""
    if not any((succeeded.base / "model").iterdir()):
        raise AssertionError("/opt/ml/model is empty after `train`")


@remedy("Remove /opt/ml/output/failure when the job succeeds, or never write it.")
def test_no_failure_on_success(succeeded):
    """A job that succeeds leaves no failure file. [your-algorithms-training-algo-output]"""
    assert not failure_of(succeeded.base)


@remedy("Copy files, do not link them: the archive must hold no symbolic links.")
def test_no_links(succeeded):
    """The artifact holds no symbolic links. [hosting-faqs]"""
    links = [path.name for path in (succeeded.base / "model").rglob("*") if path.is_symlink()]
    assert not links, f"links: {links}"


@remedy("Make the artifact readable for all (chmod a+rX): it is served by another user.")
def test_readable_by_others(succeeded):
    """The artifact can be read by the user that serves it, which need not be the one that trained it. [serverless-endpoints]"""
    closed = [p.name for p in (succeeded.base / "model").rglob("*") if not p.stat().st_mode & stat.S_IROTH]
    assert not closed, f"not readable by others: {closed}"


@remedy("Take the artifact that train writes as the one that serve reads.")
def test_what_was_trained_serves(succeeded, server, answered):
    """The artifact that `train` has written is served from a read-only /opt/ml/model. [your-algorithms-inference-code]"""
    assert answered.status == 200


@remedy("Do without channels: InputDataConfig is optional. If you need data, fail and say so in the failure file.")
def test_without_input(target, tmp_path, trained):
    """Without any input channel `train` exits with 0, or says in /opt/ml/output/failure what is missing. [API_CreateTrainingJob]"""
    base = training_tree(tmp_path, None)
    done = target.train(base)
    assert done.code == 0 or failure_of(base), f"exit code {done.code}: {done.output[-200:]}"


CONFIGURATION = {
    "hyperparameters.json": {"n_estimators": "100", "name": '"quoted"', "flag": "true", "nested": '{"a": [1]}'},
    "inputdataconfig.json": {
        "training": {
            "ContentType": "text/csv",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    },
    "resourceconfig.json": {
        "current_host": "algo-1",
        "current_instance_type": "ml.m5.large",
        "hosts": ["algo-1", "algo-2"],
        "network_interface_name": "eth0",
    },
}


def configured(base):
    for name, content in CONFIGURATION.items():
        (base / "input/config").mkdir(exist_ok=True)
        (base / "input/config" / name).write_text(json.dumps(content))
    return base


@pytest.fixture(scope="session")
def attempt(target, training_input, tmp_path_factory):
    """Trains under one condition and expects 0. What works under all conditions together is not tried one by one."""
    base = configured(training_tree(tmp_path_factory.mktemp("strict"), training_input))
    docker = isinstance(target, Image)
    flags = ["--network", "none", "-v", f"{base / 'input'}:/opt/ml/input:ro"] if docker else []
    together = target.train(base, flags).code == 0

    def tried(tree, flags=()):
        if not together:
            done = target.train(tree, flags)
            assert done.code == 0, f"exit code {done.code}: {done.output[-200:]}"

    return tried


@remedy("Read configuration files if they are there, and ignore keys that you do not know.")
def test_all_configuration_files(tmp_path, training_input, succeeded, attempt):
    """With every configuration file that the platform writes, all hyperparameters strings, `train` works as before. [your-algorithms-training-algo-running-container]"""
    attempt(configured(training_tree(tmp_path, training_input)))


@remedy("Fetch nothing in train; data comes through channels.")
def test_without_network(image, tmp_path, training_input, succeeded, attempt):
    """With network isolation `train` works without any network. [mkt-algo-model-internet-free]"""
    attempt(training_tree(tmp_path, training_input), ["--network", "none"])


@remedy("Treat channels as read-only (FastFile mounts are).")
def test_read_only_channels(image, tmp_path, training_input, succeeded, attempt):
    """Channels are read-only in FastFile mode: `train` writes nothing to /opt/ml/input. [your-algorithms-training-algo-running-container]"""
    base = training_tree(tmp_path, training_input)
    attempt(base, ["-v", f"{base / 'input'}:/opt/ml/input:ro"])


@pytest.fixture(scope="module")
def failed(target, tmp_path_factory, training_input, trained):
    """A job that cannot succeed: something that is not a directory stands where the artifact must go."""
    if trained.code != 0:
        return trained
    base = training_tree(tmp_path_factory.mktemp("failed"), training_input)
    (base / "model").rmdir()
    (base / "model").write_text("not a directory")
    done = target.train(base)
    done.base = base
    return done


@remedy("Exit non-zero when the artifact could not be written.")
def test_failure_is_an_exit_code(failed):
    """A job that fails exits with a code other than 0. [your-algorithms-training-signal-success-failure]"""
    assert failed.code not in (0, -1), f"exit code {failed.code}"


@remedy(FAILURE)
def test_failure_file(failed):
    """A job that fails writes its reason to /opt/ml/output/failure, from where it becomes FailureReason. [your-algorithms-training-algo-output]"""
    assert failure_of(failed.base).strip(), "there is no failure file"


@remedy("Begin with the cause: only the first 1024 characters are shown.")
def test_failure_begins_with_the_cause(failed):
    """The reason stands in the first 1024 characters of the failure file. [your-algorithms-training-algo-output]"""
    start = failure_of(failed.base)[:1024]
    assert "rror" in start or "model" in start, f"it begins: {start[:120]!r}"


@remedy("Handle SIGTERM in train and end; an exec-form entrypoint lets it arrive.")
def test_sigterm_ends_training(launch, dispatching, artifact):
    """SIGTERM ends a training job within 120 s. [your-algorithms-training-algo-dockerfile]"""
    started = launch(ready=False, arguments=("train",), model=None)
    if started.exit_code() is None:
        with suppress(AssertionError):  # it has ended by itself in between
            started.signal("TERM")
    code = started.wait_exit(120)
    assert code is not None, "it still runs 120 s after SIGTERM"
    assert code != 137, "it was killed"


@remedy("Let the entrypoint be an ordinary program that takes `train` as its argument.")
def test_entrypoint_can_be_overridden(image, target, tmp_path, training_input, succeeded):
    """ContainerEntrypoint and ContainerArguments replace entrypoint and argument: given the image's own, they do the same. [your-algorithms-training-algo-dockerfile]"""
    entrypoint = image.config.get("Entrypoint") or []
    if not entrypoint:
        not_offered("the image has no ENTRYPOINT: `train` is found on the PATH")
    base = training_tree(tmp_path, training_input)
    done = target.train(base, ["--entrypoint", entrypoint[0]], [*entrypoint[1:], "train"])
    assert done.code == 0, f"exit code {done.code}: {done.output[-200:]}"
