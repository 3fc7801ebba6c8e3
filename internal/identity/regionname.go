package identity

// RegionName is the name that people know a region by: "East US" for eastus. An unknown region is its own name.
func RegionName(name string) string {
	if p, ok := places[name]; ok {
		return p[0]
	}
	return name
}
