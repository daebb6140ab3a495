"""The runtime's errors, with the codes and sentences of the replica. Also converts principals from and to text."""

import base64
import zlib

ANONYMOUS = "2vxsx-fae"
CANISTER_ID = "bkyz2-fmaaa-aaaaa-qaaaq-cai"  # The id of the only canister.


class CanisterError(Exception):
    """The replica's error code, such as "IC0503", and its sentence."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class InvalidModule(CanisterError):
    """The replica would refuse the module."""


class Trapped(CanisterError):
    """A message failed, and its effects were undone. `log` is the line for the canister's log."""

    def __init__(self, code: str, reason: str, log: str = "") -> None:
        super().__init__(code, from_canister(reason))
        self.log = f"[TRAP]: {log or reason}"


class Rejected(CanisterError):
    """The canister rejected the call or never answered it, or the method does not exist."""


class NotProvided(CanisterError):
    """The canister needs something that this runtime does not have."""

    def __init__(self, what: str) -> None:
        super().__init__("not provided by this runtime", what)


class CandidError(ValueError):
    """A text is not Candid, or a value has another type than the interface says."""


def from_canister(reason: str) -> str:
    """Return the replica's sentence, which names the canister that failed."""
    return f"Error from Canister {CANISTER_ID}: {reason}"


def invalid(reason: str) -> InvalidModule:
    """Return the replica's error for a module that breaks a rule."""
    return InvalidModule("IC0505", from_canister(f"Canister's Wasm module is not valid: {reason}"))


def trapped(cause: str) -> Trapped:
    """Return the replica's error for a Wasm trap, such as "unreachable"."""
    return Trapped("IC0502", f"Canister trapped: {cause}", cause)


def violation(reason: str) -> Trapped:
    """Return the replica's error for a wrong use of the System API."""
    return Trapped("IC0504", f"Canister violated contract: {reason}")


def out_of_instructions(limit: int) -> Trapped:
    """Return the replica's error for a message that takes more than `limit` instructions."""
    return Trapped("IC0522", f"Canister exceeded the limit of {limit} instructions for single message execution.")


def principal_text(principal: bytes) -> str:
    """Return the text of a principal ("Textual representation of principals" in the IC interface specification)."""
    text = base64.b32encode(zlib.crc32(principal).to_bytes(4, "big") + principal).decode().rstrip("=").lower()
    return "-".join(text[i : i + 5] for i in range(0, len(text), 5))


def principal_bytes(text: str) -> bytes:
    """Return the bytes of a principal. Raise `ValueError` if the text is not a principal in its canonical form."""
    letters = text.replace("-", "").upper()
    principal = base64.b32decode(letters + "=" * (-len(letters) % 8))[4:]
    if len(principal) > 29 or principal_text(principal) != text:
        raise ValueError(f"Write a principal such as {ANONYMOUS}: {text!r} is not one")
    return principal
