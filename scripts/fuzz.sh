#!/usr/bin/env bash
# Fuzzes a target, or all of them, each for so many seconds: scripts/fuzz.sh operations|locations|submissions|frames|jpegs|all [SECONDS]
#
# Needs ImageMagick, and installs cargo-fuzz where it is missing. The sanitizer is a feature of nightly compilers, which
# RUSTC_BOOTSTRAP opens in a stable one. What is found lies in fuzz/artifacts; what was learnt, in fuzz/corpus.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

targets=(frames jpegs locations operations submissions)
wanted=${1:-all}
seconds=${2:-600}
[[ $wanted == all ]] || targets=("$wanted")

command -v cargo-fuzz >/dev/null || ${CARGO:-cargo} install --locked cargo-fuzz

# Each line of the standard input becomes a seed of a target.
seed() { split -l 1 -a 4 - "fuzz/corpus/$1/seed-"; }

# What the tests of a file write in quotes.
quoted() { grep -o '"[^"]\{2,\}"' "$1" | tr -d '"' | sort -u; }

seeds_of() {
    case $1 in
    operations)
        sed -n 's/^ *("\([^"]*\)", .*/\1/p' imago-core/src/operation/tests.rs | seed operations
        quoted imago-core/src/operation/table.rs | seed operations
        ;;
    locations) quoted imago-core/src/storage/location_tests.rs | grep : | seed locations ;;
    submissions)
        {
            echo '{"actions":[{"infile":"s3://b/a.png","outfile":"s3://b/%03d.jpg","operations":["resize 2x2"],"mimetype":"image/jpg"}]}'
            echo '{"actions":[{"infile":"memory://b/a.gif[0-2]","outfile":"PNG8:memory://b/a.png","operations":["( read xc:red -negate )","append"]}]}'
            echo '{"actions":[{"infile":"memory://b/a","outfile":"memory://b/a.tif","timeout":1.5,"fidelity":"fast","headers":{"Cache-Control":"no-store","x-amz-meta-a":"b"}}],"priority":5,"labels":{"a":"b"},"webhook":{"url":"https://h/","events":["job.finished"]}}'
            echo '{"actions":[]}'
            sed -n 's/^ *("\([^"]*\)", .*/\1/p' imago-core/src/operation/tests.rs | grep -v '\\' |
                sed 's/.*/{"actions":[{"infile":"memory:\/\/b\/a.png","outfile":"memory:\/\/b\/a.jpg","operations":["&"]}]}/'
        } | seed submissions
        ;;
    jpegs)
        local chain=0 options name
        for options in '-quality 80' '-interlace Plane' '-colorspace Gray' '-colorspace CMYK' '-sampling-factor 4:4:4' '-orient RightTop'; do
            name=fuzz/corpus/jpegs/seed-$chain
            # The first byte chooses the chain.
            printf "\\x0$chain" >"$name"
            # shellcheck disable=SC2086 # options are words
            magick -size 33x17 plasma:red-blue $options -comment words jpeg:- >>"$name"
            chain=$((chain + 1))
        done
        ;;
    # The target writes its own.
    frames) ;;
    *)
        echo "fuzz.sh: there is no target \`$1\`" >&2
        exit 1
        ;;
    esac
}

# ImageMagick's words, which no fuzzer would guess.
dictionary() {
    magick -list command | sed -n 's/^ *\([-+][a-z-]*\).*/"\1"/p'
    magick -list list | while read -r list; do
        case $list in
        Coder | Configure | Delegate | Font | Format | Log | Magic | Mime | Module | Policy | Resource | Threshold | Type) ;;
        *) magick -list "$list" 2>/dev/null | awk 'NF == 1 && /^[A-Za-z-]+$/ { print "\"" $1 "\"" }' ;;
        esac
    done
    printf '"%s"\n' %w '%[fx:' '%%' '\x5c\x22' infile outfile operations mimetype timeout headers actions s3:// https:// file:// memory://
}

# ImageMagick, and what is made once for the process, is not given back at its end.
export ASAN_OPTIONS=detect_leaks=0

for target in "${targets[@]}"; do
    mkdir -p "fuzz/corpus/$target"
    seeds_of "$target"
    options=(-max_total_time="$seconds" -timeout=20 -print_final_stats=1)
    case $target in
    jpegs) options+=(-max_len=4000 -rss_limit_mb=4096) ;;
    operations | submissions)
        dictionary | sort -u >"fuzz/corpus/$target.dict"
        options+=(-max_len=1000 -dict="fuzz/corpus/$target.dict")
        ;;
    esac
    echo "fuzz.sh: $target for $seconds s"
    IMAGO_FUZZ_SEEDS=fuzz/corpus/$target \
        RUSTC_BOOTSTRAP=1 ${CARGO:-cargo} fuzz run "$target" -- "${options[@]}"
done
