package identity

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	deviceLife     = 15 * time.Minute
	deviceInterval = 2 // seconds between polls
	devicePending  = 2000
	// userCodeLetters makes no words and nothing that looks alike (RFC 8628 §6.1).
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
)

// device is one device code flow (RFC 8628) that waits for a person.
type device struct {
	userCode string
	client   string
	audience string
	scopes   []string
	place    place
	address  string // where it was asked for
	expires  time.Time
	approved string // object id
	denied   bool
}

// devices are the flows that wait. They are in memory: after a restart a
// person begins again, and nothing was lost.
type devices struct {
	mu     sync.Mutex
	byCode map[string]*device // by the device code's digest
	now    func() time.Time
}

func newDevices() *devices { return &devices{byCode: map[string]*device{}, now: time.Now} }

func (d *devices) add(dev *device) (code string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for c, old := range d.byCode {
		if now.After(old.expires) {
			delete(d.byCode, c)
		}
	}
	if len(d.byCode) >= devicePending {
		return "", false
	}
	code = randomText(43)
	dev.userCode, dev.expires = randomFrom(userCodeLetters, 8), now.Add(deviceLife)
	d.byCode[digest(code)] = dev
	return code, true
}

// find reads the waiting flow with this user code.
func (d *devices) find(userCode string) (device, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dev := d.waiting(userCode); dev != nil {
		return *dev, true
	}
	return device{}, false
}

// decide ends the wait: approved by somebody, or denied with "".
func (d *devices) decide(userCode, objectID string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	dev := d.waiting(userCode)
	if dev == nil {
		return false
	}
	dev.approved, dev.denied = objectID, objectID == ""
	return true
}

func (d *devices) waiting(userCode string) *device {
	userCode = normalCode(userCode)
	if len(userCode) != 8 {
		return nil
	}
	for _, dev := range d.byCode {
		if sameDigest(dev.userCode, userCode) && d.now().Before(dev.expires) && dev.approved == "" && !dev.denied {
			return dev
		}
	}
	return nil
}

// normalCode is a user code as a person may type it: any case, with a dash or spaces.
func normalCode(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(userCodeLetters, r) {
			return r
		}
		return -1
	}, strings.ToUpper(s))
}

// poll returns the flow once it was decided, and forgets it; err is what the program is told otherwise.
func (d *devices) poll(code, client string) (device, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dev := d.byCode[digest(code)]
	switch {
	case dev == nil || !strings.EqualFold(dev.client, client):
		return device{}, oauthError{400, "invalid_grant", 70000, "The device code is not known. Start the sign-in again."}
	case d.now().After(dev.expires):
		delete(d.byCode, digest(code))
		return device{}, oauthError{400, "expired_token", 70020, "The device code has expired. Start the sign-in again."}
	case dev.denied:
		delete(d.byCode, digest(code))
		return device{}, oauthError{400, "authorization_declined", 65004, "The sign-in was declined."}
	case dev.approved == "":
		return device{}, oauthError{400, "authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending. Continue polling."}
	}
	delete(d.byCode, digest(code))
	return *dev, nil
}

// deviceCode answers the device authorization endpoint.
func (h *Handler) deviceCode(w http.ResponseWriter, r *http.Request, p place) {
	answer, err := h.startDevice(w, r, p)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	reply(w, http.StatusOK, answer)
}

func (h *Handler) startDevice(w http.ResponseWriter, r *http.Request, p place) (map[string]any, error) {
	f, err := form(w, r)
	if err != nil {
		return nil, err
	}
	if f.Get("client_id") == "" {
		return nil, oauthError{400, "invalid_request", 900144, "The request body must contain the following parameter: 'client_id'."}
	}
	dev := &device{client: f.Get("client_id"), place: p, address: address(r)}
	if dev.audience, dev.scopes, err = h.target(r.Context(), f); err != nil {
		return nil, err
	}
	code, ok := h.devices.add(dev)
	if !ok {
		return nil, oauthError{503, "temporarily_unavailable", 90033, "Too many sign-ins wait for a person. Try again in a few minutes."}
	}
	page := h.site.base + "/devicelogin"
	return map[string]any{
		"user_code": dev.userCode, "device_code": code, "verification_uri": page, "verification_url": page,
		"verification_uri_complete": page + "?user_code=" + dev.userCode,
		"expires_in":                int(deviceLife / time.Second), "interval": deviceInterval,
		"message": "To sign in, use a web browser to open the page " + page + " and enter the code " + dev.userCode + " to authenticate.",
	}, nil
}

// deviceToken is the device code grant: the program asks whether the person has decided.
func (h *Handler) deviceToken(ctx context.Context, q *request) (map[string]any, error) {
	code := q.form.Get("device_code")
	if code == "" {
		code = q.form.Get("code")
	}
	dev, err := h.devices.poll(code, q.client)
	if err != nil {
		return nil, err
	}
	p, err := h.directory.Principal(ctx, dev.approved)
	if err != nil {
		return nil, err
	}
	refresh, err := h.tokens.start(ctx, p, q.client)
	if err != nil {
		return nil, err
	}
	q.audience, q.scopes = dev.audience, dev.scopes
	return h.userAnswer(q, p, refresh)
}
