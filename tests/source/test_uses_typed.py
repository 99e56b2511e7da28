"""Whether a pointer to const would do for a pointer, and what takes an argument: questions about types alone."""

from __future__ import annotations

import pytest
from torch_stabilize.model import Span
from torch_stabilize.rules.snippets import known_returns
from torch_stabilize.source.document import Document
from torch_stabilize.source.scopes import TypeFinder
from torch_stabilize.source.signatures import read_signatures
from torch_stabilize.source.uses import Access, Held, Uses
from torch_stabilize.surface.effects import known_effects

BEFORE = """
void reads(const float* q);
void writes(float* q);
void looks(float* q) { float s = q[0]; }
void either(const float* q);
void either(float* q, int n);
void address(uintptr_t a);
template <class P> void follows(P q) { float s = q[0]; }
template <class P> void changes(P q) { q[0] = 1; }
template <class T> void of_type(T* q) { float s = q[0]; }
struct In { const float* q; int n; };
struct Out { float* q; };
struct Made { const float* q_; Made(const float* q) : q_(q) {} };
struct Kept { const float* q_; float* w_; void keep(at::Tensor x); void change(at::Tensor x); };
struct Static { static void run(const float* q); void call(float* q); };
#define READS(q) reads(q)
#define FIRST(q) (q)[0]
"""

# What stands around `P`, a call of `data_ptr<float>()`, and whether it may be const.
CASES = {
    "reads(P);": True,
    "reads(P + 4);": True,
    "reads(&P[4]);": True,
    "writes(P);": False,
    "looks(P);": False,  # its parameter is a pointer that may write
    "either(P);": True,
    "either(P, 1);": False,
    "address(reinterpret_cast<uintptr_t>(P));": False,
    "if (reinterpret_cast<uintptr_t>(P) % 16) return;": True,
    "follows(P);": True,
    "changes(P);": False,
    "of_type(P);": False,
    "const float* q = P;": True,
    "float* q = P;": False,
    "auto q = P; float s = q[0];": True,
    "auto* q = P; reads(q);": True,
    "auto q = P; q[0] = 1;": False,
    "auto q = P; float s = *q++;": True,
    "auto q = P; *q++ = 1;": False,
    "auto q = P; q[0] = 1; q = other;": False,
    "auto q = P; q = other; float s = q[0];": False,  # `other` may be no pointer to const
    "auto q = other; q = P;": False,
    "const float* q; q = P;": True,
    "float* q; q = P;": False,
    "auto& r = P[0]; float s = r;": True,
    "auto& r = P[0]; r = 1;": False,
    "float& r = P[0];": False,
    "const float& r = P[0];": True,
    "float s = P[0] + static_cast<float>(P[1]);": True,
    "P[0] = 1;": False,
    "(*P)++;": False,
    "float s = interval(P[0]);": False,
    "ClampAndCheck(P);": False,
    "if (P == nullptr || !P) return;": True,
    "memcpy(other, P, n);": True,
    "memcpy(P, other, n);": False,
    'TORCH_CHECK(P != nullptr, "none");': True,
    "In s{P, 1};": True,
    "In s; s.q = P;": True,
    "Out s{P};": False,
    "Out s; s.q = P;": False,
    "run(In{P, 1});": True,
    "Made s(P);": True,
    "Unknown s{P};": False,
    "Static::run(P);": True,
    "Static s; s.call(P);": False,
    "auto run = [](const float* q) {}; run(P);": True,
    "auto run = [](auto q) { q[0] = 1; }; run(P);": False,
    "auto run = [&](int i) { return P[i]; };": True,
    "auto q = b ? P : nullptr; reads(q);": True,
    "auto q = reinterpret_cast<const int*>(P);": True,
    "auto q = reinterpret_cast<int*>(P);": False,
    "auto q = const_cast<float*>(P);": False,
    "READS(P);": True,
    "float s = FIRST(P);": True,
    "FIRST(P) = 1;": False,
    "std::copy(P, P + 4, other);": True,
    "return P;": False,
    "global = P;": False,
}


@pytest.mark.parametrize("statement", CASES)
def test_a_pointer_to_const_would_do(statement: str) -> None:
    call = "x.data_ptr<float>()"
    code = f"{BEFORE}\nvoid f(at::Tensor x, float* other, bool b, int n) {{ {statement.replace('P', call, 1).replace('P', 'y')} }}\n"
    document = Document("a.cu", code.encode())
    uses = Uses(TypeFinder((document,), known_returns()), known_effects(), typed=True)
    start = code.rindex(call)
    node = document.whole.node_at(Span(start, start + len(call)))
    assert node is not None
    answer = uses.of_expression(node, document.whole, document, Held())
    assert (answer is Access.READ) is CASES[statement]


@pytest.mark.parametrize(
    ("code", "is_const"),
    [
        ("const float* f(at::Tensor x) { return P; }", True),
        ("auto f(at::Tensor x) -> const float* { return P; }", True),
        ("float* f(at::Tensor x) { return P; }", False),
        ("auto f(at::Tensor x) { return P; }", False),
        ("void f(at::Tensor x) { auto g = [&]() -> const float* { return P; }; }", True),
        ("In f(at::Tensor x) { return {P, 1}; }", True),
        ("Out f(at::Tensor x) { return {P}; }", False),
        ("void Kept::keep(at::Tensor x) { q_ = P; }", True),
        ("void Kept::change(at::Tensor x) { w_ = P; }", False),
        ("struct Own { const float* q_; Own(at::Tensor x) : q_(P) {} };", True),
    ],
)
def test_what_is_returned_and_kept(code: str, is_const: bool) -> None:
    call = "x.data_ptr<float>()"
    document = Document("a.cu", f"{BEFORE}\n{code.replace('P', call)}\n".encode())
    uses = Uses(TypeFinder((document,), known_returns()), known_effects(), typed=True)
    start = document.data.rindex(call.encode())
    node = document.whole.node_at(Span(start, start + len(call)))
    assert node is not None
    assert (uses.of_expression(node, document.whole, document, Held()) is Access.READ) is is_const


def test_where_a_parameter_is_used_and_what_takes_it() -> None:
    code = """
#define LAUNCH() run(n)
void run(int m);
void both(int m);
void both(int64_t m);
void f(int n) { run(n); both(n); LAUNCH(); unknown(n); { int n = 1; run(n); } int m = n; s.n = 1; }
"""
    document = Document("a.cu", code.encode())
    uses = Uses(TypeFinder((document,), known_returns()), known_effects())
    function = next(one for one in read_signatures(document) if one.name == "f")
    places = uses.places(document, function, 0)
    assert len(places) == 5
    assert [at.fragment.macro is not None for at in places] == [False] * 4 + [True]
    taken = [uses.parameter_types(at) for at in places if at.node.parent and at.node.parent.type == "argument_list"]
    assert [sorted(types) for types in taken] == [["int"], ["int", "int64_t"], [], ["int"]]


def test_a_question_ends() -> None:
    chain = "\n".join(f"void g{i}(float* q) {{ g{i + 1}(q); g{i + 1}(q + 1); }}" for i in range(40))
    code = f"{chain}\nvoid g40(float* q) {{ g0(q); q[0] = 1; }}\nvoid f(float* p) {{ g0(p); }}\n"
    document = Document("a.cu", code.encode())
    uses = Uses(TypeFinder((document,), known_returns()), known_effects())
    function = next(one for one in read_signatures(document) if one.name == "f")
    for _ in range(2):  # the second time from what is known, which lacks nothing
        assert uses.of_parameter(document, function, 0, Held()) is Access.WRITE
    long = "".join(f"float* q{i + 1} = q{i};" for i in range(3100))
    document = Document("b.cu", f"void f(float* q0) {{ {long} q3100[0] = 1; }}\n".encode())
    uses = Uses(TypeFinder((document,), known_returns()), known_effects())
    assert uses.of_parameter(document, read_signatures(document)[0], 0, Held()) is Access.UNKNOWN
