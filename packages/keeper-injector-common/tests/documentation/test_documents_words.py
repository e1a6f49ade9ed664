"""Words of documents that code knows: links with their anchors, annotations, metrics, alerts, messages, commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from generators import commands
from keeper_injector_common.annotations.table import BY_NAME, FAMILIES, SET_BY_WEBHOOK
from keeper_injector_common.cli.lint import lint_text

ROOT = Path(__file__).parents[4]
DOCS = ROOT / "packages/keeper-injector-common/docs"
DOCUMENTS = sorted(
    [
        ROOT / "README.md",
        *(
            path
            for folder in ("packages/*/README.md", ".github/*.md", "charts/**/*.md", "tools/**/*.md")
            for path in ROOT.glob(folder)
        ),
        *DOCS.glob("**/*.md"),
    ]
)
AGENT = ROOT / "packages/keeper-injector-agent/src/keeper_injector_agent"
SOURCES = [path for path in ROOT.glob("packages/*/src/**/*") if path.suffix in {".py", ".c"}]
FENCED = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
NAMES = ("secret-", "file-", "format-", "template-", "env-")


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    """Files exist, and have the heading that is linked to."""
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", document.read_text(encoding="utf-8")):
        file = (document.parent / target).resolve() if target else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_annotations_exist(document: Path) -> None:
    """Every annotation that is named is one."""
    known = {*BY_NAME, *(name.partition("/")[2] for name in SET_BY_WEBHOOK)}
    for name in re.findall(r"keeper\.security/([a-zA-Z][\w-]*)", document.read_text(encoding="utf-8")):
        assert name in known or name.startswith(tuple(FAMILIES)), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_manifests_in_documents_are_right(document: Path) -> None:
    """Lint has nothing to say about a whole manifest in a document."""
    for kind, content in FENCED.findall(document.read_text(encoding="utf-8")):
        if kind == "yaml" and "kind:" in content and "keeper.security/" in content:
            assert lint_text(document.name, content).findings == ()


def test_the_table_of_rotation_speaks_of_annotations() -> None:
    """What is written as `name: value` in its table can be put on a pod."""
    rows = re.findall(r"^\|.+\|$", (DOCS / "rotation.md").read_text(encoding="utf-8"), re.MULTILINE)
    names = re.findall(r"`([a-z-]+)(?:<name>)?: [^`]+`", "\n".join(rows))
    assert {"signal", "notify-url"} <= set(names)
    assert set(names) <= {*BY_NAME, *FAMILIES}


@pytest.mark.parametrize("program", ["keeper-injector", "keeper-injector-agent", "keeper-injector-webhook"])
def test_commands_are_commands(program: str) -> None:
    """Every line with a program in a block of commands is one that its parser takes, also after `kubectl exec … --`."""
    (parser,) = (parser for parser in commands.parsers() if parser.prog == program)
    used = re.compile(rf"^ *\$ (?:kubectl exec .* -- |.*\| )?{program} ([^|>&\n]+)", re.MULTILINE)
    lines = [
        line
        for document in DOCUMENTS
        for kind, content in FENCED.findall(document.read_text(encoding="utf-8"))
        if kind == "console"
        for line in used.findall(content.replace("\\\n", " "))
    ]
    assert lines
    for line in lines:
        parser.parse_args(shlex.split(line))


def test_every_command_is_in_the_reference() -> None:
    """The reference has a heading for each command, and a row for each of its options."""
    reference = (DOCS / "commands.md").read_text(encoding="utf-8")
    for parser in commands.parsers():
        for name, command, _ in commands.subcommands(parser):
            (section,) = re.findall(rf"^### {parser.prog} {name}\n(.*?)(?=^##|\Z)", reference, re.MULTILINE | re.DOTALL)
            for action in commands.options(command):
                assert all(f"`{option}`" in section for option in action.option_strings), (name, action.dest)


def test_an_installation_can_work() -> None:
    """Images are published nowhere yet, so that each command says where both are; and Helm takes a name once."""
    several = 0
    for document in DOCUMENTS:
        lines = document.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
        installing = [line for line in lines if re.match(r" *\$ helm (install|upgrade .*--install)\b", line)]
        assert len(installing) < 2, document.name
        for line in installing:
            assert {" image.repository=", " agent.image.repository="} <= set(re.findall(r" [\w.]+=", line)), line
        several += len(installing)
    assert several > 2


def test_metrics_and_alerts_exist() -> None:
    """Documents name what is exported, and describe each alert of the chart."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES if path.suffix == ".py")
    for document in DOCUMENTS:
        for name in re.findall(r"keeper_injector_\w+", document.read_text(encoding="utf-8")):
            if not re.match(r"keeper_injector_(common|agent|webhook)$", name):
                assert re.sub(r"^keeper_injector_(?:agent|relay)_|_total$|_info$", "", name) in code, (
                    f"{document.name}: {name}"
                )
    rules = (ROOT / "charts/keeper-injector/monitoring/alerts.yaml").read_text(encoding="utf-8")
    alerts = set(re.findall(r"alert: (\w+)", rules))
    described = set(
        re.findall(r"^\| (Keeper\w+) \|", (DOCS / "production.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert described == alerts


def test_troubleshooting_has_the_words_of_the_screen() -> None:
    """Each heading is a text of the code or of the chart; some are those of Kubernetes or of Python's argparse."""
    chart = ROOT.glob("charts/*/templates/*.tpl")
    code = "\n".join(path.read_text(encoding="utf-8") for path in (*SOURCES, *chart))
    # A message in two halves, what was found and what to do about it, and a text on several lines.
    code = re.sub(r"""["'],\s+f?["']""", "; ", code)
    code = re.sub(r'"\s+f?"', "", code)
    others = {
        "unrecognized arguments: --plan-digest …",
        'failed calling webhook "pods.keeper.security"',
        'secret "keeper-credentials" not found',
        'configmap "…" not found',
        "cannot set an ownerRef on a resource you can't delete",
        "references non-existent secret key: config",
        "exceeded quota",
        "QoS Class: Burstable",
    }
    headings = re.findall(r"^### (.+)$", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(headings) > 15
    assert others <= set(headings)
    for heading in set(headings) - others:
        for part in filter(None, (part.strip() for part in heading.split("…"))):
            assert part in code, heading


@pytest.mark.parametrize(
    ("module", "raised"),
    [
        ("credentials/clouds.py", r"(?:kind|\w+VaultError)\("),
        ("delivery/kubernetes_secret.py", r"SecretSyncError\("),
        ("delivery/api_server.py", r"SecretSyncError\("),
        ("keeper/direct.py", r"PermanentVaultError\((?=\s*f?\"{ca_file})"),
        ("keeper/client.py", r"TransientVaultError\((?=\s*\"Keeper: the response)"),
    ],
    ids=["clouds", "kubernetes-secret", "api-server", "ca", "configuration"],
)
def test_problems_that_users_fix_have_a_heading(module: str, raised: str) -> None:
    """Troubleshooting has a heading for each message about clouds and Kubernetes Secrets, and for Keeper's that need a fix."""
    code = re.sub(r'"\s+f?"', "", (AGENT / module).read_text(encoding="utf-8"))
    messages = re.findall(raised + r'\s*f?"(.+)"', code)
    headings = re.findall(r"^### (.+)$", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
    patterns = [".*".join(map(re.escape, heading.split("…"))) for heading in headings]
    assert messages
    for message in messages:
        assert any(re.search(pattern, message) for pattern in patterns), message


def test_the_agents_warnings_are_explained() -> None:
    """Each event above information has a line in the table of what the agent logs."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in AGENT.glob("**/*.py"))
    written = re.findall(r'(?:log\.(?:warning|error)\(\s*|log_event\("(?:warning|error)", )"([\w.]+)"', code)
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    rows = " ".join(re.findall(r"^\| (`[^|]+)\|", text, re.MULTILINE))
    assert len(set(written)) > 10
    assert set(written) <= set(re.findall(r"`([\w.]+)`", rows))


def test_events_in_documents_are_logged() -> None:
    """Names of log events that a person is sent to look for."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    for document in DOCS.glob("*.md"):
        for event in re.findall(
            r"`((?:refresh|notify|admission|certificate|tls|secrets?|init|records?|retry|worker|state|metrics)\.(?!py`)\w+)`",
            document.read_text(encoding="utf-8"),
        ):
            assert event in code, f"{document.name}: {event}"


def test_values_of_the_chart_exist() -> None:
    """`a.b` in the pages is a value of the chart where it begins like one, or the name of a log event or of a module."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    values = yaml.safe_load((ROOT / "charts/keeper-injector/values.yaml").read_text(encoding="utf-8"))
    for document in DOCS.glob("*.md"):
        for path in re.findall(r"`([a-z]\w*(?:\.(?!py`)\w+)+)`", document.read_text(encoding="utf-8")):
            first, *rest = path.split(".")
            if first in values and isinstance(values[first], dict) and f'"{path}"' not in code:
                found = values[first]
                for key in rest:
                    if found == {}:  # the user chooses the keys, such as namespaces
                        break
                    assert key in found, f"{document.name}: {path}"
                    found = found[key]
