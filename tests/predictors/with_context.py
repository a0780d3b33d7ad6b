"""Answers what it is told of the request; a first value of -1 sends back what nobody may send."""

import json


def transformation(model, rows, context):
    told = {
        "request_id": context.request_id,
        "inference_id": context.inference_id,
        "custom_attributes": context.custom_attributes,
        "content_type": context.content_type,
        "accept": context.accept,
    }
    first = rows.iloc[0, 0]
    if first == -1:
        context.set_custom_attributes("line\nbreak")
    elif first == -2:
        context.set_custom_attributes("x" * 1025)
    elif first == -3:
        context.custom_attributes = "not this way"
    elif first != 0:
        context.set_custom_attributes(f"rows={len(rows)}")
    return json.dumps(told).encode(), "application/json"
