package kubernetes

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"cloister.dev/cloister/internal/kubernetes/addons"
)

// Annotations of a volume: who made it, and on which node its folder is.
const (
	annotationProvisioner = "pv.kubernetes.io/provisioned-by"
	annotationVolumeNode  = "local.path.provisioner/selected-node"
)

// forgetVolumes deletes the volumes whose data were on a node that has gone. The
// provisioner cannot: it removes a volume's folder in a pod on that node. A volume
// that a claim still holds goes together with the claim.
func forgetVolumes(ctx context.Context, s *session, node string) error {
	volumes, err := s.core.PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, v := range volumes.Items {
		if v.Annotations[annotationProvisioner] != addons.Provisioner || v.Annotations[annotationVolumeNode] != node || v.DeletionTimestamp != nil {
			continue
		}
		if err := s.core.PersistentVolumes().Delete(ctx, v.Name, metav1.DeleteOptions{}); err != nil && !gone(err) {
			return err
		}
	}
	return nil
}
