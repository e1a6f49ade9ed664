"""What libraries import but hardly ever use is imported when it is used, and not before."""

from __future__ import annotations

import subprocess
import sys

import pytest

SDK = "import sys, keeper_injector_agent.keeper.sdk, keeper_injector_agent.keeper.transport\n"


def output(program: str) -> str:
    """Return what a program prints, without the line break."""
    return subprocess.check_output([sys.executable, "-c", program], text=True).strip()


def test_the_sdk_and_the_transport_do_not_load_requests() -> None:
    """If a new version of the SDK uses requests at its import, this fails: then a refresh costs twice as much."""
    assert (
        output(SDK + "print(sorted({'urllib3', 'requests.sessions', 'charset_normalizer'} & set(sys.modules)))") == "[]"
    )


def test_a_refresh_does_not_load_what_it_does_not_use() -> None:
    """Every module costs CPU time at each refresh of each pod; `zipfile` stands for those below ``importlib.metadata``."""
    unused = {"subprocess", "mimetypes", "importlib.metadata", "zipfile", "tempfile", "keeper_injector_common.records"}
    unused |= {"cryptography.hazmat.primitives.serialization.ssh", "dataclasses", "inspect", "attr"}
    client = SDK.replace("keeper.sdk", "keeper.client")
    assert output(client + f"print(sorted({unused} & set(sys.modules)))") == "[]"


@pytest.mark.parametrize(
    ("use", "result"),
    [
        ("import subprocess; print(subprocess.PIPE)", "-1"),
        ("from keeper_secrets_manager_core import utils; print(utils.subprocess.PIPE)", "-1"),
        (
            "from keeper_secrets_manager_core.dto import dtos; print(dtos.mimetypes.guess_type('a.txt')[0])",
            "text/plain",
        ),
        ("import importlib.metadata as m; print(m.version('attrs') == __import__('attrs').__version__)", "True"),
        (
            "from keeper_secrets_manager_core.keeper_globals import _get_pkg_version as v; print(v('attrs') > '2')",
            "True",
        ),
        (
            """
from keeper_secrets_manager_core import keeper_globals as g
import importlib.metadata as m
try: g._get_pkg_version('no-such-package')
except g.PackageNotFoundError as error: print(type(error) is m.PackageNotFoundError)
""",
            "True",
        ),
        (
            "import importlib.metadata, importlib; print(importlib.metadata is sys.modules['importlib.metadata'])",
            "True",
        ),
    ],
)
def test_a_postponed_module_works_when_it_is_used(use: str, result: str) -> None:
    """The SDK and everything else get the real modules."""
    assert output(f"{SDK}{use}") == result


@pytest.mark.parametrize(
    "use",
    [
        "import requests; print(requests.Session.__name__)",
        "from requests import Session; print(Session.__name__)",
        "import requests.sessions; print(requests.sessions.Session.__name__)",
        "from requests.sessions import Session; print(Session.__name__)",
        "import requests.exceptions, requests.adapters, requests; print(requests.Session.__name__)",
        "from requests.adapters import HTTPAdapter; import requests; print(requests.Session.__name__)",
        "from keeper_secrets_manager_core import core; print(core.requests.Session.__name__)",
    ],
)
def test_any_use_loads_requests(use: str) -> None:
    """Other libraries, such as those of clouds, and the SDK itself get the real module."""
    assert output(f"{SDK}{use}") == "Session"


def test_the_sdk_catches_exceptions_of_the_real_module() -> None:
    """The classes that the SDK sees are the same as those of the real module."""
    program = "import requests; from keeper_secrets_manager_core import core; print(core.requests.HTTPError is requests.HTTPError)"
    assert output(SDK + program) == "True"


@pytest.mark.parametrize("submodule", ["exceptions", "adapters", "models", "sessions", "utils"])
def test_no_submodule_is_loaded_twice(submodule: str) -> None:
    """A library that imports a submodule first, as Google's does, catches the exceptions that requests raises."""
    program = f"import requests.{submodule}; import requests; print(requests.{submodule} is sys.modules['requests.{submodule}'],"
    program += " requests.adapters.ConnectTimeout is requests.exceptions.ConnectTimeout is requests.ConnectTimeout)"
    assert output(SDK + program) == "True True"


def test_a_module_that_is_loaded_stays() -> None:
    """If requests was imported before, nothing is postponed."""
    assert output("import requests as real\n" + SDK + "print(sys.modules['requests'] is real)") == "True"


def test_names_of_the_ssh_module_are_loaded_when_they_are_used() -> None:
    """Other libraries, such as those of clouds, get the real classes from the package; a wrong name is an error, as always."""
    program = """
from cryptography.hazmat.primitives import serialization as package
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_key
import cryptography.hazmat.primitives.serialization.ssh as ssh
same = package.SSHCertificate is SSHCertificate is ssh.SSHCertificate and load_ssh_public_key is ssh.load_ssh_public_key
print(same, package.ssh is ssh, hasattr(package, "load_nothing"), set(package.__all__) - set(dir(package)) - vars(ssh).keys())
"""
    assert output(SDK + program) == "True True False set()"


def test_the_ssh_module_stays_if_it_was_loaded() -> None:
    """A program that has imported it before keeps its names."""
    program = "from cryptography.hazmat.primitives import serialization as package\n" + SDK
    assert output(program + "print(package.SSHCertificate is vars(package.ssh)['SSHCertificate'])") == "True"


def test_attrs_works_without_what_is_postponed() -> None:
    """Validators, converters and cached properties load the rest when a class uses them."""
    program = """
import sys
from keeper_injector_agent.lean_attrs import attrs
print({"inspect", "attr.validators", "attrs.validators"} & set(sys.modules))
import functools, attr, attr.validators

@attrs.frozen
class Value:
    number: int = attrs.field(validator=attrs.validators.instance_of(int), converter=attrs.converters.optional(int))

    @functools.cached_property
    def twice(self) -> int:
        return self.number * 2

try: Value(None)
except TypeError: print(Value("2").twice, attrs.validators.gt is attr.validators.gt, sys.modules["inspect"].signature(Value))
"""
    assert output(program) == "set()\n4 True (number) -> None"


def test_a_whole_refresh_imports_attrs_in_that_way() -> None:
    """The worker imports it before any other module does, and nothing that takes as long and is not used."""
    unused = {"argparse", "attr.validators", "importlib.resources", "inspect", "shutil", "subprocess", "tempfile"}
    program = f"import sys, keeper_injector_agent.worker; print({unused | {'attr'}} & set(sys.modules))"
    assert output(program) == "{'attr'}"


_TEMPLATES = """
import resource, sys
from keeper_injector_agent import lean_stdlib
import keeper_injector_agent.worker
from keeper_injector_common.errors import TemplateError
from keeper_injector_common.records import templates
from keeper_injector_common.records.templates import functions
templates.load_engine()
loaded = {*sys.modules}
resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
arguments = ["", ".a", "1 .a", ".a .b", "1 2", '"https://[::1]:8/x?y=z"', '"%s"', '"2026-01-01"']
for name in functions.allowed_functions():
    for argument in arguments:
        try: templates.render_template(f"{{{{ {name} {argument} }}}}", {"a": "text", "b": [1, 2]})
        except TemplateError: pass
print({*sys.modules} - loaded)
"""


def test_no_template_uses_what_is_postponed() -> None:
    """Templates are rendered by a process that can open no file, and so can import nothing."""
    assert output(_TEMPLATES) == "set()"
