"""Ten years of certificates with two replicas."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path

import attrs
from api_server import CONFIGURATION, SECRET, ApiServer
from certificate_cluster import DAY, NOW, reach, verify

from keeper_injector_webhook.certificates import reconcile
from keeper_injector_webhook.certificates.reconcile import Cluster
from keeper_injector_webhook.errors import ClusterError


@attrs.define
class Replica:
    """A webhook pod: the certificate it serves with, and when its program runs next."""

    cluster: Cluster
    directory: Path
    again: datetime

    @property
    def leaf(self) -> bytes | None:
        """The certificate that it presents."""
        path = self.directory / "tls.crt"
        return path.read_bytes() if path.exists() else None


def test_ten_years(api: ApiServer, tmp_path: Path) -> None:
    """No handshake fails in ten years of renewals, overlapping CAs, outages, lost Secrets, races and foreign data."""
    chance = random.Random(5)
    replicas = [Replica(reach(api), tmp_path / str(number), NOW) for number in range(2)]
    for replica in replicas:
        replica.directory.mkdir()
    leaves: set[bytes] = set()
    bundles: set[bytes] = set()
    away_until = NOW
    now = NOW
    while now < NOW + 3653 * DAY:
        replica = min(replicas, key=lambda candidate: candidate.again)
        now = max(now, replica.again)
        api.away = now < away_until
        if chance.random() < 0.02:
            away_until = now + DAY * chance.random()
        if chance.random() < 0.3:
            api.races = [SECRET, CONFIGURATION]
        if chance.random() < 0.01:
            api.store(
                SECRET,
                {"metadata": api.objects[SECRET]["metadata"], "data": chance.choice([{}, {"tls.crt": "eA=="}])},
            )
        try:
            reconcile.run(replica.cluster, replica.directory, now, sleep=lambda _: None)
            # An hour in the true world; a week here lets the clock run faster.
            replica.again = now + 7 * DAY * chance.uniform(0.8, 1)
        except ClusterError:
            replica.again = now + timedelta(minutes=10)
        for other in replicas:
            if other.leaf is not None:
                verify(other.leaf, api.bundle(), now)
                leaves.add(other.leaf)
        bundles.add(api.bundle())
    assert len(leaves) > 60
    assert len(bundles) > 8
