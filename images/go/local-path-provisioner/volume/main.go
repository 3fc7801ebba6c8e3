// Command volume makes and removes the folders of volumes on a node. The local
// provisioner runs it in a pod on that node, with the folder of all volumes
// mounted, so that neither needs a shell:
//
//	volume -p FOLDER -s BYTES -m Filesystem -a create|delete
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	folder := flag.String("p", "", "folder of the volume")
	flag.Int64("s", 0, "size asked for, in bytes: not limited")
	mode := flag.String("m", "Filesystem", "mode of the volume")
	action := flag.String("a", "", "create or delete")
	flag.Parse()
	if err := do(*action, *mode, *folder); err != nil {
		fmt.Fprintln(os.Stderr, "volume:", err)
		os.Exit(1)
	}
}

// do may be repeated: the provisioner tries again after it was stopped in between.
func do(action, mode, folder string) error {
	if !filepath.IsAbs(folder) || filepath.Clean(folder) != folder || filepath.Dir(folder) == "/" {
		return fmt.Errorf("folder %q: not a clean path below the folder of all volumes", folder)
	}
	switch {
	case action == "delete":
		return os.RemoveAll(folder)
	case action != "create":
		return fmt.Errorf("action %q: neither create nor delete", action)
	case mode != "Filesystem":
		return fmt.Errorf("mode %s: volumes here are folders, ask for Filesystem", mode)
	}
	if err := os.Mkdir(folder, 0o777); err != nil && !os.IsExist(err) {
		return err
	}
	// Pods choose their user; what else could reach the folder is the node's root only.
	return os.Chmod(folder, 0o777)
}
