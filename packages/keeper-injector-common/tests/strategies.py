"""Strategies of hypothesis for references and plans."""

from hypothesis import strategies as st

from keeper_injector_common.plan.credentials import AwsCredentials, AzureCredentials, FileCredentials, GcpCredentials
from keeper_injector_common.plan.delivery import FORMATS, Formatted, Notify, Templated
from keeper_injector_common.plan.model import (
    Directory,
    Environment,
    FileItem,
    FolderItem,
    Plan,
    RecordVariablesItem,
    VariableItem,
)
from keeper_injector_common.references import ALL_VALUES, FieldValue, FileContent, RecordName, RecordText, WholeRecord

KEYWORDS = st.sampled_from(["type", "Title", "notes", "field", "custom_field", "FILE"])
NAMES = KEYWORDS | st.text(
    st.sampled_from(" /[]:,\\") | st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6
).filter(lambda name: name.strip())
PROPERTIES = NAMES.filter(lambda name: not name.isdigit())
RECORD_NAMES = st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: RecordName(tuple(parts)))
INDEXES = st.none() | st.just(ALL_VALUES) | st.integers(0, 99999)


WHOLE = RECORD_NAMES.map(WholeRecord)
REFERENCES = st.one_of(
    WHOLE,
    st.builds(
        FieldValue,
        RECORD_NAMES,
        NAMES,
        st.sampled_from(["any", "field", "custom_field"]),
        INDEXES,
        st.none() | PROPERTIES,
    ),
    st.builds(RecordText, RECORD_NAMES, st.sampled_from(["type", "title", "notes"])),
    st.builds(FileContent, RECORD_NAMES, NAMES),
)

MODES = st.sampled_from([0o400, 0o440, 0o444])
PATHS = st.lists(st.from_regex(r"[a-z][a-z0-9.-]{0,8}", fullmatch=True), min_size=1, max_size=3)
ABSOLUTE = PATHS.map(lambda parts: "/" + "/".join(parts))
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.strip).filter(bool)
CONTENTS = st.one_of(
    st.builds(Formatted, st.sampled_from(list(FORMATS)), st.lists(TEXTS, unique=True, max_size=3).map(tuple)),
    st.builds(Templated, TEXTS),
)
FILES = st.builds(
    FileItem, PATHS.map("/".join), st.lists(REFERENCES, min_size=1, max_size=2).map(tuple), CONTENTS, MODES
)
FOLDERS = st.builds(
    FolderItem,
    WHOLE.map(lambda whole: whole.record),
    MODES,
    st.sampled_from(list(FORMATS)),
    st.booleans(),
    st.just("") | PATHS.map("/".join),
)
DIRECTORIES = st.builds(
    Directory,
    ABSOLUTE,
    ABSOLUTE,
    st.lists(FILES, max_size=3, unique=True).map(tuple),
    st.lists(FOLDERS, max_size=2, unique=True).map(tuple),
)
VARIABLES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,10}", fullmatch=True)
ENVIRONMENTS = st.builds(
    Environment,
    ABSOLUTE,
    st.sampled_from(["exec", "file-ref"]),
    MODES,
    st.lists(st.builds(VariableItem, VARIABLES, REFERENCES), max_size=2, unique=True).map(tuple),
    st.lists(
        st.builds(RecordVariablesItem, WHOLE, st.just("") | VARIABLES, st.lists(TEXTS, max_size=2).map(tuple)),
        max_size=2,
        unique=True,
    ).map(tuple),
)
CREDENTIALS = st.one_of(
    st.builds(FileCredentials, ABSOLUTE),
    st.builds(AwsCredentials, TEXTS, st.just("") | TEXTS),
    st.builds(GcpCredentials, TEXTS),
    st.builds(AzureCredentials, secret=TEXTS, vault=TEXTS),
)
PLANS = st.builds(
    Plan,
    directories=st.lists(DIRECTORIES, max_size=3).map(tuple),
    environments=st.lists(ENVIRONMENTS, max_size=2).map(tuple),
    credentials=CREDENTIALS,
    ca_file=st.none() | ABSOLUTE,
    proxy_file=st.none() | ABSOLUTE,
    state=ABSOLUTE,
    refresh_interval=st.integers(10, 86400).map(float),
    fail_on_error=st.booleans(),
    strict_lookup=st.booleans(),
    on_removal=st.sampled_from(["keep", "remove"]),
    volume_size=st.integers(1, 16).map(lambda size: size * 2**20),
    notify=st.none() | st.builds(Notify, st.just("SIGHUP"), st.none() | TEXTS, st.just("http://127.0.0.1:1/x")),
    metrics_port=st.none() | st.integers(1024, 65535),
)
