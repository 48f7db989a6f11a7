"""Programs that are no Python packages."""

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from bitswitch.doctor.finding import Finding
from bitswitch.report.document.engine import INSTALL_TEX, find_engine

NEEDS_COMPILER = "recipes with training.compile, bitswitch bench step"


def tex() -> Iterator[Finding]:
    """Look for an engine that sets the report."""
    engine = find_engine()
    if engine is not None:
        yield Finding("TeX", "ok", engine, "report.pdf")
    else:
        problem = "no latexmk with all that the report takes"
        yield Finding("TeX", "missing", problem, "report.pdf (report.html needs none)", INSTALL_TEX)


def compiler() -> Iterator[Finding]:
    """Look for what torch.compile builds kernels with: a compiler and the headers of Python."""
    name = os.environ.get("CXX", "g++")
    install = "apt-get install --no-install-recommends"
    found = shutil.which(name)
    if found is None:
        mend = f"{install} g++" + ("; unset CXX" if "CXX" in os.environ else "")
        yield Finding("compiler", "missing", f"no {name}", NEEDS_COMPILER, mend)
    elif not Path(sysconfig.get_path("include"), "Python.h").exists():
        mend = f"{install} python{sys.version_info.major}.{sys.version_info.minor}-dev"
        problem = f"{found}, without the headers of Python"
        yield Finding("compiler", "missing", problem, NEEDS_COMPILER, mend)
    else:
        yield Finding("compiler", "ok", found, NEEDS_COMPILER)
