"""Ray Serve with batching: python ray_app.py MODEL PORT WORKERS"""

import pickle
import sys
from pathlib import Path

import numpy as np
import ray
from ray import serve
from starlette.requests import Request

MODEL, PORT, WORKERS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


@serve.deployment(num_replicas=WORKERS, ray_actor_options={"num_cpus": 0.5}, max_ongoing_requests=256)
class Model:
    def __init__(self, path: str) -> None:
        self.model = pickle.loads(Path(path).read_bytes())

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.005)
    async def predict(self, inputs: list) -> list:
        predictions = self.model.predict(np.concatenate(inputs))
        return np.split(predictions, np.cumsum([len(rows) for rows in inputs])[:-1])

    async def __call__(self, request: Request) -> dict:
        rows = (await request.json())["rows"]
        return {"predictions": (await self.predict(np.asarray(rows))).tolist()}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(Model.bind(MODEL), route_prefix="/predict", blocking=True)
