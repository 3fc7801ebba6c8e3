// Command hello is a small web server for trying a cluster: it says on port 8080
// who it is and who asked.
//
//	hello             serve
//	hello hostname    print the host's name
//	hello fetch URL   print what a URL answers
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	args := os.Args[1:]
	var err error
	switch {
	case len(args) == 0:
		err = serve()
	case len(args) == 1 && args[0] == "hostname":
		err = hostname()
	case len(args) == 2 && args[0] == "fetch":
		err = fetch(args[1])
	default:
		err = fmt.Errorf("usage: hello | hello hostname | hello fetch URL")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
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

func hostname() error {
	name, err := os.Hostname()
	fmt.Println(name)
	return err
}

func fetch(url string) error {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(url)
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
