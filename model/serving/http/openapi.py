"""GET /openapi.json: OpenAPI 3.1, made from what the models expect, with examples that they take.

Nothing here knows Flask. https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from .. import __version__, errors
from ..formats.content_types import CONTENT_TYPES, READABLE, WRITABLE
from ..rows import json_schema
from ..rows.signature import Signature

Errors = tuple[type[errors.ServingError], ...]
OF_ALL: Errors = (errors.BadRequest, errors.RequestTimeout, errors.UriTooLong, errors.ExpectationFailed,
                  errors.MisdirectedRequest, errors.HeadersTooLarge, errors.ServingError, errors.NotImplementedHere,
                  errors.VersionNotSupported)  # fmt: skip
"""What any request may be answered with."""
OF_PREDICTIONS: Errors = (errors.NotAcceptable, errors.PayloadTooLarge, errors.UnsupportedMediaType, errors.ModelFailed,
                          errors.NotReady, errors.Overloaded, errors.PredictionTimeout)  # fmt: skip
"""What a request for predictions may be answered with besides."""
OF_MODELS: Errors = (errors.ModelNotLoaded, errors.PredictionTimeout)
OF_LOADING: Errors = (errors.ModelAlreadyLoaded, errors.LoadFailed, errors.InsufficientMemory, errors.PredictionTimeout)
ELSEWHERE: Errors = (errors.NotFound, errors.MethodNotAllowed)
"""What addresses and methods get that are not described."""

MODEL = {
    "type": "object",
    "properties": {"modelName": {"type": "string"}, "modelUrl": {"type": "string"}},
    "required": ["modelName", "modelUrl"],
}
WISH = {
    "type": "object",
    "properties": {"model_name": {"type": "string"}, "url": {"type": "string", "description": "a directory"}},
    "required": ["model_name", "url"],
}
NAME = [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]


def of_one(signature: Signature, name: str) -> bytes:
    """The description of a server of one model; `name` is its file's."""
    paths = {"/invocations": {"post": _predict("predict", f"Predictions of {name}", signature, "Row")}}
    return _document(name, paths, {"Row": signature})


def of_several(signatures: Mapping[str, Signature]) -> bytes:
    """The description of a multi-model server: each loaded model has an address and a schema of its own."""
    rows = {f"Row{number}": signature for number, signature in enumerate(signatures.values(), 1)}
    paths: dict[str, Any] = {
        f"/models/{quote(name, safe='')}/invoke": {
            "post": _predict(f"predict{row}", f"Predictions of {name}", signatures[name], row)
        }
        for name, row in zip(signatures, rows, strict=True)
    }
    paths["/models"] = {
        "get": _operation("listModels", "The models that are loaded", {"200": _json("The models", {
            "type": "object", "properties": {"models": {"type": "array", "items": MODEL}}, "required": ["models"],
        })}),
        "post": {
            **_operation("loadModel", "Loads a model", {"200": _json("It is loaded", MODEL)}, OF_LOADING),
            "requestBody": {"required": True, "content": {"application/json": {"schema": WISH}}},
        },
    }  # fmt: skip
    paths["/models/{name}"] = {
        "parameters": NAME,
        "get": _operation("describeModel", "One model", {"200": _json("It is loaded", MODEL)}, OF_MODELS),
        "delete": _operation("unloadModel", "Unloads a model", {"200": _json("It was loaded", MODEL)}, OF_MODELS),
    }
    return _document("several models", paths, rows)


def _document(title: str, paths: dict[str, Any], rows: Mapping[str, Signature]) -> bytes:
    schemas = {name: json_schema.of_row(signature) for name, signature in rows.items()}
    ready = {"200": {"description": "A prediction has worked"}}
    parameters = {"200": _json("What a transform job should send", {"type": "object"})}
    counted = {"200": {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}}}
    paths |= {
        "/ping": {"get": _operation("ping", "Whether the server can predict", ready, (errors.NotReady,))},
        "/execution-parameters": {"get": _operation("executionParameters", "For transform jobs", parameters)},
        "/metrics": {"get": _operation("metrics", "What has been counted", counted)},
    }
    document = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": __version__, "description": "Predictions, as SageMaker asks for them."},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": {**schemas, "Error": ERROR}, "responses": _error_responses()},
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


# ---- predictions -----------------------------------------------------------------------------------------------------


def _predict(id: str, summary: str, signature: Signature, row: str) -> dict[str, Any]:
    """`row` is the name of the row's schema."""
    answers = {name: {"schema": _schema_of_answer(name)} for name in WRITABLE}
    answered = {"200": {"description": "One prediction a row, in their order", "content": answers}}
    content = {name: _body(name, _example(name, signature), row) for name in READABLE if _takes(name, signature)}
    return {
        **_operation(id, summary, answered, OF_PREDICTIONS),
        "requestBody": {"required": True, "description": f"Rows of {signature.describe()}", "content": content},
    }


def _takes(media_type: str, signature: Signature) -> bool:
    return media_type != "text/plain" or signature.form in ("texts", "unknown")


def _example(media_type: str, signature: Signature) -> Any:
    """A CSV of objects would need header=present in its Content-Type."""
    return None if media_type == "text/csv" and signature.as_sent else json_schema.example(signature)


def _body(media_type: str, example: Any, row: str) -> dict[str, Any]:
    rows = {"type": "array", "items": {"$ref": f"#/components/schemas/{row}"}}
    wrapped = {"type": "object", "properties": {"instances": rows}, "required": ["instances"]}
    if media_type == "application/json":
        shown = None if example is None else {"instances": [example]}
        return _with_example({"schema": {"anyOf": [wrapped, rows]}}, shown)
    if not CONTENT_TYPES[media_type].text:
        return {}  # OpenAPI 3.1: bytes
    return _with_example({"schema": {"type": "string"}}, None if example is None else _as_text(media_type, example))


def _with_example(body: dict[str, Any], example: Any) -> dict[str, Any]:
    return body if example is None else {**body, "example": example}


def _as_text(media_type: str, example: Any) -> str | None:
    """The example in CSV, JSON Lines or plain text; None where it does not fit into a line of it."""
    if media_type not in ("text/csv", "text/plain"):
        return json.dumps(example, ensure_ascii=False) + "\n"
    if media_type == "text/plain":
        return None if "\n" in example else f"{example}\n"
    names, values = _names_and_values(example)
    return None if any(isinstance(value, list | dict) for value in values) else csv_text([names, values])


def _names_and_values(example: Any) -> tuple[Sequence[str] | None, Sequence[Any]]:
    if isinstance(example, dict):
        return list(example), list(example.values())
    return None, example if isinstance(example, list) else [example]


def csv_text(rows: Sequence[Sequence[Any] | None]) -> str:
    """Texts are quoted only where they must be; what is missing is an empty cell."""
    text = io.StringIO()
    for row in rows:
        if row is not None:
            csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue()


def _schema_of_answer(media_type: str) -> dict[str, Any]:
    if media_type == "application/json":
        return {"type": "object", "properties": {"predictions": {"type": "array"}}, "required": ["predictions"]}
    return {"type": "string"} if CONTENT_TYPES[media_type].text else {}


# ---- errors ----------------------------------------------------------------------------------------------------------

ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string", "description": "what was wrong, and what to do"},
                "row": {"type": "integer", "minimum": 1},
                "column": {"type": ["string", "integer"], "description": "its name, or its place from 1"},
                "expected": {},
                "got": {},
                "request_id": {"type": "string"},
                "inference_id": {"type": "string"},
            },
            "required": ["code", "message"],
        }
    },
    "required": ["error"],
}


def _error_responses() -> dict[str, Any]:
    """By status; each says which codes it may have, and what they mean."""
    kinds = {*OF_ALL, *OF_PREDICTIONS, *OF_MODELS, *OF_LOADING}
    found: dict[str, list[type[errors.ServingError]]] = {}
    for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code)):
        found.setdefault(str(kind.status), []).append(kind)
    return {status: _error_response(some) for status, some in found.items()}


def meaning(kind: type[errors.ServingError]) -> str:
    """What the error says, in a sentence."""
    return "An error inside the server." if kind is errors.ServingError else " ".join((kind.__doc__ or "").split())


def _error_response(kinds: list[type[errors.ServingError]]) -> dict[str, Any]:
    said = " ".join(f"{kind.code}: {meaning(kind)}" for kind in kinds)
    return _json(said, {"$ref": "#/components/schemas/Error"})


def _operation(id: str, summary: str, answers: dict[str, Any], may_fail: Errors = ()) -> dict[str, Any]:
    statuses = sorted({str(kind.status) for kind in (*OF_ALL, *may_fail)})
    refused = {status: {"$ref": f"#/components/responses/{status}"} for status in statuses}
    return {"operationId": id, "summary": summary, "responses": {**answers, **refused}}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
