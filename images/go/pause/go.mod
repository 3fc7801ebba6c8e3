module cloister.dev/cloister/images/go/pause

go 1.26.0
