"""Who among an entry's signers may act as supervisor. A suspended or revoked supervisor is none."""

from __future__ import annotations

from keys.purpose import Purpose
from ledger.module import Authority, Context, Signatory
from ledger.records import Officer
from ledger.roles import Role
from protos.errors import Refused


def signing_supervisors(context: Context, code: str, *, besides: bytes = b"") -> list[Officer]:
    """The signers who are active supervisors of the post `code`, by key id, without the officer `besides`."""
    officers = (context.state.officer_of_key(key_id) for key_id in sorted(context.signers))
    return [one for one in officers if one is not None and _supervises(one, code) and one.officer_id != besides]


def one_supervisor(context: Context, code: str, *, besides: bytes = b"") -> Officer:
    """A signing supervisor of the post. Raises `Refused("no-supervisor")`."""
    return _first(signing_supervisors(context, code, besides=besides), code)


def one_of_post_or_headquarters(context: Context, code: str, *, besides: bytes = b"") -> Officer:
    """A signing supervisor of the post or of HQ. Raises `Refused("no-supervisor")`."""
    headquarters = context.state.headquarters()
    found = signing_supervisors(context, code, besides=besides)
    return _first(found or signing_supervisors(context, headquarters, besides=besides), code)


def two_supervisors(context: Context, code: str, *, besides: bytes = b"") -> tuple[Officer, Officer]:
    """A signing supervisor of the post and one of HQ; at HQ two of its own, the lower key id first.

    Raises `Refused("no-supervisor")`.
    """
    headquarters = context.state.headquarters()
    own = signing_supervisors(context, code, besides=besides)
    if code == headquarters:
        return _first(own, code), _first(own[1:], code)
    return _first(own, code), _first(signing_supervisors(context, headquarters), headquarters)


def check_grant(clearance: int, supervisors: tuple[Officer, ...]) -> None:
    """Raises `Refused("above-own-clearance")` if a supervisor would grant more than he has."""
    if any(one.clearance < clearance for one in supervisors):
        hint = "Ask a supervisor who is cleared that high."
        raise Refused("above-own-clearance", "nobody grants a clearance above his own", hint=hint)


def enrolment(officer: Officer) -> Signatory:
    """This officer's signature for a change of the roster."""
    return Signatory(officer.key, Purpose.ENROLMENT)


def signed_by(author: Officer, *others: Officer) -> Authority:
    """The authority of officers alone, the first of them the author."""
    return Authority(enrolment(author), tuple(enrolment(one) for one in others))


def _supervises(officer: Officer, code: str) -> bool:
    return officer.post == code and officer.has_role(Role.SUPERVISOR)


def _first(found: list[Officer], code: str) -> Officer:
    if not found:
        hint = "A supervisor who is neither suspended nor revoked, and not the officer himself, must sign."
        raise Refused("no-supervisor", f"the signature of a supervisor of {code} is missing", hint=hint, post=code)
    return found[0]
