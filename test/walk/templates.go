package walk

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

//go:embed template.json
var templateText string

// templates deploys a template: first one with a mistake, then what it would do, then the thing itself.
func templates(ctx context.Context, w *Walk) error {
	const group = "walk-template"
	if err := w.group(ctx, group); err != nil {
		return err
	}
	out, err := w.deployment(ctx, strings.Replace(templateText, "uniqueString", "uniqString", 1), "create", "-g", group, "-n", "bad")
	if err == nil {
		return fmt.Errorf("an unknown function was taken: %s", out)
	}
	for _, part := range []string{"there is no function 'uniqString'", "uniqueString", "line 3"} {
		if !strings.Contains(err.Error(), part) {
			return fmt.Errorf("the mistake is not explained (%s): %w", part, err)
		}
	}
	w.saw("with a mistake: %s", lineWith(err.Error(), "uniqString"))
	if out, err = w.deployment(ctx, templateText, "what-if", "-g", group); err != nil {
		return err
	}
	if !strings.Contains(out, "5 to create") {
		return fmt.Errorf("what-if says %s", out)
	}
	w.saw("%s", lineWith(out, "Resource changes"))
	start := time.Now()
	if out, err = w.deployment(ctx, templateText, "create", "-g", group, "-n", "all", "-o", "json"); err != nil {
		return err
	}
	var done struct {
		Properties struct {
			ProvisioningState string
			Outputs           map[string]struct{ Value string }
			Parameters        map[string]struct{ Value any }
		}
	}
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &done); err != nil {
		return fmt.Errorf("az printed %s: %w", out, err)
	}
	p := done.Properties
	if p.ProvisioningState != "Succeeded" || p.Outputs["privateFQDN"].Value == "" || p.Outputs["hidden"].Value != "" || p.Parameters["secret"].Value != nil {
		return fmt.Errorf("the deployment: %+v", p)
	}
	w.saw("after %.1f s: the cluster %s, and a NIC with %s", time.Since(start).Seconds(), p.Outputs["privateFQDN"].Value, p.Outputs["address"].Value)
	var operations []struct {
		Properties struct{ ProvisioningState string }
	}
	if err := w.azJSON(ctx, &operations, "deployment", "operation", "group", "list", "-g", group, "-n", "all"); err != nil {
		return err
	}
	if len(operations) != 5 {
		return fmt.Errorf("%d operations: %+v", len(operations), operations)
	}
	return w.templatedNode(ctx, group)
}

// templatedNode wants the node of the template's cluster Ready, then keeps nothing of it but a NIC: the mode Complete.
func (w *Walk) templatedNode(ctx context.Context, group string) error {
	subnet, err := w.az(ctx, "network", "vnet", "subnet", "show", "-g", group, "--vnet-name", "templated", "-n", "nodes", "--query", "id", "-o", "tsv")
	if err != nil {
		return err
	}
	out, err := w.inside(ctx, strings.TrimSpace(subnet), "sh", "-ec",
		"az aks get-credentials -g "+group+" -n templated --admin -f /tmp/templated --overwrite-existing --only-show-errors && kubectl --kubeconfig /tmp/templated get nodes")
	if err != nil {
		return err
	}
	if !strings.Contains(out, " Ready ") {
		return fmt.Errorf("kubectl get nodes says %s", out)
	}
	w.saw("%s", out)
	less := strings.Replace(templateText, `"type": "Microsoft.ContainerService`, `"condition": false, "type": "Microsoft.ContainerService`, 1)
	less = less[:strings.Index(less, `"outputs"`)] + `"outputs": {} }`
	if _, err := w.deployment(ctx, less, "create", "-g", group, "-n", "less", "--mode", "Complete", "-p", "nics=1", "-o", "none"); err != nil {
		return err
	}
	var left []struct{ Name string }
	if err := w.azJSON(ctx, &left, "resource", "list", "-g", group); err != nil {
		return err
	}
	if len(left) != 2 {
		return fmt.Errorf("after a deployment in the mode Complete there are %+v", left)
	}
	w.saw("in the mode Complete, what the template does not name is gone: left are %s and %s", left[0].Name, left[1].Name)
	return nil
}

// deployment runs az deployment group with a template.
func (w *Walk) deployment(ctx context.Context, template, verb string, args ...string) (string, error) {
	args = append([]string{"az", "deployment", "group", verb, "-f", "/tmp/template.json"}, args...)
	return w.command(ctx, false, "run", "--workstation", "--", "sh", "-ec", "cat > /tmp/template.json <<'END'\n"+template+"\nEND\n"+quoted(args))
}

func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
