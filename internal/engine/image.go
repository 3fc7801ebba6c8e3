package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
)

// Load makes sure that the image of the name is in containerd, unpacked, so that
// the first workload that wants it need not wait for that.
func (e *Engine) Load(ctx context.Context, name string) error {
	_, err := e.image(e.ctx(ctx), name)
	return err
}

func (e *Engine) image(ctx context.Context, name string) (containerd.Image, error) {
	archive, ref, err := e.Images(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", name, err)
	}
	img, err := e.unpacked(ctx, ref)
	if !errdefs.IsNotFound(err) {
		return img, err
	}
	e.imports.Lock()
	defer e.imports.Unlock()
	if img, err = e.unpacked(ctx, ref); !errdefs.IsNotFound(err) {
		return img, err
	}
	start := time.Now()
	if img, err = e.load(ctx, archive, ref); err != nil {
		return nil, fmt.Errorf("image %s: %w", name, err)
	}
	e.Log.InfoContext(ctx, "imported an image", "ref", ref, "seconds", time.Since(start).Seconds())
	return img, e.pruneImages(ctx, ref)
}

// unpacked is the image if containerd has it ready for use, or a not-found error.
func (e *Engine) unpacked(ctx context.Context, ref string) (containerd.Image, error) {
	img, err := e.client.GetImage(ctx, ref)
	if err != nil {
		return nil, err
	}
	ok, err := img.IsUnpacked(ctx, snapshotter)
	if err == nil && !ok {
		err = fmt.Errorf("image %s is not unpacked: %w", ref, errdefs.ErrNotFound)
	}
	return img, err
}

// load imports an archive and unpacks its layers, which are not kept beside what
// was unpacked. The lease keeps the collector away between the two.
func (e *Engine) load(ctx context.Context, archive, ref string) (containerd.Image, error) {
	ctx, done, err := e.client.WithLease(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := done(context.WithoutCancel(ctx)); err != nil {
			e.Log.WarnContext(ctx, "end a lease of containerd", "error", err)
		}
	}()
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if _, err := e.client.Import(ctx, f, containerd.WithDiscardUnpackedLayers()); err != nil {
		return nil, fmt.Errorf("import %s: %w", archive, err)
	}
	img, err := e.client.GetImage(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("import %s: %w", archive, err)
	}
	return img, img.Unpack(ctx, snapshotter)
}

// EndLeases ends what an import holds that was never finished, or it would stay for a day. It is for the start of
// the daemon, before its first import: nobody else has leases in Cloister's namespace.
func (e *Engine) EndLeases(ctx context.Context) error {
	ctx = e.ctx(ctx)
	service := e.client.LeasesService()
	all, err := service.List(ctx)
	if err != nil {
		return fmt.Errorf("leases of containerd: %w", err)
	}
	for _, l := range all {
		if err := service.Delete(ctx, l); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("end lease %s of containerd: %w", l.ID, err)
		}
	}
	return nil
}

// pruneImages removes the images of the same name as ref that no container was made of.
func (e *Engine) pruneImages(ctx context.Context, ref string) error {
	tag := strings.LastIndexByte(ref, ':')
	if tag < 0 {
		return nil
	}
	name := ref[:tag+1]
	list, err := e.client.ImageService().List(ctx)
	if err != nil {
		return err
	}
	used := map[string]bool{ref: true}
	all, err := e.client.ContainerService().List(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		used[c.Image] = true
	}
	var errs []error
	for _, img := range list {
		if strings.HasPrefix(img.Name, name) && !used[img.Name] {
			if err := e.client.ImageService().Delete(ctx, img.Name); err != nil && !errdefs.IsNotFound(err) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
