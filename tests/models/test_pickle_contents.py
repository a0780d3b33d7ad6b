"""What a pickle would import is found without importing it; ways to run commands are refused."""

from __future__ import annotations

import builtins
import bz2
import gzip
import lzma
import os
import pickle
import subprocess
import zlib
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from serving.errors import ModelNotUsable
from serving.models import artifact, loading, pickle_contents

X = np.arange(40.0).reshape(20, 2)
Y = np.array(["a", "b"] * 10, dtype=object)
MODELS = {
    "forest": RandomForestClassifier(3).fit(X, Y),
    "boosting": GradientBoostingClassifier(n_estimators=3).fit(X, Y),
    "pipeline": make_pipeline(StandardScaler(), FunctionTransformer(np.tanh), LogisticRegression()).fit(X, Y),
    "words": OneHotEncoder().fit(pd.DataFrame({"a": ["x", "y"], "b": [1, 2]})),
    "dict": {"a": [1, 2.5, None, True], "b": (np.arange(3), {1, 2}, frozenset([3])), "c": pd.DataFrame({"a": [1]})},
}


class Calls:
    """A pickle that calls something when it is loaded."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", MODELS)
def test_models_are_usual(tmp_path: Path, name: str, protocol: int) -> None:
    """Whatever protocol a fitted model was written with: nothing to tell, nothing refused."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(MODELS[name], protocol))
    assert pickle_contents.look(path, tmp_path) == []
    assert pickle_contents.imports(path)[0]


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_files_of_joblib_are_read_to_their_end(tmp_path: Path, name: str, compress: Any) -> None:
    """Their arrays lie between the opcodes; what follows them is seen."""
    path = tmp_path / "model.joblib"
    joblib.dump([MODELS[name], Calls(subprocess.call, ["true"])], path, compress=compress)
    assert ("subprocess", "call") in pickle_contents.imports(path)[0]
    joblib.dump(MODELS[name], path, compress=compress)
    assert pickle_contents.look(path, tmp_path) == []


BAD = [
    (os.system, "true"), (os.popen, "true"), (subprocess.Popen, ["true"]), (eval, "1"), (exec, "1"),
    (open, "/dev/null"),
    (builtins.__import__, "os"), (__import__("importlib").import_module, "os"), (__import__("runpy").run_path, "x"),
    (__import__("shutil").rmtree, "/nowhere"), (__import__("socket").create_connection, ("127.0.0.1", 9)),
    (__import__("pty").spawn, "true"), (pickle.loads, b"N."), (joblib.load, "x"), (__import__("code").interact,),
    (__import__("operator").methodcaller, "system"),
]  # fmt: skip


@pytest.mark.parametrize("call", BAD, ids=lambda call: f"{call[0].__module__}.{call[0].__name__}")
def test_a_way_to_run_commands_is_refused(tmp_path: Path, call: tuple[Any, ...]) -> None:
    """It is named with the setting that allows it, and it has not been called."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps([MODELS["pipeline"], Calls(*call)]))
    with pytest.raises(ModelNotUsable, match="MODEL_SERVER_PICKLE_MAY_IMPORT") as refused:
        pickle_contents.look(path, tmp_path)
    module = str(refused.value).partition("MODEL_SERVER_PICKLE_MAY_IMPORT=")[2].rstrip(".")
    assert pickle_contents.look(path, tmp_path, module.split(",")) == []


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, zlib.compress, bytes], ids=["gz", "bz2", "xz", "zlib", "none"]
)
def test_nothing_is_called_or_imported(tmp_path: Path, pack: Any) -> None:
    """Reading leaves no trace: the command has not run, and the module that does not exist was not looked for."""
    mark = tmp_path / "ran"
    path = tmp_path / "model.pkl"
    path.write_bytes(pack(pickle.dumps(Calls(os.system, f"touch {mark}"))))
    assert pickle_contents.imports(path) == ({("posix", "system")}, None)
    path.write_bytes(pack(b"cno_such_module\nname\n."))
    assert pickle_contents.imports(path) == ({("no_such_module", "name")}, None)
    assert not mark.exists()


def test_modules_that_nothing_explains_are_named(tmp_path: Path) -> None:
    """Neither scikit-learn's world nor requirements.txt nor a file of the user's."""
    path = tmp_path / "model.pkl"
    path.write_bytes(b"(lcown\nA\nacother.part\nB\nacthird_party\nC\na.")
    (tmp_path / "own.py").write_text("class A: pass")
    (tmp_path / "requirements.txt").write_text("third-party==1.0\n")
    assert pickle_contents.look(path, tmp_path) == [
        "model.pkl imports other, which is neither in requirements.txt nor beside predictor.py. If it is a package, "
        "list it there; if you do not know why the model needs it, do not load this file."
    ]


def test_functions_by_value_are_seen(tmp_path: Path) -> None:
    """cloudpickle's own functions are named like any other module."""
    path = tmp_path / "model.pkl"
    path.write_bytes(cloudpickle.dumps(lambda rows: rows))
    assert ("cloudpickle.cloudpickle", "_make_function") in pickle_contents.imports(path)[0]


def _of_main(kind: str) -> Any:
    """An object of a class that only the pickle will know, as a notebook has it."""
    spaces: dict[str, Any] = {"__name__": "__main__"}
    exec(OF_A_NOTEBOOK, spaces)
    return spaces[kind]


OF_A_NOTEBOOK = """
import abc, collections, dataclasses, enum, functools

class Plain:
    def predict(self, rows):
        return [Plain] * len(rows)

class Slots:
    __slots__ = ("a",)

class ByName:
    def __new__(cls, *, a):
        return object.__new__(cls)
    def __getnewargs_ex__(self):
        return (), {"a": 1}

class Above(abc.ABC):
    @abc.abstractmethod
    def predict(self, rows): ...

class Below(Above):
    def predict(self, rows):
        return rows

@dataclasses.dataclass(frozen=True)
class Data:
    a: int = 1

class Colour(enum.Enum):
    RED = 1

class Pair(collections.namedtuple("Pair", "a b")):
    pass

plain, slots, by_name, below = Plain(), Slots(), ByName(a=1), Below()
data, colour, pair = Data(), Colour.RED, Pair(1, 2)
parts, bound = {"model": plain, "labels": [colour, data]}, functools.partial(plain.predict, [1])
"""


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize(
    "kind", ["plain", "slots", "by_name", "below", "data", "colour", "pair", "parts", "bound", "Plain"]
)
def test_classes_by_value_are_looked_through(tmp_path: Path, kind: str, protocol: int) -> None:
    """What cloudpickle writes of a class of a notebook, and of its objects, is read to its end."""
    path = tmp_path / "model.pkl"
    path.write_bytes(cloudpickle.dumps(_of_main(kind), protocol))
    (tmp_path / "requirements.txt").write_text("cloudpickle\n")
    assert pickle_contents.look(path, tmp_path) == []


@pytest.mark.parametrize("data", [b"", b"no pickle", b"\x80\x04", b"\x80\x05" + bytes(50), b"(" * 5000, b"\x78\x9cno"])
def test_what_cannot_be_read_is_refused(tmp_path: Path, data: bytes) -> None:
    """Any bytes: refused, with the setting that allows it; and what was found before them counts."""
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    with pytest.raises(ModelNotUsable, match=r"looked through.*MODEL_SERVER_PICKLE_MAY_IMPORT=any"):
        pickle_contents.look(path, tmp_path, ["os"])
    assert "cannot be looked through" in pickle_contents.look(path, tmp_path, ["any"])[-1]
    path.write_bytes(pickle.dumps(Calls(os.system, "true"))[:-1] + b"\xff")
    with pytest.raises(ModelNotUsable, match=r"posix\.system"):
        pickle_contents.look(path, tmp_path)


def test_another_sha256_is_refused(tmp_path: Path) -> None:
    """The message has both; a model of several files has none."""
    (tmp_path / "model.pkl").write_bytes(b"N.")
    found = artifact.told_sha256(tmp_path, "").rpartition(" ")[2]
    assert artifact.told_sha256(tmp_path, found) == f"model.pkl has the sha256 {found}"
    with pytest.raises(ModelNotUsable, match=f"{found}.*{'0' * 64}"):
        artifact.told_sha256(tmp_path, "0" * 64)
    (tmp_path / "model.pkl").unlink()
    assert "not one file" in artifact.told_sha256(tmp_path, "")
    with pytest.raises(ModelNotUsable):
        artifact.told_sha256(tmp_path, found)


def test_random_bytes_in_a_pickle_do_no_harm(tmp_path: Path) -> None:
    """A thousand damaged pickles: nothing is raised."""
    whole = pickle.dumps(MODELS["pipeline"])
    rng = np.random.default_rng(7)
    path = tmp_path / "model.pkl"
    for _ in range(1000):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 5):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        pickle_contents.imports(path)


def test_a_skops_file_is_served_by_the_users_trust(tmp_path: Path) -> None:
    """model.skops is loaded like model.pkl. Types that skops does not know are trusted by predictor.py alone."""
    pytest.importorskip("skops")
    from skops import io

    (tmp_path / "predictor.py").write_text("def transformation(model, rows):\n    return model.predict(rows)\n")
    io.dump(LogisticRegression().fit(X, Y.astype(str)), tmp_path / "model.skops")
    loaded = loading.load(tmp_path, program_dir=tmp_path)
    loaded.warm_up()
    assert artifact.told_sha256(tmp_path, "").startswith("model.skops has the sha256")
    io.dump(make_pipeline(FunctionTransformer(os.path.basename)), tmp_path / "model.skops")
    with pytest.raises(ModelNotUsable, match=r"TRUSTED_TYPES = .*basename"):
        loading.load(tmp_path, program_dir=tmp_path)


@pytest.mark.parametrize(
    ("module", "name", "command"),
    [
        ("os", "system", True),
        ("urllib.request", "urlopen", True),
        ("numpy.testing", "x", True),
        ("numpy", "load", True),
        ("numpy", "ndarray", False),
        ("sklearn.os", "x", False),
        ("operator", "attrgetter.x", True),
        ("oslo", "x", False),
    ],
)
def test_a_module_in_a_package_of_commands_is_one(module: str, name: str, command: bool) -> None:
    """The whole package counts, and not what only has a name like it."""
    assert pickle_contents.is_command((module, name)) is command
