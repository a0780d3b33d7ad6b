"""What the model alone gives in one process and one thread: python in_process.py BASE SECONDS

Prints {"loop": rows/s of model.predict on one row at a time, "batches": rows/s with 64 rows a call}.
"""

import json
import os
import pickle
import sys
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
import pandas as pd

base, seconds = Path(sys.argv[1]), float(sys.argv[2])
model = pickle.loads((base / "model/model.pkl").read_bytes())
data = json.loads((base / "rows-1.json").read_text())
frame = pd.DataFrame([row for body in data["bodies"] for row in body["rows"]], columns=data["columns"])
rows = frame if hasattr(model, "feature_names_in_") else frame.to_numpy(float)


def rate(batch: int) -> float:
    pieces = [rows[i : i + batch] for i in range(0, len(rows), batch)]
    model.predict(pieces[0])
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for piece in pieces:
            model.predict(piece)
            done += len(piece)
    return done / (time.perf_counter() - began)


assert np.asarray(model.predict(rows)).tolist() == [p for body in data["bodies"] for p in body["predictions"]]
print(json.dumps({"loop": rate(1), "batches": rate(64)}))
