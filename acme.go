package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// An authority gives the certificate for one public name (ACME, RFC 8555), keeps it under DATA/tls/acme and renews it. The
// authority asks for the proof over HTTP (HTTP-01, section 8.3).
type authority struct {
	domain string
	cache  *certmagic.Cache
	magic  *certmagic.Config
	http   *http.Server
	stop   func()
}

// newAuthority answers on l and begins to ask.
func newAuthority(dir string, s settings, l net.Listener, log *slog.Logger) *authority {
	a := &authority{domain: string(s.ACMEDomain)}
	kept := filepath.Join(dir, "tls", "acme")
	os.RemoveAll(filepath.Join(kept, "locks")) // a killed server's: DATA is ours alone
	lines := zap.New(slogCore{log.With("from", "acme")})
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.magic, nil },
		Logger:           lines,
	})
	a.magic = certmagic.New(a.cache, certmagic.Config{
		Storage:          &certmagic.FileStorage{Path: kept},
		ReusePrivateKeys: true, // pins stay good, and so do sessions that see a renewal
		OCSP:             certmagic.OCSPConfig{DisableStapling: true},
		Logger:           lines,
		OnEvent:          a.tell(log),
	})
	at, _ := listenPort(l.Addr())
	host, _, _ := net.SplitHostPort(string(s.ACMEHTTP))
	issuer := certmagic.NewACMEIssuer(a.magic, certmagic.ACMEIssuer{
		CA: string(s.ACMEDirectory), Email: string(s.ACMEEmail), Agreed: true,
		DisableTLSALPNChallenge: true,                              // it would need port 443
		ListenHost:              host, AltHTTPPort: int(at.Port()), // where we answer already
		Logger: lines,
	})
	a.magic.Issuers = []certmagic.Issuer{issuer}
	a.http = &http.Server{
		Handler:           issuer.HTTPChallengeHandler(http.NotFoundHandler()),
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 10 * time.Second,
	}
	a.http.SetKeepAlivesEnabled(false)
	go a.http.Serve(l)
	ctx, cancel := context.WithCancel(context.Background())
	a.stop = func() {
		cancel()
		a.cache.Stop()
		a.http.Close()
	}
	if err := a.magic.ManageAsync(ctx, []string{a.domain}); err != nil {
		log.Error("no certificate from the authority", "name", a.domain, "err", err)
	}
	return a
}

// tell logs what the operator should know.
func (a *authority) tell(log *slog.Logger) func(context.Context, string, map[string]any) error {
	return func(_ context.Context, event string, about map[string]any) error {
		switch event {
		case "cert_obtained":
			log.Info("the authority gave a certificate", "name", a.domain, "issuer", about["issuer"], "renewal", about["renewal"])
		case "cert_failed":
			serves := "the generated certificate"
			if about["renewal"] == true {
				serves = "the certificate that was there"
			}
			log.Error("no certificate from the authority; it is asked again", "name", a.domain, "meanwhile", serves, "err", about["error"])
		}
		return nil
	}
}

// certificate returns the one for who asks for the public name, nil for others and as long as none is good.
func (a *authority) certificate(hello *tls.ClientHelloInfo) *tls.Certificate {
	if a == nil || !strings.EqualFold(hello.ServerName, a.domain) {
		return nil
	}
	var newest *tls.Certificate
	until := time.Now()
	for _, c := range a.cache.AllMatchingCertificates(a.domain) {
		if c.Leaf != nil && c.Leaf.NotAfter.After(until) {
			newest, until = &c.Certificate, c.Leaf.NotAfter
		}
	}
	return newest
}

// slogCore hands the lines of a library that logs with zap to our log. What it tells of its work is for debugging: the
// operator hears of what comes of it by tell.
type slogCore struct{ log *slog.Logger }

func level(l zapcore.Level) slog.Level {
	switch {
	case l <= zapcore.InfoLevel:
		return slog.LevelDebug
	case l == zapcore.WarnLevel:
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

func attrs(fields []zapcore.Field) (list []any) {
	all := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(all)
	}
	for _, f := range fields {
		if v, ok := all.Fields[f.Key]; ok {
			list = append(list, f.Key, v)
		}
	}
	return list
}

func (c slogCore) Enabled(l zapcore.Level) bool {
	return c.log.Enabled(context.Background(), level(l))
}

func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	return slogCore{c.log.With(attrs(fields)...)}
}

func (c slogCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

func (c slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.log.Log(context.Background(), level(e.Level), e.Message, attrs(fields)...)
	return nil
}

func (c slogCore) Sync() error { return nil }
