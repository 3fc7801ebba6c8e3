package kubernetes

import (
	"context"

	"cloister.dev/cloister/internal/kubernetes/addons"
	"cloister.dev/cloister/internal/kubernetes/args"
	"cloister.dev/cloister/internal/kubernetes/pki"
	"cloister.dev/cloister/internal/spec"
)

// applyAddons puts the add-ons into the cluster, and says so.
func (m *Manager) applyAddons(ctx context.Context, s *session) error {
	objects, err := addons.Render(addons.Values{
		DNSService: s.cluster.DNSService, CA: s.secrets.CACert,
		MetricsCert: s.secrets.MetricsCert, MetricsKey: s.secrets.MetricsKey,
		UserGroup: pki.UserGroup, VolumesDir: args.VolumesDir, Fingerprint: pki.Fingerprint(s.secrets.CACert),
	})
	if err != nil {
		return err
	}
	if err := addons.Apply(ctx, s.dynamic, fieldManager, objects); err != nil {
		return err
	}
	return m.setClusterStatus(ctx, s.cluster.Name, func(st *spec.ClusterStatus) { st.AddonsSet = true })
}
