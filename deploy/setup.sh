#!/bin/sh
# Makes .venv from the lock and installs the project into it: `deploy/setup.sh [runtime|dev]`.
# Does nothing when nothing changed. `dev` also sees to a PostgreSQL server, fault injection and a model checker for the tests.
# Takes its packages from wherever this machine's pip or uv is configured to; PYTHON=... chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."
export UV_PYTHON_DOWNLOADS=never

mode=${1:-runtime}
case $mode in
runtime) lock=requirements.lock ;;
dev) lock=requirements-dev.lock ;;
*) echo "usage: deploy/setup.sh [runtime|dev]" >&2; exit 2 ;;
esac

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
root_with_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
apt_install() {
    say "installing $* with apt-get"
    DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 || return 1
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >&2 || return 1
}

find_python() {
    candidates=${PYTHON:-python3 python3.13 python3.12 python3.11}
    for candidate in $candidates; do
        if new_enough "$candidate"; then echo "$candidate"; return; fi
    done
    die "needs Python 3.11 or newer and found none (tried: $candidates)." \
        "Install one, or name it: make setup PYTHON=/path/to/python3"
}

make_venv() {
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        { root_with_apt && apt_install "$package"; } ||
            die "$python cannot make virtual environments. Install its venv package (Debian, Ubuntu: apt install $package)."
    fi
    say "making .venv with $("$python" --version)"
    "$python" -m venv .venv || { rm -rf .venv; die "$python could not make .venv, see above."; }
}

# uv is much faster, so it is used where pip can get it; pip does the same job otherwise.
install() {
    say "installing $lock"
    if { [ -x .venv/bin/uv ] || .venv/bin/python -m pip install -q --require-hashes -r requirements-uv.lock; } &&
        .venv/bin/uv pip install -q --compile-bytecode --python .venv/bin/python --require-hashes -r $lock &&
        .venv/bin/uv pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .; then
        return
    fi
    say "uv could not do it here; going on with pip, which takes a minute or two"
    .venv/bin/python -m pip install -q --require-hashes -r $lock
    .venv/bin/python -m pip install -q --no-deps --no-build-isolation -e .
}

# Root installs the server; anyone else unpacks it, with the libraries it lacks, where tests/postgres.py looks.
get_postgres() {
    if root_with_apt; then
        apt_install postgresql
    elif command -v apt-get >/dev/null; then
        say "unpacking PostgreSQL into .cache/postgres"
        rm -rf .cache/postgres .cache/debs
        mkdir -p .cache/postgres .cache/debs
        packages=$(apt-get -qq -s install --no-install-recommends postgresql | awk '/^Inst/ {print $2}')
        # shellcheck disable=SC2086  # a list of names
        (cd .cache/debs && apt-get -qq download $packages)
        for deb in .cache/debs/*.deb; do dpkg -x "$deb" .cache/postgres; done
        rm -rf .cache/debs
    fi
}

# What the tests of faults strike with; without them, and without root, those tests are skipped and say so.
get_strikers() {
    for tool in strace faketime iptables ip tc; do
        command -v $tool >/dev/null || { root_with_apt && apt_install strace faketime iptables iproute2; return; }
    done
}

# The sheet of a month as PDF needs a font with Chinese characters; everything else works without.
get_font() {
    .venv/bin/python -m node.service.press_child --font >/dev/null 2>&1 && return
    root_with_apt && apt_install fonts-wqy-microhei && return
    say "no font with Chinese characters here: the sheet of a month cannot be made as PDF" \
        "(Debian, Ubuntu: apt install fonts-wqy-microhei)."
}

# The tests of the pages drive the system's own Chromium; a font it can write Chinese in belongs to that.
get_chromium() {
    .venv/bin/python -m tests.chromium 2>/dev/null && return
    { root_with_apt && apt_install chromium fonts-wqy-microhei; } || true
    .venv/bin/python -m tests.chromium || { say "the tests of the console in a browser will fail until this is mended"; return 1; }
}

# Go's own transparency log checks ours. It comes with Debian, sources and all, so nothing is fetched at test time.
get_go() {
    [ -d /usr/share/gocode/src/golang.org/x/mod/sumdb ] && command -v go >/dev/null && return
    root_with_apt && apt_install golang-go golang-golang-x-mod-dev && return
    say "tests/foreign needs Go and its x/mod module (Debian, Ubuntu: apt install golang-go golang-golang-x-mod-dev)"
}

# The models of tests/model are checked by spin, which writes C. Without them those tests are skipped, loudly.
get_checker() {
    lacking=
    for tool in spin gcc; do command -v "$tool" >/dev/null || lacking="$lacking $tool"; done
    [ -n "$lacking" ] || return 0
    # shellcheck disable=SC2086  # a list of names
    { root_with_apt && apt_install $lacking libc6-dev; } ||
        say "the tests of the models will be skipped: no$lacking (Debian, Ubuntu: apt install$lacking libc6-dev)."
}

[ -d .venv ] && ! new_enough .venv/bin/python && die ".venv is broken or older than Python 3.11: run make clean first."
[ -d .venv ] || make_venv

stamp=$(cat $lock pyproject.toml deploy/setup.sh | cksum)
[ "$(cat .venv/.set-up-$mode 2>/dev/null)" != "$stamp" ] || exit 0
install
get_font || true
[ "$mode" != dev ] || get_strikers || say "some tests of faults will be skipped"
[ "$mode" != dev ] || get_go || true
[ "$mode" != dev ] || get_checker
if [ "$mode" = dev ] && ! .venv/bin/python -m tests.postgres 2>/dev/null; then
    get_postgres || true
    .venv/bin/python -m tests.postgres || { say "the tests marked postgres will fail until this is mended"; exit 0; }
fi
if [ "$mode" = dev ]; then get_chromium || exit 0; fi
echo "$stamp" >.venv/.set-up-$mode
