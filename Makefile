# SPDX-License-Identifier: BSD-3-Clause
# A thin front for meson and pytest; `make help` lists the targets.

MESON_SETUP = /usr/bin/meson setup
NINJA = ninja -C
DEPS = scripts/install-deps
RUN_TESTS = /usr/bin/python3 scripts/run-tests

# make DPDK=build/dpdk ...: built into build-static/, linked with what `make dpdk` has made there, and
# that build is tested.
ifdef DPDK
BUILD = build-static
MESON_OPTIONS = -Dpkg_config_path='$(abspath $(DPDK))/lib/pkgconfig'
export VIO4WD_BUILD = $(abspath $(BUILD))
export VIO4WD_DPDK = $(abspath $(DPDK))
else
BUILD = build
endif

.PHONY: all
all: ## build the programs into build/bin/
all: $(BUILD)/build.ninja
	@$(DEPS) build
	$(NINJA) $(BUILD)
	@ln -sfn src/bin $(BUILD)/bin

.PHONY: dpdk
dpdk: ## Debian's DPDK for 256 ports and static linking, into build/dpdk (minutes, once)
	@$(DEPS) dpdk
	@scripts/build-dpdk '$(DPDK)'

.PHONY: demo
demo: NINJA = ninja --quiet -C
demo: all ## a small VM talks through a relay to a network namespace
	@$(DEPS) demo
	@/usr/bin/python3 scripts/demo

.PHONY: test
test: all ## everything CI runs, summed up in the last line
	@$(DEPS) build check test demo metrics clang
	@$(RUN_TESTS) check unit black vm sriov-ci asan tsan fuzz

.PHONY: test-unit test-black test-vm test-sriov test-asan test-tsan
test-unit: all ## unit tests
	@$(DEPS) test
	@$(RUN_TESTS) unit
test-black: all ## the whole programs, without a VM
	@$(DEPS) test metrics
	@$(RUN_TESTS) black
test-vm: all ## real Linux guests, all of it (CI runs a selection)
	@$(DEPS) test demo
	@$(RUN_TESTS) vm-all
test-sriov: all ## VFs of emulated igb cards, in a VM with an IOMMU, all of it (CI runs a selection)
	@$(DEPS) build test demo
	@$(RUN_TESTS) sriov
test-asan: ## unit and selected black-box tests with ASan and UBSan (build-asan/)
	@$(DEPS) build test metrics
	@$(RUN_TESTS) asan
test-tsan: all ## unit tests that start threads, and selected black-box tests, with TSan (build-tsan/)
	@$(DEPS) build test metrics
	@$(RUN_TESTS) tsan

.PHONY: test-scale
test-scale: all ## 64 relays at once, traffic on all of them: after `make dpdk`, with DPDK=build/dpdk
	@$(DEPS) test
	@$(RUN_TESTS) scale

.PHONY: test-hostile test-faults fuzz
test-hostile: all ## guests that mean harm: the catalogue of attacks, and a fuzzer of guests' lives
	@$(DEPS) test
	@$(RUN_TESTS) hostile
test-faults: all ## what runs out, signals at any time, clocks that jump: more of it than in make test
	@$(DEPS) test
	@$(RUN_TESTS) faults
.PHONY: test-cpus
test-cpus: all ## 10,000 moves under load, the scheduler's simulator, what idle relays cost (a quiet machine)
	@$(DEPS) test
	@VIO4WD_MOVES=$${VIO4WD_MOVES:-10000} $(RUN_TESTS) cpus
FUZZ_SECONDS = 60
fuzz: ## every fuzzer for FUZZ_SECONDS (60), two at a time (build-fuzz/)
	@$(DEPS) build test clang
	@VIO4WD_FUZZ_SECONDS=$(FUZZ_SECONDS) $(RUN_TESTS) fuzz

.PHONY: soak coverage
SOAK_SECONDS = 3600
soak: all ## everything at once for SOAK_SECONDS (3600): accounted to the packet, nothing grows
	@$(DEPS) test
	@VIO4WD_SOAK_SECONDS=$(SOAK_SECONDS) $(RUN_TESTS) soak
coverage: ## what the unit and black-box tests execute (build-coverage/report/, docs/coverage.md)
	@$(DEPS) build test metrics coverage
	@$(RUN_TESTS) coverage
	@scripts/coverage-table

.PHONY: package test-package test-apparmor
package: dpdk ## the Debian package, linked with that DPDK, into build/package/
	@$(DEPS) build package
	@scripts/build-package
test-package: all package ## that package on a clean Debian with systemd: its services, upgrade, purge
	@$(DEPS) test tree
	@$(RUN_TESTS) package
test-apparmor: all package ## that package's AppArmor profile, enforced in a VM
	@$(DEPS) test tree demo
	@$(RUN_TESTS) apparmor

.PHONY: test-trixie test-arm64
test-trixie: ## build, unit and black-box tests on Debian 13 with its DPDK 24.11, in a chroot (build-trixie/)
	@$(DEPS) tree
	@scripts/test-on trixie
test-arm64: ## cross-build for arm64, unit tests by QEMU's user mode emulation, in a chroot (build-arm64/)
	@$(DEPS) tree
	@scripts/test-on arm64

.PHONY: bench bench-short bench-where test-bench
bench: all ## our daemon against testpmd and OVS-DPDK, every cell (docs/benchmark.md)
	@$(DEPS) test bench
	@/usr/bin/python3 tests/bench/bench.py full
bench-short: all ## the same for the commonest rings, in a minute
	@$(DEPS) test bench
	@/usr/bin/python3 tests/bench/bench.py short
bench-where: all ## where a worker's cycles go, function by function (perf)
	@$(DEPS) test bench
	@/usr/bin/python3 tests/bench/where.py
test-bench: all ## that the benchmark runs, on a few windows
	@$(DEPS) test bench
	@$(RUN_TESTS) bench

.PHONY: check
check: ## format, layering, reasons of coverage
	@$(DEPS) check
	@$(RUN_TESTS) check

.PHONY: format
format: ## clang-format over the tree
	@$(DEPS) check
	@scripts/check-format -i

# A build directory is made once; ninja itself notices changed meson files.
$(BUILD)/build.ninja:
	@$(DEPS) build
	$(MESON_SETUP) $(MESON_OPTIONS) $(BUILD)

.PHONY: clean
clean: ## remove the build directories; build/vm and build/dpdk, which take long, stay
	rm -rf build-static build-asan build-tsan build-fuzz build-coverage build-trixie build-arm64
	@if [ -d build ]; then find build -mindepth 1 -maxdepth 1 ! -name vm ! -name dpdk -exec rm -rf {} +; fi

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z][a-z0-9-]*\):[^#]*## /  make \1\t/p' Makefile | expand -t 20
