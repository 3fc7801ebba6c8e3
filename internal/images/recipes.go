package images

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
)

// KubernetesVersions maps each version that this tree builds to the folder of its module below kubernetes/.
var KubernetesVersions = map[string]string{"1.37.1": "v1.37"}

// recipes lists every artefact by name.
func recipes() map[string]recipe {
	all := map[string]recipe{
		"containerd-programs": containerd(),
		"runc-programs":       goTools("runc", []string{"CGO_ENABLED=1"}, []string{"-tags=seccomp"}, ""),
		"cni-programs":        goTools("cni", nil, nil, ""),
		"coredns-programs":    goTools("coredns", nil, nil, " (a few minutes)"),
		"metrics-programs":    goTools("metrics-server", nil, nil, " (a few minutes)"),
		"local-path-programs": goTools("local-path-provisioner", nil, nil, " (a minute)", "./volume"),
		"etcd-programs":       goMain("etcd"),
		"pause-programs":      goMain("pause"),
		"hello-programs":      goMain("hello"),
		"guest-programs":      own("cloister-guest"),
		"logger-programs":     own("cloister-logger"),
		"cloister-programs":   own("cloister", "internal"),
		"node-base":           base(nodePackages),
		"peers":               tree(peerPackages),
		"workstation":         tree(workstationPackages, "usr/local/bin/kubectl"),

		"etcd":     single("etcd-programs", "etcd"),
		"cloister": single("cloister-programs", "cloister"),
	}
	// What pods run without a registry: archives in the node's image.
	pods := map[string]string{
		"pause": "pause-programs", "hello": "hello-programs", "coredns": "coredns-programs", "metrics-server": "metrics-programs",
		"local-path-provisioner": "local-path-programs",
	}
	for pod, programs := range pods {
		all["pod-"+pod] = podImage(pod, programs)
	}
	for version, folder := range KubernetesVersions {
		programs := "kube-programs-v" + version
		all[programs] = kube(folder, version)
		all["e2e-v"+version] = conformance(folder, version)
		all["kube-v"+version] = single(programs, "kube")
		all["node-v"+version] = node(programs, slices.Sorted(maps.Keys(pods)))
	}
	return all
}

// single is an image of one static program.
func single(programs, program string) recipe {
	return recipe{kind: Image, version: archiveVersion, needs: []string{programs}, build: func(_ context.Context, j *job) error {
		return j.image([]string{"/" + program}, content{target: "/" + program, source: filepath.Join(j.needs[programs].Path, program)})
	}}
}

// podImage is an image of programs for pods: its name and its tag are fixed, for
// manifests name it, and it starts with the program of its name.
func podImage(pod, programs string) recipe {
	return recipe{kind: Image, version: archiveVersion, needs: []string{programs}, build: func(_ context.Context, j *job) error {
		contents, err := programsAt(j.needs[programs].Path, "/")
		if err != nil {
			return err
		}
		j.ref = "cloister.internal/" + pod + ":1"
		return j.image([]string{"/" + pod}, contents...)
	}}
}

// image writes an image whose one layer holds the contents and the folders that every program expects.
func (j *job) image(entrypoint []string, contents ...content) error {
	layer := filepath.Join(j.tmp, "layer.tar")
	folders := []content{{target: "/etc"}, {target: "/tmp", mode: 0o1777}, {target: "/var"}, {target: "/run"}}
	if err := writeLayer(layer, append(folders, contents...)); err != nil {
		return err
	}
	return writeImage(j.out, j.ref, entrypoint, layer)
}

// base is a Debian root file system as a tar file: a layer.
func base(packages []string) recipe {
	return recipe{kind: Tree, facts: append([]string{suite}, packages...), hint: " (a minute)", build: func(ctx context.Context, j *job) error {
		tar := filepath.Join(j.tmp, "root.tar")
		if err := bootstrap(ctx, tar, packages); err != nil {
			return err
		}
		return rename(tar, j.out, "root.tar")
	}}
}

// node is the image of a node: Debian, the programs, and the archives of the pods' images.
func node(kube string, pods []string) recipe {
	needs := []string{"node-base", "containerd-programs", "runc-programs", "cni-programs", "guest-programs", kube}
	for _, p := range pods {
		needs = append(needs, "pod-"+p)
	}
	return recipe{kind: Image, version: archiveVersion, needs: needs, build: func(_ context.Context, j *job) error {
		var contents []content
		for from, dir := range map[string]string{
			"containerd-programs": "/usr/local/bin", "runc-programs": "/usr/local/bin", "cni-programs": "/opt/cni/bin",
			"guest-programs": "/usr/local/bin", kube: "/usr/local/bin",
		} {
			found, err := programsAt(j.needs[from].Path, dir)
			if err != nil {
				return err
			}
			contents = append(contents, found...)
		}
		for _, program := range []string{"kubelet", "kube-proxy", "kubectl"} {
			contents = append(contents, content{target: "/usr/local/bin/" + program, link: "kube"})
		}
		for _, p := range pods {
			contents = append(contents, content{target: "/opt/cloister/images/" + p + ".tar", source: j.needs["pod-"+p].Path, mode: 0o644})
		}
		slices.SortFunc(contents, func(a, b content) int {
			if a.target < b.target {
				return -1
			}
			return 1
		})
		folders := []content{{target: "/opt/cloister"}, {target: "/opt/cloister/images"}, {target: "/etc/cloister"}, {target: "/etc/kubernetes"}, {target: "/etc/cni"}, {target: "/etc/cni/net.d"}, {target: "/etc/containerd"}, {target: "/var/lib/kubelet"}, {target: "/var/lib/containerd"}, {target: "/opt/cni"}, {target: "/opt/cni/bin"}}
		layer := filepath.Join(j.tmp, "layer.tar")
		if err := writeLayer(layer, append(folders, contents...)); err != nil {
			return err
		}
		return writeImage(j.out, j.ref, []string{"/usr/local/bin/cloister-guest"}, filepath.Join(j.needs["node-base"].Path, "root.tar"), layer)
	}}
}
