"""The diagnostics of this room, TSA5xx, with their pages."""

from __future__ import annotations

from torch_stabilize.codes import Code
from torch_stabilize.model import Confidence

MOVED = Code(
    "TSA500",
    "A registration moves to the stable library.",
    "The operator keeps its namespace, its schema and its dispatch keys. `m.def(schema)` moves to "
    "STABLE_TORCH_LIBRARY_FRAGMENT, every implementation to STABLE_TORCH_LIBRARY_IMPL of its key, boxed by TORCH_BOX.",
)
SPLIT_OPERATOR = Code(
    "TSA502",
    "An operator is implemented in both libraries.",
    "Its definition and the implementations of the migrated units move; an implementation in a unit outside of the "
    "group stays in the legacy library. Both libraries must be loaded before the operator is used; their order does "
    "not matter.",
)
CHOSEN_KEY = Code(
    "TSA503",
    "An implementation without a dispatch key gets one.",
    "The stable API registers under a key only. What is put together from ops of torch gets CompositeImplicitAutograd, "
    "which is what no key meant: autograd and tracing see the ops in it. What takes pointers or launches kernels is "
    "registered for the devices whose memory it touches, CPU or CUDA or both; a composite key would run it on tensors "
    "without memory when it is traced. What takes no tensor gets CompositeExplicitAutograd.",
    confidence=Confidence.REVIEW,
)
INFERRED_SCHEMA = Code(
    "TSA504",
    "A schema that torch inferred from the C++ type is written out.",
    "Argument names come from the declaration or from py::arg, mutability from how the function uses its tensors, "
    "defaults from the declaration. Check them: from now on they are the operator's contract.",
    confidence=Confidence.REVIEW,
)
NO_SCHEMA = Code(
    "TSA505",
    "No schema can be inferred.",
    "The C++ type has a part that no schema type represents, or the function was not found. Write the schema by hand.",
    confidence=Confidence.MANUAL,
)
BAD_SCHEMA = Code(
    "TSA506",
    "A schema cannot be parsed.",
    "Torch would reject it when the library is loaded.",
    confidence=Confidence.MANUAL,
)
SCHEMA_MISMATCH = Code(
    "TSA507",
    "A schema and the C++ function disagree.",
    "The number of arguments or returns, or a type, differs. Legacy registration checked this when the library was "
    "loaded; the stable boxing checks the number when the operator is called and the types never.",
    confidence=Confidence.MANUAL,
)
DUPLICATE_ARGUMENT = Code(
    "TSA508",
    "Two arguments of a schema have the same name.",
    "The second cannot be passed by keyword. The schema is kept, because renaming an argument changes the operator.",
    confidence=Confidence.REVIEW,
)
WRONG_ALIAS = Code(
    "TSA509",
    "A schema's annotation of what is written does not fit the function.",
    "An argument that is written to without being annotated silently breaks functionalization; an annotated one "
    "that is never written costs copies. The schema is kept.",
    confidence=Confidence.REVIEW,
)
DUPLICATE_OPERATOR = Code(
    "TSA510",
    "An operator is registered twice.",
    "Two definitions, or two implementations for one key, that are compiled together: loading fails or the last wins.",
    confidence=Confidence.MANUAL,
)
ADAPTER = Code(
    "TSA511",
    "A function is registered through an adapter.",
    "TORCH_BOX copies arguments by the C++ type of the parameter and gets int, float, const char*, std::array and some "
    "more wrong without a word. The adapter takes what the boxing knows and converts.",
    confidence=Confidence.REVIEW,
)
UNBOXABLE = Code(
    "TSA512",
    "A function cannot be boxed.",
    "One of its types has no way through the stable boxing. Change the signature, then migrate again.",
    confidence=Confidence.MANUAL,
)
WIDENED_SCHEMA = Code(
    "TSA513",
    "A schema type is widened to one that the stable boxing can pass.",
    "A tuple of ints arrives as `int[]`; callers may still pass a tuple. The adapter checks its length.",
    confidence=Confidence.REVIEW,
)
TAGS = Code(
    "TSA514",
    "The tags of an operator are set in Python.",
    "The stable `m.def` takes tags from target 2.12 on. Below, the Python module next to the library adds them to the "
    "operator, where compilers look for them. Where there is no such module, or the tags cannot be read, define them "
    "from Python: `torch.library.Library.define(..., tags=...)`.",
    confidence=Confidence.REVIEW,
)
NO_STABLE_FORM = Code(
    "TSA515",
    "A registration has no stable form.",
    "Custom classes, fallbacks, autograd and meta kernels in C++ stay in the legacy library or move to Python: "
    "torch.library.register_fake, torch.library.register_autograd. So do the classes and enumerations of a pybind11 "
    "module: pybind11 cannot be compiled for Python's limited API, which a stable library is built for. Split the "
    "unit: the functions migrate, the class stays. A class that only holds state between calls can be written in "
    "Python, over operators that take the state as tensors and numbers.",
    confidence=Confidence.MANUAL,
)
META_KERNEL = Code(
    "TSA516",
    "A meta kernel moves to Python.",
    "Register a fake kernel with torch.library.register_fake; a stub made from the schema is part of the message.",
    confidence=Confidence.MANUAL,
)
UNREAD = Code(
    "TSA517",
    "A statement in a registration block was not understood.",
    "It stays where it is.",
    confidence=Confidence.MANUAL,
)
STILL_CALLED = Code(
    "TSA518",
    "A function that moves is still called by legacy code.",
    "Its definition leaves the legacy library, so the call does not link. Migrate the caller in the same group.",
    confidence=Confidence.MANUAL,
)
STAYS_FOR_OTHERS = Code(
    "TSA550",
    "A source that was asked for stays, as others that stay need it.",
    "It defines what sources of its library use that were not asked for, and nothing that migrates uses it: in the "
    "stable library it would be of no use, and its legacy library could not be loaded without it. Once one of those "
    "migrates, both libraries compile it.",
    confidence=Confidence.MANUAL,
)
OTHER_BUILD = Code(
    "TSA519",
    "A function is registered by an alternative build only.",
    "The group is migrated for the main build; the other build's registration is left alone.",
    confidence=Confidence.MANUAL,
)
LOST_OPERATOR = Code(
    "TSA520",
    "The migration would lose, rename or re-key an operator.",
    "The inventory of operators is the same before and after a migration; this one would not be: it is refused, and "
    "nothing is written. The refusal names the first operator and, where it is known, what cannot be written.",
    confidence=Confidence.MANUAL,
)
PYTHON_CALLERS = Code(
    "TSA521",
    "Functions of a Python module become operators.",
    "What was `module.f(x)` is `torch.ops.<namespace>.f(x)` from now on: the stable library has no pybind11 module. "
    "Calls in the repository are rewritten. A call with wrong arguments raises RuntimeError where pybind11 raised "
    "TypeError. Autograd does not see into an operator: a function that was differentiable "
    "because it was put together from torch's own needs torch.library.register_autograd.",
    confidence=Confidence.REVIEW,
)
DECLARED = Code(
    "TSA522",
    "A declaration moves to the header of the stable bindings.",
    "The legacy header keeps it where a legacy registration or unit still uses the function.",
)
LEFT_BEHIND = Code(
    "TSA523",
    "A unit that moves needs something that stays.",
    "The definition of a function stays in the legacy library, so the stable one cannot be loaded. Migrate its unit in "
    "the same group; one that uses nothing of torch can be compiled into both libraries. A macro or a type next to the "
    "declarations of ops stays in their legacy header: put it into a header of its own, which both sides include.",
    confidence=Confidence.MANUAL,
)

WIDENED = Code(
    "TSA524",
    "The parameters of a registered function become wider.",
    "TORCH_BOX gets int and float wrong without a word. Where the units that migrate are all that calls the function, "
    "and its body hands such a parameter only to what takes the narrower type anyway (a kernel's parameter, a local of "
    "that type), it takes int64_t or double from now on and needs no adapter. Kernels are given what they were given.",
)

NO_EFFECT = Code(
    "TSA525",
    "An operator returns nothing and its schema marks nothing as written.",
    "As far as torch can tell it does nothing: compiled code leaves the call out. Mark what it writes, as in "
    "`f(Tensor! out, Tensor x) -> ()`. One that only prints or checks has to return something, or stay Python.",
    confidence=Confidence.MANUAL,
)

PYTHON_MODULE = Code(
    "TSA528",
    "The Python module of operators is not named any more.",
    "set_python_module and impl_abstract_pystub tell torch which Python module has the fake kernels of the operators "
    "that are defined below them, so that it can ask for an import that is missing. The stable API has no such call. "
    "Import the module where the library is loaded, in the package's __init__.py, and nothing is missing.",
    confidence=Confidence.REVIEW,
)

FAKE_WRITTEN = Code(
    "TSA529",
    "Fake kernels are written in Python.",
    "torch.compile runs an operator on fake tensors to see its results. Kernels that were functions of a Python "
    "module, or had no dispatch key, get fake kernels in a Python module that the package imports in place of the "
    "library: taken from the body of the function where it makes its results at its top level from sizes, dtypes and "
    "devices of its arguments, else a stub that raises NotImplementedError. At a stub the graph breaks, as it did at a "
    "function of a Python module; with the results described, torch.compile(fullgraph=True) works.",
    confidence=Confidence.REVIEW,
)

STAYS_BOUND = Code(
    "TSA530",
    "A unit stays in the legacy module with what it binds.",
    "Classes, and functions over types that no schema has (py::dict, callbacks), can be bound with pybind11 alone, and "
    "pybind11 cannot be compiled for Python's limited API. The unit that binds them stays in the legacy module, which "
    "is built next to the stable library as before; functions that other units define become operators. Where Python "
    "used the module as a whole, it imports a module that has both.",
    confidence=Confidence.REVIEW,
)

AUTOGRAD_CONVERTED = Code(
    "TSA531",
    "An autograd function becomes operators that Python joins.",
    "torch::autograd has no stable form. The body of `forward` is the operator, that of `backward` another one, and "
    "torch.library.register_autograd joins them in the Python module next to the library: what was saved is saved in "
    "setup_context, results are marked as not differentiable there, and needs_input_grad is handed to the backward. "
    "Arguments without a gradient get None, as before. Where `forward` keeps tensors that it alone has, or the "
    "function that applied the class does more, the operator is one of its own: it gives those tensors back as "
    "further results, copied where they share memory with an argument, and is called through the dispatcher. One that "
    "writes to an argument (mark_dirty) is joined by a torch.autograd.Function. Helpers, constants and types of the "
    "class stay in a class of its name; a template is written out for what it is applied with; a class that another "
    "one applies in its backward is called as an operator there. Tensors of an `at::TensorList` have gradients, those "
    "of a `std::vector` none, as in torch; a result asks for a gradient now where only the latter do.",
    confidence=Confidence.REVIEW,
)
AUTOGRAD_LEFT = Code(
    "TSA532",
    "An autograd function is not converted.",
    "The message says why: it saves in one of several ways, keeps a value that Python cannot work out of the "
    "arguments, hands its context on, returns what cannot be counted, calls torch::autograd::grad, is a template whose "
    "arguments differ from call to call, or no function that applies it is registered without a key. It is the one "
    "line for the class. Write the backward in Python with torch.library.register_autograd, over "
    "operators for `forward` and `backward`.",
    confidence=Confidence.MANUAL,
)
GIVEN_BACK = Code(
    "TSA533",
    "A function that gives back the argument that it writes to is two operators.",
    "torch.compile takes no kernel that gives back one of its arguments. The function keeps its name and its schema, "
    "`f(Tensor(a!) x) -> Tensor(a!)`, and is put together in the Python module next to the library: it calls an "
    "operator that writes and gives nothing back, which is the function in C++, and returns the argument itself.",
    confidence=Confidence.REVIEW,
)
CODES: tuple[Code, ...] = (
    MOVED, SPLIT_OPERATOR, CHOSEN_KEY, INFERRED_SCHEMA, NO_SCHEMA, BAD_SCHEMA, SCHEMA_MISMATCH,
    DUPLICATE_ARGUMENT, WRONG_ALIAS, DUPLICATE_OPERATOR, ADAPTER, UNBOXABLE, WIDENED_SCHEMA, TAGS, NO_STABLE_FORM,
    META_KERNEL, UNREAD, STILL_CALLED, STAYS_FOR_OTHERS, OTHER_BUILD, LOST_OPERATOR, PYTHON_CALLERS, DECLARED,
    LEFT_BEHIND, WIDENED,
    NO_EFFECT, PYTHON_MODULE, FAKE_WRITTEN, STAYS_BOUND, AUTOGRAD_CONVERTED, AUTOGRAD_LEFT,
    GIVEN_BACK,
)  # fmt: skip
