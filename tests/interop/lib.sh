# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# lib.sh - what the interop tests share; they source it and are called by CTest as
#
#   NAME.sh COREMNT IMAGEIO
#
# in an empty folder of their own. COREMNT is the tool, IMAGEIO the program of imageio.c. A program of writes is a file in
# the language of qemu-io, which both take; what it leaves is made a second time in a raw file by qemu-io, and
# everything is compared with that.
set -euo pipefail

# shellcheck disable=SC2034  # for the tests
coremnt=$1
imageio=$2
MIB=$((1024 * 1024))
GIB=$((1024 * MIB))

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# need PROGRAM...: a missing one is an error, never a skipped test.
need() {
    local program
    for program; do
        command -v "$program" >/dev/null || fail "$program is missing: run ./dev setup"
    done
}

# logged COMMAND...: quiet, unless it fails.
logged() {
    "$@" >step.log 2>&1 </dev/null || fail "$*: exit code $?: $(tail -n 20 step.log)"
}

# -- programs of writes --------------------------------------------------------------------------------

# edges SIZE BLOCK: a program that writes where mistakes are likely: at both ends of the disk and of blocks, across them,
# at the end of a chunk of VHDX (4 GiB), where there was data already, and zeros over data.
edges() {
    local size=$1 block=$2 chunk=$((4 * GIB))
    printf 'write -P 0x11 0 512\n'
    printf 'write -P 0x12 4096 8192\n'
    printf 'write -P 0x13 %d 3072\n' $((block - 1536))
    printf 'write -P 0x14 %d %d\n' "$block" 65536
    printf 'write -P 0x15 %d 1024\n' $((block + 512))
    if [ $((4 * block)) -lt "$size" ] && [ "$block" -le $((32 * MIB)) ]; then
        printf 'write -P 0x16 %d %d\n' $((2 * block)) "$block"
        printf 'write -z %d 131072\n' $((2 * block + 65536))
        printf 'write -P 0x17 %d %d\n' $((4 * block - 512)) 1024
    fi
    if [ "$size" -gt $((chunk + 65536)) ]; then
        printf 'write -P 0x18 %d 4096\n' $((chunk - 2048))
        printf 'write -P 0x19 %d 512\n' $((chunk + 32768))
    fi
    printf 'write -P 0x1a %d 512\n' $((size - 512))
    printf 'write -P 0x1b %d 4096\n' $((size - 16384))
    printf 'flush\n'
}

# random_program SEED SIZE COUNT LONGEST: writes of whole sectors, some with FUA, some of zeros, and flushes.
random_program() {
    awk -v seed="$1" -v size="$2" -v count="$3" -v longest="$4" '
        function below(n) { return int(rand() * n) }
        BEGIN {
            srand(seed)
            for (i = 0; i < count; i++) {
                kind = below(20)
                length_ = 512 * (1 + below(longest / 512))
                if (below(2)) length_ = 4096 * int((length_ + 4095) / 4096)
                at = 512 * below((size - length_) / 512 + 1)
                if (kind == 0) print "flush"
                else if (kind == 1) printf "write -z %.0f %.0f\n", at, length_
                else printf "write %s-P %d %.0f %.0f\n", kind < 5 ? "-f " : "", 1 + below(255), at, length_
            }
        }'
}

# a_seed: that of the test, printed; CM_SEED sets it.
a_seed() {
    local seed=${CM_SEED:-$RANDOM}
    printf 'CM_SEED=%s\n' "$seed" >&2
    printf '%s\n' "$seed"
}

# theirs FORMAT FILE PROGRAM: qemu-io runs it.
theirs() {
    qemu-io -f "$1" "$2" <"$3" >theirs.log 2>&1 || fail "qemu-io $2 <$3: $(tail -n 5 theirs.log)"
    if grep -Eq 'failed|rror|not found' theirs.log; then
        fail "qemu-io $2 <$3: $(grep -E 'failed|rror|not found' theirs.log | head -n 5)"
    fi
}

# ours IMAGE PROGRAM: we run it.
ours() {
    "$imageio" "$1" <"$2" >ours.log 2>&1 || fail "imageio $1 <$2: $(tail -n 20 ours.log)"
}

# expected SIZE PROGRAM: expected.raw, what the program leaves on a disk of that size.
expected() {
    rm -f expected.raw
    truncate -s "$1" expected.raw
    sed 's/^discard/write -z/; /^resize/d; /^die/d' "$2" >expected.program
    theirs raw expected.raw expected.program
}

# -- comparisons ---------------------------------------------------------------------------------------

# same_here IMAGE: what we read of it is expected.raw, and the file is as before.
same_here() {
    local file=${1#*:} before
    before=$(stat -c '%s %Y %i' "$file")
    rm -f actual.raw
    logged "$coremnt" convert -q "$1" raw:actual.raw
    [ "$(stat -c %s actual.raw)" = "$(stat -c %s expected.raw)" ] || fail "$1 has another size here"
    logged qemu-img compare -f raw -F raw expected.raw actual.raw
    [ "$(stat -c '%s %Y %i' "$file")" = "$before" ] || fail "reading $1 changed it"
    rm -f actual.raw
}

# same_window FORMAT IMAGE OFFSET LENGTH
same_window() {
    local window="driver=raw,offset=$3,size=$4"
    logged qemu-img compare --image-opts "$window,file.driver=raw,file.file.driver=file,file.file.filename=expected.raw" \
        "$window,file.driver=$1,file.file.driver=file,file.file.filename=$2"
}

# same_there FORMAT IMAGE: what QEMU reads of it is expected.raw. It reads every byte of a hole, so of a long disk only
# some windows are compared: where edges() writes, and behind.
same_there() {
    local size at
    size=$(qemu-img info -f "$1" --output=json "$2" | jq '."virtual-size"')
    [ "$size" = "$(stat -c %s expected.raw)" ] || fail "$2 has $size bytes for QEMU"
    if [ "$size" -le "$GIB" ]; then
        logged qemu-img compare -f raw -F "$1" expected.raw "$2"
        return
    fi
    for at in 0 $((256 * MIB - 8 * MIB)) $((4 * GIB - 8 * MIB)) $((size - 16 * MIB)); do
        same_window "$1" "$2" $at $((16 * MIB))
    done
}

# info_says IMAGE FIELD VALUE: in `coremnt info --json`.
info_says() {
    local value
    value=$("$coremnt" info --json "$1" | jq -r ".$2")
    [ "$value" = "$3" ] || fail "info of $1: $2 is $value and not $3"
}

# map_covers IMAGE SIZE: `coremnt map --json` goes from 0 to SIZE without holes, and what it says has no data reads as
# zeros in expected.raw.
map_covers() {
    "$coremnt" map --json "$1" >map.json || fail "map of $1"
    jq -e --argjson size "$2" '
        . as $m | (.[0].start == 0) and (.[-1].start + .[-1].length == $size) and
        ([range(1; length) | $m[.].start == $m[. - 1].start + $m[. - 1].length] | all)' \
        map.json >/dev/null || fail "the map of $1 has holes: $(cat map.json)"
    # Only where the raw file has data: it may be terabytes long.
    qemu-img map -f raw --output=json expected.raw >data.json
    jq -n -r --slurpfile map map.json --slurpfile raw data.json '
        $raw[0][] | select(.data) as $data | $map[0][] | select(.zero) |
        {at: ([.start, $data.start] | max), end: ([.start + .length, $data.start + $data.length] | min)} |
        select(.at < .end) | "read -P 0 \(.at) \(.end - .at)"' >zeros.program
    "$imageio" -r raw:expected.raw <zeros.program >ours.log 2>&1 ||
        fail "the map of $1 calls zeros what is data: $(tail -n 3 ours.log)"
}

# sound IMAGE: our own check finds nothing wrong.
sound() {
    logged "$coremnt" check "$1"
}
