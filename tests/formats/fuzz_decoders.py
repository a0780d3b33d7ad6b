"""Hostile bodies for every decoder: mutations of a saved corpus, and of whatever answered in a way not seen before.

    python tests/formats/fuzz_decoders.py [--runs 20000 | --seconds 300] [--seed 1]

Each body becomes rows or a 4xx with a JSON body, in time that its length allows, and the process stays small. A body
whose answer is new in kind (another message, other dtypes) is mutated further: that is the guide. A finding is
written to a file; once it is mended, it belongs into tests/formats/corpus.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "model")]

from bodies import SIGNATURES  # noqa: E402
from serving.errors import ServingError  # noqa: E402
from serving.formats.budget import Bounds  # noqa: E402
from serving.formats.content_types import CONTENT_TYPES, decode  # noqa: E402
from serving.rows.signature import Signature  # noqa: E402

BOUNDS = Bounds(2**20, 2**24)
MOST_SECONDS, MOST_SECONDS_PER_BYTE = 1.0, 2e-6
"""CPU time of one body: for imports and a busy machine, and 2 s for each megabyte."""
MOST_GROWTH = 400 * 2**20
"""Bytes that the process may grow by, from the first thousand bodies on."""

SUFFIXES = {
    ".csv": "text/csv", ".json": "application/json", ".jsonl": "application/jsonlines", ".npy": "application/x-npy",
    ".npz": "application/x-npz", ".parquet": "application/x-parquet", ".txt": "text/plain",
    ".recordio": "application/x-recordio-protobuf",
}  # fmt: skip

PARAMETERS = (
    "",
    "",
    "",
    "; header=present",
    "; header=absent",
    "; charset=utf-16",
    "; charset=latin-1",
    "; charset=\0",
)
TOKENS = (
    *(b",", b"\n", b"\r", b'"', b"[", b"]", b"{", b"}", b":", b"-", b".", b"e", b"NaN", b"null", b"true", b"\\u0000"),
    *(b"1e999", b"9" * 40, b"\0", b"\xff\xff\xff\xff", b"\x80\x80\x80\x80\x01", b"\xef\xbb\xbf", b"\xff\xfe", b"True"),
    *(b'"instances":', b'"columns":', b'"data":', b'"features":', b'"keys":', b'"shape":', b"2024-01-01", b"1,2\n"),
)


class Finding(Exception):
    """A body that broke an invariant."""


def mutated(body: bytes, others: list[bytes], random: random.Random) -> bytes:
    changed = bytearray(body)
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        place = random.randrange(len(changed) + 1)
        end = min(len(changed), place + random.choice((1, 2, 4, 8, 64)))
        match random.randrange(8):
            case 0 if place < len(changed):
                changed[place] ^= 1 << random.randrange(8)
            case 1 if place < len(changed):
                changed[place] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
            case 2:
                changed[place:place] = random.choice(TOKENS)
            case 3:
                changed[place:end] = random.choice(TOKENS)
            case 4:
                del changed[place:end]
            case 5:
                changed[place:place] = changed[place:end] * random.choice((1, 3, 100))
            case 6:
                other = random.choice(others)
                start = random.randrange(len(other) + 1)
                changed[place:end] = other[start : start + random.choice((4, 16, 256))]
            case 7:
                changed[place:end] = random.choice((2**31, 2**32 - 1, 2**16, 255)).to_bytes(8, "little")[: end - place]
    return bytes(changed[: BOUNDS.body])


def kind_of_answer(body: bytes, content_type: str, encoding: str | None, signature: Signature) -> tuple[Any, ...]:
    """What the answer is, without its details. Raises Finding."""
    began = time.process_time()
    try:
        decoded = decode(body, content_type, encoding, signature, BOUNDS)
        count = len(decoded.rows)
        kind: tuple[Any, ...] = ("rows", type(decoded.rows).__name__, str(decoded.batch_key)[:200], min(count, 3))
        if count != decoded.count:
            raise Finding(f"{decoded.count} rows are {count}")
    except ServingError as exc:
        told = json.loads(exc.body())["error"]
        if not 400 <= exc.status < 500 or not told["message"] or len(exc.body()) > 6000:
            raise Finding(f"status {exc.status}, {len(exc.body())} bytes") from exc
        kind = (exc.status, re.sub(r"'.*'|\".*\"|[\d.]+", "…", exc.message)[:120])
    except Exception as exc:
        raise Finding(f"{type(exc).__name__}: {exc}") from exc
    spent = time.process_time() - began
    if spent > MOST_SECONDS + MOST_SECONDS_PER_BYTE * len(body):
        raise Finding(f"{spent:.1f} CPU seconds for {len(body)} bytes")
    return kind


class Fuzzer:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.corpus: dict[str, list[bytes]] = {media_type: [] for media_type in CONTENT_TYPES}
        for path in sorted((HERE / "corpus").iterdir()):
            self.corpus[SUFFIXES[path.suffix]].append(path.read_bytes())
        self.corpus = {media_type: bodies for media_type, bodies in self.corpus.items() if bodies}
        self.seen: set[tuple[Any, ...]] = set()
        self.runs = 0

    def run(self) -> None:
        """One body. Raises Finding, with the body in a file."""
        random = self.random
        media_type = random.choice(list(self.corpus))
        bodies = self.corpus[media_type]
        body = random.choice(bodies)
        if random.random() < 0.98:
            body = mutated(body, bodies, random)
        said = random.choice((media_type, media_type, media_type, "", random.choice(list(CONTENT_TYPES))))
        said += random.choice(PARAMETERS) if CONTENT_TYPES[media_type].text and said else ""
        encoding, sent = None, body
        if random.random() < 0.03:
            encoding, sent = "gzip", gzip.compress(body) * random.choice((1, 1, 2))
            sent = mutated(sent, [sent], random) if random.random() < 0.5 else sent
        try:
            kind = (media_type, *kind_of_answer(sent, said, encoding, random.choice(SIGNATURES)))
        except Finding as exc:
            with tempfile.NamedTemporaryFile(prefix="finding-", delete=False) as file:
                file.write(sent)
            raise Finding(
                f"{exc}; Content-Type {said!r}, Content-Encoding {encoding}; the body is in {file.name}"
            ) from exc
        self.runs += 1
        if kind not in self.seen and len(body) < 20_000:
            self.seen.add(kind)
            bodies.append(body)


def memory() -> int:
    """Bytes that the process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    fuzzer, began, before = Fuzzer(options.seed), time.monotonic(), 0
    try:
        while time.monotonic() - began < options.seconds if options.seconds else fuzzer.runs < options.runs:
            fuzzer.run()
            before = memory() if fuzzer.runs == 1000 else before
        if before and memory() - before > MOST_GROWTH:
            raise Finding(f"the process has grown by {(memory() - before) >> 20} MB")
    except Finding as exc:
        print(f"seed {options.seed}, body {fuzzer.runs + 1}: {exc}", file=sys.stderr)
        return 1
    print(f"{fuzzer.runs} bodies, {len(fuzzer.seen)} kinds of answers, no finding")
    return 0


if __name__ == "__main__":
    sys.exit(main())
