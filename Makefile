# Each target installs what it needs into .venv, again whenever pyproject.toml changed.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo demo-daic test test-fast fuzz test-datasets36 test-lowest test-newest test-espnet test-browser lint api terminal model-cards bench conformance clean

.venv/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: .venv/.installed  ## train and serve a small PyResNet on synthetic speech
	$(BIN)/lssed-hf demo

demo-daic: .venv/.installed  ## the paper's Table 6 on synthetic interviews
	$(BIN)/lssed-hf demo-daic

# A process for each of two cores: a test's networks are too small to fill more than one. Files with slow tests come
# first (tests/conftest.py), so that no core waits for the other at the end.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 10

test: .venv/.installed  ## all tests, and the ten slowest
	$(PYTEST)

test-fast: .venv/.installed  ## the tests that start no process and train nothing for long
	HYPOTHESIS_PROFILE=fast $(PYTEST) -m "not slow and not browser"

fuzz: .venv/.installed  ## damaged and random input for every parser, ten minutes each
	$(BIN)/python scripts/fuzz.py --minutes $(or $(MINUTES),10)

test-datasets36: .venv-datasets36/.installed  ## the corpora in datasets 3.6, which still runs loading scripts
	.venv-datasets36/bin/python -m pytest tests/corpora/test_routes.py tests/corpora/test_lssed.py tests/corpora/test_base.py \
	    tests/corpora/test_source_files.py

.venv-datasets36/.installed: pyproject.toml
	test -x .venv-datasets36/bin/python || $(PYTHON) -m venv .venv-datasets36
	.venv-datasets36/bin/python -m pip install --quiet --disable-pip-version-check \
	    datasets==3.6.0 'lazy-loader>=0.4,<1' 'soundfile>=0.13,<0.15' 'soxr>=0.5,<2' 'av>=17.1,<19' 'regex>=2024.5,<2028' 'hypothesis>=6.100,<7' 'pytest>=8,<10'
	.venv-datasets36/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# The quick tier with the oldest versions that pyproject.toml allows, and with the newest Python. uv is PyPI's; it takes a
# Python of the machine, or downloads one where that can be had. datasets 3.6 by name: uv would raise it in place of what
# conflicts with it.
test-lowest: .venv-lowest/.installed  ## the quick tier with the oldest versions, on Python 3.10
	OMP_NUM_THREADS=1 HYPOTHESIS_PROFILE=fast .venv-lowest/bin/python -m pytest --numprocesses 2 --dist loadfile \
	    --no-loadscope-reorder -m "not slow and not browser"

test-newest: .venv-newest/.installed  ## the quick tier with the newest versions, on Python 3.13
	OMP_NUM_THREADS=1 HYPOTHESIS_PROFILE=fast .venv-newest/bin/python -m pytest --numprocesses 2 --dist loadfile \
	    --no-loadscope-reorder -m "not slow and not browser"

.venv-lowest/.installed: pyproject.toml .venv-uv/bin/uv
	test -x .venv-lowest/bin/python || .venv-uv/bin/uv venv --quiet --python 3.10 .venv-lowest
	.venv-uv/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct \
	    --editable '.[dev]' datasets==3.6.0
	touch $@

.venv-newest/.installed: pyproject.toml .venv-uv/bin/uv
	test -x .venv-newest/bin/python || .venv-uv/bin/uv venv --quiet --python 3.13 .venv-newest
	.venv-uv/bin/uv pip install --quiet --python .venv-newest/bin/python --upgrade --editable '.[dev]'
	touch $@

.venv-uv/bin/uv:
	$(PYTHON) -m venv .venv-uv
	.venv-uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5,<1'

test-espnet: .venv/.installed .venv-espnet/.installed  ## the recogniser against what ESPnet computes now
	rm -rf .venv-espnet/fixtures
	.venv-espnet/bin/python -W ignore tests/espnet_parity/oracle.py .venv-espnet/fixtures
	.venv-espnet/bin/python -W ignore tests/espnet_parity/search_oracle.py .venv-espnet/fixtures
	LSSED_HF_ESPNET_FIXTURES=.venv-espnet/fixtures $(BIN)/python -m pytest \
	    tests/models/espnet/test_parity_espnet_asr.py tests/models/espnet/test_generation_espnet_asr.py

# ESPnet asks for an old setuptools, with which pip would choose a version of ESPnet from 2023, and does not say all
# that it imports. torchaudio and the text front ends are stubbed in oracle.py.
.venv-espnet/.installed: Makefile
	test -x .venv-espnet/bin/python || $(PYTHON) -m venv .venv-espnet
	.venv-espnet/bin/python -m pip install --quiet --disable-pip-version-check 'torch==2.13.*' 'numpy>=2,<3' \
	    packaging typeguard humanfriendly librosa opt_einsum einops hydra-core h5py kaldiio sentencepiece jaconv PyYAML
	.venv-espnet/bin/python -m pip install --quiet --disable-pip-version-check --no-deps espnet==202511 torch_complex
	touch $@

test-browser: .venv/.browser  ## the page of `lssed-hf serve` in Chromium; screenshots in outputs/screenshots
	LSSED_HF_SCREENSHOTS=outputs/screenshots $(BIN)/python -m pytest -m browser tests/web

# Chromium is the system's, Playwright's or Debian's, whichever can be had.
.venv/.browser: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'playwright>=1.50,<2' 'axe-playwright-python>=0.1.4,<0.2'
	$(BIN)/python tests/web/chromium.py || $(BIN)/python -m playwright install --only-shell chromium \
	    || { apt-get update -qq && apt-get install -qq --no-install-recommends chromium-headless-shell; }
	touch $@

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python scripts/check_docstrings.py src scripts benchmarks

api: .venv/.installed  ## docs/api.md, the reference of all public names
	$(BIN)/python scripts/api_reference.py

terminal: .venv/.installed  ## docs/terminal.md, a session with the commands of the README
	$(BIN)/python scripts/record_terminal.py

model-cards: .venv/.installed  ## the cards of the recorded results
	$(BIN)/lssed-hf card $(addprefix benchmarks/results/,ravdess_table5 ravdess_adversarial ravdess_emodb) \
	    --output_dir model_cards

bench: .venv/.installed  ## side-by-side timings, and what they come to, in outputs/bench; half an hour
	rm -rf outputs/bench
	$(BIN)/python benchmarks/run.py --output_dir outputs/bench
	$(BIN)/python benchmarks/operators.py > outputs/bench/operators.md
	$(BIN)/python benchmarks/processes.py --work_dir outputs/bench/processes > outputs/bench/processes.md
	$(BIN)/python benchmarks/linear_cost.py --work_dir outputs/bench/linear --clips 1000 > outputs/bench/linear_cost.md
	$(BIN)/python benchmarks/machines.py --output outputs/bench/machines.json > outputs/bench/machines.md
	$(BIN)/python benchmarks/projection.py --results outputs/bench > outputs/bench/projection.md
	$(BIN)/python benchmarks/start.py > outputs/bench/start.md

conformance: .venv/.installed  ## transformers' own test suite for models and feature extractors
	$(BIN)/python tests/conformance/run.py

clean:
	rm -rf .venv .venv-datasets36 .venv-lowest .venv-newest .venv-uv .venv-espnet .conformance outputs
