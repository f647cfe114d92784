# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The unit tests of the Windows build, under Wine: the same sources as on Linux, over the Windows half of
# os.h.
set -euo pipefail
# shellcheck source=tests/wine/check.sh
. "$(dirname "${BASH_SOURCE[0]}")/check.sh"

count=0
for program in "$wine_build"/tests/unit/*.exe; do
    [ -e "$program" ] || fail "there is no program in $wine_build/tests/unit"
    name=$(basename "$program")
    mkdir "$name.dir"
    (cd "$name.dir" && win "tests/unit/$name" >../out 2>&1) || fail "$name: exit code $?: $(tail -n 40 out)"
    count=$((count + 1))
done
say "$count programs"
