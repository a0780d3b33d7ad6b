"""A BentoML service; BATCHING=on makes it batch adaptively."""

import os
import pickle
from pathlib import Path

import bentoml
import numpy as np

BATCH = {"batchable": True, "max_batch_size": 20_000, "max_latency_ms": 60_000} if os.environ["BATCHING"] else {}


@bentoml.service(workers=int(os.environ["WORKERS"]), traffic={"timeout": 60})
class Model:
    def __init__(self) -> None:
        self.model = pickle.loads(Path(os.environ["MODEL"]).read_bytes())

    @bentoml.api(**BATCH)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict(rows)
