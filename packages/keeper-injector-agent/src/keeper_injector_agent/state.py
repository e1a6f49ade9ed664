"""The agent's state: what survives a restart of its containers, in a private memory volume.

It contains no secret, and nothing from which one could be guessed: file contents appear only as keyed digests.
"""

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

from keeper_injector_agent.freshness import Freshness, freshness_from_json
from keeper_injector_agent.private_files import replace_private_file
from keeper_injector_common.plan.paths import STATE_NAME

log = logging.getLogger(__name__)
_VERSION = 1
"""Of the JSON form; a state of another version is discarded."""


class State:
    """What a refresh needs to know of the ones before. Times are in seconds since the epoch; 0 means never.

    All of it is in the state file. It is a plain class for the reason that :mod:`keeper_injector_agent.unchanged` gives.
    """

    key: bytes
    """Key of the digests: equal secrets of two pods have different digests, and guesses cannot be tested offline."""
    last_success: float = 0.0
    """When all files were last up to date."""
    last_attempt: float = 0.0
    """When the last refresh ended."""
    last_error: str = ""
    warnings: list[str]
    """What the last refresh delivered although it may surprise, or left out without a problem."""
    throttled_since: float = 0.0
    throttled_until: float = 0.0
    """The window in which Keeper wants no request."""
    server_key_id: str = ""
    """The public key of Keeper's servers that they last asked for."""
    failures: int = 0
    """Failed refreshes in a row."""
    notify_at: float = 0.0
    """When the application is to be notified of a change; 0 if it knows everything."""
    interval: float = 0.0
    """Seconds between refreshes, as the last plan said; 0 if no plan has been read yet."""
    files: int = 0
    """Number of files that the last refresh delivered."""
    size: int = 0
    """Bytes of these files together."""
    started: float = 0.0
    """When all containers of the pod last started, in seconds after the start of the machine; 0 if nobody needs to know."""
    inputs: dict[str, str]
    """Keyed digest of what each delivered file was rendered from."""
    origins: dict[str, str]
    """UID of the record that each file of a folder came from."""
    plan: str = ""
    """Digest of the plan, if everything in it has been delivered once; otherwise empty."""
    variables: dict[str, str]
    """Item of the plan that each environment variable came from, by ``PATH/NAME``."""
    references: dict[str, dict[str, Any]]
    """What each name of the plan means: ``uid`` of the record, ``previous`` for the UID of another one that it meant before, if
    there was one, ``changed`` for when, and ``exact`` for how to write a name that was taken for a title."""
    freshness: Freshness
    receipt: dict[str, Any]
    """What the last refresh did, so that the next one can end early; see :mod:`keeper_injector_agent.unchanged`."""
    identities: dict[str, str]
    """Keyed digest of title and type of each record that came through a relay, by UID."""
    relay: dict[str, Any]
    """The snapshot of a relay that was used last: ``index``, ``fetched`` (Keeper's time), and where it came from."""
    counts: dict[str, int]
    """Counters since the pod started, as ``METRIC_RESULT``."""

    def __init__(self) -> None:
        """Create the state of a new pod."""
        self.key = os.urandom(32)
        self.warnings = []
        self.inputs, self.origins, self.variables, self.references = {}, {}, {}, {}
        self.freshness = Freshness()
        self.receipt, self.identities, self.relay, self.counts = {}, {}, {}, {}

    def as_dict(self) -> dict[str, Any]:
        """Return all of it by name."""
        return {name: getattr(self, name) for name in State.__annotations__}

    def digest(self, *parts: bytes) -> str:
        """Return a keyed digest (HMAC-SHA-256, hexadecimal) of *parts*, each preceded by its length."""
        mac = hmac.new(self.key, digestmod=hashlib.sha256)
        for part in parts:
            mac.update(len(part).to_bytes(8, "big"))
            mac.update(part)  # not joined, because a part may be a large file
        return mac.hexdigest()

    def count(self, name: str, amount: int = 1) -> None:
        """Add *amount* to the counter *name*."""
        self.counts[name] = self.counts.get(name, 0) + amount

    def results(self, family: str) -> dict[str, int]:
        """Return the counters of *family* by result; a counter without results has the key ``""``."""
        found = {name.partition("_"): count for name, count in sorted(self.counts.items())}
        return {result: count for (head, _, result), count in found.items() if head == family}

    def share(self, purpose: bytes) -> float:
        """Return a number from 0 to 1 for *purpose*: always the same for this pod, and another one for each pod."""
        return int(self.digest(purpose)[:8], 16) / 0xFFFFFFFF

    def throttle(self, until: float) -> None:
        """Remember that Keeper wants no request from now until *until* (seconds since the epoch)."""
        self.throttled_since = time.time()
        self.throttled_until = max(self.throttled_until, until)

    def throttled_for(self, now: float | None = None) -> float:
        """Return for how many more seconds no request may be sent to Keeper.

        If *now* is before the window began, the clock was set back and the window is meaningless. One request too many is
        better than none until the clock has caught up.
        """
        now = time.time() if now is None else now
        return max(0.0, self.throttled_until - now) if now >= self.throttled_since else 0.0


def load_state(directory: Path) -> State:
    """Return the state in *directory*, or a new one if it is missing or invalid; an invalid one is logged."""
    path = directory / STATE_NAME
    try:
        content = json.loads(path.read_bytes())
        return _from_json(content)
    except FileNotFoundError:
        return State()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("state.invalid", extra={"path": str(path), "cause": type(error).__name__})
        return State()


def save_state(directory: Path, state: State) -> None:
    """Replace the state in *directory*; raises OSError."""
    changed = {"key": state.key.hex(), "freshness": state.freshness.as_json(), "version": _VERSION}
    content = {**state.as_dict(), **changed}
    replace_private_file(directory / STATE_NAME, json.dumps(content))


def _from_json(content: Mapping[str, Any]) -> State:
    if content.get("version") != _VERSION:
        raise ValueError("version")
    state = State()
    state.key = bytes.fromhex(content["key"])
    state.last_success = float(content["last_success"])
    state.last_attempt = float(content["last_attempt"])
    state.last_error = str(content["last_error"])
    state.warnings = [str(text) for text in content.get("warnings", ())]
    state.throttled_since = float(content.get("throttled_since", 0.0))
    state.throttled_until = float(content["throttled_until"])
    state.server_key_id = str(content["server_key_id"])
    state.failures = int(content["failures"])
    state.notify_at = float(content.get("notify_at", 0.0))
    state.interval = float(content.get("interval", 0.0))
    state.files = int(content.get("files", 0))
    state.size = int(content.get("size", 0))
    state.started = float(content.get("started", 0.0))
    state.inputs = {str(name): str(digest) for name, digest in content["inputs"].items()}
    state.origins = {str(name): str(uid) for name, uid in content.get("origins", {}).items()}
    state.plan = str(content.get("plan", ""))
    state.variables = {str(path): str(found) for path, found in content.get("variables", {}).items()}
    state.references = {str(name): _reference(found) for name, found in content.get("references", {}).items()}
    if "freshness" in content:
        state.freshness = freshness_from_json(content["freshness"])
    state.receipt = dict(content.get("receipt", {}))
    state.identities = {str(uid): str(digest) for uid, digest in content.get("identities", {}).items()}
    state.relay = dict(content.get("relay", {}))
    state.counts = {str(name): int(count) for name, count in content["counts"].items()}
    return state


def _reference(found: Mapping[str, Any]) -> dict[str, Any]:
    texts = {key: str(found[key]) for key in ("uid", "previous", "exact")}
    return {**texts, "changed": float(found["changed"])}
