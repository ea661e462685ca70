# Reads what `pg_restore --list --verbose` prints, and prints the ids of the entries that one table needs and that belong
# to it, in their order, then a line `left out: ` for each of its own that needs another table.
#
# Variable: entry, `TABLE SCHEMA NAME `. Exit code 1 if there is no such table, 2 if another begins with the same words.
#
# An entry is `ID; CATALOG OID KIND SCHEMA NAME OWNER`; a line after it has the ids of those that it depends on.
/^[0-9]+; / {
    id = $1 + 0
    order[++count] = id
    relation = $2 == 1259
    sub(/^[0-9]+; [0-9]+ [0-9]+ /, "")
    text[id] = $0
    if (relation && /^TABLE /) tables[id]
    if (relation && /^SEQUENCE /) sequences[id]
    if ((id in tables) && index($0, entry) == 1) { own[id]; found++ }
}
/^;\tdepends on:/ { sub(/^;\tdepends on: */, ""); needs[id] = $0 }

# Takes an entry with all that it needs.
function take(each, parts, n, i) {
    taken[each]
    n = split(needs[each], parts, " ")
    for (i = 1; i <= n; i++) if ((parts[i] in text) && !(parts[i] in taken)) take(parts[i])
}

# Whether all that an entry needs is taken, or is no part of another table.
function possible(each, seen, parts, n, i) {
    seen[each]
    n = split(needs[each], parts, " ")
    for (i = 1; i <= n; i++) {
        if (!(parts[i] in text) || (parts[i] in taken) || (parts[i] in seen)) continue
        if (text[parts[i]] ~ others || !possible(parts[i], seen)) return 0
    }
    return 1
}

# Whether an entry is about the table, about an index or constraint of it, or about a sequence that comes with it.
function near(each, parts, n, i) {
    n = split(needs[each], parts, " ")
    for (i = 1; i <= n; i++) if ((parts[i] in own) || ((parts[i] in sequences) && (parts[i] in taken))) return 1
    return 0
}

END {
    if (found != 1) exit found ? 2 : 1
    named = substr(entry, 7) # SCHEMA NAME, with a blank at the end
    others = "^(TABLE|VIEW|MATERIALIZED VIEW|FOREIGN TABLE|CONSTRAINT|INDEX) "
    kinds = "^(TABLE DATA|DEFAULT|SEQUENCE|SEQUENCE OWNED BY|SEQUENCE SET|CONSTRAINT|CHECK CONSTRAINT|FK CONSTRAINT|INDEX|COMMENT|STATISTICS|TRIGGER|RULE|POLICY|ROW SECURITY) "
    for (id in own) take(id)
    do {
        more = 0
        for (i = 1; i <= count; i++) {
            id = order[i]
            if ((id in taken) || (id in tables) || text[id] !~ kinds || !near(id)) continue
            split("", seen)
            if (!possible(id, seen)) continue
            take(id)
            more = 1
            if (text[id] ~ /^(CONSTRAINT|INDEX) /) own[id]
        }
    } while (more)
    for (i = 1; i <= count; i++) if (order[i] in taken) print order[i]
    for (i = 1; i <= count; i++) {
        id = order[i]
        if ((id in taken) || text[id] !~ kinds || !near(id)) continue
        if (text[id] ~ /^INDEX / || index(text[id], " " named)) print "left out: " text[id]
    }
}
