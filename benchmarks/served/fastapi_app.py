"""FastAPI as an expert would tune it: bytes in, bytes out, orjson, one array, the model called in line."""

import os
import pickle
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
from fastapi import FastAPI, Request, Response

app = FastAPI(openapi_url=None)
model = pickle.loads(Path(os.environ["MODEL"]).read_bytes())
names = getattr(model, "feature_names_in_", None)


@app.get("/ping")
async def ping() -> Response:
    return Response()


@app.post("/invocations")
async def invocations(request: Request) -> Response:
    rows = orjson.loads(await request.body())["instances"]
    table = np.asarray(rows) if names is None else pd.DataFrame(rows, columns=names)
    answer = {"predictions": model.predict(table)}
    return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
