package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cloister.dev/cloister/internal/app"
	"cloister.dev/cloister/internal/config"
)

// accessToken is that of whoever is signed in: the service principal in the environment, else az's.
func accessToken(ctx context.Context, c config.Config, base string) (string, error) {
	for _, prefix := range []string{"ARM_", "AZURE_"} {
		tenant, id, secret := os.Getenv(prefix+"TENANT_ID"), os.Getenv(prefix+"CLIENT_ID"), os.Getenv(prefix+"CLIENT_SECRET")
		if tenant != "" && id != "" && secret != "" {
			return principalToken(ctx, c, base, tenant, id, secret)
		}
	}
	vars, err := environment(ctx, c)
	if err != nil {
		return "", err
	}
	for _, v := range vars {
		if v.Name == "AZURE_CONFIG_DIR" {
			if t := cachedToken(filepath.Join(v.Value, "msal_token_cache.json"), base, time.Now()); t != "" {
				return t, nil
			}
		}
	}
	args := []string{"account", "get-access-token", "--query", "accessToken", "--output", "tsv"}
	program := "az"
	if _, err := exec.LookPath(program); err != nil {
		exe, err := os.Executable()
		if err != nil {
			return "", err
		}
		program, args = exe, append([]string{"run", "--workstation", "--", "az"}, args...)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = with(os.Environ(), vars)
	var out, text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &text
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("nobody is signed in: az login --use-device-code (az says: %s)", strings.TrimSpace(text.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// cachedToken is the one access token for base that az has in its cache and that is valid for a while; "" if there
// is none, or more than one, so that az has to say whose counts. The file's form is that of the Microsoft
// Authentication Library (AccessToken entries: secret, environment, target, expires_on).
func cachedToken(file, base string, now time.Time) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	var cache struct {
		AccessToken map[string]struct {
			Secret, Environment, Target string
			ExpiresOn                   string `json:"expires_on"`
		}
	}
	if err := json.Unmarshal(b, &cache); err != nil {
		return ""
	}
	found := ""
	for _, t := range cache.AccessToken {
		expires, err := strconv.ParseInt(t.ExpiresOn, 10, 64)
		if err != nil || t.Environment != strings.TrimPrefix(base, "https://") || !strings.HasPrefix(t.Target, base) || time.Unix(expires, 0).Before(now.Add(2*time.Minute)) {
			continue
		}
		if found != "" {
			return ""
		}
		found = t.Secret
	}
	return found
}

// principalToken signs a service principal in (RFC 6749, section 4.4).
func principalToken(ctx context.Context, c config.Config, base, tenant, id, secret string) (string, error) {
	pem, err := os.ReadFile(app.BundleFile(c))
	if err != nil {
		return "", err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "scope": {base + "/.default"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/"+url.PathEscape(tenant)+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
		Text        string `json:"error_description"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer); err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	if answer.AccessToken == "" {
		return "", errors.New("sign in: " + answer.Text)
	}
	return answer.AccessToken, nil
}
