"""What reading rows and writing predictions costs, beside pandas and pyarrow, in one run on one machine.

python benchmarks/decode.py             microseconds, and how many times ours fits into theirs
python benchmarks/decode.py --memory    peak memory of 25 MB and 100 MB of CSV, in processes of their own
"""

import io
import json
import resource
import subprocess
import sys
import timeit
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "model"))

import numpy as np
import pandas as pd

from serving.formats.content_types import decode, encode
from serving.rows.signature import Column, Signature

COLUMNS, LIMIT = 30, 2**31
NAMES = [f"feature {i}" for i in range(COLUMNS)]
ARRAY = Signature("array", (Column(kind="number"),) * COLUMNS)
FRAME = Signature("frame", tuple(Column(name, "number") for name in NAMES))
MIXED = Signature("frame", tuple(Column(name, "text" if i % 3 == 0 else "number") for i, name in enumerate(NAMES)))

TYPES = {column.name: str if column.kind == "text" else float for column in MIXED.columns}


def best(function) -> float:
    """Microseconds of one call: the best of seven rounds of a tenth of a second."""
    number = max(1, int(0.1 / max(timeit.timeit(function, number=1), 1e-6)))
    return min(timeit.repeat(function, number=number, repeat=7)) / number * 1e6


def ours(body: bytes, content_type: str, signature: Signature, answer: np.ndarray):
    def run():
        decoded = decode(body, content_type, None, signature, LIMIT)
        encode(answer, len(decoded.rows), None, decoded.media_type)

    return run


def pandas_csv(body: bytes, names: list[str] | None, answer: np.ndarray, dtype=None):
    def run():
        pd.read_csv(io.BytesIO(body), header=None, names=names, dtype=dtype)
        pd.Series(answer).to_csv(index=False, header=False)

    return run


def arrow_csv(body: bytes, answer: np.ndarray):
    import pyarrow as pa
    import pyarrow.csv

    options = pa.csv.ReadOptions(autogenerate_column_names=True)

    def run():
        table = pa.csv.read_csv(pa.BufferReader(body), read_options=options)
        np.column_stack([column.to_numpy() for column in table.columns])
        out = io.BytesIO()
        pa.csv.write_csv(pa.table({"p": answer}), out, pa.csv.WriteOptions(include_header=False))

    return run


def pandas_json(body: bytes, answer: np.ndarray):
    def run():
        pd.DataFrame(json.loads(body)["instances"])
        json.dumps({"predictions": answer.tolist()})

    return run


def compare(rows: int) -> None:
    values, answer = np.random.default_rng(0).normal(size=(rows, COLUMNS)), np.random.default_rng(1).random(rows)
    body = pd.DataFrame(values).to_csv(index=False, header=False).encode()
    as_json = json.dumps({"instances": values.tolist()}).encode()
    mixed = (
        pd.DataFrame(values).astype(dict.fromkeys(range(0, COLUMNS, 3), str)).to_csv(index=False, header=False).encode()
    )
    lines = {
        "CSV, array": (ours(body, "text/csv", ARRAY, answer), pandas_csv(body, None, answer), arrow_csv(body, answer)),
        "CSV, DataFrame": (ours(body, "text/csv", FRAME, answer), pandas_csv(body, NAMES, answer), None),
        "CSV, texts among": (ours(mixed, "text/csv", MIXED, answer), pandas_csv(mixed, NAMES, answer, TYPES), None),
        "JSON, array": (ours(as_json, "application/json", ARRAY, answer), pandas_json(as_json, answer), None),
    }
    for name, (mine, pandas, arrow) in lines.items():
        here, there = best(mine), best(pandas)
        against = f"{(t := best(arrow)):>10.0f} {t / here:>6.1f}x" if arrow else ""
        print(f"{rows:>6} {name:<18}{here:>10.1f} {there:>10.0f} {there / here:>6.1f}x {against}")


def memory(megabytes: int, signature: Signature) -> None:
    """In a process of its own: what decoding adds to the body, at the peak and afterwards."""
    line = (",".join(map(repr, np.random.default_rng(0).normal(size=COLUMNS).tolist())) + "\n").encode()
    body = line * (megabytes * 10**6 // len(line))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = decode(body, "text/csv", None, signature, LIMIT).rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    kind = "texts among" if signature is MIXED else signature.form
    print(f"{megabytes:>4} MB {kind:<12} {len(rows):>8} rows: +{peak - before:.0f} MB at the peak")


def main() -> None:
    if "--memory" in sys.argv:
        for megabytes in (25, 100):
            for name in ("ARRAY", "FRAME", "MIXED"):
                code = f"import decode; decode.memory({megabytes}, decode.{name})"
                subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parent)
        return
    print(f"{'rows':>6} {'':<18}{'ours, µs':>10} {'pandas':>10} {'':>7} {'pyarrow':>10}")
    for rows in (1, 100, 1000, 10_000):
        compare(rows)


if __name__ == "__main__":
    main()
