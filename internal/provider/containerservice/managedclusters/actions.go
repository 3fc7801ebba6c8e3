package managedclusters

import (
	"context"
	"errors"
	"strings"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/kubeconfig"
	"cloister.dev/cloister/internal/provider/containerservice/shape"
	"cloister.dev/cloister/internal/spec"
	"cloister.dev/cloister/internal/store"
)

func (t *typ) actions() map[string]arm.Action {
	return map[string]arm.Action{
		"listclusteradmincredential":          {Permission: "listClusterAdminCredential/action", Run: t.credential("clusterAdmin")},
		"listclusterusercredential":           {Permission: "listClusterUserCredential/action", Run: t.credential("clusterUser")},
		"listclustermonitoringusercredential": {Permission: "listClusterMonitoringUserCredential/action", Run: t.credential("clusterMonitoringUser")},
		"stop":                                {Permission: "stop/action", Async: true, Run: t.power(true)},
		"start":                               {Permission: "start/action", Async: true, Run: t.power(false)},
		"rotateclustercertificates":           {Permission: "rotateClusterCertificates/action", Async: true, Run: t.rotate},
		"resolveprivatelinkserviceid":         {Permission: "resolvePrivateLinkServiceId/action", Run: t.resolveService},
		"runcommand":                          {Permission: "runcommand/action", Run: refuseCommand},
	}
}

// credential answers with a kubeconfig; server-fqdn=public has it name the public name. The format (azure, exec) only
// matters with Microsoft Entra integration, which there is not.
func (t *typ) credential(role string) func(context.Context, *arm.ActionRequest) (any, error) {
	return func(ctx context.Context, a *arm.ActionRequest) (any, error) {
		text, err := t.kubeconfig(ctx, a.Resource, role, strings.EqualFold(a.Query["server-fqdn"], "public"))
		if err != nil {
			return nil, err
		}
		return map[string]any{"kubeconfigs": []any{map[string]any{"name": role, "value": text}}}, nil
	}
}

func (t *typ) kubeconfig(ctx context.Context, r *arm.Resource, role string, public bool) ([]byte, error) {
	c, err := shape.ClusterOf(r)
	if err != nil {
		return nil, err
	}
	host := c.PrivateFQDN()
	if public || host == "" {
		host = c.PublicFQDN()
	}
	if host == "" {
		return nil, arm.BadRequest("PublicFQDNDisabled", "The cluster '%s' has no public name. Enable it (`az aks update --enable-public-fqdn`), or leave --public-fqdn out.", r.Name)
	}
	var s spec.ClusterSecrets
	_, err = t.Store.Get(ctx, spec.SecretKey("cluster", c.Names.Cluster), &s)
	if errors.Is(err, store.ErrNotFound) {
		return nil, arm.Conflict("OperationNotAllowed", "The cluster '%s' has no credentials yet: it is being made. Wait until it is: `az aks wait --created`.", r.Name)
	}
	if err != nil {
		return nil, err
	}
	config := kubeconfig.Config{
		Cluster: r.Name, Server: "https://" + host + ":443", CA: s.CA, Cert: s.UserCert, Key: s.UserKey,
		User: role + "_" + c.ParsedID().ResourceGroup() + "_" + r.Name, Context: r.Name,
	}
	if role == "clusterAdmin" {
		config.Cert, config.Key = s.AdminCert, s.AdminKey // az itself puts -admin behind the context's name
	}
	return kubeconfig.Render(config)
}

// power stops or starts a cluster. Its endpoint keeps its address, and its nodes theirs.
func (t *typ) power(stop bool) func(context.Context, *arm.ActionRequest) (any, error) {
	return func(_ context.Context, a *arm.ActionRequest) (any, error) {
		if a.Resource.Private == nil {
			a.Resource.Private = map[string]any{}
		}
		a.Resource.Private["stopped"] = stop
		return nil, nil
	}
}

// rotate has all certificates of the cluster made anew.
func (t *typ) rotate(_ context.Context, a *arm.ActionRequest) (any, error) {
	c, err := shape.ClusterOf(a.Resource)
	if err != nil {
		return nil, err
	}
	if c.Stopped() {
		return nil, arm.Conflict("OperationNotAllowed", "The cluster '%s' is stopped. Start it first: `az aks start`.", a.Resource.Name)
	}
	a.Resource.Private["certificateGeneration"] = c.Generation() + 1
	return nil, nil
}

// resolveService answers which private link service a private link resource stands for: the cluster itself.
func (t *typ) resolveService(_ context.Context, a *arm.ActionRequest) (any, error) {
	if name, ok := a.Body["name"].(string); ok && !strings.EqualFold(name, "management") {
		return nil, arm.BadRequest("InvalidParameter", "The private link resource '%s' is unknown. Clusters have one: management.", name)
	}
	out := privateLinkResource(a.ID, true)
	out["privateLinkServiceID"] = a.Resource.ID
	return out, nil
}

func refuseCommand(_ context.Context, a *arm.ActionRequest) (any, error) {
	return nil, arm.BadRequest("FeatureNotSupported", "Running commands in the cluster '%s' by way of this API is not offered yet. Run kubectl inside the network: `cloister run --subnet ID -- kubectl ...`.", a.Resource.Name)
}
