from __future__ import annotations

from collections.abc import Callable

import pytest
from torch_stabilize.repository.includes import IncludeGraph
from torch_stabilize.repository.snapshot import Snapshot

MakeRepository = Callable[..., Snapshot]

FILES = {
    "csrc/a.cu": '#include "b.h"\n  #  include <core/c.h>\n#include <torch/all.h>\n',
    "csrc/b.h": '#pragma once\n#include "../csrc/core/c.h"\n#include "b.h"\n',
    "csrc/core/c.h": '#include "d.h"  // beside\n',
    "csrc/core/d.h": '#include "../b.h"\n',
    "csrc/d.h": "",
    "csrc/other.cu": "#include <d.h>\n",
}


@pytest.fixture
def graph(make_repository: MakeRepository) -> IncludeGraph:
    snapshot = make_repository(FILES)
    return IncludeGraph(snapshot, snapshot.files, ("csrc", ""))


def test_a_quoted_name_is_looked_up_beside_the_file_first(graph: IncludeGraph) -> None:
    assert graph.direct("csrc/core/c.h") == ("csrc/core/d.h",)
    assert graph.direct("csrc/other.cu") == ("csrc/d.h",), "angle brackets look in the roots alone"


def test_the_headers_of_c_are_the_compilers(make_repository: MakeRepository) -> None:
    snapshot = make_repository({"csrc/a.cu": '#include <math.h>\n#include "math.h"\n', "csrc/math.h": ""})
    includes = IncludeGraph(snapshot, snapshot.files, ("csrc",)).includes("csrc/a.cu")
    assert [include.target for include in includes] == [None, "csrc/math.h"]


def test_each_include_says_what_and_where(graph: IncludeGraph) -> None:
    found = graph.includes("csrc/a.cu")
    assert [(i.name, i.quoted, i.target) for i in found] == [
        ("b.h", True, "csrc/b.h"),
        ("core/c.h", False, "csrc/core/c.h"),
        ("torch/all.h", False, None),
    ]
    data = graph.snapshot.read("csrc/a.cu")
    assert [data[i.span.start : i.span.end] for i in found] == [b'"b.h"', b"<core/c.h>", b"<torch/all.h>"]


def test_reaching_and_being_reached_survive_circles(graph: IncludeGraph) -> None:
    assert graph.closure(["csrc/a.cu"]) == ("csrc/a.cu", "csrc/b.h", "csrc/core/c.h", "csrc/core/d.h")
    assert graph.includers("csrc/core/c.h") == ("csrc/a.cu", "csrc/b.h")
    assert graph.reached_from("csrc/core/d.h") == ("csrc/a.cu", "csrc/b.h", "csrc/core/c.h")
    assert graph.reached_from("csrc/d.h") == ("csrc/other.cu",)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('/* #include "x.h"\n#include "x.h"\n*/\n#include "y.h"\n', ["y.h"]),
        ('// #include "x.h"\n#include "y.h"\n', ["y.h"]),
        ('/**/ int a; // see /*\n#include "y.h"\n', ["y.h"]),
        ('/*/\n#include "x.h"\n*/\n', []),
        ('#ifdef A\n#include "x.h"\n#else\n#include "y.h"\n#endif\n', ["x.h", "y.h"]),
        ('#include "x.h"\r\n#include <y.h>\r\n', ["x.h", "y.h"]),
        ('const char* s = "\\n#include \\"x.h\\"";\n', []),
        ('\ufeff#include "x.h"\n', ["x.h"]),
        ("#include MACRO\n#include_next <x.h>\n", []),
    ],
)
def test_what_counts_as_an_include(make_repository: MakeRepository, text: str, names: list[str]) -> None:
    snapshot = make_repository({"a.cu": text})
    assert [i.name for i in IncludeGraph(snapshot, ("a.cu",), ("",)).includes("a.cu")] == names


WRITER = '''import os
HEADER = """#pragma once
#include "wide.h"
#include <torch/all.h>
"""
with open(os.path.join(os.path.dirname(__file__), "chosen.h"), "w") as file:
    file.write(HEADER)
'''
WRITTEN = {
    "CMakeLists.txt": "execute_process(COMMAND ${Python_EXECUTABLE} ${CMAKE_SOURCE_DIR}/csrc/choose.py)\n",
    "csrc/choose.py": WRITER,
    "csrc/wide.h": '#pragma once\n#include "lanes.h"\n',
    "csrc/lanes.h": "#pragma once\n",
    "csrc/a.cpp": '#include "chosen.h"\n',
}


def test_a_header_that_a_script_writes_leads_to_what_it_includes(make_repository: MakeRepository) -> None:
    snapshot = make_repository(WRITTEN)
    graph = IncludeGraph(snapshot, snapshot.below("csrc", (".cpp", ".h")), ("csrc",))
    assert graph.direct("csrc/a.cpp") == ("csrc/wide.h",)
    assert graph.closure(["csrc/a.cpp"]) == ("csrc/a.cpp", "csrc/lanes.h", "csrc/wide.h")
    assert graph.units_reaching("csrc/lanes.h") == {"csrc/a.cpp"}


@pytest.mark.parametrize(
    "changed",
    [
        {"CMakeLists.txt": "project(x)\n"},  # no build runs the script
        {"csrc/chosen.h": "#pragma once\n"},  # the header is here
        {"csrc/choose.py": WRITER.replace("chosen.h", "other.h")},
    ],
)
def test_any_other_header_does_not(make_repository: MakeRepository, changed: dict[str, str]) -> None:
    snapshot = make_repository({**WRITTEN, **changed})
    assert "csrc/wide.h" not in IncludeGraph(snapshot, snapshot.files, ("csrc",)).reached("csrc/a.cpp")
