# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# lib.sh - a private Wine with our driver in it, for the tests, the demo and the benchmarks.
#
# Wine loads CoreMnt.sys into a process of its own (winedevice.exe), so a crash of the driver is a
# crash of that process: it ends up in $wine_log, and driver_check turns its address into a source
# line. Source this file, then:
#
#   wine_start; driver_install driver/CoreMnt.sys; driver_start    a fresh Wine with the driver running
#   win cli/coremnt.exe list                       run a program of the Windows build, and wait
#   win_background NAME cli/coremnt.exe mount ...  start one; its output goes to NAME.out
#   driver_check 0                                 has the driver crashed since wine_start (0) or a driver_mark?
#   wine_stop                                      always, also on failure: set a trap
#
# COREMNT_BUILD    folder of the Windows build     (default: build/windows-x64)
# COREMNT_WINE_DIR folder of the prefix and the log (default: build/wine)
# COREMNT_TIMEOUT  seconds that one Windows program may take (default: 60)

wine_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
wine_build=${COREMNT_BUILD:-$wine_root/build/windows-x64}
wine_dir=${COREMNT_WINE_DIR:-$wine_root/build/wine}
wine_log=$wine_dir/driver.log
wine_pids= # of what win_background started

export WINEPREFIX=$wine_dir/prefix
# No Mono, no Gecko, no menu entries; and no debugger, which would only delay a crash.
export WINEDLLOVERRIDES='mscoree,mshtml,winemenubuilder.exe,winedbg.exe='
export WINEDEBUG=-all
unset DISPLAY WAYLAND_DISPLAY
# Wine translates file names by the locale; in the C locale of a bare CI it knows ASCII only.
export LC_ALL=C.UTF-8

say() {
    printf '%s\n' "$*"
}

# fail SENTENCE: end this script.
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# -- Wine --------------------------------------------------------------------------------------------

# Debian's wine64 puts its binaries where PATH does not reach; other systems have them in PATH.
wine_find() {
    local candidate
    for candidate in /usr/lib/wine/wine64 "$(command -v wine64)" "$(command -v wine)"; do
        [ -x "$candidate" ] && wine=$candidate && break
    done
    for candidate in /usr/lib/wine/wineserver64 "$(command -v wineserver)"; do
        [ -x "$candidate" ] && wineserver=$candidate && break
    done
    if [ -z "${wine:-}" ] || [ -z "${wineserver:-}" ]; then
        fail "Wine is missing: run ./dev setup"
    fi
}

# Root may read every file; the users that we imitate may not. Wine's server opens the files, so it is
# the one that must live without that right.
wine_unprivileged() {
    if [ "$(id -u)" -eq 0 ] && setpriv --bounding-set=-dac_override,-dac_read_search true 2>/dev/null
    then
        setpriv --bounding-set=-dac_override,-dac_read_search "$@"
    else
        "$@"
    fi
}

wine_find

# A prefix without Z:, which Wine would point at the host's root folder. Takes some ten seconds, so a
# prefix that the same version of Wine made is used again.
wine_make_prefix() {
    local version
    version=$("$wine" --version)
    if [ "$(cat "$wine_dir/version" 2>/dev/null)" != "$version" ]; then
        rm -rf "$WINEPREFIX"
        mkdir -p "$WINEPREFIX"
        wine_unprivileged timeout 180 "$wine" wineboot -i >"$wine_dir/wineboot.log" 2>&1 </dev/null ||
            fail "wineboot made no prefix; see $wine_dir/wineboot.log"
        timeout 60 "$wineserver" -w || fail "wineboot does not end"
        printf '%s\n' "$version" >"$wine_dir/version"
    fi
    rm -f "$WINEPREFIX/dosdevices/z:"
    rm -rf "$WINEPREFIX/drive_c/work"
    mkdir -p "$WINEPREFIX/drive_c/work"
    ln -sfn "$wine_build" "$WINEPREFIX/drive_c/bin"
}

# wine_start: a running Wine with an empty driver log and no CoreMnt service.
wine_start() {
    [ -e "$wine_build/driver/CoreMnt.sys" ] ||
        fail "$wine_build/driver/CoreMnt.sys is missing: run ./dev build windows-x64"
    mkdir -p "$wine_dir"
    wine_stop
    wine_make_prefix
    # Without -p Wine would end the driver a second after the last program.
    wine_unprivileged "$wineserver" -p >/dev/null 2>&1 </dev/null
    # The process that starts the service manager hands its WINEDEBUG and stderr down to the driver:
    # debugstr shows DbgPrint, loaddll the address at which the driver was loaded.
    (
        cd "$WINEPREFIX/drive_c"
        WINEDEBUG=fixme-all,warn+debugstr,+loaddll timeout 60 "$wine" sc delete CoreMnt \
            >/dev/null 2>"$wine_log" </dev/null
    ) || true
}

wine_stop() {
    local pid
    for pid in $wine_pids; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    wine_pids=
    # -k returns at once and fails when nothing runs; -w waits until all has ended.
    if [ -d "$WINEPREFIX" ]; then
        "$wineserver" -k 2>/dev/null || true
        timeout 20 "$wineserver" -w 2>/dev/null || "$wineserver" -k9 2>/dev/null || true
    fi
}

# -- Windows programs --------------------------------------------------------------------------------

# The folder that Windows knows as C:\work, as a path for us.
work_host() {
    printf '%s\n' "$WINEPREFIX/drive_c/work"
}

# What Windows calls a program of the build: cli/coremnt.exe is C:\bin\cli\coremnt.exe.
win_path() {
    case $1 in
    */*) printf 'C:\\bin\\%s\n' "${1//\//\\}" ;;
    *) printf '%s\n' "$1" ;; # Windows' own, such as sc
    esac
}

# win PROGRAM [ARGUMENT...]: run it in the current folder, which must lie on C:. Its exit code; 124
# when it took longer than COREMNT_TIMEOUT.
win() {
    local program
    program=$(win_path "$1")
    shift
    timeout --kill-after=5 "${COREMNT_TIMEOUT:-60}" "$wine" "$program" "$@" </dev/null
}

# win_background NAME PROGRAM [ARGUMENT...]: start it; its output goes to NAME.out, its id is in
# $win_pid. With $win_stdin set, that file is its standard input.
win_background() {
    local name=$1 program
    program=$(win_path "$2")
    shift 2
    : >"$name.out" # now, not when the new process gets to it: win_expect must not see an old one
    "$wine" "$program" "$@" >>"$name.out" 2>&1 <"${win_stdin:-/dev/null}" &
    win_pid=$!
    wine_pids="$wine_pids $win_pid"
}

# win_with_keys NAME PROGRAM [ARGUMENT...]: win_background, for a program that waits for a key.
win_with_keys() {
    rm -f "$1.keys"
    mkfifo "$1.keys"
    exec {win_keys}<>"$1.keys"
    win_stdin=$1.keys win_background "$@"
}

# win_expect NAME PATTERN: wait until the output of NAME matches; 20 seconds at most.
win_expect() {
    local tenths=200
    until grep -Eq -- "$2" "$1.out"; do
        [ "$tenths" -gt 0 ] || fail "$1 did not say $2 but: $(cat "$1.out")"
        tenths=$((tenths - 1))
        sleep 0.1
    done
}

press_key() {
    printf '\n' >&"$win_keys"
}

# win_wait PID [SECONDS]: wait for what win_background started; its exit code, or 124.
win_wait() {
    local pid=$1 tenths=$((${2:-60} * 10))
    while kill -0 "$pid" 2>/dev/null && [ -d "/proc/$pid" ]; do
        [ "$tenths" -gt 0 ] || return 124
        tenths=$((tenths - 1))
        sleep 0.1
    done
    wait "$pid"
}

winio() {
    win tests/wine/winio.exe "$@"
}

coremnt() {
    win cli/coremnt.exe "$@"
}

# -- the driver --------------------------------------------------------------------------------------

# Windows' sc, whose failure ends the script; and with errors shown, because Wine's says why only there.
service_control() {
    WINEDEBUG=err+all,fixme-all win sc "$@" >"$wine_dir/sc.log" 2>&1 ||
        fail "sc $1: exit code $?: $(cat "$wine_dir/sc.log")"
}

# driver_install SYS: register a driver file of the build as the service CoreMnt. The path begins with
# \SystemRoot because Wine, unlike Windows, does not know what "system32\..." is relative to.
driver_install() {
    cp "$wine_build/$1" "$WINEPREFIX/drive_c/windows/system32/drivers/CoreMnt.sys"
    service_control create CoreMnt type= kernel binPath= '\SystemRoot\system32\drivers\CoreMnt.sys'
}

driver_start() {
    service_control start CoreMnt
    driver_answers || fail "the driver was started but \\\\.\\CoreMnt cannot be opened"
}

driver_stop() {
    service_control stop CoreMnt
}

driver_remove() {
    service_control delete CoreMnt
}

driver_answers() {
    winio wait '\\.\CoreMnt' 0 2>/dev/null
}

# The lines of the driver's log so far; for driver_check and driver_log.
driver_mark() {
    wc -l <"$wine_log"
}

# driver_log [MARK]: what the driver printed since.
driver_log() {
    tail -n "+$((${1:-0} + 1))" "$wine_log" | grep -v ':loaddll:' || true
}

driver_crash_pattern='wine: Unhandled |KeBugCheckEx|unimplemented function|stack overflow|err:virtual:'

# driver_check MARK: fails, with the log and the source lines, if the driver crashed since.
driver_check() {
    local mark=$1
    tail -n "+$((mark + 1))" "$wine_log" | grep -Eq "$driver_crash_pattern" || return 0
    {
        say 'The driver crashed. Its log:'
        driver_log "$mark" | tail -n 60
        say 'Source lines:'
        driver_crash_lines "$mark"
    } >&2
    return 1
}

# The load address changes from start to start: it is in the log, and the address that addr2line wants is
# relative to the one that the linker chose.
driver_crash_lines() {
    local sys=$wine_build/driver/CoreMnt.sys preferred loaded address
    preferred=$(x86_64-w64-mingw32-objdump -p "$sys" | awk '$1 == "ImageBase" { print $2 }')
    loaded=$(grep -o 'CoreMnt.sys" at [0-9A-Fa-f]*' "$wine_log" | tail -n 1 | sed 's/.* //')
    [ -n "$loaded" ] || return 0
    tail -n "+$(($1 + 1))" "$wine_log" | grep 'wine: Unhandled ' |
        grep -o 'at address [0-9A-Fa-f]*' | sed 's/.* //' | sort -u |
        while read -r address; do
            x86_64-w64-mingw32-addr2line -f -p -i -e "$sys" \
                "$(printf '%x' "$((0x$address - 0x$loaded + 0x$preferred))")"
        done
}
