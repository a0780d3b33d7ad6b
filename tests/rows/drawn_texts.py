"""Rows as CSV and as JSON of every form, each with the rows that pandas reads of it."""

from __future__ import annotations

import csv
import datetime
import io
import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import read_by_pandas
from drawn_models import Fitted
from drawn_rows import Body, Record, as_json, encoded, normal, records, spelled, zipped
from hypothesis import event
from hypothesis import strategies as st

# ---- CSV -------------------------------------------------------------------------------------------------------------

MISSING = ["", "", "NA", "nan", "NULL", "N/A", "<NA>"]


def a_csv(draw: Any, fit: Fitted) -> Body:
    header = fit.form in ("frame", "unknown") and draw(st.booleans())
    rows = records(draw, fit, header)
    names = list(rows[0])
    missing, truth = draw(st.sampled_from(MISSING)), draw(st.sampled_from([str, str.lower, str.upper]))
    lines = [[as_cell(value, missing, truth) for value in row.values()] for row in rows]
    if fit.form != "unknown":  # to read_csv it is an integer
        lines = [["-0" if cell == "-0.0" else cell for cell in line] for line in lines]
    stream = io.StringIO()
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer = csv.writer(stream, quoting=quoting, lineterminator=draw(st.sampled_from(["\n", "\r\n"])))
    given = names if fit.form == "unknown" else spelled(draw, names)
    writer.writerows([given, *lines] if header else lines)
    text = stream.getvalue()
    text = text if draw(st.booleans()) else text.rstrip("\r\n") if lines[-1] != [""] else text
    said = must_be_said(fit, header, [given, *lines] if header else lines) or draw(
        st.sampled_from([False, False, True])
    )
    parameters = f"; header={'present' if header else 'absent'}" if said else ""
    body, content_type = encoded(draw, text, "text/csv" + parameters)
    return zipped(draw, body, content_type, lambda: read_by_pandas.csv(fit, text.encode(), names, header))


def must_be_said(fit: Fitted, header: bool, lines: list[list[str]]) -> bool:
    """Whether the body does not tell by itself if the first line is a header. For a model that says nothing a line of
    texts over nothing but numbers is one; over some numbers it may be one."""
    if fit.form != "unknown":
        return not header and bool(set(map(normal, lines[0])) & set(map(normal, fit.names)))
    if any(map(is_value, lines[0])):
        return header
    numbers = [
        all(map(is_value, column)) and not all(map(is_missing, column)) for column in zip(*lines[1:], strict=True)
    ]
    return (any(numbers) and not (header and all(numbers))) or (header and not any(numbers))


def is_value(cell: str) -> bool:
    """A number, a truth value or a missing one to read_csv."""
    return pd.read_csv(io.StringIO(f'"{cell}"'.replace('"', '""')[1:-1]), header=None)[0].dtype.kind in "iufb"


def is_missing(cell: str) -> bool:
    return cell in read_by_pandas.STR_NA_VALUES


def as_cell(value: Any, missing: str, truth: Callable[[Any], str]) -> str:
    if value is None or value != value:
        return missing
    if isinstance(value, bool):
        return truth(str(value))
    return value.isoformat() if isinstance(value, datetime.datetime) else str(value)


# ---- JSON ------------------------------------------------------------------------------------------------------------


WRAPPERS = ["instances", "inputs", "data", "predictions"]


def a_json(draw: Any, fit: Fitted) -> Body:
    named = fit.form in ("frame", "unknown") and draw(st.booleans())
    rows = [{n: as_json(v) for n, v in row.items()} for row in records(draw, fit, named)]
    names = list(rows[0])
    given = spelled(draw, names) if named and fit.form == "frame" else names
    sent = [dict(zip(given, row.values(), strict=True)) for row in rows]
    forms = by_name(fit, sent) if named else by_place(fit, rows)
    form = draw(st.sampled_from(sorted(forms)))
    event(f"JSON {form}")
    value = forms[form]
    rows = rows[:1] if form.startswith("one") else rows
    lines = form.startswith("lines")
    text = "\n".join(map(json.dumps, value)) if lines else json.dumps(value, indent=draw(st.sampled_from([None, 1])))
    body, content_type = encoded(draw, text, "application/jsonlines" if lines else "application/json")
    lists = [list(row.values()) for row in rows]
    return zipped(
        draw,
        body,
        content_type,
        lambda: read_by_pandas.typed(fit, rows) if named else read_by_pandas.typed(fit, lists, fit.names),
    )


def by_place(fit: Fitted, rows: list[Record]) -> dict[str, Any]:
    lists = [list(row.values()) for row in rows]
    forms: dict[str, Any] = {f"in {wrapper}": {wrapper: lists} for wrapper in WRAPPERS}
    forms |= {
        "lists": lists,
        "lines of lists": lists,
        "features": {"instances": [{"features": row} for row in lists]},
        "features.values": {"instances": [{"data": {"features": {"values": row}}} for row in lists]},
    }
    if len(fit.names) > 1 and not all(isinstance(cell, str) for cell in lists[0]):
        forms["one list"] = lists[0]
    if len(fit.names) == 1 and fit.form != "unknown":
        forms |= {"values": [row[0] for row in lists], "lines of values": [row[0] for row in lists]}
    return forms


def by_name(fit: Fitted, rows: list[Record]) -> dict[str, Any]:
    names = list(rows[0])
    lists = [list(row.values()) for row in rows]
    table = {"columns": names, "data": lists}
    forms: dict[str, Any] = {
        "records": rows,
        "in instances": {"instances": rows},
        "in inputs": {"inputs": rows},
        "in dataframe_records": {"dataframe_records": rows},
        "split": table,
        "dataframe_split": {"dataframe_split": table},
        "lines of objects": rows,
    }
    if fit.form == "frame" or not set(names) & {*WRAPPERS, "features", "columns", "dataframe_split"}:
        forms |= {
            "one object": rows[0],
            "columns": {name: [row[name] for row in rows] for name in names},
            "default orientation": {name: {str(i): row[name] for i, row in enumerate(rows)} for name in names},
        }
    return forms
