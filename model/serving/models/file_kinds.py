"""What is the file that is called model.pkl? A pickle, a compressed one, or something else that is called what it is.

Nothing is loaded: a look at the first bytes, and at the directory of a zip.
"""

from __future__ import annotations

import io
import itertools
import pickletools
import zipfile
from pathlib import Path

from ..errors import ModelNotUsable

LFS_POINTER = b"version https://git-lfs"
COMPRESSED = (b"\x1f\x8b", b"\x78", b"BZh", b"\xfd7z", b"\x5d\x00", b"\x04\x22\x4d\x18")
"""gzip, zlib, bz2, xz, lzma, lz4: what joblib compresses with."""

OWN_LOADER = "Write load_model(model_dir) in predictor.py, with %s"
SAVE_AGAIN = "Save the fitted model itself with joblib.dump(model, 'model.pkl')."

KINDS = (
    (b"\x89HDF\r\n", "an HDF5 file, as Keras writes it", OWN_LOADER % "keras.models.load_model."),
    (b"CBM1", "a CatBoost model", OWN_LOADER % "CatBoostClassifier().load_model."),
    (b"tree\nversion=", "a LightGBM model in its text format", OWN_LOADER % "lightgbm.Booster(model_file=…)."),
    (b'{"learner"', "an XGBoost model in JSON", OWN_LOADER % "xgboost.XGBClassifier().load_model."),
    (b"{L", "an XGBoost model in UBJSON", OWN_LOADER % "xgboost.XGBClassifier().load_model."),
    (b"\x93NUMPY", "a NumPy array", SAVE_AGAIN),
    (b"PAR1", "a Parquet file", SAVE_AGAIN),
    (b"\xd0\xcf\x11\xe0", "an old Excel file", SAVE_AGAIN),
    (b"<", "a page of HTML or XML, perhaps an error that was saved by a download", SAVE_AGAIN),
)
"""How a file begins → what it is, and what to do."""

ZIPS = (
    ("schema.json", "a skops file", OWN_LOADER % "skops.io.load."),
    ("data.pkl", "a file of torch.save", OWN_LOADER % "torch.load."),
    ("xl/workbook.xml", "an Excel workbook", SAVE_AGAIN),
    ("model.weights.h5", "a Keras model", OWN_LOADER % "keras.models.load_model."),
    (".npy", "an npz file of NumPy arrays", SAVE_AGAIN),
    ("MANIFEST.MF", "a Java archive", OWN_LOADER % "the library that wrote it."),
)
"""How the name of a file in a zip ends → what the zip is, and what to do."""


def refuse_what_is_no_pickle(path: Path) -> None:
    """Raises ModelNotUsable for files that cannot be one, so that nobody has to read an UnpicklingError."""
    with path.open("rb") as file:
        start = file.read(4096)
    if not start:
        raise ModelNotUsable(f"{path.name} is empty. Save the model again.")
    if start.startswith(LFS_POINTER):
        raise ModelNotUsable(f"{path.name} is a Git LFS pointer, not the model. Run `git lfs pull`.")
    if start.startswith(COMPRESSED) or _is_pickle(start):
        return
    what, remedy = _called(path, start)
    raise ModelNotUsable(f"{path.name} is not a pickle but {what}. {remedy}")


def of_directory(path: Path) -> str:
    """model.pkl is a directory: what it looks like, and what to do."""
    inside = sorted(entry.name for entry in path.iterdir())
    what = "a directory"
    if "saved_model.pb" in inside:
        what = "a TensorFlow SavedModel, a directory"
    elif "MLmodel" in inside:
        what = "an MLflow model, a directory"
    listed = ", ".join(inside[:12]) or "nothing"
    return f"{path} is not a pickle but {what}; in it: {listed}. {OWN_LOADER % 'the library that wrote it.'}"


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


def _called(path: Path, start: bytes) -> tuple[str, str]:
    if start.startswith(b"PK\x03\x04") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        for ending, what, remedy in ZIPS:
            if any(name.endswith(ending) for name in names):
                return what, remedy
        return f"a zip archive (of {', '.join(names[:6])})", SAVE_AGAIN
    for beginning, what, remedy in KINDS:
        if start.startswith(beginning):
            return what, remedy
    return f"of an unknown kind (it begins with {start[:16]!r})", f"{SAVE_AGAIN} Or write load_model in predictor.py."
