"""Every place that a tensor can come from against every use of one, as functions that run.

The code is that of the tests of the rules (tests/rules/tensor_sources.py), with definitions where it has declarations, and
with values where it has undefined tensors. What a use gives is kept by `seen_NAME`, and returned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.rules.tensor_sources import SOURCES, USES, Source, Use, program
from tests.twins.program import BLOCK, Function, Node

_ONES = "at::ones({2, 2}, at::kFloat)"
# What defines a thing, or gives it a value, by how it is declared in the sources.
_DEFINED = {
    "at::Tensor own(at::Tensor x);": "static at::Tensor own(at::Tensor x) { return x; }",
    "static at::Tensor own(int n);": "static at::Tensor own(int n) { return at::ones({n}); }",
    "std::vector<at::Tensor> own(at::Tensor x);": "static std::vector<at::Tensor> own(at::Tensor x) { return {x, x}; }",
    "std::pair<at::Tensor, int> own(at::Tensor x);": "static std::pair<at::Tensor, int> own(at::Tensor x) { return {x, 1}; }",
    "template <class T> T own(at::Tensor x);": "template <class T> T own(at::Tensor x) { return x; }",
    "bool less(const at::Tensor& a, const at::Tensor& b);": "static bool less(const at::Tensor& a, const at::Tensor& b) { return false; }",
    "Holder make();": "static Holder make() { return Holder(); }",
    "template <class T> T* own(T t);": "template <class T> T* own(T t) { return new T(t); }",
    "at::Tensor* own(at::Tensor t);": "static at::Tensor* own(at::Tensor t) { return new at::Tensor(t); }",
    "{ at::Tensor w; };": "{ at::Tensor w = ONES; };",
    "  at::Tensor w;\n": "  at::Tensor w = ONES;\n",
    "struct Holder { at::Tensor w; std::vector<at::Tensor> all; std::map<int, at::Tensor> by; at::Tensor* p; };": (
        "struct Holder {\n  at::Tensor w = ONES;\n  std::vector<at::Tensor> all = {ONES};\n"
        "  std::map<int, at::Tensor> by = {{0, ONES}};\n  at::Tensor* p = new at::Tensor(ONES);\n};"
    ),
    "struct Base { at::Tensor w;": "struct Base { at::Tensor w = ONES;",
    "struct K { at::Tensor w;": "struct K { at::Tensor w = ONES;",
    "struct Done : Crtp<Done> { at::Tensor w;": "struct Done : Crtp<Done> { at::Tensor w = ONES;",
    "T value;": "T value = ONES;",
    "std::vector<T> all;": "std::vector<T> all = {ONES};",
    "at::Tensor g_kept;": "at::Tensor g_kept = ONES;",
    "struct K { static at::Tensor kept; };": "struct K { static inline at::Tensor kept = ONES; };",
    "extern at::Tensor g_kept = ONES;": "extern at::Tensor g_kept;\nat::Tensor g_kept = ONES;",
    "thread_local at::Tensor s;": "thread_local at::Tensor s = ONES;",
    "at::Tensor l[2];": "at::Tensor l[2] = {x, x};",
    "struct S { at::Tensor w; };": "struct S { at::Tensor w = ONES; };",
    "struct { at::Tensor w; } s;": "struct { at::Tensor w = ONES; } s;",
    "std::vector<at::Tensor> l;": "std::vector<at::Tensor> l = {x};",
}  # fmt: skip
# What a parameter is called with.
_GIVEN = {
    "at::Tensor x": "x", "at::Tensor* p": "two", "at::Tensor** p": "&one", "std::unique_ptr<at::Tensor>& p": "unique",
    "std::shared_ptr<at::Tensor> p": "std::make_shared<at::Tensor>(x)", "D d": "D{x, 1}", "int n": "1", "std::any a": "std::any(x)",
    "std::vector<at::Tensor> l": "{x, x}", "std::array<at::Tensor, 2> l": "{x, x}", "at::TensorList l": "list",
    "std::initializer_list<at::Tensor> l": "{x, x}", "at::ArrayRef<at::Tensor> l": "list", "std::deque<at::Tensor> l": "{x, x}",
    "std::list<at::Tensor> l": "{x, x}", "std::map<int, at::Tensor> m": "{{1, x}}", "std::unordered_map<int, at::Tensor> m": "{{1, x}}",
    "std::map<int, std::vector<at::Tensor>> m": "{{1, {x, x}}}", "std::vector<std::vector<at::Tensor>> l": "{{x, x}}",
    "std::vector<std::pair<at::Tensor, int>> l": "{{x, 1}}", "std::vector<std::optional<at::Tensor>> l": "{x}",
    "std::stack<at::Tensor> l": "std::stack<at::Tensor>({x})", "std::optional<at::Tensor> o": "x", "const std::optional<at::Tensor>& o": "x",
    "c10::optional<at::Tensor> o": "x", "std::optional<at::Tensor> q": "x", "c10::List<at::Tensor> l": "c10::List<at::Tensor>({x, x})",
    "const T& t": "x", "const std::vector<T>& t": "list", "const Ts&... ts": "x", "Holder* h": "new Holder",
    "std::shared_ptr<Holder> h": "std::make_shared<Holder>()", "std::vector<Holder> hs": "std::vector<Holder>(1)",
}  # fmt: skip
_SEEN = """\
namespace sp_NAME {
static at::Tensor* kept = nullptr;
static void seen(const at::Tensor& t) { *kept = t; }
static void seen(const std::tuple<at::Tensor, at::Tensor>& t) { *kept = std::get<0>(t); }
static void seen(double v) { *kept = at::full({1}, v, at::kDouble); }
static void seen(bool v) { *kept = at::full({1}, v ? 1 : 0, at::kInt); }
static void seen(const float* v) { *kept = at::full({1}, *v, at::kFloat); }
"""
_CALL = """\
  std::vector<at::Tensor> list = {x, x};
  at::Tensor two[] = {x, x};
  at::Tensor* one = &x;
  auto unique = std::make_unique<at::Tensor>(x);
  at::Tensor got = x;
  sp_NAME::kept = &got;
  CALL
  return got;"""


def _function(name: str, source: Source, use: Use) -> Function:
    statement = use.statement
    if ".data_ptr<" in statement:  # the tensor may be gone behind the statement
        statement = f"seen({statement.removeprefix('auto r_ = ').rstrip(';')});"
    elif statement.startswith("auto r_ = "):
        statement += " r_.fill_(1); seen(r_);" if "at::empty(" in statement else " seen(r_);"
    text = program(source._replace(after=""), use._replace(statement=statement))
    for declared, defined in _DEFINED.items():
        text = text.replace(declared, defined.replace("ONES", _ONES))
    given = "named" if source.after.count("<at::Tensor>(1)") else _GIVEN[source.parameters]
    call = "sp_NAME::f<at::Tensor>(1);" if given == "named" else f"sp_NAME::f({given.replace('D{', 'sp_NAME::D{')});"
    call = call.replace("Holder", "sp_NAME::Holder")
    undone = "".join(
        f"\n#undef {line.split()[1].partition('(')[0]}" for line in text.splitlines() if line.startswith("#define")
    )
    body = Node("statement", _CALL.replace("CALL", call))
    return Function(name, "at::Tensor", Node(BLOCK, "", (body,)), (f"{_SEEN}{text}}}{undone}",))


def sources_and_uses(stem: str) -> Sequence[Function]:
    """A function for each source with each use. Left out is what a legacy program cannot be given a value for."""
    return list(_all(stem))


def _all(stem: str) -> Iterator[Function]:
    for number, source in enumerate(SOURCES.values()):
        if source.parameters in _GIVEN and "any()" not in source.statements and "::own(x)" not in source.expression[:8]:
            for place, use in enumerate(USES.values()):
                if not use.statement.startswith(("std::cout", "TORCH_CHECK(false")):
                    yield _function(f"{stem}{number}_{place}", source, use)
