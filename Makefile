# Each target is a few commands that can be typed. `make` alone lists them.
#
# Always the whole workspace: with `-p` cargo would resolve other features for some dependencies, and compile the EC2 SDK,
# which takes minutes, a second time.

crd := amiops.dev_machineimages.yaml

.PHONY: help demo test simulate fuzz mutants lint build generate

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

demo: ## show the whole job once on this machine; KEEP=1 leaves it running
	@tests/demo/run

test: ## run all tests, the cheap ones first; builds what they need
	cargo test --workspace --lib --bins
	cargo test --workspace --doc
	tests/env/assets kube >/dev/null
	RUST_TEST_THREADS=6 cargo test --workspace --test '*'
	$(boto3)
	tests/chart.sh
	tests/demo/run >/dev/null && echo "ok  tests/demo/run"

# The only tests that need Python.
define boto3
@if ! command -v python3 >/dev/null; then echo "skipped: tests/ec2sim/boto3, no python3"; \
elif ! tests/ec2sim/boto3/run --prepare; then echo "skipped: tests/ec2sim/boto3, its Python packages cannot be installed"; \
else tests/ec2sim/boto3/run && echo "ok  tests/ec2sim/boto3/run"; fi
endef

SEEDS ?= 10000
FROM ?= 1

simulate: ## play whole histories: SEEDS=10000 FROM=1; or FIELDS=1, each field to each value; or one: REPLAY=SEED
	cargo run --quiet --release --bin simulation -- $(if $(FIELDS),--fields) \
		$(if $(REPLAY),--replay $(REPLAY),--seeds $(SEEDS) --from $(FROM))

fuzz: ## look for inputs that break a promise: TARGET=manifest MINUTES=10, or one: REPLAY=FILE
	@TARGET=$(TARGET) MINUTES=$(MINUTES) REPLAY=$(REPLAY) MERGE=$(MERGE) tests/fuzz/long

mutants: ## look for faults in the planner that no test finds; takes about an hour; FILES="src/plan/retire.rs"
	@tests/mutants/run $(FILES)

lint: ## check format, lints, and (where installed) licences, advisories and scripts
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check; else echo "cargo-deny is not installed: skipped"; fi
	@if command -v shellcheck >/dev/null; then shellcheck --external-sources $(scripts); else echo "shellcheck is not installed: skipped"; fi

scripts := .ci/run tests/chart.sh tests/fuzz/long tests/fuzz/instrumented tests/ec2sim/boto3/run tests/demo/run tests/demo/stage.sh tests/env/assets \
	tests/env/world tests/mutants/run

build: ## build everything, tests included
	cargo build --workspace --all-targets

generate: ## write what is derived from the types: crds/, the chart's copy, tables in docs/
	cargo run --quiet --bin amiops -- crd >crds/$(crd).new
	mv crds/$(crd).new crds/$(crd)
	cp crds/$(crd) charts/amiops/files/crds/
	UPDATE_DOCS=1 cargo test --quiet --workspace --test docs
