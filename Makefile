# The two commands are `make demo` and `make test`; both set up what they need.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# One profile for everything, so that nothing is compiled twice.
CARGO_FLAGS := --release --locked

env := source tools/env.sh
# ROS tests talk to nobody else on this machine or network.
ros_env := export ROS_DOMAIN_ID=$$((RANDOM % 100 + 1)) ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST

.PHONY: help setup build demo scenarios fuzz performance test lint test-core test-rust test-python test-vision-msgs clean distclean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 18

setup: ## get ROS 2, libtorch and the messages in place
	@tools/setup

build: setup ## build library, executables and examples
	$(env); cargo build $(CARGO_FLAGS) --lib --bins --examples

demo: build ## the drawn drive through the real node, with a summary in target/demo/
	$(env); $(ros_env); cargo run $(CARGO_FLAGS) --quiet --example demo

scenarios: build ## the scenarios of tests/scenarios/ with the shipped monitor, and a report in target/scenarios/: five minutes
	mkdir -p target/scenarios
	$(env); cargo run $(CARGO_FLAGS) --quiet --bin activation-monitor -- replay \
	    --model models/traffic_signs --monitor models/traffic_signs/traffic_signs.monitor \
	    --report target/scenarios --junit target/scenarios/junit.xml tests/scenarios/*.yaml

fuzz: setup ## a million mutated bags, messages, images, monitors, scenarios and descriptions each: an hour
	tools/fuzz

performance: ## measure the figures of docs/performance.md, into it and target/performance.json: half an hour, 5 GB for the peer
	@tools/load_test --suite --soak --peer --json target/performance.json --markdown docs/performance.md

test: lint test-core test-rust test-python ## everything that has to pass
	@echo "make test: all passed"

lint: setup ## formatting and clippy
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	$(env); cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	$(env); cargo clippy $(CARGO_FLAGS) --no-default-features --all-targets -- -D warnings

test-core: setup ## Rust tests of what builds without ROS 2 and viewer, the command line included
	$(env); cargo test $(CARGO_FLAGS) --no-default-features --tests

test-rust: setup ## Rust tests with ROS 2 and viewer
	$(env); $(ros_env); cargo test $(CARGO_FLAGS) --lib

test-python: build ## set-up, launch files, running node, demo, colcon build
	$(env); $(ros_env); python -m unittest discover --start-directory tests --pattern 'test_*.py' --verbose

test-vision-msgs: setup ## node built against vision_msgs; minutes, so not part of `make test`
	$(ros_env); tests/vision_msgs/run

clean: ## remove what was built in this checkout
	rm -rf target build install log

distclean: clean ## also what was downloaded into it
	rm -rf .deps
	@if grep -qs '^# Written by tools/setup' .cargo/config.toml; then rm -rf .cargo; fi
