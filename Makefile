# SPDX-License-Identifier: Apache-2.0
# The front door: thin names for what Meson and the scripts do. 'make help' lists them.

BUILD := build/dev
RELEASE := build/release
SOURCES = $(shell git ls-files -co --exclude-standard '*.c' '*.h')

.PHONY: all help build demo test fuzz bench install format lint clean

all: build

help:
	@echo 'make          build dimmer into $(BUILD)'
	@echo 'make demo     install what is missing, build, and play the worked example on a real guest'
	@echo '              (KEEP=1 leaves the guest running)'
	@echo 'make test     install what is missing, build with sanitizers, and run every test, on real guests'
	@echo 'make fuzz     search for inputs that break what reads text from outside (SECONDS=60 for each target)'
	@echo 'make bench    measure; prints tables and writes build/bench.json'
	@echo 'make install  build without debugging aids and install (DESTDIR and PREFIX are honoured)'
	@echo 'make format   format the C sources'
	@echo 'make lint     check format, scripts, manual page, and compile with clang as well'

build:
	@scripts/install-packages build
	@scripts/build $(BUILD)

demo:
	@scripts/install-packages build guest
	@scripts/build $(BUILD)
	@/usr/bin/python3 -B demo/demo.py $(if $(KEEP),--keep)

test:
	@scripts/install-packages build guest test lint
	@scripts/test

fuzz:
	@scripts/install-packages build lint fuzz
	@scripts/fuzz $(SECONDS)

bench:
	@scripts/install-packages build guest bench
	@scripts/build $(RELEASE) --buildtype=release
	@/usr/bin/python3 -B bench/bench.py $(BENCH)

# Configured afresh, as PREFIX may be another one than the last time.
install:
	@scripts/install-packages build
	@rm -rf build/install
	@scripts/build build/install --buildtype=release $(if $(PREFIX),--prefix=$(PREFIX))
	@meson install -C build/install --no-rebuild

format:
	@scripts/install-packages lint
	clang-format -i $(SOURCES)

lint:
	@scripts/install-packages build lint
	@scripts/lint

clean:
	rm -rf build
