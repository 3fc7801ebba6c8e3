package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMembers holds that members of the group use everything without root, what others may not, and that
// nobody becomes more than they are.
func TestMembers(t *testing.T) {
	if !playHost(t) {
		return
	}
	i := newInstance(t, fmt.Sprintf("/cloister/members-%d", os.Getpid()))
	alice, mallory := i.addPeople()
	t.Cleanup(func() {
		if t.Failed() {
			keepLogs(t, i.bin)
		}
		i.cloister("down", "--purge")
	})
	if _, text, err := alice.does("status"); err == nil || !strings.Contains(text, "does not run here") {
		t.Errorf("before up, status says %q (%v)", text, err)
	}
	i.cloister("up")
	subnet := i.setUpNetwork()

	t.Run("no access", func(t *testing.T) {
		for _, args := range [][]string{{"status"}, {"env"}, {"run", "--subnet", subnet, "--", "id"}} {
			out, text, err := mallory.does(args...)
			if err == nil || !strings.Contains(text, "you have no access") || !strings.Contains(text, "group cloister") || out != "" {
				t.Errorf("mallory: cloister %s: %v %q %q", args[0], err, out, text)
			}
		}
		for _, p := range []*person{alice, mallory} {
			for _, file := range []string{"data/admin.json", "data/tls", "data/log", "data/volumes", "run/config.json", "run/containerd/containerd.sock", "run/files"} {
				path := filepath.Join(i.dir, file)
				if _, err := os.Stat(path); err != nil {
					t.Fatal(err)
				}
				if err := p.program("test", "-r", path).Run(); err == nil {
					t.Errorf("%s reads %s", p.name, path)
				}
			}
		}
	})
	t.Run("status and env", func(t *testing.T) {
		if out, text, err := alice.does("status"); err != nil || !strings.Contains(out, "reconcilers") {
			t.Errorf("status: %v %s %s", err, out, text)
		}
		out, text, err := alice.does("env", "--list")
		if err != nil || !strings.Contains(out, "CLOISTER_URL=https://198.51.100.2\n") || !strings.Contains(out, "AZURE_CONFIG_DIR="+alice.home) {
			t.Errorf("env: %v %s %s", err, out, text)
		}
		if strings.Contains(out, "SECRET") || strings.Contains(out, "CLIENT_ID") {
			t.Errorf("a member gets the administrator's credentials: %s", out)
		}
	})
	t.Run("not signed in", func(t *testing.T) {
		if _, text, err := alice.does("run", "--subnet", subnet, "--", "id"); err == nil || !strings.Contains(text, "az login --use-device-code") {
			t.Errorf("%v %s", err, text)
		}
	})
	alice.az("cloud", "register", "-n", "Cloister", "--endpoint-resource-manager", "https://198.51.100.2")
	alice.az("cloud", "set", "-n", "Cloister")
	alice.signIn("alice@cloister.internal", alicesPassword)
	t.Run("without the right to join", func(t *testing.T) {
		if out, text, err := alice.does("run", "--subnet", subnet, "--", "id"); err == nil || !strings.Contains(text, "subnets/join/action") || out != "" {
			t.Errorf("%v %q %q", err, out, text)
		}
	})
	i.az("role", "assignment", "create", "--assignee-object-id", i.az("ad", "user", "show", "--id", "alice@cloister.internal", "--query", "id"), "--assignee-principal-type", "User", "--role", "Network Contributor", "--scope", subnet)
	within(t, 10*time.Second, "the right to join counts", func() error {
		_, text, err := alice.does("run", "--subnet", subnet, "--", "true")
		if err != nil {
			return errors.New(text)
		}
		return nil
	})
	t.Run("inside", func(t *testing.T) { memberInside(t, alice, subnet) })
	t.Run("ends", func(t *testing.T) { memberEnds(t, i, alice, subnet) })
	t.Run("sessions of root's are not a member's", func(t *testing.T) { memberSessions(t, i, alice, subnet) })
}

// alicesPassword is of a directory that ends with the test.
const alicesPassword = "correct horse battery staple 7!"

// setUpNetwork makes a network, and a user who sees it and may do nothing with it.
func (i *instance) setUpNetwork() (subnet string) {
	i.t.Helper()
	for line := range strings.Lines(i.cloister("env", "--list")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		i.t.Setenv(name, value)
	}
	i.az("cloud", "register", "-n", "Cloister", "--endpoint-resource-manager", os.Getenv("CLOISTER_URL"))
	i.az("cloud", "set", "-n", "Cloister")
	i.az("login", "--service-principal", "-u", os.Getenv("ARM_CLIENT_ID"), "-p", os.Getenv("ARM_CLIENT_SECRET"), "--tenant", os.Getenv("ARM_TENANT_ID"))
	i.az("group", "create", "-n", "team", "-l", "eastus")
	i.az("network", "vnet", "create", "-g", "team", "-n", "vnet", "--address-prefix", "10.0.0.0/8", "--subnet-name", "s", "--subnet-prefix", "10.240.0.0/24")
	subnet = i.az("network", "vnet", "subnet", "show", "-g", "team", "--vnet-name", "vnet", "-n", "s", "--query", "id")
	id := i.az("ad", "user", "create", "--display-name", "Alice", "--user-principal-name", "alice@cloister.internal", "--password", alicesPassword, "--query", "id")
	i.az("role", "assignment", "create", "--assignee-object-id", id, "--assignee-principal-type", "User", "--role", "Reader", "--scope", subnet[:strings.Index(subnet, "/providers/")])
	return subnet
}

// az runs az as root.
func (i *instance) az(args ...string) string {
	i.t.Helper()
	return strings.TrimSpace(i.cloister(append(append([]string{"run", "--workstation", "--", "az"}, args...), "-o", "tsv")...))
}

// memberInside looks at what a member's command is and has.
func memberInside(t *testing.T, alice *person, subnet string) {
	t.Helper()
	for _, c := range []struct{ script, want string }{
		{"id -un; id -g; id -G", "alice\n60011\n60011 60010"},
		{"ip -o -4 addr show eth0 | grep -c 'inet 10\\.240\\.0\\.'", "1"},
		{"grep nameserver /etc/resolv.conf", "nameserver 168.63.129.16"},
		{"pwd; echo $HOME", alice.home + "\n" + alice.home},
		{"grep -E '^(CapEff|CapPrm|CapInh|NoNewPrivs)' /proc/self/status | cut -f2 | tr '\n' ' '", "0000000000000000 0000000000000000 0000000000000000 1"},
		{"touch mine && stat -c %U mine", "alice"},
		{"cat " + alice.i.data + "/admin.json 2>&1 | grep -c denied", "1"},
		{"ip link add x type dummy 2>&1 | grep -c permitted", "1"},
	} {
		out, text, err := alice.does("run", "--subnet", subnet, "--", "sh", "-c", c.script)
		if err != nil || out != c.want {
			t.Errorf("%s: %q %v %s, want %q", c.script, out, err, text, c.want)
		}
	}
	out, text, err := alice.does("run", "--subnet", subnet, "--workstation", "--", "sh", "-c", "id -u; grep nameserver /etc/resolv.conf; kubectl version --client | head -1 | cut -d: -f1; az group list --query [].name -o tsv 2>/dev/null")
	if want := "60011\nnameserver 168.63.129.16\nClient Version\nteam"; err != nil || out != want {
		t.Errorf("workstation: %q %v %s, want %q", out, err, text, want)
	}
	cmd := alice.command("run", "--subnet", subnet, "--", "cat")
	cmd.Stdin = strings.NewReader("through standard input")
	if b, err := cmd.Output(); err != nil || string(b) != "through standard input" {
		t.Errorf("standard input: %q %v", b, err)
	}
	var exit *exec.ExitError
	if _, _, err := alice.does("run", "--subnet", subnet, "--", "sh", "-c", "exit 42"); !errors.As(err, &exit) || exit.ExitCode() != 42 {
		t.Errorf("exit status: %v", err)
	}
	if _, text, err := alice.does("run", "--subnet", subnet, "--", "no-such-program"); !errors.As(err, &exit) || exit.ExitCode() != 127 {
		t.Errorf("no program: %v %s", err, text)
	}
	// A terminal of its own: script(1) gives the call one, and the command has one that it controls.
	out2, err := alice.program("script", "-qec", alice.i.bin+" run --subnet "+subnet+" -- sh -c 'test -t 0 && tty && : </dev/tty && echo controls'", "/dev/null").CombinedOutput()
	if err != nil || !strings.Contains(string(out2), "/dev/pts/") || !strings.Contains(string(out2), "controls") {
		t.Errorf("terminal: %v %s", err, out2)
	}
}

// processes are those that run with the marker in their arguments.
func processes(t *testing.T, marker string) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || !strings.HasPrefix(string(b), "sleep\x00"+marker) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// memberEnds: signals reach the command, it ends with its caller, outlives the daemon, and ends with `down`.
func memberEnds(t *testing.T, i *instance, alice *person, subnet string) {
	t.Helper()
	marker := 100_000 + os.Getpid()
	start := func() (*exec.Cmd, string) {
		t.Helper()
		marker++
		word := strconv.Itoa(marker)
		cmd := alice.command("run", "--subnet", subnet, "--", "sleep", word)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		within(t, 20*time.Second, "a member's command runs", func() error {
			if len(processes(t, word)) != 1 {
				return errors.New("not yet")
			}
			return nil
		})
		return cmd, word
	}
	gone := func(word string) {
		t.Helper()
		within(t, 15*time.Second, "it has ended, and its network with it", func() error {
			pins, err := filepath.Glob(filepath.Join(i.run, "netns", "run-*"))
			if p := processes(t, word); err != nil || len(p) > 0 || len(pins) > 0 {
				return fmt.Errorf("processes %v, namespaces %v %w", p, pins, err)
			}
			return nil
		})
	}
	cmd, word := start()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 128+15 {
		t.Errorf("after SIGTERM: %v", err)
	}
	gone(word)

	cmd, word = start()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	gone(word)

	// The daemon is killed and started again: the command does not notice.
	cmd, word = start()
	b, err := os.ReadFile(filepath.Join(i.run, "cloister.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	i.cloister("up")
	pids := processes(t, word)
	if len(pids) != 1 {
		t.Fatalf("after the daemon was killed, the command runs as %v", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 128+int(syscall.SIGUSR1) {
		t.Errorf("the command's end, told by its keeper: %v", err)
	}
	gone(word)

	cmd, word = start()
	i.cloister("down")
	gone(word)
	if err := cmd.Wait(); err == nil {
		t.Error("the command went on without its network")
	}
	i.cloister("up")
}

// memberSessions: the requests by which root gets an interface for any process are refused to others.
func memberSessions(t *testing.T, i *instance, alice *person, subnet string) {
	t.Helper()
	socket := filepath.Join(i.run, "cloister.sock")
	body := fmt.Sprintf(`{"subnet":%q,"pid":1}`, subnet)
	out, err := alice.program("curl", "-s", "--unix-socket", socket, "-d", body, "http://cloister/sessions").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "this is for root") {
		t.Errorf("POST /sessions: %v %s", err, out)
	}
	out, err = alice.program("curl", "-s", "--unix-socket", socket, "-X", "DELETE", "http://cloister/sessions/x").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "this is for root") {
		t.Errorf("DELETE /sessions: %v %s", err, out)
	}
	out, err = alice.program("curl", "-s", "--unix-socket", socket, "-d", fmt.Sprintf(`{"subnet":%q,"token":"x.y.z","args":["aWQ="]}`, subnet), "http://cloister/run").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "token") {
		t.Errorf("POST /run with a wrong token: %v %s", err, out)
	}
	// Root has the session's requests, as before.
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	resp, err := client.Post("http://cloister/sessions", "application/json", strings.NewReader(fmt.Sprintf(`{"subnet":%q,"pid":%d}`, subnet, os.Getpid())))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("root's session: %v %s", err, text)
	}
}
