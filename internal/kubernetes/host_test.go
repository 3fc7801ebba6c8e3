package kubernetes

import "testing"

func TestDetectHost(t *testing.T) {
	h, err := DetectHost()
	if err != nil {
		t.Fatal(err)
	}
	if h.MilliCPU < 1000 || h.MemoryBytes < 64<<20 {
		t.Errorf("this machine cannot be so small: %+v", h)
	}
}
