package walk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// hooked is how many objects go through the webhook.
const hooked = 1000

// hookCertificates makes an authority and the webhook's certificate, and the objects that need them.
const hookCertificates = `dir=$(mktemp -d); trap 'rm -r "$dir"' EXIT; cd "$dir"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj '/CN=an authority of the walk' -keyout ca.key -out ca.crt 2>/dev/null
openssl req -x509 -CA ca.crt -CAkey ca.key -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj '/CN=hook' \
  -addext 'basicConstraints=critical,CA:FALSE' -addext 'subjectAltName=DNS:hook.default.svc' -keyout tls.key -out tls.crt 2>/dev/null
kubectl create secret tls hook --cert tls.crt --key tls.key
kubectl apply -f - <<END
%s
END
kubectl rollout status deployment/hook --timeout=120s
kubectl create namespace hooked
kubectl apply -f - <<END
%s
END
`

const hookDeployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: hook}
spec:
  selector: {matchLabels: {app: hook}}
  template:
    metadata: {labels: {app: hook}}
    spec:
      containers:
      - name: hook
        image: "` + HelloImage + `"
        imagePullPolicy: IfNotPresent
        args: [webhook, /tls/tls.crt, /tls/tls.key]
        readinessProbe: {httpGet: {path: /ready, port: 8443, scheme: HTTPS}, periodSeconds: 1}
        volumeMounts: [{name: tls, mountPath: /tls, readOnly: true}]
      volumes: [{name: tls, secret: {secretName: hook}}]
---
apiVersion: v1
kind: Service
metadata: {name: hook}
spec: {selector: {app: hook}, ports: [{port: 443, targetPort: 8443}]}`

const hookConfiguration = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook.walk.example}
webhooks:
- name: hook.walk.example
  failurePolicy: Fail
  sideEffects: None
  timeoutSeconds: 5
  admissionReviewVersions: [v1]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: hooked}}
  rules:
  - {operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [configmaps]}
  clientConfig: {service: {namespace: default, name: hook, path: /validate}, caBundle: $(base64 -w0 ca.crt)}`

// webhook has the API server ask a pod about each object: the control plane
// reaches pods by the way back, and trusts the authority that the configuration names.
func webhook(ctx context.Context, w *Walk) error {
	if _, err := w.script(ctx, fmt.Sprintf(hookCertificates, hookDeployment, hookConfiguration)); err != nil {
		return err
	}
	// An API server reads the configuration by a watch.
	err := eventually(ctx, 30*time.Second, func(ctx context.Context) error {
		out, err := w.script(ctx, `echo '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"refused","namespace":"hooked","labels":{"hello":"no"}}}' | kubectl create -f -`)
		if err == nil {
			_, err = w.kubectl(ctx, "delete", "configmap", "-n", "hooked", "refused")
			return errors.Join(fmt.Errorf("an object that the webhook refuses was created: %s", out), err)
		}
		if !strings.Contains(err.Error(), "hello says no to refused") {
			return fmt.Errorf("refused for another reason: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	start := time.Now()
	out, err := w.script(ctx, fmt.Sprintf(`seq -f 'object-%%04g' 1 %d | sed 's/.*/{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"&","namespace":"hooked"}}/' | kubectl create -f - | wc -l`, hooked))
	if err != nil {
		return err
	}
	took := time.Since(start)
	if strings.TrimSpace(out) != fmt.Sprint(hooked) {
		return fmt.Errorf("%s objects were created, not %d", strings.TrimSpace(out), hooked)
	}
	logs, err := w.kubectl(ctx, "logs", "deployment/hook", "--tail=-1")
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for line := range strings.Lines(logs) {
		if _, name, found := strings.Cut(strings.TrimSpace(line), "admitted object-"); found {
			seen[name] = true
		}
	}
	if len(seen) != hooked {
		return fmt.Errorf("the webhook saw %d objects, not %d", len(seen), hooked)
	}
	w.saw("%d objects in %.1f s, each of them seen by the pod; one refused", hooked, took.Seconds())
	return w.hookGone(ctx)
}

// hookGone shows that nothing goes past the webhook: without a pod nothing is created.
func (w *Walk) hookGone(ctx context.Context) error {
	if _, err := w.kubectl(ctx, "scale", "deployment/hook", "--replicas=0"); err != nil {
		return err
	}
	if _, err := w.kubectl(ctx, "wait", "pod", "-l", "app=hook", "--for=delete", "--timeout=60s"); err != nil {
		return err
	}
	out, err := w.kubectl(ctx, "create", "configmap", "-n", "hooked", "unseen")
	if err == nil {
		return fmt.Errorf("without its pod, the webhook let an object through: %s", out)
	}
	if !strings.Contains(err.Error(), "failed calling webhook") {
		return fmt.Errorf("without its pod: %w", err)
	}
	_, err = w.kubectl(ctx, "delete", "validatingwebhookconfiguration", "hook.walk.example")
	_, err2 := w.kubectl(ctx, "delete", "namespace", "hooked", "--wait=false")
	return errors.Join(err, err2)
}
