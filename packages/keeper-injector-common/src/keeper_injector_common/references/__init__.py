r"""References: the names of secrets, as text and as values. A secret is a record, one field, its notes or an attached file.

The grammar, for characters without escape. A ``\`` before one of ``/ [ ] : , \`` or before a blank makes that character part
of a name. Blanks at the ends of a reference are otherwise removed. A ``\`` before a whole name such as ``notes`` or ``field``
makes it a name and not a selector: ``Production/\notes`` ::

    reference = [ "keeper://" ] names [ selector ]
    names     = name *( "/" name )                      title or UID; with "/", folders and then the title
    selector  = 1*( "[" [ name ] "]" )                  db[password]  db[hosts][1]  db[address][city]
              | "/" ( "type" | "title" | "notes" )      Keeper notation
              | "/" ( "field" | "custom_field" ) "/" name [ "[" [ index ] "]" ] [ "[" property "]" ]
              | "/" "file" "/" name

The notation is Keeper's own (Keeper Secrets Manager documentation, "Keeper Notation"); its prefix may be left out, and it may
be written in base64url.
"""

from keeper_injector_common.references.grammar import parse_file, parse_folder, parse_reference
from keeper_injector_common.references.targets import relative_path, split_target
from keeper_injector_common.references.values import (
    ALL_VALUES,
    AllValues,
    FieldValue,
    FileContent,
    Index,
    Kind,
    RecordName,
    RecordText,
    Reference,
    WholeRecord,
    is_uid,
)

__all__ = [
    "ALL_VALUES",
    "AllValues",
    "FieldValue",
    "FileContent",
    "Index",
    "Kind",
    "RecordName",
    "RecordText",
    "Reference",
    "WholeRecord",
    "is_uid",
    "parse_file",
    "parse_folder",
    "parse_reference",
    "relative_path",
    "split_target",
]
