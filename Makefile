# Sampan needs Go and nothing else; `make test` installs the foreign programs that its tests drive (Debian, as root).

GO    ?= go
GOENV := CGO_ENABLED=0
TEST  := $(GOENV) $(GO) test -timeout 20m

.PHONY: run build demo test test-long bench fuzz lint fmt clean

# Start a server in ./data with nothing to edit; more flags as ARGS="--ftp :2100".
run: build
	./sampan serve $(ARGS)

build:
	$(GOENV) $(GO) build -trimpath -o sampan .

demo: build
	./sampan demo

test:
	scripts/install-test-deps
	$(TEST) ./...

# The kill loops in full length and the power cuts, which need root and loop devices.
test-long:
	scripts/install-test-deps
	$(GOENV) $(GO) test -timeout 120m -tags long -v ./stories/... ./files/...

# The server beside vsftpd, ProFTPD, Pure-FTPd and pyftpdlib, and over SFTP beside OpenSSH and ProFTPD, as root; more flags as ARGS="-rows small -runs 3".
bench:
	root=$$(scripts/bench-peers) && $(GO) run ./bench -root "$$root" -svg docs/performance.svg $(ARGS)

# Every fuzz target for FUZZTIME each.
FUZZTIME ?= 10s
fuzz:
	scripts/fuzz $(FUZZTIME)

lint:
	scripts/lint

fmt:
	$(GO) tool -modfile=tools/go.mod gofumpt -l -w .

clean:
	rm -f sampan
