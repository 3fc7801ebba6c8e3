// Command hello is a small web server for trying a cluster: it says on port 8080
// who it is and who asked. Its other modes are what such a trial needs where an
// image has no shell.
//
//	hello                    serve
//	hello hostname           print the host's name
//	hello fetch URL          print what a URL answers
//	hello lookup NAME        print the addresses of a name, and who was asked
//	hello write FILE TEXT    write a line into a file
//	hello read FILE          print a file
//	hello webhook CERT KEY   serve a validating webhook on port 8443
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// modes are the subcommands, with the number of their arguments.
var modes = map[string]struct {
	args int
	run  func(args []string) error
}{
	"hostname": {0, hostname},
	"fetch":    {1, fetch},
	"lookup":   {1, lookup},
	"write":    {2, write},
	"read":     {1, read},
	"webhook":  {2, webhook},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return serve()
	}
	mode, ok := modes[args[0]]
	if !ok || len(args)-1 != mode.args {
		return fmt.Errorf("usage: hello | hostname | fetch URL | lookup NAME | write FILE TEXT | read FILE | webhook CERT KEY")
	}
	return mode.run(args[1:])
}

func serve() error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	log.Printf("hello from %s at %v, listening on :8080", name, addrs)
	srv := &http.Server{Addr: ":8080", ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.Printf("%s %s from %s", r.Method, r.URL.Path, r.RemoteAddr)
		fmt.Fprintf(w, "hello from %s to %s\n", name, r.RemoteAddr)
	})}
	return srv.ListenAndServe()
}

func hostname([]string) error {
	name, err := os.Hostname()
	fmt.Println(name)
	return err
}

func fetch(args []string) error {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(args[0])
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(os.Stdout, io.LimitReader(resp.Body, 1<<20)); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	return nil
}

func lookup(args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var servers sync.Map // the resolver asks for both families at once
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		servers.Store(address, true)
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	addrs, err := r.LookupHost(ctx, args[0])
	if err != nil {
		return err
	}
	for server := range servers.Range {
		fmt.Println("server", server)
	}
	fmt.Println("addresses", strings.Join(addrs, " "))
	return nil
}

func write(args []string) error {
	return os.WriteFile(args[0], []byte(args[1]+"\n"), 0o644)
}

func read(args []string) error {
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, bytes.NewReader(text))
	return err
}
