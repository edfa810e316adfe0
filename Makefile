# `make check`: what needs no host, in some minutes.   `make test`: everything, with simulated hosts.
# `make lab`: the described topology, deployed and proven, left up for you.   Needs Debian and, for labs, root.
# `make lab KUBERNETES=1.37.2`: today's, built from Go modules, on three masters; any version from 1.30 on.
# `make drill`: every fault RUNS times (30) on both examples, with quorate's and with other tools' settings, then
# MINUTES (10) of bad weather: five hours. `make drill RUNS=3 MINUTES=1` takes one. `bench/drill.py --go-on` goes on,
# `--again` measures some faults anew.
#
# Each target installs what it needs: a virtual environment from requirements.txt (versions and digests), from
# whatever package index this machine is configured for, and Debian packages that are missing.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.PHONY: go check programs static unit rest test soak lab lab-down bench drill ladder broken-upgrades recovery \
  conformance versions lock clean
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
QUORATE := $(BIN)/quorate
PYTEST := $(BIN)/python -m pytest

# examples/modern.yaml is at one version; at others a copy of it stands beside it.
ifdef KUBERNETES
LAB := $(if $(shell grep -F 'kubernetes: "$(KUBERNETES)"' examples/modern.yaml),examples/modern.yaml,\
  examples/modern-$(KUBERNETES).yaml)
else
LAB := examples/described.yaml
endif
NEWEST = $(shell sed -n 's/^  kubernetes: "\(.*\)"/\1/p' examples/modern.yaml)
# Where an upgrade to the newest begins: the latest with a lock that is of no newer minor than the one before.
BEFORE = $(shell ls src/quorate/artifact/golang/locks | sed -n 's/^kubernetes-//p' | sort -V | \
  grep -v '^$(basename $(NEWEST))\.' | tail -n 1)
RUNS := 30
MINUTES := 10
# Tests that wait for real programs more than they compute: sshd, HTTP servers with faults, sh in a root of its own.
UNIT := tests/unit tests/property
SLOW := tests/transport tests/artifact tests/cli/test_interrupt.py $(wildcard $(addprefix tests/unit/*/test_,kinds.py \
  lock.py lock_leftovers.py walk_lost.py killed_scripts.py disk_full.py once.py fallback.py job.py drill_kubelet.py \
  drill_runner.py probe.py probe_http2.py))
# Those that run programs which are built, and what has to do with backups. They come after others, for by then a new
# machine has built the newest; etcd's other lines they build themselves. They run beside the crashes, where nobody measures.
BUILT := $(wildcard tests/transport/test_backup_*.py) $(addprefix tests/,$(addprefix transport/test_,etcd_space.py \
  restored_etcd.py upgrade_questions.py) $(addprefix unit/,spec/test_known.py resource/test_trials.py \
  component/test_etcd_disk.py))
FIRST := $(filter-out $(BUILT),$(filter-out tests/transport,$(SLOW)) $(wildcard tests/transport/test_*.py))
# Stories that wait more than they compute, and bear being disturbed: they run beside the described cluster's. Those
# first that need no binaries: on a new machine the other side builds them meanwhile.
LIGHT := $(addprefix tests/lab/test_,hosts.py logins.py balancing.py sessions.py)
# What a client feels is measured here: nothing runs beside them.
ALONE := $(wildcard $(addprefix tests/lab/test_,modern.py stages.py))
# No run of lab tests takes longer than this, whatever hangs; INT lets pytest tear labs down and sum up.
LAB_LIMIT := timeout --foreground --signal=INT --kill-after=120 80m
LAB_TEST := $(PYTEST) -q --no-header -x -rs --durations=12 -m ""

$(READY): requirements.txt pyproject.toml
	@.ci/venv $(PYTHON) $(VENV)
	@touch $@

static: $(READY)
	@$(BIN)/ruff format --check --quiet src tests
	@$(BIN)/ruff check --quiet src tests
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }

# All at once, the tests in two halves; `static` says nothing when all is well, so pytest has the last word.
check: programs
	@$(MAKE) -j2 --output-sync=target unit rest static

programs: $(READY)
	@.ci/need openssl shellcheck iptables ip:iproute2 nft:nftables systemd-analyze:systemd rpmbuild:rpm
	@tests/transport/get_programs.sh > /dev/null

UNIT_TEST := $(PYTEST) -q --no-header $(UNIT) $(addprefix --ignore=,$(SLOW))
REST_TEST := $(PYTEST) -q --no-header tests $(addprefix --ignore=,$(UNIT) $(SLOW))

unit: $(READY)
	@$(UNIT_TEST)

rest: $(READY)
	@$(REST_TEST)

# On a new machine the newest and the minor before are built while others wait, with what they leave of the cores; their
# own tests wait for them.
test: check go
	@.ci/need curl ssh-agent:openssh-client strace debootstrap systemd-nspawn:systemd-container
	@setsid sh -c '.ci/low $(QUORATE) build --tests $(NEWEST); .ci/low $(QUORATE) build $(BEFORE)' \
	  > $(VENV)/build.log 2>&1 & build=$$!; \
	$(LAB_LIMIT) .ci/lanes '$(LAB_TEST) tests/lab/test_described.py' '$(LAB_TEST) $(FIRST) $(LIGHT)' \
	  -- '$(LAB_TEST) tests/lab/test_crashes.py' '$(LAB_TEST) $(BUILT)' \
	  -- '$(LAB_TEST) $(ALONE)'; \
	code=$$?; kill -- -$$build 2> /dev/null; exit $$code

# 100 crashes of each kind, and one between any two steps of a deployment: an hour or two.
soak: $(READY)
	@QUORATE_CRASHES=100 $(PYTEST) -q --no-header -s -x -m lab tests/lab/test_crashes.py

# With a Go for those who build from modules.
examples/modern-%.yaml: examples/modern.yaml
	@sed 's/kubernetes: ".*"/kubernetes: "$*"/' $< > $@

go: $(READY)
	@.ci/go $(VENV)

lab: $(READY) $(if $(KUBERNETES),go $(LAB))
	@$(QUORATE) lab up -f $(LAB)
	@$(QUORATE) apply -f $(LAB) --yes
	@$(QUORATE) verify -f $(LAB) --disruptive --yes
	@$(QUORATE) plan -f $(LAB)
	@echo
	@echo "The cluster runs. Go on with:"
	@echo "  $(QUORATE) status -f $(LAB)        what runs where"
	@echo "  $(QUORATE) kubeconfig -f $(LAB)    for your kubectl"
	@echo "  $(QUORATE) lab list                the simulated hosts"
	@echo "  make lab-down$(if $(KUBERNETES), KUBERNETES=$(KUBERNETES))    take it all away"

lab-down: $(READY)
	@$(QUORATE) lab down -f $(LAB)

bench: $(READY)
	@$(BIN)/python bench/run.py

drill: $(READY)
	@$(BIN)/python bench/drill.py --runs $(RUNS) --minutes $(MINUTES)

# Every minor that can be built, one after the other, deployed, and as an upgrade; goes on where it stopped.
ladder: $(READY) go
	@$(BIN)/python bench/ladder.py
	@$(BIN)/python bench/upgrades.py $(patsubst src/quorate/artifact/golang/locks/kubernetes-%,%,$(wildcard \
	  $(addprefix src/quorate/artifact/golang/locks/kubernetes-1.3,4.* 5.* 6.* 7.*)))

# Upgrades of which one program is broken, whose host dies, or whose operator is killed: what is back on what it ran. Half
# an hour, and goes on where it stopped.
broken-upgrades: $(READY) go
	@$(BIN)/python bench/broken_upgrades.py

# Members of etcd, their data, all hosts lost, and the ways back, on both examples: an hour. Goes on where it stopped.
recovery: $(READY) go
	@$(BIN)/python bench/recovery.py

# All conformance tests, on the newest in a lab; goes on where it stopped. bench/conformance.py takes other versions.
conformance: $(READY) go
	@$(BIN)/python bench/conformance.py

# What each version's programs know: asked of those in the cache, or in the folder PROGRAMS (etcd-3.7.3/bin/etcd, ...).
versions: $(READY)
	@$(BIN)/python versions/look.py $(PROGRAMS)

# New versions and digests, and no word of where they came from.
lock: $(READY)
	@$(BIN)/python -m pip install -qq 'uv>=0.13'
	@echo 'uv_build>=0.13' > $(VENV)/build.in
	@$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-annotate --no-header --python-version 3.11 \
	  --python-platform linux --group dev pyproject.toml $(VENV)/build.in -o requirements.txt

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	@find src tests -name __pycache__ -prune -exec rm -rf {} +
