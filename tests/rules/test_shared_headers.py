"""Headers that legacy and migrated units include: what is written for both, and state that would exist twice."""

from __future__ import annotations

from functools import partial

import pytest
from torch_stabilize.rules.engine import rewrite_document
from torch_stabilize.rules.shared import dual_judge, find_dual_check, switched
from torch_stabilize.rules.shared_state import is_idle, shared_state
from torch_stabilize.source.document import Document
from torch_stabilize.source.edits import apply

from tests.rules.rewriting import context_of

TWICE = {
    "inline int users = 0;": ["users"],
    "inline thread_local int depth = 0;": ["depth"],
    "inline const int* last = nullptr;": ["last"],
    "inline std::vector<int> table;": ["table"],
    "inline auto next = [n = 0]() mutable { return ++n; };": ["next"],
    "struct S { inline static int count = 0; static inline std::mutex lock; };": ["count", "lock"],
    "template <class T> struct S { static T value; };\ntemplate <class T> T S<T>::value{};": ["value"],
    "template <class T> int counter = 0;": ["counter"],
    "inline int next() { static int n = 0; return ++n; }": ["n"],
    "struct S { int next() { static int n = 0; return ++n; } };": ["n"],
    "struct S { static S& get() { static S one; return one; } };": ["one"],
    "template <class T> int next() { static int n = 0; return ++n; }": ["n"],
    "inline int& level() { static int n = 7; return n; }": ["n"],
    "inline int* level() { static int n = 7; return &n; }": ["n"],
    "inline int next() { static int n = 0; change(&n); return n; }": ["n"],
    "inline int next() { static int n = 0; change(n); return n; }": ["n"],
    "inline int next() { static int n = 0; int& r = n; r++; return n; }": ["n"],
    "inline int next(int m) { static int n = 0; std::swap(n, m); return n; }": ["n"],
    "inline int next() { static int n[3] = {1, 2, 3}; return ++n[0]; }": ["n"],
    "inline int next() { static int n[3] = {1, 2, 3}; int* m = n; m[1]++; return n[1]; }": ["n"],
    "inline int next() { static int n[3] = {1, 2, 3}; change(n); return n[1]; }": ["n"],
    "struct V { explicit V(int* p); };\ninline void f() { static int n[3] = {1, 2, 3}; V v(n); }": ["n"],
    "inline const int* all() { static int n[3] = {1, 2, 3}; return n; }": ["n"],
    "inline int next() { static int n[2][2] = {}; return n[0][0]; }": ["n"],
    "inline int next() { auto f = [] { static int n = 0; return ++n; }; return f(); }": ["n"],
    "inline std::string& name() { thread_local std::string s; return s; }": ["s"],
    "inline __host__ __device__ int next() { static int n = 0; return n++; }": ["n"],
}
ONCE = (
    "static int copies = 0;",  # each unit has its own anyway
    "namespace { inline int next() { static int n = 0; return ++n; } }",
    "static int next() { static int n = 0; return ++n; }",
    "template <class T> static int counter = 0;",
    "inline const int size = 3;",
    "inline constexpr int size = 3;",
    "inline const char* const name = nullptr;",
    "inline const std::vector<int> sizes = {1, 2};",
    "template <class T> const int size_of = sizeof(T);",
    "inline auto twice = [](int n) { return 2 * n; };",
    "extern int users;",
    "struct S { static int count; };",
    "template <class T> T make(T);",
    "inline int f(int);",
    "inline int width() { static int n = compute(); return n; }",
    "inline int width(int i) { static int n[3] = {1, 2, 3}; return n[i]; }",
    "struct V { explicit V(const void* p); };\ninline void f() { alignas(64) static int n[3] = {1, 2, 3}; V v(n); }",
    "inline int width() { static int n = compute(); int m = n; m++; return std::max(n, m); }",
    "inline bool fast() { static bool on = true; if (on) return true; return !on; }",
    'inline bool named() { static const char* name = getenv("N"); return name ? true : false; }',
    "inline const std::vector<int>& table() { static const std::vector<int> t = {1}; return t; }",
    "__global__ void k() { static int n; n++; }",
    "__device__ inline void k() { static int n; n++; }",
)


def twice(text: str) -> list[str]:
    """The variables that are told to exist in each library."""
    return [found.message.split(" would ")[0] for found in shared_state(context_of(text, "shared.h"))]


@pytest.mark.parametrize("text", TWICE)
def test_state_that_both_libraries_would_have(text: str) -> None:
    assert twice(text) == TWICE[text]


@pytest.mark.parametrize("text", ONCE)
def test_what_may_be_there_twice(text: str) -> None:
    assert twice(text) == []


def shared(text: str, *others: str) -> str:
    """The header as both builds can include it, checks going through OWN_CHECK; `others` are headers that see it."""
    context = context_of(text, "shared.h", others=others)
    around = partial(switched, context.document, partial(is_idle, context))
    found = rewrite_document(context, judge=dual_judge(context.document, "OWN_CHECK"), around=around)
    return apply(context.document.data, found.edits).decode()


def both(stable: str, legacy: str) -> str:
    """The two sides behind one condition."""
    return f"#ifdef TORCH_TARGET_VERSION\n{stable}\n#else\n{legacy}\n#endif\n"


def test_checks_go_through_one_macro() -> None:
    text = 'inline void f(int n) { TORCH_CHECK(n > 0, "n ", n); }\n'
    assert shared(text) == text.replace("TORCH_CHECK", "OWN_CHECK")


def test_what_is_one_type_in_both_builds_is_named_once() -> None:
    assert shared("inline at::ScalarType f(c10::Half x) { return at::kHalf; }\n") == (
        "inline torch::headeronly::ScalarType f(c10::Half x) { return torch::headeronly::ScalarType::Half; }\n"
    )
    assert shared("using number = c10::optional<int>;\n") == "using number = std::optional<int>;\n"


@pytest.mark.parametrize(
    ("legacy", "stable"),
    [
        ("void f(const at::Tensor& x);", "void f(const torch::stable::Tensor& x);"),
        (
            "struct Row { at::Tensor w; int n; };",
            "struct Row { torch::stable::Tensor w; int n; };",
        ),
        (
            "template <typename T>\nT* of(at::Tensor x) {\n  return x.data_ptr<T>();\n}",
            "template <typename T>\nT* of(torch::stable::Tensor x) {\n  return x.mutable_data_ptr<T>();\n}",
        ),
        ("#define LIKE(x) at::empty_like(x)", "#define LIKE(x) torch::stable::empty_like(x)"),
    ],
)
def test_what_one_build_has_is_written_twice(legacy: str, stable: str) -> None:
    assert shared(legacy + "\n") == both(stable, legacy)
    assert shared(legacy) == both(stable, legacy), "a last line without its end"


def test_a_using_directive_stays_with_the_legacy_side() -> None:
    before = "using namespace at;\nbool f(const Tensor& x);\n"
    assert shared(before) == both("bool f(const torch::stable::Tensor& x);", before.rstrip())


def test_what_cannot_migrate_and_is_idle_stays_legacy_alone() -> None:
    text = "void load(torch::nn::Module& module);"
    assert shared(text) == f"#ifndef TORCH_TARGET_VERSION\n{text}\n#endif\n"


def test_what_cannot_migrate_and_is_called_is_left() -> None:
    text = "void load(torch::nn::Module& module);\n"
    assert shared(text, "inline void twice(Own& one) { load(one); load(one); }") == text


BOTH_CHECKS = (
    "#ifdef TORCH_TARGET_VERSION\n#include <torch/headeronly/util/Exception.h>\n"
    "#define HOUSE_CHECK(...) STD_TORCH_CHECK(__VA_ARGS__)\n#else\n#include <c10/util/Exception.h>\n"
    "#define HOUSE_CHECK(...) TORCH_CHECK(__VA_ARGS__)\n#endif\n"
)


def test_a_check_that_the_repository_has_for_both_is_found() -> None:
    plain = Document("plain.h", b"#define TWICE(x) (2 * (x))\n")
    assert find_dual_check((plain, Document("checks.h", BOTH_CHECKS.encode()))) == ("HOUSE_CHECK", "checks.h")


@pytest.mark.parametrize(
    "text",
    [
        BOTH_CHECKS.replace("STD_TORCH_CHECK", "TORCH_CHECK"),  # the same on both sides
        "#include <cutlass/cutlass.h>\n" + BOTH_CHECKS,  # would bring more along than a check needs
        BOTH_CHECKS.replace("TORCH_TARGET_VERSION", "OWN_BUILD").replace("#ifdef", "// TORCH_TARGET\n#ifdef"),
    ],
)
def test_other_macros_are_no_check_for_both(text: str) -> None:
    assert find_dual_check((Document("checks.h", text.encode()),)) is None
