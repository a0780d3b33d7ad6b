"""GET /openapi.json: valid OpenAPI, and true: what it shows is taken, and no error is forgotten."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from serving import errors
from serving.formats import content_types
from serving.http import openapi
from serving.rows.signature import Column, Signature

NUMBERS = tuple(Column(None, "number") for _ in range(3))
MIXED = (
    Column("length (cm)", "number"),
    Column('a, "b"', "text", ("x, y", "NA"), closed=True, missing=False),
    Column("größe", "category", ("s", "m")),
    Column("when", "datetime"),
    Column("n", "integer"),
    Column("flag", "boolean"),
    Column("gone", used=False),
)
SIGNATURES = {
    "array": Signature("array", NUMBERS),
    "one column": Signature("array", NUMBERS[:1]),
    "frame": Signature("frame", (Column("a", "number"), Column("b", "number", missing=False))),
    "names like numbers": Signature("frame", (Column(1, "number"), Column(0, "number"))),
    "two of one name": Signature("frame", (Column("a", "number"), Column("a", "number"))),
    "mixed": Signature("frame", MIXED),
    "sample": Signature("frame", MIXED[:2], ((None, "x, y"), (1.5, "NA"))),
    "texts": Signature("texts", (Column(kind="text"),)),
    "a text of two lines": Signature("texts", (Column(kind="text"),), (("one,\ntwo",),)),
    "objects": Signature("objects"),
    "objects with a sample": Signature("objects", None, (({"a": 1.5, "b": "x"},),)),
    "nested objects": Signature("objects", None, (({"a": [1, 2]},),)),
    "unknown": Signature(),
    "columns of which nothing is known": Signature("frame", (Column("a"), Column("b"))),
}


def described(signature: Signature) -> dict[str, Any]:
    return json.loads(openapi.of_one(signature, "model.pkl"))  # type: ignore[no-any-return]


def body(document: dict[str, Any], path: str = "/invocations") -> dict[str, Any]:
    return document["paths"][path]["post"]["requestBody"]["content"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", SIGNATURES)
def test_it_is_valid(name: str) -> None:
    """By the OpenAPI initiative's own schema and a validator's rules."""
    OpenAPIV31SpecValidator(described(SIGNATURES[name])).validate()


@pytest.mark.parametrize("name", SIGNATURES)
def test_its_examples_are_taken(name: str) -> None:
    """Each example fits its schema, and the server reads it as one row."""
    document, signature = described(SIGNATURES[name]), SIGNATURES[name]
    shown = {media_type: content["example"] for media_type, content in body(document).items() if "example" in content}
    for media_type, example in shown.items():
        if media_type == "application/json":
            schema = {**body(document)[media_type]["schema"], "components": document["components"]}
            Draft202012Validator(schema).validate(example)
        sent = json.dumps(example) if media_type == "application/json" else example
        assert content_types.decode(sent.encode(), media_type, None, signature, 10**6).count == 1, media_type
    known = name not in ("objects", "unknown", "columns of which nothing is known")
    assert bool(shown) == known
    assert not known or {"application/json", "application/jsonlines"} <= shown.keys()


def test_every_type_is_offered() -> None:
    """What is read and written stands in it; plain text only where the model may take texts."""
    for name in SIGNATURES:
        post = described(SIGNATURES[name])["paths"]["/invocations"]["post"]
        assert set(post["responses"]["200"]["content"]) == set(content_types.WRITABLE)
        texts = name in ("texts", "a text of two lines", "unknown")
        expected = set(content_types.READABLE) - (set() if texts else {"text/plain"})
        assert set(post["requestBody"]["content"]) == expected


def test_several_models_have_a_schema_each() -> None:
    """With names that an address has to quote; without a model the addresses that load one."""
    document = json.loads(openapi.of_several({"a": SIGNATURES["frame"], "b/ü{x}": SIGNATURES["texts"]}))
    OpenAPIV31SpecValidator(document).validate()
    assert {"/models", "/models/{name}", "/models/a/invoke", "/models/b%2F%C3%BC%7Bx%7D/invoke"} <= set(
        document["paths"]
    )
    assert "example" in body(document, "/models/a/invoke")["text/csv"]
    assert "text/plain" in body(document, "/models/b%2F%C3%BC%7Bx%7D/invoke")
    nothing = json.loads(openapi.of_several({}))
    OpenAPIV31SpecValidator(nothing).validate()
    assert "/models" in nothing["paths"]


def test_no_error_is_forgotten() -> None:
    """Each error of errors.py is what some operation may be answered with, or what undescribed addresses get; and
    says what it means."""
    told = {*openapi.OF_ALL, *openapi.OF_PREDICTIONS, *openapi.OF_MODELS, *openapi.OF_LOADING, *openapi.ELSEWHERE}
    assert told == {errors.ServingError, *errors.ServingError.__subclasses__()}
    assert all(openapi.meaning(kind) for kind in told)
    responses = described(Signature())["components"]["responses"]
    for kind in told - set(openapi.ELSEWHERE):
        assert f"{kind.code}: " in responses[str(kind.status)]["description"]


def test_every_address_is_described() -> None:
    """What the Flask app answers stands in it, save for the page and the description themselves."""
    from serving.http.app import create_app
    from serving.http.routes import Routes
    from serving.multi_model.api import Models
    from serving.settings import Settings

    for models in (None, Models(Settings())):
        app = create_app(Routes(None, models), lambda: None, lambda: ("", ""), 1, "{}", lambda: b"{}", "")
        rules = {rule.rule.replace("<", "{").replace(">", "}") for rule in app.url_map.iter_rules()}
        document = openapi.of_one(Signature(), "m") if models is None else openapi.of_several({"{name}": Signature()})
        paths = {path.replace("%7Bname%7D", "{name}") for path in json.loads(document)["paths"]}
        told_elsewhere = {"/", "/openapi.json"} | ({"/invocations"} if models else set())
        assert rules - told_elsewhere == paths
