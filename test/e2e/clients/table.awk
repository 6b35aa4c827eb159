# table.awk -- a table of what each client found, and whether it was expected. First file: client, version,
# feature and reason of what is known to fail; second: rows of the suites.
FILENAME == ARGV[1] {
    if ($0 !~ /^(#|$)/) reason[$1 FS $2 FS $3] = $4
    next
}
{
    n++
    name = $1 FS $2 FS $3
    line[n] = sprintf("%-26s %-9s %-26s %4d", $1, $2, $3, $4)
    seen[name] = 1
    ran[$1 FS $2] = 1
    if ($5 == 0 && !(name in reason)) result[n] = "passed"
    else if ($5 > 0 && name in reason) { result[n] = $5 " failed, as expected: " reason[name]; known++ }
    else if ($5 > 0) { result[n] = $5 " FAILED: " $6; bad++ }
    else { result[n] = "PASSED, which was not expected: take it from the list"; bad++ }
    checks += $4
}
END {
    printf "%-26s %-9s %-26s %4s\n", "client", "version", "feature", "n"
    for (i = 1; i <= n; i++) print line[i] "  " result[i]
    for (name in reason) {
        split(name, part, FS)
        if (part[1] FS part[2] in ran && !(name in seen)) { print "expected to fail, and not there: " part[1] ": " part[3]; bad++ }
    }
    printf "%d checks of %d features; %d features fail as expected, %d otherwise\n", checks, n, known, bad
    exit bad > 0
}
