"""The floor plan holds: the rooms' direction of imports, the user's small side."""

from __future__ import annotations

import ast
import re
import shutil
import sys
from functools import cache
from pathlib import Path

import pytest

from running import KIT, REPOSITORY

SERVING = KIT / "model/serving"

FLOORS = (
    {"__main__"},
    {"commands", "signature"},
    {"http"},
    {"multi_model"},
    {"batching"},
    {"formats", "models"},
    {"compiler"},
    {"rows"},
    {"monitoring", "settings"},
    {"errors", "limits", "install", "sbom", "leaks"},
    {"wording"},
)
"""Folders and files of model/serving, from the top floor to the ground. A room imports from floors below, or from its
own folder; rooms of one floor do not know each other."""

ONLY = {
    "flask": {"http"},
    "werkzeug": {"http"},
    "gunicorn": {"http"},
    "httptools": {"http"},
    "gevent": {"http"},
    "sklearn": {"compiler", "models"},
    "xgboost": {"compiler", "models"},
    "lightgbm": {"compiler", "models"},
}
"""A package → the folders that may import it."""

READ_THE_ENVIRONMENT = ("settings", "commands.serve", "commands.predict", "install")
"""The settings; those that tell BLAS its threads; and the build, which asks pip's own variables."""

STANDARD_LIBRARY_ONLY = {"monitoring", "limits", "errors", "wording", "install", "sbom", "leaks"}

MOST_LINES = 250
LONGER = {
    "settings": "one table: a row for each environment variable",
    "install": "the build runs this file alone, before there is anything to import",
    "compiler.evaluate": "one function for each operation",
    "compiler.native": "one class for each thing that native.c does",
}
"""Rooms that may have more than MOST_LINES, and why."""


class Rooms:
    """The modules below a directory, named as `folder.file`, and what each imports."""

    def __init__(self, directory: Path) -> None:
        self.paths = {
            ".".join(path.relative_to(directory).with_suffix("").parts): path
            for path in sorted(directory.rglob("*.py"))
            if path.name != "__init__.py"
        }
        self.texts = {room: path.read_text() for room, path in self.paths.items()}
        rooms = frozenset(self.paths)
        self.imports = {room: imported(text, room, rooms) for room, text in self.texts.items()}

    def broken_laws(self) -> list[str]:
        """One sentence for each import that the map does not allow."""
        floor_of = {name: floor for floor, names in enumerate(FLOORS) for name in names}
        broken = []
        for room, targets in self.imports.items():
            top = room.split(".")[0]
            if top not in floor_of:
                broken.append(f"{room} is on no floor")
                continue
            for target in targets:
                other = target.split(".")[0]
                if target in self.paths:
                    if other != top and floor_of[other] <= floor_of[top]:
                        broken.append(f"{room} imports {target}, which is not on a floor below")
                elif other in ONLY and top not in ONLY[other]:
                    broken.append(f"{room} imports {other}")
                elif top in STANDARD_LIBRARY_ONLY and other not in sys.stdlib_module_names | {"serving"}:
                    broken.append(f"{room} imports {other}, which is not in the standard library")
            text = self.texts[room]
            if room not in READ_THE_ENVIRONMENT and re.search(r"os\.environ|getenv", text):
                broken.append(f"{room} reads the environment")
            broken += [f"{room} imports {name}, which is private" for name in private_names(text)]
            if room not in LONGER and text.count("\n") > MOST_LINES:
                broken.append(f"{room} has more than {MOST_LINES} lines: has it two subjects?")
        circle = self._circle()
        return broken + ([f"a circle among {sorted(circle)}"] if circle else [])

    def _circle(self) -> set[str]:
        settled: set[str] = set()
        inside = {room: targets & self.paths.keys() for room, targets in self.imports.items()}
        while ready := {room for room, targets in inside.items() if room not in settled and targets <= settled}:
            settled |= ready
        return set(self.paths) - settled


@cache
def imported(text: str, room: str = "", rooms: frozenset[str] = frozenset()) -> set[str]:
    """The packages and the rooms that a file imports anywhere in it, save for types only."""
    names: set[str] = set()
    tree = ast.parse(text)
    tree.body = [n for n in tree.body if not (isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {_ours(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = room.split(".")[: -node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            base = base if node.level else _ours(base)
            found = {f"{base}.{alias.name}".lstrip(".") for alias in node.names} & rooms
            names |= found or {base}
    return names


@cache
def private_names(text: str) -> list[str]:
    """What a file imports from other rooms although its name begins with an underscore."""
    relative = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and node.level]
    names = [alias.name for node in relative for alias in node.names]
    return [name for name in names if name.startswith("_") and not name.startswith("__")]


def _ours(name: str) -> str:
    return name.removeprefix("serving.") if name != "serving" else ""


def test_the_map_is_kept() -> None:
    """Imports point downwards, without a circle; each library is known where the map says, and nowhere else."""
    rooms = Rooms(SERVING)
    assert len(rooms.paths) > 30
    assert rooms.broken_laws() == []


@pytest.mark.parametrize(
    ("file", "line", "law"),
    [
        ("rows/cells.py", "from ..formats import csv_rows", "not on a floor below"),
        ("rows/cells.py", "from serving.batching.engine import Engine", "not on a floor below"),
        ("formats/csv_rows.py", "from ..models import diagnosis", "not on a floor below"),
        ("rows/cells.py", "from .table import Table", "a circle among"),
        ("batching/answering.py", "import flask", "imports flask"),
        ("formats/npy.py", "def f():\n    from gevent import sleep", "imports gevent"),
        ("rows/signature.py", "import sklearn.base", "imports sklearn"),
        ("formats/npy.py", "import os\nX = os.environ", "reads the environment"),
        ("monitoring/health.py", "import numpy", "not in the standard library"),
        ("monitoring/health.py", "#\n" * 250, "more than 250 lines"),
        ("rows/table.py", "from .cells import _whole", "which is private"),
        ("new_room.py", "import json", "is on no floor"),
    ],
)
def test_a_broken_law_is_seen(file: str, line: str, law: str, tmp_path: Path) -> None:
    """On a copy with one line too many, the test above would fail, and says which law is broken."""
    copy = tmp_path / "serving"
    shutil.copytree(SERVING, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / file).open("a") as out:
        out.write(f"\n{line}\n")
    assert any(law in sentence for sentence in Rooms(copy).broken_laws())


def test_no_room_shadows_the_standard_library() -> None:
    """Loose files in model/ stand first on sys.path: their names must not be a standard module's."""
    import sys

    assert not {path.stem for path in (KIT / "model").glob("*.py")} & sys.stdlib_module_names


def test_the_load_needs_nothing_but_the_standard_library() -> None:
    """loadtest/ runs with any Python, knows nothing of the kit, and its two programs not even of loadtest/."""
    for path in sorted((KIT / "loadtest").glob("*.py")):
        known = sys.stdlib_module_names | (set() if path.stem in ("sender", "constant") else {"loadtest"})
        names = {name.split(".")[0] for name in imported(path.read_text(), f"loadtest.{path.stem}")}
        assert names <= known, path.name


def test_the_users_side_stays_tiny() -> None:
    """predictor.py needs nothing of the machinery."""
    assert "serving" not in {name.split(".")[0] for name in imported((REPOSITORY / "model/predictor.py").read_text())}
