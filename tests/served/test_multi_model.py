"""Several models behind one endpoint, seen from outside: /models of a real server with two workers."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from running import PREDICTORS, Container, Native, Running, wait_until

Serve = Callable[..., Native]
GOOD = b"5.1,3.4,1.5,0.2\n"
MULTI = {
    "SAGEMAKER_MULTI_MODEL": "true",
    "MODEL_SERVER_WORKERS": "2",
    "MODEL_SERVER_MODELS_DIR": tempfile.gettempdir(),
}
X, Y = load_iris(return_X_y=True)


class Client:
    """What the platform asks of a multi-model server."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.http = httpx.Client(timeout=90, limits=httpx.Limits(max_connections=64))

    def load(self, name: str, url: Path | str) -> httpx.Response:
        return self.post({"model_name": name, "url": str(url)})

    def post(self, body: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(f"{self.running.url}/models", content=content)

    def unload(self, name: str) -> httpx.Response:
        return self.http.delete(self.of(name))

    def describe(self, name: str) -> httpx.Response:
        return self.http.get(self.of(name))

    def invoke(self, name: str, body: bytes = GOOD) -> httpx.Response:
        return self.http.post(f"{self.of(name)}/invoke", content=body, headers={"Content-Type": "text/csv"})

    def listed(self, **query: object) -> dict[str, Any]:
        return dict(self.http.get(f"{self.running.url}/models", params=query).json())  # type: ignore[arg-type]

    def of(self, name: str) -> str:
        return f"{self.running.url}/models/{quote(name, safe='')}"

    def at_once(self, count: int, call: Callable[[], httpx.Response]) -> Counter[int]:
        with ThreadPoolExecutor(count) as pool:
            return Counter(answer.status_code for answer in pool.map(lambda _: call(), range(count)))


@pytest.fixture(scope="module")
def shared(nginx: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server for all tests that do it no harm and unload what they load."""
    with Native(tmp_path_factory.mktemp("multi"), **MULTI) as running:
        yield Client(running.until_ready())


@pytest.fixture
def client(shared: Client) -> Iterator[Client]:
    yield shared
    for model in shared.listed()["models"]:
        shared.unload(model["modelName"])


def make_model(directory: Path, model: Any = None, dump: str = "model.joblib", **files: str) -> Path:
    """A model directory as SageMaker extracts it; `predictor="…"` is the text of its predictor.py."""
    path = directory / "model"
    path.mkdir(parents=True)
    if dump.endswith(".joblib"):
        joblib.dump(model if model is not None else always(directory.name), path / dump)
    else:
        (path / dump).write_bytes(pickle.dumps(model))
    for name, text in files.items():
        (path / f"{name}.py").write_text(text)
    return path


def always(label: str) -> DummyClassifier:
    """A model that answers its own name."""
    return DummyClassifier(strategy="constant", constant=label).fit(X, [label] * len(X))


def workers(running: Running) -> list[int]:
    """The pids of gunicorn's workers."""
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    master = next(pid for pid in children if "gunicorn" in Path(f"/proc/{pid}/cmdline").read_text())
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def proportional_memory(pids: list[int]) -> float:
    """MB."""
    texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE).group(1)) for text in texts) / 1024


# ---- the contract ----------------------------------------------------------------------------------------------------


def test_without_a_model_it_is_healthy_and_says_what_to_ask(client: Client) -> None:
    """No model: /ping is 200, nothing is listed, /invocations is a 404 that names the addresses."""
    assert client.running.ping().status_code == 200
    assert client.listed() == {"models": []}
    answer = client.running.post(GOOD)
    assert answer.status_code == 404
    assert "POST /models/NAME/invoke" in answer.json()["error"]["message"]
    unknown = client.http.get(f"{client.running.url}/no-such-path").json()["error"]["message"]
    addresses = unknown.partition("There is: ")[2].rstrip(".").split(", ")
    assert "/models/<name>" in addresses
    assert len(addresses) == len(set(addresses)), addresses


def test_the_life_of_a_model(client: Client, tmp_path: Path) -> None:
    """Loaded, it is listed, described and asked; again is 409; unloaded, it is 404 for every address of it."""
    url = make_model(tmp_path / "iris", LogisticRegression(max_iter=500).fit(X, Y))
    expected = {"modelName": "iris", "modelUrl": str(url)}
    assert client.load("iris", url).status_code == 200
    again = client.load("iris", url)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "model_already_loaded")
    assert client.listed() == {"models": [expected]}
    assert client.describe("iris").json() == expected
    assert client.invoke("iris").text == "0\n"
    assert client.unload("iris").status_code == 200
    for answer in (client.describe("iris"), client.invoke("iris"), client.unload("iris")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_loaded")


def test_what_was_answered_is_true_in_every_worker(client: Client, tmp_path: Path) -> None:
    """At once after a load no request gets a 404, at once after an unload each does, whichever worker has it."""
    url = make_model(tmp_path / "here")
    for _ in range(5):
        assert client.load("here", url).status_code == 200
        assert client.at_once(32, lambda: client.invoke("here")) == {200: 32}
        assert client.unload("here").status_code == 200
        assert client.at_once(32, lambda: client.invoke("here")) == {404: 32}


def test_invoke_is_as_invocations(client: Client, tmp_path: Path) -> None:
    """Types, errors and request ids are those of /invocations, with and without a Content-Length."""
    client.load("iris", make_model(tmp_path / "iris", LogisticRegression(max_iter=500).fit(X, Y)))
    url = f"{client.of('iris')}/invoke"
    as_json = client.http.post(url, json={"instances": [[5.1, 3.4, 1.5, 0.2]]}, headers={"Accept": "application/json"})
    assert as_json.json() == {"predictions": [0]}
    chunked = client.http.post(url, content=iter([GOOD]), headers={"Content-Type": "text/csv"})
    assert (chunked.status_code, chunked.text) == (200, "0\n")
    bad = client.invoke("iris", b"1,2\n")
    assert bad.status_code == 400
    assert bad.json()["error"]["request_id"]
    assert client.http.get(url).status_code == 405


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"not json", "not JSON"),
        (["a", "list"], "model_name"),
        ({"url": "/tmp"}, "model_name"),
        ({"model_name": "", "url": "/tmp"}, "model_name"),
        ({"model_name": "..", "url": "/tmp"}, "model_name"),
        ({"model_name": "a"}, "url"),
        ({"model_name": "a", "url": 7}, "url"),
        ({"model_name": "a", "url": "relative"}, "not a directory"),
        ({"model_name": "a", "url": "/nowhere"}, "not a directory"),
        ({"model_name": "a", "url": "/etc/hostname"}, "not a directory"),
        ({"model_name": "a", "url": "/etc"}, "outside"),
        ({"model_name": "a\nb", "url": "/tmp"}, "U+000A"),
        (b'{"model_name": "\\ud800", "url": "/tmp"}', "U+D800"),
        ({"model_name": "a" * 257, "url": "/tmp"}, "257 characters"),
        (b"[" * 100_000, "not JSON"),
        (b"9" * 5_000, "not JSON"),
        ({"model_name": "a", "url": "/tmp/\0"}, "Expected the model"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_request_to_load_is_told(client: Client, body: Any, said: str) -> None:
    """400, with what is expected; nothing is loaded."""
    answer = client.post(body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request"), answer.text
    assert said in answer.json()["error"]["message"]
    assert client.listed() == {"models": []}


@pytest.mark.parametrize(
    "name",
    ["b7d5f0c4ae" * 20, "a/b", "a/", "/a", "a//b", "a/invoke", "a b?c#d&e=f", "100%", "%2F", "...", "Größe 模型", "\\"],
)
def test_names_are_opaque(client: Client, tmp_path: Path, name: str) -> None:
    """A name is any text, quoted in the address: it is not a path."""
    assert client.load(name, make_model(tmp_path / "some")).status_code == 200
    assert client.describe(name).json()["modelName"] == name
    assert client.invoke(name).text == "some\n"
    assert client.unload(name).status_code == 200
    assert client.listed() == {"models": []}


def test_the_list_has_pages(client: Client, tmp_path: Path) -> None:
    """limit and next_page_token: each model once, although one of the first page is unloaded in between."""
    url = make_model(tmp_path / "some")
    for number in range(5):
        client.load(f"m{number}", url)
    first = client.listed(limit=2)
    client.unload("m0")
    second = client.listed(limit=2, next_page_token=first["nextPageToken"])
    third = client.listed(limit=2, next_page_token=second["nextPageToken"])
    assert "nextPageToken" not in third
    seen = [model["modelName"] for page in (first, second, third) for model in page["models"]]
    assert seen == ["m0", "m1", "m2", "m3", "m4"]
    for query in ({"limit": "0"}, {"limit": "x"}, {"next_page_token": "x"}):
        assert client.http.get(f"{client.running.url}/models", params=query).status_code == 400


def test_what_cannot_serve_fails_alone(client: Client, tmp_path: Path) -> None:
    """A corrupt model: 500 with the diagnosis and no traceback; not listed, may be mended; others go on."""
    logged = len(client.running.log)
    client.load("good", make_model(tmp_path / "good"))
    corrupt = make_model(tmp_path / "corrupt", dump="model.joblib")
    (corrupt / "model.joblib").write_bytes(b"no model")
    missing = make_model(tmp_path / "missing", predictor="import no_such_package\n")
    failing = "def transformation(model, rows):\n    raise RuntimeError('out of order')\n"
    broken = make_model(tmp_path / "broken", LogisticRegression(max_iter=500).fit(X, Y), predictor=failing)
    leaving = make_model(tmp_path / "leaving", predictor="import sys\nsys.exit(3)\n")
    (tmp_path / "empty").mkdir()
    for url, said in (
        (corrupt, "is not a pickle"),
        (missing, "no_such_package, which is not installed"),
        (broken, "the warm-up prediction failed: RuntimeError: out of order"),
        (leaving, "called sys.exit()"),
        (tmp_path / "empty", "has no model.pkl"),
    ):
        answer = client.load("bad", url)
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "model_not_usable"), answer.text
        assert said in answer.json()["error"]["message"]
        assert client.invoke("bad").status_code == 404
        assert client.invoke("good").text == "good\n"
    told = client.running.log[logged:]
    assert told.count("model bad: ") >= 5
    assert "Traceback" not in told, told
    assert "ThreadPoolWorker" not in told
    joblib.dump(always("mended"), corrupt / "model.joblib")
    assert client.load("bad", corrupt).status_code == 200
    assert client.at_once(16, lambda: client.invoke("bad")) == {200: 16}


# ---- what a model may bring ------------------------------------------------------------------------------------------


OWN_PREDICTOR = """\
import helpers

def transformation(model, rows):
    from lazily import suffix  # imported when it is asked, long after it was loaded
    return [helpers.prefix() + str(label) + suffix for label in model.predict(rows)]
"""


def test_each_model_may_have_its_own_predictor(client: Client, tmp_path: Path) -> None:
    """predictor.py and its helpers, of the same names in two models, never meet; a third has the image's."""
    for name in ("one", "two"):
        helpers = f"from deeper import NAME\ndef prefix(): return NAME + '-{name}-'\n"
        url = make_model(
            tmp_path / name, predictor=OWN_PREDICTOR, helpers=helpers, lazily=f"suffix = '-{name}'\n",
            deeper=f"NAME = 'I am {name}'\n",
        )  # fmt: skip
        assert client.load(name, url).status_code == 200
    client.load("three", make_model(tmp_path / "three"))
    for _ in range(8):
        assert client.invoke("one").text == "I am one-one-one-one\n"
        assert client.invoke("two").text == "I am two-two-two-two\n"
        assert client.invoke("three").text == "three\n"


CLASS = """\
class Model:
    n_features_in_ = 4
    def predict(self, rows):
        return [{0!r} + self.word] * len(rows)

def transformation(model, rows):
    return model.predict(rows)
"""

PICKLES = """\
import pickle, sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import predictor
if sys.argv[2] == "__main__":
    from predictor import Model
    Model.__module__ = "__main__"
model = predictor.Model()
model.word = " " + sys.argv[2]
pickle.dump(model, open(sys.argv[1] + "/model.pkl", "wb"))
"""


def test_classes_of_a_pickle_are_found_beside_it(client: Client, tmp_path: Path) -> None:
    """Classes of the same name, pickled from predictor.py or from a notebook: each model has its own."""
    for name, module in (("a", "predictor"), ("b", "predictor"), ("c", "__main__"), ("d", "__main__")):
        url = tmp_path / name
        url.mkdir()
        (url / "predictor.py").write_text(CLASS.format(name))
        subprocess.run([sys.executable, "-c", PICKLES, str(url), module], check=True)
        loaded = client.load(name, url)
        assert loaded.status_code == 200, loaded.text
    for name, module in (("a", "predictor"), ("b", "predictor"), ("c", "__main__"), ("d", "__main__")):
        for _ in range(4):
            assert client.invoke(name).text == f"{name} {module}\n"


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(max_iter=500),
        RandomForestClassifier(10, random_state=0),
        KNeighborsClassifier(),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("compress", [0, 3])
def test_models_from_joblib_files_predict_as_ever(
    client: Client, tmp_path: Path, estimator: Any, compress: int
) -> None:
    """Arrays that are mapped from the file, which makes them read-only, or that cannot be: the same predictions."""
    labels = load_iris().target_names[Y]
    estimator.fit(X, labels)
    url = make_model(tmp_path / "m")
    joblib.dump(estimator, url / "model.joblib", compress=compress)
    assert client.load("m", url).status_code == 200
    body = "".join(",".join(map(repr, row)) + "\n" for row in X.tolist()).encode()
    for _ in range(4):
        assert client.invoke("m", body).text.split() == list(estimator.predict(X))


def test_workers_share_the_pages_of_a_joblib_file(client: Client, tmp_path: Path) -> None:
    """Both workers map the same file: together they hold it once."""
    rows = np.random.default_rng(0).random((1_000_000, 4))
    url = make_model(tmp_path / "wide", KNeighborsClassifier(algorithm="brute").fit(rows, np.arange(len(rows)) % 3))
    assert client.load("wide", url).status_code == 200
    assert client.at_once(16, lambda: client.invoke("wide")) == {200: 16}
    resident, proportional = 0, 0
    for pid in workers(client.running):
        smaps = Path(f"/proc/{pid}/smaps").read_text()
        for mapping in re.findall(rf"{url}/model.joblib\n(?:\w+: .*\n)+", smaps):
            resident += int(re.search(r"^Rss:\s+(\d+)", mapping, re.MULTILINE).group(1))
            proportional += int(re.search(r"^Pss:\s+(\d+)", mapping, re.MULTILINE).group(1))
    size = (url / "model.joblib").stat().st_size / 1024
    assert resident > 1.5 * size, (resident, proportional, size)
    assert proportional < 1.1 * size, (resident, proportional, size)


# ---- memory, life and load -------------------------------------------------------------------------------------------


def test_the_memory_is_given_back_before_the_answer(client: Client, tmp_path: Path) -> None:
    """When DELETE is answered the workers are as large as they were before the load."""
    forest = RandomForestClassifier(30, random_state=0).fit(X, Y)
    forest.ballast = np.random.default_rng(0).random(5_000_000)
    forest.pieces = [os.urandom(2000) for _ in range(10_000)]
    url = make_model(tmp_path / "large", forest, dump="model.pkl")
    client.load("warm", make_model(tmp_path / "warm", RandomForestClassifier(5).fit(X, Y)))
    pids = workers(client.running)
    sizes = [proportional_memory(pids)]
    for asked in (0, 8, 8):
        assert client.load("large", url).status_code == 200
        sizes.append(proportional_memory(pids))
        if asked:
            assert client.at_once(asked, lambda: client.invoke("large")) == {200: asked}
        assert client.unload("large").status_code == 200
        sizes.append(proportional_memory(pids))
    assert min(sizes[1::2]) - sizes[0] > 100, sizes  # 60 MB in each of two workers
    assert max(sizes[2::2]) - sizes[0] < 15, sizes


def test_a_new_worker_serves_what_is_loaded(nginx: None, serve: Serve, tmp_path: Path) -> None:
    """A worker that is killed is replaced: of 20 models none is ever unknown; what it computed is a 502."""
    client = Client(serve(**MULTI).until_ready())
    names = [f"m{number}" for number in range(20)]
    for name in names:
        assert client.load(name, make_model(tmp_path / name)).status_code == 200
    seen: Counter[int] = Counter()
    for _ in range(2):
        victim = workers(client.running)[0]
        os.kill(victim, signal.SIGKILL)
        for _ in range(5):
            with ThreadPoolExecutor(20) as pool:
                answers = list(pool.map(client.invoke, names))
            seen.update(answer.status_code for answer in answers)
            assert all(a.text == f"{name}\n" for name, a in zip(names, answers, strict=True) if a.status_code == 200)
        wait_until(lambda gone=victim: len(workers(client.running)) == 2 and gone not in workers(client.running))
    assert set(seen) <= {200, 502}, seen
    assert seen[200] > 150, seen
    assert client.at_once(32, lambda: client.invoke("m7")) == {200: 32}
    assert client.unload("m7").status_code == 200
    assert client.at_once(32, lambda: client.invoke("m7")) == {404: 32}


def test_a_stuck_model_costs_the_worker_and_no_other_model(nginx: None, serve: Serve, tmp_path: Path) -> None:
    """Its caller gets a 504, the other model answers all the time, and both are there in the new worker."""
    client = Client(serve(**{**MULTI, "MODEL_SERVER_WORKERS": "1", "MODEL_SERVER_TIMEOUT": "3"}).until_ready())
    predictor = (PREDICTORS / "never_returns.py").read_text().replace("rows.iloc", "rows")  # fitted on an array
    forest = RandomForestClassifier(5).fit(X, Y)
    assert client.load("stuck", make_model(tmp_path / "stuck", forest, predictor=predictor)).status_code == 200
    assert client.load("sound", make_model(tmp_path / "sound")).status_code == 200
    [first] = workers(client.running)
    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(client.invoke, "stuck", b"60,3,1,0.2\n")
        while not stuck.done():
            assert client.invoke("sound").text == "sound\n"
    assert stuck.result().status_code == 504
    wait_until(lambda: workers(client.running) and first not in workers(client.running), 60)
    wait_until(lambda: client.invoke("stuck").status_code == 200)
    assert client.invoke("sound").text == "sound\n"


def test_a_load_that_never_returns_is_given_up(nginx: None, serve: Serve, tmp_path: Path) -> None:
    """load_model hangs: the load is answered with an error in time, and others can be loaded afterwards."""
    client = Client(serve(**{**MULTI, "MODEL_SERVER_TIMEOUT": "3"}).until_ready())
    predictor = (
        "import time\ndef load_model(path):\n    time.sleep(10_000)\ndef transformation(model, rows):\n    pass\n"
    )
    answer = client.load("hangs", make_model(tmp_path / "hangs", predictor=predictor))
    assert answer.status_code in (500, 504), answer.text
    assert "MODEL_SERVER_TIMEOUT" in answer.json()["error"]["message"]
    url = make_model(tmp_path / "sound")
    wait_until(lambda: client.load("sound", url).status_code == 200, 60)
    assert client.invoke("hangs").status_code == 404
    assert client.invoke("sound").text == "sound\n"


def test_a_load_that_kills_its_worker_is_over(nginx: None, serve: Serve, tmp_path: Path) -> None:
    """load_model ends the process: an error, not a server that tries again for ever; the model before it is there."""
    client = Client(serve(**MULTI).until_ready())
    assert client.load("sound", make_model(tmp_path / "sound")).status_code == 200
    predictor = "import os\ndef load_model(path): os.abort()\ndef transformation(model, rows): pass\n"
    answer = client.load("kills", make_model(tmp_path / "kills", predictor=predictor))
    assert answer.status_code in (502, 507), answer.text
    url = make_model(tmp_path / "next")
    wait_until(lambda: client.load("next", url).status_code in (200, 409), 60)
    wait_until(lambda: client.at_once(16, lambda: client.invoke("sound")) == {200: 16}, 60)
    assert client.invoke("next").text == "next\n"
    assert [model["modelName"] for model in client.listed()["models"]] == ["sound", "next"]


def test_many_models_are_loaded_while_others_are_asked(client: Client, tmp_path: Path) -> None:
    """150 models, asked by eight callers while they are loaded: each answers with its own name, none with another's."""
    urls = [make_model(tmp_path / f"m{number}") for number in range(150)]
    loaded: list[str] = []
    stop = False

    def ask(seed: int) -> tuple[int, list[str]]:
        generator, count, wrong = np.random.default_rng(seed), 0, []
        while not stop:
            if loaded:
                name = loaded[generator.integers(len(loaded))]
                answer = client.invoke(name)
                count += 1
                if answer.text != f"{name}\n":
                    wrong.append(f"{name}: {answer.status_code} {answer.text}")
        return count, wrong

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, seed) for seed in range(8)]
        try:
            for url in urls:
                assert client.load(url.parent.name, url).status_code == 200
                loaded.append(url.parent.name)
        finally:
            stop = True
    assert [wrong for caller in asked for wrong in caller.result()[1]] == []
    assert sum(caller.result()[0] for caller in asked) > 150
    assert len(client.listed()["models"]) == 100
    with ThreadPoolExecutor(8) as pool:
        assert {answer.status_code for answer in pool.map(client.unload, loaded)} == {200}


def test_changes_at_the_same_time_are_made_one_by_one(client: Client, tmp_path: Path) -> None:
    """Eight callers load the same model: one 200, seven 409. Eight unload it: one 200, seven 404."""
    url = make_model(tmp_path / "m")
    assert client.at_once(8, lambda: client.load("m", url)) == {200: 1, 409: 7}
    assert client.at_once(8, lambda: client.unload("m")) == {200: 1, 404: 7}


# ---- in a container --------------------------------------------------------------------------------------------------


def test_it_says_507_before_the_memory_is_gone(image: str, tmp_path: Path) -> None:
    """Models of 40 MB until one does not fit: 507, no process has died, all others answer, and room can be made."""
    names = [f"m{number}" for number in range(12)]
    for name in names:
        model = always(name)
        model.ballast = np.random.default_rng(0).random(5_000_000)
        make_model(tmp_path / "models" / name, model, dump="model.pkl")
    bomb = always("bomb")
    bomb.ballast = np.zeros(150_000_000)  # 1.2 GB in a file of 1 MB
    joblib.dump(bomb, make_model(tmp_path / "models/bomb") / "model.joblib", compress=3)
    for path in (tmp_path / "models").rglob("*"):
        path.chmod(0o755)
    tmp_path.chmod(0o755)
    options = ["--memory", "600m", "--memory-swap", "600m", "--env", "SAGEMAKER_MULTI_MODEL=true"]
    options += ["--env", "MODEL_SERVER_WORKERS=2", "--volume", f"{tmp_path}/models:/opt/ml/models:ro"]
    with Container(tmp_path, image, *options) as container:
        client = Client(container.until_ready())
        answer = client.load("bomb", "/opt/ml/models/bomb/model")
        assert (answer.status_code, answer.json()["error"]["code"]) == (507, "insufficient_memory"), answer.text
        held = []
        for name in names:
            answer = client.load(name, f"/opt/ml/models/{name}/model")
            if answer.status_code != 200:
                break
            held.append(name)
        assert (answer.status_code, answer.json()["error"]["code"]) == (507, "insufficient_memory"), answer.text
        assert len(held) >= 2, held
        for model in held:
            assert client.at_once(8, lambda of=model: client.invoke(of)) == {200: 8}
        assert client.load(name, f"/opt/ml/models/{name}/model").status_code == 507
        for model in held[:2]:  # reading a pickle takes its size twice for a moment
            assert client.unload(model).status_code == 200
        assert client.load(name, f"/opt/ml/models/{name}/model").status_code == 200
        assert client.invoke(name).text == f"{name}\n"
        assert "was sent SIGKILL" not in container.log
        assert container.ping().status_code == 200
