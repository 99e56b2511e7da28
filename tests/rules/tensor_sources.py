"""Every place that a tensor can come from, and what can be done with it there: the two are multiplied by the tests.

A source is what stands at namespace scope, the parameters of the function, its first statements, and an expression that
is a tensor. In a use `{}` stands for that expression; `done` tells that the use was rewritten, by what replaced it.
"""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """Code around an expression of type at::Tensor."""

    expression: str
    statements: str = ""
    parameters: str = "at::Tensor x"
    before: str = ""
    after: str = ""
    gone: str = "->clone()"  # what must not be left of the source itself


class Use(NamedTuple):
    """A statement on a tensor; `gone` is what must not be left of it where nothing is reported."""

    statement: str
    gone: str
    writes: bool = False  # takes an lvalue


_HOLDER = "struct Holder { at::Tensor w; std::vector<at::Tensor> all; std::map<int, at::Tensor> by; at::Tensor* p; };\n"
_OWN = (
    "struct Own {\n  at::Tensor w;\n  const at::Tensor& get() const { return w; }\n  auto bare() const { return w; }\n"
    "  static at::Tensor make(at::Tensor x) { return x; }\n  at::Tensor operator()(int) const { return w; }\n"
    "  at::Tensor& operator[](int) { return w; }\n  at::Tensor& operator*() { return w; }\n"
    "  at::Tensor* operator->() { return &w; }\n  operator at::Tensor() const { return w; }\n"
    "  at::Tensor operator+(int) const { return w; }\n"
    "  std::vector<at::Tensor> many() const { return {w}; }\n  std::pair<at::Tensor, int> both() const { return {w, 1}; }\n};\n"
)
_DERIVED = "struct Base { at::Tensor w; at::Tensor get() { return w; } };\nstruct Derived : public Base { int n; };\n"
_CHAIN = (
    "template <class T> struct First { T value; std::vector<T> all; };\n"
    "template <class T> struct Second : First<T> { int n; };\nstruct Last final : public Second<at::Tensor> {};\n"
)
_INSIDE = "template <class T> struct In { T value; T& get() { return value; } void run() { BODY } };\nvoid made() { In<at::Tensor> i; i.run(); }\n"
_OUTER = (
    "template <class T> struct In { T value; };\ntemplate <class T> struct Out : In<T> { void run() { USE } };\n"
    "void made() { Out<at::Tensor> i; i.run(); }\n"
)
_OUTSIDE = (
    "template <class T> struct In { T value; void run(); };\ntemplate <class T> void In<T>::run() { USE }\n"
    "void made() { In<at::Tensor> i; i.run(); }\n"
)
_TEMPLATE = "template <typename T> struct Box { T value; std::vector<T> all; T get() { return value; } };\n"

SOURCES: dict[str, Source] = {
    # names
    "a parameter": Source("x"),
    "a reference": Source("r", "at::Tensor& r = x;"),
    "a const reference": Source("r", "const at::Tensor& r = x;"),
    "auto": Source("a", "auto a = x;"),
    "auto reference": Source("a", "auto& a = x;"),
    "forwarding reference": Source("a", "auto&& a = x.exp();"),
    "decltype(auto)": Source("d", "decltype(auto) d = x.exp();"),
    "decltype of a name": Source("d", "decltype(x) d = x;"),
    "braces": Source("b", "at::Tensor b{x};"),
    "auto in braces": Source("b", "auto b{x};"),
    "parentheses": Source("b", "at::Tensor b(x);"),
    "auto of a temporary": Source("b", "auto b = at::Tensor(x);"),
    "static": Source("s", "static at::Tensor s = x;"),
    "static auto": Source("s", "static auto s = x.exp();"),
    "thread_local": Source("s", "thread_local at::Tensor s;"),
    "const auto": Source("s", "const auto s = x.exp();"),
    "several declared together": Source("b", "at::Tensor a = x, b = x.exp();"),
    "a global": Source("g_kept", before="static at::Tensor g_kept;\n"),
    "an inline global": Source("ns::g_kept", before="namespace ns { inline at::Tensor g_kept; }\n"),
    "an extern": Source("g_kept", before="extern at::Tensor g_kept;\n"),
    "an initialiser of if": Source("y", "if (auto y = x.exp(); true) { USE }"),
    "an initialiser of switch": Source("y", "switch (auto y = x.exp(); 1) {{ default: USE }}"),
    "a loop's own": Source("y", "for (auto y = x; true;) { USE break; }"),
    "a variable of another function's name": Source("exp", "auto exp = x.clone();"),
    # aliases
    "using": Source("a", "T a = x;", before="using T = at::Tensor;\n"),
    "typedef": Source("a", "T a = x;", before="typedef at::Tensor T;\n"),
    "a define": Source("a", "T a = x;", before="#define T at::Tensor\n"),
    "a local using": Source("a", "using T = at::Tensor; T a = x;"),
    "an alias of an alias": Source("a", "U a = x;", before="using T = at::Tensor;\nusing U = T;\n"),
    "an alias of a list": Source("l[0]", "Ts l = {x};", before="using Ts = std::vector<at::Tensor>;\n"),
    "an alias of a pair": Source("p.first", "P p{x, 1};", before="using P = std::pair<at::Tensor, int>;\n"),
    "an alias in a class": Source("a", "K::T a = x;", before="struct K { using T = at::Tensor; };\n"),
    "an alias template": Source("l[0]", "V<at::Tensor> l = {x};", before="template <class T> using V = std::vector<T>;\n"),
    "Variable": Source("a", "torch::autograd::Variable a = x;"),
    "a using declaration": Source("a", "Tensor a = x;", before="using at::Tensor;\n"),
    "a namespace alias": Source("a", "A::Tensor a = x;", before="namespace A = at;\n"),
    # pairs and tuples
    "pair.first": Source("p.first", "std::pair<at::Tensor, int> p{x, 1};"),
    "pair.second": Source("p.second", "std::pair<int, at::Tensor> p{1, x};"),
    "make_pair.first": Source("p.first", "auto p = std::make_pair(x, 1);"),
    "get of a tuple": Source("std::get<0>(t)", "std::tuple<at::Tensor, int> t{x, 1};"),
    "get by type": Source("std::get<at::Tensor>(t)", "std::tuple<at::Tensor, int> t{x, 1};"),
    "a structured binding": Source("a", "auto [a, b] = std::make_pair(x, 1);"),
    "a structured binding of an own class": Source("w", "auto& [w, n] = d;", "D d", "struct D { at::Tensor w; int n; };\n"),
    "a structured binding of a method": Source("v", "auto [v, i] = x.max(0);"),
    "the first of a result": Source("std::get<0>(x.max(0))"),
    "tie": Source("v", "at::Tensor v, i; std::tie(v, i) = x.max(0);"),
    # containers
    "an element": Source("l[0]", parameters="std::vector<at::Tensor> l"),
    "at()": Source("l.at(0)", parameters="std::vector<at::Tensor> l"),
    "front()": Source("l.front()", parameters="std::vector<at::Tensor> l"),
    "back()": Source("l.back()", parameters="std::vector<at::Tensor> l"),
    "*begin()": Source("(*l.begin())", parameters="std::vector<at::Tensor> l"),
    "*rbegin()": Source("(*l.rbegin())", parameters="std::vector<at::Tensor> l"),
    "*std::begin()": Source("(*std::begin(l))", parameters="std::vector<at::Tensor> l"),
    "data()[0]": Source("l.data()[0]", parameters="std::vector<at::Tensor> l"),
    "a range": Source("t", "for (auto& t : l) { USE }", "std::vector<at::Tensor> l"),
    "a range of a temporary": Source("t", "for (const auto& t : x.unbind(0)) { USE }"),
    "a range of a written list": Source("t", "for (const auto& t : {x, x}) { USE }"),
    "an iterator": Source("(*it)", "for (auto it = l.begin(); it != l.end(); ++it) { USE }", "std::vector<at::Tensor> l"),
    "an iterator's arrow": Source("it->clone()", "auto it = l.begin();", "std::vector<at::Tensor> l"),
    "an element of an array": Source("l[0]", parameters="std::array<at::Tensor, 2> l"),
    "an element of a C array": Source("l[0]", "at::Tensor l[2] = {x, x};"),
    "a range over a C array": Source("t", "at::Tensor l[2]; for (auto& t : l) { USE }"),
    "an initializer_list": Source("(*l.begin())", parameters="std::initializer_list<at::Tensor> l"),
    "TensorList": Source("l[0]", parameters="at::TensorList l"),
    "TensorList in a range": Source("t", "for (const auto& t : l) { USE }", "at::TensorList l"),
    "ArrayRef": Source("l[0]", parameters="at::ArrayRef<at::Tensor> l"),
    "ITensorListRef": Source("l.front()", parameters="const at::ITensorListRef& l"),
    "List.get": Source("l.get(0)", parameters="c10::List<at::Tensor> l"),
    "List in a range": Source("t", "for (const at::Tensor& t : l) { USE }", "c10::List<at::Tensor> l"),
    "SmallVector": Source("l[0]", "c10::SmallVector<at::Tensor, 4> l = {x};"),
    "a deque": Source("l.front()", parameters="std::deque<at::Tensor> l"),
    "a list": Source("l.back()", parameters="std::list<at::Tensor> l"),
    "a map's element": Source("m[1]", parameters="std::map<int, at::Tensor> m"),
    "a map's at": Source("m.at(1)", parameters="std::unordered_map<int, at::Tensor> m"),
    "a map's begin": Source("m.begin()->second", parameters="std::map<int, at::Tensor> m"),
    "a map's find": Source("it->second", "auto it = m.find(1);", "std::map<int, at::Tensor> m"),
    "a map's range": Source("e.second", "for (auto& e : m) { USE }", "std::map<int, at::Tensor> m"),
    "a map's range taken apart": Source("v", "for (auto& [k, v] : m) { USE }", "std::map<int, at::Tensor> m"),
    "a map of lists": Source("m[1][0]", parameters="std::map<int, std::vector<at::Tensor>> m"),
    "a list of lists": Source("l[0][1]", parameters="std::vector<std::vector<at::Tensor>> l"),
    "a list of pairs": Source("l[0].first", parameters="std::vector<std::pair<at::Tensor, int>> l"),
    "a list of optionals": Source("(*l[0])", parameters="std::vector<std::optional<at::Tensor>> l"),
    "emplace_back": Source("l.emplace_back(x)", "std::vector<at::Tensor> l;"),
    "a stack": Source("l.top()", parameters="std::stack<at::Tensor> l"),
    # optionals and pointers
    "an optional": Source("(*o)", parameters="std::optional<at::Tensor> o"),
    "value()": Source("o.value()", parameters="const std::optional<at::Tensor>& o"),
    "value_or()": Source("o.value_or(at::Tensor())", parameters="std::optional<at::Tensor> o"),
    "c10::optional": Source("o.value()", parameters="c10::optional<at::Tensor> o"),
    "OptionalTensorRef": Source("(*o)", parameters="at::OptionalTensorRef o"),
    "a value of if": Source("(*o)", "if (auto o = q) { USE }", "std::optional<at::Tensor> q"),
    "a pointer": Source("(*p)", parameters="at::Tensor* p"),
    "an address": Source("(*p)", "auto* p = &x;"),
    "an element of a pointer": Source("p[1]", parameters="at::Tensor* p"),
    "a pointer's pointer": Source("(**p)", parameters="at::Tensor** p"),
    "unique_ptr": Source("(*p)", parameters="std::unique_ptr<at::Tensor>& p"),
    "shared_ptr": Source("(*p)", parameters="std::shared_ptr<at::Tensor> p"),
    "make_shared": Source("(*p)", "auto p = std::make_shared<at::Tensor>(x);"),
    "make_unique": Source("(*p)", "auto p = std::make_unique<at::Tensor>(x);"),
    "get() of a pointer": Source("(*p.get())", parameters="std::shared_ptr<at::Tensor> p"),
    "reference_wrapper": Source("w.get()", "std::reference_wrapper<at::Tensor> w = x;"),
    "std::ref": Source("w.get()", "auto w = std::ref(x);"),
    "a variant": Source("std::get<at::Tensor>(v)", "std::variant<at::Tensor, int> v = x;"),
    # calls
    "a factory": Source("at::zeros({2})"),
    "torch's factory": Source("torch::ones({2})"),
    "a method": Source("x.exp()"),
    "a chain": Source("x.exp().view({-1})"),
    "a function of torch": Source("at::exp(x)"),
    "a constructor": Source("at::Tensor(x)"),
    "a braced constructor": Source("at::Tensor{x}"),
    "an own function": Source("own(x)", before="static at::Tensor own(at::Tensor x) { return x; }\n"),
    "an own function by reference": Source("own(x)", before="static at::Tensor& own(at::Tensor& x) { return x; }\n"),
    "an own auto function": Source("own(x)", before="static auto own(const at::Tensor& x) { return x.exp(); }\n"),
    "an own arrow function": Source("own(x)", before="static auto own(at::Tensor x) -> at::Tensor { return x; }\n"),
    "an own function of a namespace": Source("ns::own(x)", before="namespace ns { at::Tensor own(at::Tensor x); }\n"),
    "an own function by ::": Source("::own(x)", before="static at::Tensor own(at::Tensor x) { return x; }\n"),
    "overloads that agree": Source(
        "own(x)", before="static at::Tensor own(at::Tensor x) { return x; }\nstatic at::Tensor own(int n);\n"
    ),
    "overloads that differ": Source(
        "own(x)", before="static at::Tensor own(at::Tensor x) { return x; }\nstatic int own(int n) { return n; }\n"
    ),
    "a list from an own function": Source("own(x)[0]", before="std::vector<at::Tensor> own(at::Tensor x);\n"),
    "a pair from an own function": Source("own(x).first", before="std::pair<at::Tensor, int> own(at::Tensor x);\n"),
    "an own template": Source("own<int>(x)", before="template <class S> at::Tensor own(at::Tensor x) { return x; }\n"),
    "an own template of its argument": Source("own(x)", before="template <class T> T own(T x) { return x; }\n"),
    "an own template of its type": Source("own<at::Tensor>(x)", before="template <class T> T own(at::Tensor x);\n"),
    "a pointer to a function": Source("f(x)", "at::Tensor (*f)(at::Tensor) = own;", before="at::Tensor own(at::Tensor x);\n"),
    "auto pointer to a function": Source("f(x)", "auto f = &own;", before="at::Tensor own(at::Tensor x);\n"),
    "an alias of a function's type": Source("f(x)", "Fn f = own;", before="using Fn = at::Tensor (*)(at::Tensor);\nat::Tensor own(at::Tensor x);\n"),
    "std::function": Source("f(x)", "std::function<at::Tensor(at::Tensor)> f = own;", before="at::Tensor own(at::Tensor x);\n"),
    "std::invoke": Source("std::invoke(own, x)", before="at::Tensor own(at::Tensor x);\n"),
    "std::move": Source("std::move(x)"),
    "std::as_const": Source("std::as_const(x)"),
    "std::exchange": Source("std::exchange(x, at::Tensor())"),
    "std::forward": Source("std::forward<at::Tensor>(x)"),
    "std::max_element": Source(
        "(*std::max_element(l.begin(), l.end(), less))",
        parameters="std::vector<at::Tensor> l",
        before="bool less(const at::Tensor& a, const at::Tensor& b);\n",
    ),
    "std::next": Source("(*std::next(l.begin()))", parameters="std::vector<at::Tensor> l"),
    # lambdas
    "a lambda": Source("f(x)", "auto f = [](at::Tensor t) { return t; };"),
    "a lambda with its type": Source("f(x)", "auto f = [](const auto& t) -> at::Tensor { return t; };"),
    "a generic lambda": Source("f(x)", "auto f = [](auto t) { return t; };"),
    "inside of a generic lambda": Source("t", "auto f = [](auto t) { USE }; f(x);"),
    "inside of a lambda": Source("x", "auto f = [&]() { USE };"),
    "an init capture": Source("y", "auto f = [y = x.exp()]() mutable { USE };"),
    "a moved capture": Source("y", "auto f = [y = std::move(x)]() mutable { USE };"),
    "a reference capture": Source("y", "auto f = [&y = x]() { USE };"),
    "called on the spot": Source("[&] { return x.exp(); }()"),
    "called on the spot with its type": Source("[&]() -> at::Tensor { return x; }()"),
    "auto called on the spot": Source("a", "auto a = [&] { return x.exp(); }();"),
    "a lambda of a lambda": Source("f()()", "auto f = [&] { return [&] { return x; }; };"),
    "a lambda with a branch": Source("f(1)", "auto f = [&](int n) { if (n) { return x.exp(); } return x; };"),
    "a parameter of a lambda in for_each": Source(
        "t", "std::for_each(l.begin(), l.end(), [](auto& t) { USE });", "std::vector<at::Tensor> l"
    ),
    # members
    "a member": Source("h.w", "Holder h;", before=_HOLDER),
    "a member through a pointer": Source("h->w", parameters="Holder* h", before=_HOLDER),
    "a member through a shared pointer": Source("h->w", parameters="std::shared_ptr<Holder> h", before=_HOLDER),
    "an element of a member": Source("h.all[0]", "Holder h;", before=_HOLDER),
    "an element of a member's map": Source("h.by[0]", "Holder h;", before=_HOLDER),
    "what a member points to": Source("(*h.p)", "Holder h;", before=_HOLDER),
    "a member of an element": Source("hs[0].w", parameters="std::vector<Holder> hs", before=_HOLDER),
    "a member of a temporary": Source("make().w", before=_HOLDER + "Holder make();\n"),
    "a member of a global": Source("g_holder.w", before=_HOLDER + "static Holder g_holder;\n"),
    "a member of a static function's": Source("instance().w", before=_HOLDER + "static Holder& instance() { static Holder h; return h; }\n"),
    "a nested member": Source("o.h.w", "Outer o;", before=_HOLDER + "struct Outer { Holder h; };\n"),
    "a member of an alias": Source("h.w", "H h;", before=_HOLDER + "using H = Holder;\n"),
    "a static member": Source("K::kept", before="struct K { static at::Tensor kept; };\n"),
    "a base's member": Source("d.w", "Derived d;", before=_DERIVED),
    "a base's getter": Source("d.get()", "Derived d;", before=_DERIVED),
    "a base's base": Source("l.value", "Last l;", before=_CHAIN),
    "a member that a base template has": Source("l.all[0]", "Last l;", before=_CHAIN),
    "a pointer from an own template": Source("(*own(x))", before="template <class T> T* own(T t);\n"),
    "a pointer from an own function": Source("(*own(x))", before="at::Tensor* own(at::Tensor t);\n"),
    "a TensorList made here": Source("at::TensorList(l).front()", parameters="std::vector<at::Tensor> l"),
    "a container made here": Source("std::deque<at::Tensor>(2, x).front()"),
    "a class template's member": Source("b.value", "Box<at::Tensor> b;", before=_TEMPLATE),
    "a class template's list": Source("b.all[0]", "Box<at::Tensor> b;", before=_TEMPLATE),
    "a class template's getter": Source("b.get()", "Box<at::Tensor> b;", before=_TEMPLATE),
    "inside of a class template": Source("value", before=_INSIDE.replace("BODY", "USE")),
    "by this inside of a class template": Source("this->value", before=_INSIDE.replace("BODY", "USE")),
    "a local of a class template": Source("t", before=_INSIDE.replace("BODY", "T t = value; USE")),
    "a function of its own in a class template": Source("get()", before=_INSIDE.replace("BODY", "USE")),
    "a base's member inside of a class template": Source("this->value", before=_OUTER),
    "a function of a class template defined outside": Source("value", before=_OUTSIDE),
    "the tensor without its gradient": Source("x.data()", gone=".data()"),
    "a pointer to a member": Source("(h.*m)", "Holder h; auto m = &Holder::w;", before=_HOLDER),
    "an own getter": Source("o.get()", "Own o;", before=_OWN),
    "an own auto getter": Source("o.bare()", "Own o;", before=_OWN),
    "an own static function": Source("Own::make(x)", before=_OWN),
    "an own call operator": Source("o(1)", "Own o;", before=_OWN),
    "an own subscript": Source("o[1]", "Own o;", before=_OWN),
    "an own star": Source("(*o)", "Own o;", before=_OWN),
    "an own arrow": Source("o->clone()", "Own o;", before=_OWN),
    "an own plus": Source("(o + 7)", "Own o;", before=_OWN),
    "an own conversion": Source("static_cast<at::Tensor>(o)", "Own o;", before=_OWN),
    "an own getter of lists": Source("o.many()[0]", "Own o;", before=_OWN),
    "an own getter of pairs": Source("o.both().first", "Own o;", before=_OWN),
    "a method defined outside": Source(
        "k.get()", "K k;", before="struct K { at::Tensor w; at::Tensor get(); };\nat::Tensor K::get() { return w; }\n"
    ),
    "an anonymous struct": Source("s.w", "struct { at::Tensor w; } s;"),
    "a local struct": Source("s.w", "struct S { at::Tensor w; }; S s;"),
    # expressions
    "a conditional": Source("(true ? x : x)"),
    "a comma": Source("(0, x)"),
    "an assignment": Source("(x = x)"),
    "parentheses around": Source("((x))"),
    "a cast": Source("static_cast<at::Tensor>(x)"),
    "a const_cast": Source("const_cast<at::Tensor&>(r)", "const at::Tensor& r = x;"),
    "a C cast": Source("((at::Tensor)x)"),
    "arithmetic": Source("(x + 1)"),
    "a comparison": Source("(x == 1)"),
    "an index": Source("x[0]"),
    "a negation": Source("(-x)"),
    # macros
    "a macro's result": Source("ID(x)", before="#define ID(t) (t)\n"),
    "a macro's call": Source("EXP(x)", before="#define EXP(t) at::exp(t)\n"),
    "a macro's name": Source("KEPT", before="static at::Tensor g_kept;\n#define KEPT g_kept\n"),
    "a macro's declaration": Source("y", "DECLARE(y, x);", before="#define DECLARE(n, v) at::Tensor n = v\n"),
    "a macro's auto": Source("y", "DECLARE(y, x);", before="#define DECLARE(n, v) auto n = v.exp()\n"),
    "a macro's lambda": Source("MAKE(x)", before="#define MAKE(t) [&] { return t.exp(); }()\n"),
    "inside of a macro": Source("t", before="#define BODY(t) { USE }\n", statements="BODY(x)"),
    # templates
    "a template parameter": Source("t", "", "const T& t", "template <typename T> ", "void g(at::Tensor x) { f(x); }\n"),
    "a list of a template parameter": Source(
        "t[0]", "", "const std::vector<T>& t", "template <typename T> ", "void g(std::vector<at::Tensor> x) { f(x); }\n"
    ),
    "a template parameter that is named": Source(
        "t", "T t = any();", "int n", "template <typename T> ", "void g() { f<at::Tensor>(1); }\n"
    ),
    "a template parameter of two types": Source(
        "t", "", "const T& t", "template <typename T> ", "void g(at::Tensor x) { f(x); f(1); }\n"
    ),
    "a pack": Source("own(ts...)", "", "const Ts&... ts", "at::Tensor own(at::Tensor x);\ntemplate <typename... Ts> "),
    "std::any": Source("std::any_cast<at::Tensor>(a)", parameters="std::any a"),
    "IValue": Source("v.toTensor()", parameters="c10::IValue v"),
    "what a derived class gives": Source(
        "static_cast<D*>(this)->go()",
        before="template <class D> struct Crtp { at::Tensor run(at::Tensor x) { USE return x; } };\n"
        "struct Done : Crtp<Done> { at::Tensor w; at::Tensor go() { return w; } };\n",
    ),
    "a catch": Source("e.w", "try { } catch (Own& e) { USE }", before=_OWN),
}  # fmt: skip

USES: dict[str, Use] = {
    "a method": Use("auto r_ = {}.exp();", ".exp()"),
    "a method with arguments": Use("auto r_ = {}.flatten(0, 1);", ".flatten("),
    "a method in place": Use("{}.add_(1);", ".add_("),
    "a conversion": Use("auto r_ = {}.to(at::kDouble);", ".to("),
    "a view": Use("auto r_ = {}.view({{-1}});", ".view("),
    "an item": Use("auto r_ = {}.item<float>();", ".item<"),
    "a pointer": Use("auto r_ = {}.data_ptr<float>();", ".data_ptr<"),
    "a dtype": Use("auto r_ = {}.dtype() == at::kInt;", ".dtype()"),
    "options": Use("auto r_ = at::empty({{2}}, {}.options());", ".options()"),
    "a question": Use("auto r_ = {}.is_meta();", ".is_meta()"),
    "several results": Use("auto r_ = {}.max(0);", ".max("),
    "a sum": Use("auto r_ = {}.sum();", ".sum()"),
    "plus": Use("auto r_ = {} + 1;", "+ 1"),
    "times in front": Use("auto r_ = 2 * {};", "2 *"),
    "minus in front": Use("auto r_ = -{};", "= -"),
    "not in front": Use("auto r_ = ~{};", "= ~"),
    "a comparison": Use("auto r_ = {} == 1;", "== 1"),
    "two operators": Use("auto r_ = {} * 2 + 1;", "+ 1"),
    "an operator in place": Use("{} += 1;", "+= 1"),
    "an index": Use("auto r_ = {}[0];", "[0];"),
    "an element written": Use("{}[0] = 5;", "= 5"),
    "an index in front of a method": Use("auto r_ = {}[0].exp();", ".exp()"),
    "an operator and a method": Use("auto r_ = ({} + 1).exp();", ".exp()"),
    "streamed": Use("std::cout << {};", "std::cout << "),
    "printed": Use('TORCH_CHECK(false, "s ", {}.sizes());', ", .sizes()"),
}


def program(source: Source, use: Use) -> str:
    """A function that takes the tensor from `source` and puts it to `use`, where USE stands or at the end."""
    done = use.statement.format(source.expression)
    inside = source.statements.replace("USE", done)
    if "USE" not in source.statements + source.before:
        inside = f"{inside} {done}"
    return f"{source.before.replace('USE', done)}void f({source.parameters}) {{ {inside.strip()} }}\n{source.after}"


# What cannot be typed, or has a type without a stable form: reported instead.
REPORTED = frozenset({
    "ITensorListRef", "List.get", "List in a range", "OptionalTensorRef", "IValue", "an anonymous struct",
    "a template parameter of two types", "what a derived class gives",
})  # fmt: skip

_GRID = (
    "struct Grid {\n  int n;\n  Grid exp() const { return *this; }\n  Grid view(int) const { return *this; }\n"
    "  Grid& zero_() { return *this; }\n  Grid contiguous() const { return *this; }\n  bool is_cuda() const { return 0; }\n"
    "  template <typename T> T* data_ptr() { return 0; }\n  int dtype() const { return 3; }\n  int operator[](int i) const;\n"
    "  Grid operator+(int) const { return *this; }\n  Grid operator-() const { return *this; }\n};\n"
)
# Code of projects that use torch, in which these things are none of torch's.
LOOK_ALIKES: dict[str, str] = {
    "a class with a tensor's methods": _GRID
    + "int f(Grid& g) { auto c = g.contiguous(); c.zero_(); auto d = c.exp().view(1); return d.dtype(); }\n",
    "and its operators": _GRID + "int f(Grid g) { auto c = -(g + 1); return c[0] + g[1] * 2; }\n",
    "in a list": _GRID + "void f(std::vector<Grid> l) { for (auto& g : l) g.zero_(); l[0].exp(); }\n",
    "in a map": _GRID + "void f(std::map<int, Grid> m) { m.begin()->second.exp(); m[1].zero_(); }\n",
    "behind an iterator": _GRID + "void f(std::vector<Grid> l) { auto it = l.begin(); it->zero_(); }\n",
    "in a generic lambda": _GRID + "void f(Grid g) { auto h = [](auto t) { t.zero_(); t.exp(); }; h(g); }\n",
    "in a template": _GRID
    + "template <typename T> void f(T t) { t.exp(); auto u = t + 1; }\nvoid g(Grid x) { f(x); }\n",
    "from an own function": _GRID + "Grid make();\nvoid f() { auto g = make(); g.exp(); auto h = -g; }\n",
    "numbers": "int f(int n, float y) { auto m = n; auto k = m + 1; return -k * 2 + (n == m) + ~k; }\n",
    "pointers": "float f(float* p, int n) { auto q = p + n; q[0] += 1; return q[n] * 2 + -p[0]; }\n",
    "arrays": "int f() { int a[4]; std::array<int, 3> b; auto& c = a[1]; c += 2; return b[0] + a[c] * 2; }\n",
    "strings": "auto f(std::string s) { auto t = s + \"x\"; t += s[0]; return t.substr(1) + s; }\n",
    "a class template of numbers": (
        "template <class T> struct In { T value; T get() { auto c = value + 1; value *= 2; return -c; } };\n"
        "float g(In<float> i, In<int> j) { return i.get() + j.get(); }\n"
    ),
    "a class template of another class": _GRID
    + "template <class T> struct In { T value; void run() { value.zero_(); value.exp(); } };\nvoid g(In<Grid> i) { i.run(); }\n",
    "a template of numbers": "template <typename T> T f(T a, T b) { auto c = a + b; return c * 2 - -a; }\n",
    "a lambda of numbers": "void f(int n) { auto h = [&](auto i) { auto j = i + n; return j * 2; }; h(1); }\n",
    "a function of another library": "void f(int n) { auto m = other::round_up(n, 4); auto k = m + 1; k *= 2; }\n",
    "a class of another library": "void f(other::Params p) { auto m = p.n + 1; auto k = p.rows()[0] * m; p.view(k); }\n",
    "an iterator of numbers": "int f(std::vector<int> v) { auto it = v.begin(); auto k = *it + 1; return k + it[1]; }\n",
    "a macro of numbers": "#define DIV(a, b) (((a) + (b) - 1) / (b))\nint f(int n) { auto m = DIV(n, 4); return m + 1; }\n",
    "a member of numbers": "struct P { int n; float* d; };\nfloat f(P p) { auto& m = p.n; m += 2; return p.d[m] * 2; }\n",
    "a device function": "__global__ void f(float* p) { auto v = load(p); auto w = v[0] + v[1]; w *= 2; }\n",
    "the bounds of a parallel loop": (
        "void f(float* p, int n) { parallel_for(0, n, 1, [&](auto b, auto e) { for (auto i = b; i < e; i++) p[i] = -i; }); }\n"
    ),
    "a step of a loop that another library unrolls": (
        "void f(float* p) { other::unroll([&](auto i) { constexpr int row = i / 4; auto v = load(p + i * 2); keep(v, row); }); }\n"
    ),
    "a dependent type": (
        "template <class T> struct Vec { using type = float; };\n"
        "template <class T> struct K { using V = typename Vec<T>::type; void f(T t) { V v(t); auto w = v * 2; v.exp(); } };\n"
    ),
    "an array in a class": (
        "struct Signal { alignas(128) Flag end[8][2]; };\nvoid f(Signal* s, int i) { auto* p = &s->end[0][i]; keep(p); }\n"
    ),
}  # fmt: skip
