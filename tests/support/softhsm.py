"""Tokens of SoftHSM 2, the machine's own package, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from terminal.holder import TokenPlace

CONFIGURATION = "SOFTHSM2_CONF"
SECURITY_OFFICER = "87654321"
MODULES = ("softhsm/libsofthsm2.so", "*/softhsm/libsofthsm2.so", "libsofthsm2.so", "*/libsofthsm2.so")
FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")


class Missing(Exception):
    """What a skipped test says."""


class SoftHsm:
    """A folder of tokens. Raises `Missing` where the machine has no SoftHSM."""

    def __init__(self, folder: Path) -> None:
        found = sorted(path for one in FOLDERS for name in MODULES for path in Path(one).glob(name))
        if not found or not shutil.which("softhsm2-util"):
            raise Missing("needs softhsm2 (Debian: apt-get install softhsm2)")
        self.module = str(found[0])
        self.tokens = folder / "tokens"
        self.tokens.mkdir(parents=True)
        self.configuration = folder / "softhsm2.conf"
        self.configuration.write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )

    def new_token(self, label: str, pin: str) -> TokenPlace:
        """An empty token of this label."""
        secrets = ["--pin", pin, "--so-pin", SECURITY_OFFICER]
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, *secrets]
        environment = {**os.environ, CONFIGURATION: str(self.configuration)}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        return TokenPlace(self.module, label)

    def look_again(self) -> None:
        """Let this process see the tokens as they are now: SoftHSM looks once, when it is initialised."""
        import pkcs11

        pkcs11.lib(self.module).reinitialize()

    def pull_out(self) -> None:
        """All tokens are gone, as if taken out."""
        self.tokens.rename(self.tokens.with_name("pulled-out"))
        self.tokens.mkdir()

    def put_in(self) -> None:
        """They are there again."""
        self.tokens.rmdir()
        self.tokens.with_name("pulled-out").rename(self.tokens)
