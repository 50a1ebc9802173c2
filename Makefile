# `make demo` and `make test` do all their own set-up; `make` alone lists what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.SUFFIXES:
# The programs start often, and are not compiled anew each time.
export PYTHONDONTWRITEBYTECODE :=
.PHONY: help setup packages demo demo-openstack test test-all openstack openstack-begun test-openstack openstack-down \
	check crash-points soak bench docs constraints clean

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The first Python that is new enough; empty when there is none.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV := $(shell command -v uv 2>/dev/null)

# PROGRAM:PACKAGE, by Debian's names.
MACHINES := qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils busybox:busybox-static \
	dropbear:dropbear-bin mke2fs:e2fsprogs ssh:openssh-client zstd:zstd curl:curl kernel:
# What the whole private cloud needs beside that: networks, balancers, images, the guest agent.
CLOUD := ip:iproute2 nsenter:util-linux nft:nftables dnsmasq:dnsmasq-base pasta:passt \
	haproxy:haproxy mmdebstrap:mmdebstrap mcopy:mtools sgdisk:gdisk \
	/usr/lib/syslinux/mbr/gptmbr.bin:syslinux-common syslinux:syslinux \
	/usr/share/OVMF/OVMF_CODE_4M.fd:ovmf \
	/usr/lib/systemd/boot/efi/systemd-bootx64.efi:systemd-boot-efi qemu-ga:qemu-guest-agent
# OpenStack's object store, which the tests of S3 run against.
STORES := swift-proxy-server:swift-proxy swift-account-server:swift-account \
	swift-container-server:swift-container swift-object-server:swift-object \
	swift-ring-builder:swift memcached:memcached
# What several servers share; the tests run one of their own.
DATABASE := installed:postgresql
# What reads the files in deploy/.
TELEMETRY := promtool:prometheus
# What brings an OpenID Connect provider and a small store of S3; without it their tests are skipped.
NPM := npm:npm
# A real OpenStack, by Debian's own Python, whose packages it is made of.
OPENSTACK := /usr/bin/python3 -m tests.targets.openstack
PEERS := s3cmd:s3cmd aws:awscli nginx:nginx-light wrk:wrk curl:curl

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1#\2/p' Makefile | awk -F'#' '{ printf "%-22s %s\n", $$1, $$2 }'

setup: packages $(READY) ## Install Python packages into .venv, once and when they change

packages:
	@if ! PYTHON=$(PYTHON) .ci/packages $(MACHINES) $(CLOUD) $(if $(UV),,python-ensurepip:python3-venv) \
		&& [ "$${CI:-}" = true ]; then exit 1; fi

$(READY): pyproject.toml constraints.txt
ifneq ($(UV),)
	@echo "Setting up Python packages in $(VENV) with uv"
	@test -x $(BIN)/python || $(UV) venv --quiet --python '>=3.11' $(VENV)
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r constraints.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (Debian: python3)" >&2; exit 1; }
	@PYTHON=$(PYTHON) .ci/packages python-ensurepip:python3-venv
	@echo "Setting up Python packages in $(VENV) with pip"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
endif
	@touch $@

demo: $(READY) ## One program on three clouds: a real virtual machine, a mock, and EC2 by moto
	@.ci/packages $(MACHINES)
	@$(BIN)/python docs/examples/demo.py

demo-openstack: $(READY) openstack ## The same program on a real OpenStack
	@$(BIN)/python -m tests.targets.openstack.demo

test: packages openstack-begun $(READY) ## Run all tests
	@trap 'exit 130' INT TERM; trap '$(OPENSTACK) end' EXIT; $(BIN)/python -m pytest -q -n 4

test-all: ## Run all tests, with all cases of suites that run over several variants
	@NIMBI_ALL_CASES=1 $(MAKE) test

# In the background: it takes minutes, and the tests that need it come last. What the others need is
# installed before, since one installation waits for the other.
openstack-begun:
	@.ci/packages $(NPM) || true
	@if ! .ci/packages $(STORES) $(DATABASE) $(TELEMETRY) && [ "$${CI:-}" = true ]; then exit 1; fi
	@if [ "$$(id -u)" = 0 ] && .ci/packages /usr/bin/python3:python3; then $(OPENSTACK) begin; fi

openstack: ## Start the real OpenStack of the tests, as root; it stays until openstack-down
	@.ci/packages /usr/bin/python3:python3
	@$(OPENSTACK) up

test-openstack: $(READY) openstack ## Run all of OpenStack's tests on it, about half an hour
	@NIMBI_OPENSTACK_EVERYTHING=1 $(BIN)/python -m pytest -q -n 3 tests/drivers/openstack

openstack-down: ## Stop it, and keep its state
	@$(OPENSTACK) down

check: $(READY) ## Lint, format, types, layers, generated docs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m cogapp --check $(GENERATED)
	@$(BIN)/python -m pytest -q tests/test_architecture.py

# Some of it: make crash-points CRASH="--scene launch --database sqlite --every 5".
crash-points: $(READY) ## Kill each job's process at every call and commit, and print what comes of it
	@.ci/packages $(DATABASE)
	@$(BIN)/python -m tests.crash $(CRASH)

# Longer: make soak SOAK="--seconds 600 --clients 128".
soak: $(READY) ## Load three servers with faults and kills for three minutes, and count what is lost
	@.ci/packages $(DATABASE)
	@$(BIN)/python -m tests.soak $(SOAK)

bench: $(READY) ## Measure, as ratios against nginx, a bare route and bare QEMU
	@.ci/packages $(PEERS) $(MACHINES)
	@$(BIN)/python -m bench

# Pages with parts that are made from the code.
GENERATED = $(shell grep -rl '\[\[\[cog' README.md docs --include='*.md')

docs: $(READY) ## Write the generated parts of the docs anew
	@$(BIN)/python -m cogapp -r $(GENERATED)

constraints: ## Pin the newest versions of all packages; needs uv
	@uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --group dev \
		--generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml -o constraints.txt

clean: ## Remove what the targets made
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	@find . -name __pycache__ -prune -exec rm -rf {} +
