"""A deadline for each test."""

import faulthandler

import pytest


@pytest.fixture(autouse=True)
def deadline():
    """End the tests if a canister runs for ever."""
    faulthandler.dump_traceback_later(300, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
