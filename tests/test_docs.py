"""README.md and docs/ say what the code does: settings, errors, metrics, trees, links, commands, the first answer."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest

from running import EXPECTED, KIT
from serving import errors
from serving.commands.nginx import NGINX_ERRORS, SENT, STOPPING
from serving.settings import Settings

README = KIT / "README.md"
PAGES = [README, *sorted((KIT / "docs").glob("*.md"))]
SERVING = KIT / "model/serving"


def name(path: Path) -> str:
    return str(path.relative_to(KIT))


def text(page: str) -> str:
    return (KIT / page).read_text()


def without_code(markdown: str) -> str:
    return re.sub(r"^( *)```.*?^\1```", "", markdown, flags=re.DOTALL | re.MULTILINE)


def snippets(page: Path, language: str) -> list[str]:
    """The code blocks of one language; "" for those that do not name one."""
    blocks = re.findall(r"^( *)```(\w*)\n(.*?)^\1```", page.read_text(), re.DOTALL | re.MULTILINE)
    return [code for _, marked, code in blocks if marked == language]


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def drawn(tree: str) -> set[str]:
    """The paths in a drawing of ├── and └──."""
    paths, stack = set(), []
    for line in tree.splitlines():
        match = re.match(r"((?:│   |    )*)[├└]── (\S+)", line)
        assert match, line
        stack = [*stack[: len(match[1]) // 4], match[2].rstrip("/")]
        paths.add("/".join(stack))
    return paths


def trees() -> list[tuple[str, set[str]]]:
    """Each drawing of the repository, with the page that it is on."""
    return [(name(page), drawn(block)) for page in PAGES for block in snippets(page, "") if block.startswith("├──")]


def test_the_readme_is_short() -> None:
    """At most 150 lines: everything else has a page in docs/."""
    assert len(README.read_text().splitlines()) <= 150


def test_the_index_lists_every_page() -> None:
    """docs/README.md names each page of docs/ once."""
    listed = re.findall(r"\]\(([\w-]+\.md)\)", text("docs/README.md"))
    assert sorted(listed) == [page.name for page in PAGES[1:] if page.name != "README.md"]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "README.md"], ids=name)
def test_a_page_opens_with_its_task(page: Path) -> None:
    """Its second paragraph tells who should read it: "Read this to …" or "Read this when …"."""
    title, opening = page.read_text().split("\n\n")[:2]
    assert title.startswith("# ")
    assert re.match(r"Read this (to|when) ", opening)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link names a file that is there, and a heading that is in it. A text that is a path is one, too."""
    for label, target in re.findall(r"\[([^]]*)\]\(([^)\s]+)\)", without_code(page.read_text())):
        assert not re.fullmatch(r"[\w.-]+/[\w./-]+", label) or (KIT / label).exists(), label
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_files_are_there(page: Path) -> None:
    """Each script, word of make and file of the repository that a page names exists."""
    markdown = page.read_text()
    shell = "\n".join(snippets(page, "sh")) + "\n".join(re.findall(r"`([^`\n]+)`", markdown))
    for script in re.findall(r"\./([\w/-]+\.sh)", shell):
        assert (KIT / script).exists(), script
    for word in re.findall(r"\bmake ([a-z-]+)", shell):
        assert re.search(rf"^{word}:", text("Makefile"), re.MULTILINE), f"make {word}"
    folders = "|".join(path.name for path in KIT.iterdir() if path.is_dir() and not path.name.startswith("."))
    made = ("model/model.sample.json", "model/pyproject.toml", "model/uv.lock", "local-test/test-dir/models")
    made += ("model/.python-version", "local-test/releases")
    for path in re.findall(rf"(?<![\w/.-])((?:{folders})/[\w./*-]*[\w/*])", shell):
        assert path.startswith(made) or any(KIT.glob(path)), path


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_of_scripts_are_theirs(page: Path) -> None:
    """A command that is shown with options is a script that knows them."""
    for command, script in re.findall(r"^(\./([\w/-]+\.sh)\b.*)$", "\n".join(snippets(page, "sh")), re.MULTILINE):
        for option in re.findall(r" (--[a-z-]+)", command.partition("#")[0]):
            assert option in text(script), command


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_snippets_import_what_is_there(page: Path) -> None:
    """Each `from serving.… import …` of a page works."""
    for module, names in re.findall(r"from (serving[\w.]*) import ([\w, ]+)", page.read_text()):
        for imported in names.split(","):
            assert hasattr(importlib.import_module(module), imported.strip()), f"from {module} import {imported}"


def test_the_readmes_model_can_be_saved(tmp_path: Path) -> None:
    """The lines that the README shows for save_model write its files, with nothing of the kit but that one file."""
    code = next(code for code in snippets(README, "python") if "save_model" in code)
    room = tmp_path / "a kit" / "model"
    room.mkdir(parents=True)
    shutil.copy(KIT / "model/save_model.py", room)
    program = f"import pandas\nmodel, X_train = {{}}, pandas.DataFrame({{'a': [1.5]}})\n{textwrap.dedent(code)}"
    program = program.replace("/path/to/my-model/model", str(room))
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    names = {"model.pkl", "model.sample.json", "requirements.txt", ".python-version"}
    assert {path.name for path in room.iterdir() if path.is_file()} == names | {"save_model.py"}


def test_the_settings_page_lists_every_setting() -> None:
    """The table equals the code's: names, defaults and texts."""
    rows = [
        f"| `{row.metadata['name']}` | {row.metadata['default']} | {row.metadata['help']} |" for row in fields(Settings)
    ]
    table = re.search(r"\| variable \| default \|.*?(\n\n|\Z)", text("docs/settings.md"), re.DOTALL)
    assert table
    assert table.group().strip().splitlines()[2:] == rows


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_settings_that_are_named_exist(page: Path) -> None:
    """No page names a setting of ours that the code does not have."""
    named = set(re.findall(r"\bMODEL_SERVER_[A-Z_]*[A-Z]\b", page.read_text()))
    assert named <= {row.metadata["name"] for row in fields(Settings)}


def test_the_errors_page_lists_every_error() -> None:
    """Each error of the server and each of nginx is in the table, with its status."""
    table = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", text("docs/errors.md"), re.MULTILINE))
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.ServingError)]
    code = {(str(one.status), one.code) for one in classes}
    code |= {(str(SENT.get(status, status)), word) for status, (word, _) in NGINX_ERRORS.items()} | {
        ("503", STOPPING[0])
    }
    assert code == table


def test_the_monitoring_page_lists_every_metric() -> None:
    """The table's names are those that the code gives its metrics."""
    table = set(re.findall(r"^\| `(\w+)` \|", text("docs/monitoring.md"), re.MULTILINE))
    code = "\n".join(path.read_text() for path in SERVING.rglob("*.py"))
    names = set(re.findall(r"[\"'](model_server_\w+|sagemaker_endpoint_health)[\"']", code))
    assert names
    assert names <= table
    assert {one for one in table if one.startswith("model_server_")} <= names


@pytest.mark.parametrize(("page", "paths"), trees(), ids=["README.md", "docs/design.md"])
def test_trees_show_the_repository(page: str, paths: set[str]) -> None:
    """Every name in a drawing exists. Every folder at the top is drawn, on the design page every file as well."""
    for path in paths - {"model/requirements.lock"}:  # a user's model may have none
        assert (KIT / path).exists(), path
    files_too = page == "docs/design.md"
    top = {one.name for one in KIT.iterdir() if not one.name.startswith((".", "__")) and (files_too or one.is_dir())}
    assert top <= paths


def test_the_design_page_shows_the_folders_of_the_server() -> None:
    """Every folder of model/serving/ has its line in the map."""
    paths = dict(trees())["docs/design.md"]
    folders = {path.parent.name for path in SERVING.glob("*/*.py")}
    assert {f"model/serving/{folder}" for folder in folders} <= paths


def test_the_design_page_names_the_files_of_the_server() -> None:
    """Each file of a folder of model/serving/ is named in that folder's line, and no other file is."""
    section = text("docs/design.md").partition("## The files of the server")[2].partition("\n## ")[0]
    for line in section.split("\n- **")[1:]:
        folder = line.partition("**")[0]
        files = {path.stem for path in (SERVING / folder).glob("*.py")} - {"__init__"}
        assert files, folder
        assert files == set(re.findall(r"`(\w+)`", line)) - {"readers", "transformation"}, folder
    assert {path.parent.name for path in SERVING.glob("*/*.py")} == set(
        re.findall(r"^- \*\*(\w+)", section, re.MULTILINE)
    )


def test_where_a_change_goes_is_there() -> None:
    """Each file that the design page's last table names exists, in the folder of its line or below the server's."""
    table = text("docs/design.md").partition("## Where a change goes")[2]
    names = re.findall(r"`([\w./]+\.(?:py|md|c))`", table)
    assert len(names) > 10
    for one in names:
        assert (KIT / one).exists() or any(SERVING.rglob(one)), one


def test_the_readmes_figures_are_measured_ones() -> None:
    """The requests per second of its first screen stand in the table that `make bench` has written."""
    said = re.search(r"\*\*Fast:\*\*.*?\n\n", README.read_text(), re.DOTALL)
    assert said
    table = text("docs/performance.md").partition("<!-- made by make bench -->")[2].partition("<!-- end -->")[0]
    measured = {cell.strip().partition(".")[0] for cell in table.split("|")}
    figures = re.findall(r"(?<=answers )[\d ]*\d|(?<=servers )[\d ]*\d", said.group().replace("\n", " "))
    assert len(figures) == 3
    assert set(figures) <= measured


def test_the_readme_shows_the_payloads_answer() -> None:
    """The expected answer in the README is what the model says."""
    assert EXPECTED in README.read_text()
