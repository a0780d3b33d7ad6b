"""One run at a time for a deployment: a small file beside its files in S3, written only where there is none.

It holds for twenty minutes and is written anew while the run goes on. A run that died leaves it behind; it is then
taken over when its time has passed. Where the bucket may not be written, a run goes on without it and says so.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from . import Stop, trouble
from .account import Files
from .cleanup import LOCK

MINUTES = 20


class Lock:
    """`kept` is false where no lock could be taken: the run then deletes nothing that another may have made."""

    def __init__(self, files: Files, key: str, owner: str) -> None:
        self.files, self.key, self.owner = files, key, owner
        self.kept, self.written, self.etag = False, 0.0, ""

    def take(self) -> None:
        body, etag = self.files.read(self.key)
        holder = json.loads(body or b"{}")
        if holder and not _of_the_dead(holder) and datetime.fromisoformat(holder["until"]) > datetime.now(UTC):
            raise Stop(
                f"Another run works on this deployment: {holder['owner']} on {holder['machine']}, since "
                f"{holder['since']}. Wait for it. If it has died, its lock ends at {holder['until']}."
            )
        self._write(**({"IfMatch": etag} if etag else {"IfNoneMatch": "*"}))
        self.kept = True

    def renew(self) -> None:
        """To be called while something is waited for. Raises Stop when another run has taken over meanwhile, as after
        a machine's long sleep."""
        if self.kept and time.monotonic() - self.written > 300:
            self._write(IfMatch=self.etag)

    def release(self) -> None:
        """Deletes the lock, unless it is another's by now."""
        if self.kept:
            if self.files.read(self.key)[1] == self.etag:
                self.files.s3.delete_object(**self.files.owner, Key=self.key)
            self.kept = False

    def _write(self, **condition: str) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        mine = {
            "owner": self.owner,
            "machine": socket.gethostname(),
            "place": place(),
            "process": os.getpid(),
            "since": now.isoformat(),
            "until": (now + timedelta(minutes=MINUTES)).isoformat(),
        }
        try:
            self.etag = self.files.put(self.key, json.dumps(mine).encode(), **condition)
        except ClientError as exc:
            if trouble.code(exc) in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
                self.kept = False
                raise Stop("Another run has just begun to work on this deployment. Wait for it.") from None
            raise
        self.written = time.monotonic()


def place() -> str:
    """This machine and its process numbers, as no other has them: in containers host names and numbers repeat."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return f"{socket.gethostname()} {uuid.getnode()}"


def _of_the_dead(holder: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that has ended, or an earlier run of this very process."""
    if holder.get("place") != place():
        return False
    if holder["process"] == os.getpid():
        return True
    try:
        os.kill(holder["process"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def held(
    files: Files, prefix: str, owner: str, say: Callable[[str], None], prepare: Callable[[], None] | None = None
) -> Iterator[Lock]:
    """The deployment's lock for the time of a run. `prepare` sees to it that the bucket is there; a run without it only
    deletes, and goes on at the first Ctrl-C."""
    lock = Lock(files, prefix + LOCK, owner)
    try:
        try:
            if prepare:
                prepare()
            lock.take()
        except KeyboardInterrupt:
            if prepare:
                raise
            say("  still deleting, so that nothing goes on costing money (Ctrl-C again: leave it)")
        except (ClientError, BotoCoreError) as exc:
            if trouble.expired(exc):
                raise
            if prepare or not trouble.missing(exc):  # without a bucket there is no other run
                say(f"  not locked against a second run: {trouble.explained(exc)}")
        yield lock
    finally:
        for attempt in (1, 2):
            try:
                lock.release()
                break
            except (ClientError, BotoCoreError, KeyboardInterrupt):
                if attempt == 1:
                    continue
            say(f"  the lock stays for {MINUTES} minutes at most: s3://{files.bucket}/{prefix}{LOCK}")
