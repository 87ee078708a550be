#!/usr/bin/env bash
# Installs the programs that `make bench-peers` measures beside Imago: sharp, pyvips, thumbor and GraphicsMagick.
#
# Versions are pinned in benches/peers/tools/. What comes from npm and pip goes to $IMAGO_TOOLS, or target/tools of this
# repository; graphicsmagick is Debian's package. What can't be installed is said and left out: the report then says so.
# Safe to run again: what is there already is left alone.
set -uo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pins=$repo/benches/peers/tools
tools=${IMAGO_TOOLS:-$repo/target/tools}
mkdir -p "$tools"

# No peer and no package client reports on what is done here.
export DO_NOT_TRACK=1 NPM_CONFIG_AUDIT=false NPM_CONFIG_FUND=false NPM_CONFIG_UPDATE_NOTIFIER=false

say() { printf 'install-bench-peers: %s\n' "$*"; }

if command -v flock >/dev/null; then
    exec 9>"$tools/.lock"
    flock 9
fi

# Makes folder $1 from the pins $2 by running the rest of the arguments there. The hash of the pins is written last.
install() {
    local folder=$tools/$1 hash
    hash=$(cat "$pins"/$2 | sha256sum | cut -d' ' -f1)
    shift 2
    [[ -f $folder/.pins && $(<"$folder/.pins") == "$hash" ]] && return
    rm -rf "$folder" && mkdir -p "$folder"
    if (cd "$folder" && "$@"); then
        printf '%s' "$hash" >"$folder/.pins"
        say "installed $(basename "$folder")"
    else
        rm -rf "$folder"
        say "$(basename "$folder") can't be installed here, and will be missing from the report"
    fi
}

install_sharp() {
    cp "$pins/package.json" "$pins/package-lock.json" . && npm ci --ignore-scripts --loglevel=error
}
install_python() {
    python3 -m venv env && env/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement "$pins/$1"
}

install sharp 'package*.json' install_sharp
install pyvips pyvips.txt install_python pyvips.txt
install thumbor thumbor.txt install_python thumbor.txt

if ! command -v gm >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends graphicsmagick >/dev/null; } ||
        say "graphicsmagick can't be installed here, and will be missing from the report"
fi
exit 0
