"""Multi-model endpoints: models that are loaded and unloaded while the container runs."""

import json
import shutil

import pytest

from .conftest import not_offered
from .wire import InParallel

remedy = pytest.mark.remedy
LABEL = "com.amazonaws.sagemaker.capabilities.multi-models"


@pytest.fixture(scope="module")
def models(request, target, artifact, tmp_path_factory):
    """A server as a multi-model endpoint starts it, with two models on disk and none loaded."""
    given, an_image = request.config.getoption("--multi-model"), hasattr(target, "labels")
    if an_image and target.labels.get(LABEL) != "true":
        not_offered(f"the image has no label {LABEL}=true")
    if not an_image and not given:
        not_offered("a program has no labels: say by --multi-model DIR that it takes several models")
    source = given or artifact
    if source is None:
        not_offered("no model directory to load: give one with --multi-model")
    root = tmp_path_factory.mktemp("models")
    root.chmod(0o755)
    for name in ("first", "second"):
        shutil.copytree(source, root / name / "model")
    (root / "corrupt/model").mkdir(parents=True)
    for path in (root / "first/model").rglob("*"):
        if path.is_file():
            (root / "corrupt/model" / path.name).write_bytes(b"this is not a model\n")
    flags = ["-v", f"{root}:/opt/ml/models:ro"] if an_image else []
    # a program that runs without a container may ask where its models are, since they are not in /opt/ml/models
    where = {} if an_image else {"MODEL_SERVER_MODELS_DIR": str(root)}
    started = target.serve(env={"SAGEMAKER_MULTI_MODEL": "true", **where}, flags=flags)
    started.models = "/opt/ml/models" if an_image else str(root)
    try:
        yield started.wait_ready()
    finally:
        started.close()


def load(models, name, folder=None):
    body = json.dumps({"model_name": name, "url": f"{models.models}/{folder or name}/model"}).encode()
    return models.request("POST", "/models", body, {"Content-Type": "application/json"})


def ask(models, name, payload):
    headers = {"Content-Type": payload.content_type, "X-Amzn-SageMaker-Target-Model": f"{name}.tar.gz"}
    return models.request("POST", f"/models/{name}/invoke", payload.body, headers)


def unload(models, name):
    return models.request("DELETE", f"/models/{name}")


@pytest.fixture
def loaded(models):
    """The model `first`, loaded; unloaded afterwards."""
    reply = load(models, "first")
    assert reply.status == 200, str(reply)
    yield models
    unload(models, "first")


@remedy("Set the label only when /models is served.")
def test_label_is_true(models):
    """An image with the label multi-models serves GET /models. [build-multi-model-build-container]"""
    assert models.get("/models").status == 200


@remedy("Answer /ping with 200 when no model is loaded: they come later.")
def test_ping_without_models(models):
    """A multi-model container is healthy before any model is loaded. [mms-container-apis]"""
    assert models.get("/ping").status == 200


@remedy("Load from `url`, answer 200.")
def test_load(loaded):
    """POST /models loads a model and answers 200. [mms-container-apis]"""
    assert loaded.get("/models/first").status == 200


@remedy("Answer 409 for a name that is loaded.")
def test_load_again_is_409(loaded):
    """Loading a model that is loaded is answered with 409. [mms-container-apis]"""
    assert load(loaded, "first").status == 409


@remedy('List what is loaded: {"models": [{"modelName", "modelUrl"}]}.')
def test_list(loaded):
    """GET /models lists each loaded model with modelName and modelUrl. [mms-container-apis]"""
    listed = json.loads(loaded.get("/models").body)["models"]
    assert [(m["modelName"], m["modelUrl"]) for m in listed] == [("first", f"{loaded.models}/first/model")]


@remedy("Answer modelName and modelUrl of the one model.")
def test_describe(loaded):
    """GET /models/NAME answers with its modelName and modelUrl. [mms-container-apis]"""
    found = json.loads(loaded.get("/models/first").body)
    found = found[0] if isinstance(found, list) else found
    assert (found["modelName"], found["modelUrl"]) == ("first", f"{loaded.models}/first/model")


@remedy("Predict with the model that the path names.")
def test_invoke(loaded, payload, answered):
    """POST /models/NAME/invoke predicts as /invocations does. [mms-container-apis]"""
    reply = ask(loaded, "first", payload)
    assert (reply.status, reply.body) == (200, answered.body), str(reply)


@remedy("Tell every worker of a load before it is answered.")
def test_every_worker_knows(loaded, payload):
    """A model that was loaded is served at once by whichever process gets the request. [mms-container-apis]"""
    assert set(InParallel(lambda: ask(loaded, "first", payload), 32).statuses()) == {200}


@remedy("Answer 404 for a model that is not loaded.")
def test_unknown_model_is_404(models, payload):
    """Invoking, describing and unloading a model that is not loaded is answered with 404. [mms-container-apis]"""
    seen = [ask(models, "never", payload).status, models.get("/models/never").status, unload(models, "never").status]
    assert seen == [404, 404, 404]


@remedy("Free the model in every worker before you answer DELETE.")
def test_unload(models, payload):
    """DELETE /models/NAME unloads it everywhere before it is answered with 200. [mms-container-apis]"""
    assert load(models, "second").status == 200
    assert unload(models, "second").status == 200
    assert set(InParallel(lambda: ask(models, "second", payload), 16).statuses()) == {404}


@remedy("Let a load fail alone, with its reason as JSON.")
def test_corrupt_model_fails_alone(loaded, payload):
    """A model that cannot be loaded is refused; those that are loaded go on. [mms-container-apis]"""
    reply = load(loaded, "corrupt")
    assert reply.status >= 400, str(reply)
    assert loaded.get("/models/corrupt").status == 404
    assert ask(loaded, "first", payload).status == 200


@remedy("Take names as opaque strings: the platform's are hashes.")
def test_opaque_names(models, payload):
    """A model's name is opaque: any string that fits into a path. [mms-container-apis]"""
    name = "b7d5f0c4ae" * 6
    assert load(models, name, "first").status == 200
    assert ask(models, name, payload).status == 200
    assert unload(models, name).status == 200


@remedy("Give nextPageToken while there is more, and take it as next_page_token.")
def test_paging(models):
    """GET /models pages by nextPageToken, which is left out at the end. [mms-container-apis]"""
    names = [f"page-{number}" for number in range(5)]
    for name in names:
        assert load(models, name, "first").status == 200
    seen, path = [], "/models?limit=2"
    for _ in range(6):
        page = json.loads(models.get(path).body)
        seen += [m["modelName"] for m in page["models"]]
        if not page.get("nextPageToken"):
            break
        path = f"/models?limit=2&next_page_token={page['nextPageToken']}"
    for name in names:
        unload(models, name)
    assert sorted(seen) == names
