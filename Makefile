# make all: from a fresh clone to the report. make quick: its first table, in minutes.
# make test: everything that must hold.

CORES ?= 8
SUITE ?= $(shell sed -n 's/^suite: *//p' config/config.yaml)
FIRST ?= $(shell sed -n 's/^first: *//p' config/config.yaml)

VENV := .venv
NEEDED := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c '$(NEEDED)' 2>/dev/null && command -v $$name && break; done)

PYTHON := $(PYTHON)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# make all TORCH=cpu: torch without CUDA, a tenth of the download, where an index of such builds answers.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
ifneq ($(filter-out cpu,$(TORCH)),)
$(error TORCH=$(TORCH) is no build of torch that is known here: TORCH=cpu, or none for the default)
endif

# Snakemake does not start for a user without a home, as containers have them.
ifeq ($(HOME),)
export HOME := $(CURDIR)/.cache/home
endif

# Values given to make reach commands by the environment, so that no shell reads them.
all quick smoke rehearsal: export CORES := $(CORES)
all quick: export SUITE := $(SUITE)
quick: export FIRST := $(FIRST)

# They start hundreds of processes: none shall compile again what it imports.
test tests smoke rehearsal: export PYTHONDONTWRITEBYTECODE :=
$(VENV)/installed: export PYTHON := $(PYTHON)
$(VENV)/installed: export TORCH_INDEX := $(TORCH_INDEX)

# A virtual environment cannot hold commands in every folder: PATH ends a folder at a colon, and the
# commands that pip writes below a folder with a space pass its name to a shell.
define USABLE
case "$$PWD" in *:* | *\ *[\$$\`\"\\]* | *[\$$\`\"\\]*\ *) \
	printf 'error: commands of a virtual environment do not work below\n  %s\n%s\n' "$$PWD" \
	"  rename the folder: no colon, and no space beside a dollar sign, quote or backslash" >&2; exit 1;; esac
endef

.DEFAULT_GOAL := all
.PHONY: all quick test env check tests long tinyllama smoke rehearsal test-slurm site docs clean

all: env
	snakemake --cores "$$CORES" all $(if $(filter command% env%,$(origin SUITE)),--config suite="$$SUITE")
	@echo "report: $$PWD/results/$$SUITE/report.html"
	@ls "$$PWD/results/$$SUITE/report.pdf" 2>/dev/null || true

# The cells that `make all` fills first, and the page they are on; the rest are dashes until `make all`.
quick: env
	snakemake --cores "$$CORES" html --config cells="$$FIRST" $(if $(filter command% env%,$(origin SUITE)),suite="$$SUITE")

# The checks and the site keep one core busy at most, so they run beside the suite.
test: env
	$(MAKE) --jobs 2 smoke check site
	$(MAKE) tests

env: $(VENV)/installed

# Modules are compiled when they are imported, unless that would be each time: most never are.
INSTALL = $(VENV)/bin/python -m pip install --quiet $(if $(PYTHONDONTWRITEBYTECODE),,--no-compile) \
 --constraint constraints.txt
$(VENV)/installed: pyproject.toml constraints.txt
	@$(USABLE)
	@"$$PYTHON" -c '$(NEEDED)' 2>/dev/null || { echo "error: bitswitch needs Python 3.11 or newer;\
	 found: $$(python3 --version 2>&1). If it has another name: make all PYTHON=/path/to/python" >&2; exit 1; }
	test -x $(VENV)/bin/python || "$$PYTHON" -m venv $(VENV)
	$(if $(TORCH),$(INSTALL) --no-deps --retries 0 --timeout 20 --index-url "$$TORCH_INDEX" torch torchvision || \
	 echo "no build of torch without CUDA came from $$TORCH_INDEX (another: TORCH_INDEX=...):" \
	 "the errors above say why; the default one is installed" >&2)
	$(INSTALL) --editable '.[dev]'
	touch $@

check: env
	ruff check
	ruff format --check
	snakefmt --check Snakefile workflow
	mypy
	lint-imports
	codespell

# One process per core, so one thread each.
tests: env
	OMP_NUM_THREADS=1 pytest --numprocesses auto --dist worksteal --durations=50

# The documentation as a site, with the gallery where its tables and figures have been rendered.
site: env
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

# With the gallery; rendering it takes a minute or two, once.
GALLERY := results/expected/mini/report.html
docs: $(GALLERY)
	$(MAKE) site
	@echo "documents: $$PWD/site/index.html; with search: python -m http.server --directory site"

$(GALLERY): results/reference/mini.tar.xz | env
	bitswitch report $< --results results/expected

# Every method through the real compiler: a minute each.
long: env
	pytest -m long

# Two random blocks of TinyLlama's shape through every job of the suite.
tinyllama: env
	OMP_NUM_THREADS=1 pytest -m long tests/workflow/test_tinyllama.py

# Every job of suite paper in a few steps, on noise: before a GPU hour is spent. Two processes share the
# runs of one network, unless there is one GPU.
SHARED = python -c "from bitswitch.runtime.devices import gpus_for as g; print(min(2, len(g('auto')) or 2))"
rehearsal: env
	bitswitch data fake --suite rehearsal
	snakemake --cores "$$CORES" all --config suite=rehearsal gpus_per_run="{deit: $$($(SHARED))}"

# A suite through a real Slurm on this machine; root on Debian or Ubuntu. The plugin stays out of the
# environment: it slows every start of Snakemake down where Slurm does not answer.
PLUGIN := .cache/slurm-plugin
test-slurm: env
	tests/cluster/slurm.sh install
	test -d $(PLUGIN) || $(VENV)/bin/python -m pip install --quiet --no-deps --target $(PLUGIN) \
	 snakemake-executor-plugin-slurm snakemake-executor-plugin-slurm-jobstep throttler
	OMP_NUM_THREADS=1 PYTHONPATH=$(CURDIR)/$(PLUGIN) pytest -m '' --numprocesses 0 tests/cluster

smoke: env
	snakemake --cores "$$CORES" all --config suite=smoke

# Training runs, scores, searches and datasets stay: they may have taken days.
KEPT := data runs sensitivities searches reference
clean:
	find results -mindepth 1 -maxdepth 1 -type d $(KEPT:%=! -name %) -exec rm -r {} +
	rm -rf .snakemake .cache build site *.egg-info
