package walk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// machinery is upstream's conformance tests of the API's machinery; foreign are
// those of them that run an image of a registry, which there is none of: servers
// for webhooks and aggregation, and a pod that has to be seen running.
const (
	machinery = `\[sig-api-machinery\].*\[Conformance\]`
	foreign   = `AdmissionWebhook|CustomResourceConversionWebhook|CustomResourceFieldSelectors|Sample API Server|all pods are removed when a namespace is deleted|namespace deletion should delete pod first`
)

// slow are tests that do nothing but wait, five minutes and more, for something that comes by
// a clock: the compaction of etcd, the look of the controller at each quota. They run beside the others.
var slow = []string{"if the original version has been compacted away", "should apply changes to a resourcequota status"}

// fewest is how many of the tests have to pass: what is skipped by mistake is missed.
const fewest = 72

// Conformance runs upstream's tests in a private cluster of their own, inside its
// network. The program is the artefact e2e-v<version>.
func Conformance(program string) []Step {
	return []Step{
		{"Sign in: az cloud register, az login, az account show", signIn},
		{"A group, a network, and a private cluster in it", workloadCluster},
		{"Upstream's conformance tests of the API's machinery", func(ctx context.Context, w *Walk) error { return conformance(ctx, w, program) }},
		{"Deletion", remove},
	}
}

func conformance(ctx context.Context, w *Walk, program string) error {
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// Some tests make pods that need not run. Nobody outside is asked for their images.
	var registries strings.Builder
	for _, name := range []string{"promoterE2e", "build", "invalid", "gcEtcd", "gc", "sigStorage", "private", "dockerLibrary", "cloudProviderGcp"} {
		fmt.Fprintf(&registries, "%sRegistry: 127.0.0.1:1\n", name)
	}
	images := filepath.Join(dir, "registries.yaml")
	if err := os.WriteFile(images, []byte(registries.String()), 0o600); err != nil {
		return err
	}
	skip := []string{foreign}
	for _, s := range slow {
		skip = append(skip, regexp.QuoteMeta(s))
	}
	runs := [][2]string{{machinery, strings.Join(skip, "|")}}
	for _, s := range slow {
		runs = append(runs, [2]string{regexp.QuoteMeta(s), "^$"})
	}
	start := time.Now()
	var wg sync.WaitGroup
	passed, errs := make([]int, len(runs)), make([]error, len(runs))
	for i, r := range runs {
		wg.Go(func() {
			out, err := w.command(ctx, true, "run", "--subnet", w.subnets["clients"], "--", "env", "KUBE_TEST_REPO_LIST="+images, program,
				"--kubeconfig", w.env["KUBECONFIG"], "--provider=skeleton", "--ginkgo.no-color", "--ginkgo.focus="+r[0], "--ginkgo.skip="+r[1])
			passed[i], errs[i] = verdict(out)
			errs[i] = errors.Join(errs[i], err)
		})
	}
	wg.Wait()
	all := 0
	for _, n := range passed {
		all += n
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if all < fewest {
		return fmt.Errorf("%d tests passed, and none failed, but %d are known", all, fewest)
	}
	w.saw("%d tests passed in %.0f s", all, time.Since(start).Seconds())
	return nil
}

var summary = regexp.MustCompile(`(\d+) Passed \| (\d+) Failed`)

// verdict reads the summary, and names the tests that failed.
func verdict(out string) (passed int, err error) {
	m := summary.FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("no summary in what the tests say: %s", tail(out))
	}
	if m[2] != "0" {
		_, failures, _ := strings.Cut(out, "Summarizing ")
		return 0, fmt.Errorf("%s tests failed: %s", m[2], tail(failures))
	}
	if passed, err = strconv.Atoi(m[1]); err == nil && passed == 0 {
		err = errors.New("none of the tests was found")
	}
	return passed, err
}
