package bearer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/pkg/bearer"
	"github.com/jotgate/jotgate/pkg/bearer/ginbearer"
)

// orders is a service that lets in whom the issuer signed in.
func orders(ctx context.Context) (http.Handler, error) {
	verifier, err := bearer.New(ctx, bearer.Config{
		Issuer:   "https://auth.example.com",
		Audience: "https://auth.example.com",
		Keys:     exampleKeys, // left out, the keys are fetched from the issuer
	})
	if err != nil {
		return nil, err
	}
	guard := &bearer.Guard{Verifier: verifier}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", guard.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := bearer.FromContext(r.Context())
		fmt.Fprintf(w, "orders of %s\n", claims.Subject)
	})))
	return mux, nil
}

func exampleKeys(context.Context, string) (bearer.Key, error) {
	return bearer.Key{}, errors.New("unknown")
}

func ExampleGuard_Require() {
	service, err := orders(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	service.ServeHTTP(w, httptest.NewRequest("GET", "/orders", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer realm="jotgate"
}

func ExampleGuard_RequireRole() {
	verifier, err := bearer.New(context.Background(), bearer.Config{
		Issuer: "https://auth.example.com", Audience: "https://auth.example.com", Keys: exampleKeys,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	guard := &bearer.Guard{Verifier: verifier}
	report := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "nothing to report") })
	mux := http.NewServeMux()
	mux.Handle("GET /reports", guard.Require(guard.RequireRole(report, "admin", "auditor"), "reports:read"))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/reports", nil))
	fmt.Println(w.Code)
	// Output: 401
}

func ExampleVerifier_Verify() {
	verifier, err := bearer.New(context.Background(), bearer.Config{
		Issuer: "https://auth.example.com", Audience: "https://auth.example.com", Keys: exampleKeys,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = verifier.Verify(context.Background(), "not a token")
	fmt.Println(errors.Is(err, bearer.ErrInvalidToken))
	// Output: true
}

func Example_gin() {
	verifier, err := bearer.New(context.Background(), bearer.Config{
		Issuer: "https://auth.example.com", Audience: "https://auth.example.com", Keys: exampleKeys,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(ginbearer.Require(&bearer.Guard{Verifier: verifier}, nil))
	router.GET("/orders", func(c *gin.Context) {
		claims, _ := ginbearer.Claims(c)
		c.String(http.StatusOK, "orders of %s", claims.Subject)
	})
	w := httptest.NewRecorder()
	router.ServeHTTP(w, httptest.NewRequest("GET", "/orders", nil))
	fmt.Println(w.Code)
	// Output: 401
}
