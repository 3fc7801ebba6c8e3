package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/containerd/api/types/runc/options"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"

	"cloister.dev/cloister/internal/spec"
)

const (
	snapshotter  = "overlayfs"
	labelSpec    = "cloister/spec"    // hash of everything that the container was made of
	labelOwner   = "cloister/owner"   // spec.Workload.Owner
	labelVolumes = "cloister/volumes" // names, with commas between them
	grace        = 20 * time.Second   // between TERM and KILL
	healthy      = 10 * time.Second   // a process that ran this long is started again at once
	minBackoff   = time.Second        // before the restart of one that did not
	maxBackoff   = 30 * time.Second   // before that of one that ends again and again
)

// Apply brings the container to where the spec wants it, and says how it is. It
// may be called at any time, again and again; it adopts what runs. netns is the
// path of the sandbox's namespace, or "" for the host's network. files are the
// contents of want.Files.
func (e *Engine) Apply(ctx context.Context, want spec.Workload, netns string, files map[string][]byte) (spec.WorkloadStatus, error) {
	ctx = e.ctx(ctx)
	st := e.state(want.Name)
	st.mu.Lock()
	defer st.mu.Unlock()
	image := ""
	if want.Kind == spec.KindSystem || want.Kind == spec.KindResolver {
		// Cloister's own parts are of its own version. Clusters keep what they were made of until somebody upgrades them.
		_, ref, err := e.Images(ctx, want.Image)
		if err != nil {
			return spec.WorkloadStatus{}, fmt.Errorf("image %s: %w", want.Image, err)
		}
		image = ref
	}
	hash, err := hashOf(want, image, netns, files)
	if err != nil {
		return spec.WorkloadStatus{}, err
	}
	c, err := e.client.LoadContainer(ctx, want.Name)
	if err != nil && !errdefs.IsNotFound(err) {
		return spec.WorkloadStatus{}, fmt.Errorf("container %s: %w", want.Name, err)
	}
	if c != nil {
		labels, err := c.Labels(ctx)
		if err != nil {
			return spec.WorkloadStatus{}, err
		}
		if labels[labelSpec] != hash || want.Stopped {
			if err := e.stop(ctx, c); err != nil {
				return spec.WorkloadStatus{}, err
			}
		}
		if labels[labelSpec] != hash {
			if err := c.Delete(ctx, containerd.WithSnapshotCleanup); err != nil {
				return spec.WorkloadStatus{}, fmt.Errorf("delete container %s: %w", want.Name, err)
			}
			c = nil
		}
	}
	if c == nil {
		if c, err = e.create(ctx, want, netns, files, hash); err != nil {
			return spec.WorkloadStatus{Phase: spec.PhasePending}, err
		}
	}
	if want.Stopped {
		return spec.WorkloadStatus{Phase: spec.PhaseStopped, Generation: want.Generation}, nil
	}
	if err := e.refresh(want, files); err != nil {
		return spec.WorkloadStatus{}, fmt.Errorf("live files of %s: %w", want.Name, err)
	}
	status, err := e.start(ctx, c, st, func() error { return errors.Join(e.render(want, files), e.bound(want)) })
	status.Generation = want.Generation
	return status, err
}

// hashOf names what the container is made of. `Stopped` is how it is, not what it
// is; the content of live files comes and goes.
func hashOf(want spec.Workload, image, netns string, files map[string][]byte) (string, error) {
	want.Stopped, want.Renewed = false, ""
	b, err := json.Marshal(want)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%d %s %s %s\n", profileVersion, image, netns, b)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if want.Files[path].Live {
			continue
		}
		fmt.Fprintf(h, "%s %d\n", path, len(files[path]))
		h.Write(files[path])
	}
	return hex.EncodeToString(h.Sum(nil))[:32], nil
}

func (e *Engine) create(ctx context.Context, want spec.Workload, netns string, files map[string][]byte, hash string) (containerd.Container, error) {
	img, err := e.image(ctx, want.Image)
	if err != nil {
		return nil, err
	}
	mounts, err := e.mounts(want, files)
	if err != nil {
		return nil, err
	}
	snapshot := want.Name + "-" + hash[:8]
	if err := e.client.SnapshotService(snapshotter).Remove(ctx, snapshot); err != nil && !errdefs.IsNotFound(err) {
		return nil, fmt.Errorf("remove an old snapshot: %w", err)
	}
	labels := map[string]string{labelSpec: hash, labelOwner: want.Owner, labelVolumes: strings.Join(volumesOf(want), ",")}
	c, err := e.client.NewContainer(ctx, want.Name, containerd.WithImage(img), containerd.WithSnapshotter(snapshotter),
		containerd.WithNewSnapshot(snapshot, img), containerd.WithContainerLabels(labels),
		containerd.WithRuntime("io.containerd.runc.v2", &options.Options{BinaryName: e.Runc, Root: filepath.Join(e.RunDir, "runc")}),
		containerd.WithNewSpec(profile(img, want, netns, e.ownGroup(want), mounts)...))
	if err != nil {
		return nil, fmt.Errorf("create container %s: %w", want.Name, err)
	}
	return c, nil
}

// start makes sure that the container's process runs, unless it ended a moment
// ago. before is called if it has to be started.
func (e *Engine) start(ctx context.Context, c containerd.Container, st *workload, before func() error) (spec.WorkloadStatus, error) {
	task, err := c.Task(ctx, nil)
	if err != nil && !errdefs.IsNotFound(err) {
		return spec.WorkloadStatus{}, fmt.Errorf("container %s: %w", c.ID(), err)
	}
	if err == nil {
		s, err := task.Status(ctx)
		if err != nil {
			return spec.WorkloadStatus{}, fmt.Errorf("container %s: %w", c.ID(), err)
		}
		switch s.Status {
		case containerd.Running, containerd.Paused:
			return e.running(ctx, c, st)
		case containerd.Stopped:
			if st.next.IsZero() {
				st.pause = pause(s.ExitTime.Sub(e.startedAt(ctx, c)), st.pause)
				st.next = time.Now().Add(st.pause)
				e.Log.WarnContext(ctx, "a container's process ended", "workload", c.ID(), "status", s.ExitStatus, "restarts", st.restarts)
			}
			if wait := time.Until(st.next); wait > 0 {
				return spec.WorkloadStatus{Phase: spec.PhaseExited, Restarts: st.restarts, Message: fmt.Sprintf("ended with status %d", s.ExitStatus)}, nil
			}
			st.restarts++
		}
		// Created (the daemon died between the two steps) or ended: make the task anew.
		if _, err := task.Delete(ctx, containerd.WithProcessKill); err != nil && !errdefs.IsNotFound(err) {
			return spec.WorkloadStatus{}, fmt.Errorf("delete the ended task of %s: %w", c.ID(), err)
		}
	}
	if err := guardDevices(e.Cgroup); err != nil {
		return spec.WorkloadStatus{}, err
	}
	st.next = time.Time{}
	if err := before(); err != nil {
		return spec.WorkloadStatus{}, fmt.Errorf("prepare %s: %w", c.ID(), err)
	}
	// A FIFO that the daemon reads would stop the container when the daemon goes; a logger of its own does not.
	task, err = c.NewTask(ctx, cio.BinaryIO(e.Logger, map[string]string{"file": e.logFile(c.ID())}))
	if err != nil {
		return spec.WorkloadStatus{}, fmt.Errorf("create the task of %s: %w", c.ID(), err)
	}
	if err := task.Start(ctx); err != nil {
		_, deleteErr := task.Delete(context.WithoutCancel(ctx), containerd.WithProcessKill)
		return spec.WorkloadStatus{}, errors.Join(fmt.Errorf("start %s: %w", c.ID(), err), deleteErr)
	}
	if _, err := c.SetLabels(ctx, map[string]string{labelStarted: time.Now().UTC().Format(time.RFC3339)}); err != nil {
		return spec.WorkloadStatus{}, err
	}
	return e.running(ctx, c, st)
}

// pause is how long to wait before a process is started again that ran for some time after the pause before.
func pause(ran, before time.Duration) time.Duration {
	switch {
	case ran > healthy:
		return 0
	case ran > before:
		return minBackoff
	default:
		return min(maxBackoff, max(minBackoff, 2*before))
	}
}

const labelStarted = "cloister/started"

func (e *Engine) running(ctx context.Context, c containerd.Container, st *workload) (spec.WorkloadStatus, error) {
	info, err := c.Info(ctx, containerd.WithoutRefreshedMetadata)
	if err != nil {
		return spec.WorkloadStatus{}, err
	}
	return spec.WorkloadStatus{Phase: spec.PhaseRunning, StartedAt: e.startedAt(ctx, c), Restarts: st.restarts, Image: info.Image}, nil
}

func (e *Engine) startedAt(ctx context.Context, c containerd.Container) time.Time {
	labels, err := c.Labels(ctx)
	if err != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, labels[labelStarted])
	if err != nil {
		return time.Time{}
	}
	return t
}

// stop ends the container's process, if there is one: first asked, then forced.
func (e *Engine) stop(ctx context.Context, c containerd.Container) error {
	task, err := c.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	exited, err := task.Wait(ctx)
	if err != nil {
		return err
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := task.Kill(ctx, sig); err != nil && !errdefs.IsNotFound(err) && !errdefs.IsFailedPrecondition(err) {
			return fmt.Errorf("stop %s: %w", c.ID(), err)
		}
		select {
		case <-exited:
			_, err := task.Delete(ctx, containerd.WithProcessKill)
			if err != nil && !errdefs.IsNotFound(err) {
				return err
			}
			return removeCgroups(e.cgroup(c.ID()))
		case <-time.After(grace):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("stop %s: it did not end", c.ID())
}

// Stop ends the process of a container and keeps the container.
func (e *Engine) Stop(ctx context.Context, name string) error {
	ctx = e.ctx(ctx)
	c, err := e.client.LoadContainer(ctx, name)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return e.stop(ctx, c)
}

// Remove ends a container and removes everything that was its own: process,
// snapshot, rendered files, log and cgroup. It is safe to repeat.
func (e *Engine) Remove(ctx context.Context, name string) error {
	ctx = e.ctx(ctx)
	st := e.state(name)
	st.mu.Lock()
	defer st.mu.Unlock()
	c, err := e.client.LoadContainer(ctx, name)
	switch {
	case err == nil:
		labels, err := c.Labels(ctx)
		if err != nil {
			return err
		}
		volumes := labels[labelVolumes]
		if err := e.stop(ctx, c); err != nil {
			return err
		}
		// Of two that share a volume and go at once, the second has to see that it is the last.
		e.volumes.Lock()
		defer e.volumes.Unlock()
		// The volumes go before the container that names them, or nobody would know of them.
		if err := e.removeVolumes(ctx, name, strings.Split(volumes, ",")); err != nil {
			return err
		}
		if err := c.Delete(ctx, containerd.WithSnapshotCleanup); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("delete container %s: %w", name, err)
		}
	case !errdefs.IsNotFound(err):
		return err
	}
	rotated, err := filepath.Glob(strings.TrimSuffix(e.logFile(name), ".log") + rotatedLog)
	if err != nil {
		return err
	}
	for _, path := range append(rotated, e.logFile(name), e.filesDir(name)) {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	e.mu.Lock()
	delete(e.names, name)
	e.mu.Unlock()
	return removeCgroups(e.cgroup(name))
}

// rotatedLog is what follows a container's name in the names of its older logs:
// the time, so that another name that begins alike is not meant.
const rotatedLog = "-[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T*.log"

func (e *Engine) cgroup(name string) string { return e.Cgroup + "/" + name }

func (e *Engine) logFile(name string) string {
	return filepath.Join(e.DataDir, "log", "containers", name+".log")
}

func (e *Engine) filesDir(name string) string { return filepath.Join(e.RunDir, "files", name) }
