"""What survives a restart of the agent's containers, in a private memory volume: no secret, and nothing to guess one from."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

log = logging.getLogger(__name__)
VERSION = 1
NAME = "state.json"


@attrs.define
class State:
    """The agent's memory from one refresh to the next."""

    key: bytes = attrs.field(factory=lambda: os.urandom(32), repr=False)
    """Of the keyed digests: equal secrets of two pods have different digests, and guesses cannot be tried."""
    last_success: float = 0.0
    """When everything was last up to date, in seconds since the epoch; 0: never."""
    last_attempt: float = 0.0
    last_error: str = ""
    throttled_since: float = 0.0
    throttled_until: float = 0.0
    """From when until when Keeper wants no request."""
    server_key_id: str = ""
    """Key of Keeper's servers that they last asked for."""
    failures: int = 0
    """Refreshes without success in a row."""
    files: int = 0
    """Files that the last refresh looked after, and their bytes."""
    size: int = 0
    inputs: dict[str, str] = attrs.field(factory=dict)
    """Keyed digest of what each delivered file was made from."""
    origins: dict[str, str] = attrs.field(factory=dict)
    """UID of the record of each file of a folder."""
    counts: dict[str, int] = attrs.field(factory=dict)
    """Counters since the pod began, by metric and label."""

    def digest(self, *parts: bytes) -> str:
        """Return a keyed digest of *parts*."""
        mac = hmac.new(self.key, digestmod=hashlib.sha256)
        for part in parts:
            mac.update(len(part).to_bytes(8, "big") + part)
        return mac.hexdigest()

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter."""
        self.counts[name] = self.counts.get(name, 0) + amount

    def throttle(self, until: float) -> None:
        """Remember that Keeper wants no request from now on *until* then (seconds since the epoch)."""
        self.throttled_since = time.time()
        self.throttled_until = max(self.throttled_until, until)

    def throttled_for(self, now: float | None = None) -> float:
        """Return for how many seconds Keeper must not be asked.

        A time before the window began means that the clock was set back: the window says nothing any more, and to ask
        once is better than to be quiet until the clock has caught up.
        """
        now = time.time() if now is None else now
        return max(0.0, self.throttled_until - now) if now >= self.throttled_since else 0.0


def load(directory: Path) -> State:
    """Read the state; a missing or damaged one begins afresh (a damaged one is said once, in the log)."""
    path = directory / NAME
    try:
        content = json.loads(path.read_bytes())
        return _from_json(content)
    except FileNotFoundError:
        return State()
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("state.invalid", extra={"path": str(path), "cause": type(error).__name__})
        return State()


def save(directory: Path, state: State) -> None:
    """Replace the state as a whole; raises OSError."""
    content = {**attrs.asdict(state), "key": state.key.hex(), "version": VERSION}
    temporary = directory / f".{NAME}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - an open descriptor
        json.dump(content, stream)
        stream.flush()
        os.fsync(descriptor)
    temporary.replace(directory / NAME)


def _from_json(content: Mapping[str, Any]) -> State:
    if content.get("version") != VERSION:
        raise ValueError("version")
    return State(
        key=bytes.fromhex(content["key"]),
        last_success=float(content["last_success"]),
        last_attempt=float(content["last_attempt"]),
        last_error=str(content["last_error"]),
        throttled_since=float(content.get("throttled_since", 0.0)),
        throttled_until=float(content["throttled_until"]),
        server_key_id=str(content["server_key_id"]),
        failures=int(content["failures"]),
        files=int(content.get("files", 0)),
        size=int(content.get("size", 0)),
        inputs={str(name): str(digest) for name, digest in content["inputs"].items()},
        origins={str(name): str(uid) for name, uid in content.get("origins", {}).items()},
        counts={str(name): int(count) for name, count in content["counts"].items()},
    )
