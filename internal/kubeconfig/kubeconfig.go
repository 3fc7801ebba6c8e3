// Package kubeconfig renders the file by which kubectl reaches a cluster.
package kubeconfig

import "sigs.k8s.io/yaml"

// Config is what a kubeconfig says: one cluster, one user, one context.
type Config struct {
	Cluster string // name of the cluster's entry
	Server  string // https://host:443
	CA      string // PEM
	User    string // name of the user's entry
	Cert    string // PEM
	Key     string // PEM
	Context string // name of the context, which is made the current one
}

// file is the format: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
type file struct {
	APIVersion     string   `json:"apiVersion"`
	Kind           string   `json:"kind"`
	Preferences    struct{} `json:"preferences"`
	CurrentContext string   `json:"current-context"`
	Clusters       []entry  `json:"clusters"`
	Contexts       []entry  `json:"contexts"`
	Users          []entry  `json:"users"`
}

type entry struct {
	Name    string   `json:"name"`
	Cluster *cluster `json:"cluster,omitempty"`
	Context *context `json:"context,omitempty"`
	User    *user    `json:"user,omitempty"`
}

type cluster struct {
	CA     []byte `json:"certificate-authority-data"`
	Server string `json:"server"`
}

type context struct {
	Cluster string `json:"cluster"`
	User    string `json:"user"`
}

type user struct {
	Cert []byte `json:"client-certificate-data"`
	Key  []byte `json:"client-key-data"`
}

// Render writes the file as YAML.
func Render(c Config) ([]byte, error) {
	return yaml.Marshal(file{
		APIVersion: "v1", Kind: "Config", CurrentContext: c.Context,
		Clusters: []entry{{Name: c.Cluster, Cluster: &cluster{CA: []byte(c.CA), Server: c.Server}}},
		Contexts: []entry{{Name: c.Context, Context: &context{Cluster: c.Cluster, User: c.User}}},
		Users:    []entry{{Name: c.User, User: &user{Cert: []byte(c.Cert), Key: []byte(c.Key)}}},
	})
}
