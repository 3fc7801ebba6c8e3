package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"cloister.dev/cloister/internal/config"
	"cloister.dev/cloister/internal/local"
)

// runAsMember has the daemon run the command in the subnet, as the caller.
func runAsMember(ctx context.Context, c config.Config, subnet string, workstation bool, args []string) error {
	client := local.NewClient(c.RunDir)
	st, err := client.Status(ctx)
	if err != nil {
		return err
	}
	token, err := accessToken(ctx, c, st.URL)
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	if workstation {
		// In the network the same program lays out the workstation, as the caller: that is not for root to do.
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		args = append([]string{exe, "run", "--workstation", "--"}, args...)
	}
	req := local.MemberRequest{Subnet: subnet, Token: token, Args: raw(args), Env: raw(os.Environ()), Dir: dir, Umask: unix.Umask(0)}
	unix.Umask(req.Umask)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH)
	defer signal.Stop(signals)
	stdio := [3]*os.File{os.Stdin, os.Stdout, os.Stderr}
	// Signals are the command's to answer: this call ends when it has.
	ctx = context.WithoutCancel(ctx)
	if !isTerminal(os.Stdin) || !isTerminal(os.Stdout) {
		return exited(client.RunMember(ctx, req, stdio, signals))
	}
	t, err := openTerminal()
	if err != nil {
		return err
	}
	defer t.close()
	req.Terminal = true
	for i := range stdio {
		if i < 2 || isTerminal(os.Stderr) {
			stdio[i] = t.inner
		}
	}
	return exited(client.RunMember(ctx, req, stdio, t.follow(signals)))
}

func raw(list []string) [][]byte {
	out := make([][]byte, len(list))
	for i, s := range list {
		out[i] = []byte(s)
	}
	return out
}
