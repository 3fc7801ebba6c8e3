package walk

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// hello is the answer of the hello image: who it is, and whom it saw.
var hello = regexp.MustCompile(`hello from (\S+) to (\S+):\d+`)

// service has the pod of one node ask the Service, by name and by address, until
// a pod of every node has answered, and wants each of them to have seen the asking pod.
func service(ctx context.Context, w *Walk) error {
	if _, err := w.kubectl(ctx, "expose", "deployment", "hello", "--port", "80", "--target-port", "8080"); err != nil {
		return err
	}
	address, err := w.kubectl(ctx, "get", "service", "hello", "-o", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return err
	}
	pods, err := w.pods(ctx, "default", "app=hello")
	if err != nil {
		return err
	}
	asking, answered := pods[0], map[string]bool{}
	for _, host := range []string{"hello", "hello.default.svc.cluster.local", address} {
		clear(answered)
		// A pod that reaches itself by the Service is translated: its node answers for it.
		err := eventually(ctx, time.Minute, func(ctx context.Context) error {
			out, err := w.kubectl(ctx, "exec", asking.Metadata.Name, "--", "/hello", "fetch", "http://"+host+"/")
			if err != nil {
				return err
			}
			m := hello.FindStringSubmatch(out)
			if m == nil {
				return fmt.Errorf("the Service says %q", out)
			}
			if m[1] != asking.Metadata.Name {
				if m[2] != asking.Status.PodIP {
					return fmt.Errorf("pod %s saw %s, not the asking pod %s", m[1], m[2], asking.Status.PodIP)
				}
				answered[m[1]] = true
			}
			if len(answered) < len(pods)-1 {
				return fmt.Errorf("only pods %v have answered", answered)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("http://%s/: %w", host, err)
		}
		w.saw("%s on %s asked http://%s/: answers from all %d other nodes", asking.Metadata.Name, asking.Spec.NodeName, host, len(answered))
	}
	return nil
}

// direct asks each pod from the clients' subnet, and wants it to see and log the client's address.
func direct(ctx context.Context, w *Walk) error {
	pods, err := w.pods(ctx, "default", "app=hello")
	if err != nil {
		return err
	}
	for _, p := range pods {
		out, err := w.script(ctx, "hostname -I; curl -sS --max-time 10 http://"+p.Status.PodIP+":8080/direct")
		if err != nil {
			return err
		}
		own, answer, _ := strings.Cut(strings.TrimSpace(out), "\n")
		m := hello.FindStringSubmatch(answer)
		if m == nil || m[1] != p.Metadata.Name || m[2] != strings.TrimSpace(own) || !strings.HasPrefix(m[2], "10.241.0.") {
			return fmt.Errorf("the client %s asked %s, and heard %q", own, p.Metadata.Name, answer)
		}
		err = eventually(ctx, 20*time.Second, func(ctx context.Context) error {
			logs, err := w.kubectl(ctx, "logs", p.Metadata.Name)
			if err == nil && !strings.Contains(logs, "GET /direct from "+m[2]+":") {
				err = fmt.Errorf("not in the log of %s: a request from %s", p.Metadata.Name, m[2])
			}
			return err
		})
		if err != nil {
			return err
		}
		w.saw("%s", answer)
	}
	return nil
}

// names looks up, in a pod, what only the cluster knows, what only the cluster's
// endpoint's zone has, and what only a private zone linked to the network has: so
// CoreDNS went to the network's resolver. Nothing outside is asked.
func names(ctx context.Context, w *Walk) error {
	vnet := w.subnets["clients"][:strings.Index(w.subnets["clients"], "/subnets/")]
	for _, args := range [][]string{
		{"zone", "create", "-g", "walk", "-n", "corp.example", "-o", "none"},
		{"link", "vnet", "create", "-g", "walk", "-z", "corp.example", "-n", "vnet", "-v", vnet, "-e", "false", "-o", "none"},
		{"record-set", "a", "add-record", "-g", "walk", "-z", "corp.example", "-n", "db", "-a", "10.9.8.7", "-o", "none"},
	} {
		if _, err := w.az(ctx, append([]string{"network", "private-dns"}, args...)...); err != nil {
			return err
		}
	}
	pods, err := w.pods(ctx, "default", "app=hello")
	if err != nil {
		return err
	}
	service, err := w.kubectl(ctx, "get", "service", "hello", "-o", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return err
	}
	for name, want := range map[string]string{"hello": service, "kubernetes.default.svc.cluster.local": "10.2.0.1", w.main.PrivateFQDN: w.main.Endpoint, "db.corp.example": "10.9.8.7"} {
		err := eventually(ctx, time.Minute, func(ctx context.Context) error {
			out, err := w.kubectl(ctx, "exec", pods[0].Metadata.Name, "--", "/hello", "lookup", name)
			if err == nil && out != "server 10.2.0.10:53\naddresses "+want+"\n" {
				err = fmt.Errorf("in a pod, %s is %q, not %s", name, out, want)
			}
			return err
		})
		if err != nil {
			return err
		}
		w.saw("%s -> %s, by 10.2.0.10", name, want)
	}
	return w.coreDNSAsks(ctx, "168.63.129.16")
}

// coreDNSAsks wants CoreDNS to forward to what its node has, and that to be the network's resolver.
func (w *Walk) coreDNSAsks(ctx context.Context, server string) error {
	corefile, err := w.kubectl(ctx, "get", "configmap", "coredns", "-n", "kube-system", "-o", "jsonpath={.data.Corefile}")
	if err != nil {
		return err
	}
	pods, err := w.pods(ctx, "kube-system", "k8s-app=kube-dns")
	if err != nil {
		return err
	}
	if !strings.Contains(corefile, "forward . /etc/resolv.conf") {
		return fmt.Errorf("CoreDNS does not forward to its node's resolver: %s", corefile)
	}
	// A pod of the same policy on the node shows what CoreDNS was given.
	if err := w.apply(ctx, fmt.Sprintf(resolvPod, pods[0].Spec.NodeName, HelloImage)); err != nil {
		return err
	}
	if _, err := w.kubectl(ctx, "wait", "pod/resolv", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s"); err != nil {
		return err
	}
	text, err := w.kubectl(ctx, "logs", "resolv")
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "nameserver" && f[1] != server {
			return fmt.Errorf("CoreDNS asks %s, not only %s", f[1], server)
		}
	}
	if !strings.Contains(text, "nameserver "+server) {
		return fmt.Errorf("CoreDNS asks %q, not %s", text, server)
	}
	w.saw("CoreDNS asks %s", server)
	_, err = w.kubectl(ctx, "delete", "pod", "resolv", "--wait=false")
	return err
}

// resolvPod prints the resolver that pods of CoreDNS's policy get on a node.
const resolvPod = `apiVersion: v1
kind: Pod
metadata: {name: resolv}
spec:
  dnsPolicy: Default
  restartPolicy: Never
  nodeName: %s
  containers:
  - {name: hello, image: "%s", imagePullPolicy: IfNotPresent, args: [read, /etc/resolv.conf]}
`

// portForward asks a pod by a port of the client's own loopback.
func portForward(ctx context.Context, w *Walk) error {
	for _, target := range []string{"deployment/hello 18080:8080", "service/hello 18081:80"} {
		local := strings.Split(strings.Fields(target)[1], ":")[0]
		out, err := w.script(ctx, fmt.Sprintf("kubectl port-forward %s >/dev/null & trap 'kill $!' EXIT\n"+
			"curl -sS --retry 50 --retry-connrefused --retry-delay 1 --max-time 30 http://127.0.0.1:%s/forwarded", target, local))
		if err != nil {
			return err
		}
		if m := hello.FindStringSubmatch(out); m == nil || m[2] != "127.0.0.1" {
			return fmt.Errorf("port-forward %s: %q", target, out)
		}
		w.saw("%s: %s", target, out)
	}
	return nil
}
