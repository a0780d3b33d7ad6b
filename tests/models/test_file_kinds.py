"""What the file called model.pkl is, and why it could not be loaded: each says the cause, then what helps."""

from __future__ import annotations

import base64
import bz2
import gzip
import importlib.util
import io
import lzma
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.errors import ModelNotUsable
from serving.models import artifact, diagnosis, file_kinds

OBJECTS: list[Any] = [
    *({}, [], (), set(), {"a": [1, 2.5, "x", None, True]}, [1, 2], (1,), 1, -70000, 2.5, "text", b"bytes", None, True),
    *(10**30, ValueError("x"), Path("a"), np.arange(3), np.float64(1.5), dict.fromkeys(range(2000))),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", OBJECTS, ids=lambda value: type(value).__name__)
def test_every_pickle_is_a_pickle(tmp_path: Path, value: Any, protocol: int) -> None:
    """Whatever the protocol, with a mark at the beginning (2 and later) or without."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    file_kinds.refuse_what_is_no_pickle(path)


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped("schema.json", "0.npy"), ["a skops file", "Call it model.skops", "load_model(model_dir)"]),
        (zipped("m/data.pkl", "m/constants.pkl"), ["a module of TorchScript", "torch.jit.load"]),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", ["an old torch.save", "torch.load"]),
        (zipped("archive/data.pkl", "archive/version"), ["a file of torch.save", "torch.load"]),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), ["an Excel workbook", "joblib.dump"]),
        (zipped("config.json", "model.weights.h5"), ["a Keras model"]),
        (zipped("arr_0.npy"), ["an npz file"]),
        (zipped("a.txt"), ["a zip archive (of a.txt)"]),
        (b"\x89HDF\r\n\x1a\n" + b"0" * 64, ["an HDF5 file"]),
        (b"tree\nversion=v4\n", ["a LightGBM model", "lightgbm.Booster"]),
        (b'{"learner":{', ["an XGBoost model in JSON"]),
        (b"<!DOCTYPE html>", ["HTML"]),
        (b"\xef\xbb\xbf\n <html>", ["HTML"]),
        (b'<?xml version="1.0"?>\n<PMML version="4.3">', ["a model in PMML"]),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied', ["perhaps an error that was saved by a download"]),
        (b"Name,age\nAda,36\n", ["a text (it begins with 'Name,age"]),
        (b"x = 1\n", ["a text (it begins with 'x = 1"]),
        (b"import pickle\n", ["a text"]),
        (b'{"coef": [1, 2]}', ["JSON"]),
        (b'{\n "cells": []}', ["a notebook"]),
        (base64.b64encode(pickle.dumps({"a": list(range(30))})), ["base64", "b64decode"]),
        (repr(pickle.dumps({"a": 1})).encode(), ["the bytes of a pickle as Python writes them"]),
        (pickle.dumps({"a": "x" * 300}).decode("utf-8", "replace").encode(), ["read as text", "as bytes"]),
        (pickle.dumps({"a": "x" * 300}).decode("latin-1").encode(), ["written as text", "as bytes"]),
        (b"\x08\x07\x12\x07pytorch", ["an ONNX model", "onnxruntime"]),
        (b"X\n\x00\x00\x00\x03\x00\x04", ["an object of R"]),
        (b"\x28\xb5\x2f\xfd\x04X", ["Zstandard", "zstd -d"]),
        (b"binf\x00\x00", ["an XGBoost model in an old format"]),
        (bytes(257) + b"ustar\0", ["a tar archive", "Unpack it"]),
        (bytes(5000), ["of an unknown kind (it begins with b'\\x00"]),
    ],
)
def test_what_is_no_pickle_is_called_what_it_is(tmp_path: Path, content: bytes, said: list[str]) -> None:
    """The message says what the file is, and how such a file is loaded."""
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    with pytest.raises(ModelNotUsable) as caught:
        file_kinds.refuse_what_is_no_pickle(path)
    for words in ["model.pkl is not a pickle but ", *said]:
        assert words in str(caught.value)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zlib.compress])
@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a,b\n1,2\n", "a text"), (b"X\n\x00\x00\x00\x03", "an object of R"), (bytes(257) + b"ustar", "a tar archive")],
    ids=["text", "R", "tar"],
)
def test_what_is_inside_a_compressed_file_is_told(tmp_path: Path, pack: Any, content: bytes, said: str) -> None:
    """Not that it cannot be read, but what it is; a pickle inside, also a damaged one, is left to its reader."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pack(content))
    with pytest.raises(ModelNotUsable, match=f"is compressed by .*, and inside is not a pickle but {said}"):
        file_kinds.refuse_what_is_no_pickle(path)
    path.write_bytes(pack(pickle.dumps(list(range(5000))))[:-100])
    file_kinds.refuse_what_is_no_pickle(path)


def test_lz4_is_named_where_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """joblib compresses with it where it is."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (tmp_path / "model.pkl").write_bytes(b"\x04\x22\x4d\x18\x64\x40\xa7")
    with pytest.raises(ModelNotUsable, match=r"compressed by lz4.*Add lz4 to model/requirements.txt"):
        file_kinds.refuse_what_is_no_pickle(tmp_path / "model.pkl")


@pytest.mark.parametrize(
    ("inside", "said"),
    [("saved_model.pb", "a TensorFlow SavedModel"), ("MLmodel", "an MLflow model"), ("notes.txt", "a directory")],
)
def test_a_directory_is_called_what_it_is(tmp_path: Path, inside: str, said: str) -> None:
    """model.pkl may be a directory, which no list of files would explain."""
    (tmp_path / "model.pkl").mkdir()
    (tmp_path / "model.pkl" / inside).touch()
    with pytest.raises(ModelNotUsable) as caught:
        artifact.pickle_in(tmp_path, tmp_path)
    message = str(caught.value)
    assert f"model.pkl is not a pickle but {said}" in message
    assert inside in message


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ModuleNotFoundError("No module named 'pandas.core.indexes.numeric'", name="pandas.core.indexes.numeric"),
            "made with pandas 1: put pandas==1.5.3 into",
        ),
        (ModuleNotFoundError("No module named 'numpy._core.x'", name="numpy._core.x"), "made with NumPy 2"),
        (ModuleNotFoundError("No module named 'imblearn'", name="imblearn"), "Add imbalanced-learn to"),
        (ModuleNotFoundError("No module named 'pandas.odd'", name="pandas.odd"), "Pin pandas to the version"),
        (
            AttributeError("Can't get attribute 'Gone' on <module 'pandas.core.x' from 'y'>"),
            "Pin pandas to the version",
        ),
        (TypeError("code() argument 13 must be str, not int"), "functions of Python 3.10 or older"),
        (TypeError("code() argument 17 must be bytes, not tuple"), "PYTHON_VERSION=3."),
        (TypeError("code expected at most 16 arguments, got 18"), "functions of another Python"),
        (ValueError("unsupported pickle protocol: 9"), "PYTHON_VERSION=3."),
        (ValueError("<class 'MT19937'> is not a known BitGenerator module."), "was made with a newer NumPy"),
        (ValueError("MT19937 is not a known BitGenerator module."), "such as numpy<2 or numpy>=2"),
        (ModuleNotFoundError("No module named 'src'", name="src"), "put src.py or the folder src beside predictor.py"),
        (ModuleNotFoundError("No module named 'fitz'", name="fitz"), "Add pymupdf to"),
        (
            RuntimeError("Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False."),
            "save it after model.to('cpu')",
        ),
        (
            OSError("libgomp.so.1: cannot open shared object file: No such file or directory"),
            "needs the system library libgomp.so.1: install it by apt-get",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_remedy_fits_the_cause(error: Exception, said: str) -> None:
    """What a library says when it cannot load becomes the cause and what helps."""
    assert said in diagnosis.of_loading(error, Path("model.pkl"))


def test_the_package_that_failed_is_named() -> None:
    """An exception from inside a package is about that package, not about scikit-learn."""
    with pytest.raises(np.linalg.LinAlgError) as caught:
        np.linalg.inv(np.zeros((2, 2)))
    assert "Pin numpy to the version" in diagnosis.of_loading(caught.value, Path("model.pkl"))
