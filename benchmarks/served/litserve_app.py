"""LitServe with batching: python litserve_app.py MODEL PORT WORKERS"""

import pickle
import sys
from pathlib import Path

import litserve
import numpy as np


class Model(litserve.LitAPI):
    def setup(self, device):
        self.model = pickle.loads(Path(sys.argv[1]).read_bytes())

    def decode_request(self, request):
        return np.asarray(request["rows"])

    def batch(self, inputs):
        self.sizes = [len(rows) for rows in inputs]
        return np.concatenate(inputs)

    def predict(self, rows):
        return self.model.predict(rows)

    def unbatch(self, predictions):
        return np.split(predictions, np.cumsum(self.sizes)[:-1])

    def encode_response(self, predictions):
        return {"predictions": predictions.tolist()}


if __name__ == "__main__":
    api = Model(max_batch_size=64, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=int(sys.argv[3]))
    server.run(host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", generate_client_file=False)
