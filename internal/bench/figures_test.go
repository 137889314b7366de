package main

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The page and the plot say what the figures beside them say.
func TestPageIsMadeOfTheFigures(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	f, err := readFigures(filepath.Join(root, figuresJSON))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{figuresPage: f.page(), figuresPlot: f.plot()} {
		got, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what %s makes of it: run bench with -write, which writes all of them", path, figuresJSON)
		}
	}
}

func TestMoved(t *testing.T) {
	t.Parallel()
	base := row{Part: "p", Work: "w", Value: 0.8, Low: 0.78, High: 0.82, Of: "of the floor", Target: atLeast(0.85)}
	with := func(change func(*row)) row {
		r := base
		change(&r)
		return r
	}
	tests := []struct {
		name string
		now  row
		want string
	}{
		{"within the spread of the rounds", with(func(r *row) { r.Value = 0.83 }), "1 values are where they were"},
		{"up, and that is better", with(func(r *row) { r.Value = 0.9 }), "better"},
		{"down", with(func(r *row) { r.Value = 0.7 }), "worse"},
		{"up, where little is better", with(func(r *row) { r.Value, r.Target = 0.9, atMost(1) }), "worse"},
		{"the rounds differ more", with(func(r *row) { r.Value, r.Low, r.High = 0.9, 0.75, 0.95 }), "1 values are where they were"},
		{"other work", with(func(r *row) { r.Value, r.Work = 9, "x" }), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(moved([]row{base}, []row{tt.now}), "\n")
			if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("moved: %q, want %q in it", got, tt.want)
			}
		})
	}
	was, now := with(func(r *row) { r.Of = milliseconds }), with(func(r *row) { r.Value, r.Of = 9, milliseconds })
	if got := moved([]row{was}, []row{now}); got != nil {
		t.Errorf("moved: %q of a time, want nothing", got)
	}
}

// TestByRound has the spread be that of rounds, however far their turns are apart.
func TestByRound(t *testing.T) {
	t.Parallel()
	var turns []float64
	for round := range 3 {
		for turn := range perRound {
			turns = append(turns, float64(round+100*(turn-perRound/2)))
		}
	}
	if got, want := byRound(turns), []float64{0, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("byRound: %v, want %v", got, want)
	}
}

func TestFiguresOfOtherPartsStay(t *testing.T) {
	t.Parallel()
	here := setting{Machine: "m", Cores: 2}
	kept := figures{Setting: here, Rows: []row{{Part: "requests", Work: "a"}, {Part: "logins", Work: "b"}}, Peers: []peerRow{{Name: "p"}}}
	works := func(f figures) (all []string) {
		for _, r := range f.Rows {
			all = append(all, r.Work)
		}
		return all
	}
	f := kept.with(figures{Setting: here, Rows: []row{{Part: "logins", Work: "c", Of: "x"}}})
	if got := works(f); !slices.Equal(got, []string{"a", "c"}) || len(f.Peers) != 1 {
		t.Errorf("rows %v, %d peers; want a, c and one peer", got, len(f.Peers))
	}
	f = kept.with(figures{Setting: setting{Machine: "n", Cores: 2}, Rows: []row{{Part: "logins", Work: "c", Of: "x"}}})
	if got := works(f); !slices.Equal(got, []string{"c"}) {
		t.Errorf("rows %v beside those of another machine, want c alone", got)
	}
	f = kept.with(figures{Setting: setting{Machine: "n"}, Peers: []peerRow{{Name: "q"}}})
	if got := works(f); !slices.Equal(got, []string{"a", "b"}) || f.Peers[0].Name != "q" || f.Setting != here {
		t.Errorf("rows %v, peers %v; want a, b as they were and the new peer", got, f.Peers)
	}
}

// TestWhatHasNoFiguresChangesNone has a part measured that is on no page, and one that
// cannot be measured now.
func TestWhatHasNoFiguresChangesNone(t *testing.T) {
	t.Parallel()
	kept := figures{Setting: setting{Commit: "one"}, Rows: []row{{Part: "requests", Of: "x"}}}
	for _, r := range []row{{Part: "profile", Of: "x"}, {Part: "requests", Figure: "not measured"}} {
		got := kept.with(figures{Setting: setting{Commit: "two", Machine: "n"}, Rows: []row{r}})
		if got.Setting != kept.Setting || !slices.Equal(got.Rows, kept.Rows) {
			t.Errorf("with %+v: %+v, want what was kept", r, got)
		}
	}
	got := figures{}.with(figures{Rows: []row{{Part: "requests", Figure: "not measured"}}})
	if len(got.Rows) != 1 {
		t.Errorf("with what was never measured: %+v, want to be told so", got)
	}
}

func TestCell(t *testing.T) {
	t.Parallel()
	if got, want := cell("a|b\nc"), `a\|b c`; got != want {
		t.Errorf("cell: %q, want %q", got, want)
	}
}

// TestFiguresOfOtherCommitsSaySo has the page tell which commit a part was measured at that
// the last run left as it was.
func TestFiguresOfOtherCommitsSaySo(t *testing.T) {
	t.Parallel()
	f := figures{Setting: setting{Commit: "one"}, Rows: []row{{Part: "requests", Of: "x"}, {Part: "logins", Of: "x"}}}
	for _, commit := range []string{"two", "three"} {
		f = f.with(figures{Setting: setting{Commit: commit}, Rows: []row{{Part: "logins", Of: "x"}}})
	}
	if page := f.page(); !strings.Contains(page, "At another commit: requests (one).") {
		t.Error(page)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		r    row
		want string
	}{
		{row{Value: 0.85, Target: atLeast(0.85)}, "reached"},
		{row{Value: 0.84, Target: atLeast(0.85)}, "missed"},
		{row{Value: 1.5, Target: atMost(1.5)}, "reached"},
		{row{Value: 1.6, Target: atMost(1.5)}, "missed"},
		{row{Value: 0, Target: atMost(0.1)}, "reached"},
		{row{Value: 1}, ""},
	} {
		if got := tt.r.verdict(); got != tt.want {
			t.Errorf("%v %s: %q, want %q", tt.r.Value, tt.r.bound(), got, tt.want)
		}
	}
}

func TestForgotten(t *testing.T) {
	t.Parallel()
	r := &floodRounds{unknown: []float64{100, 100, 100}, known: []float64{1000, 1000, 1000}, flooding: []float64{1000, 100, 2000}}
	if got := r.forgotten(); !slices.Equal(got, []float64{0, 1, 0}) {
		t.Errorf("forgotten: %v, want none, all, none", got)
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text, body string
		status           int
		last, bad        bool
	}{
		{"with a body", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP", "ok", 200, false, false},
		{"without", "HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n", "", 204, false, false},
		{"the last one", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nConnection: close\r\n\r\nx", "x", 200, true, false},
		{"in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "", 0, false, true},
		{"cut off", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "", 0, false, true},
		{"not HTTP", "220 mail\r\n\r\n", "", 0, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, body, last, err := answer(bufio.NewReader(strings.NewReader(tt.text)))
			if (err != nil) != tt.bad {
				t.Fatalf("error %v, want one: %t", err, tt.bad)
			}
			if !tt.bad && (status != tt.status || string(body) != tt.body || last != tt.last) {
				t.Errorf("answer: %d %q %t, want %d %q %t", status, body, last, tt.status, tt.body, tt.last)
			}
		})
	}
}

// A server that stands still for a while is slow to all requests that were due
// meanwhile, not to the one alone that it was answering.
func TestPaceCountsFromWhenARequestWasDue(t *testing.T) {
	t.Parallel()
	const stall = 300 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		until := time.Now().Add(stall)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 1024)
				for {
					if _, err := conn.Read(buf); err != nil {
						return
					}
					time.Sleep(time.Until(until))
					if _, err := conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")); err != nil {
						return
					}
				}
			}()
		}
	}()
	// All connections are busy after 64 requests; the others wait for one.
	got, err := pace(t.Context(), l.Addr().String(), 1000, stall*5/4, times(connections, bareRequest()))
	if err != nil {
		t.Fatal(err)
	}
	// Four fifths of them were due while it stood still.
	if got.p50 < stall/4 {
		t.Errorf("half waited for less than %s, want more than %s", got.p50, stall/4)
	}
}
