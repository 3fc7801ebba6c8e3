package arm_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azarm "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/store/storetest"
)

type token string

func (t token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(t), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// sdk is the Azure SDK's own client of a server with toy types.
func sdk(t *testing.T) *armresources.ClientFactory {
	t.Helper()
	var h http.Handler
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	w := &world{crash: map[string]int{}}
	s := storetest.New(t)
	srv, err := arm.NewServer(arm.Options{Store: s, Types: w.types(), Authenticator: people{}, Authorizer: people{}, BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	h = srv.Handler()
	engine(t, s, srv)
	f, err := armresources.NewClientFactory(sub, token("admin"), &azarm.ClientOptions{
		DisableRPRegistration: true,
		ClientOptions: policy.ClientOptions{
			Transport: server.Client(), Retry: policy.RetryOptions{MaxRetries: -1},
			Cloud: cloud.Configuration{Services: map[cloud.ServiceName]cloud.ServiceConfiguration{cloud.ResourceManager: {Endpoint: server.URL, Audience: server.URL}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var quickly = &runtime.PollUntilDoneOptions{Frequency: time.Second}

// TestSDK: what the SDK understands of our long-running operations, pages and errors.
func TestSDK(t *testing.T) {
	t.Parallel()
	f := sdk(t)
	ctx := t.Context()
	groups, resources := f.NewResourceGroupsClient(), f.NewClient()
	g, err := groups.CreateOrUpdate(ctx, "rg", armresources.ResourceGroup{Location: to.Ptr("eastus")}, nil)
	if err != nil || *g.Name != "rg" || *g.Properties.ProvisioningState != "Succeeded" {
		t.Fatalf("%+v: %v", g, err)
	}
	body := armresources.GenericResource{Location: to.Ptr("eastus"), Properties: map[string]any{"steps": 2}}
	create, err := resources.BeginCreateOrUpdateByID(ctx, nets+"a", "2024-01-01", body, nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := create.PollUntilDone(ctx, quickly)
	if err != nil || made.Properties.(map[string]any)["address"] != "10.0.0.4" {
		t.Fatalf("%+v: %v", made, err)
	}
	update, err := resources.BeginUpdateByID(ctx, nets+"a", "2024-01-01", armresources.GenericResource{Tags: map[string]*string{"a": to.Ptr("b")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if updated, err := update.PollUntilDone(ctx, quickly); err != nil || *updated.Tags["a"] != "b" {
		t.Fatalf("%+v: %v", updated, err)
	}
	if there, err := resources.CheckExistenceByID(ctx, nets+"a", "2024-01-01", nil); err != nil || !there.Success {
		t.Errorf("exists: %v, %v", there, err)
	}
	fail, err := resources.BeginCreateOrUpdateByID(ctx, nets+"b", "2024-01-01", armresources.GenericResource{Location: to.Ptr("eastus"), Properties: map[string]any{"fail": true}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var re *azcore.ResponseError
	if _, err := fail.PollUntilDone(ctx, quickly); !errors.As(err, &re) || re.ErrorCode != "QuotaExceeded" {
		t.Errorf("failure: %v", err)
	}
	if _, err := resources.GetByID(ctx, nets+"none", "2024-01-01", nil); !errors.As(err, &re) || re.ErrorCode != "ResourceNotFound" || re.StatusCode != 404 {
		t.Errorf("not there: %v", err)
	}
	var names []string
	for pager := resources.NewListPager(&armresources.ClientListOptions{Top: to.Ptr[int32](1), Filter: to.Ptr("resourceType eq 'Toy.Net/nets'"), Expand: to.Ptr("createdTime")}); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Value {
			names = append(names, *r.Name)
		}
	}
	if !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("listed %v", names)
	}
	one, err := resources.BeginDeleteByID(ctx, nets+"a", "2024-01-01", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.PollUntilDone(ctx, quickly); err != nil {
		t.Error(err)
	}
	all, err := groups.BeginDelete(ctx, "rg", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := all.PollUntilDone(ctx, quickly); err != nil {
		t.Error(err)
	}
	if there, err := groups.CheckExistence(ctx, "rg", nil); err != nil || there.Success {
		t.Errorf("group is still there: %v, %v", there, err)
	}
}
