package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// runtimeProcess is the process that gets the images.
	runtimeProcess = "containerd"
	// imported holds a file for each archive that containerd has, with the archive's
	// hash. It lies in containerd's own folder, and so goes when the images go.
	imported = "/var/lib/containerd/cloister-imported"
	// pauseArchive is what every pod begins with.
	pauseArchive = "pause.tar"
)

// images gives containerd the images that it lacks. It returns when the pause
// image is there, without which no pod starts; the others come meanwhile, and not before pods can.
func (n *node) images(ctx context.Context, socket string) {
	archives := slices.Clone(n.Images)
	var rest sync.WaitGroup
	for _, archive := range archives {
		if filepath.Base(archive) == pauseArchive {
			n.image(ctx, socket, archive)
		}
	}
	for _, archive := range archives {
		if filepath.Base(archive) != pauseArchive {
			rest.Add(1)
			go func() {
				defer rest.Done()
				<-n.answered
				n.image(ctx, socket, archive)
			}()
		}
	}
	go func() {
		rest.Wait()
		if ctx.Err() == nil {
			log.Printf("images are there: %d", len(archives))
		}
	}()
}

// image imports one archive if containerd does not have it, and tries until it has.
func (n *node) image(ctx context.Context, socket, archive string) {
	for wait := minBackoff; ctx.Err() == nil; wait = min(2*wait, maxBackoff) {
		err := n.importOnce(ctx, socket, archive)
		if err == nil {
			return
		}
		log.Printf("import %s: %v", archive, err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func (n *node) importOnce(ctx context.Context, socket, archive string) error {
	hash, err := hashFile(archive)
	if err != nil {
		return err
	}
	mark := filepath.Join(imported, filepath.Base(archive))
	if b, err := os.ReadFile(mark); err == nil && strings.TrimSpace(string(b)) == hash {
		return nil
	}
	// Pinned: the kubelet must not remove what comes back from nowhere.
	pid, ended, err := n.start("import", []string{
		"ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", "--local",
		"--label", "io.cri-containerd.image=managed", "--label", "io.cri-containerd.pinned=pinned", archive,
	})
	if err != nil {
		return err
	}
	select {
	case st := <-ended:
		if st.ExitStatus() != 0 {
			return describe(st)
		}
	case <-ctx.Done():
		return end(pid, ended)
	}
	if err := os.MkdirAll(imported, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(mark, []byte(hash+"\n"), 0o644); err != nil {
		return fmt.Errorf("remember it: %w", err)
	}
	return nil
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
