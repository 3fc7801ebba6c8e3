// Package addons holds what every cluster comes with: names (CoreDNS), metrics
// (metrics-server), volumes (local-path-provisioner), and the roles of those whom Cloister gives certificates.
package addons

import (
	"bytes"
	"context"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"text/template"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

//go:embed manifests/*.yaml
var manifests embed.FS

// Images of the add-ons. They come with the nodes.
const (
	imageCoreDNS       = "cloister.internal/coredns:1"
	imageMetricsServer = "cloister.internal/metrics-server:1"
	imageLocalPath     = "cloister.internal/local-path-provisioner:1"
)

// Provisioner is the name by which storage classes ask for a volume on a node.
const Provisioner = "cloister.dev/local-path"

// Values is what the manifests depend on.
type Values struct {
	DNSService  netip.Addr
	CA          string // PEM of the cluster's authority
	MetricsCert string // PEM, for metrics-server.kube-system.svc
	MetricsKey  string
	UserGroup   string // group of the user kubeconfig
	VolumesDir  string // folder of a node for persistent volumes
	// Fingerprint changes with the certificates, and so starts anew what reads them.
	Fingerprint string
}

// resources maps the kinds that the manifests use to where they are served, so
// that nothing has to be asked first.
var resources = map[string]struct {
	schema.GroupVersionResource
	namespaced bool
}{
	"Namespace":           {gvr("", "v1", "namespaces"), false},
	"ServiceAccount":      {gvr("", "v1", "serviceaccounts"), true},
	"ConfigMap":           {gvr("", "v1", "configmaps"), true},
	"Secret":              {gvr("", "v1", "secrets"), true},
	"Service":             {gvr("", "v1", "services"), true},
	"Deployment":          {gvr("apps", "v1", "deployments"), true},
	"PodDisruptionBudget": {gvr("policy", "v1", "poddisruptionbudgets"), true},
	"Role":                {gvr("rbac.authorization.k8s.io", "v1", "roles"), true},
	"RoleBinding":         {gvr("rbac.authorization.k8s.io", "v1", "rolebindings"), true},
	"ClusterRole":         {gvr("rbac.authorization.k8s.io", "v1", "clusterroles"), false},
	"ClusterRoleBinding":  {gvr("rbac.authorization.k8s.io", "v1", "clusterrolebindings"), false},
	"StorageClass":        {gvr("storage.k8s.io", "v1", "storageclasses"), false},
	"APIService":          {gvr("apiregistration.k8s.io", "v1", "apiservices"), false},
}

func gvr(group, version, resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: version, Resource: resource}
}

// Render makes the add-ons' objects, in the order in which they are to be applied.
func Render(v Values) ([]*unstructured.Unstructured, error) {
	files, err := fs.Glob(manifests, "manifests/*.yaml")
	if err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for _, file := range files {
		objects, err := renderFile(file, v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, objects...)
	}
	return out, nil
}

func renderFile(file string, v Values) ([]*unstructured.Unstructured, error) {
	text, err := manifests.ReadFile(file)
	if err != nil {
		return nil, err
	}
	t, err := template.New(file).Option("missingkey=error").Funcs(template.FuncMap{
		"base64":             func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"imageCoreDNS":       func() string { return imageCoreDNS },
		"imageMetricsServer": func() string { return imageMetricsServer },
		"imageLocalPath":     func() string { return imageLocalPath },
		"provisioner":        func() string { return Provisioner },
	}).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(&b, 4096); ; {
		u := new(unstructured.Unstructured)
		switch err := d.Decode(u); {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		case len(u.Object) == 0:
			continue
		}
		r, ok := resources[u.GetKind()]
		if !ok || r.GroupVersion() != u.GroupVersionKind().GroupVersion() {
			return nil, fmt.Errorf("%s %s: this kind is not known", u.GetKind(), u.GetName())
		}
		out = append(out, u)
	}
}

// Apply puts the objects into a cluster, by server-side apply: what other
// managers set in them stays, where it does not contradict. Every failure is reported.
func Apply(ctx context.Context, client dynamic.Interface, manager string, objects []*unstructured.Unstructured) error {
	var errs []error
	for _, u := range objects {
		r := resources[u.GetKind()]
		var to dynamic.ResourceInterface = client.Resource(r.GroupVersionResource)
		if r.namespaced {
			to = client.Resource(r.GroupVersionResource).Namespace(u.GetNamespace())
		}
		if _, err := to.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: manager, Force: true}); err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", u.GetKind(), u.GetName(), err))
		}
	}
	return errors.Join(errs...)
}
