"""The inventory of operators, and what a migration may change in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch_stabilize.bindings.codes import CODES
from torch_stabilize.bindings.inventory import OpEntry, compare_inventories, inventory
from torch_stabilize.bindings.reading.model import Side
from torch_stabilize.bindings.schemas.fakes import fake_stub
from torch_stabilize.surface.schema import parse_schema

from tests.bindings.trees import BINDINGS, LAYOUT, STABLE_BINDINGS, migrate, tree

FILES = {
    BINDINGS: """
        TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, m) {
          m.def("f(Tensor! out,  Tensor x) ->()");
          m.impl("f", torch::kCUDA, &ns::f);
          m.impl("f", torch::kCPU, &f_cpu);
          m.def("g.out(Tensor x) -> Tensor", &g);
          m.def("h", [](int64_t n) { return k(n); });
        }
    """,
    STABLE_BINDINGS: """
        STABLE_TORCH_LIBRARY_FRAGMENT(_C, m) {
          m.def("s(int n) -> int");
        }
        STABLE_TORCH_LIBRARY_IMPL(_C, CompositeExplicitAutograd, m) {
          m.impl("s", TORCH_BOX(&s));
        }
    """,
}


def test_one_entry_for_each_operator() -> None:
    f, g, h, s = inventory(tree(FILES), LAYOUT)
    assert (f.full_name, f.schema, f.keys, f.functions) == (
        "_C::f", "f(Tensor! out, Tensor x) -> ()", ("CPU", "CUDA"), ("f_cpu", "ns::f"),
    )  # fmt: skip
    assert (g.full_name, g.keys, g.functions) == ("_C::g.out", ("",), ("g",))
    assert (h.full_name, h.schema) == ("_C::h", "")
    assert (s.side, s.keys, s.file) == (Side.STABLE, ("CompositeExplicitAutograd",), STABLE_BINDINGS)


ENTRY = OpEntry("_C", "f", "", "f(Tensor x, (int, int)? k=None) -> ()", ("", "CUDA"), ("f", "f"), BINDINGS, Side.LEGACY)


def test_what_a_migration_may_change() -> None:
    moved = replace(
        ENTRY,
        side=Side.STABLE,
        written="f(Tensor x, int[]? k=None) -> ()",
        keys=("CUDA", "CompositeExplicitAutograd"),
        functions=("f", "f_boxed"),
        file=STABLE_BINDINGS,
    )
    assert compare_inventories([ENTRY], [moved]) == ()
    left = replace(ENTRY, written="", keys=("CUDA",), functions=("f",), definitions=0)
    rest = replace(moved, keys=("CompositeExplicitAutograd",), functions=("f_boxed",))
    assert compare_inventories([ENTRY], [left, rest]) == ()


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ([], "would no longer be registered"),
        ([replace(ENTRY, name="g")], "would no longer be registered"),
        ([replace(ENTRY, namespace="_D")], "would no longer be registered"),
        ([replace(ENTRY, written="f(Tensor x) -> ()")], "the schema of _C::f would change"),
        ([replace(ENTRY, keys=("CUDA",), functions=("f",))], "the dispatch keys of _C::f would change"),
        ([ENTRY, replace(ENTRY, side=Side.STABLE, keys=(), functions=())], "would be defined 2 times instead of 1"),
    ],
)
def test_what_it_may_not(after: list[OpEntry], words: str) -> None:
    found = compare_inventories([ENTRY], after)
    assert {diagnostic.code for diagnostic in found} == {"TSA520"}
    assert words in found[0].message


def test_a_schema_that_was_inferred_may_be_written_out() -> None:
    before = replace(ENTRY, written="")
    assert compare_inventories([before], [ENTRY]) == ()
    assert compare_inventories([ENTRY], [before]) != ()


def test_fake_stubs_are_python() -> None:
    schema = parse_schema("f.out(Tensor x, int n=3, *, ScalarType? dtype=None, Tensor[] from) -> (Tensor, Tensor)")
    stub = fake_stub("my", schema)
    compile(stub, "stub", "exec")
    assert stub == (
        '@torch.library.register_fake("my::f.out")\n'
        "def _(\n"
        "    x: torch.Tensor,\n"
        "    n: int = 3,\n"
        "    *,\n"
        "    dtype: torch.dtype | None = None,\n"
        "    from_: list[torch.Tensor],\n"
        ") -> tuple[torch.Tensor, torch.Tensor]:\n"
        "    # The shape and dtype of the result are those of the first tensor: adjust them.\n"
        "    return torch.empty_like(x), torch.empty_like(x)\n"
    )
    assert "return None" in fake_stub("my", parse_schema("f(Tensor! x) -> ()"))


def test_a_meta_kernel_comes_with_its_stub() -> None:
    files = {
        "csrc/f.cpp": "at::Tensor f(const at::Tensor& x) { return g(x); }\nat::Tensor f_meta(const at::Tensor& x) { return at::empty_like(x); }\n",
        BINDINGS: """
            TORCH_LIBRARY(my, m) {
              m.def("f(Tensor x) -> Tensor");
              m.impl("f", torch::kCPU, &f);
              m.impl("f", torch::kMeta, &f_meta);
            }
        """,
    }  # fmt: skip
    made = migrate(files, ["csrc/f.cpp"])
    (found,) = [d for d in made.diagnostics if d.code == "TSA516"]
    assert '@torch.library.register_fake("my::f")' in found.help
    assert "return torch.empty_like(x)" in found.help
    assert made.lost == ()


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("return at::empty_like(b);", ["return torch.empty_like(y)"]),
        ("return /* as the second */ at::empty_like( b );", ["return torch.empty_like(y)"]),
        ("return at::empty_like(a, at::kInt);", ["return torch.empty_like(x, dtype=torch.int32)"]),
        ("// return at::empty_like(b);\n  return at::empty({a.size(1)}, b.options());",
         ["return torch.empty((x.size(1),), dtype=y.dtype, device=y.device)"]),
        # several results, and one that the body does not tell: the stub says what it takes instead
        ("if (a.dim() > 1) return at::empty_like(b); return at::empty_like(a);",
         ["# The shape and dtype of the result are those of the first tensor: adjust them.", "return torch.empty_like(x)"]),
        ("auto empty_like = [](const at::Tensor& t) { return t[0]; }; return empty_like(b);",
         ["# The shape and dtype of the result are those of the first tensor: adjust them.", "return torch.empty_like(x)"]),
        ("return own::empty_like(b);",
         ["# The shape and dtype of the result are those of the first tensor: adjust them.", "return torch.empty_like(x)"]),
    ],
)  # fmt: skip
def test_the_stub_has_the_results_of_the_meta_kernel(body: str, lines: list[str]) -> None:
    files = {
        "csrc/f.cpp": f"""\
            at::Tensor f(const at::Tensor& x, const at::Tensor& y) {{ return g(x, y); }}
            at::Tensor f_meta(const at::Tensor& a, const at::Tensor& b) {{
              {body}
            }}
            """,
        BINDINGS: """
            TORCH_LIBRARY(my, m) {
              m.def("f(Tensor x, Tensor y) -> Tensor");
              m.impl("f", torch::kCPU, &f);
              m.impl("f", torch::kMeta, &f_meta);
            }
        """,
    }
    (found,) = [d for d in migrate(files, ["csrc/f.cpp"]).diagnostics if d.code == "TSA516"]
    assert [line.strip() for line in found.help.rstrip().split("\n")[2:]] == lines


def test_codes_are_told_apart() -> None:
    names = [code.code for code in CODES]
    assert len(names) == len(set(names))
    assert all(name.startswith("TSA5") for name in names)
    assert all(code.title.endswith(".") and code.text for code in CODES)
