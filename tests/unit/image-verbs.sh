# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# image-verbs.sh COREMNT - the verbs that work on images, as people use them: create, info, map, convert, check, resize;
# and what must not happen when they fail or are killed. Runs in an empty folder of its own.
set -euo pipefail

coremnt=$1

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

for program in jq setpriv; do
    command -v "$program" >/dev/null || fail "$program is missing: run ./dev setup"
done

# -- helpers -----------------------------------------------------------------------------------------

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

# field EXPRESSION EXPECTED ARGUMENT...: of the JSON that coremnt prints.
field() {
    local expression=$1 expected=$2 value
    shift 2
    succeeds "$@" --json
    value=$(jq -rc "$expression" <out)
    [ "$value" = "$expected" ] || fail "coremnt $*: $expression is $value instead of $expected"
}

# The rights that a file has count for root too.
unprivileged() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --bounding-set=-dac_override,-dac_read_search "$@"
    else
        "$@"
    fi
}

# kibibytes FILE: that it takes.
kibibytes() {
    du -k "$1" | cut -f1
}

# source.img: 64 MiB with data here and there, written zeros, and holes.
make_source() {
    truncate -s 64M source.img
    local at
    for at in 0 3 17 18 40 63; do
        head -c 200000 /dev/urandom | dd of=source.img bs=1M seek="$at" conv=notrunc status=none
    done
    dd if=/dev/zero of=source.img bs=1M seek=30 count=8 conv=notrunc status=none
}

# -- what works --------------------------------------------------------------------------------------

created_images_say_what_they_are() {
    succeeds create a.img --size 8M
    field '[.format,.layout,.size,.sector_size,.dirty,.parents]' '["raw","flat",8388608,512,false,[]]' info a.img
    succeeds create a.vhdx --size 1T --block-size 1M --sector-size 4096
    field '[.format,.layout,.size,.sector_size,.block_size]' '["vhdx","dynamic",1099511627776,4096,1048576]' info a.vhdx
    succeeds create b.dat --size 8M --format vhdx
    grep -q 'open it as "vhdx:b.dat"' out || fail "create does not say how to open b.dat: $(cat out)"
    field .format vhdx info vhdx:b.dat
    field '[.format,.looks_like]' '["raw","vhdx"]' info b.dat
    succeeds info b.dat
    grep -q 'vhdx:b.dat' out || fail "info does not say how to open what begins like a VHDX: $(cat out)"
    succeeds create f.vhdx --size 8M --fixed
    field .format vhdx info f.vhdx
    succeeds create a.vhd --size 8M --fixed
    field '[.format,.layout,.size]' '["vhd","flat",8388608]' info a.vhd
    field '[.format,.looks_like,.size]' '["raw","vhd",8389120]' info raw:a.vhd
    succeeds create a.vhdx.img --size 8M
    field '[.format,.looks_like]' '["raw",null]' info a.vhdx.img
    succeeds create child.vhdx --parent a.vhdx
    field '[.layout,.size,.sector_size,(.parents|length),.parents[0].format]' \
        '["differencing",1099511627776,4096,1,"vhdx"]' info child.vhdx
    succeeds info child.vhdx
    grep -Eq '^parent: .*a\.vhdx \(vhdx\)' out || fail "info does not name the parent: $(cat out)"
}

maps_have_all_of_the_disk() {
    make_source
    field '[(map(.length)|add),(.[0]|.start,.zero,.allocated,.place)]' '[67108864,0,false,true,0]' map source.img
    field '(map(select(.zero|not)|.length)|add) < 16777216' true map source.img
    succeeds convert -q source.img m.vhdx --block-size 1M
    field '[(map(.length)|add),(map(select(.zero|not)|.length)|add)]' '[67108864,6291456]' map m.vhdx
    field '(map(.start)) == (map(.start)|sort)' true map m.vhdx
    succeeds map m.vhdx
    head -n 1 out | grep -Eq '^ +start +length +depth +what +place$' || fail "map has no heading: $(head -n 1 out)"
    succeeds create over.vhdx --parent m.vhdx
    field 'map(.depth)|unique' '[1]' map over.vhdx
    [ "$(jq -c 'map(select(.allocated))|length > 0' <out)" = true ] || fail 'the map of a child has nothing of its parent'
}

copies_are_the_same_and_stay_sparse() {
    make_source
    succeeds convert source.img c.vhdx
    grep -Eq '^c\.vhdx was made: vhdx, 64 MiB, of which .* are taken\.$' out || fail "convert said: $(cat out)"
    [ ! -s err ] || fail "a progress bar in a file: $(cat err)"
    [ "$(kibibytes c.vhdx)" -lt 8192 ] || fail "c.vhdx takes $(kibibytes c.vhdx) KiB"
    succeeds convert c.vhdx back.img --quiet
    [ ! -s out ] || fail "--quiet said: $(cat out)"
    cmp source.img back.img || fail 'raw to vhdx to raw is not the same'
    [ "$(kibibytes back.img)" -lt 4096 ] || fail "back.img takes $(kibibytes back.img) KiB"
    succeeds convert c.vhdx e.vhd
    field '[.errors,.wastes]' '[0,0]' check e.vhd
    succeeds convert e.vhd fixed.vhd --fixed
    field '[.layout,.size]' '["flat",67108864]' info fixed.vhd
    [ "$(kibibytes fixed.vhd)" -ge 65536 ] || fail "fixed.vhd takes only $(kibibytes fixed.vhd) KiB"
    succeeds create fixed.vhdx --fixed --size 8M --block-size 1M
    [ "$(kibibytes fixed.vhdx)" -ge 8192 ] || fail "fixed.vhdx takes only $(kibibytes fixed.vhdx) KiB"
    succeeds convert fixed.vhd back2.img
    cmp source.img back2.img || fail 'vhdx to vhd to fixed vhd to raw is not the same'
    succeeds convert c.vhdx d.dat --format vhdx --block-size 1M --size 1G
    grep -q 'open it as "vhdx:d.dat"' out || fail "convert does not say how to open d.dat: $(cat out)"
    field '[.size,.block_size]' '[1073741824,1048576]' info vhdx:d.dat
    succeeds convert vhdx:d.dat long.img
    cmp -n 67108864 source.img long.img || fail 'a longer copy does not begin with the content'
    succeeds create child.vhdx --parent c.vhdx
    succeeds convert child.vhdx alone.img
    cmp source.img alone.img || fail 'the copy of a child has not all of the disk'
}

sizes_go_both_ways() {
    make_source
    cp --sparse=always source.img r.img
    succeeds resize r.img 128M
    grep -q 'r.img has 128 MiB' out || fail "resize said: $(cat out)"
    succeeds resize r.img 64M # nothing but zeros behind it
    cmp source.img r.img || fail 'there and back is not the same'
    fails 2 'holds data beyond 40 MiB.*--shrink' resize r.img 40M
    cmp source.img r.img || fail 'a resize that was refused changed the image'
    succeeds resize r.img 40M --shrink
    cmp -n 41943040 source.img r.img || fail 'what lies before the new end has changed'
    [ "$(stat -c %s r.img)" -eq 41943040 ] || fail 'the file is not shorter'
    fails 2 'r\.img.*whole sectors' resize r.img 1000
    succeeds resize r.img 40M
    grep -q already out || fail "resize to the same size said: $(cat out)"

    succeeds convert -q source.img r.vhdx --block-size 1M
    succeeds resize r.vhdx 1G
    field .size 1073741824 info r.vhdx
    succeeds create r.vhd --size 8M
    fails 2 'r\.vhd .*at most 2040 GiB' resize r.vhd 2041G
    succeeds create rc.vhd --parent r.vhd
    fails 1 'that of its parent' resize rc.vhd 16M
    succeeds resize r.vhdx 64M
    fails 2 'holds data beyond 40 MiB' resize r.vhdx 40M
    succeeds convert -q r.vhdx r2.img
    cmp source.img r2.img || fail 'a vhdx that was resized is not the same'
    succeeds resize r.vhdx 40M --shrink
    field .size 41943040 info r.vhdx
    fails 2 'at most|not possible|impossible|larger' resize r.vhdx 65T
    field .size 41943040 info r.vhdx
}

raw_files_that_are_no_disks_yet() {
    head -c 1000 /dev/urandom >odd.img
    : >empty.img
    field '[.size,.format]' '[1024,"raw"]' info odd.img
    field '[(map(.length)|add)]' '[1024]' map odd.img
    succeeds convert odd.img copy.img
    cmp <(cat odd.img; head -c 24 /dev/zero) copy.img || fail 'the copy of half a sector is not the file and zeros'
    succeeds convert odd.img long.img --size 4K
    [ "$(stat -c %s odd.img)" -eq 1000 ] || fail 'reading changed the file'
    cp odd.img was.img
    fails 2 'is not cut to 512' resize odd.img 512
    cmp odd.img was.img || fail 'a resize that was refused changed the file'
    succeeds resize odd.img 4K
    grep -q 'odd.img has 4 KiB (4096 bytes) now' out || fail "resize said: $(cat out)"
    cmp odd.img long.img || fail 'a file that grew is not the same and zeros'
    fails 2 'empty\.img is empty\. Give it the size' info empty.img
    fails 2 'empty\.img is empty\. Give it the size' convert empty.img x.img
    succeeds resize empty.img 8K
    field .size 8192 info empty.img
}

# tells EXPRESSION EXPECTED: the JSON of a verb that failed.
tells() {
    local value
    value=$(jq -rc "$1" <out)
    [ "$value" = "$2" ] || fail "$1 is $value instead of $2: $(cat out)"
}

children_without_their_parents_say_what_they_are() {
    local kind=vhdx
    succeeds create base.$kind --size 64M
    succeeds create other.$kind --size 64M
    succeeds create child.$kind --parent base.$kind
    fails 1 'child\.vhdx cannot become smaller: it has a parent' resize child.$kind 32M --shrink
    mv base.$kind away.$kind
    fails 3 "base\\.$kind" info child.$kind
    grep -Eq '^layout: +differencing' out || fail "info of a child alone: $(cat out)"
    grep -Eq '^parent: .*missing' out || fail "info of a child alone: $(cat out)"
    grep -q partitions out && fail 'info speaks of partitions that it cannot know'
    fails 3 "base\\.$kind" info --json child.$kind
    tells '[.format,.layout,.size,has("parents"),has("partitions")]' "[\"$kind\",\"differencing\",67108864,false,false]"
    tells ".parent_error|test(\"base\\\\.$kind\")" true
    mv other.$kind base.$kind
    fails 7 "base\\.$kind" info child.$kind
    grep -Eq '^parent: .*changed' out || fail "info of a child of another one: $(cat out)"
    mv away.$kind base.$kind
    exec 9<>base.$kind
    flock -x 9
    fails 4 "base\\.$kind.*open for writing" info child.$kind
    grep -Eq '^parent: .*in use' out || fail "info of a child whose parent is written to: $(cat out)"
    exec 9>&-
    field '[(.parents|length),has("parent_error")]' '[1,false]' info child.$kind
    : >child.$kind # what is no image itself
    fails 2 "child\\.$kind" info child.$kind
    [ ! -s out ] || fail "info of no image said: $(cat out)"
}

# A child, and a child of that.
parents_can_be_changed() {
    local kind
    make_source
    head -c 4194304 /dev/urandom >base.img
    truncate -s 64M base.img
    for kind in vhdx vhd; do
        succeeds convert -q base.img "base.$kind"
        succeeds create "child.$kind" --parent "base.$kind"
        succeeds convert -q "child.$kind" was.img
        cmp base.img was.img || fail "$kind: an empty child is not its parent"
        succeeds create "grandchild.$kind" --parent "child.$kind"
        succeeds rebase -q "grandchild.$kind" --parent "base.$kind"
        field '[(.parents|length),(.parents[0].path|test("base"))]' '[1,true]' info "grandchild.$kind"
        succeeds convert -q "grandchild.$kind" was1.img
        cmp base.img was1.img || fail "$kind: another parent changed the content"
        succeeds rebase "grandchild.$kind" --no-parent
        field '[.layout,.parents]' '["dynamic",[]]' info "grandchild.$kind"
        rm "base.$kind"
        succeeds convert -q "grandchild.$kind" was2.img
        cmp base.img was2.img || fail "$kind: without a parent the content is not whole"
        fails 3 "base\\.$kind" info "child.$kind"
        succeeds rebase "child.$kind" --parent "grandchild.$kind" --trust
        succeeds convert -q "child.$kind" was3.img
        cmp base.img was3.img || fail "$kind: the parent that is trusted is not read"
        succeeds commit "child.$kind"
        fails 2 'no parent|parent' commit "grandchild.$kind"
        fails 2 'either --parent FILE or --no-parent' rebase "child.$kind"
        fails 3 'missing' rebase "child.$kind" --parent "missing.$kind"
        rm was*.img
    done
}

files_become_smaller() {
    local kind
    make_source
    truncate -s 128M source.img
    for kind in vhdx vhd; do
        succeeds convert -q source.img "s.$kind" --block-size 1M
        succeeds resize "s.$kind" 32M --shrink
        succeeds resize "s.$kind" 128M
        succeeds compact "s.$kind"
        field '[.errors,.wastes]' '[0,0]' check "s.$kind"
        [ "$(stat -c %s "s.$kind")" -lt 12582912 ] || fail "$kind: compact left $(stat -c %s "s.$kind") bytes"
        succeeds compact "s.$kind"
        grep -q 'nothing to give back' out || fail "$kind: a second compact said: $(cat out)"
        succeeds convert -q "s.$kind" "$kind.img"
        cmp <(head -c 33554432 source.img) <(head -c 33554432 "$kind.img") || fail "$kind: compact changed the content"
    done
}

# poke FILE BYTE TEXT: as printf has it.
poke() {
    # shellcheck disable=SC2059 # escapes are what is wanted
    printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# bat_of FILE: the byte of a VHDX at which its block allocation table begins: what the region table says.
bat_of() {
    local entry
    for entry in 0 1; do
        if [ "$(od -An -tx1 -j $((196624 + 32 * entry)) -N4 "$1" | tr -d ' ')" = 6677c22d ]; then
            od -An -tu8 -j $((196640 + 32 * entry)) -N8 "$1" | tr -d ' '
            return
        fi
    done
    fail "$1 has no table"
}

damage_is_found_and_mended() {
    succeeds create k.vhdx --size 64M
    succeeds check k.vhdx
    grep -q 'k.vhdx is sound; 0 of 2 blocks' out || fail "check said: $(cat out)"
    field '[.errors,.wastes,.repaired,.blocks,.findings]' '[0,0,0,2,[]]' check k.vhdx

    poke k.vhdx 65536 xxxx # one of the two headers
    field '[.errors,.wastes,(.findings|length),.findings[0].repaired]' '[0,1,1,false]' check k.vhdx
    succeeds check k.vhdx --repair
    grep -q '(repaired)' out || fail "check --repair said: $(cat out)"
    field '[.errors,.wastes]' '[0,0]' check k.vhdx

    poke k.vhdx "$(bat_of k.vhdx)" '\006\000\200\076\000\000\000\000' # block 0, far beyond the end
    cp k.vhdx damaged.vhdx
    local result=0
    "$coremnt" check k.vhdx >out 2>err || result=$?
    [ "$result" -eq 7 ] || fail "check of a damaged image: exit code $result: $(cat out err)"
    grep -q '^error: ' out || fail "check names no error: $(cat out)"
    grep -q 'k.vhdx is damaged' out || fail "check said: $(cat out)"
    result=0
    "$coremnt" check --json k.vhdx >out 2>err || result=$?
    [ "$result" -eq 7 ] || fail "check --json of a damaged image: exit code $result"
    [ "$(jq -r '[.errors,.findings[0].severity]|@csv' <out)" = '1,"error"' ] || fail "the JSON: $(cat out)"
    cmp k.vhdx damaged.vhdx || fail 'a check without --repair has changed the file'
}

# What lies before damage can be read, and the sentence says where it begins.
damage_is_named_by_its_place() {
    make_source
    succeeds convert -q source.img k.vhdx --block-size 1M
    poke k.vhdx "$(($(bat_of k.vhdx) + 8 * 5))" '\006\000\200\076\000\000\000\000'
    fails 7 'cannot read k\.vhdx at byte 5242880: ' convert k.vhdx copy.img
    fails 7 'at byte 5242880 ' map k.vhdx
    grep -Eq '^ +0 +1048576 +0 +data' out || fail "the map of what is before the damage: $(cat out)"
}

# -- what does not -----------------------------------------------------------------------------------

files() {
    find . -mindepth 1 -maxdepth 1 ! -name out ! -name err | sort
}

remember() {
    files >../image-verbs.before
}

# unchanged WHAT: only the files of remember() are there.
unchanged() {
    diff -u ../image-verbs.before <(files) || fail "$1 left or removed a file"
}

wrong_command_lines() {
    make_source
    remember
    fails 2 'no format "vhdy"; there are: raw' create x --size 1M --format vhdy
    fails 2 'no format "memory"' convert source.img x --format memory
    fails 2 'says its kind already' create raw:x --size 1M --format vhdx
    fails 2 '--size is missing' create x.vhdx
    fails 2 '--size must be a size' create x.vhdx --size many
    fails 2 '--size must be a size' convert source.img x.vhdx --size 0
    fails 2 '--size must be a size in whole bytes' create x.vhdx --size 1.3G
    fails 2 'whole sectors' create x.vhdx --size 1000
    fails 2 '--block-size' create x.vhdx --size 1M --block-size 5G
    fails 2 'block' create x.vhdx --size 1M --block-size 3M
    fails 2 'no fixed size' create x.img --size 1M --fixed
    fails 2 'at most' create x.vhdx --size 65T
    fails 2 'at most 2040 GiB' create x.vhd --size 3T
    fails 2 '512' create x.vhd --size 1M --sector-size 4096
    fails 2 '^coremnt: x\.img: .*no fixed size' convert source.img x.img --fixed
    fails 2 'missing' convert source.img
    fails 2 'too many' convert source.img x y
    fails 2 'would lose what lies beyond' convert source.img x.vhdx --size 1M
    fails 2 'no kind' convert zip:x x.vhdx
    fails 2 'memory' convert source.img memory:1G
    fails 2 missing check
    unchanged 'a wrong command line'
}

wrong_files() {
    make_source
    mkdir folder
    succeeds create p.vhdx --size 8M
    head -c 300000 p.vhdx >cut.vhdx
    cp source.img fake.vhdx
    : >empty.vhdx
    remember
    fails 3 'missing\.vhdx' info missing.vhdx
    fails 3 'missing\.img' convert missing.img x.vhdx
    fails 3 'no-folder' convert source.img no-folder/x.vhdx
    fails 3 'missing\.vhdx' check missing.vhdx
    fails 3 'missing\.img' resize missing.img 1G
    fails 3 'missing\.vhdx' create x.vhdx --parent missing.vhdx
    fails 2 'fake\.vhdx is no VHDX.*raw:' info fake.vhdx
    fails 2 'empty\.vhdx' info empty.vhdx
    fails_somehow 'cut\.vhdx' info cut.vhdx
    fails 2 'folder' info folder
    fails 1 'p\.vhdx.*exists' create p.vhdx --size 8M
    fails 1 'p\.vhdx exists' convert source.img p.vhdx
    fails_somehow 'folder' convert source.img folder
    fails 3 'missing\.vhdx' check --json missing.vhdx
    tells '[(.error|test("missing")),has("errors"),has("errors_left")]' '[true,false,false]'
    fails 3 'missing\.img' check missing.img
    fails 3 'missing\.img' compact missing.img
    fails 2 'folder' check folder
    fails 1 'nothing to check' check source.img
    fails 1 'nothing to check' check --json source.img
    tells '[(.error|test("nothing to check")),has("errors")]' '[true,false]'
    fails 1 'nothing to compact' compact source.img
    unchanged 'a wrong file'
    cp source.img ro.img
    chmod 444 ro.img
    unprivileged "$coremnt" resize ro.img 128M >out 2>err && fail 'a read-only file was resized'
    grep -q 'ro\.img' err || fail "the sentence for a read-only file: $(cat err)"
    unprivileged "$coremnt" convert ro.img ro.vhdx >out 2>err || fail "a read-only file was not copied: $(cat err)"
    cmp source.img ro.img || fail 'a read-only file changed'
}

# fails_somehow PATTERN ARGUMENT...: several exit codes are right.
fails_somehow() {
    local pattern=$1 result=0
    shift
    "$coremnt" "$@" >out 2>err || result=$?
    case $result in
    1 | 2 | 3 | 7) ;;
    *) fail "coremnt $*: exit code $result: $(cat out err)" ;;
    esac
    grep -Eq -- "$pattern" err || fail "coremnt $*: said \"$(cat err)\" and not $pattern"
}

a_file_that_somebody_has() {
    make_source
    succeeds create used.vhdx --size 8M
    remember
    exec 9<>used.vhdx
    flock -x 9 # as a writer does
    fails 4 'used\.vhdx: it is open for writing elsewhere' info used.vhdx
    fails 4 'used\.vhdx: it is open for writing elsewhere' convert used.vhdx x.img
    fails 4 'used\.vhdx: it is in use elsewhere' resize used.vhdx 16M
    flock -u 9
    flock -s 9 # as a reader does
    succeeds info used.vhdx
    fails 4 'used\.vhdx: it is in use elsewhere' resize used.vhdx 16M
    exec 9>&-
    unchanged 'a file in use'
}

no_space() {
    make_source
    remember
    for target in x.vhdx x.img; do
        # shellcheck disable=SC2016 # for the inner shell
        if bash -c 'ulimit -f 5000; exec "$1" convert -q source.img "$2"' - "$coremnt" "$target" >out 2>err; then
            fail "a copy that has no space succeeded"
        fi
        [ "$(wc -l <err)" -eq 1 ] || fail "no space: not one sentence: $(cat err)"
        grep -Eq "$target.*(space|larger)" err || fail "no space: $(cat err)"
        unchanged 'a copy without space'
    done
}

# interrupt SIGNAL: a copy, when it has begun. It may be quicker than we are: then again. $result is its exit code.
interrupt() {
    local signal=$1 try pid
    for try in 1 2 3 4 5 6 7 8; do
        rm -f target.img target.img.partial
        "$coremnt" convert -q large.img target.img >out 2>err &
        pid=$!
        while [ ! -e target.img.partial ] && kill -0 "$pid" 2>/dev/null; do :; done
        kill "-$signal" "$pid" 2>/dev/null || true
        result=0
        wait "$pid" 2>/dev/null || result=$?
        [ "$result" -ne 0 ] && return
    done
    fail "of $try copies all were finished before SIG$signal came"
}

killed_copies_leave_nothing_under_the_name() {
    local signal
    dd if=/dev/zero of=large.img bs=1M count=256 status=none
    for signal in INT TERM HUP; do
        interrupt "$signal"
        [ "$result" -eq 1 ] || fail "exit code $result after SIG$signal: $(cat err)"
        grep -q 'target.img was not made' err || fail "after SIG$signal: $(cat err)"
        [ ! -e target.img ] || fail 'a half copy has the name'
        [ ! -e target.img.partial ] || fail 'a half copy is left'
    done

    interrupt KILL
    [ "$result" -eq 137 ] || fail "exit code $result after SIGKILL"
    [ ! -e target.img ] || fail 'a half copy has the name'
    [ -e target.img.partial ] || fail 'SIGKILL left nothing: was it in time?'
    fails 1 'target\.img\.partial is there.*Remove it' convert large.img target.img
    rm target.img.partial
    succeeds convert large.img target.img
    cmp large.img target.img || fail 'the copy after a killed one is not the same'
}

for topic in created_images_say_what_they_are maps_have_all_of_the_disk copies_are_the_same_and_stay_sparse \
    sizes_go_both_ways raw_files_that_are_no_disks_yet damage_is_found_and_mended damage_is_named_by_its_place \
    children_without_their_parents_say_what_they_are parents_can_be_changed \
    files_become_smaller wrong_command_lines wrong_files a_file_that_somebody_has no_space \
    killed_copies_leave_nothing_under_the_name; do
    printf '%s\n' "$topic"
    rm -rf here
    mkdir here
    cd here
    "$topic"
    cd ..
done
rm -rf here image-verbs.before
