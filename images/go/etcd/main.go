// Command etcd is upstream's etcd server.
package main

import (
	"fmt"
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	// To end, it removes a socket by a name relative to its folder. Where that
	// folder cannot be written, as the root of a container, it would never end.
	if err := os.Chdir(os.TempDir()); err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		os.Exit(1)
	}
	etcdmain.Main(os.Args)
}
