package netplan

import (
	"fmt"
	"strings"
)

// Table is the name of the one table that Cloister has in a namespace.
const Table = "cloister"

// table collects a packet filter in nft's language
// (https://wiki.nftables.org/wiki-nftables/index.php/Scripting).
type table struct{ lines []string }

func (t *table) line(format string, args ...any) {
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
}

// chain adds a chain; hook is empty for one that others jump to.
func (t *table) chain(name, hook string, rules ...string) {
	t.line("chain %s {", name)
	if hook != "" {
		t.line("  %s", hook)
	}
	for _, r := range rules {
		t.line("  %s", r)
	}
	t.line("}")
}

// String is the whole table. A chain must stand before those that jump to it, so
// chains with a hook come in the order in which they were added, after the others.
func (t *table) String() string {
	return "table ip " + Table + " {\n  " + strings.Join(t.lines, "\n  ") + "\n}\n"
}
