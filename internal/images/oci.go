package images

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// archiveVersion goes up when writeImage writes another archive from the same input.
const archiveVersion = 1

// content is one entry of a layer: a file of the machine, or a folder.
type content struct {
	target string // path in the image
	source string // file of this machine; empty: a folder
	mode   int64  // 0: 0755
	link   string // target of a symbolic link, instead of a source
}

// writeImage writes an archive with one image of the layers (tar files), which
// starts with entrypoint. Layers are not compressed: they stay on this machine.
func writeImage(out, ref string, entrypoint []string, layers ...string) error {
	img := empty.Image
	for _, l := range layers {
		layer, err := newLayer(l)
		if err != nil {
			return err
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			return err
		}
	}
	file, err := img.ConfigFile()
	if err != nil {
		return err
	}
	// Without OS, architecture and an entrypoint containerd refuses an image.
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", "amd64"
	file.Config = v1.Config{Entrypoint: entrypoint, Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	if img, err = mutate.ConfigFile(img, file); err != nil {
		return err
	}
	tag, err := name.NewTag(ref)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(out, tag, img)
}

// writeLayer writes a tar file. Times and owners are fixed: the same content is the same layer.
func writeLayer(out string, contents []content) (err error) {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	w := tar.NewWriter(f)
	for _, c := range contents {
		if err := writeEntry(w, c); err != nil {
			_ = f.Close()
			return fmt.Errorf("layer entry %s: %w", c.target, err)
		}
	}
	if err := w.Close(); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

func writeEntry(w *tar.Writer, c content) error {
	h := &tar.Header{Name: c.target[1:], Mode: c.mode, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if h.Mode == 0 {
		h.Mode = 0o755
	}
	switch {
	case c.link != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, c.link
		return w.WriteHeader(h)
	case c.source == "":
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		return w.WriteHeader(h)
	}
	f, err := os.Open(c.source)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	h.Typeflag, h.Size = tar.TypeReg, st.Size()
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

// programsAt lists every program of a folder as content of the image's folder dir.
func programsAt(folder, dir string) ([]content, error) {
	var out []content
	err := filepath.WalkDir(folder, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out = append(out, content{target: path.Join(dir, d.Name()), source: p})
		}
		return err
	})
	return out, err
}
