package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// errMissing is a peer that cannot be had here.
var errMissing = errors.New("missing")

// The others are programs of a few lines, so that none of what they need is among
// what jotgate needs.
var (
	//go:embed peers/pocketbase.go.txt
	pocketBaseMain string
	//go:embed peers/ginjwt.go.txt
	ginJWTMain string
	//go:embed peers/project.py
	djangoProject string
)

const (
	pocketBaseVersion = "v0.36.8"
	ginJWTVersion     = "v3.4.1"
	peerPassword      = "correct horse battery staple"
)

func allPeers() []peer { return []peer{jotgatePeer(), ginJWT(), pocketBase(), django()} }

func jotgatePeer() peer {
	return peer{
		name: "jotgate", notes: "SQLite, ES256, argon2id 19 MiB; a refresh is on disk when it is answered", probe: "/healthz",
		prepare: func(ctx context.Context, b *bench, p peerPlace) (*exec.Cmd, error) {
			ops, err := freeAddr()
			if err != nil {
				return nil, err
			}
			cmd := exec.CommandContext(ctx, b.program, "serve")
			cmd.Env = append(os.Environ(), "JOTGATE_HTTP_ADDR="+p.addr, "JOTGATE_OPS_ADDR="+ops, "JOTGATE_DATA_DIR="+filepath.Join(p.dir, "data"), noLimits)
			return cmd, nil
		},
		me:    func(g grant) same { return same{request("GET", "/v1/me", "", g.header()), 200} },
		login: loginRequest(),
		register: func(name string) same {
			return same{request("POST", "/v1/users", fmt.Sprintf(`{"username":%q,"password":%q}`, name, peerPassword)), 201}
		},
		refresh: func(g grant) same {
			return same{request("POST", "/v1/refresh", fmt.Sprintf(`{"refresh_token":%q}`, g.refresh())), 200}
		},
	}
}

func ginJWT() peer {
	return peer{
		name: "gin-jwt " + ginJWTVersion, notes: "HS256; no database, no hash, refresh tokens in memory; without a logger", probe: "/me",
		prepare: func(ctx context.Context, _ *bench, p peerPlace) (*exec.Cmd, error) {
			program, err := buildPeer(ctx, p.cache, "ginjwt", ginJWTMain, "github.com/appleboy/gin-jwt/v3@"+ginJWTVersion)
			return exec.CommandContext(ctx, program, p.addr), err
		},
		me:    func(g grant) same { return same{request("GET", "/me", "", g.header()), 200} },
		login: same{request("POST", "/login", fmt.Sprintf(`{"username":"ada","password":%q}`, peerPassword)), 200},
		refresh: func(g grant) same {
			return same{request("POST", "/refresh", fmt.Sprintf(`{"refresh_token":%q}`, g.refresh())), 200}
		},
	}
}

func pocketBase() peer {
	const users = "/api/collections/users/"
	return peer{
		name: "PocketBase " + pocketBaseVersion, notes: "SQLite, HS256, bcrypt cost 10; a refresh mints anew and keeps nothing", probe: "/api/health",
		prepare: func(ctx context.Context, _ *bench, p peerPlace) (*exec.Cmd, error) {
			program, err := buildPeer(ctx, p.cache, "pocketbase", pocketBaseMain, "github.com/pocketbase/pocketbase@"+pocketBaseVersion)
			if err != nil {
				return nil, err
			}
			data := "--dir=" + filepath.Join(p.dir, "data")
			// Without an administrator it opens a page in a browser.
			admin := exec.CommandContext(ctx, program, "superuser", "upsert", "root@example.com", peerPassword, data)
			if text, err := admin.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("%w: %s", err, text)
			}
			return exec.CommandContext(ctx, program, "serve", "--http="+p.addr, data), nil
		},
		me: func(g grant) same {
			return same{request("GET", users+"records/"+g.Record.ID, "", g.header()), 200}
		},
		login: same{request("POST", users+"auth-with-password", fmt.Sprintf(`{"identity":"ada@example.com","password":%q}`, peerPassword)), 200},
		register: func(name string) same {
			const body = `{"email":"%s@example.com","password":%q,"passwordConfirm":%q}`
			return same{request("POST", users+"records", fmt.Sprintf(body, name, peerPassword, peerPassword)), 200}
		},
		refresh: func(g grant) same {
			return same{request("POST", users+"auth-refresh", "", g.header(), "Content-Length: 0"), 200}
		},
	}
}

func django() peer {
	return peer{
		name: "Django REST framework with simplejwt", notes: "Debian's packages; gunicorn, two workers on the one core; SQLite, HS256, PBKDF2; refresh tokens rotate and are blacklisted", probe: "/me",
		prepare: func(ctx context.Context, _ *bench, p peerPlace) (*exec.Cmd, error) {
			const python = "/usr/bin/python3" // Debian's, which has Debian's packages
			if err := exec.CommandContext(ctx, python, "-c", "import gunicorn, rest_framework, rest_framework_simplejwt").Run(); err != nil {
				return nil, fmt.Errorf("%w: apt-get install gunicorn python3-djangorestframework python3-djangorestframework-simplejwt", errMissing)
			}
			if err := os.WriteFile(filepath.Join(p.dir, "project.py"), []byte(djangoProject), 0o600); err != nil {
				return nil, err
			}
			database := "BENCH_DATABASE=" + filepath.Join(p.dir, "db.sqlite3")
			migrate := exec.CommandContext(ctx, python, "project.py", "migrate", "--verbosity=0")
			migrate.Dir, migrate.Env = p.dir, append(os.Environ(), database)
			if text, err := migrate.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("%w: %s", err, text)
			}
			cmd := exec.CommandContext(ctx, python, "-m", "gunicorn", "--workers=2", "--bind="+p.addr, "project:application")
			cmd.Dir, cmd.Env = p.dir, append(os.Environ(), database)
			return cmd, nil
		},
		me:    func(g grant) same { return same{request("GET", "/me", "", g.header()), 200} },
		login: same{request("POST", "/token", fmt.Sprintf(`{"username":"ada","password":%q}`, peerPassword)), 200},
		register: func(name string) same {
			return same{request("POST", "/users", fmt.Sprintf(`{"username":%q,"password":%q}`, name, peerPassword)), 201}
		},
		refresh: func(g grant) same {
			return same{request("POST", "/token/refresh", fmt.Sprintf(`{"refresh":%q}`, g.Refresh)), 200}
		},
	}
}

// buildPeer builds a Go program in a module of its own, once for each version.
func buildPeer(ctx context.Context, cache, name, text, module string) (program string, err error) {
	dir := filepath.Join(cache, name, filepath.Base(module))
	program = filepath.Join(dir, name)
	source := filepath.Join(dir, "main.go")
	if built, err := os.ReadFile(source); err == nil && string(built) == text {
		if _, err := os.Stat(program); err == nil {
			return program, nil
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := errors.Join(
		os.WriteFile(source, []byte(text), 0o644),
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module "+name+"\n\ngo 1.26\n"), 0o644),
	); err != nil {
		return "", err
	}
	for _, args := range [][]string{{"get", module}, {"mod", "tidy"}, {"build", "-o", program, "."}} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if text, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w: go %v: %w: %s", errMissing, args, err, text)
		}
	}
	return program, nil
}
