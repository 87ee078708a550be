#!/usr/bin/env bash
# Installs the servers that the tests talk to: SeaweedFS (S3), azurite (Azure Blob Storage) and nginx,
# Ghostscript, strace, iproute2, schemathesis, which tries the API against its description, and Chromium with ChromeDriver, in
# which the web console is tried.
#
# The versions and their hashes are pinned in testkit/tools/. What comes from pip and npm goes to $IMAGO_TOOLS, or
# target/tools of this repository; the others are Debian's packages. Safe to run again: what is there already is left alone.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pins=$repo/testkit/tools
tools=${IMAGO_TOOLS:-$repo/target/tools}
mkdir -p "$tools"

say() { printf 'install-test-tools: %s\n' "$*"; }
fail() {
    printf 'install-test-tools: %s\n' "$*" >&2
    exit 1
}
need() { command -v "$1" >/dev/null || fail "$1 is missing: $2"; }

# Two runs at once would overwrite each other's files half-way.
if command -v flock >/dev/null; then
    exec 9>"$tools/.lock"
    flock 9
fi

# A folder is ready when it holds the hash of the pins it was made from, which is written last.
is_current() { [[ -f $1/.pins && $(<"$1/.pins") == "$2" ]]; }
hash_of() { cat "$@" | sha256sum | cut -d' ' -f1; }

# Makes folder $1 from pins with hash $2 by running the rest of the arguments with the new folder's path at the end.
replace() {
    local folder=$1 hash=$2 started=$SECONDS
    shift 2
    rm -rf "$folder.new"
    mkdir -p "$folder.new"
    "$@" "$folder.new"
    printf '%s' "$hash" >"$folder.new/.pins"
    rm -rf "$folder"
    mv "$folder.new" "$folder"
    say "installed $(basename "$folder") in $((SECONDS - started)) s"
}

install_seaweedfs() {
    need python3 'install Python 3 with pip'
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --no-deps --require-hashes --only-binary=:all: --target "$1" --requirement "$pins/requirements.txt"
}

install_schemathesis() {
    need python3 'install Python 3.10 or newer with pip'
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --no-deps --require-hashes --only-binary=:all: --target "$1" --requirement "$pins/schemathesis.txt"
}

install_azurite() {
    need npm 'install Node.js 20 or newer with npm'
    cp "$pins/package.json" "$pins/package-lock.json" "$1/"
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
}

# Installs Debian's packages: $1 says what for.
install_packages() {
    local what=$1 started=$SECONDS
    shift
    [[ $(id -u) == 0 ]] || fail "$what is missing: install $*, or run this script as root"
    need apt-get "install $* with the package manager of this system"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    say "installed $what in $((SECONDS - started)) s"
}

# The package starts a system service on port 80 unless a policy forbids it. The tests start their own.
install_nginx() {
    local policy=/usr/sbin/policy-rc.d
    if [[ $(id -u) == 0 && ! -e $policy ]]; then
        # shellcheck disable=SC2064 # the path is wanted as it is now: the variable is local
        trap "rm -f '$policy'" EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    install_packages nginx nginx-light
}

hash=$(hash_of "$pins/requirements.txt")
is_current "$tools/seaweedfs" "$hash" || replace "$tools/seaweedfs" "$hash" install_seaweedfs

hash=$(hash_of "$pins/schemathesis.txt")
is_current "$tools/schemathesis" "$hash" || replace "$tools/schemathesis" "$hash" install_schemathesis

hash=$(hash_of "$pins/package.json" "$pins/package-lock.json")
is_current "$tools/azurite" "$hash" || replace "$tools/azurite" "$hash" install_azurite

# Root's path has /usr/sbin, where Debian puts nginx; other users' may not.
PATH=$PATH:/usr/sbin command -v nginx >/dev/null || install_nginx

# Draws PDF and PostScript, which the server does only where it is told to.
command -v gs >/dev/null || install_packages ghostscript ghostscript

# Says what confined processes do, for `make hostile`; and networks of their own, for the rules of where requests may go.
if [[ $(uname) == Linux ]]; then
    command -v strace >/dev/null || install_packages strace strace
    { PATH=$PATH:/usr/sbin:/sbin command -v ip && command -v unshare; } >/dev/null || install_packages ip iproute2 util-linux
fi

# Shows the web console to its tests.
{ command -v chromium && command -v chromedriver; } >/dev/null || install_packages chromium chromium chromium-driver

say "$(head -c 200 "$pins/requirements.txt" | sed -n 's/ .*//;s/==/ /;1p') in $tools/seaweedfs"
say "azurite $(sed -n 's/.*"azurite": "\(.*\)".*/\1/p' "$pins/package.json") in $tools/azurite"
say "$(PATH=$PATH:/usr/sbin nginx -v 2>&1 | sed 's/ version: nginx\// /') at $(PATH=$PATH:/usr/sbin command -v nginx)"
