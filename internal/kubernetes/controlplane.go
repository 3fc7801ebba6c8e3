package kubernetes

import (
	"encoding/json"
	"time"

	"cloister.dev/cloister/internal/kubernetes/args"
	"cloister.dev/cloister/internal/kubernetes/pki"
	"cloister.dev/cloister/internal/spec"
)

// controlPlaneSecrets are the fields of pki.Cluster that a control plane gets
// as files. Cloister's and the people's own keys stay outside. Its programs read them
// again when they change.
var controlPlaneSecrets = []string{
	"ca.crt", "ca.key", "front-proxy-ca.crt", "sa.key", "sa.pub", "apiserver.crt", "apiserver.key",
	"kubelet-client.crt", "kubelet-client.key", "front-proxy-client.crt", "front-proxy-client.key",
	"controller-manager.crt", "controller-manager.key", "scheduler.crt", "scheduler.key",
}

// Workloads is a cluster's control plane: etcd, and Kubernetes' three programs
// in one process, in one sandbox and with one folder of sockets. life is how long
// the certificates are valid that the cluster signs itself.
func Workloads(c spec.Cluster, secrets *pki.Cluster, life time.Duration) ([]spec.Workload, error) {
	config, err := json.Marshal(args.NewControlPlane(c, life))
	if err != nil {
		return nil, err
	}
	owner := spec.ClusterKey(c.Name)
	sockets := spec.Mount{Volume: "etcd-" + c.Name + "-run", Target: args.EtcdSocketDir}
	etcd := spec.Workload{
		Name: etcdWorkload(c.Name), Kind: spec.KindSystem, Owner: owner, Image: "etcd",
		Args: args.Etcd(c), Env: []string{"GOGC=75"}, Hostname: etcdWorkload(c.Name), Sandbox: SandboxName(c.Name),
		Mounts:  []spec.Mount{sockets, {Volume: "etcd-" + c.Name, Target: args.EtcdDataDir}},
		Stopped: c.Stopped,
	}
	files := map[string]spec.File{
		args.ControlPlaneFile:   {Text: string(config)},
		args.AuthenticationFile: {Text: args.Authentication},
		args.ManagerKubeconfig:  {Text: args.LocalKubeconfig("controller-manager")},
		args.SchedulerConfig:    {Text: args.LocalKubeconfig("scheduler")},
		args.ResolvConf:         {Text: args.ResolvConfText},
		"/etc/hosts":            {Text: "127.0.0.1\tlocalhost\n"}, // the API server calls itself by this name
	}
	for _, name := range controlPlaneSecrets {
		files[args.PKIDir+"/"+name] = liveFile(pkiSecretKey(c.Name), name)
	}
	controlPlane := spec.Workload{
		Name: controlPlaneWorkload(c.Name), Kind: spec.KindControlPlane, Owner: owner, Image: "kube-v" + c.Version,
		Args: []string{"/kube", "control-plane", "--config=" + args.ControlPlaneFile},
		Env:  args.ControlPlaneEnv(), Hostname: controlPlaneWorkload(c.Name), Sandbox: SandboxName(c.Name),
		Files: files, Mounts: []spec.Mount{sockets},
		Stopped: c.Stopped,
		// Other authorities need other processes; other certificates of the same do not.
		Generation: c.CertificateGeneration, Renewed: pki.Fingerprint(secrets.ServerCert),
	}
	return []spec.Workload{etcd, controlPlane}, nil
}
