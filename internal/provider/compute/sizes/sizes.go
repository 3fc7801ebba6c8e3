// Package sizes is the table of virtual machine sizes: what Azure's names mean
// in processors and memory.
package sizes

import (
	"sort"
	"strings"
)

// Default is the size of a node pool that names none, as in AKS.
const Default = "Standard_DS2_v2"

// Size is one virtual machine size.
type Size struct {
	Name      string // Standard_DS2_v2
	Family    string // standardDSv2Family
	Cores     int
	MemoryMiB int
	DataDisks int
	Ephemeral int // resource disk, MiB
}

// MilliCPU is the size's processors in thousandths.
func (s Size) MilliCPU() int64 { return int64(s.Cores) * 1000 }

// MemoryBytes is the size's memory in bytes.
func (s Size) MemoryBytes() int64 { return int64(s.MemoryMiB) << 20 }

// table lists the sizes by name. Figures: https://learn.microsoft.com/azure/virtual-machines/sizes
var table = []Size{
	{"Standard_A2_v2", "standardAv2Family", 2, 4096, 4, 20480},
	{"Standard_A4_v2", "standardAv2Family", 4, 8192, 8, 40960},
	{"Standard_B1ms", "standardBSFamily", 1, 2048, 2, 4096},
	{"Standard_B1s", "standardBSFamily", 1, 1024, 2, 4096},
	{"Standard_B2ms", "standardBSFamily", 2, 8192, 4, 16384},
	{"Standard_B2s", "standardBSFamily", 2, 4096, 4, 8192},
	{"Standard_B2s_v2", "standardBsv2Family", 2, 8192, 4, 0},
	{"Standard_B4ms", "standardBSFamily", 4, 16384, 8, 32768},
	{"Standard_B4s_v2", "standardBsv2Family", 4, 16384, 8, 0},
	{"Standard_D2_v2", "standardDv2Family", 2, 7168, 8, 102400},
	{"Standard_D2_v3", "standardDv3Family", 2, 8192, 4, 51200},
	{"Standard_D2as_v4", "standardDASv4Family", 2, 8192, 4, 16384},
	{"Standard_D2as_v5", "standardDASv5Family", 2, 8192, 4, 0},
	{"Standard_D2ds_v5", "standardDDSv5Family", 2, 8192, 4, 76800},
	{"Standard_D2s_v3", "standardDSv3Family", 2, 8192, 4, 16384},
	{"Standard_D2s_v4", "standardDSv4Family", 2, 8192, 4, 0},
	{"Standard_D2s_v5", "standardDSv5Family", 2, 8192, 4, 0},
	{"Standard_D4as_v5", "standardDASv5Family", 4, 16384, 8, 0},
	{"Standard_D4ds_v5", "standardDDSv5Family", 4, 16384, 8, 153600},
	{"Standard_D4s_v3", "standardDSv3Family", 4, 16384, 8, 32768},
	{"Standard_D4s_v4", "standardDSv4Family", 4, 16384, 8, 0},
	{"Standard_D4s_v5", "standardDSv5Family", 4, 16384, 8, 0},
	{"Standard_D8ds_v5", "standardDDSv5Family", 8, 32768, 16, 307200},
	{"Standard_D8s_v3", "standardDSv3Family", 8, 32768, 16, 65536},
	{"Standard_D8s_v5", "standardDSv5Family", 8, 32768, 16, 0},
	{"Standard_D16s_v5", "standardDSv5Family", 16, 65536, 32, 0},
	{"Standard_DS1_v2", "standardDSv2Family", 1, 3584, 4, 7168},
	{"Standard_DS2_v2", "standardDSv2Family", 2, 7168, 8, 14336},
	{"Standard_DS3_v2", "standardDSv2Family", 4, 14336, 16, 28672},
	{"Standard_DS4_v2", "standardDSv2Family", 8, 28672, 32, 57344},
	{"Standard_E2s_v3", "standardESv3Family", 2, 16384, 4, 32768},
	{"Standard_E2s_v5", "standardESv5Family", 2, 16384, 4, 0},
	{"Standard_E4s_v5", "standardESv5Family", 4, 32768, 8, 0},
	{"Standard_F2s_v2", "standardFSv2Family", 2, 4096, 4, 16384},
	{"Standard_F4s_v2", "standardFSv2Family", 4, 8192, 8, 32768},
	{"Standard_F8s_v2", "standardFSv2Family", 8, 16384, 16, 65536},
}

// Lookup finds a size by its name, in any case.
func Lookup(name string) (Size, bool) {
	for _, s := range table {
		if strings.EqualFold(s.Name, name) {
			return s, true
		}
	}
	return Size{}, false
}

// All lists every size, ordered by name.
func All() []Size {
	out := append([]Size(nil), table...)
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// Some names a few sizes that most people mean, for error messages.
func Some() string {
	return "Standard_DS2_v2, Standard_D2s_v3, Standard_D2s_v5, Standard_D4s_v5, Standard_B2s, Standard_B2ms, Standard_DS1_v2"
}
