module cloister.dev/cloister/images/go/hello

go 1.26.0
