package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// config is what a node runs.
type config struct {
	Processes []process `json:"processes"`
	// Images are archives for containerd; none named: all of /opt/cloister/images.
	Images []string `json:"images,omitempty"`
	// Await is whose answer the processes that await wait for before their first start, and all images but
	// the first.
	Await *await `json:"await,omitempty"`
}

// process is one program that is kept running.
type process struct {
	Name  string   `json:"name"`
	Args  []string `json:"args"`            // args[0] is the program, found in PATH
	After []string `json:"after,omitempty"` // names of processes that have to be ready before
	Await bool     `json:"await,omitempty"` // starts when config.Await answered
	// Ready is unix:///path, a socket that takes connections; empty: ready when started.
	Ready string `json:"ready,omitempty"`
	// Renews are files, each with a certificate that the process keeps renewing. One that has
	// ended is removed before a start: the process begins with the one that it was given.
	Renews []string `json:"renews,omitempty"`
}

const readySocket = "unix://"

func loadConfig(path string) (config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return config{}, err
	}
	var c config
	if err := json.Unmarshal(b, &c); err != nil {
		return config{}, fmt.Errorf("%s: %w", path, err)
	}
	if err := c.validate(); err != nil {
		return config{}, fmt.Errorf("%s: %w", path, err)
	}
	if len(c.Images) == 0 {
		if c.Images, err = filepath.Glob("/opt/cloister/images/*.tar"); err != nil {
			return config{}, err
		}
	}
	return c, nil
}

// validate names every mistake. A process may wait only for those before it: so nothing waits for itself.
func (c config) validate() error {
	var errs []error
	known := map[string]bool{}
	for i, p := range c.Processes {
		if p.Name == "" || known[p.Name] {
			errs = append(errs, fmt.Errorf("process %d: its name %q is empty or taken", i, p.Name))
		}
		if len(p.Args) == 0 {
			errs = append(errs, fmt.Errorf("process %s: no program", p.Name))
		}
		if p.Ready != "" && !strings.HasPrefix(p.Ready, readySocket) {
			errs = append(errs, fmt.Errorf("process %s: ready %q is not unix:///path", p.Name, p.Ready))
		}
		for _, a := range p.After {
			if !known[a] {
				errs = append(errs, fmt.Errorf("process %s: waits for %q, which does not come before it", p.Name, a))
			}
		}
		known[p.Name] = true
	}
	return errors.Join(errs...)
}
