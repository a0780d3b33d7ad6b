"""Which package has a module, and what to do where it is not installed."""

from __future__ import annotations

import re
from importlib import metadata

from ..settings import PROGRAM_DIR

PACKAGES = {
    "sklearn": "scikit-learn", "cv2": "opencv-python-headless", "PIL": "pillow", "yaml": "pyyaml",
    "imblearn": "imbalanced-learn", "skimage": "scikit-image", "skopt": "scikit-optimize", "sksurv": "scikit-survival",
    "umap": "umap-learn", "bs4": "beautifulsoup4", "dateutil": "python-dateutil", "pkg_resources": "setuptools",
    "attr": "attrs", "faiss": "faiss-cpu", "pytorch_lightning": "pytorch-lightning", "tlz": "toolz",
    "dotenv": "python-dotenv", "surprise": "scikit-surprise", "skmultilearn": "scikit-multilearn", "git": "gitpython",
    "skfuzzy": "scikit-fuzzy", "skbio": "scikit-bio", "sklego": "scikit-lego", "autosklearn": "auto-sklearn",
    "fbprophet": "prophet", "talib": "ta-lib", "jwt": "pyjwt", "Crypto": "pycryptodome", "fitz": "pymupdf",
    "docx": "python-docx", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient", "ruamel": "ruamel.yaml",
    "Levenshtein": "levenshtein", "serial": "pyserial", "distutils": "setuptools",
}  # fmt: skip
"""Packages whose name on PyPI is not the name that one imports."""
KNOWN = frozenset((
    "xgboost", "lightgbm", "catboost", "torch", "tensorflow", "keras", "numpy", "scipy", "pandas", "polars", "pyarrow",
    "joblib", "cloudpickle", "dill", "skops", "category_encoders", "feature_engine", "statsmodels", "sktime", "skorch",
    "shap", "prophet", "nltk", "spacy", "gensim", "transformers", "mlflow", "optuna", "onnxruntime", "pyspark",
))  # fmt: skip
"""Others of which nobody has a file of their own."""


def add_to_requirements(module: str) -> str:
    """What to do about a module that is not installed."""
    top = module.partition(".")[0]
    package = PACKAGES.get(top, top)
    if re.search(rf"(?mi)^\s*{re.escape(package)}\b(?!-)", _listed()):
        return (
            f"requirements.txt lists {package}, so what is installed is older than that list. Install it anew: delete "
            "the directory .venv and start again, or build the image."
        )
    if top in PACKAGES or top in KNOWN:
        return f"Add {package} to model/requirements.txt."
    yours = f"(if it is yours: put {top}.py or the folder {top} beside predictor.py)"
    return f"Add {package} to model/requirements.txt {yours}."


def _listed() -> str:
    path = PROGRAM_DIR / "requirements.txt"
    return path.read_text(errors="replace") if path.is_file() else ""


def installed(module: str) -> str:
    """The package and its version, in words."""
    top = module.partition(".")[0]
    package = PACKAGES.get(top, top)
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"the installed {top}"
