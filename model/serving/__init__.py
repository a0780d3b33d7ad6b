"""The machinery that turns `predictor.transformation` into a SageMaker endpoint.

The way of a request, from the top floor down:
    commands     `serve` starts nginx in front of gunicorn and ends with the first of them that ends
    http         bytes of a connection → a Request; a Reply → bytes
    multi_model  which model, where a server has several
    batching     what waits becomes one call of the model; each request gets its own Reply
    formats      body → rows, predictions → body, one file for each media type
    models       the artifact, the user's predictor.py, what the model says of itself
    compiler     a model's program: read, proven to the last bit, evaluated
    rows         what the model expects, and rows in that form
    monitoring   health, counters, /metrics and CloudWatch
Folders import downwards only; tests/test_map.py holds that.
"""

__version__ = "2.0.0"
