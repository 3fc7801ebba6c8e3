# Of what `go test -v` printed: each test that failed, after the messages that it failed with.
/^=== RUN/ { n = 0 }
/_test\.go:[0-9]+: / { said[n++] = $0 }
/^ *--- (PASS|SKIP)/ { n = 0 }
/^ *--- FAIL/ { for (i = 0; i < n; i++) print said[i]; n = 0; print }
/^panic:/ { print }
