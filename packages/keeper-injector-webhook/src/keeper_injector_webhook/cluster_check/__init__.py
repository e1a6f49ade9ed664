"""``keeper-injector check``: what works in a cluster and what does not, found by reading it; nothing is changed.

Each check is a function that reads the cluster through :mod:`.api` and yields :class:`~keeper_injector_common.cli.findings.Finding` values. The checks are
grouped by the question that they answer:

- :mod:`.before`: can the chart be installed here?
- :mod:`.installation`, with :mod:`.certificate`: does the installed webhook work?
- :mod:`.namespace`: do the workloads of one namespace get their secrets?
"""
