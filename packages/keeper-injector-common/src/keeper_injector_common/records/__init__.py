"""From records to bytes: find a record, select its values, and render them as files.

:mod:`.record` defines records, :mod:`.library` finds records and :mod:`.selection` values, :mod:`.formats` and :mod:`.templates` write them
as text, and :mod:`.rendering` puts these together for each item of a plan. :mod:`.folder_names` and
:mod:`.directory_files` name the files of folders, so that no record takes the file of another.
"""

from keeper_injector_common.records.directory_files import (
    FolderFile,
    assign_paths,
    describe_clash,
    describe_overridden,
)
from keeper_injector_common.records.library import Library, Resolution
from keeper_injector_common.records.record import (
    Attachment,
    Field,
    Folder,
    JsonValue,
    Record,
    links_to_records,
    named_fields,
)
from keeper_injector_common.records.rendering import Download, Renderer, RenderTemplate
from keeper_injector_common.records.variables import Variable

__all__ = [
    "Attachment",
    "Download",
    "Field",
    "Folder",
    "FolderFile",
    "JsonValue",
    "Library",
    "Record",
    "RenderTemplate",
    "Renderer",
    "Resolution",
    "Variable",
    "assign_paths",
    "describe_clash",
    "describe_overridden",
    "links_to_records",
    "named_fields",
]
