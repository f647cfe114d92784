# SPDX-License-Identifier: MIT
#
# coverage.awk - holds gcov's counts (the lines that scripts/coverage makes of them) against the list of lines
# that no test reaches; prints the table, and those lines with their reasons. Called by scripts/coverage.

# The list: "FILE FUNCTION: TEXT", then the reason, indented; its first lines tell the rest.
function read_reasons(    line, number, colon, names) {
    while ((getline line < reasons) > 0) {
        number++
        if (line ~ /^[ \t]*(#|$)/)
            continue
        if (line ~ /^[ \t]/) {
            sub(/^[ \t]+/, "", line)
            reason[entries] = (reason[entries] == "" ? "" : reason[entries] " ") line
            continue
        }
        sub(/^[?] +/, "?", line)
        colon = index(line, ": ")
        if (colon == 0 || split(substr(line, 1, colon - 1), names, " ") != 2) {
            complain(reasons ":" number ": not FILE FUNCTION: TEXT")
            continue
        }
        entries++
        by_chance[entries] = sub(/^[?] */, "", names[1])
        where[entries] = reasons ":" number
        entry_file[entries] = "driver/" names[1]
        entry_function[entries] = names[2]
        entry_text[entries] = substr(line, colon + 2)
        entry_turn[entries] = 0
        if (match(entry_text[entries], / #[0-9]+$/)) {
            entry_turn[entries] = substr(entry_text[entries], RSTART + 2) + 0
            entry_text[entries] = substr(entry_text[entries], 1, RSTART - 1)
        }
        reason[entries] = ""
    }
    close(reasons)
    for (number = 1; number <= entries; number++)
        if (reason[number] == "")
            complain(where[number] ": gives no reason")
}

function complain(what) {
    complaints[++offences] = what
}

function read_source(file,    line, number) {
    while ((getline line < file) > 0) {
        sub(/^[ \t]+/, "", line)
        text[file, ++number] = line
    }
    close(file)
}

# A part of two letters at most, such as a brace, must be all of the line.
function holds(line, part) {
    return part == "*" || (length(part) > 2 ? index(line, part) > 0 : line == part)
}

# The entry that names a line, or 0. Lines come in their order.
function entry_of(file, line, function_name,    i, found) {
    for (i = 1; i <= entries; i++) {
        if (entry_file[i] != file || entry_function[i] != function_name || !holds(text[file, line], entry_text[i]))
            continue
        turn[i]++
        if (!found && (!entry_turn[i] || turn[i] == entry_turn[i]))
            found = i
    }
    return found + 0
}

function percent(part, all) {
    return all == 0 ? "-" : sprintf("%.1f", int(1000 * part / all) / 10)
}

function row(name, all, reached, ways, taken) {
    printf "%-26s %6d %8d %8s %12s\n", name, all, reached, percent(reached, all), percent(taken, ways)
}

BEGIN {
    read_reasons()
}

$1 == "F" {
    functions++
    entered += $4 > 0
}

$1 == "L" {
    if (!($2 in lines)) {
        files[++file_count] = $2
        read_source($2)
    }
    entry = entry_of($2, $3, $4)
    lines[$2]++
    all_lines++
    ways[$2] += $6
    taken[$2] += $7
    all_ways += $6
    all_taken += $7
    used[entry]++
    if ($5 > 0) {
        reached[$2]++
        all_reached++
        if (entry && !by_chance[entry])
            complain(sprintf("%s:%d is reached, and named in %s: %s", $2, $3, where[entry], text[$2, $3]))
        if (branches && $7 < $6)
            one_way[++one_ways] = sprintf("%s:%d: %d of %d: %s", $2, $3, $7, $6, text[$2, $3])
        next
    }
    if (!entry)
        complain(sprintf("%s:%d, in %s, is not reached, and no reason is given: %s", $2, $3, $4, text[$2, $3]))
    else
        not_reached[entry] = not_reached[entry] sprintf("%s:%d: %s\n", $2, $3, text[$2, $3])
}

END {
    printf "%-26s %6s %8s %8s %12s\n", "", "lines", "reached", "percent", "branches, %"
    for (i = 1; i <= file_count; i++)
        row(files[i], lines[files[i]], reached[files[i]], ways[files[i]], taken[files[i]])
    row("driver/", all_lines, all_reached, all_ways, all_taken)
    printf "%d of %d functions are entered\n", entered, functions
    if (branches) {
        print "\nDecided in one way only (ways taken, of how many):"
        for (i = 1; i <= one_ways; i++)
            print one_way[i]
    }
    if (all_reached < all_lines)
        print "\nNot reached:"
    for (i = 1; i <= entries; i++) {
        if (!used[i])
            complain(where[i] ": there is no such line: " entry_text[i])
        if (i in not_reached)
            printf "%s    %s\n", not_reached[i], reason[i]
    }
    if (100 * all_reached < minimum * all_lines)
        complain("less than " minimum " % of the lines are reached")
    fflush()
    for (i = 1; i <= offences; i++)
        print "coverage: " complaints[i] > "/dev/stderr"
    exit offences > 0
}
