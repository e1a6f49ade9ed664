"""Run operations of Keeper's command line ``ksm``; see ../README.md. The argument is the path of local Keeper's ksm.py.

Each operation runs ``ksm`` as often as a shell would, in this process: starting a process for each would take a minute.
"""

import base64
import json
import logging
import os
import runpy
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from keeper_secrets_manager_cli.__main__ import cli  # type: ignore[import-not-found] # installed beside this driver

INI = str(Path("keeper.ini").absolute())


def run(*arguments: str) -> str:
    """Run ``ksm`` and return what it prints."""
    done = CliRunner().invoke(cli, ["--ini-file", INI, *arguments], obj={"cli": None})
    if done.exit_code:
        raise RuntimeError(f"{done.stderr.strip() or done.exception!r}")
    return done.stdout


def prepare() -> None:
    """Bind a one-time token with ``profile init``, or import a bound configuration with ``profile import``."""
    runpy.run_path(sys.argv[1])["insert_key"]()
    encoded = os.environ.pop("KSM_CONFIG")
    config = json.loads(base64.b64decode(encoded))
    if "clientKey" in config:
        arguments = [
            "profile",
            "init",
            "--hostname",
            config["hostname"],
            "--token",
            config["clientKey"],
            "--ini-file",
            INI,
        ]
    else:
        arguments = ["profile", "import", "--output-file", INI, encoded]
    done = CliRunner().invoke(cli, arguments, obj={"cli": None})
    if done.exit_code or not Path(INI).exists():
        sys.exit(f"ksm profile {arguments[1]}: {done.output} {done.exception!r}")


def records() -> list[Any]:
    return list(json.loads(run("secret", "list", "--json")))


def uid(title: str) -> str:
    return next(str(item["uid"]) for item in records() if item["title"] == title)


def record(title: str) -> Any:
    return json.loads(run("secret", "get", "--uid", uid(title), "--json"))


def folders() -> list[Any]:
    return list(json.loads(run("folder", "list", "--json")))


def folder(name: str) -> str:
    return next(str(item["uid"]) for item in folders() if item["title"] == name)


def described_folders() -> str:
    names = {item["uid"]: item["title"] for item in folders()}
    return ", ".join(
        sorted(
            f"{item['title']} in {names[item['parent_uid']]}" if item["parent_uid"] else item["title"]
            for item in folders()
        )
    )


def where(title: str) -> str:
    """A folder's list contains the record, and no folder below it does."""
    wanted = uid(title)
    listed = [
        item["title"]
        for item in folders()
        if wanted in {found["uid"] for found in json.loads(run("secret", "list", "--json", "--folder", item["uid"]))}
    ]
    return ", ".join(listed)


def create(folder_name: str, title: str, password: str) -> str:
    place = ["--storage-folder-uid", folder(folder_name), "--record-type", "login", "--title", title]
    run("secret", "add", "field", *place, f"password={password}")
    return "ok"


def ok(*arguments: str) -> str:
    run(*arguments)
    return "ok"


def upload(title: str, name: str, file_title: str, _media_type: str, content: str) -> str:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / name
        path.write_text(content, encoding="utf-8")
        return ok("secret", "upload", "--uid", uid(title), "--file", str(path), "--title", file_title)


def file_title(title: str, name: str) -> str:
    """``ksm`` finds a file by its title only."""
    return next(str(item["title"]) for item in record(title)["files"] if item["name"] == name)


def download(title: str, name: str) -> str:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "file"
        chosen = ["--uid", uid(title), "--name", file_title(title, name)]
        run("secret", "download", *chosen, "--file-output", str(path))
        return path.read_text(encoding="utf-8").rstrip()


def attachments(title: str) -> str:
    return ", ".join(
        sorted(f"{item['name']} ({item['title']}, {item['type']})" for item in record(title).get("files", []))
    )


def code(answer: str) -> str:
    """Return the response code of a deletion's answer."""
    return str(json.loads(answer)[0]["responseCode"])


OPERATIONS: dict[str, Callable[..., str]] = {
    "titles": lambda: ", ".join(sorted({item["title"] for item in records()})),
    "folders": described_folders,
    "notation": lambda notation: run("secret", "notation", notation).rstrip("\n"),
    "where": where,
    "create": create,
    "update": lambda title, password: ok("secret", "update", "--uid", uid(title), "--field", f"password={password}"),
    "delete": lambda title: code(run("secret", "delete", "--uid", uid(title), "--json")),
    "create-folder": lambda parent, name: ok("folder", "add", "--parent-folder", folder(parent), "--title", name),
    "rename-folder": lambda name, new: ok("folder", "update", "--folder", folder(name), "--title", new),
    "delete-folder": lambda name: code(run("folder", "delete", "--json", folder(name))),
    "delete-folder-with-content": lambda name: code(run("folder", "delete", "--force", "--json", folder(name))),
    "upload": upload,
    "download": download,
    "attachments": attachments,
    "unlink": lambda title, name: ok(
        "secret", "delete-attachment", "--uid", uid(title), "--file", file_title(title, name)
    ),
}

logging.disable(logging.CRITICAL)
prepare()
for line in sys.stdin:
    operation, *given = line.rstrip("\n").split("\t")
    try:
        print(OPERATIONS[operation](*given), flush=True)
    except Exception as error:  # noqa: BLE001 - each failure is the result of its line
        print(f"error\t{type(error).__name__}: {error}".replace("\n", " "), flush=True)
