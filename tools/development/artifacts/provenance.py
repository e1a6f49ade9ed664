"""Says from what and how the artifacts were built: an in-toto statement with SLSA's provenance, version 1."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from artifacts.checksums import sha256
from artifacts.commits import SOURCE, Commit

FILE = "provenance.intoto.json"
MATERIALS = ("tools/constraints.txt", "tools/bootstrap.txt", "tools/image-requirements/*.txt", "packages/*/Dockerfile")


def statement(commit: Commit, files: Sequence[Path], builder: str, parameters: Mapping[str, object]) -> str:
    """Return the statement about *files* as JSON. *builder* is the URI of who built them; the commit's time is the only time."""
    made = datetime.fromtimestamp(commit.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    pinned = sorted({path for pattern in MATERIALS for path in commit.folder.glob(pattern)})
    source: dict[str, object] = {"uri": f"git+{SOURCE}@{commit.revision}", "digest": {"gitCommit": commit.revision}}
    materials = [
        {
            "uri": f"{SOURCE}/blob/{commit.revision}/{path.relative_to(commit.folder)}",
            "digest": {"sha256": sha256(path)},
        }
        for path in pinned
    ]
    return _json(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": path.name, "digest": {"sha256": sha256(path)}} for path in sorted(files)],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": f"{SOURCE}/blob/main/.github/CONTRIBUTING.md#release",
                    "externalParameters": {"source": source["uri"]} | dict(parameters),
                    "internalParameters": {
                        "SOURCE_DATE_EPOCH": commit.epoch,
                        "python": platform.python_version(),
                        "machine": platform.machine(),
                    },
                    "resolvedDependencies": [source, *materials],
                },
                "runDetails": {"builder": {"id": builder}, "metadata": {"startedOn": made, "finishedOn": made}},
            },
        }
    )


def _json(content: object) -> str:
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
