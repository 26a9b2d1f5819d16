# Everything from a fresh machine with Python 3.11 or newer and make: `make book`, `make test`.
# Where PyPI's torch would draw CUDA in (Linux with x86-64), `make book TORCH_INDEX=ADDRESS` takes it
# from the index of CPU builds that PyTorch's installation page names.
PYTHON ?= python3
WORKERS ?= 2
PORT ?= 8000
SEED ?= 0
MINUTES ?= 10
TORCH_INDEX ?=
REPO ?=
WHICH ?= newest

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Whatever changes what a notebook prints; a change empties the execution cache.
CODE := $(shell find vmtl_core -type f -not -name '*.pyc' 2>/dev/null)
PAGES := _config.yml _toc.yml $(wildcard _ext/*.py _ext/*/*)

export PATH := $(CURDIR)/$(BIN):$(PATH)
# Two processes share two cores: more threads than that only get in each other's way.
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/matplotlib
export PYDEVD_DISABLE_FILE_VALIDATION := 1

.PHONY: help env book test nightly dependencies mutants drill serve lab handouts bench format strip record renumber address clean
help:
	@echo "make book    build the book into _build/html"
	@echo "make test    build the book, then run the tests; chapters are compared as the build executed them"
	@echo "make nightly what make test leaves out: long tests, and every chapter executed anew by nbval"
	@echo "make dependencies WHICH=lowest   the core's tests with the oldest packages allowed, or the newest"
	@echo "make mutants try a hundred wrong versions of the core, list those that no test sees"
	@echo "make drill   kill, interrupt and starve fits, and call everything with nonsense for MINUTES=$(MINUTES)"
	@echo "make serve   show the built book on http://localhost:$(PORT)"
	@echo "make lab     open the chapters in JupyterLab"
	@echo "make handouts   chapters without solutions, solutions and slides, into _build/handouts"
	@echo "make bench   time one step of the objective, the redrawing of the widgets, and whole fits"
	@echo "make format  format the code and the chapters"
	@echo "make strip   strip the chapters' outputs, keeping those the tests compare"
	@echo "make record CHAPTER=book/07_linked_tasks.ipynb   run a chapter, store what the tests compare"
	@echo "make renumber MOVES=\"12=14\"   another number for a chapter, everywhere; also EQUATIONS=\"11.10=12.1\""
	@echo "             and EXERCISES=\"11.2=12.1\""
	@echo "make address REPO=owner/name   say where this repository is, everywhere it matters; by default,"
	@echo "             where this clone comes from; REPO=none takes the address away"
	@echo "make clean   remove what was built (not $(VENV))"

env: $(READY)
$(READY): requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version)'
	$(BIN)/python -m pip install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $$(grep '^torch==' requirements.txt)
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps --no-build-isolation -e .
	$(BIN)/python -c 'import matplotlib.font_manager'
	touch $@

_build/.code: $(CODE) requirements.txt
	rm -rf _build/.jupyter_cache _build/.doctrees _build/html
	mkdir -p _build && touch $@

_build/.pages: $(PAGES)
	rm -rf _build/.doctrees _build/html
	mkdir -p _build && touch $@

# A failed build must fail again: Sphinx would not repeat the warnings of pages that it has read.
book: $(READY) _build/.code _build/.pages
	$(BIN)/python tools/execute.py book _build/.jupyter_cache
	$(BIN)/jupyter-book build . -W -n --keep-going || { rm -rf _build/.doctrees; exit 1; }
	$(BIN)/python tools/package.py _build/html

test: book
	$(BIN)/python -m pytest -n $(WORKERS)

nightly: book
	$(BIN)/python -m pytest -n $(WORKERS) -m nightly
	$(BIN)/python -m pytest -n $(WORKERS) --nbval-lax book

# The core with other versions than those of requirements.txt, in an environment of its own.
OTHER := _build/$(WHICH)
CORE_TESTS = $(shell grep -rL --include='test_*.py' 'vmtl_core\.lab\|import scipy\|from scipy\|pyro\|tests\.mutants' \
	tests/analytic tests/closed_form tests/errors tests/gradients tests/properties)
dependencies:
	rm -rf $(OTHER) && $(PYTHON) -m venv $(OTHER)
	$(OTHER)/bin/python -m pip install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) \
		$(if $(filter lowest,$(WHICH)),$$(grep '^torch==' .github/lowest.txt),torch)
	$(OTHER)/bin/python -m pip install pytest pytest-xdist hypothesis \
		$(if $(filter lowest,$(WHICH)),-r .github/lowest.txt,numpy) .
	$(OTHER)/bin/python -m pip list
	$(OTHER)/bin/python -m pytest -n $(WORKERS) --override-ini=addopts= --confcutdir=tests \
		--import-mode=importlib --dist=loadfile -W default::FutureWarning -m "not nightly" $(CORE_TESTS)

mutants: $(READY)
	$(BIN)/python tools/mutate.py --count 100 --seed $(SEED)

drill: $(READY)
	$(BIN)/python tools/drill.py --minutes $(MINUTES) --seed $(SEED)

serve: book
	$(BIN)/python -m http.server $(PORT) --bind localhost --directory _build/html

lab: $(READY)
	cd book && $(CURDIR)/$(BIN)/jupyter lab

handouts: book
	$(BIN)/python tools/handouts.py _build/handouts

bench: $(READY)
	$(BIN)/python benchmarks/elbo_step.py
	$(BIN)/python benchmarks/streamed.py
	$(BIN)/python benchmarks/widget_redraw.py
	$(BIN)/python benchmarks/fit.py --again --output _build/fit.csv

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

strip: $(READY)
	$(BIN)/ruff format book
	$(BIN)/python tools/strip_notebooks.py book/*.ipynb

record: $(READY)
	$(BIN)/ruff format $(CHAPTER)
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace $(CHAPTER)
	$(BIN)/python tools/strip_notebooks.py $(CHAPTER)

renumber:
	$(PYTHON) tools/renumber.py $(MOVES) $(if $(EQUATIONS),--equations $(EQUATIONS)) \
		$(if $(EXERCISES),--exercises $(EXERCISES))

address:
	$(PYTHON) tools/address.py $(if $(filter none,$(REPO)),--none,$(or $(REPO),--from-remote))

clean:
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
