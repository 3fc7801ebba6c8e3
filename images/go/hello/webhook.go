package main

import (
	"encoding/json"
	"log"
	"net/http"
	"time"
)

// review is what the webhook needs of an AdmissionReview:
// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
type review struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Request    *request  `json:"request,omitempty"`
	Response   *response `json:"response,omitempty"`
}

type request struct {
	UID    string `json:"uid"`
	Object struct {
		Metadata struct {
			Name   string            `json:"name"`
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	} `json:"object"`
}

type response struct {
	UID     string  `json:"uid"`
	Allowed bool    `json:"allowed"`
	Status  *status `json:"status,omitempty"`
}

type status struct {
	Message string `json:"message"`
}

// webhook admits every object but those with the label hello=no, and logs a line for each.
func webhook(args []string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /validate", validate)
	srv := &http.Server{Addr: ":8443", Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second}
	log.Printf("a webhook listens on %s", srv.Addr)
	return srv.ListenAndServeTLS(args[0], args[1])
}

func validate(w http.ResponseWriter, r *http.Request) {
	var in review
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 8<<20)).Decode(&in); err != nil || in.Request == nil {
		http.Error(w, "not an AdmissionReview with a request", http.StatusBadRequest)
		return
	}
	meta := in.Request.Object.Metadata
	out := review{APIVersion: in.APIVersion, Kind: in.Kind, Response: &response{UID: in.Request.UID, Allowed: meta.Labels["hello"] != "no"}}
	verdict := "admitted"
	if !out.Response.Allowed {
		out.Response.Status, verdict = &status{Message: "hello says no to " + meta.Name}, "refused"
	}
	log.Printf("%s %s", verdict, meta.Name)
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		log.Printf("answer: %v", err)
	}
}
