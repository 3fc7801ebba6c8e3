package walk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// volumePod runs the hello image with a claim of the default class, as a person
// without root whose group the volume is to be.
const volumePod = `apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  restartPolicy: Never
  securityContext: {runAsNonRoot: true, runAsUser: 1234, fsGroup: 4321}
  containers:
  - {name: hello, image: "%s", imagePullPolicy: IfNotPresent, args: [%s], volumeMounts: [{name: data, mountPath: /data}]}
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
`

const claim = `apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
`

// volume has one pod write what another one reads, and follows the data down to
// the node's volume on this machine, where it has to be gone with the claim.
func volume(ctx context.Context, w *Walk) error {
	for _, p := range []struct{ name, manifest, args string }{{"writer", claim, "write, /data/note, kept"}, {"reader", "", "read, /data/note"}} {
		if err := w.apply(ctx, p.manifest+fmt.Sprintf(volumePod, p.name, HelloImage, p.args)); err != nil {
			return err
		}
		if _, err := w.kubectl(ctx, "wait", "pod/"+p.name, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s"); err != nil {
			return err
		}
		if p.name == "writer" {
			if _, err := w.kubectl(ctx, "delete", "pod", p.name); err != nil {
				return err
			}
		}
	}
	out, err := w.kubectl(ctx, "logs", "reader")
	if err != nil {
		return err
	}
	if out != "kept\n" {
		return fmt.Errorf("the second pod reads %q", out)
	}
	table, err := w.kubectl(ctx, "get", "storageclass,persistentvolumeclaim,persistentvolume")
	if err != nil {
		return err
	}
	w.saw("%s", table)
	name, err := w.kubectl(ctx, "get", "persistentvolumeclaim", "data", "-o", "jsonpath={.spec.storageClassName}/{.spec.volumeName}")
	if err != nil {
		return err
	}
	class, name, _ := strings.Cut(name, "/")
	if class != "default" || name == "" {
		return fmt.Errorf("the claim has the class %q and the volume %q", class, name)
	}
	dir, err := w.setting(ctx, "dataDir")
	if err != nil {
		return err
	}
	pattern := filepath.Join(dir, "volumes", "*-volumes", name+"_*")
	if found, err := filepath.Glob(pattern); err != nil || len(found) != 1 {
		return fmt.Errorf("the volume is not one folder in a node's volume: %v %w", found, err)
	}
	for _, args := range [][]string{{"delete", "pod", "reader"}, {"delete", "persistentvolumeclaim", "data"}} {
		if _, err := w.kubectl(ctx, args...); err != nil {
			return err
		}
	}
	return eventually(ctx, time.Minute, func(ctx context.Context) error {
		out, err := w.kubectl(ctx, "get", "persistentvolume", "-o", "name")
		if err != nil {
			return err
		}
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		if out != "" || len(found) != 0 {
			return fmt.Errorf("after its claim, of the volume there is still %s %v", out, found)
		}
		return nil
	})
}

// volumeOfNode leaves a volume on the node that goes first when the pool shrinks,
// and wants nothing of it to stay in the way when its claim is deleted.
func volumeOfNode(ctx context.Context, w *Walk) error {
	list, err := w.nodes(ctx, "nodepool1")
	if err != nil {
		return err
	}
	last := list[0].Metadata.Name
	for _, n := range list {
		last = max(last, n.Metadata.Name)
	}
	there := fmt.Sprintf("  nodeSelector: {kubernetes.io/hostname: %s}\n", last)
	if err := w.apply(ctx, claim+fmt.Sprintf(volumePod, "writer", HelloImage, "write, /data/note, kept")+there); err != nil {
		return err
	}
	if _, err := w.kubectl(ctx, "wait", "pod/writer", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s"); err != nil {
		return err
	}
	// A claim waits for pods that had it, also for one whose node has gone.
	if _, err := w.kubectl(ctx, "delete", "pod", "writer"); err != nil {
		return err
	}
	if _, err := w.az(ctx, "aks", "scale", "-g", w.main.Group, "-n", w.main.Name, "-c", strconv.Itoa(w.Nodes-1), "-o", "none"); err != nil {
		return err
	}
	if list, err = w.nodes(ctx, "nodepool1"); err != nil {
		return err
	}
	for _, n := range list {
		if n.Metadata.Name == last {
			return fmt.Errorf("node %s is still there, the pool shrank elsewhere", last)
		}
	}
	if _, err := w.kubectl(ctx, "delete", "persistentvolumeclaim", "data", "--timeout=60s"); err != nil {
		return err
	}
	return eventually(ctx, 30*time.Second, func(ctx context.Context) error {
		out, err := w.kubectl(ctx, "get", "persistentvolume", "-o", "name")
		if err == nil && out != "" {
			err = fmt.Errorf("still there: %s", out)
		}
		return err
	})
}

// setting reads one of Cloister's settings.
func (w *Walk) setting(ctx context.Context, name string) (string, error) {
	out, err := w.command(ctx, false, "config")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if value, found := strings.CutPrefix(line, name+": "); found {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("cloister config does not say %s", name)
}

// Seconds of silence, and after how many the kernel forgets a silent connection meanwhile.
const (
	silence   = 75
	forgotten = 35
)

// idleLogs follows a pod's log, says nothing for longer than the kernel would
// remember the connections on the way, and wants the next line to come through.
// The kernel's own limit is five days: it is shortened in all of the instance's namespaces.
func idleLogs(ctx context.Context, w *Walk) (err error) {
	run, err := w.setting(ctx, "runDir")
	if err != nil {
		return err
	}
	namespaces, err := filepath.Glob(filepath.Join(run, "netns", "*"))
	if err != nil {
		return err
	}
	const timeout = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established"
	set := func(seconds int) error {
		var errs []error
		for _, ns := range namespaces {
			if _, err := os.Stat(ns); err != nil {
				continue // that of a command which has ended
			}
			errs = append(errs, program(ctx, "nsenter", "--net="+ns, "sh", "-c", fmt.Sprintf("echo %d >%s", seconds, timeout)))
		}
		return errors.Join(errs...)
	}
	defer func() { err = errors.Join(err, set(5*24*60*60)) }()
	if err := set(forgotten); err != nil {
		return err
	}
	pods, err := w.pods(ctx, "default", "app=hello")
	if err != nil {
		return err
	}
	p := pods[len(pods)-1]
	out, err := w.script(ctx, fmt.Sprintf(`log=$(mktemp); kubectl logs -f --tail=0 %[1]s >$log & trap "kill $!; rm $log" EXIT
sleep %[3]d; curl -sS --max-time 5 http://%[2]s:8080/after-silence; ss -tnoH state established '( dport = :443 )'
for i in $(seq 100); do ! grep after-silence $log || exit 0; sleep 0.1; done; echo the next line did not come; exit 1`, p.Metadata.Name, p.Status.PodIP, silence))
	if err != nil {
		return err
	}
	w.saw("%d s of silence, %d s of memory: %s", silence, forgotten, out)
	return nil
}
