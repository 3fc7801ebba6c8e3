package walk

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// node is what the walk looks at of a node's object.
type node struct {
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Spec struct {
		Taints []struct{ Key, Value, Effect string }
	}
	Status struct {
		Capacity   struct{ Pods string }
		Conditions []struct{ Type, Status string }
	}
}

// nodes reads a pool's nodes, as a client in the network sees them.
func (w *Walk) nodes(ctx context.Context, pool string) ([]node, error) {
	out, err := w.inside(ctx, w.subnets["clients"], "kubectl", "get", "nodes", "-l", "agentpool="+pool, "-o", "json")
	if err != nil {
		return nil, err
	}
	var list struct{ Items []node }
	return list.Items, json.Unmarshal([]byte(out), &list)
}

// ready counts those that are Ready.
func ready(nodes []node) (n int) {
	for _, x := range nodes {
		for _, c := range x.Status.Conditions {
			if c.Type == "Ready" && c.Status == "True" {
				n++
			}
		}
	}
	return n
}

// pools adds a pool, scales it out and in, changes it and deletes it. The nodes run on where nothing of theirs changes.
func pools(ctx context.Context, w *Walk) error {
	pool := func(verb string, more ...string) error {
		args := append([]string{"aks", "nodepool", verb, "-g", w.main.Group, "--cluster-name", w.main.Name, "-n", "extra"}, more...)
		start := time.Now()
		_, err := w.az(ctx, args...)
		w.saw("az returned after %.1f s", time.Since(start).Seconds())
		return err
	}
	if err := pool("add", "--mode", "User", "--node-count", "2", "--node-taints", "only=some:NoSchedule", "--labels", "team=a", "tier=x", "--max-pods", "20", "-o", "none"); err != nil {
		return err
	}
	list, err := w.nodes(ctx, "extra")
	if err != nil {
		return err
	}
	if ready(list) != 2 {
		return fmt.Errorf("%d of 2 nodes of the new pool are Ready", ready(list))
	}
	for _, n := range list {
		l := n.Metadata.Labels
		if l["team"] != "a" || l["tier"] != "x" || l["kubernetes.azure.com/mode"] != "user" || !strings.Contains(fmt.Sprint(n.Spec.Taints), "{only some NoSchedule}") || n.Status.Capacity.Pods != "20" {
			return fmt.Errorf("node %s: labels %v, taints %v, %s pods", n.Metadata.Name, l, n.Spec.Taints, n.Status.Capacity.Pods)
		}
	}
	for _, count := range []int{3, 1} {
		if err := pool("scale", "-c", fmt.Sprint(count), "-o", "none"); err != nil {
			return err
		}
		if list, err = w.nodes(ctx, "extra"); err != nil {
			return err
		}
		if len(list) != count || ready(list) != count {
			return fmt.Errorf("%d nodes, %d of them Ready, of %d", len(list), ready(list), count)
		}
	}
	if err := pool("update", "--labels", "team=b", "--node-taints", "", "-o", "none"); err != nil {
		return err
	}
	if err := eventually(ctx, 20*time.Second, func(ctx context.Context) error {
		list, err := w.nodes(ctx, "extra")
		if err != nil {
			return err
		}
		l := list[0].Metadata.Labels
		if _, tier := l["tier"]; tier || l["team"] != "b" || strings.Contains(fmt.Sprint(list[0].Spec.Taints), "only") || ready(list) != 1 {
			return fmt.Errorf("after the update: labels %v, taints %v", l, list[0].Spec.Taints)
		}
		return nil
	}); err != nil {
		return err
	}
	if _, err := w.az(ctx, "aks", "nodepool", "delete", "-g", w.main.Group, "--cluster-name", w.main.Name, "-n", "nodepool1"); err == nil || !strings.Contains(err.Error(), "mode System") {
		return fmt.Errorf("the last system pool was deleted: %w", err)
	}
	if err := pool("delete"); err != nil {
		return err
	}
	if list, err = w.nodes(ctx, "extra"); err != nil || len(list) > 0 {
		return fmt.Errorf("%d nodes are left of the deleted pool: %w", len(list), err)
	}
	return nil
}

// stopAndStart has a private endpoint of another network outlive a stop, unlike in AKS.
func stopAndStart(ctx context.Context, w *Walk) error {
	var cluster struct{ ID string }
	if err := w.azJSON(ctx, &cluster, "aks", "show", "-g", w.main.Group, "-n", w.main.Name); err != nil {
		return err
	}
	if _, err := w.az(ctx, "network", "private-endpoint", "create", "-g", "walk-other", "-n", "mine", "--subnet", w.subnets["other"],
		"--private-connection-resource-id", cluster.ID, "--group-id", "management", "--connection-name", "mine", "-o", "none"); err != nil {
		return err
	}
	var nics []struct {
		IPConfigurations []struct{ PrivateIPAddress string }
	}
	if err := w.azJSON(ctx, &nics, "network", "nic", "list", "-g", "walk-other"); err != nil {
		return err
	}
	if len(nics) != 1 || len(nics[0].IPConfigurations) != 1 {
		return fmt.Errorf("the endpoint's interfaces: %+v", nics)
	}
	mine := nics[0].IPConfigurations[0].PrivateIPAddress
	answers := func(ctx context.Context) error {
		out, err := w.inside(ctx, w.subnets["other"], "curl", "-sk", "--max-time", "4", "https://"+mine+"/version")
		if err == nil && !strings.Contains(out, "Unauthorized") { // it is asked without credentials
			err = fmt.Errorf("%s answers %q", mine, out)
		}
		return err
	}
	if err := answers(ctx); err != nil {
		return err
	}
	w.saw("a private endpoint in another network, %s, answers", mine)
	for _, verb := range []string{"stop", "start"} {
		start := time.Now()
		if _, err := w.az(ctx, "aks", verb, "-g", w.main.Group, "-n", w.main.Name); err != nil {
			return err
		}
		w.saw("az returned after %.1f s", time.Since(start).Seconds())
		if verb == "stop" {
			if err := answers(ctx); err == nil {
				return fmt.Errorf("the stopped cluster answers")
			}
		}
	}
	if err := answers(ctx); err != nil {
		return fmt.Errorf("after the start: %w", err)
	}
	list, err := w.nodes(ctx, "nodepool1")
	if err != nil {
		return err
	}
	if ready(list) != w.Nodes {
		return fmt.Errorf("%d of %d nodes are Ready after the start", ready(list), w.Nodes)
	}
	w.saw("both endpoints kept their addresses; %d nodes are Ready", ready(list))
	_, err = w.az(ctx, "network", "private-endpoint", "delete", "-g", "walk-other", "-n", "mine")
	return err
}
