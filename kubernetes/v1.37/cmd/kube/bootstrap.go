package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
	"k8s.io/component-helpers/auth/rbac/reconciliation"
	"k8s.io/klog/v2"
	schedulingv1 "k8s.io/kubernetes/pkg/apis/scheduling/v1"
	rbac "k8s.io/kubernetes/pkg/registry/rbac/rest"
	scheduling "k8s.io/kubernetes/pkg/registry/scheduling/rest"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy"
)

// bootstrapName is the hook that takes the place of two of upstream's: both wait for a second first, and then one writes
// a hundred and fifty objects, one after the other, each of which waits for the disk. Nothing is ready before that.
const bootstrapName = "cloister/bootstrap-roles-and-priorities"

const (
	bootstrapWriters  = 16 // at the same time: etcd writes them down together
	bootstrapInterval = 50 * time.Millisecond
	bootstrapTimeout  = 30 * time.Second
)

// bootstrapEarly has config's server make the default roles and priority classes at once.
func bootstrapEarly(config *genericapiserver.Config) error {
	config.DisabledPostStartHooks.Insert(rbac.PostStartHookName, scheduling.PostStartHookName)
	return config.AddPostStartHook(bootstrapName, func(hook genericapiserver.PostStartHookContext) error {
		client, err := kubernetes.NewForConfig(hook.LoopbackClientConfig)
		if err != nil {
			return err
		}
		var last error
		err = wait.PollUntilContextTimeout(hook, bootstrapInterval, bootstrapTimeout, true, func(ctx context.Context) (bool, error) {
			if last = bootstrap(ctx, client); last != nil {
				klog.V(1).InfoS("Roles and priority classes are not all there yet", "err", last)
			}
			return last == nil, nil
		})
		if err != nil {
			return fmt.Errorf("default roles and priority classes: %w", errors.Join(err, last))
		}
		return nil
	})
}

// bootstrap creates what is not there and adds what upstream's roles have gained. As with upstream, what somebody
// took from a role comes back, unless its annotation says otherwise. What upstream does beyond that moves
// objects of clusters older than any that Cloister made.
func bootstrap(ctx context.Context, client kubernetes.Interface) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(bootstrapWriters)
	do := func(kind, name string, f func() error) {
		group.Go(func() error {
			err := retry.OnError(retry.DefaultBackoff, func(err error) bool {
				return apierrors.IsConflict(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsAlreadyExists(err)
			}, f)
			if err != nil {
				return fmt.Errorf("%s %s: %w", kind, name, err)
			}
			return nil
		})
	}
	role := func(role reconciliation.RuleOwner, modifier reconciliation.RuleOwnerModifier) {
		do("role", role.GetName(), func() error {
			_, err := (&reconciliation.ReconcileRoleOptions{Role: role, Client: modifier, Confirm: true}).Run()
			return err
		})
	}
	binding := func(binding reconciliation.RoleBinding, modifier reconciliation.RoleBindingModifier) {
		do("binding", binding.GetName(), func() error {
			_, err := (&reconciliation.ReconcileRoleBindingOptions{RoleBinding: binding, Client: modifier, Confirm: true}).Run()
			return err
		})
	}
	for _, class := range schedulingv1.SystemPriorityClasses() {
		do("priority class", class.Name, func() error {
			_, err := client.SchedulingV1().PriorityClasses().Create(ctx, class, metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				return nil
			}
			return err
		})
	}
	api, namespaces := client.RbacV1(), client.CoreV1().Namespaces()
	for _, r := range append(bootstrappolicy.ClusterRoles(), bootstrappolicy.ControllerRoles()...) {
		role(reconciliation.ClusterRoleRuleOwner{ClusterRole: &r}, reconciliation.ClusterRoleModifier{Client: api.ClusterRoles()})
	}
	for _, b := range append(bootstrappolicy.ClusterRoleBindings(), bootstrappolicy.ControllerRoleBindings()...) {
		binding(reconciliation.ClusterRoleBindingAdapter{ClusterRoleBinding: &b}, reconciliation.ClusterRoleBindingClientAdapter{Client: api.ClusterRoleBindings()})
	}
	for _, roles := range bootstrappolicy.NamespaceRoles() {
		for _, r := range roles {
			role(reconciliation.RoleRuleOwner{Role: &r}, reconciliation.RoleModifier{Client: api, NamespaceClient: namespaces})
		}
	}
	for _, bindings := range bootstrappolicy.NamespaceRoleBindings() {
		for _, b := range bindings {
			binding(reconciliation.RoleBindingAdapter{RoleBinding: &b}, reconciliation.RoleBindingClientAdapter{Client: api, NamespaceClient: namespaces})
		}
	}
	return group.Wait()
}
