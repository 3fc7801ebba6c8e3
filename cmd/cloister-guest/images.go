package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// importImages gives containerd the images that came with the node, those that it
// does not have. The kubelet runs meanwhile.
func (k *keeper) importImages(ctx context.Context) {
	select {
	case <-k.ready["containerd"]:
	case <-ctx.Done():
		return
	}
	var wg sync.WaitGroup
	for _, pattern := range k.guest.Images {
		archives, err := filepath.Glob(pattern)
		if err != nil {
			log.Printf("images %s: %v", pattern, err)
			continue
		}
		for _, archive := range archives {
			wg.Go(func() { k.importImage(ctx, archive) })
		}
	}
	wg.Wait()
}

// importImage imports one archive, and remembers by a file beside containerd's data that it is there.
func (k *keeper) importImage(ctx context.Context, archive string) {
	done := filepath.Join("/var/lib/containerd", "imported-"+filepath.Base(archive))
	if _, err := os.Stat(done); err == nil {
		return
	}
	for try := 0; ctx.Err() == nil; try++ {
		begin := time.Now()
		_, ended, err := k.start("import", []string{"ctr", "--namespace=k8s.io", "images", "import", "--local", "--label=io.cri-containerd.pinned=pinned", archive})
		if err == nil {
			st := <-ended
			if st.Exited() && st.ExitStatus() == 0 {
				log.Printf("imported %s in %.1f s", archive, time.Since(begin).Seconds())
				if err := os.WriteFile(done, nil, 0o644); err != nil {
					log.Print(err)
				}
				return
			}
			log.Printf("import %s: %s", archive, describe(st))
		} else {
			log.Printf("import %s: %v", archive, err)
		}
		select {
		case <-time.After(min(maxBackoff, minBackoff<<min(try, 5))):
		case <-ctx.Done():
		}
	}
}

func notifyChildren(c chan<- os.Signal) { signal.Notify(c, syscall.SIGCHLD) }

func itoa(n int) string { return strconv.Itoa(n) }

func splitWords(s string) []string { return strings.Fields(s) }
