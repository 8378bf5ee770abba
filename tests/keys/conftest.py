"""Fixed keys and the checks that every test here shares."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keys.algorithms import SECRET_BYTES
from keys.public import SUITE_DUAL, SUITE_ED25519, SUITE_MLDSA44
from keys.signing import SoftwareSigner

VECTORS = Path(__file__).parents[1] / "vectors"
SUITES = (SUITE_ED25519, SUITE_DUAL, SUITE_MLDSA44)


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], Any]:
    """Loads a file of tests/vectors by its path without suffix."""
    return lambda name: json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def signers() -> dict[int, SoftwareSigner]:
    """One fixed signer a suite."""
    return {suite: SoftwareSigner.from_secret(suite, bytes(range(SECRET_BYTES[suite]))) for suite in SUITES}
