"""A stream that says something in the reply's header before its first item."""


def transformation(model, rows, context):
    context.set_custom_attributes(f"of {len(rows)}")
    yield from model.predict(rows)
