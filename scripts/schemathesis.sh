#!/usr/bin/env bash
# Tries a server against its own description: requests by it and against it, made by schemathesis.
#
#     scripts/schemathesis.sh [EXAMPLES] [SERVER]
#
# EXAMPLES is how many random requests each of the endpoints gets at most (default 250, which makes more than 2000 in all);
# SERVER is the program, by default the one that cargo builds. The server reaches one folder of files and nothing else: what is
# made up is never fetched from anywhere. It wants a token, so that requests without one are tried too.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=${IMAGO_TOOLS:-$repo/target/tools}
examples=${1:-250}
server=${2:-}
if [[ -z $server ]]; then
    cargo build --quiet --manifest-path "$repo/Cargo.toml" -p imago-server
    server=${CARGO_TARGET_DIR:-$repo/target}/debug/imago-server
fi

work=$(mktemp -d)
pid=
# shellcheck disable=SC2317 # the trap calls it
clean() {
    [[ -z $pid ]] || kill "$pid" 2>/dev/null || true
    [[ -z $pid ]] || wait "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT

mkdir "$work/files"
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
digest=$(printf %s "$token" | sha256sum | cut -d' ' -f1)
printf 'P3 2 2 255 255 0 0 0 255 0 0 0 255 9 9 9\n' >"$work/files/in.ppm"
env -i PATH="$PATH" HOME="$work" LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}" RUST_LOG=imago_server=info,imago_server::access=off \
    IMAGO_TOKENS="tests:read+write+metrics:$digest" \
    "$server" --listen 127.0.0.1:0 --data "$work/data" --file-root "$work/files" --allow "file://$work/files/" \
    2>"$work/log" &
pid=$!
for _ in $(seq 300); do
    address=$(sed -n 's|.*listening on \(http://[^ ]*\).*|\1|p' "$work/log")
    [[ -z $address ]] || break
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
done
if [[ -z $address ]]; then
    cat "$work/log" >&2
    exit 1
fi

cd "$work"
cp "$repo/scripts/schemathesis.toml" .
# Random strings name no image. Beside them the tests get actions that can run, and one that fails.
python3 - "$address" "$work/files" <<'PYTHON'
import json, sys, urllib.request
address, files = sys.argv[1:]
api = json.load(urllib.request.urlopen(address + "/openapi.json"))
submission = api["components"]["schemas"]["Submission"]["properties"]
good = {
    "type": "object",
    "properties": {
        "infile": {"const": f"file://{files}/in.ppm"},
        "outfile": {"enum": [f"file://{files}/out.jpg", f"file://{files}/out.gif"]},
        "operations": {"enum": [[], ["resize 16x16"], ["rotate 90", "flip"], ["clut"]]},
        "timeout": {"enum": [1, 30.5]},
    },
    "required": ["infile", "outfile"],
    "additionalProperties": False,
}
submission["actions"] = {
    "anyOf": [
        {"type": "array", "items": good, "minItems": 1, "maxItems": 3},
        dict(submission["actions"]),
    ]
}
submission["webhook"] = {"anyOf": [{"type": "null"}, dict(submission["webhook"])]}
json.dump(api, open("openapi.json", "w"))
PYTHON
status=0
PYTHONPATH=$tools/schemathesis python3 -m schemathesis.cli --config-file schemathesis.toml run openapi.json --url "$address" \
    --header "Authorization: Bearer $token" \
    --max-examples "$examples" --request-timeout 60 --seed 1 --no-color || status=$?
if ! kill -0 "$pid" 2>/dev/null; then
    echo "the server is gone" >&2
    status=1
fi
[[ $status == 0 ]] || tail -n 20 "$work/log" >&2
exit "$status"
