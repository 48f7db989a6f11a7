"""Whether there is a TeX engine, and how to get one."""

import shutil
import subprocess

PACKAGES = ("adjustbox", "booktabs", "caption", "hyperref", "lmodern", "microtype")
"""Beyond the base of LaTeX; an engine without them is none."""

INSTALL_TEX = (
    "apt-get install --no-install-recommends latexmk lmodern texlive-latex-base "
    "texlive-latex-recommended texlive-latex-extra texlive-fonts-recommended"
)

HOW_TO_GET_TEX = f"""\
There is no TeX engine here, so report.pdf was not made. Everything else is complete:
report.html shows the same tables and figures, report.tex is the document.

To get one (about 150 MB to download), then run the suite again:
  {INSTALL_TEX}
or with conda: conda install -c conda-forge texlive-core latexmk
"""


def find_engine() -> str | None:
    """Return the path of ``latexmk`` if it and all that the document needs are installed."""
    if not all(map(shutil.which, ("pdflatex", "kpsewhich"))):
        return None
    files = [f"{package}.sty" for package in PACKAGES]
    found = subprocess.run(["kpsewhich", *files], capture_output=True, text=True, check=False)
    return shutil.which("latexmk") if found.returncode == 0 else None
