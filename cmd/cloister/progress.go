package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress prints steps that take time: one line when a step begins to be
// long or ends, so that it reads well in a terminal and in a log.
type progress struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
}

func newProgress(out io.Writer) func(format string, args ...any) {
	p := &progress{out: out, start: time.Now()}
	return p.say
}

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "%6.1fs  %s\n", time.Since(p.start).Seconds(), fmt.Sprintf(format, args...))
}
