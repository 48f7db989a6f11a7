#!/bin/sh
# What an image holds: a compiler for torch.compile, TeX for report.pdf, and bitswitch with the versions
# of constraints.txt. Dockerfile and bitswitch.def both call it: install.sh FOLDER-OF-THE-CLONE.
set -eu

apt-get update
# git tells which commit a mounted clone is at.
apt-get install --yes --no-install-recommends g++ git make \
    texlive-latex-base texlive-latex-recommended texlive-latex-extra texlive-science \
    texlive-fonts-recommended lmodern latexmk
rm -rf /var/lib/apt/lists/*

# torch of the ordinary index is built for CUDA; the driver comes from the machine.
cd "$1"
python -m pip install --no-cache-dir --constraint constraints.txt '.[energy,kubernetes,llm]'
rm -rf build ./*.egg-info
