package args

import "cloister.dev/cloister/internal/spec"

// Sockets of a cluster's etcd. There is no port: nothing in the control
// plane's network could reach it.
const (
	EtcdClientURL = "unix://" + EtcdSocketDir + "/client.sock"
	// etcd reads the host of a peer's URL only: this is a file in its working folder.
	// With a path instead it would listen on an abstract socket, which everybody in
	// the same network namespace reaches.
	etcdPeerURL = "unix://peer.sock"
)

// Etcd is the command line of a cluster's own etcd.
func Etcd(c spec.Cluster) []string {
	return []string{
		"/etcd", "--name=" + c.Name, "--data-dir=" + EtcdDataDir,
		"--listen-client-urls=" + EtcdClientURL, "--advertise-client-urls=" + EtcdClientURL,
		"--listen-peer-urls=" + etcdPeerURL, "--initial-advertise-peer-urls=" + etcdPeerURL,
		"--initial-cluster=" + c.Name + "=" + etcdPeerURL, "--initial-cluster-state=new",
		// One member: it waits for nobody's vote, so let it stand at once.
		"--heartbeat-interval=100", "--election-timeout=500",
		"--quota-backend-bytes=2147483648",
		// The API server compacts every five minutes; this is for when it is away.
		"--auto-compaction-mode=periodic", "--auto-compaction-retention=1h",
		"--snapshot-count=10000", "--max-wals=2",
		"--log-level=warn",
	}
}
