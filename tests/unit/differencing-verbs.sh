# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# differencing-verbs.sh COREMNT - `coremnt commit`, `rebase` and `compact` at a prompt: what they do to the content of
# all images of a chain, what they say when they cannot, and what is left when they are killed. Runs in an empty folder of
# its own.
set -euo pipefail

coremnt=$1

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

command -v jq >/dev/null || fail 'jq is missing: run ./dev setup'

# succeeds ARGUMENT...: of coremnt; what it prints is in ./out.
succeeds() {
    local result=0
    "$coremnt" "$@" >out 2>err || result=$?
    [ "$result" -eq 0 ] || fail "coremnt $*: exit code $result: $(cat out err)"
}

# fails CODE PATTERN ARGUMENT...: this exit code, and one line on stderr that matches.
fails() {
    local code=$1 pattern=$2 result=0
    shift 2
    "$coremnt" "$@" >out 2>err || result=$?
    [ "$result" -eq "$code" ] || fail "coremnt $*: exit code $result instead of $code: $(cat out err)"
    [ "$(wc -l <err)" -eq 1 ] || fail "coremnt $*: not one sentence: $(cat err)"
    grep -Eq -- "$pattern" err || fail "coremnt $*: said \"$(cat err)\" and not $pattern"
}

# holds IMAGE RAW: the image's disk is this file's bytes.
holds() {
    rm -f is.img
    succeeds convert "$1" is.img --quiet
    cmp is.img "$2" || fail "$1 does not hold what $2 does"
}

sound() {
    succeeds check "$1"
}

# parent_of IMAGE: its file, or null.
parent_of() {
    succeeds info "$1" --json
    jq -r '.parents[0].path' <out
}

# make_raw FILE SEED MIB: some data, some holes, other ones for each seed.
make_raw() {
    rm -f "$1"
    truncate -s "$3M" "$1"
    for ((at = $2; at < $3 * 4; at += 2 + $2)); do
        head -c 65536 /dev/urandom | dd of="$1" bs=64K seek=$((at * 4)) conv=notrunc status=none
    done
}

# make_chain FORMAT: old.F and new.F with the content of old.img and new.img; child.F upon new.F, with that of old.img.
make_chain() {
    rm -f ./*."$1"
    for name in old new; do
        succeeds convert $name.img "$name.$1" --quiet
    done
    succeeds create "child.$1" --parent "old.$1"
    succeeds rebase "child.$1" --parent "new.$1"
}

# -- what they do ------------------------------------------------------------------------------------

rebase_keeps_the_content() {
    make_chain "$1"
    [ "$(basename "$(parent_of "child.$1")")" = "new.$1" ] || fail 'the parent is another one'
    rm "old.$1"
    holds "child.$1" old.img
    holds "new.$1" new.img
    sound "child.$1"
    succeeds rebase "child.$1" --no-parent
    [ "$(parent_of "child.$1")" = null ] || fail 'there still is a parent'
    rm "new.$1"
    holds "child.$1" old.img
    sound "child.$1"
}

commit_fills_the_parent() {
    make_chain "$1"
    succeeds create "grandchild.$1" --parent "child.$1"
    succeeds commit "child.$1"
    for name in new child grandchild; do
        holds "$name.$1" old.img
        sound "$name.$1"
    done
    # that much the log of a VHDX keeps
    [ "$(du -k "child.$1" | cut -f1)" -le 1600 ] || fail 'the child was not emptied'
}

trust_changes_the_name_alone() {
    make_chain "$1"
    mkdir -p elsewhere
    mv "new.$1" elsewhere/moved."$1"
    fails 3 'parent of .*rebase' commit "child.$1"
    fails 3 'parent of .*rebase' info "child.$1"
    succeeds rebase "child.$1" --parent elsewhere/moved."$1" --trust
    holds "child.$1" old.img
    rm -r elsewhere
}

compact_gives_space_back() {
    local size
    make_chain vhdx
    succeeds compact child.vhdx
    size=$(stat -c %s child.vhdx)
    truncate -s +9M child.vhdx
    succeeds compact child.vhdx
    grep -q 'child.vhdx is 9 MiB smaller now' out || fail "compact said: $(cat out)"
    [ "$(stat -c %s child.vhdx)" -eq "$size" ] || fail 'the file is not as short as it was'
    holds child.vhdx old.img
    sound child.vhdx
    succeeds compact child.vhdx
    grep -q 'nothing to give back' out || fail "compact said: $(cat out)"
}

# -- what they refuse --------------------------------------------------------------------------------

bad_input() {
    make_chain "$1"
    cp "child.$1" before
    fails 2 'parent' commit "old.$1"
    fails 2 'parent' rebase "old.$1" --no-parent
    fails 2 'parent' rebase "child.$1"
    fails 2 'parent' rebase "child.$1" --parent "old.$1" --no-parent
    fails 2 'trust' rebase "child.$1" --no-parent --trust
    fails 2 'among its parents' rebase "child.$1" --parent "child.$1"
    fails 2 'among its parents' rebase "new.$1" --parent "child.$1"
    fails 2 'which has no parent' commit old.img
    fails 2 '' rebase "child.$1" --parent old.img
    fails 2 missing commit
    fails 3 none commit "none.$1"
    fails 3 none rebase "child.$1" --parent "none.$1"
    flock -s "new.$1" "$coremnt" commit "child.$1" >out 2>err && fail 'a parent in use was written to'
    flock -x "old.$1" "$coremnt" rebase "child.$1" --parent "old.$1" >out 2>err && fail 'a parent being written was taken'
    cmp before "child.$1" || fail 'who was refused has changed the image'
    holds "child.$1" old.img
}

a_changed_parent() {
    make_chain vhdx
    succeeds create other.vhdx --parent new.vhdx
    succeeds commit child.vhdx
    fails 7 'new.vhdx was changed after other.vhdx' commit other.vhdx
    fails 7 'new.vhdx was changed after other.vhdx' rebase other.vhdx --no-parent
}

# -- what is left when they are killed ----------------------------------------------------------------

# killed SIGNAL VERB...: after a moment; it may have been quicker.
killed() {
    local signal=$1
    shift
    "$coremnt" "$@" --quiet >out 2>err &
    sleep "0.0$((RANDOM % 8))"
    kill -s "$signal" $! 2>kill.err || true
    wait $! 2>kill.err || true
}

killed_work_is_done_again() {
    local signal
    for signal in INT KILL KILL; do
        make_chain "$1"
        killed $signal commit "child.$1"
        holds "child.$1" old.img
        succeeds commit "child.$1"
        holds "new.$1" old.img
        make_chain "$1"
        killed $signal rebase "child.$1" --no-parent
        holds "child.$1" old.img
        make_chain "$1"
        killed $signal compact "child.$1"
        holds "child.$1" old.img
        sound "child.$1"
    done
}

make_raw old.img 1 24
make_raw new.img 2 24
for format in vhdx vhd; do
    rebase_keeps_the_content $format
    commit_fills_the_parent $format
    trust_changes_the_name_alone $format
    bad_input $format
    killed_work_is_done_again $format
done
compact_gives_space_back
a_changed_parent
rm -f ./*
echo 'commit, rebase and compact do what they say'
