package addons

import (
	"encoding/base64"
	"net/netip"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestRender(t *testing.T) {
	objects, err := Render(Values{
		DNSService: netip.MustParseAddr("10.2.0.10"), CA: "authority", MetricsCert: "cert", MetricsKey: "key",
		UserGroup: "people", VolumesDir: "/volumes", Fingerprint: "f",
	})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*unstructured.Unstructured{}
	for _, o := range objects {
		name := o.GetKind() + "/" + o.GetName()
		if byName[name] != nil {
			t.Errorf("%s is there twice", name)
		}
		byName[name] = o
		if namespaced := resources[o.GetKind()].namespaced; namespaced != (o.GetNamespace() != "") {
			t.Errorf("%s: namespace %q", name, o.GetNamespace())
		}
	}
	for _, c := range []struct {
		object, want string
		path         []string
	}{
		{"Service/kube-dns", "10.2.0.10", []string{"spec", "clusterIP"}},
		{"APIService/v1beta1.metrics.k8s.io", base64.StdEncoding.EncodeToString([]byte("authority")), []string{"spec", "caBundle"}},
		{"Secret/metrics-server-tls", base64.StdEncoding.EncodeToString([]byte("key")), []string{"data", "tls.key"}},
	} {
		o := byName[c.object]
		if o == nil {
			t.Errorf("no %s", c.object)
			continue
		}
		if got, _, err := unstructured.NestedString(o.Object, c.path...); err != nil || got != c.want {
			t.Errorf("%s %v: %q (%v), want %q", c.object, c.path, got, err, c.want)
		}
	}
	classes := 0
	for _, o := range byName {
		if o.GetKind() == "StorageClass" && o.GetAnnotations()["storageclass.kubernetes.io/is-default-class"] == "true" {
			classes++
		}
	}
	if classes != 1 {
		t.Errorf("%d default storage classes, want 1", classes)
	}
	for name, o := range byName {
		if o.GetKind() != "ClusterRoleBinding" {
			continue
		}
		role, _, _ := unstructured.NestedString(o.Object, "roleRef", "name")
		if role == "cluster-admin" {
			t.Errorf("%s gives everything away", name)
		}
	}
}
