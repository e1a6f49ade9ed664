"""pip's settings on this machine are passed on to uv."""

from __future__ import annotations

import pip_settings

LISTING = """\
:env:.cert='/etc/company.pem'
:env:.timeout='180'
global.cert='/etc/other.pem'
global.index-url='https://user:word@mirror.example/simple'
global.trusted-host='\\na.example\\nb.example'
install.find-links='/opt/wheels'
list.format='columns'
"""


def test_the_environment_wins_over_files() -> None:
    """A variable overrides the configuration of a command, which overrides the global one."""
    found = pip_settings.settings(LISTING.splitlines())

    assert found["cert"] == "/etc/company.pem"
    assert found["find-links"] == "/opt/wheels"
    assert "format" not in found


def test_settings_get_uv_s_names() -> None:
    """Each setting that uv supports gets uv's name; lists are separated by spaces."""
    assert pip_settings.for_uv(pip_settings.settings(LISTING.splitlines()), {}) == {
        "SSL_CERT_FILE": "/etc/company.pem",
        "UV_DEFAULT_INDEX": "https://user:word@mirror.example/simple",
        "UV_FIND_LINKS": "/opt/wheels",
        "UV_INSECURE_HOST": "a.example b.example",
    }


def test_variables_of_uv_are_kept() -> None:
    """A variable of uv that is already set is not overwritten."""
    environment = {"UV_DEFAULT_INDEX": "https://uv.example/simple"}

    found = pip_settings.for_uv({"index-url": "https://pip.example/simple", "proxy": "http://proxy:3128"}, environment)

    assert found == {"ALL_PROXY": "http://proxy:3128"}


def test_this_machine_s_pip_can_be_asked() -> None:
    """The output of the real pip can be parsed, whatever it contains."""
    assert isinstance(pip_settings.configured(), dict)
