PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
BOOK_PAGES := _build/html
NOTEBOOK_TIMEOUT := 300
EXECUTED := _build/executed
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# torch starts in two seconds from byte code and in six without
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test chapter weekly-test sync check book lint types clean

help:
	@echo "make setup   create .venv with pinned packages"
	@echo "make demo    make data, train SMORe, compare with the paper (writes demo/)"
	@echo "make test    run everything that must hold"
	@echo "make chapter NAME=learning/smore  check one chapter and build its page"
	@echo "make weekly-test  run what takes longer, and every chapter from the wheel alone"
	@echo "make sync    write notebooks and modules from the chapters"
	@echo "make check   list notebooks and modules that differ from their chapters"
	@echo "make book    build the book into $(BOOK_PAGES)"
	@echo "make lint    check style"
	@echo "make types   check the package's types (a minute the first time)"
	@echo "make clean   remove what was built, but not .venv, data or runs"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 14) or sys.exit("smore_lit needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is %d.%d: run make PYTHON=python3.11 setup" % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[all]'
	@touch $@

demo: setup
	@$(BIN)/smore-lit demo --out demo

test: setup lint
	@echo "== unit tests"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not weekly" tests
	@echo "== twins in step with their chapters"
	@$(BIN)/python -m smore_lit.appendix.literate check
	@echo "== notebooks"
	@rm -rf _build
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal --nbmake --nbmake-timeout=$(NOTEBOOK_TIMEOUT) --keep-executed=$(EXECUTED) book/
	@echo "== the book, from these notebooks, warnings fatal"
	@mkdir -p _build/.jupyter_cache
	@find $(EXECUTED) -name '*.ipynb' -exec $(BIN)/jcache cache -p _build/.jupyter_cache add --no-validate {} + > /dev/null
	@sed 's/execute_notebooks: force/execute_notebooks: cache/' _config.yml > _build/_config.yml
	@$(BIN)/jupyter-book build . --config _build/_config.yml -W --keep-going
	@echo "== all of it holds"

CHAPTER_TESTS = $(sort $(wildcard tests/test_$(notdir $(NAME)).py \
  tests/test_$(subst /,_,$(NAME)).py))

chapter: sync lint
	@rm -rf $(EXECUTED)
	@test -f "book/$(NAME).md" || { echo "say which: make chapter NAME=learning/smore" >&2; exit 2; }
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal $(CHAPTER_TESTS) tests/test_structure.py
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --nbmake --nbmake-timeout=$(NOTEBOOK_TIMEOUT) --keep-executed=$(EXECUTED) book/$(NAME).ipynb
	@mkdir -p _build/.jupyter_cache
	@find $(EXECUTED) -name '$(notdir $(NAME)).ipynb' -exec $(BIN)/jcache cache -p _build/.jupyter_cache add --no-validate {} + > /dev/null
	@sed 's/execute_notebooks: force/execute_notebooks: cache/' _config.yml > _build/_config.yml
	@$(BIN)/jupyter-book build book/$(NAME).md --config _build/_config.yml --path-output .

weekly-test: setup
	@echo "== tests that take long"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m weekly tests
	@echo "== every chapter, from the wheel, in an empty folder"
	@$(BIN)/python tests/installation.py

sync: setup
	@$(BIN)/python -m smore_lit.appendix.literate sync

check: setup
	@$(BIN)/python -m smore_lit.appendix.literate check

book: setup
	@$(BIN)/jupyter-book build .
	@echo "open $(BOOK_PAGES)/index.html"

lint: setup
	@$(BIN)/ruff check smore_lit tests benchmarks book/conftest.py
	@$(BIN)/ruff format --check tests benchmarks smore_lit/__init__.py book/conftest.py

types: setup
	@$(BIN)/mypy

clean:
	@rm -rf _build jupyter_execute demo .pytest_cache .ruff_cache .mypy_cache *.egg-info
	@find book smore_lit tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
	@find book -name .ipynb_checkpoints -prune -exec rm -rf {} +
