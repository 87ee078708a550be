#!/usr/bin/env bash
# The main job on a real photograph: starts the server, submits two conversions of one picture, follows them to their end,
# shows what came of them, and stops what it started.
#
#   scripts/demo.sh file    over the file system, in ./demo-data; needs no other service (make demo)
#   scripts/demo.sh s3      over a real S3 server, which it starts itself (make demo-s3)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kind=${1:-file}
server=target/release/imago-server
data=$PWD/demo-data
log=$data/server.log

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
command -v curl >/dev/null || { echo "curl is missing: install it first" >&2; exit 1; }
[ -x "$server" ] || { echo "$server is missing: run \`make demo\`" >&2; exit 1; }

stop() {
  [ -z "${server_pid:-}" ] || { kill "$server_pid" 2>/dev/null && wait "$server_pid"; } || true
  [ -z "${s3_input:-}" ] || exec {s3_input}>&-
}
trap stop EXIT

rm -rf "$data"
mkdir -p "$data/out"

case $kind in
  file)
    cp demo/chelsea.png "$data/foo.png"
    folder=file://$data
    set -- --file-root "$data"
    ;;
  s3)
    say "Starting an S3 server"
    coproc S3 { exec target/release/s3-server; }
    # Kept open: the server ends when it is closed, so also when this script is killed.
    exec {s3_input}>&"${S3[1]}"
    environment=
    while IFS= read -r line <&"${S3[0]}" && [ "$line" != "# ready" ]; do
      environment+=$line$'\n'
    done
    eval "$environment"
    folder=s3://$IMAGO_DEMO_BUCKET/imago
    "$server" convert demo/chelsea.png "$folder/foo.png"
    set --
    ;;
  *)
    echo "expected \`file\` or \`s3\`, not \`$kind\`" >&2
    exit 1
    ;;
esac

say "Starting the server"
"$server" serve --listen 127.0.0.1:0 --data "$data/server" "$@" 2>"$log" &
server_pid=$!
for _ in $(seq 100); do
  address=$(sed -n 's/.*listening on \(http:[^ ]*\).*/\1/p' "$log" | head -n 1)
  [ -z "$address" ] || break
  kill -0 "$server_pid" 2>/dev/null || break
  sleep 0.1
done
[ -n "$address" ] || { echo "the server did not start:" >&2; cat "$log" >&2; exit 1; }
echo "$address"

say "Submitting two conversions of $folder/foo.png, and waiting for them"
# Two lines: the answer to the submission, then the finished document.
sh examples/session.sh "$address" "$folder" >"$data/session.json"
pretty=cat
! command -v python3 >/dev/null || pretty='python3 -m json.tool --json-lines --no-ensure-ascii'
$pretty <"$data/session.json"

say "The results"
case $kind in
  file)
    magick identify -format '%d/%f: %m, %w x %h pixels, %B bytes\n' \
      "$data/out/foo 200x200.jpg" "$data/out/foo-4xx4k.tiff"
    ;;
  s3)
    # Fetched back through Imago itself: `magick` reads no S3.
    for name in 'foo 200x200.jpg' foo-4xx4k.tiff; do
      "$server" convert "$folder/out/$name" "$data/out/$name"
      printf '%s: ' "$folder/out/$name"
      magick identify -format '%m, %w x %h pixels\n' "$data/out/$name"
    done
    ;;
esac

# The document says so too, but the demo must not end well when it does not.
tail -n 1 "$data/session.json" | grep -q '"status": *"done"'
say "Done. Stopping the server."
