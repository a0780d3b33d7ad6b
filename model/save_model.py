"""One line where the model is trained, in a notebook or a script, saves the model for this kit.

    import sys; sys.path.insert(0, "/path/to/my-model/model")
    from save_model import save_model
    save_model(model, X_train)

This file works alone and on Python 3.9: it imports nothing but the standard library, and what the model itself needs.
"""

from __future__ import annotations

import ast
import datetime
import decimal
import importlib
import importlib.metadata
import importlib.util
import inspect
import io
import itertools
import json
import numbers
import os
import pickle
import pickletools
import re
import shlex
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SAMPLE_FILE = "model.sample.json"
OLDEST = (3, 11)
"""The oldest Python that the server runs on."""
Name = tuple[str, str]
"""A module, and what a pickle takes from it."""


def save_model(model: Any, rows: Any, where: str | Path | None = None, form: str = "pickle") -> None:
    """Writes model.pkl, model.sample.json, requirements.txt, .python-version and local-test/payload.csv; says so.

    `rows` is what `transformation` is to get: a DataFrame, a two-dimensional array, a list of texts or of dicts. Its
    first rows are written down, and three of them get into the image: if they are personal data, give made-up rows
    with the same columns and types.
    `where` is the kit's folder model; without it, the folder that this file is in. `form="skops"` writes model.skops.
    ValueError says in a line what cannot be saved and what to do; then nothing has been written.
    """
    directory = _directory(where)
    predictor = _predictor(directory)
    _refuse_misuse(model, rows, form)
    if _only_predicts(predictor):
        _refuse_other_rows(model, rows)
    sample = _sample_of_some(rows)
    file, content, names = _dumped(model, form)
    names |= {(module, "") for module in _imported(predictor) if importlib.util.find_spec(module.partition(".")[0])}
    names |= {(module, "") for kind, module in (("frame", "pandas"), ("array", "numpy")) if kind == sample["form"]}
    names |= {("pyarrow", "")} if "[pyarrow]" in json.dumps(sample["columns"]) else set()
    versions = _versions(_with_bases(names), directory, predictor)
    _save(directory, rows, file, content, versions, sys.version_info[:2])
    for note in _notes(model, sample, directory, predictor, content if form == "skops" else None):
        print(f"note: {note}")


def import_mlflow(source: str | Path, where: str | Path | None = None, rows: Any = None, trust: bool = False) -> None:
    """As `save_model`, from the directory of an MLflow model of scikit-learn, LightGBM or XGBoost.

    Its packages and its Python are those that MLflow has noted. `rows` are needed where it has no input example, and
    where the example, which is JSON, does not tell types: times, categories. A pickle is copied, and not loaded here.
    But the server loads it, and it can run any code then: `trust=True` is your word that you know where it is from.
    """
    directory, path = _directory(where), Path(source).expanduser().resolve()
    told = _mlmodel(path)
    flavours = sorted({key.split(".")[1] for key in told if key.startswith("flavors.")})
    flavour = next((one for one in ("sklearn", "lightgbm", "xgboost") if one in flavours), None)
    if flavour is None:
        raise ValueError(
            f"{path.name} is a model of {' and '.join(flavours)}; known are sklearn, lightgbm and xgboost. Load it "
            "with MLflow, and give the model inside it to save_model(model, rows)."
        )
    file = _inside(path, told.get(f"flavors.{flavour}.pickled_model") or told.get(f"flavors.{flavour}.data", ""))
    rows = _example(path, told) if rows is None else rows
    if file.suffix not in (".pkl", ".pickle", ".skops"):
        save_model(_of_its_library(flavour, told.get(f"flavors.{flavour}.model_class", ""), file), rows, where)
        return
    if file.suffix != ".skops" and not trust:
        raise ValueError(f"{file} can run any code when it is loaded. If you know where it is from: trust=True.")
    versions, others = _noted_versions(path)
    if _sample_of_some(rows)["form"] == "frame":
        versions.setdefault("pandas", importlib.metadata.version("pandas"))
    name = "model.skops" if file.suffix == ".skops" else "model.pkl"
    _save(directory, rows, name, file.read_bytes(), versions, _noted_python(path))
    if others:
        print(f"note: MLflow also lists {', '.join(others)}: add what is needed to requirements.txt yourself.")
    if (path / "code").is_dir():
        print(f"note: the model has code of its own: copy what is in {path / 'code'} beside predictor.py.")


def _save(
    directory: Path, rows: Any, file: str, content: bytes, versions: dict[str, str], python: tuple[int, int]
) -> None:
    """Writes all files, and says so in three lines."""
    _refuse_second_model(directory, file)
    _write(directory / file, content)
    (directory / ({"model.pkl", "model.skops"} - {file}).pop()).unlink(missing_ok=True)
    sample = _sample(rows, 3)
    _write(directory / SAMPLE_FILE, _as_json(sample))
    wanted = ".".join(map(str, max(python, OLDEST)))
    _write(directory / ".python-version", f"{wanted}\n".encode())
    count = len(sample["columns"])
    shape = f"{sample['form']}, {count} column{'s' * (count > 1)}, {_first(len(sample['rows']))}"
    wrote = f"{file} ({len(content) / 1000:.1f} kB), {SAMPLE_FILE} ({shape}), .python-version ({wanted})"
    print(f"wrote into {directory}: {wrote}")
    print("; ".join([_write_requirements(directory, versions), _write_payload(directory, rows)]))
    kit = shlex.quote(str(directory.parent))
    print(f"next: cd {kit} && ./local-test/train-local.sh && ./local-test/serve-local.sh")
    if python < OLDEST:
        print("note: the server needs Python 3.11 or newer, which may need newer packages than those of this model.")


# ---- an MLflow model


def _mlmodel(path: Path) -> dict[str, str]:
    """The single values in MLmodel, which is plain YAML: {"flavors.sklearn.pickled_model": "model.pkl"}."""
    if not (path / "MLmodel").is_file():
        raise ValueError(f"{path} has no file MLmodel, so it is not the directory of an MLflow model.")
    told: dict[str, str] = {}
    keys: list[str] = []
    for line in (path / "MLmodel").read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"((?:  )*)(\w+):(?: (.*))?", line)
        if match:
            keys = [*keys[: len(match[1]) // 2], match[2]]
            told[".".join(keys)] = (match[3] or "").strip("'\"")
    return told


def _inside(path: Path, name: str) -> Path:
    file = (path / name).resolve()
    if path not in file.parents or not file.is_file():
        raise ValueError(f"MLmodel names the file {name!r}, which is not in {path}. Save or download the model again.")
    return file


def _example(path: Path, told: dict[str, str]) -> Any:
    """The rows of MLflow's input example."""
    name = told.get("saved_input_example_info.artifact_path")
    if not name:
        raise ValueError(
            f"{path.name} has no input example. Give some rows of what it predicts from: rows=X_train.head()."
        )
    content = json.loads(_inside(path, name).read_text(encoding="utf-8"))
    if isinstance(content, dict) and set(content) >= {"columns", "data"}:
        import pandas

        return pandas.DataFrame(content["data"], columns=content["columns"])
    if told.get("saved_input_example_info.type") == "ndarray":
        import numpy

        return numpy.array(content.get("inputs", content) if isinstance(content, dict) else content)
    raise ValueError(f"The input example of {path.name} is not a table. Give rows as the model takes them: rows=…")


def _of_its_library(flavour: str, kind: str, file: Path) -> Any:
    """A model that XGBoost or LightGBM has written in a format of its own, which is data."""
    try:
        library: Any = importlib.import_module(flavour)
    except ImportError:
        raise ValueError(f"{flavour} is needed to read {file.name}, and is not installed here.") from None
    if flavour == "lightgbm":
        return library.Booster(model_file=str(file))
    name = kind.rpartition(".")[2] or "Booster"
    if not re.fullmatch(r"XGB\w+|Booster", name) or not hasattr(library, name):
        raise ValueError(f"{file.name} is of the class {kind!r}, which xgboost {library.__version__} does not have.")
    model = getattr(library, name)()
    model.load_model(str(file))
    return model


def _noted_versions(path: Path) -> tuple[dict[str, str], list[str]]:
    """Package → version as in MLflow's requirements.txt, without MLflow; and the lines that are not so plain."""
    file = path / "requirements.txt"
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []
    lines = [line for line in lines if line and not line.startswith(("#", "mlflow"))]
    plain = [match for line in lines if (match := re.fullmatch(r"([\w.-]+)(?:\[.*\])?==([\w.!+-]+)", line))]
    return {m[1]: m[2].partition("+")[0] for m in plain}, sorted(set(lines) - {m[0] for m in plain})


def _noted_python(path: Path) -> tuple[int, int]:
    file = path / "python_env.yaml"
    match = re.search(r"^python: '?(\d+)\.(\d+)", file.read_text(encoding="utf-8") if file.is_file() else "", re.M)
    return (int(match[1]), int(match[2])) if match else sys.version_info[:2]


# ---- what cannot be saved


def _directory(where: str | Path | None) -> Path:
    path = Path(where).expanduser() if where is not None else HERE
    if not path.is_dir():
        raise ValueError(f"{path} is not a directory (from {Path.cwd()}). Name the kit's folder model, such as {HERE}.")
    if (path / "model" / "predictor.py").is_file():
        raise ValueError(f"{path} is the kit itself; the model belongs into {path / 'model'}.")
    return path.resolve()


def _refuse_misuse(model: Any, rows: Any, form: str) -> None:
    if form not in ("pickle", "skops"):
        raise ValueError(f"form is {form!r}; it can be 'pickle' or 'skops'.")
    if isinstance(model, (str, Path)) or model is None:
        raise ValueError(f"model is {model!r}; give the fitted model itself.")
    if isinstance(model, type):
        raise ValueError(f"model is the class {model.__name__}; give a fitted object of it.")
    if hasattr(rows, "predict") or (hasattr(model, "iloc") and not hasattr(model, "predict")):
        raise ValueError("The model comes first, then the rows: save_model(model, rows).")
    if not _is_fitted(model):
        raise ValueError(f"The {type(model).__name__} is not fitted: call its fit(X_train, y_train) first.")


def _refuse_other_rows(model: Any, rows: Any) -> None:
    """Where transformation hands its rows to the model, they are such as the model was fitted on."""
    fitted_on = _fitted_on(model)
    if fitted_on and not hasattr(rows, "columns"):
        names = ", ".join(fitted_on[:3]) + (", …" if len(fitted_on) > 3 else "")
        raise ValueError(
            f"The model was fitted on a DataFrame with the columns {names}; rows are a {type(rows).__name__}. "
            "Give such a DataFrame: pandas.DataFrame(rows)."
        )
    if isinstance(rows, list) and rows and isinstance(rows[0], dict) and hasattr(model, "n_features_in_"):
        raise ValueError("rows are a list of dicts; the model was fitted on an array. Give rows as it had them.")


def _fitted_on(model: Any) -> list[str]:
    """The names of the columns that the model says it was fitted on; LightGBM makes some up for an array."""
    names = list(map(str, getattr(model, "feature_names_in_", ())))
    return [] if all(re.fullmatch(r"Column_\d+", name) for name in names) else names


def _is_fitted(model: Any) -> bool:
    """False for an estimator that says so of itself, as those of scikit-learn, xgboost, lightgbm and catboost do."""
    told = getattr(model, "is_fitted", None)
    if (told() if callable(told) else told) is False:
        return False
    if "sklearn" not in sys.modules or not (hasattr(model, "fit") and hasattr(model, "get_params")):
        return True
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except Exception as exc:  # noqa: BLE001 - an estimator may answer with anything
        return "NotFitted" not in type(exc).__name__
    return True


def _refuse_second_model(directory: Path, file: str) -> None:
    endings = (".pkl", ".pickle", ".joblib", ".skops")
    others = {path.name for path in directory.glob("model.*") if path.suffix in endings}
    others -= {file, "model.pkl", "model.skops"}
    if others:
        raise ValueError(f"{directory} has another model, {min(others)}. Delete it, then save again.")


# ---- the pickle, and what it imports


def _dumped(model: Any, form: str) -> tuple[str, bytes, set[Name]]:
    """Name of the file, its bytes, and the names that loading it imports."""
    if form == "skops":
        try:
            import skops.io
        except ImportError:
            raise ValueError("form='skops' needs the package skops: pip install skops.") from None
        content = skops.io.dumps(model)
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            schema = file.read("schema.json").decode()
        modules = re.findall(r'"__module__": "([^"]+)"', schema)
        return "model.skops", content, {("skops", ""), *((module, "") for module in modules)}
    try:
        content = pickle.dumps(model, protocol=min(pickle.HIGHEST_PROTOCOL, 5))
    except Exception as exc:  # noqa: BLE001 - whatever an object's own __reduce__ raises
        reason = " ".join(str(exc).split())[:200]
        what = f"The {type(model).__name__} cannot be pickled ({type(exc).__name__}: {reason})."
        if "<lambda>" in reason or "<locals>" in reason or "local object" in reason:
            raise ValueError(
                f"{what} A lambda, or what is defined inside a function, has no name to find it by: define it with "
                "`def` at the top of predictor.py, and import it from there."
            ) from None
        if "attribute lookup" in reason or "not found as" in reason or "not the same object" in reason:
            raise ValueError(
                f"{what} Put the class into predictor.py, and make the model with the one from there."
            ) from None
        raise ValueError(f"{what} Remove what is open or running from it (files, connections, threads).") from None
    return "model.pkl", content, _names(content)


def _names(pickled: bytes) -> set[Name]:
    """What a pickle imports, as (module, name), read from its opcodes; nothing is imported to tell."""
    names: set[Name] = set()
    memo: dict[int, str] = {}
    texts, last, count = [""], "", 0
    for opcode, argument, _ in pickletools.genops(pickled):
        kind = opcode.name
        if kind in ("MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"):
            memo[count if kind == "MEMOIZE" else int(argument or 0)] = last
            count += 1
            continue
        if kind in ("BINGET", "LONG_BINGET", "GET"):
            last = memo.get(int(argument or 0), "")
        else:
            last = str(argument) if "UNICODE" in kind else ""
        if kind in ("GLOBAL", "INST"):
            module, _, name = str(argument).partition(" ")
            names.add((module, name))
        elif kind == "STACK_GLOBAL":
            names.add((texts[-2], texts[-1]))
        if last:
            texts = [texts[-1], last]
    return names


def _with_bases(names: set[Name]) -> set[Name]:
    """With the modules of the classes from which those inherit: LightGBM's inherit from scikit-learn's."""
    found = set(names)
    for module, name in names:
        value: Any = sys.modules.get(module)
        for part in name.split(".") if name else ():
            value = getattr(value, part, None)
        if isinstance(value, type):
            found |= {(base.__module__, "") for base in value.__mro__ if base.__module__ != "__main__"}
    return found


def _versions(names: set[Name], directory: Path, predictor: ast.Module) -> dict[str, str]:
    """Package → the version that is installed here. ValueError for a module that no package has."""
    lacking = {name.partition(".")[0] for module, name in names if module == "__main__" and name} - _defined(predictor)
    if lacking:
        raise ValueError(
            f"The model needs {min(lacking)}, which is defined here (in __main__), where the server cannot find it. "
            f"Put it into {directory / 'predictor.py'} too, with the imports that it needs; then save again."
        )
    versions: dict[str, str] = {}
    packages = _packages()
    for top in sorted({module.partition(".")[0] for module, _ in names} - {"__main__", "serving", "save_model"}):
        if (directory / f"{top}.py").is_file() or (directory / top).is_dir() or _is_of_python(top):
            continue
        submodules = {"/".join(module.split(".")[:2]) for module, _ in names if module.partition(".")[0] == top}
        found = packages.get(top, [])
        found = [one for one in found if len(found) == 1 or _has_files(one, submodules)]
        if not found or any(_is_a_directory(one) for one in found):
            raise ValueError(
                f"The model needs the module {top}, which is your own and in no package index. Copy it beside "
                f"predictor.py, then save again: cp -r {_source(top)} {shlex.quote(str(directory))}/"
            )
        versions.update((one, importlib.metadata.version(one).partition("+")[0]) for one in found)
    return versions


def _source(top: str) -> str:
    """Where a module or a package lies, for a shell."""
    module = sys.modules.get(top)
    return shlex.quote(str(next(iter(getattr(module, "__path__", ())), getattr(module, "__file__", f"{top}.py"))))


def _packages() -> dict[str, list[str]]:
    """Top module → the packages that have it."""
    asked = getattr(importlib.metadata, "packages_distributions", None)  # not before Python 3.10
    if asked:
        return {top: sorted(set(found)) for top, found in asked().items()}
    packages: dict[str, list[str]] = {}
    for one in importlib.metadata.distributions():
        files = {path.parts[0] for path in one.files or () if path.suffix == ".py"}
        for top in {*(one.read_text("top_level.txt") or "").split(), *(name.partition(".")[0] for name in files)}:
            packages.setdefault(top, []).append(one.metadata["Name"])
    return packages


def _is_of_python(top: str) -> bool:
    """Whether a module belongs to Python itself."""
    if top in sys.builtin_module_names or top in getattr(sys, "stdlib_module_names", ("__builtin__", "copy_reg")):
        return True
    module = sys.modules.get(top)
    origin = str(getattr(module, "__file__", None) or "")
    return origin.startswith(sysconfig.get_paths()["stdlib"]) and "-packages" not in origin


def _has_files(package: str, submodules: set[str]) -> bool:
    files = importlib.metadata.distribution(package).files or ()
    return any(str(path).startswith(tuple(submodules)) for path in files)


def _is_a_directory(package: str) -> bool:
    """Whether it was installed from a directory of this machine (`pip install -e .`)."""
    return '"dir_info"' in (importlib.metadata.distribution(package).read_text("direct_url.json") or "")


# ---- predictor.py


def _predictor(directory: Path) -> ast.Module:
    path = directory / "predictor.py"
    try:
        return ast.parse(path.read_bytes()) if path.is_file() else ast.Module([], [])
    except SyntaxError as exc:
        raise ValueError(f"{path} is not Python, line {exc.lineno}: {exc.msg}. Correct it, then save again.") from None


def _defined(predictor: ast.Module) -> set[str]:
    """The names that predictor.py has."""
    names: set[str] = set()
    for node in predictor.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _imported(predictor: ast.Module) -> set[str]:
    nodes = list(ast.walk(predictor))
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return named | {
        node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level
    }


def _only_predicts(predictor: ast.Module) -> bool:
    """Whether transformation does nothing but to call the model's predict."""
    functions = [node for node in predictor.body if isinstance(node, ast.FunctionDef) and node.name == "transformation"]
    return not functions or list(map(ast.unparse, functions[0].body)) == ["return model.predict(rows)"]


def _notes(
    model: Any, sample: dict[str, Any], directory: Path, predictor: ast.Module, skops_file: bytes | None
) -> list[str]:
    """What is left for the user to do, a sentence each."""
    notes = []
    if not callable(getattr(model, "predict", None)) and _only_predicts(predictor):
        notes.append(
            f"a {type(model).__name__} has no method predict: write into {directory / 'predictor.py'} what "
            f"transformation returns{', such as: ' if of_parts(model) else ''}{of_parts(model)}"
        )
    if "load_model" in _defined(predictor):
        notes.append("predictor.py has a load_model, which decides over what is loaded.")
    fitted_on = _fitted_on(model)
    names = [str(column["name"]) for column in sample["columns"]] if sample["form"] == "frame" and fitted_on else []
    more = [name for name in names if not {name, name.replace(" ", "_")} & set(fitted_on)][:5]
    if more:
        notes.append(
            f"the model was not fitted on {', '.join(more)}. If predictor.py does not use it either, save again with "
            f"rows.drop(columns={more!r})."
        )
    if skops_file is not None:
        import skops.io

        types = skops.io.get_untrusted_types(data=skops_file)
        if types and "TRUSTED_TYPES" not in _defined(predictor):
            notes.append(
                f"skops does not know all types. Look at them, then add to predictor.py: TRUSTED_TYPES = {types}"
            )
    return notes


def of_parts(parts: Any) -> str:
    """What transformation may return for fitted parts in a dict, a list or an object; nothing if no part predicts."""
    places = list(_places(parts, "model", ""))
    models = [(place, key) for place, key, part in places if hasattr(part, "predict")]
    others = [(place, part) for place, _, part in places if hasattr(part, "transform") and not hasattr(part, "predict")]
    if len(models) != 1:
        called = ", ".join(f"{key!r}: {place}.predict(rows)" for place, key in models[:6])
        return f"return {{{called}}}" if models else ""
    rows = "rows"
    for place in (place for place, part in others if not _is_of_labels(part)):
        rows = f"{place}.transform({rows})"
    answer = f"{models[0][0]}.predict({rows})"
    for place in (place for place, part in others if _is_of_labels(part)):
        answer = f"{place}.inverse_transform({answer})"
    return f"return {answer}"


def _places(whole: Any, place: str, key: str, depth: int = 3) -> Iterator[tuple[str, str, Any]]:
    """The parts, as Python reaches them, with their keys."""
    if isinstance(whole, dict):
        parts = [(f"{place}[{name!r}]", str(name), part) for name, part in whole.items()]
    elif isinstance(whole, (list, tuple)):
        parts = [(f"{place}[{i}]", str(i), part) for i, part in enumerate(whole)]
    else:
        own = {} if hasattr(whole, "fit") else getattr(whole, "__dict__", {})
        parts = [(f"{place}.{name}", name, part) for name, part in own.items()]
    for there, name, part in parts if depth else ():
        label = f"{key}.{name}" if key else name
        if hasattr(part, "predict") or hasattr(part, "transform"):
            yield there, label, part
        elif isinstance(part, (dict, list, tuple)):
            yield from _places(part, there, label, depth - 1)


def _is_of_labels(part: Any) -> bool:
    """Whether it turns what is predicted into numbers, and back: its transform takes y."""
    try:
        takes = next(iter(inspect.signature(part.transform).parameters), "")
    except (TypeError, ValueError):
        return False
    return takes == "y" and hasattr(part, "inverse_transform")


# ---- the files


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_bytes(content)
        os.replace(new, path)
    finally:
        if new.exists():
            new.unlink()


ADDED = "# Added by save_model, which writes these lines anew:"


def _write_requirements(directory: Path, versions: dict[str, str]) -> str:
    """Sets the versions in requirements.txt and adds what it lacks; every other line stays. Says what was done.

    What was added for the model before this one stands under ADDED, and is taken out again.
    """
    if (directory / "pyproject.toml").exists():
        return "pyproject.toml must list " + ", ".join(f"{name}=={version}" for name, version in versions.items())
    path = directory / "requirements.txt"
    left = {_normal(name): f"{name}=={version}" for name, version in versions.items()}
    lines, listed, kept, removed, ours = [], [], [], [], False
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        ours = ours or line == ADDED
        if line == ADDED or (ours and re.fullmatch(r"[\w.-]+==[\w.!-]+", line)):
            removed += [line] if _normal(line.partition("==")[0]) not in left and line != ADDED else []
            continue
        match = re.match(
            r"\s*([A-Za-z0-9][\w.-]*)(\s*\[[^]]*\])?\s*((?:[=<>!~][^;#\\]*[^;#\\\s])?)(\s*[;#].*)?\s*$", line
        )
        name = _normal(match[1]) if match else ""
        if match and (name in left or match[3].startswith("==")) and "--hash" not in line:
            pinned = left.pop(name, "") or _installed(match[1])
            if pinned:
                version = pinned.partition("==")[2]
                new = f"{match[1]}{match[2] or ''}=={version}"
                listed.append(new if match[3] in ("", f"=={version}") else f"{new} (was {match[3]})")
                lines.append(new + (match[4] or ""))
                continue
        if line.strip() and not line.lstrip().startswith("#"):
            kept.append(line.strip())
        lines.append(line)
        left.pop(_normal(re.split(r"[\s@;\[=<>!~]", line.strip() + " ")[0]), None)
    added = [left[name] for name in sorted(left)]
    _write(path, ("\n".join([*lines, *([ADDED] if added else []), *added]) + "\n").encode())
    said = f"requirements.txt: {', '.join(listed + added) or 'nothing new'}"
    said += f"; removed: {', '.join(removed)}" if removed else ""
    return said + (f"; lines kept as they were: {', '.join(kept)}" if kept else "")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed(name: str) -> str:
    try:
        return f"{name}=={importlib.metadata.version(name).partition('+')[0]}"
    except importlib.metadata.PackageNotFoundError:
        return ""


def _write_payload(directory: Path, rows: Any) -> str:
    """The first ten rows as local-test/payload.csv, which predict.sh sends. Says what was done."""
    path = directory.parent / "local-test" / "payload.csv"
    sample = _sample(rows, 10)
    records = sample["rows"]
    if not path.parent.is_dir():
        return f"no payload.csv: there is no {path.parent}"
    names = [column["name"] for column in sample["columns"]] if sample["form"] == "frame" else []
    if sample["form"] == "objects":
        names = sorted({name for (record,) in records for name in record})
        records = [[record.get(name) for name in names] for (record,) in records]
    if any(isinstance(value, (list, dict)) for record in records for value in record):
        return "no payload.csv: a cell of CSV holds one value"
    lines = [",".join(map(_cell, record)) for record in ([names] if names else []) + records]
    _write(path, ("\n".join(lines) + "\n").encode())
    return f"local-test/payload.csv: {_first(len(records))}"


def _first(count: int) -> str:
    """Said where rows of the user are written: they may be personal data."""
    return f"your first {count} rows" if count > 1 else "your first row"


def _cell(value: Any) -> str:
    """Texts are quoted where they could be taken for something else; a missing value is an empty cell."""
    if not isinstance(value, str):
        return "" if value is None else str(value)
    return '"' + value.replace('"', '""') + '"' if not value.strip() or re.search(r'[",\r\n]', value) else value


# ---- model.sample.json


MOST_ROWS = 1000
"""What a sample may hold: more would be a data set."""


def save_sample(rows: Any, where: str | Path | None = None, n: int = 3) -> Path:
    """Writes model.sample.json: names, types and categories of the columns, and the first `n` rows (0: none).

    `rows` is a DataFrame, an array, or a list or Series of texts or of dicts: what transformation is to get. They get
    into the image as they are: if they are personal data, give made-up rows, or `n=0`. `where`
    is a directory or a file; without it the file is written beside predictor.py. ValueError says what a sample cannot
    hold: two columns of one name, names of two levels, a type that a request cannot carry.
    """
    path = Path(where).expanduser() if where is not None else HERE
    if path.is_dir():
        path /= SAMPLE_FILE
    elif path.suffix != ".json" or not path.parent.is_dir():
        raise ValueError(f"{path} is neither a directory nor a .json file in one (from {Path.cwd()}).")
    if not isinstance(n, int) or isinstance(n, bool) or not 0 <= n <= MOST_ROWS:
        raise ValueError(f"n is {n!r}; it is how many rows to write, from 0 to {MOST_ROWS}.")
    sample = _sample(rows, n)
    _write(path, _as_json(sample))
    count = len(sample["rows"])
    print(f"wrote {path}, " + (f"with {_first(count)} as they are" if count else "without rows"))
    for note in _notes_of_rows(rows):
        print(f"note: {note}")
    return path


def _notes_of_rows(rows: Any) -> list[str]:
    """What of the rows a request does not carry."""
    index = getattr(rows, "index", None) if hasattr(rows, "columns") else None
    names = [str(name) for name in getattr(index, "names", ()) if name is not None]
    if not names and str(getattr(index, "dtype", "int64")).startswith(("int", "uint")):
        return []
    what = f"the index {', '.join(names)}".strip() if names else "the index"
    return [f"{what} is left out: requests carry columns. If the model needs it, make it one: rows.reset_index()."]


def _as_json(sample: dict[str, Any]) -> bytes:
    return (json.dumps(sample, indent=1, default=str) + "\n").encode()


def _sample_of_some(rows: Any) -> dict[str, Any]:
    sample = _sample(rows, 3)
    if not sample["rows"]:
        raise ValueError("rows are empty: give at least one row, such as X_train.head().")
    return sample


def _sample(rows: Any, n: int) -> dict[str, Any]:
    form, columns, values = _seen(rows, n)
    if not columns:
        raise ValueError("rows have no columns. If they are in the index, take them out of it: rows.reset_index().")
    return {"form": form, "columns": columns, "rows": [[_json_value(v) for v in row] for row in values]}


def _seen(rows: Any, n: int) -> tuple[str, list[dict[str, Any]], list[Any]]:
    """The form of the rows, their columns and the first n of them."""
    if hasattr(rows, "columns"):
        if not hasattr(rows, "itertuples"):
            raise ValueError(f"rows are a {type(rows).__module__} frame: make it one of pandas, rows.to_pandas().")
        _refuse_names(rows.columns)
        described = [_described(rows[name], name) for name in rows.columns]
        return "frame", described, [list(row) for row in rows.head(n).astype(object).itertuples(index=False, name=None)]
    if getattr(rows, "ndim", 1) == 2:
        array = _array(rows, n)
        described = [_described(array[:, i], None) for i in range(array.shape[1])]
        return "array", described, array[:n].tolist() if hasattr(array, "mask") else [list(row) for row in array[:n]]
    if not hasattr(rows, "__iter__") or isinstance(rows, (str, bytes, dict)) or hasattr(rows, "ndim"):
        items: list[Any] = rows.tolist() if getattr(rows, "ndim", 0) == 1 and hasattr(rows, "tolist") else [None]
    else:
        items = list(rows)
    if items and all(isinstance(item, dict) for item in items):
        return "objects", [{"kind": "any"}], [[item] for item in items[:n]]
    if not all(isinstance(item, str) for item in items):
        raise ValueError(
            f"rows are a DataFrame, a two-dimensional array, or a list of texts or of dicts, and not {_what_else(rows)}"
        )
    name = getattr(rows, "name", None)  # of a Series: the header over its texts
    column = {"kind": "text", **({} if name is None or isinstance(name, tuple) else {"name": str(name)})}
    return "texts", [column], [[text] for text in items[:n]]


def _array(rows: Any, n: int) -> Any:
    """A NumPy array; of a sparse matrix its first rows. A tensor leaves its graph and its device."""
    if hasattr(rows, "tocsr"):
        return rows.tocsr()[: max(n, 1)].toarray()
    if hasattr(rows, "detach"):
        rows = rows.detach().cpu()
    return rows if hasattr(rows, "mask") else rows.__array__()


def _what_else(rows: Any) -> str:
    """What was given in place of rows, with the remedy."""
    kind, ndim = type(rows).__name__, getattr(rows, "ndim", None)
    if ndim is not None and hasattr(rows, "to_frame"):
        return f"a {kind} of others. It is one column, rows.to_frame(), or one row, rows.to_frame().T."
    if getattr(getattr(rows, "dtype", None), "names", None):
        return "an array of records: pandas.DataFrame(rows)."
    if ndim == 1:
        return "an array of one dimension. One row is rows.reshape(1, -1), one column rows.reshape(-1, 1)."
    if ndim is not None:
        return f"an array of {ndim} dimensions. A model that takes those needs no sample: send application/x-npy."
    return f"a {kind} of others. Lists of values: numpy.array(rows), or pandas.DataFrame(rows)."


def _refuse_names(names: Any) -> None:
    levels = max([getattr(names, "nlevels", 1), *(len(name) for name in names if isinstance(name, tuple))])
    if levels > 1:
        raise ValueError(
            f"The columns' names have {levels} levels; requests carry one. Join them: "
            'frame.columns = ["_".join(map(str, name)) for name in frame.columns], and fit the model on that.'
        )
    given = sorted(str(name) for name in names)
    twice = next((name for name, group in itertools.groupby(given) if len(list(group)) > 1), None)
    if twice is not None:
        raise ValueError(
            f"Two columns are called {twice!r}, so requests cannot tell them apart. Rename one, fit again."
        )
    for name in names:
        if not isinstance(_json_value(name), (str, int, float)) or not (isinstance(name, str) or _is_number(name)):
            raise ValueError(
                f"A column is called {name!r}, a {type(name).__name__}; requests carry texts. Rename it: "
                "frame.columns = frame.columns.map(str), and fit the model on that."
            )


def _described(series: Any, name: Any) -> dict[str, Any]:
    described = {} if name is None else {"name": _json_value(name)}
    where = "The array" if name is None else f"The column {name!r}"
    described.update({"dtype": _dtype_name(series.dtype, where), "kind": _kind(series)})
    if described["kind"] == "category":
        known = series.cat.categories
        told = _kind(known)
        if told not in ("text", "integer", "number", "boolean", "datetime", "duration", "any") or (
            told == "any" and any(isinstance(c, (tuple, list, dict)) for c in known)
        ):
            kind = type(known[0]).__name__ if len(known) else known.dtype
            raise ValueError(
                f"The categories of the column {name!r} are of the type {kind}, which a request "
                "cannot carry. Make them texts, fit the model on that, and save again."
            )
        described["categories"] = [_json_value(c) for c in known]
        described["categories_dtype"] = _dtype_name(known.dtype, where)
        described["ordered"] = bool(series.cat.ordered)
    elif not described["kind"]:
        raise ValueError(
            f"{where} holds values of the type {_of_which_type(series)}, which a request cannot carry. Make them "
            "numbers, texts or times (pandas.to_datetime), fit the model on that, and save again."
        )
    if described["dtype"] == "object":
        missing = [value for value in _values(series) if _is_missing(value)]
        described.update({"none": True} if missing and all(value is None for value in missing) else {})
    return described


def _dtype_name(dtype: Any, where: str) -> str:
    """By which the server makes it again."""
    name = _native(dtype)
    offset = re.search(r"pytz\.FixedOffset\((-?\d+)\)", name)
    if offset:
        minutes = int(offset[1])
        zone = f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
        name = name.replace(offset[0], zone)
    if name.startswith("datetime64[") and "," in name:
        import pandas

        try:
            pandas.api.types.pandas_dtype(name)
        except (TypeError, ValueError):
            raise ValueError(
                f"{where} has the type {name}, whose zone has no name that a server knows. Convert it, such as "
                "rows[…].dt.tz_convert('Europe/Berlin') or tz_convert('UTC'), and save again."
            ) from None
    return name


def _native(dtype: Any) -> str:
    """Its name in this machine's order of bytes."""
    return str(dtype.newbyteorder("=")) if str(dtype).startswith(">") else str(dtype)


def _values(series: Any) -> list[Any]:
    return list(series.astype(object).tolist())


def _kind(values: Any) -> str:
    """Of a column, or of categories; empty for what a request cannot carry."""
    dtype = re.sub(r"^sparse\[", "", _native(values.dtype).lower())
    for start, kind in DTYPE_KINDS.items():
        if dtype.startswith(start):
            return kind
    if not dtype.startswith("object"):
        return ""
    present = [value for value in _values(values) if not _is_missing(value)]
    types = {type(value) for value in present}
    for kind, is_one in OBJECT_KINDS.items():
        if types and all(map(is_one, types)):
            return kind
    return "any" if all(map(_is_of_json, present)) else ""


def _of_which_type(values: Any) -> str:
    """The dtype, or that of the first object which is not one of JSON."""
    others = [v for v in _values(values) if not _is_missing(v) and not _is_of_json(v)] if values.dtype == object else []
    return type(others[0]).__name__ if others else str(values.dtype)


def _is_of_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_of_json, value.values()))
    if isinstance(value, (list, tuple)) or getattr(value, "ndim", None):
        return all(map(_is_of_json, value))
    return isinstance(value, (str, bool)) or _is_missing(value) or _is_number(value) or _is_numpys_flag(type(value))


def _is_numpys_flag(kind: type) -> bool:
    return kind.__name__ in ("bool_", "bool") and kind.__module__ == "numpy"


def _is_numpys(value: Any) -> bool:
    """Whether it is a single value of one of NumPy's types."""
    return hasattr(value, "dtype") and getattr(value, "ndim", None) == 0


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType", "MaskedConstant"):
        return True
    return (isinstance(value, numbers.Number) or _is_numpys(value)) and bool(value != value)


def _json_value(value: Any) -> Any:
    if _is_missing(value):
        return None
    if _is_numpys(value):
        value = str(value) if value.dtype.kind in "mM" else value.item()
        value = float(value) if _is_numpys(value) else value  # a long double
    if isinstance(value, dict):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) or hasattr(value, "__array__"):
        return [_json_value(item) for item in value]
    return value if isinstance(value, (str, int, float, bool)) else str(value)


DTYPE_KINDS = {
    "interval": "", "float": "number", "double": "number", "halffloat": "number", "int": "integer", "uint": "integer",
    "bool": "boolean", "string": "text", "str": "text", "large_string": "text", "<u": "text", "category": "category",
    "datetime64[d]": "", "datetime": "datetime", "timestamp": "datetime", "timedelta": "duration",
    "duration": "duration", "period": "period", "date": "date", "time": "time", "decimal": "decimal",
}  # fmt: skip
"""How a pandas, Arrow or NumPy dtype begins → the kind of column. The first that fits; empty: none."""

OBJECT_KINDS: dict[str, Callable[[type], bool]] = {
    "text": lambda kind: issubclass(kind, str),
    "boolean": lambda kind: issubclass(kind, bool) or _is_numpys_flag(kind),
    "integer": lambda kind: issubclass(kind, numbers.Integral) and not issubclass(kind, bool),
    "number": lambda kind: issubclass(kind, numbers.Real) and not issubclass(kind, bool),
    "decimal": lambda kind: issubclass(kind, decimal.Decimal),
    "date": lambda kind: kind is datetime.date,
    "time": lambda kind: kind is datetime.time,
}
"""The first whose test holds for all types in a column of objects."""
