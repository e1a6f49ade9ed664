"""What this product uses of Kubernetes that not every version has: the only list of it."""

from __future__ import annotations

import attrs

Version = tuple[int, int]
"""The minor release of Kubernetes: ``(1, 37)``."""
OLDEST: Version = (1, 30)
"""The chart's ``kubeVersion``: the oldest version that the integration tests run on."""


@attrs.frozen
class Feature:
    """A feature of Kubernetes, its versions and what happens without it."""

    name: str
    enabled: Version
    """The first version that has it without a feature gate (``pkg/features/kube_features.go`` of Kubernetes)."""
    stable: Version | None
    """The first version in which nobody can disable it; None if the newest tested version can still disable it."""
    use: str
    """What the product does with it, as part of a sentence in Markdown."""
    without: str
    """What the product does instead, as part of a sentence in Markdown."""

    def is_in(self, version: Version) -> bool:
        """Return whether *version* has it, unless somebody has disabled it."""
        return version >= self.enabled


MATCH_CONDITIONS = Feature(
    "matchConditions",
    enabled=(1, 28),
    stable=(1, 30),
    use="only annotated pods reach the webhook",
    without="does not occur: every supported version has it",
)
NATIVE_SIDECAR = Feature(
    "native sidecar",
    enabled=(1, 29),
    stable=(1, 33),
    use="the agent starts before the application, and a Job ends without it",
    without="annotate pods with `sidecar: classic`; in a Job, also `init-only`",
)
ADMISSION_POLICY = Feature(
    "ValidatingAdmissionPolicy",
    enabled=(1, 30),
    stable=(1, 30),
    use="the webhook can change only `caBundle` of its configuration",
    without="the chart leaves the policy out",
)
ENV_FILES = Feature(
    "EnvFiles",
    enabled=(1, 35),
    stable=None,
    use="with `envFiles: always`, the kubelet sets variables in containers without a command",
    without="`keeper-exec` sets variables, and the container needs a command in the pod",
)
RESTART_ALL = Feature(
    "RestartAllContainers",
    enabled=(1, 36),
    stable=None,
    use="with `restartAllContainers: true`, `on-change: restart-all` restarts all containers of a pod",
    without="`on-change: restart` works by a liveness probe in every version",
)
FEATURES = (MATCH_CONDITIONS, NATIVE_SIDECAR, ADMISSION_POLICY, ENV_FILES, RESTART_ALL)
