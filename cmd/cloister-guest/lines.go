package main

import (
	"bufio"
	"errors"
	"io"
	"sync"
)

// lines puts the output of several processes together, line by line.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

// longest is where a line is cut: a process may print without an end.
const longest = 16 << 10

// copy copies lines from r, with the name before each, until r ends. A reader
// always takes what comes, or the process that writes would stand still.
func (l *lines) copy(name string, r io.Reader) {
	in := bufio.NewReaderSize(r, longest)
	buf := make([]byte, 0, 256)
	for {
		part, err := in.ReadSlice('\n')
		if len(part) > 0 {
			buf = append(append(append(buf[:0], name...), '|', ' '), part...)
			if buf[len(buf)-1] != '\n' {
				buf = append(buf, '\n')
			}
			l.mu.Lock()
			_, _ = l.w.Write(buf) // nobody could be told
			l.mu.Unlock()
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}
