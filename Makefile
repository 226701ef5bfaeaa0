# Every command a person needs; `make help` lists them. Each sets up what it needs, so none has to be run before another.

AIRFLOW ?= 2.10.3
# What the integration tests run on: versions with commas between them, or all.
AIRFLOW_VERSIONS ?= 2.10.3,3.3.1
# What some of them are about, whatever else is chosen.
ALWAYS := 2.10.3,3.3.1
PYTHON  := build/venv/bin/python
SET_UP  := python3 tests/tools/set_up_machine.py --airflow $(AIRFLOW)

test test-integration test-all: SET_UP = python3 tests/tools/set_up_machine.py --airflow $(AIRFLOW_VERSIONS),$(ALWAYS)
empty :=
comma := ,
test-all: AIRFLOW_VERSIONS = $(subst $(empty) $(empty),$(comma),$(patsubst requirements/airflow-%.txt,%,$(wildcard requirements/airflow-*.txt)))
LONG_PARTS := tests/unit $(sort $(patsubst %/__init__.py,%,$(wildcard tests/integration/*/__init__.py))) tests/rehearsal

# What is rehearsed: a module below tests/rehearsal/scenarios, or all of them, one after the other.
SCENARIO  ?= backup_restore
SCENARIOS := $(patsubst tests/rehearsal/scenarios/%.py,%,$(wildcard tests/rehearsal/scenarios/[a-z]*.py))

export TF_IN_AUTOMATION := 1
export CHECKPOINT_DISABLE := 1
export PYTHONDONTWRITEBYTECODE := 1

# Every folder that holds *.tftest.hcl files, told by its module's folder.
TERRAFORM_MODULES := $(sort $(patsubst %/versions.tf,%,$(wildcard modules/*/versions.tf)))

# Tests take the provider from where set-up found it; plans of accounts keep the user's own settings of Terraform.
rehearse test test-all test-integration test-plan lint: export TF_CLI_CONFIG_FILE := $(CURDIR)/build/terraform.rc

.DEFAULT_GOAL := help
.PHONY: help rehearse test test-all test-unit test-integration test-plan lint docs format local package package-check plan apply clean bench

help: ## list these commands
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

set-up-%:
	@$(SET_UP) $*

.PHONY: scenario-chosen
scenario-chosen:
	@test -n "$(filter $(SCENARIO),$(SCENARIOS) all)" || { echo "SCENARIO is '$(SCENARIO)'; accepted: $(SCENARIOS) all"; exit 2; }

rehearse: scenario-chosen set-up-system set-up-terraform set-up-tools set-up-airflow ## lose an environment on the local stand-in, get it back, compare every row (SCENARIO=name, or all; DAGS=path adds your own DAGs, HISTORY=1000000 a long history to hot_standby)
	@$(PYTHON) -m tests.rehearsal --scenario $(SCENARIO) --airflow $(AIRFLOW) $(if $(DAGS),--dags $(DAGS)) $(if $(HISTORY),--history $(HISTORY))

# In the order they are named: rehearsals take longest, and one process does them while the other does the rest.
test: lint test-plan set-up-airflow ## everything: lint, plans, unit, integration, the rehearsals drill (which is backup_restore after a drill) and hibernate
	$(PYTHON) -m pytest -q -n 2 tests/unit
	$(PYTHON) -m pytest -n 2 --dist loadscope --no-loadscope-reorder tests/rehearsal tests/integration --airflow-versions $(AIRFLOW_VERSIONS)

# One JUnit file a folder, so that a part can be run again by itself; a failure does not keep the others from running.
test-all: lint security test-plan set-up-airflow ## the long matrices: every Airflow version, many kill seeds, each scenario rehearsed on each (hours); docs/test-report.md says how they ended
	for part in $(LONG_PARTS); do \
	  $(PYTHON) -m pytest $$part --airflow-versions all --rehearse all --seeds 100 \
	    --junitxml build/reports/$$(echo $${part#tests/} | tr / -).xml; \
	done; $(PYTHON) -m tests.tools.test_report

test-unit: set-up-tools ## the inner loop: no server, no network
	$(PYTHON) -m pytest -q -n 2 tests/unit

test-integration: set-up-system set-up-terraform set-up-tools set-up-airflow ## real PostgreSQL, real Airflow, real Terraform on the stand-in
	$(PYTHON) -m pytest tests/integration --airflow-versions $(AIRFLOW_VERSIONS)

test-plan: set-up-terraform set-up-tools ## terraform validate and terraform test of the module and each submodule
	@$(PYTHON) -m tests.tools.terraform_checks . $(TERRAFORM_MODULES)

lint: set-up-system set-up-terraform set-up-tools set-up-asl-validator package-check ## formats, types, state machines
	terraform fmt -check -recursive -diff
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy functions/mwaa_continuity
	$(PYTHON) -m mypy dags/continuity
	$(PYTHON) -m mypy examples/ci/plan_review
	$(PYTHON) -m tests.tools.validate_state_machines

.PHONY: security
security: set-up-tools set-up-security ## static analysis: checkov over the Terraform, zizmor over the pipelines (about a minute)
	$(PYTHON) -m tests.tools.security_checks

docs: set-up-tools ## write the tables of inputs and outputs into docs/reference.md and the modules' READMEs
	@$(PYTHON) -m tests.tools.terraform_docs write

format: set-up-tools ## rewrite HCL and Python into shape
	terraform fmt -recursive
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

bench: set-up-system set-up-tools set-up-airflow ## how fast, how heavy, how large: the engine beside PostgreSQL's own tools (OPTIONS="--repeats 1 --sizes 10000,100000" for less of it)
	@$(PYTHON) -m tests.bench --airflow $(AIRFLOW) $(OPTIONS)

local: set-up-system set-up-tools set-up-airflow ## run your DAGs on a local MWAA (DAGS=path AIRFLOW=version)
	@$(PYTHON) -m tests.local_aws.local --airflow $(AIRFLOW) $(if $(DAGS),--dags $(DAGS))

.PHONY: check-requirements
check-requirements: ## would MWAA's image install this requirements.txt (FILE=path AIRFLOW=version); offline, fails where it would not
	@test -n "$(FILE)" || { echo "FILE is ''; accepted: a requirements.txt, as in make check-requirements FILE=requirements.txt AIRFLOW=$(AIRFLOW)"; exit 2; }
	@PYTHONPATH=functions python3 -m mwaa_continuity.check_requirements --airflow $(AIRFLOW) $(FILE)

package: set-up-tools ## build functions/package.zip
	@$(PYTHON) -m tests.tools.package_functions build

package-check: set-up-tools ## the committed package is what the sources give
	@$(PYTHON) -m tests.tools.package_functions check

ACCOUNT ?=
ROLE    ?=
ROOT     = accounts/$(ACCOUNT)
PEER     = $(wildcard $(ROOT)/peer.tfvars.json)

.PHONY: account-chosen lock
account-chosen:
	@test -d "$(ROOT)" && test -n "$(ACCOUNT)" || { echo "ACCOUNT is '$(ACCOUNT)'; accepted: $(notdir $(patsubst %/main.tf,%,$(wildcard accounts/*/main.tf)))"; exit 2; }
	@test -f "$(ROOT)/$(ROLE).tfvars" && test -n "$(ROLE)" || { echo "ROLE is '$(ROLE)'; accepted: $(patsubst %.tfvars,%,$(notdir $(wildcard $(ROOT)/*.tfvars)))"; exit 2; }

plan: account-chosen ## plan one account's Region (ACCOUNT=sandbox ROLE=primary); saves the plan for `make apply`
	terraform -chdir=$(ROOT) init -reconfigure -backend-config=$(ROLE).s3.tfbackend
	terraform -chdir=$(ROOT) plan -var-file=$(ROLE).tfvars $(if $(and $(PEER),$(filter primary,$(ROLE))),-var-file=peer.tfvars.json) -out=$(ROLE).tfplan

apply: account-chosen ## apply the saved plan
	terraform -chdir=$(ROOT) apply $(ROLE).tfplan

# What a pipeline asks of a plan; PLAN is `label=file.json` (of `terraform show -json`), or several of them.
PLAN   ?=
MARKER ?= plan
REVIEW  = PYTHONPATH=examples/ci python3 -m plan_review

.PHONY: plan-chosen plan-comment plan-policy plan-redact
plan-chosen:
	@test -n "$(PLAN)" || { echo "PLAN is ''; accepted: files of terraform show -json, as in PLAN=\"prod/us-east-1=plan.json\""; exit 2; }

plan-comment: plan-chosen ## plans as one Markdown comment, what is replaced or deleted first (PLAN="label=plan.json ...")
	@$(REVIEW) comment --marker $(MARKER) $(PLAN)

plan-policy: plan-chosen ## deny plans that take away what holds state (PLAN=..., ALLOW="address ...", LABELS=file)
	@$(REVIEW) policy $(foreach address,$(ALLOW),--allow '$(address)') $(if $(wildcard $(LABELS)),--allow-file $(LABELS)) $(PLAN)

plan-redact: plan-chosen ## a plan reduced to what the comment needs, without sensitive values (PLAN=plan.json)
	@$(REVIEW) redact $(PLAN)

lock: set-up-tools ## compile the hash-locked requirements again (pins stay unless UPGRADE=package)
	for list in requirements/*.in; do build/boot/bin/uv pip compile --quiet --generate-hashes --no-header \
	  --python-version 3.11 $(if $(UPGRADE),--upgrade-package $(UPGRADE)) $$list -o $${list%.in}.txt || exit 1; done

clean: ## remove everything that commands made
	rm -rf build
