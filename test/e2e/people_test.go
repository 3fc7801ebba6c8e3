package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// person is somebody with an account on the played host.
type person struct {
	i      *instance
	name   string
	uid    uint32
	groups []uint32
	home   string
}

// groupID is that of the group cloister on the played host.
const groupID = 60010

// addPeople gives the played host people: alice is in the group cloister, mallory is not. The machine's own accounts
// are not touched: the files are laid over its.
func (i *instance) addPeople() (alice, mallory *person) {
	i.t.Helper()
	alice = &person{i: i, name: "alice", uid: 60011, groups: []uint32{60011, groupID}}
	mallory = &person{i: i, name: "mallory", uid: 60012, groups: []uint32{60012}}
	users, groups := "", fmt.Sprintf("cloister:x:%d:alice\n", groupID)
	for _, p := range []*person{alice, mallory} {
		p.home = filepath.Join(i.dir, p.name)
		if err := os.Mkdir(p.home, 0o700); err != nil {
			i.t.Fatal(err)
		}
		if err := os.Chown(p.home, int(p.uid), int(p.uid)); err != nil {
			i.t.Fatal(err)
		}
		users += fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", p.name, p.uid, p.uid, p.home)
		groups += fmt.Sprintf("%s:x:%d:\n", p.name, p.uid)
	}
	for file, more := range map[string]string{"/etc/passwd": users, "/etc/group": groups} {
		old, err := os.ReadFile(file)
		if err != nil {
			i.t.Fatal(err)
		}
		own := filepath.Join(i.dir, filepath.Base(file))
		if err := os.WriteFile(own, append(old, more...), 0o644); err != nil {
			i.t.Fatal(err)
		}
		output(i.t, "mount", "--bind", own, file)
	}
	return alice, mallory
}

// command is cloister, as the person.
func (p *person) command(args ...string) *exec.Cmd {
	return p.program(p.i.bin, args...)
}

func (p *person) program(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = p.home
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + p.home, "CLOISTER_DATA_DIR=" + p.i.data, "CLOISTER_RUN_DIR=" + p.i.run, "PYTHONWARNINGS=ignore"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: p.uid, Gid: p.uid, Groups: p.groups}}
	return cmd
}

// does runs cloister as the person and returns what it prints; it may fail.
func (p *person) does(args ...string) (stdout, stderr string, err error) {
	var out, text bytes.Buffer
	cmd := p.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &text
	err = cmd.Run()
	return strings.TrimSpace(out.String()), strings.TrimSpace(text.String()), err
}

// az runs az as the person; it must succeed.
func (p *person) az(args ...string) string {
	p.i.t.Helper()
	out, text, err := p.does(append([]string{"run", "--workstation", "--", "az"}, args...)...)
	if err != nil {
		p.i.t.Fatalf("%s: az %s: %v %s", p.name, strings.Join(args, " "), err, text)
	}
	return out
}

var (
	deviceCode = regexp.MustCompile(`open the page (\S+) and enter the code (\S+) to`)
	formToken  = regexp.MustCompile(`name="token" value="([^"]*)"`)
)

// signIn has the person sign in by a device code: az shows it, and a browser sends it with user and password.
func (p *person) signIn(user, password string) {
	t := p.i.t
	t.Helper()
	cmd := p.command("run", "--workstation", "--", "az", "login", "--use-device-code", "--output", "none")
	r, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	said := ""
	for lines := bufio.NewScanner(r); lines.Scan(); {
		said += lines.Text() + "\n"
		if m := deviceCode.FindStringSubmatch(lines.Text()); m != nil {
			browse(t, m[1], m[2], user, password)
			break
		}
	}
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("az login --use-device-code: %v\n%s%s", err, said, rest)
	}
}

func browse(t *testing.T, page, code, user, password string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	read := func(resp *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v %s", resp.Status, err, b)
		}
		return string(b)
	}
	html := read(client.Get(page))
	for _, more := range []url.Values{{}, {"user": {user}, "password": {password}, "step": {"signin"}}} {
		m := formToken.FindStringSubmatch(html)
		if m == nil {
			t.Fatalf("no form in %s", html)
		}
		more.Set("token", m[1])
		more.Set("code", code)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, page, strings.NewReader(more.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(page)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", u.Scheme+"://"+u.Host)
		html = read(client.Do(req))
	}
	if !strings.Contains(html, "You are signed in") {
		t.Fatalf("the sign-in page says %s", html)
	}
}
