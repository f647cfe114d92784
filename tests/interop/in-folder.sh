# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# in-folder.sh FOLDER SCRIPT ARGUMENT... - runs a test in that folder, emptied; when it succeeds, nothing is left of the
# images that it made, which are large.
set -euo pipefail

folder=$1
shift
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
bash "$@"
rm -rf "$folder"
