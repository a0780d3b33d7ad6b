"""multi_model/registry.py and the pages of GET /models: one list for all workers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving import settings
from serving.monitoring import health
from serving.multi_model.api import Models
from serving.multi_model.registry import Registry


def test_a_number_is_never_used_again(tmp_path: Path) -> None:
    """A model that is loaded anew under its old name is another entry, for every worker that reads the list."""
    mine, others = Registry(tmp_path, 1), Registry(tmp_path, 2)
    first = mine.add("a", "/a")
    assert others.entries() == {"a": first}
    others.remove("a")
    assert mine.entries() == {}
    second = mine.add("a", "/a")
    assert second.number > first.number
    mine.loaded(second)
    assert [entry.loaded for entry in others.entries().values()] == [True]


def test_each_worker_marks_what_it_holds(tmp_path: Path) -> None:
    """Of a worker that has said nothing, None is known; marks that a dead worker with the same id has left are gone."""
    registry = Registry(tmp_path, 7)
    entry = registry.add("a", "/a")
    registry.mark(entry, "held")
    assert registry.marks(entry, [7, 8]) == {7: {"state": "held"}, 8: None}
    assert Registry(tmp_path, 7).marks(entry, [7]) == {7: None}


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_pages_list_each_loaded_model_once(tmp_path: Path, limit: int) -> None:
    """In the order of loading, whatever the size of a page; what is still being loaded is not listed."""
    models = Models(settings.load({}))
    models.registry = Registry(tmp_path, 1)
    for name in "edcba":
        models.registry.loaded(models.registry.add(name, f"/{name}"))
    models.registry.add("unfinished", "/u")
    names, token = [], None
    while True:
        page = json.loads(models.listed(token, str(limit), "id").body)
        names += [model["modelName"] for model in page["models"]]
        assert len(page["models"]) <= limit
        if (token := page.get("nextPageToken")) is None:
            break
    assert names == list("edcba")


@pytest.mark.parametrize(("token", "limit"), [("x", None), (None, "0"), (None, "-1"), ("1" * 30, None), (None, "²")])
def test_a_page_that_cannot_be_is_refused(tmp_path: Path, token: str | None, limit: str | None) -> None:
    models = Models(settings.load({}))
    models.registry = Registry(tmp_path, 1)
    assert models.listed(token, limit, "id").status == 400


def test_only_living_workers_are_asked(tmp_path: Path) -> None:
    """By default marks are those of the workers that have begun to serve and have not ended."""
    registry = Registry(tmp_path, 1)
    entry = registry.add("a", "/a")
    health.report(tmp_path, 1, None)
    health.report(tmp_path, 2**22 + 5, None)
    assert registry.marks(entry) == {1: None}
