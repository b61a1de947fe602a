# Everything starts from a bare clone with python3, make and the package registry:
#   make demo   trains and distils small detectors on synthetic scenes
#   make test   runs the tests
# Another Python: make PYTHON=python3.12 test

PYTHON ?= python3
WORKERS ?= 2

VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.PHONY: proof-sizes weighting web benchmark-int8-networks demo-figures figures default proof zoo help demo demo-teacher test test-fast test-long lint types doctest docs docs-serve notebooks real systems benchmark-step benchmark-cache benchmark-cache-layout benchmark-load benchmark-input large-data benchmark-int8 losses benchmark-mobile compression install clean

help:
	@echo "make demo            distil on synthetic scenes, results in runs/demo (about eight minutes)"
	@echo "make demo-teacher    rebuild the teacher that the demo loads"
	@echo "make demo-figures    the demo for three seeds, and the table of it in the docs"
	@echo "make figures         which committed figures are older than the code they are of"
	@echo "make test-fast       run the quick tests: three minutes on $(WORKERS) workers (WORKERS=4 for more)"
	@echo "make test            run the quick tests, then the others but the longest"
	@echo "make test-long       run the tests that take longest (minutes each)"
	@echo "make lint            ruff, formatting, direction of imports, types"
	@echo "make types           check the types with mypy"
	@echo "make doctest         run the examples in the docstrings"
	@echo "make docs            build the documentation in site/; make docs-serve shows it"
	@echo "make notebooks       run the notebooks, and keep what they show for the site (half an hour)"
	@echo "make web             the browser demo in build/demo (needs Node.js); make docs carries it then"
	@echo "make real            the proof on photographs: hours, resumable, needs the data folder"
	@echo "make systems         the six systems on photographs: hours, resumable, after make real"
	@echo "make benchmark-step  time of a distillation step, as ratios"
	@echo "make benchmark-mobile our student beside public detectors: AP, size, latency"
	@echo "make benchmark-cache time and disk of a stored teacher, as ratios"
	@echo "make benchmark-input images per second of the input in each mode, beside tf.data and Grain"
	@echo "make large-data      118,000 images: memory, and time to the first step (16 GB of disk)"
	@echo "make benchmark-cache-layout  our shards beside one .npy for each tensor"
	@echo "make benchmark-load  time and memory of reading a large COCO file, beside pycocotools"
	@echo "make benchmark-int8  which layers int8 makes faster here"
	@echo "make benchmark-int8-networks  what would make a preset faster as int8"
	@echo "make losses          all losses on one pair: hours, resumable, needs the data folder"
	@echo "make compression     int8 with and without training for it: hours, resumable, after make real"
	@echo "make default         what the default gains, pair by pair: hours, resumable"
	@echo "make weighting       balanced terms beside GradNorm and uncertainty: an hour, resumable"
	@echo "make proof           RTMDet-nano and students 2 to 8 times smaller: hours, resumable"
	@echo "make proof-sizes     AP by size of people of its smallest students: minutes after it"
	@echo "make zoo             the presets of the zoo: hours, resumable, needs the data folder"
	@echo "make install         make $(VENV) and install the package in it"
	@echo "make clean           remove $(VENV) and what builds leave behind"

install: $(INSTALLED)

# The stamp is written last, so an interrupted installation is taken up again.
$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "keras_hkd needs Python 3.11 to 3.13: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "$(PYTHON) cannot make $(VENV); on Debian: apt install python3-venv" >&2; exit 1; }
	$(RUN) -m pip install --disable-pip-version-check --constraint constraints.txt \
		--editable ".[test,docs,dev,jax,onnx,heic,video]"
	@touch $@

demo: $(INSTALLED)
	$(RUN) examples/demo.py

demo-figures: $(INSTALLED)
	$(RUN) benchmarks/demo_figures.py

figures: $(INSTALLED)
	$(RUN) benchmarks/figures.py

demo-teacher: $(INSTALLED)
	$(RUN) benchmarks/demo_teacher.py

PYTEST := $(RUN) -m pytest --numprocesses $(WORKERS) --dist worksteal

test-fast: $(INSTALLED)
	$(PYTEST) -m "not network and not slow and not own_process and not long"

# What fails fast fails first.
test: test-fast
	$(PYTEST) -m "(network or slow or own_process) and not long"

test-long: $(INSTALLED)
	$(RUN) -m pytest -m long

lint: types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/lint-imports

types: $(INSTALLED)
	$(RUN) -m mypy

doctest: $(INSTALLED)
	$(RUN) -m pytest --doctest-modules --numprocesses $(WORKERS) keras_hkd

# The banner about a successor of mkdocs is no message about this site.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(INSTALLED)
	$(RUN) -m mkdocs build --strict

notebooks: $(INSTALLED)
	$(RUN) docs/hooks/run_notebooks.py

docs-serve: $(INSTALLED)
	$(RUN) -m mkdocs serve

# npm writes this file last.
PACKAGES := demo/node_modules/.package-lock.json

$(PACKAGES): demo/package-lock.json
	@command -v npm >/dev/null \
		|| { echo "make web needs Node.js 20 with npm; on Debian: apt install npm" >&2; exit 1; }
	npm ci --prefix demo --ignore-scripts --no-audit --no-fund
	@touch $@

web: $(INSTALLED) $(PACKAGES)
	$(RUN) demo/build.py

real: $(INSTALLED)
	$(RUN) benchmarks/real_hkd.py

systems: $(INSTALLED)
	$(RUN) benchmarks/systems.py

benchmark-step: $(INSTALLED)
	$(RUN) benchmarks/step_time.py

benchmark-mobile: $(INSTALLED)
	$(RUN) benchmarks/mobile.py

benchmark-cache: $(INSTALLED)
	$(RUN) benchmarks/cache_time.py

benchmark-input: $(INSTALLED)
	$(RUN) benchmarks/input_time.py

large-data: $(INSTALLED)
	$(RUN) benchmarks/large_data.py

benchmark-load: $(INSTALLED)
	$(RUN) benchmarks/load_time.py

benchmark-cache-layout: $(INSTALLED)
	$(RUN) benchmarks/cache_layout.py

benchmark-int8-networks: $(INSTALLED)
	$(RUN) benchmarks/int8_networks.py

benchmark-int8: $(INSTALLED)
	$(RUN) benchmarks/int8_layers.py

losses: $(INSTALLED)
	$(RUN) benchmarks/losses.py

default: $(INSTALLED)
	$(RUN) benchmarks/default_pairs.py

weighting: $(INSTALLED)
	$(RUN) benchmarks/weighting.py

proof: $(INSTALLED)
	$(RUN) benchmarks/proof.py

proof-sizes: $(INSTALLED)
	$(RUN) benchmarks/proof_sizes.py

zoo: $(INSTALLED)
	$(RUN) benchmarks/zoo_train.py

compression: $(INSTALLED)
	$(RUN) benchmarks/compression_proof.py

clean:
	rm -rf $(VENV) build dist site demo/node_modules *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
