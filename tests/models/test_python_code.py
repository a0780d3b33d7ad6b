"""Functions by value are of one Python: those of another are refused before they can be called."""

from __future__ import annotations

import gzip
import importlib
import pickle
import sys
import types
import zlib
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from running import make_program
from serving.errors import ModelNotUsable
from serving.models import diagnosis, loading, pickle_contents, pickle_reader, python_code, versions

SOURCE = "def f(r, k):\n    if len(r) > k:\n        return r.sum()\n"
MADE = {
    "3.8": "74007c0083017c016b0472147c00a001a100530064005300",
    "3.10": "74007c0083017c016b04720a7c00a001a100530064005300",
    "3.11": "97007401000000000000000000007c00a6010000ab0100000000000000007c016b040000000072147c00a001000000000000000000"
    "0000000000000000000000a6000000ab000000000000000000530064005300",
    "3.12": "9700740100000000000000007c00ab010000000000007c016b44000072107c006a0300000000000000000000000000000000000"
    "0ab0000000000000053007900",
    "3.13": "95005b0100000000000000005500350100000000000055013a940000611000005500520300000000000000000000000000000000"
    "0000350000000000000024006700",
}
"""What SOURCE is in each Python."""
OTHER = "3.12" if python_code.HERE == "3.13" else "3.13"
SAID = {"3.8": python_code.OLD, "3.10": python_code.OLD}


@pytest.mark.parametrize("made", [made for made in MADE if made != python_code.HERE])
def test_the_python_that_made_a_function_is_told(made: str) -> None:
    """From its instructions alone: a pickle notes no version of Python."""
    code = bytes.fromhex(MADE[made])
    assert not python_code.is_ours(code)
    told = python_code.maker([compile(SOURCE, "f", "exec").co_consts[0].co_code, code])
    assert told == SAID.get(made, made) or {told, made} == {"3.11", "3.12"}


@pytest.mark.parametrize("module", ["argparse", "inspect", "typing", "dataclasses", "asyncio.base_events", "ast"])
def test_functions_of_this_python_are_ours(module: str) -> None:
    """Every function in large modules: loops, closures, generators, coroutines, exceptions."""
    source = Path(str(importlib.import_module(module).__file__)).read_text(encoding="utf-8")

    def codes(code: types.CodeType) -> list[bytes]:
        inner = [c for constant in code.co_consts if isinstance(constant, types.CodeType) for c in codes(constant)]
        return [code.co_code, *inner]

    assert python_code.maker(codes(compile(source, module, "exec"))) == ""


@pytest.mark.parametrize("compress", [False, True])
def test_a_model_with_functions_of_another_python_is_refused(tmp_path: Path, compress: bool) -> None:
    """Before it is loaded, with both Pythons and the build argument; the look at a compressed file finds them, too."""
    function = types.FunctionType(compile(SOURCE, "f", "exec").co_consts[0], {"__name__": "__main__"})
    ours, theirs = function.__code__.co_code, bytes.fromhex(MADE[OTHER])
    content = cloudpickle.dumps({"model": function}, 3)  # before frames, whose length would change
    assert ours in content
    content = content.replace(bytes([len(ours)]) + ours, bytes([len(theirs)]) + theirs)
    program = make_program(tmp_path, model=zlib.compress(content) if compress else content)
    with pytest.raises(ModelNotUsable) as refused:
        pickle_contents.look(program / "model.pkl", program) if compress else loading.load(program, program_dir=program)
    for words in (f"functions of Python {OTHER}", f"here it is Python {python_code.HERE}", f"PYTHON_VERSION={OTHER}"):
        assert words in str(refused.value)


def test_no_image_is_promised_for_a_python_that_is_too_old() -> None:
    """The server needs 3.11: what is older must be saved again."""
    error = TypeError("code() argument 13 must be str, not int")
    said = diagnosis.of_loading(error, Path("model.pkl"))
    assert "save the model again" in said
    assert "--build-arg" not in said


def test_objects_of_a_class_in_the_pickle_are_read(tmp_path: Path) -> None:
    """cloudpickle writes the class of a notebook, then objects of it: all of it is looked through, and it loads."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("class Model:\n    def predict(self, rows):\n        return [len(rows) for _ in rows]\n", namespace)
    for protocol in (2, 4, 5):
        path = tmp_path / f"{protocol}.pkl"
        path.write_bytes(cloudpickle.dumps([namespace["Model"](), 1], protocol))
        found = pickle_reader.read(path)
        assert found.problem is None
        assert protocol < 4 or found.codes
        assert pickle_contents.imports(path)[1] is None
    python_code.refuse_foreign(path)


def test_what_dill_writes_may_set_attributes(tmp_path: Path) -> None:
    """setattr is a way to run commands, but for dill, whose functions by value could do the same."""
    path = tmp_path / "model.pkl"
    path.write_bytes(b"(lcbuiltins\nsetattr\na.")
    with pytest.raises(ModelNotUsable, match=r"builtins\.setattr"):
        pickle_contents.look(path, tmp_path)
    path.write_bytes(b"(lcbuiltins\nsetattr\nacdill._dill\n_create_type\na.")
    pickle_contents.look(path, tmp_path)
    path.write_bytes(b"(lcbuiltins\neval\nacdill._dill\n_create_type\na.")
    with pytest.raises(ModelNotUsable, match=r"builtins\.eval"):
        pickle_contents.look(path, tmp_path)


@pytest.mark.parametrize("protocol", range(6))
def test_versions_are_read_whole(tmp_path: Path, protocol: int) -> None:
    """Whatever follows them in the file, and however it is compressed."""

    class Old:
        def __setstate__(self, state: Any) -> None: ...

        def __reduce_ex__(self, protocol: Any) -> Any:
            return sys.intern, ("x",), {"_sklearn_version": "0.19.1", "q": 1}

    path = tmp_path / "model.pkl"
    for pack in (bytes, gzip.compress):
        path.write_bytes(pack(pickle.dumps([Old()], protocol)))
        assert pickle_reader.read(path).scikit_learn == ["0.19.1"]
        assert "with scikit-learn 0.19.1, which" in diagnosis.of_loading(ImportError("x"), path)


@pytest.mark.parametrize(
    ("version", "here", "newest"),
    [
        *(("1.2.2", "3.11", None), ("1.2.2", "3.12", "3.11"), ("1.3.0", "3.12", "3.11"), ("1.3.1", "3.12", None)),
        *(("1.4", "3.13", "3.12"), ("0.24.2", "3.11", ""), ("1.6.1", "3.14", "3.13"), ("1.9.dev0", "3.14", None)),
    ],
)
def test_the_python_of_a_scikit_learn(monkeypatch: pytest.MonkeyPatch, version: str, here: str, newest: Any) -> None:
    """An old scikit-learn has no wheel for a new Python: then the remedy names the Python, too."""
    monkeypatch.setattr(python_code, "HERE", here)
    assert versions.newest_python(version) == newest
