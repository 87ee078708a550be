#!/usr/bin/env bash
# Installs the servers that the tests talk to: SeaweedFS (S3), azurite (Azure Blob Storage) and nginx,
# Ghostscript, strace, schemathesis, which tries the API against its description, and Chromium with ChromeDriver, in which
# the web console is tried.
#
# The versions and their hashes are pinned in testkit/tools/. What comes from pip and npm goes to $IMAGO_TOOLS, or
# target/tools of this repository; nginx, ghostscript, strace and
# chromium are Debian's packages. Safe to run again: what is there already is left alone.
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

# Draws PDF and PostScript, which the server does only where it is told to.
install_ghostscript() {
    [[ $(id -u) == 0 ]] || fail 'ghostscript is missing: install it, or run this script as root'
    need apt-get 'install ghostscript with the package manager of this system'
    local started=$SECONDS
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends ghostscript >/dev/null
    say "installed ghostscript in $((SECONDS - started)) s"
}

# Says what confined processes do, for `make hostile`.
install_strace() {
    [[ $(id -u) == 0 ]] || fail 'strace is missing: install it, or run this script as root'
    need apt-get 'install strace with the package manager of this system'
    local started=$SECONDS
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends strace >/dev/null
    say "installed strace in $((SECONDS - started)) s"
}

# Shows the web console to its tests.
install_chromium() {
    [[ $(id -u) == 0 ]] || fail 'chromium or chromedriver is missing: install both, or run this script as root'
    need apt-get 'install chromium and chromedriver with the package manager of this system'
    local started=$SECONDS
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null
    say "installed chromium in $((SECONDS - started)) s"
}

# The package starts a system service on port 80 unless a policy forbids it. The tests start their own.
install_nginx() {
    [[ $(id -u) == 0 ]] || fail 'nginx is missing: install nginx-light, or run this script as root'
    need apt-get 'install nginx with the package manager of this system'
    local started=$SECONDS policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        # shellcheck disable=SC2064 # the path is wanted as it is now: the variable is local
        trap "rm -f '$policy'" EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends nginx-light >/dev/null
    say "installed nginx in $((SECONDS - started)) s"
}

hash=$(hash_of "$pins/requirements.txt")
is_current "$tools/seaweedfs" "$hash" || replace "$tools/seaweedfs" "$hash" install_seaweedfs

hash=$(hash_of "$pins/schemathesis.txt")
is_current "$tools/schemathesis" "$hash" || replace "$tools/schemathesis" "$hash" install_schemathesis

hash=$(hash_of "$pins/package.json" "$pins/package-lock.json")
is_current "$tools/azurite" "$hash" || replace "$tools/azurite" "$hash" install_azurite

# Root's path has /usr/sbin, where Debian puts nginx; other users' may not.
PATH=$PATH:/usr/sbin command -v nginx >/dev/null || install_nginx

command -v gs >/dev/null || install_ghostscript

[[ $(uname) != Linux ]] || command -v strace >/dev/null || install_strace

{ command -v chromium && command -v chromedriver; } >/dev/null || install_chromium

say "$(head -c 200 "$pins/requirements.txt" | sed -n 's/ .*//;s/==/ /;1p') in $tools/seaweedfs"
say "azurite $(sed -n 's/.*"azurite": "\(.*\)".*/\1/p' "$pins/package.json") in $tools/azurite"
say "$(PATH=$PATH:/usr/sbin nginx -v 2>&1 | sed 's/ version: nginx\// /') at $(PATH=$PATH:/usr/sbin command -v nginx)"
