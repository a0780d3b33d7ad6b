"""More requests than a server can answer, at a fixed pace that does not wait for answers, as real callers do not."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import load
from load import Work
from processes import Server

CLIENTS, TIMES, PATIENCE_SECONDS = 64, 4, 60


def run(server: Server, work: Work, capacity_seconds: int, seconds: int) -> dict:
    """What a server gives at its capacity, and for `seconds` at four times that: answers, latencies, memory."""
    capacity = load.run(server, work, CLIENTS, capacity_seconds)["rps"]
    before = server.megabytes()
    answers = asyncio.run(_paced(server, work, TIMES * capacity, seconds))
    right = [answer for answer in answers if answer[1] == "200"]
    statuses = Counter(status for _, status, _ in answers)
    return {
        "capacity_rps": capacity,
        "offered_rps": len(answers) / seconds,
        "goodput_rps": sum(ended <= seconds for ended, _, _ in right) / seconds,
        "answered_s": max((took for _, _, took in right), default=0.0),
        "latest_s": max(took for _, _, took in answers),
        "refused": statuses["503"],
        "other": len(answers) - len(right) - statuses["503"],
        "before_mb": before,
        "after_mb": server.megabytes(),
    }


async def _paced(server: Server, work: Work, rate: float, seconds: int) -> list[tuple[float, str, float]]:
    """Of each request: when it ended since the beginning, its status (or "wrong", or the error's name), how long."""
    began = time.perf_counter()
    tasks = []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(_one(server, work, number, began)))
    return await asyncio.gather(*tasks)


async def _one(server: Server, work: Work, number: int, began: float) -> tuple[float, str, float]:
    sent = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            status = await _asked(server, work, number % len(work.bodies))
    except (OSError, TimeoutError, ValueError, IndexError) as exc:
        status = type(exc).__name__
    ended = time.perf_counter()
    return ended - began, status, ended - sent


async def _asked(server: Server, work: Work, number: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    body, protocol = work.bodies[number], work.protocol
    head = f"POST {protocol.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += f"Content-Type: {protocol.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    try:
        writer.write(head.encode() + body)
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split()[1].decode()
    return "wrong" if status == "200" and protocol.parse(body) != work.expected[number] else status
