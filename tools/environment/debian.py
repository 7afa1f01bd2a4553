"""Install what pip cannot: Debian packages, where that is allowed."""

import os
import subprocess
from pathlib import Path


def install(*packages: str) -> str | None:
    """Install Debian packages where this process may; otherwise the reason why not."""
    release = Path("/etc/os-release")
    if not release.exists() or "ID=debian" not in release.read_text().splitlines():
        return "this is not Debian, install them by hand"
    if os.geteuid() != 0:
        return f"not root; as root: apt-get install {' '.join(packages)}"
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, **quiet)
    command = ["apt-get", "install", "-y", "-qq", "-o", "DPkg::Lock::Timeout=300", "--no-install-recommends", *packages]
    result = subprocess.run(command, env=environment, **quiet)
    if result.returncode:
        return f"apt-get could not install {' '.join(packages)}: {(result.stdout.splitlines() or ['no output'])[-1]}"
    return None
