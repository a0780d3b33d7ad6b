"""What deploy_model.ipynb calls, so that its cells stay short: look before you leap, wait, explain, find again, delete.

boto3 only, one room per concern; nothing here is copied into the image. Every function takes the boto3 session it
talks through, returns plain values, prints what a person waits for, and raises Stop with the remedy.
"""


class Stop(Exception):
    """Something must be fixed first: the message says what was seen and what to do."""
