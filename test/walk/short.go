package walk

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// short makes a cluster without naming a network, at a terminal and without --yes, and takes it away, answering az's question.
func short(ctx context.Context, w *Walk) error {
	c := cluster{Group: "walk-other", Name: "short"}
	start := time.Now()
	if _, err := w.terminal(ctx, "", "aks", "create", "-g", c.Group, "-n", c.Name, "--enable-private-cluster", "--node-count", "1", "--generate-ssh-keys", "-o", "none"); err != nil {
		return err
	}
	w.saw("az returned after %.1f s", time.Since(start).Seconds())
	var nets []struct {
		Name    string
		Subnets []struct{ ID, AddressPrefix string }
	}
	group := fmt.Sprintf("MC_%s_%s_%s", c.Group, c.Name, w.Region)
	if err := w.azJSON(ctx, &nets, "network", "vnet", "list", "-g", group); err != nil {
		return err
	}
	if len(nets) != 1 || !regexp.MustCompile(`^aks-vnet-[0-9]{8}$`).MatchString(nets[0].Name) || len(nets[0].Subnets) != 1 {
		return fmt.Errorf("networks in %s: %+v", group, nets)
	}
	w.saw("%s has the network %s with %s", group, nets[0].Name, nets[0].Subnets[0].AddressPrefix)
	out, err := w.inside(ctx, nets[0].Subnets[0].ID, "sh", "-ec",
		fmt.Sprintf("az aks get-credentials -g %s -n %s -f /tmp/short --overwrite-existing --only-show-errors && kubectl --kubeconfig /tmp/short get nodes", c.Group, c.Name))
	if err != nil {
		return err
	}
	if !strings.Contains(out, " Ready ") {
		return fmt.Errorf("kubectl get nodes says %s", out)
	}
	w.saw("%s", out)
	if out, err = w.terminal(ctx, "n\n", "aks", "delete", "-g", c.Group, "-n", c.Name); err == nil {
		return fmt.Errorf("az aks delete went on after a no: %s", out)
	}
	out, err = w.terminal(ctx, "y\n", "aks", "delete", "-g", c.Group, "-n", c.Name)
	if err == nil && !strings.Contains(out, "(y/n)") {
		err = fmt.Errorf("az asked nothing: %s", out)
	}
	return err
}

// terminal runs az with a terminal, and types the answers once az asks.
func (w *Walk) terminal(ctx context.Context, answers string, args ...string) (string, error) {
	args = append([]string{"run", "--workstation", "--", "az"}, args...)
	w.printf("   $ %s   (at a terminal)\n", typed(args))
	// script(1) gives the command a terminal of its own.
	cmd := exec.CommandContext(ctx, "script", "--quiet", "--return", "--command", quoted(append([]string{w.Cloister}, args...)), "/dev/null")
	cmd.WaitDelay = 10 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	out := &prompt{answers: answers, in: in}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return out.text.String(), fmt.Errorf("%s: %w\n%s", typed(args), err, tail(out.text.String()))
	}
	return out.text.String(), nil
}

// prompt keeps what is printed, and answers the first question.
type prompt struct {
	text    bytes.Buffer // not embedded: its ReadFrom would be used instead of Write
	answers string
	in      io.Writer
}

func (p *prompt) Write(b []byte) (int, error) {
	n, err := p.text.Write(b)
	if p.answers != "" && strings.Contains(p.text.String(), "(y/n)") {
		if _, err := p.in.Write([]byte(p.answers)); err != nil {
			return n, err
		}
		p.answers = ""
	}
	return n, err
}
