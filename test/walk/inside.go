package walk

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

func inside(ctx context.Context, w *Walk) error {
	c := &w.main
	out, err := w.inside(ctx, w.subnets["clients"], "nslookup", c.PrivateFQDN)
	if err != nil {
		return err
	}
	if !strings.Contains(out, "Address: "+c.Endpoint) || !strings.Contains(out, "168.63.129.16") {
		return fmt.Errorf("nslookup inside: %s", out)
	}
	w.saw("%s", out)
	if _, err := w.inside(ctx, w.subnets["clients"], "az", "aks", "get-credentials", "-g", c.Group, "-n", c.Name, "--overwrite-existing"); err != nil {
		return err
	}
	var version string
	if err := w.azJSON(ctx, &version, "aks", "show", "-g", c.Group, "-n", c.Name, "--query", "currentKubernetesVersion"); err != nil {
		return err
	}
	table, err := w.inside(ctx, w.subnets["clients"], "kubectl", "get", "nodes")
	if err != nil {
		return err
	}
	w.saw("%s", table)
	node := regexp.MustCompile(`(?m)^aks-nodepool1-[0-9]{8}-vmss00000[0-9a-z]\s+Ready\s+agent\s+\S+\s+v` + regexp.QuoteMeta(version) + `\s*$`)
	if n := len(node.FindAllString(table, -1)); n != w.Nodes {
		return fmt.Errorf("%d of %d nodes are Ready with role agent and version v%s", n, w.Nodes, version)
	}
	if c.UID, c.Certificate, err = w.identity(ctx, c, w.subnets["clients"]); err != nil {
		return err
	}
	if w.twin.UID, w.twin.Certificate, err = w.identity(ctx, &w.twin, w.twin.Subnet); err != nil {
		return err
	}
	if c.UID == w.twin.UID || c.Certificate == w.twin.Certificate {
		return fmt.Errorf("two clusters behind %s answer with the same identity", c.Endpoint)
	}
	w.saw("%s in two networks: kube-system %s and %s, certificates %.16s… and %.16s…", c.Endpoint, c.UID, w.twin.UID, c.Certificate, w.twin.Certificate)
	return nil
}

// identity asks a cluster at its endpoint who it is.
func (w *Walk) identity(ctx context.Context, c *cluster, subnet string) (uid, certificate string, err error) {
	config := "/tmp/walk-" + c.Name
	out, err := w.inside(ctx, subnet, "sh", "-ec", fmt.Sprintf(
		`az aks get-credentials --admin -g %s -n %s -f %s --overwrite-existing >/dev/null 2>&1; kubectl --kubeconfig %s get namespace kube-system -o 'jsonpath={.metadata.uid}'; echo; `+
			`echo | openssl s_client -connect %s:443 -servername %s 2>/dev/null | openssl x509 -noout -fingerprint -sha256`,
		c.Group, c.Name, config, config, c.Endpoint, c.PrivateFQDN))
	if err != nil {
		return "", "", err
	}
	uid, certificate, _ = strings.Cut(strings.TrimSpace(out), "\n")
	_, certificate, found := strings.Cut(certificate, "=")
	if uid == "" || !found {
		return "", "", fmt.Errorf("cluster %s says %q", c.Name, out)
	}
	return uid, certificate, nil
}

// manifest runs one pod on each node.
const manifest = `apiVersion: apps/v1
kind: Deployment
metadata: {name: hello}
spec:
  replicas: %d
  selector: {matchLabels: {app: hello}}
  template:
    metadata: {labels: {app: hello}}
    spec:
      topologySpreadConstraints:
        - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: hello}}}
      containers:
        - {name: hello, image: "%s", imagePullPolicy: IfNotPresent}
`

// HelloImage is preloaded on every node.
const HelloImage = "cloister.internal/hello:1"

func workload(ctx context.Context, w *Walk) error {
	sub := w.subnets["clients"]
	kubectl := func(args ...string) (string, error) {
		return w.inside(ctx, sub, append([]string{"kubectl"}, args...)...)
	}
	if _, err := w.inside(ctx, sub, "sh", "-ec", "kubectl apply -f - <<'END'\n"+fmt.Sprintf(manifest, w.Nodes, HelloImage)+"END"); err != nil {
		return err
	}
	if _, err := kubectl("rollout", "status", "deployment/hello", "--timeout=120s"); err != nil {
		return err
	}
	table, err := kubectl("get", "pods", "-l", "app=hello", "-o", "wide")
	if err != nil {
		return err
	}
	w.saw("%s", table)
	out, err := kubectl("get", "pods", "-l", "app=hello", "-o", "json")
	if err != nil {
		return err
	}
	var pods struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ NodeName string }
			Status   struct{ PodIP string }
		}
	}
	if err := json.Unmarshal([]byte(out), &pods); err != nil {
		return err
	}
	subnet, nodes := netip.MustParsePrefix("10.240.0.0/22"), map[string]bool{}
	for _, p := range pods.Items {
		nodes[p.Spec.NodeName] = true
		if ip, err := netip.ParseAddr(p.Status.PodIP); err != nil || !subnet.Contains(ip) {
			return fmt.Errorf("pod %s has the address %q, not one of the subnet", p.Metadata.Name, p.Status.PodIP)
		}
		if _, err := w.inside(ctx, sub, "curl", "-sS", "--max-time", "10", "http://"+p.Status.PodIP+":8080/"); err != nil {
			return err
		}
	}
	if len(nodes) != w.Nodes {
		return fmt.Errorf("the pods are on %d nodes, not on %d", len(nodes), w.Nodes)
	}
	first := pods.Items[0].Metadata.Name
	err = eventually(ctx, 30*time.Second, func(context.Context) error {
		logs, err := kubectl("logs", first)
		if err == nil && strings.TrimSpace(logs) == "" {
			err = fmt.Errorf("the log of %s is empty", first)
		}
		if err == nil {
			w.saw("%s", logs)
		}
		return err
	})
	if err != nil {
		return err
	}
	out, err = kubectl("exec", first, "--", "/hello", "hostname")
	if err != nil {
		return err
	}
	if strings.TrimSpace(out) != first {
		return fmt.Errorf("exec in %s says %q", first, out)
	}
	w.saw("exec: hostname is %s", out)
	return nil
}
