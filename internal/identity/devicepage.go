package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
)

//go:embed devicepage.html
var devicePageText string

//go:embed devicepage.css
var devicePageStyle string

var devicePageTemplate = template.Must(template.New("page").Parse(devicePageText))

// devicePage is what the page shows: a form for a code, a form for a user, or only words.
type devicePage struct {
	Title   string
	Note    string
	Problem string
	Code    string // that was entered
	Client  string // who asks for a sign-in
	Address string // from where
	User    string
	AskCode bool
	AskUser bool
	Token   string // against forged requests
	Style   template.CSS
}

var stylePolicy = func() string {
	sum := sha256.Sum256([]byte(devicePageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
}()

// page renders the page, for no frame and no cache.
func (h *Handler) page(w http.ResponseWriter, r *http.Request, status int, p devicePage) {
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", stylePolicy)
	head.Set("X-Frame-Options", "DENY")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cache-Control", "no-store")
	p.Style = template.CSS(devicePageStyle)
	w.WriteHeader(status)
	if err := devicePageTemplate.Execute(w, p); err != nil {
		slog.DebugContext(r.Context(), "sign-in page", "error", err) // the browser went away
	}
}

const forgeryCookie = "__Host-cloister-signin"

// forgeryKey makes the hidden field from the cookie; it lasts as long as the process.
var forgeryKey = func() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return b
}()

func forgeryToken(cookie string) string {
	mac := hmac.New(sha256.New, forgeryKey)
	mac.Write([]byte(cookie))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// protect gives the browser a cookie and returns the field that goes with it.
func protect(w http.ResponseWriter, r *http.Request) string {
	c, err := r.Cookie(forgeryCookie)
	if err != nil || len(c.Value) != 32 {
		c = &http.Cookie{Name: forgeryCookie, Value: randomText(32), Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
		http.SetCookie(w, c)
	}
	return forgeryToken(c.Value)
}

func forged(r *http.Request) bool {
	if http.NewCrossOriginProtection().Check(r) != nil {
		return true
	}
	c, err := r.Cookie(forgeryCookie)
	return err != nil || subtle.ConstantTimeCompare([]byte(forgeryToken(c.Value)), []byte(r.PostForm.Get("token"))) != 1
}

// programs are names for the client ids that people know.
var programs = map[string]string{
	"04b07795-8ddb-461a-bbee-02f9e1bf7b46": "Azure CLI",
	"1950a258-227b-4e31-a9cf-717495945fc2": "Azure PowerShell",
	"80faf920-1908-4b52-b5ef-a8e7bedfc67a": "kubelogin",
}

func program(client string) string {
	if name := programs[client]; name != "" {
		return name
	}
	return "The program " + clip(client)
}

// deviceLogin is the page on which a person enters a code and signs in: first
// the code, then, seeing who asks, name and password.
func (h *Handler) deviceLogin(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.page(w, r, http.StatusOK, devicePage{Title: "Enter the code", Note: "The program that you started shows a code.", AskCode: true, Code: clip(r.URL.Query().Get("user_code")), Token: protect(w, r)})
		return
	case http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		h.page(w, r, http.StatusMethodNotAllowed, devicePage{Title: "Sign in", Problem: "This page is for browsers."})
		return
	}
	f, err := form(w, r)
	if err != nil {
		h.page(w, r, http.StatusBadRequest, devicePage{Title: "Sign in", Problem: "The form could not be read. Open the page again."})
		return
	}
	token := protect(w, r)
	ask := devicePage{Title: "Enter the code", AskCode: true, Token: token}
	if forged(r) {
		ask.Problem = "This form was too old, or came from another page. Enter the code again."
		h.page(w, r, http.StatusForbidden, ask)
		return
	}
	where := "code " + address(r)
	if !h.throttle.allows(where) {
		ask.Problem = errLocked.Text
		h.page(w, r, http.StatusTooManyRequests, ask)
		return
	}
	code := f.Get("code")
	dev, ok := h.devices.find(code)
	if !ok {
		h.throttle.failed(where)
		ask.Problem = "That code is not known, or it has expired. Look at it again, or start the sign-in again."
		h.page(w, r, http.StatusBadRequest, ask)
		return
	}
	confirm := devicePage{
		Title: "Sign in", AskUser: true, Token: token, Code: dev.userCode,
		Client: program(dev.client), Address: dev.address, User: clip(f.Get("user")),
	}
	switch f.Get("step") {
	case "cancel":
		h.devices.decide(code, "")
		h.page(w, r, http.StatusOK, devicePage{Title: "Declined", Note: "The program was told that you do not sign in. You can close this page."})
	case "signin":
		p, err := h.checkUser(r.Context(), address(r), f.Get("user"), f.Get("password"))
		if err != nil {
			var e oauthError
			if !errors.As(err, &e) {
				slog.ErrorContext(r.Context(), "sign-in page", "error", err)
				e = oauthError{Status: 500, Text: "The service cannot read its directory. Try again."}
			}
			confirm.Problem = e.Text
			h.page(w, r, e.Status, confirm)
			return
		}
		if !h.devices.decide(code, p.ID) {
			h.page(w, r, http.StatusConflict, devicePage{Title: "Too late", Problem: "The code was used or has expired meanwhile. Start the sign-in again."})
			return
		}
		h.page(w, r, http.StatusOK, devicePage{Title: "You are signed in", Note: confirm.Client + " goes on as " + p.UserName + ". You can close this page."})
	default:
		h.page(w, r, http.StatusOK, confirm)
	}
}
