# SPDX-License-Identifier: Apache-2.0
# The front door: thin names for what Meson and the scripts do. 'make help' lists them.

BUILD := build/dev
RELEASE := build/release
SOURCES = $(shell git ls-files -co --exclude-standard '*.c' '*.h')

.PHONY: all help build demo test coverage knocks soak model cycles fuzz bench install dist deb format lint clean

all: build

help:
	@echo 'make          build dimmer into $(BUILD)'
	@echo 'make demo     install what is missing, build, and play the worked example on a real guest'
	@echo '              (KEEP=1 leaves the guest running)'
	@echo 'make test     install what is missing, build with sanitizers, and run every test, on real guests'
	@echo 'make coverage count the lines and branches that the unit tests reach, and with TESTS="tests/real -k unplug" what'
	@echo '              those real-guest tests reach as well'
	@echo 'make knocks   change guests at random while all kinds of things go wrong, and hold every account against the'
	@echo '              others (MINUTES=30; SEED=N makes the same knocks again)'
	@echo 'make soak     look into guests of every kernel while their memory comes and goes (MINUTES=15)'
	@echo 'make model    play random sequences of all three ways on real guests against a model (SEQUENCES=50; SEED=N: the first;'
	@echo '              KERNEL=6.1, or 5.10, or 6.12)'
	@echo 'make cycles   stop, start, raise and lower VMs with a floor, for each kernel and kind of device (CYCLES=20;'
	@echo '              KERNEL=6.12: with that one only)'
	@echo 'make fuzz     search for inputs that break what reads text from outside (SECONDS=60 for each target)'
	@echo 'make bench    measure; prints tables and writes build/bench.json'
	@echo 'make install  build without debugging aids and install (DESTDIR and PREFIX are honoured)'
	@echo 'make dist     make a source release of the last commit in build/dist, which builds without npm and a network'
	@echo 'make deb      build Debian packages of the last commit in build/deb, and check them with lintian'
	@echo 'make format   format the C sources'
	@echo 'make lint     check format, scripts and manual pages, and read the sources with clang, clang-tidy, cppcheck and gcc -fanalyzer'

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

coverage:
	@scripts/install-packages build coverage $(if $(TESTS),guest test)
	@scripts/coverage $(TESTS)

knocks:
	@scripts/install-packages build guest test
	@scripts/build $(BUILD)
	@/usr/bin/python3 -B tests/knocks/knocks.py $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

soak:
	@scripts/install-packages build guest test
	@scripts/build $(BUILD)
	@DIMMER_SOAK=$(or $(MINUTES),15) /usr/bin/python3 -B -m pytest -p no:cacheprovider -q -s tests/real/test_coming_and_going.py

model:
	@scripts/install-packages build guest test
	@scripts/build $(BUILD)
	@DIMMER_MODEL=$(or $(SEQUENCES),50) $(if $(SEED),DIMMER_SEED=$(SEED)) $(if $(KERNEL),DIMMER_KERNEL=$(KERNEL)) \
	  /usr/bin/python3 -B -m pytest -p no:cacheprovider -q -s tests/real/test_model.py

cycles:
	@scripts/install-packages build guest test
	@scripts/build $(BUILD)
	@DIMMER_CYCLES=$(or $(CYCLES),20) /usr/bin/python3 -B -m pytest -p no:cacheprovider -q -s tests/real/test_cycles.py \
	  $(if $(KERNEL),-k '$(KERNEL)-')

fuzz:
	@scripts/install-packages build lint fuzz
	@scripts/fuzz $(SECONDS)

bench:
	@scripts/install-packages build guest bench
	@scripts/build $(RELEASE) --buildtype=release
	@/usr/bin/python3 -B bench/bench.py $(BENCH)

# Configured afresh, as PREFIX may be another one than the last time. Installs no packages: Meson says which are missing.
install:
	@rm -rf build/install
	@scripts/build build/install --buildtype=release $(if $(PREFIX),--prefix=$(PREFIX))
	@meson install -C build/install --no-rebuild

dist:
	@scripts/install-packages dist
	@scripts/dist

deb:
	@scripts/install-packages build dist deb
	@scripts/deb
	@lintian --fail-on error,warning,info,pedantic --pedantic --display-info build/deb/*.changes

format:
	@scripts/install-packages lint
	clang-format -i $(SOURCES)

lint:
	@scripts/install-packages build lint
	@scripts/lint

clean:
	rm -rf build
