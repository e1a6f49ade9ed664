"""Generates the page about capacity from the measured figures of production.md and the defaults of the chart and the annotations."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

import yaml

from generators.output import ROOT, deliver
from keeper_injector_common import parsers
from keeper_injector_common.annotations.table import BY_NAME

PRODUCTION = "packages/keeper-injector-common/docs/production.md"
PODS = (100, 500, 2_000, 10_000)
STRICT_LIMIT = 10
"""Requests a minute and device, in a page of Keeper's documentation."""
LIMIT = 600
"""Requests a minute and device, if Keeper allows 100 in 10 seconds, as a comment in its SDK says."""
SHARE = 0.5
"""How much of that limit to plan with: refreshes are spread at random."""
PAGE = """\
<!-- Made by `./tools/run docs --write` from production.md, values.yaml and the table of annotations. -->
# Capacity

After this page you can plan memory, CPU and requests to Keeper for a number of injected pods.

The figures are for the default `refresh-interval` of {interval:g} seconds, and follow from [what one pod was measured to need](production.md#sizes).

| injected pods | memory requested | memory in use: idle | refreshes at the same time add | cores requested | cores in use | requests to Keeper |
|---|---|---|---|---|---|---|
{rows}

- *Requested*: {cpu} and {memory} for each sidecar, from the chart's `agent.resources`. The scheduler reserves them. The init container has the
  same requests, but they add nothing to a pod whose own containers request more. With `init-only`, a running pod has no sidecar and needs nothing.
- *In use*: at most {idle:g} MiB for each idle sidecar. A part of that is shared between the pods of a node. A refresh takes {peak:g} MiB for
  {seconds:g} s, and {work:g} s of CPU if nothing has changed.
- *Requests*: one for each refresh. A folder or a changed attachment adds one.
- The webhook needs no more for more pods: it reviews about 2,000 pods a second.

If you need less, first set a longer `refresh-interval`: 1h divides the CPU in use and the requests by {times:g}. Then lower
`agent-requests-memory`.

## Keeper's limit

Keeper throttles each device, which is each KSM configuration. Its limit is not documented in one place, and the sources disagree:

| source | limit of one device |
|---|---|
| a comment in Keeper's SDK | 100 requests in 10 seconds, and the counter restarts only after 10 seconds without a request |
| a page of Keeper's documentation, without a date | {strict} requests a minute |
| the README of Keeper's integration with ServiceNow | 300 to 600 requests in 10 seconds |

If the comment is right, a configuration that never rests for 10 seconds can be throttled after 100 requests, however slowly they come.

So plan with the strictest limit if an outage of rotation would hurt, and watch the metric `keeper_injector_agent_requests_total` with the result `throttled`:

| injected pods | KSM configurations, by the strictest limit | the same, by half of the limit in the SDK | shortest `refresh-interval` with one configuration, by the strictest limit |
|---|---|---|---|
{limits}

- Give each namespace or application its own KSM configuration. That is also better for [security](security.md#who-can-do-what), and divides the requests.
- Set a longer `refresh-interval`, and run [`refresh`](rotation.md#refresh-now) in the pods that need a change at once.
- Many pods that start together send one request each, such as after the loss of a node. A throttled pod waits and retries; running pods keep their files.
"""


class Figures(NamedTuple):
    """What one pod needs."""

    interval: float
    """Seconds between refreshes."""
    cpu: str
    memory: str
    idle: float
    """MiB of an idle sidecar."""
    peak: float
    """MiB of a refresh."""
    seconds: float
    """Duration of a refresh."""
    work: float
    """CPU seconds of a refresh."""


def main() -> int:
    """Write the page, or check that it is up to date."""
    return deliver("packages/keeper-injector-common/docs/capacity.md", page(measured()))


def measured() -> Figures:
    """Read the figures from where they are kept. Raises AttributeError if production.md has them no longer."""
    text = (ROOT / PRODUCTION).read_text(encoding="utf-8")
    values = yaml.safe_load((ROOT / "charts/keeper-injector/values.yaml").read_text(encoding="utf-8"))
    requests = values["agent"]["resources"]["requests"]
    return Figures(
        parsers.duration(BY_NAME["refresh-interval"].default),
        requests["cpu"],
        requests["memory"],
        figure(r"idle sidecar \| ([\d.]+) MiB", text),
        figure(r"or a refresh \| ([\d.]+) MiB", text),
        figure(r"or a refresh \| [\d.]+ MiB for about ([\d.]+) s", text),
        figure(r"CPU of a refresh \| about ([\d.]+) s", text),
    )


def figure(pattern: str, text: str) -> float:
    """Return the number in the only match of *pattern*."""
    (found,) = re.findall(pattern, text)
    return float(found)


def page(figures: Figures) -> str:
    """Return the page for these figures."""
    return PAGE.format(
        **figures._asdict(),
        rows="\n".join(row(pods, figures) for pods in PODS),
        limits="\n".join(limit_row(pods, figures.interval) for pods in PODS),
        strict=STRICT_LIMIT,
        times=3600 / figures.interval,
    )


def row(pods: int, figures: Figures) -> str:
    """Return the row of resources for a number of pods."""
    cores = int(figures.cpu.removesuffix("m")) / 1000
    mebibytes = int(figures.memory.removesuffix("Mi"))
    refreshes = pods * figures.seconds / figures.interval  # at the same time, on average
    cells = (
        f"{pods:,}",
        size(pods * mebibytes),
        size(pods * figures.idle),
        size(refreshes * figures.peak),
        f"{pods * cores:g}",
        f"{pods * figures.work / figures.interval:.2g}",
        f"{pods * 60 / figures.interval:,.0f} a minute",
    )
    return f"| {' | '.join(cells)} |"


def limit_row(pods: int, interval: float) -> str:
    """Return the row of Keeper's limit for a number of pods."""
    per_minute = pods * 60 / interval
    cells = (
        f"{pods:,}",
        f"{-(-per_minute // STRICT_LIMIT):,.0f}",
        f"{-(-per_minute // (LIMIT * SHARE)):,.0f}",
        duration(pods / STRICT_LIMIT),
    )
    return f"| {' | '.join(cells)} |"


def size(mebibytes: float) -> str:
    """Return an amount of memory in the unit that a person would choose."""
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= 1024 else f"{mebibytes:.0f} MiB"


def duration(minutes: float) -> str:
    """Return minutes, rounded up, as an annotation accepts them."""
    hours, rest = divmod(-int(-minutes // 1), 60)
    return (f"{hours}h" if hours else "") + (f"{rest}m" if rest or not hours else "")


if __name__ == "__main__":
    sys.exit(main())
