// Package walk is the story that has to work, with real clients: from `az cloud
// register` to `kubectl get nodes` in a private cluster, and nobody outside. The
// demo prints it, the end-to-end test runs it.
package walk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Step is one thing that must be seen.
type Step struct {
	Name string
	Run  func(ctx context.Context, w *Walk) error
}

// Walk is one walk through the story. Steps share what they learned in it.
type Walk struct {
	Cloister string    // path of the binary
	Out      io.Writer // what a person reads
	Region   string
	Nodes    int

	env     map[string]string // of `cloister env --list`
	groups  []string          // to delete at the end
	subnets map[string]string // name -> id
	main    cluster           // the seed's cluster
	twin    cluster           // the one with the same addresses in another network
	before  map[string]bool   // listening sockets of the host before any cluster
	uplink  *capture
}

// cluster is what the walk knows of one cluster.
type cluster struct {
	Group, Name, Subnet      string
	PrivateFQDN, PublicFQDN  string
	NodeGroup, Endpoint, UID string
	Certificate              string // fingerprint of the API server's
}

// Run takes the steps in order and stops at the first that fails.
func (w *Walk) Run(ctx context.Context, steps []Step) error {
	defer w.close()
	start := time.Now()
	for i, s := range steps {
		w.printf("\n== %d. %s\n", i+1, s.Name)
		t := time.Now()
		if err := s.Run(ctx, w); err != nil {
			w.printf("   FAILED after %.1f s: %v\n", time.Since(t).Seconds(), err)
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		w.printf("   done in %.1f s\n", time.Since(t).Seconds())
	}
	w.printf("\nAll of it in %.0f s.\n", time.Since(start).Seconds())
	return nil
}

func (w *Walk) close() {
	if w.uplink != nil {
		w.uplink.stop()
	}
}

func (w *Walk) printf(format string, args ...any) { fmt.Fprintf(w.Out, format, args...) }

// saw prints what was seen, in a line.
func (w *Walk) saw(format string, args ...any) {
	w.printf("   -> %s\n", strings.ReplaceAll(strings.TrimSpace(fmt.Sprintf(format, args...)), "\n", "\n      "))
}

// az runs the real az CLI in the workstation image, in the host's network.
func (w *Walk) az(ctx context.Context, args ...string) (string, error) {
	return w.command(ctx, true, append([]string{"run", "--workstation", "--", "az"}, args...)...)
}

// azJSON runs az and decodes what it prints.
func (w *Walk) azJSON(ctx context.Context, out any, args ...string) error {
	text, err := w.az(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		return fmt.Errorf("az %s: %w in %q", args[0], err, text)
	}
	return nil
}

// inside runs a command of the workstation image in a subnet.
func (w *Walk) inside(ctx context.Context, subnet string, args ...string) (string, error) {
	return w.command(ctx, true, append([]string{"run", "--workstation", "--subnet", subnet, "--"}, args...)...)
}

// command runs cloister, prints the line as a person would type it, and returns standard output.
func (w *Walk) command(ctx context.Context, show bool, args ...string) (string, error) {
	if show {
		w.printf("   $ %s\n", typed(args))
	}
	cmd := exec.CommandContext(ctx, w.Cloister, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w\n%s%s", typed(args), err, tail(out.String()), tail(errOut.String()))
	}
	return out.String(), nil
}

// program runs one of this machine's programs.
func program(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, quoted(args), err, tail(string(out)))
	}
	return nil
}

// typed is the line with the subnet's id shortened.
func typed(args []string) string {
	if len(args) > 0 && args[0] == "run" {
		where, rest := "", args[1:]
		for len(rest) > 0 && rest[0] != "--" {
			if rest[0] == "--subnet" && len(rest) > 1 {
				where = "[in " + rest[1][strings.LastIndex(rest[1], "/")+1:] + "] "
			}
			rest = rest[1:]
		}
		if len(rest) > 0 {
			rest = rest[1:]
		}
		return where + quoted(rest)
	}
	return "cloister " + quoted(args)
}

func quoted(args []string) string {
	var out []string
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \"'|&;<>()$`\\*?[]#~{}\n") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		if len(a) > 160 {
			a = a[:150] + "…"
		}
		out = append(out, a)
	}
	return strings.Join(out, " ")
}

func tail(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if len(lines) > 15 {
		lines = lines[len(lines)-15:]
	}
	return strings.Join(lines, "\n")
}

// eventually repeats check until it is nil, or the time is over.
func eventually(ctx context.Context, limit time.Duration, check func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-tick.C:
		}
	}
}

// refused wants a command to fail.
func refused(out string, err error, what string) error {
	if err == nil {
		return fmt.Errorf("%s worked, and must not: %s", what, tail(out))
	}
	return nil
}
