"""What is the file that is called model.pkl? A pickle, a compressed one, or something else that is called what it is.

Nothing is loaded: a look at the first bytes, and at the directory of an archive.
"""

from __future__ import annotations

import bz2
import gzip
import importlib
import importlib.util
import io
import itertools
import lzma
import pickletools
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from ..errors import ModelNotUsable

LFS_POINTER = b"version https://git-lfs"
START = 4096  # bytes that are looked at
ZLIB = b"\x78"
ZLIB_LEVELS = (b"\x01", b"\x5e", b"\x9c", b"\xda")  # else it is a text that begins with x

OPENERS: tuple[tuple[bytes, str, Callable[[IO[bytes]], Any]], ...] = (
    (b"\x1f\x8b", "gzip", gzip.open),
    (b"BZh", "bz2", bz2.BZ2File),
    (b"\xfd7z", "xz", lzma.LZMAFile),
    (b"\x5d\x00", "lzma", lzma.LZMAFile),
    (b"\x04\x22\x4d\x18", "lz4", lambda file: importlib.import_module("lz4.frame").open(file)),
    (ZLIB, "zlib", lambda file: io.BytesIO(zlib.decompress(file.read()))),
)
"""What joblib compresses with: how such a file begins, its name, and what reads it."""

OWN_LOADER = "Write load_model(model_dir) in predictor.py, with %s"
SAVE_AGAIN = "Save the fitted model itself with joblib.dump(model, 'model.pkl')."
UNPACK = "Unpack it: the model is what is inside."
AS_BYTES = "Copy or upload the model again, as bytes and not as text."

KINDS = (
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19", "a file of an old torch.save", OWN_LOADER % "torch.load."),
    (b"\x89HDF\r\n", "an HDF5 file, as Keras writes it", OWN_LOADER % "keras.models.load_model."),
    (b"CBM1", "a CatBoost model", OWN_LOADER % "CatBoostClassifier().load_model."),
    (b"{L", "an XGBoost model in UBJSON", OWN_LOADER % "xgboost.XGBClassifier().load_model."),
    (b"binf", "an XGBoost model in an old format", OWN_LOADER % "xgboost.Booster(model_file=…)."),
    (b"\x93NUMPY", "a NumPy array", SAVE_AGAIN),
    (b"PAR1", "a Parquet file", SAVE_AGAIN),
    (b"ARROW1", "a file of Arrow", SAVE_AGAIN),
    (b"SQLite format 3", "an SQLite database", SAVE_AGAIN),
    (b"\xd0\xcf\x11\xe0", "an old Excel file", SAVE_AGAIN),
    (b"X\n\x00\x00\x00", "an object of R (saveRDS)", "Python cannot load it: export it as ONNX, or train in Python."),
    (b"RDX", "objects of R (save)", "Python cannot load it: export the model as ONNX, or train in Python."),
    (b"\x7fELF", "a program or a shared library", SAVE_AGAIN),
    (b"\x28\xb5\x2f\xfd", "a file compressed by Zstandard", "Decompress it: zstd -d."),
    (b"7z\xbc\xaf", "a 7z archive", UNPACK),
    (b"\xef\xbf\xbd", "what is left of one that was read as text", AS_BYTES),
    (b"\xc2\x80", "one that was written as text", AS_BYTES),
    (b"\xff\xfe", "a text in UTF-16, perhaps the output of PowerShell", AS_BYTES),
)
"""How a file begins → what it is, and what to do. The first is a pickle, too, of a number."""

TEXTS = (
    (r"tree\s+version=", "a LightGBM model in its text format", OWN_LOADER % "lightgbm.Booster(model_file=…)."),
    (r'\{\s*"learner"', "an XGBoost model in JSON", OWN_LOADER % "xgboost.XGBClassifier().load_model."),
    (r'\{\s*"cells"', "a notebook", SAVE_AGAIN),
    (r"(<\?xml[^>]*>\s*)?<PMML", "a model in PMML", OWN_LOADER % "a reader of PMML."),
    ("<", "a page of HTML or XML, perhaps an error that was saved by a download", SAVE_AGAIN),
    (r"b['\"]\\x80", "the bytes of a pickle as Python writes them on a screen", SAVE_AGAIN),
    (r"(gA[IMSW]|H4sI|eJ)[A-Za-z0-9+/\s]{8,}=*\s*$", "base64", "Decode it: base64.b64decode. " + AS_BYTES),
    (r"[\[{]", "JSON", OWN_LOADER % "the library that wrote it."),
)
"""How a text begins → what it is, and what to do."""

ZIPS = (
    ("schema.json", "a skops file", f"Call it model.skops. Or: {OWN_LOADER % 'skops.io.load.'}"),
    ("constants.pkl", "a module of TorchScript", OWN_LOADER % "torch.jit.load."),
    ("data.pkl", "a file of torch.save", OWN_LOADER % "torch.load."),
    ("xl/workbook.xml", "an Excel workbook", SAVE_AGAIN),
    ("model.weights.h5", "a Keras model", OWN_LOADER % "keras.models.load_model."),
    (".npy", "an npz file of NumPy arrays", SAVE_AGAIN),
    ("MANIFEST.MF", "a Java archive", OWN_LOADER % "the library that wrote it."),
    ("MLmodel", "a zip archive of an MLflow model", "Unpack it, then: import_mlflow (README)."),
    ("", "a zip archive", UNPACK),
)
"""How the name of a file in a zip ends → what the zip is, and what to do."""

DIRECTORIES = (
    ("saved_model.pb", "a TensorFlow SavedModel, a directory", OWN_LOADER % "tensorflow.keras.models.load_model."),
    ("MLmodel", "an MLflow model, a directory", "Take it over: import_mlflow (README), beside save_model."),
    ("stages", "a model of Spark, a directory", OWN_LOADER % "pyspark.ml.PipelineModel.load."),
    ("", "a directory", OWN_LOADER % "the library that wrote it."),
)
"""What is in a directory → what it is, and what to do."""


def refuse_what_is_no_pickle(path: Path) -> None:
    """Raises ModelNotUsable for files that cannot be one, so that nobody has to read an UnpicklingError."""
    start = _start(path)
    if not start:
        raise ModelNotUsable(f"{path.name} is empty. Save the model again.")
    if start.startswith(LFS_POINTER):
        raise ModelNotUsable(f"{path.name} is a Git LFS pointer, not the model. Run `git lfs pull`.")
    compressed = _compression(start)
    if compressed == "lz4" and not importlib.util.find_spec("lz4"):
        raise ModelNotUsable(
            f"{path.name} is compressed by lz4, and the module lz4 is not installed. Add lz4 to model/requirements.txt."
        )
    inside = _start(path, unpack=True) if compressed else start
    if inside and (told := kind_of(inside, None if compressed else path)):
        what, remedy = told
        within = f"is compressed by {compressed}, and inside " if compressed else ""
        raise ModelNotUsable(f"{path.name} {within}is not a pickle but {what}. {remedy}")


def unpacked(file: IO[bytes]) -> Any:
    """The file's content as a stream, decompressed if it is compressed."""
    start = file.read(6)
    file.seek(0)
    compressed = _compression(start)
    return next((opener(file) for _, name, opener in OPENERS if name == compressed), file)


def kind_of(start: bytes, path: Path | None) -> tuple[str, str] | None:
    """What begins so, if not a pickle, and what to do. `path` is where all of it is, if it lies plain in a file."""
    [old_torch, *others] = KINDS
    if start.startswith(old_torch[0]):
        return old_torch[1:]
    if _is_pickle(start):
        return None
    if start.startswith(b"PK\x03\x04") and path and zipfile.is_zipfile(path):
        return _of_zip(path)
    for beginning, what, remedy in others:
        if start.startswith(beginning):
            return what, remedy
    if start[257:262] == b"ustar":
        return "a tar archive", UNPACK
    if start[:1] == b"\x08" and 2 < start[1] < 64 and start[2:3] in (b"\x12", b"\x1a", b":"):
        return "an ONNX model", OWN_LOADER % "onnxruntime.InferenceSession."
    return _of_text(start) or (
        f"of an unknown kind (it begins with {start[:16]!r})", f"{SAVE_AGAIN} Or write load_model in predictor.py.",
    )  # fmt: skip


def of_other_name(path: Path) -> str:
    """What to do about a file whose name is not a model's, if what is in it is."""
    if path.suffix.lower() in NO_MODELS or not (start := _start(path)):
        return ""
    inside = _start(path, unpack=True) if _compression(start) else start
    told = kind_of(inside, path) if inside else None
    if inside and told is None:
        return f"{path.name} is a pickle: call it model.pkl."
    return f"{path.name} is {told[0]}. {told[1]}" if told and OWN_LOADER[:15] in told[1] else ""


NO_MODELS = (".py", ".md", ".txt", ".csv", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".sh", ".npz")


def is_known_directory(path: Path) -> bool:
    return any((path / name).exists() for name, _, _ in DIRECTORIES if name)


def of_directory(path: Path) -> str:
    """The model is a directory: what it looks like, and what to do."""
    inside = sorted(entry.name for entry in path.iterdir())
    what, remedy = next((what, remedy) for name, what, remedy in DIRECTORIES if name in ("", *inside))
    return f"{path} is not a pickle but {what}; in it: {', '.join(inside[:12]) or 'nothing'}. {remedy}"


def _start(path: Path, unpack: bool = False) -> bytes:
    """The first bytes; none where what is compressed is damaged, which loading it says."""
    try:
        with path.open("rb") as file:
            if unpack and _compression(file.peek(2)) == "zlib":
                return zlib.decompressobj().decompress(file.read(START), START)
            stream: IO[bytes] = unpacked(file) if unpack else file
            return stream.read(START)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, RuntimeError):
        if unpack:
            return b""
        raise


def _compression(start: bytes) -> str:
    """What it is compressed by, or nothing."""
    name = next((name for beginning, name, _ in OPENERS if start.startswith(beginning)), "")
    return "" if name == "zlib" and start[1:2] not in ZLIB_LEVELS else name


def _is_pickle(start: bytes) -> bool:
    """Of protocol 2 and later by its mark; of 0 and 1 (which have none) if the first operations make sense."""
    if start[:1] == b"\x80":
        return True
    operations = 0
    try:
        for operation, _, _ in itertools.islice(pickletools.genops(io.BytesIO(start)), 20):
            if not operations and operation.stack_before:
                return False
            operations += 1
    except ValueError as exc:  # an unknown operation, or the end of what was read
        return operations > 0 and "unknown" not in str(exc)
    return True


def _of_zip(path: Path) -> tuple[str, str]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    what, remedy = next(kind[1:] for kind in ZIPS if any(name.endswith(kind[0]) for name in names or [""]))
    return f"{what} (of {', '.join(names[:6])})" if remedy == UNPACK else what, remedy


def _of_text(start: bytes) -> tuple[str, str] | None:
    if b"\0" in start:
        return None
    text = start.decode("utf-8-sig", "replace").lstrip()
    if not text or "\ufffd" in text[:-4]:
        return None
    for beginning, what, remedy in TEXTS:
        if re.match(beginning, text):
            return what, remedy
    return f"a text (it begins with {text[:16]!r})", f"{SAVE_AGAIN} Or write load_model in predictor.py."
