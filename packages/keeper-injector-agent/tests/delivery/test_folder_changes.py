"""Folders over time: whatever happens to titles, folders and keys in Keeper, no file gets the value of another record silently."""

from __future__ import annotations

import json

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_injector_agent.delivery.directories import render_directory
from keeper_injector_agent.delivery.files import File
from keeper_injector_agent.delivery.progress import Progress
from keeper_injector_agent.state import State
from keeper_injector_common.errors import TemplateError
from keeper_injector_common.plan.delivery import Formatted
from keeper_injector_common.plan.model import Directory, FileItem, FolderItem
from keeper_injector_common.records import Field, Folder, Library, Record, Renderer
from keeper_injector_common.references import RecordName, WholeRecord

PATH, TARGET = "/keeper/volumes/0", "/app"
UIDS = [f"AAAAAAAAAAAAAAAAAAAAA{number}" for number in range(4)]
EXPLICIT = Record("explicit", "explicit", "login", (Field("uid", "text", "uid", ("explicit",)),))
DIRECTORY = Directory(
    PATH,
    TARGET,
    (FileItem("x.json", (WholeRecord(RecordName(("explicit",))),), Formatted("json"), 0o400),),
    tuple(FolderItem(RecordName((name,)), 0o400) for name in "AB"),
)


@attrs.frozen
class Shared:
    """A record as Keeper has it at one time."""

    title: str
    folder: str
    readable: bool
    version: int


RECORDS = st.builds(
    Shared,
    st.sampled_from(["db", "x", f"db-{UIDS[0]}", "é" * 200]),
    st.sampled_from("ABC"),
    st.sampled_from([True, True, True, False]),
    st.integers(0, 2),
)
TIMES = st.lists(st.dictionaries(st.sampled_from(UIDS), RECORDS), min_size=1, max_size=6)


def library(shared: dict[str, Shared]) -> Library:
    """Return the records at one time; the value of each is its UID and version."""
    records = [
        Record(
            uid,
            item.title,
            "login",
            (Field("uid", "text", "uid", (uid,)), Field("version", "text", "version", (str(item.version),))),
            folders=(Folder((item.folder,), (f"uid-of-{item.folder}",)),),
        )
        for uid, item in shared.items()
        if item.readable
    ]
    return Library((*records, EXPLICIT), tuple(uid for uid, item in shared.items() if not item.readable))


def no_template(*_: object) -> str:
    """Render no template."""
    raise TemplateError("none")


@settings(deadline=None, max_examples=300)
@given(TIMES, st.booleans())
def test_a_file_has_the_value_of_its_record(times: list[dict[str, Shared]], remove: bool) -> None:
    """At every time: values belong to origins, no readable record is lost without a report, and none loses its path."""
    state, files = State(), dict[str, File]()
    before: dict[str, Shared] = {}
    paths: dict[str, str] = {}
    for number, shared in enumerate(times):
        progress = Progress(state, remove_gone=remove, initial=number == 0)
        renderer = Renderer(library(shared), False, lambda *_: b"", no_template, progress.warn)
        old = files
        files = render_directory(DIRECTORY, old, renderer, progress)
        progress.commit()
        values = {name: json.loads(file.content) for name, file in files.items()}
        assert values["x.json"] == {"uid": "explicit"}, "an explicit file is always the plan's"
        folder_files = {name: value for name, value in values.items() if name != "x.json"}
        reported = " ".join(progress.problems)
        for name, value in folder_files.items():
            uid = value["uid"]
            assert state.origins[f"{PATH}/{name}"] == uid
            fresh = uid in shared and shared[uid].readable and shared[uid].folder in "AB"
            if not fresh or value["version"] != str(shared[uid].version):
                assert old[name] == files[name], "an old value is the one that was there"
                assert f"{TARGET}/{name}: " in reported or f"{TARGET}: folder " in reported, "an old value is reported"
        delivered = {value["uid"]: name for name, value in folder_files.items()}
        assert len(delivered) == len(folder_files), "each record has one file"
        for uid, item in shared.items():
            if not item.readable or item.folder not in "AB":
                continue
            assert uid in delivered or uid in reported or item.title == "x", "nothing is lost without a report"
            # A file that kept the name of an earlier title may go when the record gets a file of its present title.
            if (
                uid in before
                and attrs.evolve(before[uid], version=item.version) == item
                and paths.get(uid, "").startswith(item.title[:2])
            ):
                assert delivered.get(uid) in {paths[uid], f"{item.title}.json"}, "no file vanishes"
        before, paths = shared, delivered
