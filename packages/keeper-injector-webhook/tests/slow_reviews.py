"""Reviews that cost the webhook as much as possible: families of inputs that grow with a number, each against one limit.

The benchmark ``bench_worst_review.py`` measures them, and a test counts their operations. Add a family for every new loop over
something that a user can make long.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from admission_reviews import body, pod

Family = Callable[[int], bytes]
LARGEST = 1 << 14
"""The largest number that tests and benchmarks pass to a family. Reviews are then far above the limits, up to 3 MiB."""


def _asked(annotations: dict[str, str], containers: int = 1, **spec: Any) -> bytes:
    own = [{"name": f"c{number}", "command": ["/app"]} for number in range(containers)]
    return body(pod(annotations={"inject": "true", **annotations}, **{"containers": own, **spec}))


def _secrets(number: int, text: str) -> dict[str, str]:
    return {f"secret-s{index}": text.format(index) for index in range(number)}


def _config(entries: list[Any], **more: Any) -> dict[str, str]:
    return {"config": json.dumps({"secrets": entries, **more})}


def _nested(number: int, least: int = 0) -> list[str]:
    """Return paths, each of which contains the next one."""
    return ["/a" * (index % 30 + 1 + least) + f"/f{index}" for index in range(number)]


def _mounts(number: int, path: str) -> dict[str, Any]:
    mounts = [{"name": "data", "mountPath": path.format(index)} for index in range(number)]
    return {"volumes": [{"name": "data"}], "containers": [{"name": "app", "volumeMounts": mounts}]}


def _grid(number: int) -> bytes:
    """Return a pod of many containers with many mounts each, and secrets in many directories."""
    side = max(1, int(number**0.5))
    mounts = [{"name": "data", "mountPath": f"/m{index}"} for index in range(side)]
    containers = [{"name": f"c{index}", "volumeMounts": mounts} for index in range(side)]
    asked = {"inject": "true", **_secrets(min(number, 500), "title:/d{0}/f")}
    return body(pod(annotations=asked, containers=containers, volumes=[{"name": "data"}]))


def _sets(number: int) -> bytes:
    """Return a pod of which each container receives another set of secrets."""
    count = min(number, 200)
    entries = [
        {"record": "r", "path": f"{'/a' * (index % 28 + 1)}/f{index}", "containers": [f"c{index}"]}
        if index % 2
        else {"record": "r", "path": f"{'/a' * (index % 28 + 1)}/f{index}"}
        for index in range(min(count, 100))
    ]
    return _asked(_config(entries), containers=count)


def _templates_for_sets(number: int) -> bytes:
    """Return a pod whose containers all receive the same long templates, and each of them another file too."""
    count = min(number, 160)
    common = [{"record": "r", "path": f"/d/common-{index}", "template": "t" * 2000} for index in range(5)]
    own = [{"record": "r", "path": f"/d/own-{index}", "containers": [f"c{index}"]} for index in range(count)]
    return _asked(_config([*common, *own]), containers=count)


def _folders_below_files(number: int) -> bytes:
    """Return a pod with folders in deep directories, above which there are files."""
    count = min(number, 100)
    files = [{"record": "r", "path": "/d" + "/a" * (index % 25 + 1)} for index in range(count)]
    folders = [{"path": "f", "outputPath": "/d" + "/a" * 28}] * count
    return _asked(_config(files, folders=folders), containers=20)


FAMILIES: dict[str, Family] = {
    "secrets in their own directories": lambda number: _asked(_secrets(number, "title:/d{0}/f")),
    "secrets in one directory": lambda number: _asked(_secrets(number, "title:/d/f{0}")),
    "secrets on one path": lambda number: _asked(_secrets(number, "title:/d/f")),
    "secrets inside each other": lambda number: _asked(
        {f"secret-s{index}": f"t:{path}" for index, path in enumerate(_nested(min(number, 600)))}
    ),
    "secrets for many containers": lambda number: _asked(
        _secrets(min(number, 200), "title:/d{0}/f"), containers=number
    ),
    "directories for many containers": lambda number: _asked(
        _secrets(min(number, 50), "t:/d{0}/f"), containers=min(number, 40)
    ),
    "a set of secrets for each container": _sets,
    "templates for different sets of secrets": _templates_for_sets,
    "variables": lambda number: _asked({f"env-V{index}": "db[pw]" for index in range(number)}),
    "variables for many containers": lambda number: _asked(
        {f"env-{'V' * 100}{index}": "db[pw]" for index in range(min(number, 200))}, containers=min(number, 50)
    ),
    "items of one annotation": lambda number: _asked({"secret": ",".join(f"t{index}" for index in range(number))}),
    "other annotations": lambda number: _asked({f"other-{index}": "x" for index in range(number)}),
    "unknown annotations that resemble known ones": lambda number: _asked(
        {f"sekret-refresh-intervall{index}": "x" for index in range(number)}
    ),
    "annotations with invalid values": lambda number: _asked(
        {f"format-s{index}": "x" * 300 for index in range(number)}
    ),
    "long invalid values": lambda number: _asked({f"format-s{index}": "x" * 4000 for index in range(min(number, 60))}),
    "long titles": lambda number: _asked(_secrets(min(number, 60), "{0}" + "t" * 4000)),
    "titles with slashes": lambda number: _asked({"secret": "a/" * number + "b"}),
    "many titles with slashes": lambda number: _asked(_secrets(min(number, 200), "a/" * 60 + "b{0}")),
    "titles with brackets": lambda number: _asked({"secret": "a" + "[b]" * number}),
    "titles with escapes": lambda number: _asked({"secret": "\\/" * number}),
    "titles with colons": lambda number: _asked({"secret-x": ":a/b" * number}),
    "many titles with colons": lambda number: _asked(_secrets(min(number, 60), "{0}" + ":a" * 2000)),
    "titles that resemble relative paths": lambda number: _asked(_secrets(min(number, 60), "{0}:" + "a-" * 1900)),
    "long paths": lambda number: _asked({"secret-x": "t:" + "/a" * number}),
    "many long paths": lambda number: _asked(_secrets(min(number, 60), "t:" + ("/" + "a" * 120) * 31 + "{0}")),
    "a configuration of secrets": lambda number: _asked(
        _config([{"record": "r", "path": f"/d{index}/f"} for index in range(number)])
    ),
    "a configuration of unknown keys": lambda number: _asked(
        _config([{f"recordd{index}": "r" for index in range(number)}])
    ),
    "a configuration of invalid entries": lambda number: _asked(
        _config([{"recrod": "r", "pth": "x"} for _ in range(number)])
    ),
    "a configuration of texts": lambda number: _asked(_config(["x"] * number)),
    "a configuration of fields": lambda number: _asked(
        _config([{"record": "r", "injectAsEnvVars": True, "fields": [f"f{index}" for index in range(number)]}]),
        containers=50,
    ),
    "a configuration of containers": lambda number: _asked(
        _config([{"record": "r", "path": "/a/b", "containers": [f"x{index}" for index in range(number)]}]),
        containers=100,
    ),
    "a configuration of records": lambda number: _asked(
        _config([{"records": [f"r{index}" for index in range(number)], "template": "{{ .a }}", "path": "/a/b"}])
    ),
    "a configuration of Secrets": lambda number: _asked(
        _config([{"record": "r", "injectAsK8sSecret": True, "k8sSecretName": "s"} for _ in range(number)])
    ),
    "details of secrets": lambda number: _asked(
        {
            "inject-env-vars": "true",
            **_secrets(min(number, 100), "t{0}"),
            **{f"fields-s{index}": "a, b" for index in range(number)},
            **{f"env-prefix-s{index}": "A_" for index in range(number)},
        }
    ),
    "variables of one name": lambda number: _asked(
        _config([{"record": f"r{index}", "injectAsEnvVars": True, "fields": ["f"]} for index in range(number)]),
        containers=20,
    ),
    "folders below files": _folders_below_files,
    "one key of a Secret": lambda number: _asked(
        _config(
            [
                {
                    "record": f"r{index}[f]",
                    "injectAsK8sSecret": True,
                    "k8sSecretName": f"s{index % 2}",
                    "k8sSecretMode": "merge",
                }
                for index in range(number)
            ]
        )
    ),
    "a configuration of keys of a Secret": lambda number: _asked(
        _config(
            [
                {
                    "record": "r",
                    "injectAsK8sSecret": True,
                    "k8sSecretName": "s",
                    "k8sSecretKeys": {f"k{i}": "a" for i in range(number)},
                }
            ]
        )
    ),
    "a configuration in block style": lambda number: _asked({"config": "secrets:\n" + "- record: r\n" * number}),
    "nested lists": lambda number: _asked({"config": "[" * number}),
    "nested mappings": lambda number: _asked({"config": "{a: " * number}),
    "a number of sixties": lambda number: _asked({"config": "secrets: 1" + ":59" * number}),
    "a long number": lambda number: _asked({"config": "secrets: " + "9" * number}),
    "escapes in YAML": lambda number: _asked({"config": 'secrets: "' + "\\x41" * number + '"'}),
    "a template": lambda number: _asked({"secret-x": "t", "template-x": "{{ .a }}" * number}),
    "a template that is nested": lambda number: _asked({"secret-x": "t", "template-x": "{{ if .a }}" * number}),
    "templates": lambda number: _asked(
        {
            **_secrets(min(number, 200), "t{0}"),
            **{f"template-s{index}": "{{ .a | quote }}" * 5 for index in range(min(number, 200))},
        }
    ),
    "templates in a configuration": lambda number: _asked(
        _config([{"record": "r", "template": "{{ .a | quote }}" * 5} for _ in range(number)])
    ),
    "an action that does not end": lambda number: _asked(
        {"secret-x": "t", "template-x": "{{ .a " + "| quote " * number}
    ),
    "containers": lambda number: _asked({"secret": "db"}, containers=number),
    "mounts": lambda number: body(pod(annotations={"inject": "true", "secret": "db"}, **_mounts(number, "/m{0}"))),
    "mounts inside the directory of a secret": lambda number: body(
        pod(annotations={"inject": "true", "secret": "db:/app/x"}, **_mounts(number, "/app/{0}"))
    ),
    "mounts at one path": lambda number: body(
        pod(annotations={"inject": "true", **_secrets(min(number, 200), "t:/app/{0}/x")}, **_mounts(number, "/app"))
    ),
    "long mounts": lambda number: body(
        pod(annotations={"inject": "true", "secret": "db:/app/x"}, **_mounts(min(number, 250), "/." * 2000))
    ),
    "containers with mounts": _grid,
    "volumes": lambda number: _asked({"secret": "db"}, volumes=[{"name": f"v{index}"} for index in range(number)]),
    "reserved volumes": lambda number: _asked(
        {"secret": "db"}, volumes=[{"name": f"keeper-env-{index}"} for index in range(number)]
    ),
    "projected sources": lambda number: _asked(
        {"secret": "db", "inject-as-k8s-secret": "true", "k8s-secret-name": "s"},
        volumes=[{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}] * number}}],
    ),
    "variables of a container": lambda number: body(
        pod(
            annotations={"inject": "true", "env-A": "db[pw]"},
            containers=[{"name": "a", "command": ["a"], "env": [{"name": f"N{index}"} for index in range(number)]}],
        )
    ),
    "ports": lambda number: body(
        pod(
            annotations={"inject": "true", "secret": "db", "metrics-port": "9464"},
            containers=[{"name": "a", "ports": [{"containerPort": 9464}] * number}],
        )
    ),
    "empty objects": lambda number: _asked({"secret": "db"}, tolerations=[{}] * (20 * number)),
    "annotations of other programs": lambda number: _foreign(200 * number),
    "owners": lambda number: _owners(number),
}

PRODUCTS = frozenset(
    {
        "secrets for many containers",
        "directories for many containers",
        "a set of secrets for each container",
        "templates for different sets of secrets",
        "variables for many containers",
        "containers with mounts",
    }
)
"""Families whose answers grow with the product of two numbers, up to a limit."""


def _foreign(size: int) -> bytes:
    original = pod(annotations={"inject": "true", "secret": "db"})
    original["metadata"]["annotations"]["example.com/a"] = "x" * size
    return body(original)


def _owners(number: int) -> bytes:
    original = pod(annotations={"inject": "true", "secret": "db"})
    original["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "j"}] * number
    return body(original)
