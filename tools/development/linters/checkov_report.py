"""What checkov finds in the rendered chart, without the findings that do not fit; each of these has a reason here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError

Json = dict[str, Any]

TEST_POD = r"Pod\..*-test"
ACCEPTED = {
    ("CKV_K8S_8", TEST_POD): "the pod of `helm test` asks once and ends",
    ("CKV_K8S_9", TEST_POD): "the same",
    ("CKV2_K8S_6", TEST_POD): "nothing connects to it",
    ("CKV_K8S_8", r"Deployment\..*-relay"): "the relay has no port; the alert KeeperRelayStale reports one that hangs",
    ("CKV_K8S_9", r"Deployment\..*-relay"): "the web server beside it is ready once the relay has published everything",
    ("CKV_K8S_11", ".*"): "a CPU limit delays reviews; resources.limits.cpu sets one",
    ("CKV_K8S_15", ".*"): "tags are versions or digests, so Always would only make starts depend on the registry",
    ("CKV_K8S_38", r"Deployment\..*"): "in tls.mode own, the webhook writes its certificate to the cluster",
    ("CKV_K8S_43", ".*"): "image.digest and agent.image.digest set digests; a release lists them",
    ("CKV_K8S_155", r"ClusterRole\..*"): "one webhook configuration by name; an admission policy limits it to caBundle",
}
"""Checks that do not fit, for the objects that match a pattern, with the reason."""


def problems(installed: Path, rendered: Sequence[Path]) -> Iterator[str]:
    """Yield what the checkov in the folder *installed* finds in the files, and what is accepted in vain.

    Raises ClusterError if it fails.
    """
    files = [word for path in rendered for word in ("--file", str(path))]
    options = ("--framework", "kubernetes", "--compact", "--quiet", "--skip-download", "--output", "json")
    # -S: without the packages of this environment, which has other versions of the same dependencies.
    command = (sys.executable, "-S", "-m", "checkov.main", *files, *options)
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        raise ClusterError(f"checkov: exit code {done.returncode}: {done.stderr.strip()[-500:]}") from None
    if "results" not in report:
        raise ClusterError("checkov: found no objects to check")
    yield from judged(report["results"]["failed_checks"])


def judged(found: Sequence[Json]) -> Iterator[str]:
    """Yield the findings that are not accepted, and what is accepted in vain."""
    unused = set(ACCEPTED)
    for item in found:
        reasons = [
            key for key in ACCEPTED if key[0] == item["check_id"] and re.fullmatch(key[1], _without_namespace(item))
        ]
        unused -= set(reasons)
        if not reasons:
            file = Path(item["file_path"]).name
            yield f"{file}: {item['resource']}: {item['check_id']} {item['check_name']}"
    yield from (f"{check} is accepted for {pattern}, but is not found; remove it" for check, pattern in sorted(unused))


def _without_namespace(item: Json) -> str:
    """Return the kind and the name of a finding's object: `Deployment.keeper-injector`."""
    kind, _, rest = item["resource"].partition(".")
    return f"{kind}.{rest.partition('.')[2]}"
