package walk

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// Story is the walk in its order.
func Story() []Step {
	return []Step{
		{"Sign in: az cloud register, az login, az account show", signIn},
		{"Feature and providers", features},
		{"Groups and virtual networks", networks},
		{"The private cluster: az aks create", createMain},
		{"A second cluster with the same addresses in another network", createTwin},
		{"The managed resource group and the ARM object", managedGroup},
		{"Inside: names, credentials, nodes", inside},
		{"Inside: a Deployment, logs and exec", workload},
		{"Outside: nobody reaches it", outside},
		{"Node pools: add, scale out and in, change, delete", pools},
		{"Stop and start: endpoints keep their addresses", stopAndStart},
		{"Cause and effect: record, endpoint, security group", causes},
		{"The short form, at a terminal: a managed network", short},
		{"A public name can be left out", disablePublicName},
		{"A template: a network, NICs and a private cluster, by az deployment", templates},
		{"Deletion", remove},
	}
}

func signIn(ctx context.Context, w *Walk) error {
	text, err := w.command(ctx, false, "env", "--list")
	if err != nil {
		return err
	}
	w.env = map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		w.env[name] = value
	}
	if w.before, err = listeners(); err != nil {
		return err
	}
	// A cloud of that name may be there from an earlier walk.
	if _, err := w.az(ctx, "cloud", "show", "-n", "Cloister"); err == nil {
		if _, err := w.az(ctx, "cloud", "set", "-n", "AzureCloud"); err != nil {
			return err
		}
		if _, err := w.az(ctx, "cloud", "unregister", "-n", "Cloister"); err != nil {
			return err
		}
	}
	if _, err := w.az(ctx, "cloud", "register", "-n", "Cloister", "--endpoint-resource-manager", w.env["CLOISTER_URL"]); err != nil {
		return err
	}
	if _, err := w.az(ctx, "cloud", "set", "-n", "Cloister"); err != nil {
		return err
	}
	// The secret is on the command line of the demo only: it is random and of this machine.
	w.printf("   $ az login --service-principal -u $ARM_CLIENT_ID -p $ARM_CLIENT_SECRET --tenant $ARM_TENANT_ID\n")
	if _, err := w.command(ctx, false, "run", "--workstation", "--", "az", "login", "--service-principal",
		"-u", w.env["ARM_CLIENT_ID"], "-p", w.env["ARM_CLIENT_SECRET"], "--tenant", w.env["ARM_TENANT_ID"], "-o", "none"); err != nil {
		return fmt.Errorf("az login failed: %s", strings.ReplaceAll(err.Error(), w.env["ARM_CLIENT_SECRET"], "***"))
	}
	var account struct{ ID, Name, State, EnvironmentName string }
	if err := w.azJSON(ctx, &account, "account", "show"); err != nil {
		return err
	}
	if account.ID != w.env["ARM_SUBSCRIPTION_ID"] || account.State != "Enabled" || account.EnvironmentName != "Cloister" {
		return fmt.Errorf("account show: %+v", account)
	}
	w.saw("subscription %q (%s) in the cloud %s", account.Name, account.ID, account.EnvironmentName)
	return nil
}

func features(ctx context.Context, w *Walk) error {
	var f struct {
		Properties struct{ State string }
	}
	if err := w.azJSON(ctx, &f, "feature", "register", "--name", "AKSPrivateLinkPreview", "--namespace", "Microsoft.ContainerService"); err != nil {
		return err
	}
	w.saw("%s", f.Properties.State)
	query := "[?contains(name, 'Microsoft.ContainerService/AKSPrivateLinkPreview')].{Name:name,State:properties.state}"
	err := eventually(ctx, time.Minute, func(ctx context.Context) error {
		var list []struct{ Name, State string }
		if err := w.azJSON(ctx, &list, "feature", "list", "--query", query); err != nil {
			return err
		}
		if len(list) != 1 || list[0].State != "Registered" {
			return fmt.Errorf("feature list: %+v", list)
		}
		return nil
	})
	if err != nil {
		return err
	}
	table, err := w.az(ctx, "feature", "list", "-o", "table", "--query", query)
	if err != nil {
		return err
	}
	w.saw("%s", table)
	for _, ns := range []string{"Microsoft.ContainerService", "Microsoft.Network"} {
		if _, err := w.az(ctx, "provider", "register", "--namespace", ns, "--wait"); err != nil {
			return err
		}
	}
	return nil
}

// networks makes two groups: the story's network, another one of the same
// address space with a subnet of the same range, and a third with other addresses.
func networks(ctx context.Context, w *Walk) error {
	w.subnets = map[string]string{}
	for _, n := range []struct{ group, vnet, space, subnet, prefix string }{
		{"walk", "vnet", "10.0.0.0/8", "aks", "10.240.0.0/22"},
		{"walk-twin", "vnet", "10.0.0.0/8", "aks-twin", "10.240.0.0/22"},
		{"walk-other", "vnet", "172.20.0.0/16", "other", "172.20.0.0/24"},
	} {
		if err := w.group(ctx, n.group); err != nil {
			return err
		}
		if _, err := w.az(ctx, "network", "vnet", "create", "-g", n.group, "-n", n.vnet, "--address-prefix", n.space,
			"--subnet-name", n.subnet, "--subnet-prefix", n.prefix, "-o", "none"); err != nil {
			return err
		}
		id, err := w.az(ctx, "network", "vnet", "subnet", "show", "-g", n.group, "--vnet-name", n.vnet, "-n", n.subnet, "--query", "id", "-o", "tsv")
		if err != nil {
			return err
		}
		w.subnets[n.subnet] = strings.TrimSpace(id)
		w.saw("%s", id)
	}
	id, err := w.az(ctx, "network", "vnet", "subnet", "create", "-g", "walk", "--vnet-name", "vnet", "-n", "clients", "--address-prefixes", "10.241.0.0/24", "--query", "id", "-o", "tsv")
	w.subnets["clients"] = strings.TrimSpace(id)
	return err
}

// Binary finds bin/cloister from the folder that a test or the demo runs in.
func Binary() (string, error) {
	for _, p := range []string{"bin/cloister", "../../bin/cloister", "../../../../bin/cloister"} {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("bin/cloister is not built: run make build")
}
