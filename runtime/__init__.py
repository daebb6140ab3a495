"""Run one canister of the Internet Computer without a replica; see README.md beside this file."""

from .canister import Canister, parse_size
from .errors import CandidError, CanisterError, InvalidModule, NotProvided, Rejected, Trapped

__all__ = [
    "CandidError",
    "Canister",
    "CanisterError",
    "InvalidModule",
    "NotProvided",
    "Rejected",
    "Trapped",
    "parse_size",
]
