#!/usr/bin/env bash
# Rules of the architecture that no compiler and no lint enforces.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

status=0
fail() {
  echo "rule broken: $1" >&2
  [ -z "${2:-}" ] || printf '%s\n' "$2" >&2
  status=1
}

# Lines of code, not of comments, that match a pattern.
code() { git grep -nE "$1" -- "$2" | grep -vE '^[^:]*:[0-9]+: *//' || true; }

# `Path::from` encodes what users chose. Clippy can't ban it: it is a trait's function.
found=$(code '\bPath::from\(' '*.rs')
[ -z "$found" ] || fail "a raw key goes through object_store's Path::parse" "$found"

# But for a fault that tests inject to see that there is none to read.
found=$(code 'env::vars?(_os)?\(' imago-core/src | grep -v '^imago-core/src/sandbox/fault\.rs:' || true)
[ -z "$found" ] || fail "imago-core reads no environment variable" "$found"

found=$(git grep -lE '#!?\[expect\([^]]*unsafe_code' -- '*.rs' | grep -vE '^imago-core/src/(engine/magick|sandbox)/' || true)
[ -z "$found" ] || fail "unsafe code is in engine/magick/ and sandbox/ only" "$found"

found=$(code 'crate::(converter|engine|operation)' imago-core/src/storage)
[ -z "$found" ] || fail "storage knows no picture" "$found"

tree=$(cargo tree -p imago-core --edges normal --prefix none --format '{p} {f}')
! grep -E '^hyper v[^ ]+ .*\bserver\b' <<<"$tree" || fail "imago-core pulls in no HTTP server"
! grep -E '^(rusqlite|libsqlite3-sys|imago-server) ' <<<"$tree" || fail "imago-core knows no job store"

exit $status
