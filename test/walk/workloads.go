package walk

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Workloads is what people run in a private cluster, and must find working: a
// second walk, with a cluster of its own.
func Workloads() []Step {
	return []Step{
		{"Sign in: az cloud register, az login, az account show", signIn},
		{"A group, a network, and a private cluster in it", workloadCluster},
		{"A Deployment, spread over the nodes", spread},
		{"A Service, answered by pods of other nodes", service},
		{"From another subnet: pods answer, and see the client's own address", direct},
		{"Names: of the cluster by CoreDNS, all others by the network's resolver", names},
		{"kubectl port-forward", portForward},
		{"kubectl top: metrics by aggregation", top},
		{"A validating webhook: 1,000 objects through a pod", webhook},
		{"A volume by the default storage class: kept, the group's, and removed with its claim", volume},
		{"A node that goes takes its volumes with it", volumeOfNode},
		{"kubectl logs -f stays open while nothing is said", idleLogs},
		{"Deletion", remove},
	}
}

// workloadCluster makes what the steps run in.
func workloadCluster(ctx context.Context, w *Walk) error {
	if err := w.group(ctx, "walk"); err != nil {
		return err
	}
	w.subnets = map[string]string{}
	if _, err := w.az(ctx, "network", "vnet", "create", "-g", "walk", "-n", "vnet", "--address-prefix", "10.0.0.0/8", "-o", "none"); err != nil {
		return err
	}
	for _, s := range []struct{ name, prefix string }{{"aks", "10.240.0.0/22"}, {"clients", "10.241.0.0/24"}} {
		id, err := w.az(ctx, "network", "vnet", "subnet", "create", "-g", "walk", "--vnet-name", "vnet", "-n", s.name, "--address-prefixes", s.prefix, "--query", "id", "-o", "tsv")
		if err != nil {
			return err
		}
		w.subnets[s.name] = strings.TrimSpace(id)
	}
	w.main = cluster{Group: "walk", Name: "prod", Subnet: w.subnets["aks"]}
	if err := w.create(ctx, &w.main, "--service-cidr", "10.2.0.0/24", "--dns-service-ip", "10.2.0.10", "--node-count", strconv.Itoa(w.Nodes)); err != nil {
		return err
	}
	// Some of the steps make objects of the whole cluster: that takes the administrator.
	_, err := w.inside(ctx, w.subnets["clients"], "az", "aks", "get-credentials", "--admin", "-g", "walk", "-n", "prod", "--overwrite-existing")
	return err
}

// group makes a resource group, which the walk deletes at its end.
func (w *Walk) group(ctx context.Context, name string) error {
	_, err := w.az(ctx, "group", "create", "-n", name, "-l", w.Region, "-o", "none")
	w.groups = append(w.groups, name)
	return err
}

// kubectl runs it in the clients' subnet.
func (w *Walk) kubectl(ctx context.Context, args ...string) (string, error) {
	return w.inside(ctx, w.subnets["clients"], append([]string{"kubectl"}, args...)...)
}

// script runs a shell in the clients' subnet: for what takes two programs at a time.
func (w *Walk) script(ctx context.Context, lines string) (string, error) {
	return w.inside(ctx, w.subnets["clients"], "sh", "-ec", lines)
}

// apply has kubectl apply a manifest.
func (w *Walk) apply(ctx context.Context, manifest string) error {
	_, err := w.script(ctx, "kubectl apply -f - <<'END'\n"+manifest+"END")
	return err
}

// pod is what the walk looks at of a pod.
type pod struct {
	Metadata struct{ Name string }
	Spec     struct{ NodeName string }
	Status   struct{ Phase, PodIP string }
}

// pods reads those with a label.
func (w *Walk) pods(ctx context.Context, namespace, label string) ([]pod, error) {
	out, err := w.kubectl(ctx, "get", "pods", "-n", namespace, "-l", label, "-o", "json")
	if err != nil {
		return nil, err
	}
	var list struct{ Items []pod }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, err
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("no pod has the label %s", label)
	}
	return list.Items, nil
}

func spread(ctx context.Context, w *Walk) error {
	if err := w.apply(ctx, fmt.Sprintf(manifest, w.Nodes, HelloImage)); err != nil {
		return err
	}
	if _, err := w.kubectl(ctx, "rollout", "status", "deployment/hello", "--timeout=120s"); err != nil {
		return err
	}
	pods, err := w.pods(ctx, "default", "app=hello")
	if err != nil {
		return err
	}
	nodes := map[string]bool{}
	for _, p := range pods {
		nodes[p.Spec.NodeName] = true
		w.saw("%s %s on %s", p.Metadata.Name, p.Status.PodIP, p.Spec.NodeName)
	}
	if len(pods) != w.Nodes || len(nodes) != w.Nodes {
		return fmt.Errorf("%d pods are on %d nodes, want %d on as many", len(pods), len(nodes), w.Nodes)
	}
	return nil
}

// top waits until the first figures are there: metrics-server asks the kubelets each 15 seconds.
func top(ctx context.Context, w *Walk) error {
	for _, what := range []struct {
		args []string
		rows int
	}{
		{[]string{"top", "nodes", "--no-headers"}, w.Nodes},
		{[]string{"top", "pods", "--no-headers", "-l", "app=hello"}, w.Nodes},
	} {
		err := eventually(ctx, 2*time.Minute, func(ctx context.Context) error {
			out, err := w.kubectl(ctx, what.args...)
			if err != nil {
				return err
			}
			rows := strings.Split(strings.TrimSpace(out), "\n")
			if len(rows) != what.rows {
				return fmt.Errorf("%d rows, want %d: %s", len(rows), what.rows, out)
			}
			for _, row := range rows {
				if !strings.Contains(row, "Mi") || strings.Contains(row, " 0Mi") || strings.Contains(row, "unknown") {
					return fmt.Errorf("no figures for memory: %s", row)
				}
			}
			w.saw("%s", out)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
