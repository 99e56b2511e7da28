"""Check a plan as a whole: what the tree would be, compared with what it is, whatever made the plan.

Every finding is something to do by hand. One cause gives one finding: a unit that is built nowhere is that, and not
also every function that it defines.
"""

from __future__ import annotations

from torch_stabilize.model import Diagnostic
from torch_stabilize.program.check_build import check_membership
from torch_stabilize.program.check_entries import check_entries
from torch_stabilize.program.check_files import check_known, check_readable
from torch_stabilize.program.check_link import check_links
from torch_stabilize.program.check_names import check_code
from torch_stabilize.program.check_python import check_python
from torch_stabilize.program.check_registrations import check_registrations
from torch_stabilize.program.planned import Planned
from torch_stabilize.repository.codes import EDITS_COLLIDE

_CHECKS = (
    check_readable,
    check_entries,
    check_membership,
    check_links,
    check_registrations,
    check_python,
    check_code,
    check_known,
)


def check_plan(planned: Planned) -> tuple[Diagnostic, ...]:
    """What `planned` would break, each cause once. Nothing for a plan that changes nothing."""
    if planned.plan.is_empty:
        return ()
    if any(diagnostic.code == EDITS_COLLIDE for diagnostic in planned.plan.diagnostics):
        return ()  # some edits were not made: what that breaks is said there
    for check in _CHECKS:
        for one in check(planned):
            if one not in planned.found:
                planned.found.append(one)
        if check is check_readable and planned.found:
            break  # what cannot be read has no entries, and nothing in it is registered or linked
    return tuple(planned.found)
