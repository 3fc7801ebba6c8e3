package kubernetes

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"cloister.dev/cloister/internal/kubernetes/args"
	"cloister.dev/cloister/internal/spec"
)

// taintsAnnotation holds the taints that Cloister put on a node, with commas between
// them: an API server keeps the list of taints as one value, which others change, too.
const taintsAnnotation = "cloister.dev/taints"

// taint gives the node the taints of its spec, takes those away that the spec has lost, and leaves those of others.
func (m *Manager) taint(ctx context.Context, s *session, n spec.Node) error {
	node := s.cached(n.Name)
	if node == nil {
		return nil
	}
	note, noted := node.Annotations[taintsAnnotation]
	own := n.Register.Taints // what the kubelet registered with
	if noted {
		own = strings.Split(note, ",")
	}
	next := retaint(node.Spec.Taints, args.Taints(own), args.Taints(n.Taints))
	wanted := strings.Join(n.Taints, ",")
	if slices.EqualFunc(next, node.Spec.Taints, sameTaint) && (note == wanted || !noted && len(own) == 0) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		// Of this revision: the list is written as a whole.
		"metadata": map[string]any{"resourceVersion": node.ResourceVersion, "annotations": map[string]string{taintsAnnotation: wanted}},
		"spec":     map[string]any{"taints": next},
	})
	if err != nil {
		return err
	}
	_, err = s.core.Nodes().Patch(ctx, n.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if gone(err) || apierrors.IsConflict(err) { // a newer node comes with the watch
		return nil
	}
	return err
}

// retaint takes own out of have and puts wanted in.
func retaint(have, own, wanted []corev1.Taint) []corev1.Taint {
	is := func(t corev1.Taint) func(corev1.Taint) bool {
		return func(o corev1.Taint) bool { return o.Key == t.Key && o.Effect == t.Effect }
	}
	out := []corev1.Taint{}
	for _, t := range have {
		switch {
		case slices.ContainsFunc(wanted, is(t)):
			t.Value = wanted[slices.IndexFunc(wanted, is(t))].Value
			out = append(out, t)
		case !slices.ContainsFunc(own, is(t)):
			out = append(out, t)
		}
	}
	for _, t := range wanted {
		if !slices.ContainsFunc(have, is(t)) {
			out = append(out, t)
		}
	}
	return out
}

func sameTaint(a, b corev1.Taint) bool {
	return a.Key == b.Key && a.Value == b.Value && a.Effect == b.Effect
}
