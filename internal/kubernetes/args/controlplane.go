package args

import (
	"time"

	"cloister.dev/cloister/internal/spec"
)

// ControlPlane is the document that `kube control-plane --config` reads.
type ControlPlane struct {
	APIServer         []string `json:"apiServer"`
	ControllerManager []string `json:"controllerManager"`
	Scheduler         []string `json:"scheduler"`
}

// Files of a control plane. The names in PKIDir are the fields of its secrets.
const (
	ControlPlaneFile   = "/etc/cloister/control-plane.json"
	AuthenticationFile = ConfigDir + "/authentication.yaml"
	ManagerKubeconfig  = ConfigDir + "/controller-manager.kubeconfig"
	SchedulerConfig    = ConfigDir + "/scheduler.kubeconfig"
)

// Authentication lets those without a name ask for health, and nothing else.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#anonymous-authenticator-configuration
const Authentication = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions:
  - path: /livez
  - path: /readyz
  - path: /healthz
`

// NewControlPlane is the arguments of the three programs of a control plane, which
// signs certificates of kubelets that are valid for life.
func NewControlPlane(c spec.Cluster, life time.Duration) ControlPlane {
	return ControlPlane{APIServer: apiServer(c), ControllerManager: controllerManager(c, life), Scheduler: scheduler()}
}

func apiServer(c spec.Cluster) []string {
	pki := func(name string) string { return PKIDir + "/" + name }
	return []string{
		// The endpoint's address is what the service `kubernetes` leads to.
		"--secure-port=443", "--bind-address=0.0.0.0", "--advertise-address=" + c.Endpoint.String(),
		"--etcd-servers=" + EtcdClientURL,
		"--service-cluster-ip-range=" + c.ServiceCIDR.String(),
		"--allow-privileged=true",

		"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
		"--tls-min-version=VersionTLS12",
		"--client-ca-file=" + pki("ca.crt"),
		"--authentication-config=" + AuthenticationFile,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--service-account-issuer=" + c.Issuer,
		"--service-account-key-file=" + pki("sa.pub"), "--service-account-signing-key-file=" + pki("sa.key"),

		// Nodes' names resolve nowhere but in their own network.
		"--kubelet-preferred-address-types=InternalIP",
		"--kubelet-certificate-authority=" + pki("ca.crt"),
		"--kubelet-client-certificate=" + pki("kubelet-client.crt"), "--kubelet-client-key=" + pki("kubelet-client.key"),

		// Services' addresses mean nothing here: go to the pods.
		"--enable-aggregator-routing=true",
		"--requestheader-client-ca-file=" + pki("front-proxy-ca.crt"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + pki("front-proxy-client.crt"), "--proxy-client-key-file=" + pki("front-proxy-client.key"),

		"--max-requests-inflight=200", "--max-mutating-requests-inflight=100", "--request-timeout=60s",
		"--event-ttl=1h", "--profiling=false",
		// Without this, a stop waits a minute for watches that nobody ends.
		"--shutdown-watch-termination-grace-period=1s",
	}
}

func controllerManager(c spec.Cluster, life time.Duration) []string {
	pki := func(name string) string { return PKIDir + "/" + name }
	return []string{
		"--kubeconfig=" + ManagerKubeconfig, "--leader-elect=false", "--secure-port=0", "--profiling=false",
		"--cluster-name=" + c.Name, "--allocate-node-cidrs=false", "--service-cluster-ip-range=" + c.ServiceCIDR.String(),
		"--root-ca-file=" + pki("ca.crt"), "--service-account-private-key-file=" + pki("sa.key"),
		"--cluster-signing-cert-file=" + pki("ca.crt"), "--cluster-signing-key-file=" + pki("ca.key"),
		"--cluster-signing-duration=" + life.String(),
		// Pods' addresses are the virtual network's, given out by Cloister.
		"--controllers=*,-node-ipam-controller",
		"--kube-api-qps=100", "--kube-api-burst=200",
		"--node-monitor-period=2s", "--node-monitor-grace-period=40s",
	}
}

func scheduler() []string {
	return []string{
		"--kubeconfig=" + SchedulerConfig, "--leader-elect=false", "--secure-port=0", "--profiling=false",
		"--kube-api-qps=100", "--kube-api-burst=200",
	}
}

// ControlPlaneEnv has the start collect garbage as programs do without it: less often is 0.2 s faster, and leaves a heap with more holes (30 MiB).
func ControlPlaneEnv() []string { return []string{"GOGC=100"} }
