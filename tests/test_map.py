"""The floor plan holds: the rooms' direction of imports, the README's tables and tree, the user's small side."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from running import KIT
from serving.settings import Settings

README = (KIT / "README.md").read_text()
ROOMS = {path.stem: path for path in (KIT / "model/serving").glob("*.py") if path.stem not in ("__init__", "__main__")}
ENTRANCES = {"app", "supervisor", "training", "checking", "install"}
"""Rooms that nothing in serving/ imports: they are called by train, serve, wsgi.py and the build."""


def imported(path: Path) -> set[str]:
    """The top-level packages, and the rooms of serving/, that a file imports anywhere in it, save for types only."""
    names = set()
    tree = ast.parse(path.read_text())
    tree.body = [n for n in tree.body if not (isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level and node.module is None:
                names |= {alias.name for alias in node.names}
            else:
                names.add((node.module or "").split(".")[0])
    return names


def test_imports_point_one_way() -> None:
    """No two rooms import each other, and nothing imports an entrance."""
    graph = {name: imported(path) & set(ROOMS) for name, path in ROOMS.items()}
    for name, targets in graph.items():
        assert not targets & ENTRANCES, f"{name} imports an entrance"
    settled: set[str] = set()
    while ready := {name for name, targets in graph.items() if name not in settled and targets <= settled}:
        settled |= ready
    assert settled == set(ROOMS), f"a circle among {set(ROOMS) - settled}"


@pytest.mark.parametrize("room", sorted(set(ROOMS) - {"app"}))
def test_only_app_knows_flask_and_nobody_knows_gunicorn(room: str) -> None:
    """The core takes and returns plain objects."""
    assert not imported(ROOMS[room]) & {"flask", "werkzeug", "gunicorn"}


@pytest.mark.parametrize("room", sorted(set(ROOMS) - {"settings", "supervisor"}))
def test_only_settings_reads_the_environment(room: str) -> None:
    """One room reads the environment; the supervisor hands it on to its children."""
    assert "os.environ" not in ROOMS[room].read_text()
    assert "getenv" not in ROOMS[room].read_text()


def test_no_room_shadows_the_standard_library() -> None:
    """Loose files in model/ stand first on sys.path: their names must not be a standard module's."""
    import sys

    assert not {path.stem for path in (KIT / "model").glob("*.py")} & sys.stdlib_module_names


def test_the_users_side_stays_tiny() -> None:
    """predictor.py: under 40 lines, no import of ours."""
    path = KIT / "model/predictor.py"
    assert len(path.read_text().splitlines()) < 40
    assert not imported(path)


def test_the_readme_lists_every_setting() -> None:
    """The settings table of the README equals the code's: names, defaults and texts."""
    rows = [
        f"| `{row.metadata['name']}` | {row.metadata['default']} | {row.metadata['help']} |" for row in fields(Settings)
    ]
    table = re.search(r"\| variable \| default \|.*?\n\n", README, re.DOTALL).group()
    assert table.strip().splitlines()[2:] == rows


def test_the_readme_draws_the_tree_that_is_there() -> None:
    """Every name in the README's tree exists, and every top-level file of the repository is in it."""
    tree = re.search(r"```\n(├── .*?)```", README, re.DOTALL).group(1)
    drawn, stack = set(), []
    for line in tree.splitlines():
        match = re.match(r"((?:│   |    )*)[├└]── (\S+)((?:  ?[\w.-]+\.\w+)*)", line)
        assert match, line
        depth = len(match[1]) // 4
        stack = [*stack[:depth], match[2].rstrip("/")]
        drawn.add("/".join(stack))
    for path in drawn:
        assert (KIT / path).exists(), path
    tracked = {p.name for p in KIT.iterdir() if not p.name.startswith(".") and p.name != "__pycache__"}
    assert tracked <= {path.split("/")[0] for path in drawn}


def test_the_readme_shows_the_payloads_answer() -> None:
    """The expected answer in the README is what the model says."""
    from test_scripts import EXPECTED

    assert EXPECTED in README
