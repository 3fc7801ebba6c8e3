package identity

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"cloister.dev/cloister/internal/arm"
)

// Routes are the tenant, its subscriptions and their locations, each showing
// only what the caller has a role in:
// https://learn.microsoft.com/rest/api/resources/subscriptions
func (s *Service) Routes(regions []string) []arm.Route {
	get := func(pattern string, serve func(context.Context, *arm.RouteRequest) (any, error)) arm.Route {
		return arm.Route{Method: http.MethodGet, Pattern: pattern, Serve: func(ctx context.Context, r *arm.RouteRequest) (*arm.Response, error) {
			body, err := serve(ctx, r)
			if err != nil {
				return nil, err
			}
			return &arm.Response{Body: body}, nil
		}}
	}
	return []arm.Route{
		get("/tenants", func(context.Context, *arm.RouteRequest) (any, error) {
			return map[string]any{"value": []any{s.showTenant()}}, nil
		}),
		get("/tenants/{tenant}", func(_ context.Context, r *arm.RouteRequest) (any, error) {
			if !strings.EqualFold(r.Params["tenant"], s.Tenant.ID) {
				return nil, arm.NotFound("TenantNotFound", "The tenant '%s' could not be found. This service has the tenant '%s'.", r.Params["tenant"], s.Tenant.ID)
			}
			return s.showTenant(), nil
		}),
		get("/subscriptions", s.listSubscriptions),
		get("/subscriptions/{subscription}", func(ctx context.Context, r *arm.RouteRequest) (any, error) {
			sub, err := s.subscription(ctx, r)
			return showSubscription(sub), err
		}),
		get("/subscriptions/{subscription}/locations", func(ctx context.Context, r *arm.RouteRequest) (any, error) {
			sub, err := s.subscription(ctx, r)
			value := []any{}
			for _, name := range regions {
				value = append(value, showLocation(sub.ID, name))
			}
			return map[string]any{"value": value}, err
		}),
	}
}

func (s *Service) sees(p arm.Principal, scope string) bool {
	return p.System || s.Authorizer.SeesBelow(p.ObjectID, scope)
}

func (s *Service) listSubscriptions(ctx context.Context, r *arm.RouteRequest) (any, error) {
	all, err := s.Directory.Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	value := []any{}
	for _, sub := range all {
		if s.sees(r.Principal, "/subscriptions/"+sub.ID) {
			value = append(value, showSubscription(sub))
		}
	}
	return map[string]any{"value": value, "count": map[string]any{"type": "Total", "value": len(value)}}, nil
}

// subscription reads the one in the path; for who has no role in it, there is none.
func (s *Service) subscription(ctx context.Context, r *arm.RouteRequest) (Subscription, error) {
	id := r.Params["subscription"]
	sub, err := s.Directory.Subscription(ctx, id)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return Subscription{}, err
	}
	if err != nil || !s.sees(r.Principal, "/subscriptions/"+id) {
		return Subscription{}, arm.NotFound("SubscriptionNotFound", "The subscription '%s' could not be found. 'az account list --refresh' shows those that you have a role in.", id)
	}
	return sub, nil
}

func (s *Service) showTenant() map[string]any {
	return map[string]any{
		"id": "/tenants/" + s.Tenant.ID, "tenantId": s.Tenant.ID, "displayName": s.Tenant.DisplayName, "tenantCategory": "Home",
		"defaultDomain": s.Tenant.Domain, "domains": []string{s.Tenant.Domain}, "tenantType": "AAD", "countryCode": "US",
	}
}

func showSubscription(s Subscription) map[string]any {
	return map[string]any{
		"id": "/subscriptions/" + s.ID, "subscriptionId": s.ID, "tenantId": s.TenantID, "displayName": s.DisplayName, "state": s.State,
		"authorizationSource": "RoleBased", "managedByTenants": []any{},
		"subscriptionPolicies": map[string]any{"locationPlacementId": "Internal_2014-09-01", "quotaId": "Internal_2014-09-01", "spendingLimit": "Off"},
	}
}

// places are the names that people know regions by, and the region that Azure pairs each with.
var places = map[string][4]string{ // display name, geography, city, pair
	"eastus":             {"East US", "US", "Virginia", "westus"},
	"eastus2":            {"East US 2", "US", "Virginia", "centralus"},
	"westus":             {"West US", "US", "California", "eastus"},
	"westus2":            {"West US 2", "US", "Washington", "westcentralus"},
	"westus3":            {"West US 3", "US", "Phoenix", "eastus"},
	"centralus":          {"Central US", "US", "Iowa", "eastus2"},
	"westeurope":         {"West Europe", "Europe", "Netherlands", "northeurope"},
	"northeurope":        {"North Europe", "Europe", "Ireland", "westeurope"},
	"uksouth":            {"UK South", "UK", "London", "ukwest"},
	"germanywestcentral": {"Germany West Central", "Europe", "Frankfurt", "germanynorth"},
	"southeastasia":      {"Southeast Asia", "Asia Pacific", "Singapore", "eastasia"},
}

// showLocation describes a region. Coordinates are asked for by no client that decides by them.
func showLocation(subscription, name string) map[string]any {
	p, ok := places[name]
	if !ok {
		p = [4]string{name, "Local", "Local", ""}
	}
	meta := map[string]any{"regionType": "Physical", "regionCategory": "Recommended", "geography": p[1], "geographyGroup": p[1], "physicalLocation": p[2], "latitude": "0", "longitude": "0", "pairedRegion": []any{}}
	if p[3] != "" {
		meta["pairedRegion"] = []any{map[string]any{"name": p[3], "id": "/subscriptions/" + subscription + "/locations/" + p[3]}}
	}
	return map[string]any{
		"id": "/subscriptions/" + subscription + "/locations/" + name, "name": name, "type": "Region",
		"displayName": p[0], "regionalDisplayName": "(" + p[1] + ") " + p[0], "metadata": meta,
	}
}
