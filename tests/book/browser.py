"""Find or install a browser for the tests: ``python -m tests.book.browser``.

Debian's Chromium where apt is there, else Playwright's own download.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

DEBIAN = [["apt-get", "update", "-qq"], ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", "chromium"]]


def find() -> str | None:
    """Return the path of a Chromium, or None."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path and _run([path, "--version"]):  # Ubuntu's chromium-browser may be a stub that only points elsewhere
            return path
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def install() -> None:
    """Try each way in turn; say what failed. Never raises: the tests tell where no browser can be had."""
    if shutil.which("apt-get"):
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        if all(_run([*sudo, *command]) for command in DEBIAN):
            return
    _run([sys.executable, "-m", "playwright", "install", "chromium"])


def _run(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{' '.join(command)}: {error}", file=sys.stderr)
        return False
    if done.returncode:
        print(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-300:]}", file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    if find() is None:
        print("installing a browser for the tests, once")
        install()
