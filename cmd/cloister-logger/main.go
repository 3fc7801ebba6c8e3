// Command cloister-logger keeps what one container prints, in files that are
// rotated: 10 MB each, three of them. containerd's shim starts it
// (https://github.com/containerd/containerd/blob/main/core/runtime/v2/README.md#logging):
// descriptors 3 and 4 are the container's output, 5 is closed when the logger is ready.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"gopkg.in/natefinch/lumberjack.v2"
)

func main() {
	if len(os.Args) != 3 || os.Args[1] != "file" {
		fmt.Fprintln(os.Stderr, "usage: cloister-logger file PATH (started by containerd's shim)")
		os.Exit(2)
	}
	// It ends when the container's output does, and not with the shim's signals.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE)
	out := &lumberjack.Logger{Filename: os.Args[2], MaxSize: 10, MaxBackups: 2}
	ready := os.NewFile(5, "ready")
	var wg sync.WaitGroup
	for _, fd := range []uintptr{3, 4} {
		wg.Go(func() {
			if _, err := io.Copy(out, os.NewFile(fd, "output")); err != nil {
				fmt.Fprintln(os.Stderr, "cloister-logger:", err)
			}
		})
	}
	_ = ready.Close()
	wg.Wait()
	if err := out.Close(); err != nil {
		os.Exit(1)
	}
}
