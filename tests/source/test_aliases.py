"""The names that files give to types."""

from __future__ import annotations

from torch_stabilize.source.aliases import read_aliases
from torch_stabilize.source.document import Document
from torch_stabilize.source.types import TENSOR, CppType, parse_type
from torch_stabilize.source.written_types import WrittenTypes

CODE = b"""
using fptr_t = int64_t;
typedef unsigned char* Bytes;
typedef at::Tensor T;
using Maybe = std::optional<T>;
typedef void (*Callback)(int);  // beyond what is read
using List = std::vector<
    Maybe>;
"""


def test_both_ways_of_writing_an_alias_are_read() -> None:
    document = Document("names.h", CODE)
    aliases = read_aliases(document)
    assert {alias.name: alias.type_text for alias in aliases} == {
        "fptr_t": "int64_t",
        "Bytes": "unsigned char*",
        "T": "at::Tensor",
        "Maybe": "std::optional<T>",
        "List": "std::vector< Maybe>",
    }
    assert document.text(aliases[0].span) == b"using fptr_t = int64_t;"


def test_an_alias_of_an_alias_leads_to_the_tensor() -> None:
    types = WrittenTypes([Document("names.h", CODE)])
    assert types.resolved(parse_type("List")) == CppType("vector", (CppType("optional", (TENSOR,)),))
    assert types.resolved(parse_type("fptr_t")) == CppType("fptr_t"), "of no interest to the rules"
