"""Translates this machine's pip settings (mirror, proxy, CA) for uv, which reads neither pip.conf nor PIP_*."""

import subprocess
import sys
from ast import literal_eval
from collections.abc import Iterable, Mapping

VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "proxy": "ALL_PROXY",
    "cert": "SSL_CERT_FILE",
}
"""The environment variable of uv for each setting of pip."""

PRECEDENCE = ("global", "install", ":env:")
"""Sections of pip's configuration that apply to an installation; a later one takes precedence."""


def configured() -> dict[str, str]:
    """Return the settings of the pip in this environment; empty if there is no pip, as in an environment made by uv."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    return settings(listing.stdout.splitlines())


def settings(lines: Iterable[str]) -> dict[str, str]:
    """Parse the output of ``pip config list``: lines such as ``global.index-url='https://…'``."""
    found: dict[str, dict[str, str]] = {section: {} for section in PRECEDENCE}
    for line in lines:
        name, separator, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if separator and section in found:
            found[section][key] = str(literal_eval(value))
    return {key: value for section in PRECEDENCE for key, value in found[section].items()}


def for_uv(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return uv's variables for *pip*'s settings, without those that *environment* already sets."""
    return {
        variable: " ".join(pip[setting].split())
        for setting, variable in VARIABLES.items()
        if setting in pip and variable not in environment
    }
